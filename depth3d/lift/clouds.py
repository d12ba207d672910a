"""`point_cloud`: a coloured cloud from a photo with metric depth."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import numpy as np

from depth3d.core.arrays import BoolMap, FloatMap, ImageArray
from depth3d.core.cloud import PointCloud
from depth3d.core.color import to_linear, to_srgb
from depth3d.core.scene import RGBD
from depth3d.core.stages import stage
from depth3d.errors import InputError
from depth3d.lift.flying_pixels import flying_pixels
from depth3d.lift.normals import grid_normals, normals_of
from depth3d.lift.selection import selected
from depth3d.lift.unproject import checked_stride, unproject, unprojected

__all__ = ["FlyingPixels", "point_cloud", "remove_outliers", "voxel_downsample"]

FlyingPixels: TypeAlias = Literal["remove", "keep"]
"""What becomes of pixels that hang between a near and a far surface."""


@stage("point cloud")
def point_cloud(
    scene: RGBD,
    *,
    stride: int = 1,
    voxel_m: float | None = None,
    depth_range_m: tuple[float, float] | None = None,
    flying: FlyingPixels = "remove",
    flying_tolerance: float = 0.03,
    flying_width_px: int | None = None,
    noise_per_m: float = 0.0,
    normals: bool = False,
    outlier_neighbors: int | None = None,
    outlier_std: float = 2.0,
) -> PointCloud:
    """Make a coloured point cloud from a photo with metric depth.

    Pixels become points in reading order, each with the colour of its pixel. Then, where asked for,
    outliers go, and what is left is merged in voxels.

    Args:
        scene: The photo, its metric depth and its camera.
        stride: Take every stride-th row and column. Flying pixels are judged at full resolution, so
            a stride only thins the cloud out.
        voxel_m: Side in metres of the cubes in which points are merged into their mean; None merges
            nothing.
        depth_range_m: (near, far) in metres: keep points with near <= z <= far; far may be infinity.
        flying: `remove` drops pixels that `flying_pixels` finds, `keep` leaves them in.
        flying_tolerance: Smallest jump in inverse depth that counts as an edge, as a share of it.
        flying_width_px: Widest ramp between surfaces to look for; None suits a network's map that was
            scaled up, 2 a sensor's or a rendering.
        noise_per_m: What 1/z may be off by in 1/m, which is no edge: `OpenedPhoto.noise_per_m`.
        normals: Whether to give unit normals, oriented towards the camera.
        outlier_neighbors: Remove points whose mean distance to so many neighbours is unusual; None
            removes none.
        outlier_std: How many standard deviations above the mean are unusual.

    Returns:
        The cloud, in metres in the camera frame (x right, y down, z forward). It may be empty.

    Raises:
        NeedsMetricError: The depth is relative.
        InputError: An argument is out of range.
    """
    scene.depth.require_metric("point_cloud()")
    step = checked_stride(stride)
    if flying not in ("remove", "keep"):
        raise InputError(f"flying must be 'remove' or 'keep', got {flying!r}")
    if voxel_m is not None:
        _check_positive("voxel_m", voxel_m, "metres")
    _check_positive("outlier_std", outlier_std, "standard deviations")
    if outlier_neighbors is not None:
        _check_outliers(outlier_neighbors, outlier_std)
    near, far = checked_range(depth_range_m)

    adrift: BoolMap | None = None
    if flying == "remove":
        adrift = flying_pixels(
            scene.depth,
            tolerance=flying_tolerance,
            max_width_px=flying_width_px,
            noise_per_m=noise_per_m,
        )[::step, ::step]
    z = scene.depth.values[::step, ::step]
    keep: BoolMap = z >= near  # NaN compares false
    if far < math.inf:
        keep &= z <= far
    if adrift is not None:
        np.greater(keep, adrift, out=keep)  # and not adrift
    del adrift
    directions: FloatMap | None = None
    if any(scene.camera.distortion):
        # Where the lens has no inverse there is no point.
        points = unproject(scene.depth, scene.camera, stride=step)
        keep &= ~np.isnan(points[..., 2])
        if normals:
            directions = grid_normals(scene.depth, scene.camera)[::step, ::step]
            keep &= ~np.isnan(directions[..., 0])
            directions = selected(directions, keep)
        chosen = selected(points, keep)
        del points
    else:
        # Large pictures take much memory: only those that stay are made.
        chosen = unprojected(scene.depth, scene.camera, keep, stride=step)
        if normals:
            directions = normals_of(scene.depth, scene.camera, keep, stride=step)
    cloud = PointCloud(chosen, selected(scene.image[::step, ::step], keep), directions)
    if outlier_neighbors is not None:
        cloud = remove_outliers(cloud, neighbors=outlier_neighbors, std=outlier_std)
    if voxel_m is not None:
        cloud = voxel_downsample(cloud, voxel_m)
    return cloud


def remove_outliers(cloud: PointCloud, *, neighbors: int, std: float = 2.0) -> PointCloud:
    """Remove points that are unusually far from their neighbours (Open3D's statistical test).

    Rusu et al., "Towards 3D point cloud based object maps", 2008: a point goes if its mean distance to
    its neighbours exceeds the mean over all points by more than `std` standard deviations.

    Args:
        cloud: The cloud.
        neighbors: How many nearest points to look at, 1 or more.
        std: Standard deviations above the mean that are still usual; smaller removes more.

    Returns:
        The points that stay, in their order, colours and normals with them.

    Raises:
        InputError: `neighbors` or `std` is not positive.
    """
    _check_outliers(neighbors, std)
    if len(cloud) < 2:
        return cloud
    # Open3D counts the point itself as its first neighbour.
    _, kept = _open3d_cloud(cloud).remove_statistical_outlier(min(neighbors + 1, len(cloud)), std)
    if not kept:  # It also drops what lies right at the limit: here, points that are all equally far.
        return cloud
    return cloud[np.asarray(kept, dtype=np.intp)]


def voxel_downsample(cloud: PointCloud, voxel_m: float) -> PointCloud:
    """Merge the points of every cube of a grid into one point (Open3D's voxel grid).

    Args:
        cloud: The cloud.
        voxel_m: Side of a cube in metres.

    Returns:
        One point a cube: the means of position, colour (in linear light) and normal (unit length again).

    Raises:
        InputError: `voxel_m` is not positive, or too small for a grid over this cloud.
    """
    _check_positive("voxel_m", voxel_m, "metres")
    if not len(cloud):
        return cloud
    extent = float(np.ptp(cloud.points, axis=0).max())
    if extent / voxel_m >= 2**31 - 2:  # Open3D numbers the cubes in 32 bits
        raise InputError(
            f"voxel_m={voxel_m:g} is too small for a cloud {extent:.3g} m across; give a larger one"
        )
    merged = _open3d_cloud(cloud).voxel_down_sample(voxel_m)
    colors: ImageArray | None = None
    if cloud.colors is not None:
        colors = to_srgb(np.asarray(merged.colors))
    directions: FloatMap | None = None
    if cloud.normals is not None:
        mean = np.asarray(merged.normals)
        length = np.linalg.norm(mean, axis=1, keepdims=True)
        # Opposite normals cancel out: such a cube faces the camera, as every normal here does.
        facing = -np.asarray(merged.points)
        facing = facing / np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-12)
        directions = np.where(length > 1e-6, mean / np.maximum(length, 1e-6), facing).astype(np.float32)
    return PointCloud(np.asarray(merged.points, dtype=np.float32), colors, directions)


def _open3d_cloud(cloud: PointCloud) -> Any:
    """Copy a cloud into Open3D, its colours in linear light. The import costs a second."""
    import open3d as o3d

    copy = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(cloud.points.astype(np.float64)))
    if cloud.colors is not None:
        copy.colors = o3d.utility.Vector3dVector(to_linear(cloud.colors).astype(np.float64))
    if cloud.normals is not None:
        copy.normals = o3d.utility.Vector3dVector(cloud.normals.astype(np.float64))
    return copy


def checked_range(depth_range_m: tuple[float, float] | None) -> tuple[float, float]:
    """Return a range of z as (near, far) in metres; None is everything.

    Raises:
        InputError: It is not 0 <= near < far.
    """
    if depth_range_m is None:
        return 0.0, math.inf
    try:
        near, far = (float(edge) for edge in depth_range_m)
    except (TypeError, ValueError):
        raise InputError(f"depth_range_m must be (near, far) in metres, got {depth_range_m!r}") from None
    if not 0 <= near < far:
        raise InputError(f"depth_range_m must be 0 <= near < far in metres, got {depth_range_m!r}")
    return near, far


def _check_positive(name: str, value: float, unit: str) -> None:
    if not (isinstance(value, int | float | np.number) and 0 < value < math.inf):
        raise InputError(f"{name} must be positive {unit}, got {value!r}")


def _check_outliers(neighbors: int, std: float) -> None:
    _check_positive("outlier_std", std, "standard deviations")
    if not isinstance(neighbors, int | np.integer) or neighbors < 1:
        raise InputError(f"outlier_neighbors must be a whole number of at least 1, got {neighbors!r}")
