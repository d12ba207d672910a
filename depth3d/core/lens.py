"""`ThinLens` and the circle of confusion, which is linear in inverse depth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from depth3d.core.arrays import FloatArray
from depth3d.errors import InputError

__all__ = ["ThinLens", "circle_of_confusion_px"]


@dataclass(frozen=True, slots=True, eq=False)
class ThinLens:
    """An ideal lens with a round opening.

    Attributes:
        aperture_m: Diameter of the opening in metres; 0 is a pinhole.

    Raises:
        InputError: A negative or non-finite diameter.
    """

    aperture_m: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.aperture_m) and self.aperture_m >= 0):
            raise InputError(f"aperture_m must be 0 or more metres, got {self.aperture_m!r}")

    @classmethod
    def from_f_number(cls, focal_mm: float, f_number: float) -> ThinLens:
        """Make the lens that photographers call, say, 50 mm at f/1.8.

        Args:
            focal_mm: Real (not 35-mm equivalent) focal length in millimetres.
            f_number: Focal length over diameter; smaller is wider open.

        Returns:
            A lens of diameter `focal_mm / f_number` millimetres.

        Raises:
            InputError: Either number is not positive.
        """
        if not (math.isfinite(focal_mm) and focal_mm > 0):
            raise InputError(f"focal_mm must be positive, got {focal_mm!r}")
        if not (math.isfinite(f_number) and f_number > 0):
            raise InputError(f"f_number must be positive, got {f_number!r}")
        return cls(aperture_m=focal_mm / f_number / 1000.0)

    def __repr__(self) -> str:
        return f"ThinLens(aperture {1000 * self.aperture_m:.4g} mm)"


def circle_of_confusion_px(
    depth_m: FloatArray, *, focus_m: float, lens: ThinLens, fx_px: float
) -> FloatArray:
    """Compute the diameter of the blur disc of points at a depth.

    A thin lens of diameter A focused at z_f images a point at z as a disc of diameter
    `fx * A * |1/z - 1/z_f|` pixels (similar triangles through the opening; Potmesil and
    Chakravarty, SIGGRAPH 1981, with fx in pixels taken at the focused image plane).

    Args:
        depth_m: z in metres, any shape; infinity is the horizon, NaN stays NaN.
        focus_m: z in metres of the plane in focus; infinity is allowed.
        lens: The lens.
        fx_px: Focal length in pixels.

    Returns:
        Diameter in pixels, shape of `depth_m`, 0 on the plane in focus.

    Raises:
        InputError: `focus_m` is not positive.
    """
    if not focus_m > 0:
        raise InputError(f"focus_m must be positive metres, got {focus_m!r}")
    inverse = 1.0 / np.asarray(depth_m, dtype=np.float64)
    return np.abs(inverse - 1.0 / focus_m) * (fx_px * lens.aperture_m)
