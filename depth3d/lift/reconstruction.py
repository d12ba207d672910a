"""`reconstruct`: a surface through the points of a cloud, by Poisson's equation or by a rolling ball."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatArray, ImageArray, as_array
from depth3d.core.cloud import PointCloud
from depth3d.core.color import to_linear, to_srgb
from depth3d.core.mesh import Mesh
from depth3d.errors import InputError

__all__ = ["RECONSTRUCTIONS", "Reconstruction", "reconstruct"]

Reconstruction: TypeAlias = Literal["poisson", "ball-pivoting"]
"""How a surface is found: a smooth one near all points, or triangles between the points themselves."""

RECONSTRUCTIONS: tuple[Reconstruction, ...] = ("poisson", "ball-pivoting")

_FEWEST_POINTS = 10
_SHALLOWEST, _DEEPEST = 5, 12
_CUBE = 1.1
"""Side of Poisson's cube, as a multiple of the cloud's extent: Open3D's own."""
_NEIGHBORS = 8
_NEIGHBORS_OF_NORMALS = 16
_BALL_SPACINGS = (1.0, 2.0, 4.0)
_THINNEST = 1e-6


def reconstruct(
    cloud: PointCloud,
    *,
    method: Reconstruction = "poisson",
    octree_depth: int | None = None,
    max_gap_m: float | None = None,
    density_quantile: float = 0.0,
    radii_m: Sequence[float] | None = None,
    viewpoint: npt.ArrayLike = (0.0, 0.0, 0.0),
) -> Mesh:
    """Make a mesh from a point cloud that came without one, such as several clouds put together.

    `poisson` finds the smooth surface whose gradient agrees best with the normals (Kazhdan and Hoppe,
    "Screened Poisson surface reconstruction", TOG 2013). It averages noise out, and it is closed by nature:
    where there are no points it swells like a balloon. So what lies farther from the cloud than the points
    there lie from each other is cut away. `ball-pivoting` rolls a ball over the points and puts a triangle
    wherever it rests on three (Bernardini et al., TVCG 1999): it invents nothing, keeps the noise, and has
    holes where points are sparse. Both are Open3D's, on one thread, so that the same cloud gives the same
    mesh. A single photo is better meshed by `mesh`, which knows its neighbours and cuts at its edges.

    Args:
        cloud: Ten points or more. Where it has no normals, they are those of the plane through the 16 nearest
            points, turned to `viewpoint`: of a sensor's noisy depth these serve better than each pixel's own.
        method: `poisson` or `ball-pivoting`.
        octree_depth: For poisson, 5 to 12: its finest cells are the cloud's extent / 2^depth. None makes
            them as large as the median distance between neighbours.
        max_gap_m: For poisson: how far from the nearest point the surface may be. None is the distance from
            that point to its eighth neighbour, or two cells where they are larger. Infinity cuts nothing.
        density_quantile: For poisson: cut away this share of the surface, where points are sparsest. It cuts
            sound surfaces too.
        radii_m: For ball-pivoting: radii of the balls, in metres. None is 1, 2 and 4 times the median
            distance between neighbours.
        viewpoint: (3,) metres: where the points were seen from. The camera's frame has it at the origin.

    Returns:
        The mesh in the cloud's frame, with unit normals, the front where the cloud's normals point, and with
        colours (the mean of the nearest points, in linear light) if the cloud has them. It may be empty.

    Raises:
        InputError: Too few points, points on one line, or an argument out of range or for another method.
    """
    if method not in RECONSTRUCTIONS:
        raise InputError(f"method must be one of {', '.join(RECONSTRUCTIONS)}, got {method!r}")
    _check_options(method, octree_depth, max_gap_m, density_quantile, radii_m)
    eye = as_array(viewpoint, name="viewpoint")
    if eye.shape != (3,) or eye.dtype.kind not in "iuf" or not np.isfinite(eye).all():
        raise InputError(f"viewpoint must be three finite metres, got {viewpoint!r}")
    cloud = _distinct(cloud)
    _check_extent(cloud)

    import open3d as o3d
    from scipy.spatial import cKDTree

    tree = cKDTree(cloud.points)
    to_neighbors, _ = tree.query(cloud.points, k=min(_NEIGHBORS + 1, len(cloud)))
    spacing_m = float(np.median(to_neighbors[:, 1]))
    points = _oriented(cloud, np.asarray(eye, dtype=np.float64), o3d)
    with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
        if method == "ball-pivoting":
            radii = [factor * spacing_m for factor in _BALL_SPACINGS] if radii_m is None else radii_m
            found = o3d.geometry.TriangleMesh.create_from_point_cloud_ball_pivoting(
                points, o3d.utility.DoubleVector([float(radius) for radius in radii])
            )
            keep = np.ones(len(found.vertices), dtype=np.bool_)
        else:
            side_m = _CUBE * float(np.ptp(cloud.points, axis=0).max())
            if octree_depth is None:
                octree_depth = int(np.clip(round(math.log2(side_m / spacing_m)), _SHALLOWEST, _DEEPEST))
            with _silent_stderr():
                found, density = o3d.geometry.TriangleMesh.create_from_point_cloud_poisson(
                    points, depth=int(octree_depth), scale=_CUBE, n_threads=1
                )
            away, nearest = tree.query(np.asarray(found.vertices))
            gaps = max_gap_m
            if gaps is None:
                gaps = np.maximum(to_neighbors[nearest, -1], 2 * side_m / 2**octree_depth)
            keep = (away <= gaps) & (np.asarray(density) >= np.quantile(density, density_quantile))
    faces = np.asarray(found.triangles)
    found.triangles = o3d.utility.Vector3iVector(faces[keep[faces].all(axis=1)])
    found.remove_degenerate_triangles()
    found.remove_unreferenced_vertices()
    found.compute_vertex_normals()
    vertices = np.asarray(found.vertices)
    return Mesh(
        vertices.astype(np.float32),
        np.asarray(found.triangles, dtype=np.int32).reshape(-1, 3),
        colors=None if cloud.colors is None else _blended(cloud.colors, tree, vertices),
        normals=np.asarray(found.vertex_normals, dtype=np.float32).reshape(-1, 3),
    )


