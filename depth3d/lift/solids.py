"""`solid`: a closed body from a photo with metric depth, for a printer."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.core.depth import DepthMap
from depth3d.core.mesh import Mesh
from depth3d.core.scene import RGBD
from depth3d.core.stages import stage
from depth3d.errors import InputError
from depth3d.lift.bodies import BodyFaces, body_faces, sound_squares
from depth3d.lift.clouds import checked_range
from depth3d.lift.flying_pixels import flying_pixels
from depth3d.lift.meshes import Paint, check_limits
from depth3d.lift.silhouettes import snap_to_surfaces
from depth3d.lift.unproject import PointMap, checked_stride, unproject

__all__ = ["LEAST_BODY_FACES", "MOST_FACES", "check_lengths_mm", "solid"]

MOST_FACES = 1_000_000
"""Triangles of a body for printing unless told otherwise: 50 MB of STL, which slicers still take."""

LEAST_BODY_FACES = 12
"""Those of a box."""

_ISLAND_SHARE = 1e-4
"""Share of the picture's pixels below which a part or a hole is no more, unless told otherwise."""

_MOST_ROUNDS = 200

_Extent = tuple[float, float]


@stage("mesh")
def solid(
    scene: RGBD,
    *,
    width_mm: float | None = None,
    depth_mm: float | None = None,
    base_mm: float = 2.0,
    stride: int = 1,
    depth_range_m: tuple[float, float] | None = None,
    flying: Literal["snap", "keep"] = "snap",
    flying_tolerance: float = 0.03,
    flying_width_px: int | None = None,
    noise_per_m: float = 0.0,
    min_island_px: int | None = None,
    max_error_px: float | None = None,
    max_faces: int | None = MOST_FACES,
    paint: Paint = "texture",
) -> Mesh:
    """Make a closed body from a photo with metric depth: what is seen in front, a flat back, and walls.

    The front joins all neighbouring pixels, so that an object hangs together with what is behind it by a
    steep wall. From the outline the sides run along the lines of sight to the back, which lies behind the
    farthest point: the body is what the camera sees and all that this hides. It never meets itself, since
    every line of sight enters it once. Its edges have two triangles each and keep them when a reader joins
    vertices by place. The sides flare the more, the farther the scene reaches against where it begins: keep
    to the subject with `depth_range_m`, or make a plate with straight sides with `relief`.

    Where the depth is unknown or out of range nothing is known to be, and the body has a hole through it;
    holes and parts of fewer than `min_island_px` pixels are filled and dropped. (A relief is whole, with the
    unknown at its lowest level.)

    Args:
        scene: The photo, its metric depth and its camera.
        width_mm: Scale the body to this width in millimetres.
        depth_mm: Scale the body to this size from front to back, `base_mm` included. With `width_mm` only
            z is scaled to it, which flattens or deepens the scene; alone it scales all axes. With neither
            the body is as large as the scene.
        base_mm: Thickness that is left behind the farthest point.
        stride: Take every stride-th row and column.
        depth_range_m: (near, far) in metres: keep near <= z <= far; far may be infinity. The body reaches
            to the farthest point, so cut off a far background.
        flying: What to do with pixels between two surfaces, which `flying_pixels` finds: `snap` moves them
            onto the surface nearer by, which makes silhouettes steep; `keep` believes them.
        flying_tolerance: As for `mesh`.
        flying_width_px: As for `mesh`.
        noise_per_m: As for `mesh`.
        min_island_px: Drop parts and fill holes of fewer pixels; None is a ten-thousandth of the picture, 0
            drops and fills none.
        max_error_px: Merge triangles of the front as `mesh` does.
        max_faces: Most triangles of the body: merge the front's further, and beyond that, where the outline
            alone needs more, take a larger stride. None sets no limit.
        paint: As for `mesh`. The sides take the colours of the outline, and the back shows the photo from
            behind.

    Returns:
        The body in metres, in the camera's directions (x right, y down, z forward), its middle at x = y = 0
        and its back on z = 0, without normals.

    Raises:
        NeedsMetricError: The depth is relative.
        InputError: An argument is out of range, no square of four neighbouring pixels is left, or
            `max_faces` is too few for the outline at any stride.
    """
    scene.depth.require_metric("solid()")
    step = checked_stride(stride)
    near, far = checked_range(depth_range_m)
    for name, value, allowed in (
        ("flying", flying, ("snap", "keep")),
        ("paint", paint, ("texture", "colors", "none")),
    ):
        if value not in allowed:
            raise InputError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    check_lengths_mm(base_mm=base_mm, width_mm=width_mm, depth_mm=depth_mm)
    if depth_mm is not None and depth_mm <= base_mm:
        raise InputError(f"depth_mm must be more than base_mm, got {depth_mm:g} and {base_mm:g}")
    check_limits(max_error_px, max_faces, least_faces=LEAST_BODY_FACES)
    if min_island_px is None:
        min_island_px = round(_ISLAND_SHARE * scene.depth.values.size)
    if not (isinstance(min_island_px, int | np.integer) and min_island_px >= 0):
        raise InputError(f"min_island_px must be a whole number of pixels or 0, got {min_island_px!r}")

    depth = scene.depth
    if flying == "snap":
        adrift = flying_pixels(
            depth, tolerance=flying_tolerance, max_width_px=flying_width_px, noise_per_m=noise_per_m
        )
        depth = snap_to_surfaces(depth, adrift)
    depth = _without_small_holes(depth, int(min_island_px))
    while True:
        points = unproject(depth, scene.camera, stride=step)
        z = points[..., 2]
        keep = (z >= near) & (z <= far)  # NaN compares false
        squares = sound_squares(keep, -(-int(min_island_px) // step**2))
        if not squares.any():
            raise InputError(
                f"no body is left of {scene.depth!r}: it needs squares of four neighbouring known pixels"
                + (f" at a stride of {step}" if step > 1 else "")
                + "; widen depth_range_m, lower min_island_px, or allow more max_faces"
            )
        faces = body_faces(
            np.where(keep, 1.0 / z, np.float32(np.nan)),
            squares,
            focal_px=math.sqrt(scene.camera.fx * scene.camera.fy),
            relative=True,
            rays_xy=points[..., :2] / z[..., None] if any(scene.camera.distortion) else None,
            max_error_px=max_error_px,
            max_faces=max_faces,
        )
        if faces is not None:
            sizes = (width_mm, depth_mm, base_mm)
            return _body(scene, step, points, faces, sizes, paint)
        step *= 2


def check_lengths_mm(**lengths_mm: float | None) -> None:
    """Check that lengths are positive; None is none given.

    Raises:
        InputError: One is not.
    """
    for name, value in lengths_mm.items():
        if value is not None and not (
            isinstance(value, int | float | np.number)
            and not isinstance(value, bool)
            and 0 < value < math.inf
        ):
            raise InputError(f"{name} must be positive millimetres, got {value!r}")


def _without_small_holes(depth: DepthMap, least_px: int) -> DepthMap:
    """Give the pixels of holes smaller than so many pixels the depth of their nearest known neighbour."""
    unknown = ~depth.valid
    if least_px < 2 or not unknown.any() or unknown.all():
        return depth
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats(unknown.view(np.uint8), connectivity=8)
    small: BoolMap = unknown & (stats[:, cv2.CC_STAT_AREA] < least_px)[labels]
    if not small.any():
        return depth
    _, nearest = cv2.distanceTransformWithLabels(
        unknown.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    known = np.zeros(int(nearest.max()) + 1, dtype=np.float32)
    known[nearest[~unknown]] = depth.values[~unknown]
    return DepthMap(np.where(small, known[nearest], depth.values), depth.kind)


def _body(
    scene: RGBD,
    step: int,
    points: PointMap,
    faces: BodyFaces,
    sizes: tuple[float | None, float | None, float],
    paint: Paint,
) -> Mesh:
    """Place the vertices of front and back, scale them, and paint them."""
    numbered, fronts, backs = faces.numbered()
    at = points.reshape(-1, 3)
    front = at[fronts].astype(np.float64)
    rays = at[backs].astype(np.float64)
    rays /= rays[:, 2:]
    z_back, scale_xy, scale_z = _scales(front, rays, *sizes)
    vertices = np.concatenate([front, rays * z_back])
    middle = (vertices[:, :2].min(axis=0) + vertices[:, :2].max(axis=0)) / 2
    vertices -= [*middle, z_back]
    vertices *= [scale_xy, scale_xy, scale_z]

    rows, cols = np.divmod(np.concatenate([fronts, backs]), points.shape[1])
    rows, cols = rows * step, cols * step
    uv: FloatMap | None = None
    if paint == "texture":
        size = (scene.camera.width, scene.camera.height)
        uv = ((np.stack([cols, rows], axis=1) + 0.5) / size).astype(np.float32)
    return Mesh(
        vertices.astype(np.float32),
        numbered,
        uv=uv,
        texture=scene.image if paint == "texture" else None,
        colors=scene.image[rows, cols] if paint == "colors" else None,
    )


def _scales(
    front: npt.NDArray[np.float64],
    rays: npt.NDArray[np.float64],
    width_mm: float | None,
    depth_mm: float | None,
    base_mm: float,
) -> tuple[float, float, float]:
    """Find how far back the back lies in metres, and by what x and y, and z, are scaled.

    The sides flare along the rays, so that the body is the wider the farther its back is, and how far that
    is for a base of some millimetres depends on the scale.
    """
    z_near, z_far = float(front[:, 2].min()), float(front[:, 2].max())
    lowest, highest = float(front[:, 0].min()), float(front[:, 0].max())
    left, right = float(rays[:, 0].min()), float(rays[:, 0].max())

    def width_at(z_back: float) -> float:
        return max(highest, right * z_back) - min(lowest, left * z_back)

    base_m, range_m = base_mm / 1000, z_far - z_near
    if depth_mm is not None:
        if range_m <= 1e-6 * z_far:
            raise InputError(
                f"all of the surface is {z_far:g} m away, so nothing can be stretched to depth_mm="
                f"{depth_mm:g}; leave it out, and set the thickness with base_mm"
            )
        scale_z = (depth_mm / 1000 - base_m) / range_m
        z_back = z_far + base_m / scale_z
        scale = scale_z if width_mm is None else width_mm / 1000 / width_at(z_back)
        return z_back, scale, scale_z
    if width_mm is None:
        return z_far + base_m, 1.0, 1.0
    z_back = z_far
    for _ in range(_MOST_ROUNDS):
        wanted = z_far + base_m * width_at(z_back) / (width_mm / 1000)
        if abs(wanted - z_back) <= 1e-12 * wanted:
            break
        z_back = wanted
    else:
        raise InputError(
            f"a base of {base_mm:g} mm is too thick for a body {width_mm:g} mm wide, whose sides flare; "
            "lower base_mm"
        )
    scale = width_mm / 1000 / width_at(z_back)
    return z_back, scale, scale
