"""`FilmLook`: what a film camera adds: blur of motion, depth of field, a vignette."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap
from depth3d.core.lens import ThinLens
from depth3d.errors import InputError

__all__ = ["FilmLook", "vignette_of"]


@dataclass(frozen=True, slots=True)
class FilmLook:
    """What is added to a film; nothing by default.

    Attributes:
        shutter_deg: How long each frame is exposed, 360 being the time to the next one: 180 is what cinema
            is used to.
        exposures: How many pictures are averaged, in linear light, for it.
        lens: Opening for depth of field; needs metres.
        strength_px: Instead, the strength of blur as `bokeh` takes it, in pixels of the film.
        focus: (u, v) in pixels of the photo of what stays in focus; None is the still point.
        vignette: 0..1, what the corners lose of their light: it falls with cos^4 of an angle.

    Raises:
        InputError: Numbers out of range, or both a lens and a strength.
    """

    shutter_deg: float = 0.0
    exposures: int = 8
    lens: ThinLens | None = None
    strength_px: float | None = None
    focus: tuple[float, float] | None = None
    vignette: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.shutter_deg) and 0 <= self.shutter_deg <= 720):
            raise InputError(f"shutter_deg must lie in 0..720 degrees, got {self.shutter_deg!r}")
        if not (isinstance(self.exposures, int) and 2 <= self.exposures <= 64):
            raise InputError(f"exposures must be a whole number from 2 to 64, got {self.exposures!r}")
        if not (math.isfinite(self.vignette) and 0 <= self.vignette < 1):
            raise InputError(f"vignette must lie from 0 to below 1, got {self.vignette!r}")
        if self.lens is not None and self.strength_px is not None:
            raise InputError("lens and strength_px would each set the blur; give one of them")
        if self.focus is not None and not self.has_depth_of_field:
            raise InputError("focus says what stays sharp beside blur; give a lens or strength_px, too")

    @property
    def has_depth_of_field(self) -> bool:
        """Whether what is out of focus is blurred."""
        return self.lens is not None or bool(self.strength_px)

    def moments(self, frame: int) -> npt.NDArray[np.float64]:
        """Give the moments, in frames, that are averaged for one frame, in its middle."""
        if not self.shutter_deg:
            return np.array([float(frame)])
        share = (np.arange(self.exposures) + 0.5) / self.exposures - 0.5
        return np.asarray(frame + self.shutter_deg / 360 * share, dtype=np.float64)


def vignette_of(size_wh: tuple[int, int], strength: float) -> FloatMap:
    """Compute what a vignette leaves of the light: 1 in the middle, 1 - strength in the corners.

    cos^4 of the angle under which a lens sees a pixel is 1 / (1 + r^2 tan^2)^2 (Reiss 1945).

    Args:
        size_wh: Of the picture.
        strength: 0 to below 1.

    Returns:
        (H, W) float32.
    """
    width, height = size_wh
    x = (np.arange(width) + 0.5 - width / 2) / math.hypot(width / 2, height / 2)
    y = (np.arange(height) + 0.5 - height / 2) / math.hypot(width / 2, height / 2)
    square = x[None, :] ** 2 + y[:, None] ** 2
    slope = 1 / math.sqrt(1 - strength) - 1
    return np.asarray(1 / (1 + slope * square) ** 2, dtype=np.float32)