def _check_options(
    method: Reconstruction,
    octree_depth: int | None,
    max_gap_m: float | None,
    density_quantile: float,
    radii_m: Sequence[float] | None,
) -> None:
    if method == "poisson" and radii_m is not None:
        raise InputError("radii_m belong to the ball; leave them out, or use method='ball-pivoting'")
    if method != "poisson" and (octree_depth is not None or max_gap_m is not None or density_quantile):
        raise InputError(
            "octree_depth, max_gap_m and density_quantile belong to Poisson's method; leave them out, or use "
            "method='poisson'"
        )
    if octree_depth is not None and not (
        isinstance(octree_depth, int | np.integer) and _SHALLOWEST <= octree_depth <= _DEEPEST
    ):
        raise InputError(
            f"octree_depth must be a whole number within {_SHALLOWEST}..{_DEEPEST}, got {octree_depth!r}"
        )
    if max_gap_m is not None and not (_is_number(max_gap_m) and max_gap_m > 0):
        raise InputError(f"max_gap_m must be positive metres, got {max_gap_m!r}")
    if not (_is_number(density_quantile) and 0 <= density_quantile < 1):
        raise InputError(f"density_quantile must lie within 0..1, got {density_quantile!r}; try 0.02")
    if radii_m is not None and not (
        len(radii_m) and all(_is_number(radius) and 0 < radius < math.inf for radius in radii_m)
    ):
        raise InputError(f"radii_m must be positive metres, got {radii_m!r}")


def _distinct(cloud: PointCloud) -> PointCloud:
    """Drop points that repeat an earlier one, which would make neighbours 0 m apart."""
    _, first = np.unique(cloud.points, axis=0, return_index=True)
    return cloud if len(first) == len(cloud) else cloud[np.sort(first)]


def _check_extent(cloud: PointCloud) -> None:
    if len(cloud) < _FEWEST_POINTS:
        raise InputError(
            f"a surface needs at least {_FEWEST_POINTS} different points, got {len(cloud)}; give a denser one"
        )
    centred = cloud.points.astype(np.float64) - cloud.points.mean(axis=0, dtype=np.float64)
    extents = np.sqrt(np.maximum(np.linalg.eigvalsh(centred.T @ centred), 0))
    if not extents[1] > _THINNEST * extents[2]:
        raise InputError("all points lie on one line, through which there is no surface; give another cloud")


def _oriented(cloud: PointCloud, viewpoint: FloatArray, o3d: Any) -> Any:
    """Copy a cloud into Open3D, with normals."""
    points = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(cloud.points.astype(np.float64)))
    if cloud.normals is not None:
        points.normals = o3d.utility.Vector3dVector(cloud.normals.astype(np.float64))
    else:
        points.estimate_normals(o3d.geometry.KDTreeSearchParamKNN(_NEIGHBORS_OF_NORMALS))
        points.orient_normals_towards_camera_location(viewpoint)
    return points


def _blended(colors: ImageArray, tree: Any, vertices: npt.NDArray[np.float64]) -> ImageArray:
    """Give each vertex the mean colour of the four nearest points, weighted by 1 / distance^2."""
    if not len(vertices):
        return np.empty((0, 3), dtype=np.uint8)
    away, nearest = tree.query(vertices, k=4)
    weights = 1.0 / np.maximum(away, 1e-9) ** 2
    weights /= weights.sum(axis=1, keepdims=True)
    return to_srgb(np.einsum("nk,nkc->nc", weights, to_linear(colors)[nearest]))


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Send the process's stderr nowhere: Kazhdan's code writes remarks to it, past Open3D's verbosity."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
