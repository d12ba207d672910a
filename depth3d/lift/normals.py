"""`grid_normals`: surface normals from the gradient of inverse depth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.lift.selection import PIXELS_PER_BLOCK
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
    for rows, block in _blocks(depth, camera):
        normals[rows] = block
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
    found, start = np.empty((np.count_nonzero(keep), 3), dtype=np.float32), 0
    for rows, block in _blocks(depth, camera):
        first = -(-rows.start // stride)
        some = block[first * stride - rows.start :: stride, ::stride]
        part = some[keep[first : first + len(some)]]
        found[start : start + len(part)] = part
        start += len(part)
    found.flags.writeable = False
    return found


def _blocks(depth: DepthMap, camera: Camera) -> Iterator[tuple[slice, npt.NDArray[np.float64]]]:
    """Yield some rows, and their normals."""
    # Half as many as elsewhere: larger blocks of float64 are fetched from the system anew for each one.
    rows_per_block = max(8, PIXELS_PER_BLOCK // 2 // depth.width)
    for top in range(0, depth.height, rows_per_block):
        bottom = min(top + rows_per_block, depth.height)
        # One row more on either side feeds the differences.
        first, last = max(top - 1, 0), min(bottom + 1, depth.height)
        block = _normals_of_rows(depth, camera, slice(first, last))
        yield slice(top, bottom), block[top - first : bottom - first]


def _normals_of_rows(depth: DepthMap, camera: Camera, rows: slice) -> npt.NDArray[np.float64]:
    rays = camera.pixel_rays(rows)
    q = 1.0 / depth.values[rows].astype(np.float64)
    du, dv = _gentler_slope(q, axis=1), _gentler_slope(q, axis=0)
    x, y = rays[..., 0], rays[..., 1]
    if any(camera.distortion):
        # Chain rule through the Jacobian of the pixel-to-ray map.
        xu, yu = (_central_slope(c, 1, c0) for c, c0 in ((x, 1 / camera.fx), (y, 0.0)))
        xv, yv = (_central_slope(c, 0, c0) for c, c0 in ((x, 0.0), (y, 1 / camera.fy)))
        determinant = xu * yv - xv * yu
        qx, qy = (du * yv - dv * yu) / determinant, (dv * xu - du * xv) / determinant
    else:
        qx, qy = du * camera.fx, dv * camera.fy
    normals = np.stack([-qx, -qy, -(q - x * qx - y * qy)], axis=-1)
    # n.r = -q < 0 by construction: towards the camera.
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return normals


def _gentler_slope(q: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.float64]:
    """Slope a pixel: the mean of both one-sided differences if they agree, or else the gentler."""
    step = np.diff(q, axis=axis)
    blank = np.full_like(q[:, :1] if axis == 1 else q[:1], np.nan)
    ahead = np.concatenate([step, blank], axis=axis)
    behind = np.concatenate([blank, step], axis=axis)
    gentler = np.where(np.abs(ahead) < np.abs(behind), ahead, behind)
    gentler = np.where(np.isnan(ahead), behind, np.where(np.isnan(behind), ahead, gentler))
    # An edge shows as two slopes that differ by a good share of the value itself.
    agree = np.abs(ahead - behind) < 0.01 * q
    slope = np.where(agree, 0.5 * (ahead + behind), gentler)
    return np.where(np.isnan(slope), 0.0, slope)


def _central_slope(values: npt.NDArray[np.float64], axis: int, alone: float) -> npt.NDArray[np.float64]:
    """Derivative a pixel along an axis; `alone` where there is a single row or column."""
    if values.shape[axis] == 1:
        return np.full_like(values, alone)
    return np.asarray(np.gradient(values, axis=axis))
