"""`Look`: what a photographer adds to bare optics: the opening's shape, highlights, fringes, grain."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatArray, FloatMap, ImageArray
from depth3d.errors import InputError
from depth3d.render.aperture import Aperture

__all__ = ["Look", "grain_of", "with_grain", "with_highlights"]

_BRIGHT = (0.88, 1.0)
"""Linear light of the brightest channel between which a pixel counts as clipped (bytes 241 to 255)."""
_MOST_STOPS = 3.0
"""By how many stops clipped light is raised at the full `highlights`."""
_BLURRED_PX = (0.5, 2.0)
"""Radii between which highlights and grain are blended in: what is in focus stays as it is."""
_WINDOW_SHARE = 1 / 20
"""Side of the window, as a share of the longer side, that tells lamps from white walls and skies."""
_MOST_SHARE = 0.25
"""Share of that window which bright pixels may fill before they are no spot any more."""

_MOST_FRINGE_PX = 100.0

_TONES = 8
"""Bands of brightness in which grain is measured."""
_LEAST_PIXELS = 200
_LAPLACIAN_GAIN = 6.0
"""Deviation of the mask 1 -2 1 / -2 4 -2 / 1 -2 1 on white noise of deviation 1 (Immerkaer 1996)."""


@dataclass(frozen=True, slots=True)
class Look:
    """The look of blurred areas; as made by default, an ideal lens.

    Attributes:
        aperture: Shape of the opening.
        highlights: 0..1: how much of their light small clipped spots get back where they are out of focus.
            At 1 they are raised by three stops.
        fringe_px: What red, green and blue add to the signed radius of blur: longitudinal chromatic
            aberration, 100 at most.
        grain: 0..1: how much of the photo's own noise, measured in it, blurred areas get back.
        seed: Of the grain.

    Raises:
        InputError: A number out of range.
    """

    aperture: Aperture = field(default_factory=Aperture)
    highlights: float = 0.0
    fringe_px: tuple[float, float, float] = (0.0, 0.0, 0.0)
    grain: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("highlights", "grain"):
            value = getattr(self, name)
            if not (isinstance(value, int | float | np.number) and 0 <= value <= 1):
                raise InputError(f"{name} must lie between 0 and 1, got {value!r}")
        if not isinstance(self.aperture, Aperture):
            raise InputError(f"aperture must be an Aperture, got {type(self.aperture).__name__}")
        if len(self.fringe_px) != 3 or not all(abs(number) <= _MOST_FRINGE_PX for number in self.fringe_px):
            raise InputError(
                f"fringe_px must be three numbers for red, green, blue, of {_MOST_FRINGE_PX:g} at most, got "
                f"{self.fringe_px!r}"
            )
        if not (isinstance(self.seed, int | np.integer) and self.seed >= 0):
            raise InputError(f"seed must be a whole number of 0 or more, got {self.seed!r}")


def with_highlights(light: FloatArray, radius: FloatMap, amount: float) -> FloatArray:
    """Give small clipped spots that are out of focus some of the light back that the sensor cut off.

    `L' = L * (1 + (2^(3 amount) - 1) * c * s * b)`: c rises from 0 to 1 where the brightest channel goes
    from 0.88 to 1 (smoothstep), s falls from 1 to 0 as such pixels fill up to a quarter of a window of 1/20
    of the picture's longer side (lamps and glints, not walls and skies), b rises from 0 to 1 where the
    radius goes from 0.5 to 2 px.

    Args:
        light: (H, W, 3) linear light.
        radius: (H, W) signed radius of blur in pixels.
        amount: 0..1.

    Returns:
        (H, W, 3) float32; pixels in focus are the same.
    """
    if amount == 0:
        return light
    import cv2

    clipped = _smoothstep(light.max(axis=2), *_BRIGHT)
    side = max(3, round(_WINDOW_SHARE * max(radius.shape)) | 1)
    share = cv2.blur(clipped, (side, side), borderType=cv2.BORDER_REFLECT_101)
    clipped *= (1 - _smoothstep(share, 0, _MOST_SHARE)) * _smoothstep(np.abs(radius), *_BLURRED_PX)
    clipped *= np.float32(2 ** (_MOST_STOPS * amount) - 1)
    return np.asarray(light * (1 + clipped)[..., None], dtype=np.float32)


def grain_of(image: ImageArray) -> npt.NDArray[np.float32]:
    """Measure a photo's noise by brightness.

    The second difference of second differences is blind to all that is locally a polynomial of degree one,
    and the median over the pixels to edges (after Immerkaer, 1996, with a robust mean).

    Args:
        image: (H, W, 3) uint8.

    Returns:
        (8,) deviation in bytes, for equal bands of brightness from black to white.
    """
    import cv2

    gray = image.mean(axis=2, dtype=np.float32)
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    rough = np.abs(cv2.filter2D(gray, -1, mask, borderType=cv2.BORDER_REFLECT_101)) / _LAPLACIAN_GAIN
    band = np.minimum((gray * (_TONES / 256)).astype(np.intp), _TONES - 1)
    found = np.full(_TONES, np.nan)
    for tone in range(_TONES):
        some = rough[band == tone]
        if len(some) >= _LEAST_PIXELS:
            # The median of |normal| is 0.6745; noise that is the same in three channels is as strong in
            # their mean.
            found[tone] = np.median(some) / 0.6745
    known = np.flatnonzero(np.isfinite(found))
    if not len(known):
        return np.zeros(_TONES, np.float32)
    return np.asarray(np.interp(np.arange(_TONES), known, found[known]), dtype=np.float32)


def with_grain(
    image: ImageArray, radius: FloatMap, noise: npt.NDArray[np.float32], amount: float, seed: int
) -> ImageArray:
    """Put noise of the measured deviation where blur took it away.

    Args:
        image: (H, W, 3) uint8, blurred.
        radius: (H, W) signed radius of blur in pixels.
        noise: From `grain_of`.
        amount: 0..1.
        seed: Of the noise, which is gray.

    Returns:
        (H, W, 3) uint8; pixels in focus are the same.
    """
    tones = (np.arange(len(noise)) + 0.5) * (256 / len(noise))
    chance = np.random.default_rng(seed)
    result = image.copy()
    for top in range(0, len(image), 256):
        rows = slice(top, top + 256)
        gray = image[rows].mean(axis=2, dtype=np.float32)
        sigma = np.interp(gray, tones, noise) * _smoothstep(np.abs(radius[rows]), *_BLURRED_PX) * amount
        drawn = chance.standard_normal(gray.shape, dtype=np.float32) * sigma
        result[rows] = np.rint(np.clip(image[rows] + drawn[..., None], 0, 255)).astype(np.uint8)
    return result


def _smoothstep(x: FloatArray, low: float, high: float) -> FloatMap:
    t = np.clip((x - np.float32(low)) / np.float32(high - low), 0, 1).astype(np.float32)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)
