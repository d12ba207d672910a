"""`unproject`: every pixel of a depth map to its point in the camera frame."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError
from depth3d.lift.selection import PIXELS_PER_BLOCK, as_items

__all__ = ["PointMap", "unproject", "unprojected"]

PointMap = npt.NDArray[np.float32]
"""(H, W, 3) float32, metres in the camera frame."""


def unproject(depth: DepthMap, camera: Camera, *, stride: int = 1) -> PointMap:
    """Lift every pixel to its point: `z * ((u - cx) / fx, (v - cy) / fy, 1)`.

    (u, v) is the pixel's centre, (column + 0.5, row + 0.5), freed of lens distortion. This is the
    pinhole model of Hartley and Zisserman, "Multiple View Geometry", section 6.1, with z the distance
    along the optical axis and not along the ray.

    Args:
        depth: (H, W) metric map, z in metres.
        camera: Intrinsics of that size.
        stride: Take every stride-th row and column, from the first on: what comes back equals the full
            result sliced with `[::stride, ::stride]`.

    Returns:
        (ceil(H / stride), ceil(W / stride), 3) float32 points in metres: x right, y down, z forward.
        All three are NaN where the depth is unknown or the distortion has no inverse.

    Raises:
        NeedsMetricError: The map is relative.
        InputError: The sizes differ, or the stride is not a whole number of at least 1.
    """
    depth.require_metric("unproject()")
    check_camera_fits(depth, camera)
    step = checked_stride(stride)
    z = depth.values[::step, ::step]
    points = np.empty((*z.shape, 3), dtype=np.float32)
    for block in _blocks(z):
        _lift(z[block], camera, block, step, points[block])
    return points


def unprojected(depth: DepthMap, camera: Camera, keep: BoolMap, *, stride: int = 1) -> FloatMap:
    """Lift some pixels: `unproject(...)[keep]`, without the points of all of them in between.

    Args:
        depth: As for `unproject`.
        camera: As for `unproject`.
        keep: (ceil(H / stride), ceil(W / stride)) bool.
        stride: As for `unproject`.

    Returns:
        (n, 3) float32 in reading order, locked: nobody else holds it, so that the public types need no copy.
    """
    z = depth.values[::stride, ::stride]
    found = np.empty((np.count_nonzero(keep), 3), dtype=np.float32)
    places, start = as_items(found), 0
    for block in _blocks(z):
        points = np.empty((*z[block].shape, 3), dtype=np.float32)
        _lift(z[block], camera, block, stride, points)
        part = as_items(points)[keep[block]]
        places[start : start + len(part)] = part
        start += len(part)
    found.flags.writeable = False
    return found


def _blocks(z: FloatMap) -> Iterator[slice]:
    rows = max(1, PIXELS_PER_BLOCK // z.shape[1])
    for top in range(0, z.shape[0], rows):
        yield slice(top, min(top + rows, z.shape[0]))


def _lift(z: FloatMap, camera: Camera, rows: slice, step: int, points: PointMap) -> None:
    """Fill in the points of some rows of a grid with a stride."""
    if any(camera.distortion):
        points[:] = (
            camera.pixel_rays(slice(rows.start * step, (rows.stop - 1) * step + 1), step) * z[..., None]
        )
        points[np.isnan(points[..., 0])] = np.nan
        return
    # Without distortion x depends on the column alone and y on the row alone.
    x = (np.arange(0, camera.width, step) + (0.5 - camera.cx)) / camera.fx
    y = (np.arange(0, camera.height, step)[rows] + (0.5 - camera.cy)) / camera.fy
    np.multiply(z, x.astype(np.float32)[None, :], out=points[..., 0])
    np.multiply(z, y.astype(np.float32)[:, None], out=points[..., 1])
    points[..., 2] = z


def check_camera_fits(depth: DepthMap, camera: Camera) -> None:
    """Raise unless a camera belongs to a picture of the map's size.

    Raises:
        InputError: The sizes differ.
    """
    if depth.size_wh != camera.size_wh:
        raise InputError(
            f"depth and camera must have the same size, got {depth.width}x{depth.height} and "
            f"{camera.width}x{camera.height}; use camera.resized(), or resize the depth"
        )


def checked_stride(stride: int) -> int:
    """Return a stride as an int.

    Raises:
        InputError: It is not a whole number of at least 1.
    """
    if isinstance(stride, bool) or not isinstance(stride, int | np.integer) or stride < 1:
        raise InputError(f"stride must be a whole number of at least 1, got {stride!r}")
    return int(stride)
