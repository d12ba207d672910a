"""`ThinLens`, the circle of confusion, which is linear in inverse depth, and the depth of field."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from depth3d.core.arrays import FloatArray
from depth3d.core.camera import FULL_FRAME_DIAGONAL_MM, Camera
from depth3d.errors import InputError

__all__ = ["ThinLens", "circle_of_confusion_px", "depth_of_field_m", "focal_35mm_of", "hyperfocal_m"]


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

    @classmethod
    def on_full_frame(cls, camera: Camera, f_number: float) -> ThinLens:
        """Make the lens of the full-frame camera that would have taken the same picture.

        A phone's own lens, a few millimetres wide, blurs next to nothing: what people mean by "f/1.8" is
        a 36x24 mm sensor behind a lens of the photo's 35-mm equivalent focal length.

        Args:
            camera: The camera of the photo; its 35-mm equivalent goes by the diagonal (`focal_35mm_of`).
            f_number: Focal length over diameter; smaller is wider open.

        Returns:
            A lens of diameter `focal_35mm_of(camera) / f_number` millimetres.

        Raises:
            InputError: `f_number` is not positive.
        """
        return cls.from_f_number(focal_35mm_of(camera), f_number)

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


def focal_35mm_of(camera: Camera) -> float:
    """Compute the 35-mm equivalent focal length in millimetres, by the diagonal (CIPA DCG-001).

    The inverse of `Camera.from_focal_35mm`: `fx * 43.2666 / hypot(width, height)`.
    """
    return camera.fx * FULL_FRAME_DIAGONAL_MM / math.hypot(camera.width, camera.height)


def hyperfocal_m(*, lens: ThinLens, fx_px: float, blur_px: float) -> float:
    """Compute the nearest focus at which the horizon is still sharp.

    Args:
        lens: The lens.
        fx_px: Focal length in pixels.
        blur_px: Diameter of the disc that still counts as sharp, in pixels.

    Returns:
        `fx * A / blur` metres, where the disc of a point at infinity has that diameter; 0 for a pinhole.

    Raises:
        InputError: `blur_px` or `fx_px` is not positive.
    """
    return fx_px * lens.aperture_m / _checked(blur_px=blur_px, fx_px=fx_px)


def depth_of_field_m(focus_m: float, *, lens: ThinLens, fx_px: float, blur_px: float) -> tuple[float, float]:
    """Compute from where to where a picture counts as sharp.

    The circle of confusion is linear in 1/z, so the limits lie symmetrically around the focus in
    dioptres, at `1/z_f +- blur / (fx * A)`.

    Args:
        focus_m: z in metres of the plane in focus; infinity is allowed.
        lens: The lens.
        fx_px: Focal length in pixels.
        blur_px: Diameter of the disc that still counts as sharp, in pixels.

    Returns:
        (near, far) as z in metres; far is infinite from the hyperfocal distance on. (0, inf) for a
        pinhole.

    Raises:
        InputError: `focus_m`, `blur_px` or `fx_px` is not positive.
    """
    if not focus_m > 0:
        raise InputError(f"focus_m must be positive metres, got {focus_m!r}")
    _checked(blur_px=blur_px, fx_px=fx_px)
    if lens.aperture_m == 0:
        return 0.0, math.inf
    half = blur_px / (fx_px * lens.aperture_m)
    far = 1 / focus_m - half
    return 1 / (1 / focus_m + half), 1 / far if far > 0 else math.inf


def _checked(*, blur_px: float, fx_px: float) -> float:
    for name, value in (("blur_px", blur_px), ("fx_px", fx_px)):
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} must be positive, got {value!r}")
    return blur_px
