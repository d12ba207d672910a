"""`Defocus`: how large the circle of confusion is at each pixel, and on which side of the focus."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap
from depth3d.core.camera import Camera
from depth3d.core.lens import ThinLens
from depth3d.errors import InputError, NeedsMetricError

__all__ = ["Defocus", "gain_of", "tilted"]

DEFAULT_F_NUMBER = 1.8
DEFAULT_STRENGTH_SHARE = 0.03
"""Of the longer side: what a fast portrait lens shows of a background far behind a face."""

_RANGE_PERCENT = (1.0, 99.0)
"""Percentiles between which the range of a map lies: single wrong pixels don't count."""


@dataclass(frozen=True, slots=True)
class Defocus:
    """A lens that is focused: `radius = gain * (disparity - disparity_in_focus)`, as every thin lens has it.

    Attributes:
        gain: Radius of the circle of confusion in pixels by disparity from the focus: `fx * A / 2` where
            disparity is 1/z.
        disparity: In focus, at the picture's middle if the plane is tilted.
        slope: What the disparity in focus gains by pixel to the right and down: a plane in space is affine
            in u, v and 1/z, so a tilted lens is no more than this (Scheimpflug's rule).
        middle: (u, v) where `disparity` is in focus.
        sharp_px: Radius up to which blur is taken for none: larger radii are less by as much, so that
            nothing jumps.
    """

    gain: float
    disparity: float
    slope: tuple[float, float] = (0.0, 0.0)
    middle: tuple[float, float] = (0.0, 0.0)
    sharp_px: float = 0.0

    def radius(self, disparity: FloatMap) -> FloatMap:
        """Compute the signed radius of the circle of confusion in pixels.

        Args:
            disparity: (H, W) float32.

        Returns:
            (H, W) float32, positive in front of the focus and negative behind it.
        """
        rows, columns = (np.arange(side) for side in disparity.shape)
        return self._radius(disparity, rows[:, None], columns[None, :])

    def radius_at(self, at: npt.NDArray[np.intp], disparity: FloatMap, width: int) -> FloatMap:
        """Compute it of some pixels.

        Args:
            at: (n,) flat indices.
            disparity: (n,) float32, there.
            width: Of the picture.

        Returns:
            (n,) float32.
        """
        return self._radius(disparity, *np.divmod(at, width))

    def largest_px(self, disparity: FloatMap) -> float:
        """Compute the largest radius that (H, W) disparity gives, on either side of the focus."""
        if self.slope == (0.0, 0.0):  # it is that of the farthest or of the nearest
            disparity = np.array([[disparity.min(), disparity.max()]], dtype=np.float32)
        return float(np.abs(self.radius(disparity)).max())

    def _radius(
        self, disparity: FloatMap, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
    ) -> FloatMap:
        # What overflows is refused where light is spread.
        with np.errstate(over="ignore", invalid="ignore"):
            focus: FloatMap | np.float32 = np.float32(self.disparity)
            if self.slope != (0.0, 0.0):
                right = (columns.astype(np.float32) + 0.5 - self.middle[0]) * self.slope[0]
                down = (rows.astype(np.float32) + 0.5 - self.middle[1]) * self.slope[1]
                focus = (focus + right + down).astype(np.float32)
            radius = disparity - focus
            radius *= np.float32(self.gain)
            if self.sharp_px:
                radius = np.sign(radius) * np.maximum(np.abs(radius) - np.float32(self.sharp_px), 0)
        return np.asarray(radius, dtype=np.float32)


def gain_of(
    disparity: FloatMap,
    camera: Camera,
    *,
    is_metric: bool,
    lens: ThinLens | None = None,
    strength_px: float | None = None,
) -> float:
    """Compute the radius of blur by disparity, in pixels.

    Args:
        disparity: (H, W) float32 of the scene.
        camera: Of the photo.
        is_metric: Whether disparity is 1/z in 1/m.
        lens: Gives `fx * aperture_m / 2`, half of the diameter's factor in `circle_of_confusion_px`.
        strength_px: Instead, the diameter in pixels of the blur of the nearest thing with the focus on the
            farthest one, or the other way round (the 99th and the 1st percentile of the map). It belongs to
            the opening: moving the focus does not change it.

    Returns:
        The gain; with neither, that of f/1.8 on full frame, or of a strength of 3 % of the longer side on a
        relative map.

    Raises:
        InputError: Both are given, or the strength is negative.
        NeedsMetricError: A lens for a relative map.
    """
    if lens is not None and strength_px is not None:
        raise InputError("lens and strength_px would each set the blur; give one of them")
    if lens is not None and not is_metric:
        raise NeedsMetricError(
            "a lens blurs by distances in metres, got a relative map; give strength_px (--strength-px) "
            "instead, or give the map metres: calibrate it, or use a metric model (metric-indoor-small)"
        )
    if strength_px is None:
        if lens is None and is_metric:
            lens = ThinLens.on_full_frame(camera, DEFAULT_F_NUMBER)
        if lens is not None:
            return 0.5 * camera.fx * lens.aperture_m
        strength_px = DEFAULT_STRENGTH_SHARE * max(disparity.shape)
    if not (math.isfinite(strength_px) and strength_px >= 0):
        raise InputError(f"strength_px must be 0 or more pixels, got {strength_px!r}")
    farthest, nearest = np.percentile(disparity, _RANGE_PERCENT)
    if nearest <= farthest:
        farthest, nearest = float(disparity.min()), float(disparity.max())
    return float(0.5 * strength_px / (nearest - farthest)) if nearest > farthest else 0.0


def tilted(
    camera: Camera, *, focus_m: float, point: tuple[float, float] | None, tilt_deg: tuple[float, float]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Tilt the plane of focus about the point in focus.

    The plane through the point P with the unit normal n is `n . X = n . P`; with X = z (x, y, 1) and rays x =
    (u - cx) / fx, y = (v - cy) / fy that is `1/z = (n_x x + n_y y + n_z) / (n . P)`, affine in the pixel.

    Args:
        camera: Of the photo; its distortion is left out.
        focus_m: z of the point in focus.
        point: (u, v) of the point; None is the principal point.
        tilt_deg: Turn about the horizontal axis, which leans the plane's upper end away (a table from above
            is in focus all over), and about the vertical one, which leans its right end away.

    Returns:
        What `Defocus` takes as `slope` and `middle`.

    Raises:
        InputError: A tilt that turns the plane edge-on to the camera.
    """
    back, aside = (math.radians(float(angle)) for angle in tilt_deg)
    normal = (-math.sin(aside) * math.cos(back), math.sin(back), math.cos(aside) * math.cos(back))
    u, v = point if point is not None else (camera.cx, camera.cy)
    ray = ((u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, 1.0)
    along = sum(n * x for n, x in zip(normal, ray, strict=True))
    if along <= 0.01 or not math.isfinite(focus_m):
        raise InputError(
            f"a plane of focus tilted by {tilt_deg[0]:g} and {tilt_deg[1]:g} degrees is seen edge-on or lies "
            "at infinity; tilt it less, or focus nearer"
        )
    return (normal[0] / (along * focus_m * camera.fx), normal[1] / (along * focus_m * camera.fy)), (u, v)
