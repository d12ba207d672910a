"""`mesh`: a textured surface from a photo with metric depth."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.core.mesh import Mesh
from depth3d.core.scene import RGBD
from depth3d.core.stages import stage
from depth3d.errors import InputError
from depth3d.lift.clouds import checked_range
from depth3d.lift.flying_pixels import flying_pixels
from depth3d.lift.normals import grid_normals, normals_of
from depth3d.lift.selection import PIXELS_PER_BLOCK, as_items, rows_where, selected
from depth3d.lift.silhouettes import snap_to_surfaces
from depth3d.lift.simplification import Simplifier
from depth3d.lift.triangulation import GridFaces, large_islands, triangulate
from depth3d.lift.unproject import checked_stride, unproject, unprojected

__all__ = ["Paint", "SilhouettePixels", "check_limits", "mesh"]

SilhouettePixels: TypeAlias = Literal["snap", "remove", "keep"]
"""What becomes of pixels that hang between a near and a far surface."""

Paint: TypeAlias = Literal["texture", "colors", "none"]
"""Whether the photo becomes the texture, the colours of the vertices, or nothing."""

_FACES_PER_BLOCK = 1 << 18
_ISLAND_SHARE = 1e-4
"""Share of the picture's pixels below which an island is dropped, unless told otherwise."""


