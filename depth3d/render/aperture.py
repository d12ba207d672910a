"""`Aperture`: the shape of the lens's opening, which is the shape of every blurred highlight."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import frozen
from depth3d.errors import InputError

__all__ = ["Aperture"]

_Kernel: TypeAlias = npt.NDArray[np.float32]

_SAMPLES = 8
"""Points a pixel and axis at which a kernel's shape is tested; fewer of large kernels."""
_MOST_POINTS = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Aperture:
    """The shape of an opening, in units of its radius; the default is a disc.

    Attributes:
        blades: Straight edges of the diaphragm; 0 is a disc, else 3 or more.
        roundness: From straight blades at 0 to a disc at 1.
        rotation_deg: Turn of the diaphragm, counter-clockwise as the background's highlights show it.
        squeeze: How much narrower than high the opening is: 2 is a classic anamorphic lens, 1 a round one.
        bubble: Brightness of the rim over the middle's, less 1: above 0 for soap bubbles, down to -1 for
            soft, creamy discs.
        cats_eye: How much the barrel cuts off the opening at the picture's corners, 0..1: by this share of
            the radius is the second rim shifted there.
        picture: (h, w) float, a picture as opening, bright where light passes; it replaces the blades.

    Raises:
        InputError: Numbers out of range, or a picture that is dark throughout.
    """

    blades: int = 0
    roundness: float = 0.0
    rotation_deg: float = 0.0
    squeeze: float = 1.0
    bubble: float = 0.0
    cats_eye: float = 0.0
    picture: npt.NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.blades, int | np.integer) and (self.blades == 0 or self.blades >= 3)):
            raise InputError(f"blades must be 0 for a disc or 3 and more, got {self.blades!r}")
        for name, low, high in (
            ("roundness", 0, 1),
            ("rotation_deg", -math.inf, math.inf),
            ("squeeze", 0.2, 5),
            ("bubble", -1, 10),
            ("cats_eye", 0, 1),
        ):
            value = getattr(self, name)
            if not (
                isinstance(value, int | float | np.number) and low <= value <= high and math.isfinite(value)
            ):
                raise InputError(f"{name} must lie between {low} and {high}, got {value!r}")
        if self.picture is not None:
            picture = frozen(self.picture, name="picture", dtype=np.float32, shape=(None, None))
            if not picture.size or not np.isfinite(picture).all() or picture.min() < 0 or picture.max() <= 0:
                raise InputError("the picture of an aperture must be bright somewhere and negative nowhere")
            object.__setattr__(self, "picture", picture)

    def kernel(
        self, radius_px: float, *, inverted: bool = False, shift: tuple[float, float] = (0.0, 0.0)
    ) -> _Kernel:
        """Draw what becomes of a point of light.

        Args:
            radius_px: Of the opening's image, in pixels.
            inverted: Turned by 180 degrees, as in front of the plane in focus.
            shift: Where the barrel's rim is, in radii right and down, for cat's eyes.

        Returns:
            (k, k) float32, k odd, sum 1: the share of the light that falls into each pixel. 1x1 where the
            radius is too small to reach a neighbour.
        """
        reach = math.ceil(radius_px + 0.5)
        side = 2 * reach + 1
        if radius_px < 0.25:
            return np.ones((1, 1), np.float32)
        fine = max(1, min(_SAMPLES, _MOST_POINTS // side))
        axis = ((np.arange(side * fine) + 0.5) / fine - side / 2) / radius_px
        x, y = np.broadcast_arrays(axis[None, :], axis[:, None])
        if inverted:
            x, y = -x, -y
            shift = (-shift[0], -shift[1])
        light = self._light(x * self.squeeze, y)
        if shift != (0.0, 0.0):
            light = light * (np.hypot(x - shift[0], y - shift[1]) <= 1)
        kernel: npt.NDArray[np.float64] = light.reshape(side, fine, side, fine).sum(axis=(1, 3))
        total = kernel.sum()
        if total <= 0:  # an opening too thin for the sampling
            return np.ones((1, 1), np.float32)
        return np.asarray(kernel / total, dtype=np.float32)

    def _light(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Say how much light passes at points of the opening, in units of its radius, y down."""
        if self.picture is not None:
            turn = math.radians(self.rotation_deg)
            px, py = x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)
            rows, cols = self.picture.shape
            side = max(rows, cols)
            i = np.floor(py * side / 2 + rows / 2).astype(np.intp)
            j = np.floor(px * side / 2 + cols / 2).astype(np.intp)
            inside = (i >= 0) & (i < rows) & (j >= 0) & (j < cols)
            return np.where(inside, self.picture[i.clip(0, rows - 1), j.clip(0, cols - 1)], 0.0)
        rho = np.hypot(x, y)
        rim = np.ones_like(rho)
        if self.blades:
            # The distance of a regular polygon's edge from its middle, by angle; corners lie on the circle.
            sector = 2 * math.pi / self.blades
            angle = np.arctan2(-y, x) - math.radians(self.rotation_deg)
            edge = math.cos(sector / 2) / np.cos(np.mod(angle, sector) - sector / 2)
            rim = edge + self.roundness * (1 - edge)
        bright = 1 + self.bubble * (rho / np.maximum(rim, 1e-9)) ** 2 if self.bubble else 1.0
        return np.where(rho <= rim, bright, 0.0)
