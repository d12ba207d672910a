"""Pictures of meshes without a window: points sampled on their triangles, drawn as a cloud is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import ImageArray
from depth3d.core.camera import Camera
from depth3d.core.cloud import PointCloud
from depth3d.core.mesh import Mesh
from depth3d.core.stages import stage
from depth3d.core.texture import texture_colors
from depth3d.errors import InputError
from depth3d.lift.point_views import contact_sheet

__all__ = ["mesh_sheet", "sample_surface"]

_POINTS_A_PIXEL = 5
_DARK, _BRIGHT = 50, 215
"""Gray of bare surfaces seen edge-on and head-on."""


@stage("preview")
def mesh_sheet(
    mesh: Mesh, camera: Camera | None = None, *, width_px: int = 480, height_px: int = 400
) -> ImageArray:
    """Draw a mesh three times side by side: as photographed, from the side, and from above.

    Args:
        mesh: In the camera frame. Without texture and colours it is gray, darker where it turns away
            from the camera.
        camera: The photo's intrinsics; None frames the mesh from the origin.
        width_px: Width of one view.
        height_px: Height of the sheet.

    Returns:
        (height_px, 3 * width_px, 3) uint8 sRGB; blank for a mesh without triangles.

    Raises:
        InputError: A size that is not positive.
    """
    count = max(1, _POINTS_A_PIXEL * width_px * height_px)
    # The photo's own view needs points evenly over the picture, the others evenly over the surface.
    parts = [
        _points_on(mesh, weights, count, np.random.default_rng(seed))
        for seed, weights in enumerate((_areas(mesh), _areas_in_picture(mesh)))
    ]
    cloud = PointCloud(
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.colors for part in parts if part.colors is not None]),
    )
    return contact_sheet(cloud, camera, width_px=width_px, height_px=height_px)


def sample_surface(mesh: Mesh, count: int, *, seed: int = 0) -> PointCloud:
    """Draw points at random on the triangles, evenly by area: each gets its share to within two points.

    Args:
        mesh: The mesh; without triangles of positive area there are no points.
        count: How many points.
        seed: Of the random numbers; the same seed draws the same points.

    Returns:
        `count` points with the colours of the texture or of the nearest corner, or gray shades.
        Source: Turk, "Generating random points in triangles", Graphics Gems, 1990.

    Raises:
        InputError: A count below 1.
    """
    if not isinstance(count, int | np.integer) or count < 1:
        raise InputError(f"count must be a whole number of at least 1, got {count!r}")
    return _points_on(mesh, _areas(mesh), count, np.random.default_rng(seed))


def _points_on(
    mesh: Mesh, weights: npt.NDArray[np.float64], count: int, draw: np.random.Generator
) -> PointCloud:
    total = np.cumsum(weights)
    if not len(total) or not total[-1] > 0:
        return PointCloud(np.empty((0, 3), np.float32), np.empty((0, 3), np.uint8))
    # One in each of `count` equal parts: independent draws would leave gaps here and crowds there.
    places = (np.arange(count) + draw.random(count)) / count
    chosen = np.searchsorted(total, places * total[-1], side="right")
    chosen = np.minimum(chosen, len(total) - 1)  # where rounding gave the very end
    corners = mesh.faces[chosen]
    root, share = np.sqrt(draw.random(count)), draw.random(count)
    weight = np.stack([1 - root, root * (1 - share), root * share], axis=1)
    points = np.einsum("nc,nck->nk", weight, mesh.vertices[corners])
    if mesh.texture is not None and mesh.uv is not None:
        colors = texture_colors(mesh.texture, np.einsum("nc,nck->nk", weight, mesh.uv[corners]))
    elif mesh.colors is not None:
        colors = mesh.colors[corners[np.arange(count), weight.argmax(axis=1)]]
    else:
        colors = _shades(mesh)[chosen]
    return PointCloud(points.astype(np.float32), colors)


def _normals_by_area(mesh: Mesh) -> npt.NDArray[np.float64]:
    a, b, c = mesh.vertices[mesh.faces].astype(np.float64).transpose(1, 0, 2)
    return np.asarray(np.cross(b - a, c - a) / 2)


def _areas(mesh: Mesh) -> npt.NDArray[np.float64]:
    return np.asarray(np.linalg.norm(_normals_by_area(mesh), axis=1))


def _areas_in_picture(mesh: Mesh) -> npt.NDArray[np.float64]:
    """Twice the triangles' areas in the plane z = 1: det(a, b, c) of the corners, each divided by its z."""
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    corners /= np.maximum(np.abs(corners[..., 2:]), 1e-9)
    a, b, c = corners.transpose(1, 0, 2)
    return np.asarray(np.abs(np.einsum("fk,fk->f", a, np.cross(b, c))))


def _shades(mesh: Mesh) -> ImageArray:
    """Gray by how squarely each triangle faces the eye at the origin."""
    normals, towards = _normals_by_area(mesh), mesh.vertices[mesh.faces].mean(axis=1)
    lengths = np.linalg.norm(normals, axis=1) * np.linalg.norm(towards, axis=1)
    squareness = np.abs(np.einsum("nk,nk->n", normals, towards)) / np.maximum(lengths, 1e-30)
    gray = np.rint(_DARK + (_BRIGHT - _DARK) * np.clip(squareness, 0, 1)).astype(np.uint8)
    return np.repeat(gray[:, None], 3, axis=1)