@stage("mesh")
def mesh(
    scene: RGBD,
    *,
    stride: int = 1,
    depth_range_m: tuple[float, float] | None = None,
    flying: SilhouettePixels = "snap",
    flying_tolerance: float = 0.03,
    flying_width_px: int | None = None,
    noise_per_m: float = 0.0,
    edge_tolerance: float = 0.03,
    max_grazing_deg: float | None = None,
    min_island_px: int | None = None,
    max_error_px: float | None = None,
    max_faces: int | None = None,
    paint: Paint = "texture",
    normals: bool = True,
) -> Mesh:
    """Make a mesh from a photo with metric depth: a grid of triangles, cut at the edges of surfaces.

    Neighbouring pixels are joined unless the jump in inverse depth between them is explained by the
    surface on neither side, so that a floor is whole up to the horizon and nothing spans the gap between
    an object and what is behind it. Vertices are pixels in reading order, at their centres.

    Args:
        scene: The photo, its metric depth and its camera.
        stride: Take every stride-th row and column. Flying pixels are judged at full resolution, and
            the texture keeps it.
        depth_range_m: (near, far) in metres: keep vertices with near <= z <= far; far may be infinity.
        flying: What to do with pixels between two surfaces, which `flying_pixels` finds: `snap` moves them
            onto the surface nearer by, so that each edge is a clean cut; `remove` leaves gaps; `keep`
            believes them.
        flying_tolerance: Smallest jump in inverse depth between two such surfaces, as a share of it.
        flying_width_px: Widest ramp between surfaces to look for; None suits a network's map that was
            scaled up, 2 a sensor's or a rendering.
        noise_per_m: What 1/z may be off by in 1/m, which is no edge: `OpenedPhoto.noise_per_m`.
        edge_tolerance: Smallest jump in inverse depth that is cut, as a share of it, beyond what the
            surface's own slope explains.
        max_grazing_deg: Drop triangles that the camera sees at more than this angle from their normal;
            None drops none. At 85 a floor of 1.5 m below the camera ends 17 m away.
        min_island_px: Drop connected parts of fewer pixels; None is a ten-thousandth of the picture, 0
            keeps all.
        max_error_px: Merge triangles where that moves the surface by no more than this along the line of
            sight, in units of what a pixel covers there, z / f: half a pixel is a depth off by 1/2000 for
            a focal length of 1000 pixels. Walls and floors become few large triangles; None merges none.
        max_faces: Merge further until there are at most so many triangles, and beyond that, where the
            edges alone need more, take a larger stride.
        paint: `texture` keeps the photo and gives `uv`, `colors` gives each vertex the colour of its
            pixel, `none` gives neither.
        normals: Whether to give unit normals, oriented towards the camera.

    Returns:
        The mesh, in metres in the camera frame (x right, y down, z forward), without unused vertices. It
        may be empty.

    Raises:
        NeedsMetricError: The depth is relative.
        InputError: An argument is out of range.
    """
    scene.depth.require_metric("mesh()")
    step = checked_stride(stride)
    near, far = checked_range(depth_range_m)
    for name, value, allowed in (
        ("flying", flying, ("snap", "remove", "keep")),
        ("paint", paint, ("texture", "colors", "none")),
    ):
        if value not in allowed:
            raise InputError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    if not (_is_number(edge_tolerance) and 0 < edge_tolerance < 1):
        raise InputError(f"edge_tolerance must lie between 0 and 1, got {edge_tolerance!r}; try 0.03")
    if not (_is_number(noise_per_m) and 0 <= noise_per_m < math.inf):
        raise InputError(f"noise_per_m must be 0 or more in 1/m, got {noise_per_m!r}")
    if max_grazing_deg is not None and not (_is_number(max_grazing_deg) and 0 < max_grazing_deg <= 90):
        raise InputError(
            f"max_grazing_deg must lie between 0 and 90 degrees, got {max_grazing_deg!r}; try 85"
        )
    if min_island_px is None:
        min_island_px = round(_ISLAND_SHARE * scene.depth.values.size)
    if not (isinstance(min_island_px, int | np.integer) and min_island_px >= 0):
        raise InputError(f"min_island_px must be a whole number of pixels or 0, got {min_island_px!r}")
    check_limits(max_error_px, max_faces)

    depth, keep = scene.depth, scene.depth.valid
    if flying != "keep":
        adrift = flying_pixels(
            depth, tolerance=flying_tolerance, max_width_px=flying_width_px, noise_per_m=noise_per_m
        )
        if flying == "snap":
            depth = snap_to_surfaces(depth, adrift)
        else:
            keep &= ~adrift
            depth = DepthMap(np.where(adrift, np.float32(np.nan), depth.values), depth.kind)
    # Large pictures take much memory: points and normals are made of the vertices alone, in the end. Only
    # where a lens bends they are needed before, since some pixels have none.
    points = directions = None
    bends = any(scene.camera.distortion)
    if bends and normals:
        directions = grid_normals(depth, scene.camera)
        keep &= ~np.isnan(directions[..., 0])
    while True:
        if bends or max_grazing_deg is not None:
            points = unproject(depth, scene.camera, stride=step)
        z = depth.values[::step, ::step] if points is None else points[..., 2]
        within = z >= near  # NaN compares false
        if far < math.inf:
            within &= z <= far
        within &= keep[::step, ::step]
        faces = triangulate(1.0 / z, within, tolerance=edge_tolerance, noise_per_m=noise_per_m)
        del within
        if max_grazing_deg is not None and points is not None:
            faces = _only(faces, _facing(points, faces, max_grazing_deg))
        faces = _only(faces, large_islands(faces, z.shape, -(-int(min_island_px) // step**2)))
        few = _simplified(z, points if bends else None, faces, scene.camera, max_error_px, max_faces)
        if few is not None:
            break
        step *= 2

    used = np.zeros(z.shape, dtype=np.bool_)
    del faces, z, keep
    used.ravel()[few] = True
    few = _renumbered(few, used)
    if points is None:
        vertices = unprojected(depth, scene.camera, used, stride=step)
    else:
        vertices = selected(points, used)
        del points
    if directions is not None:
        directions = selected(directions[::step, ::step], used)
    elif normals:
        directions = normals_of(depth, scene.camera, used, stride=step)
    del depth
    uv, colors = None, None
    if paint == "texture":
        uv = _uv_of(used, step, scene.camera)
    elif paint == "colors":
        colors = selected(scene.image[::step, ::step], used)
    texture = scene.image if paint == "texture" else None
    return Mesh(vertices, few, uv=uv, texture=texture, colors=colors, normals=directions)


def check_limits(max_error_px: float | None, max_faces: int | None, *, least_faces: int = 2) -> None:
    """Check what limits a mesh's triangles; None is no limit.

    Raises:
        InputError: A negative error, or fewer than `least_faces` triangles.
    """
    if max_error_px is not None and not (_is_number(max_error_px) and 0 <= max_error_px < math.inf):
        raise InputError(f"max_error_px must be 0 pixels or more, got {max_error_px!r}; try 0.5")
    if max_faces is not None and not (
        isinstance(max_faces, int | np.integer)
        and not isinstance(max_faces, bool)
        and max_faces >= least_faces
    ):
        raise InputError(f"max_faces must be a whole number of at least {least_faces}, got {max_faces!r}")


def _simplified(
    z: FloatMap,
    points: FloatMap | None,
    faces: GridFaces,
    camera: Camera,
    max_error_px: float | None,
    max_faces: int | None,
) -> GridFaces | None:
    """Merge triangles as far as asked for; None where the edges alone need more than `max_faces`.

    Points are given where the lens bends.
    """
    if not len(faces) or (max_error_px is None and (max_faces is None or len(faces) <= max_faces)):
        return faces
    simplifier = Simplifier(
        1.0 / z,
        faces,
        focal_px=math.sqrt(camera.fx * camera.fy),
        rays_xy=None if points is None else points[..., :2] / z[..., None],
    )
    if max_faces is None:
        return simplifier.within(max_error_px or 0.0)
    return simplifier.at_most(max_faces, max_error_px or 0.0)


def _only(faces: GridFaces, keep: BoolMap) -> GridFaces:
    """Drop triangles, in place where most of them stay."""
    if 2 * np.count_nonzero(keep) < len(keep):
        return rows_where(faces, keep)
    count = 0
    for start in range(0, len(faces), _FACES_PER_BLOCK):
        block = slice(start, start + _FACES_PER_BLOCK)
        some = rows_where(faces[block], keep[block])
        faces[count : count + len(some)] = some
        count += len(some)
    return faces[:count]


def _renumbered(faces: GridFaces, used: BoolMap) -> GridFaces:
    """Number the pixels anew that a triangle uses: in place, and locked, so that `Mesh` need not copy it."""
    number, last = np.empty(used.size, dtype=np.int32), -1
    for start in range(0, used.size, PIXELS_PER_BLOCK):
        block = number[start : start + PIXELS_PER_BLOCK]
        np.cumsum(used.reshape(-1)[start : start + len(block)], dtype=np.int32, out=block)
        block += last
        last = int(block[-1])
    for start in range(0, len(faces), _FACES_PER_BLOCK):
        some = faces[start : start + _FACES_PER_BLOCK]
        some[:] = number[some]
    whole: npt.NDArray[Any] | None = faces
    while isinstance(whole, np.ndarray):
        whole.flags.writeable = False
        whole = whole.base
    return faces


def _uv_of(used: BoolMap, step: int, camera: Camera) -> FloatMap:
    """Give the places in the photo, 0..1, of the pixels that a triangle uses."""
    height, width = used.shape
    across = ((np.arange(width) * step + 0.5) / camera.width).astype(np.float32)
    down = ((np.arange(height) * step + 0.5) / camera.height).astype(np.float32)
    found, start = np.empty((np.count_nonzero(used), 2), dtype=np.float32), 0
    rows_per_block = max(1, PIXELS_PER_BLOCK // width)
    places = np.empty((rows_per_block, width, 2), dtype=np.float32)
    places[..., 0] = across
    for top in range(0, height, rows_per_block):
        some = used[top : top + rows_per_block]
        places[: len(some), :, 1] = down[top : top + len(some), None]
        part = as_items(places[: len(some)])[some]
        as_items(found)[start : start + len(part)] = part
        start += len(part)
    found.flags.writeable = False
    return found


def _facing(points: FloatMap, faces: GridFaces, max_grazing_deg: float) -> BoolMap:
    """Tell which triangles the camera sees at no more than an angle from their normal."""
    facing, least = np.empty(len(faces), dtype=np.bool_), math.cos(math.radians(max_grazing_deg))
    for start in range(0, len(faces), _FACES_PER_BLOCK):
        block = slice(start, start + _FACES_PER_BLOCK)
        a, b, c = (points.reshape(-1, 3)[faces[block, i]] for i in range(3))
        normal, sight = np.cross(b - a, c - a), a + b + c
        cosine = -(normal * sight).sum(axis=1)
        longest = np.linalg.norm(normal, axis=1) * np.linalg.norm(sight, axis=1)
        facing[block] = cosine >= least * longest
    return facing


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
