"""`grid_normals`: surface normals from the gradient of inverse depth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.lift.selection import PIXELS_PER_BLOCK, as_items
from depth3d.lift.unproject import PointMap, check_camera_fits

__all__ = ["grid_normals", "normals_of"]


def grid_normals(depth: DepthMap, camera: Camera) -> PointMap:
    """Find the surface normal at every pixel, oriented towards the camera.

    A plane n.X = h, seen along the ray r = (x, y, 1) at X = z r, has the inverse depth
    q = 1/z = n.r / h. So its normal is n ~ (dq/dx, dq/dy, q - x dq/dx - y dq/dy), exactly. On each side
    of the pixel a difference is taken; the gentler one counts, so that edges do not bend the normals
    beside them, and where both agree their mean.

    Args:
        depth: (H, W) metric map.
        camera: Intrinsics of that size. Lens distortion is taken into account to first order.

    Returns:
        (H, W, 3) float32 unit normals in the camera frame, each with n.X < 0. NaN where the depth is
        unknown, and where the distortion has no inverse at the pixel or a neighbour. A pixel without any
        known neighbour across or down counts as level that way.

    Raises:
        NeedsMetricError: The map is relative.
        InputError: The sizes differ.
    """
    depth.require_metric("grid_normals()")
    check_camera_fits(depth, camera)
    normals = np.empty((depth.height, depth.width, 3), dtype=np.float32)
    for rows in _blocks(depth):
        _fill(depth, camera, rows, normals[rows])
    return normals


def normals_of(depth: DepthMap, camera: Camera, keep: BoolMap, *, stride: int = 1) -> FloatMap:
    """Find the normals of some pixels: `grid_normals(...)[::stride, ::stride][keep]`, a block at a time.

    Args:
        depth: As for `grid_normals`.
        camera: As for `grid_normals`.
        keep: (ceil(H / stride), ceil(W / stride)) bool.
        stride: Take every stride-th row and column.

    Returns:
        (n, 3) float32 in reading order, locked: nobody else holds it, so that the public types need no copy.
    """
    found = np.empty((np.count_nonzero(keep), 3), dtype=np.float32)
    places, start = as_items(found), 0
    for rows in _blocks(depth):
        block = np.empty((rows.stop - rows.start, depth.width, 3), dtype=np.float32)
        _fill(depth, camera, rows, block)
        first = -(-rows.start // stride)
        some = as_items(block)[first * stride - rows.start :: stride, ::stride]
        part = some[keep[first : first + len(some)]]
        places[start : start + len(part)] = part
        start += len(part)
    found.flags.writeable = False
    return found


def _blocks(depth: DepthMap) -> Iterator[slice]:
    # Fewer pixels than elsewhere: larger blocks of float64 are fetched from the system anew for each one.
    rows = max(8, PIXELS_PER_BLOCK // 4 // depth.width)
    for top in range(0, depth.height, rows):
        yield slice(top, min(top + rows, depth.height))


def _fill(depth: DepthMap, camera: Camera, rows: slice, normals: PointMap) -> None:
    """Fill in the normals of some rows."""
    # One pixel more on each side feeds the differences; beyond the picture it is unknown.
    first, last = max(rows.start - 1, 0), min(rows.stop + 1, depth.height)
    around = np.full((rows.stop - rows.start + 2, depth.width + 2), np.nan)
    inside = around[first - rows.start + 1 : last - rows.start + 1, 1:-1]
    np.divide(1.0, depth.values[first:last], out=inside, dtype=np.float64)
    q, across, down = around[1:-1, 1:-1], np.diff(around[1:-1], axis=1), np.diff(around[:, 1:-1], axis=0)
    du = _gentler_slope(q, across[:, :-1], across[:, 1:])
    dv = _gentler_slope(q, down[:-1], down[1:])
    if any(camera.distortion):
        # Chain rule through the Jacobian of the pixel-to-ray map.
        rays, these = camera.pixel_rays(slice(first, last)), slice(rows.start - first, rows.stop - first)
        x, y = rays[..., 0], rays[..., 1]
        xu, yu = (_central_slope(c, 1, c0)[these] for c, c0 in ((x, 1 / camera.fx), (y, 0.0)))
        xv, yv = (_central_slope(c, 0, c0)[these] for c, c0 in ((x, 0.0), (y, 1 / camera.fy)))
        x, y, determinant = x[these], y[these], xu * yv - xv * yu
        qx, qy = (du * yv - dv * yu) / determinant, (dv * xu - du * xv) / determinant
    else:
        x = np.asarray(np.arange(0.5, depth.width) - camera.cx)[None, :] / camera.fx
        y = np.asarray(np.arange(rows.start + 0.5, rows.stop) - camera.cy)[:, None] / camera.fy
        qx, qy = du * camera.fx, dv * camera.fy
    # n.r = -q < 0 by construction: towards the camera.
    n = (-qx, -qy, -(q - x * qx - y * qy))
    length = np.sqrt(n[0] ** 2 + n[1] ** 2 + n[2] ** 2)
    for i in range(3):
        normals[..., i] = n[i] / length


def _gentler_slope(
    q: npt.NDArray[np.float64], behind: npt.NDArray[np.float64], ahead: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Slope a pixel: the mean of both one-sided differences if they agree, or else the gentler."""
    # Comparisons with NaN, an unknown side, are false.
    gentler = np.where((np.abs(ahead) < np.abs(behind)) | np.isnan(behind), ahead, behind)
    # An edge shows as two slopes that differ by a good share of the value itself.
    agree = np.abs(ahead - behind) < 0.01 * q
    slope = np.where(agree, 0.5 * (ahead + behind), gentler)
    return np.where(np.isnan(slope), 0.0, slope)


def _central_slope(values: npt.NDArray[np.float64], axis: int, alone: float) -> npt.NDArray[np.float64]:
    """Derivative a pixel along an axis; `alone` where there is a single row or column."""
    if values.shape[axis] == 1:
        return np.full_like(values, alone)
    return np.asarray(np.gradient(values, axis=axis))
