"""`relief`: a bas-relief from any depth map, relative or metric, ready for a printer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from depth3d.core.arrays import BoolMap, FloatMap, ImageArray, as_image
from depth3d.core.depth import DepthKind, DepthMap
from depth3d.core.mesh import Mesh
from depth3d.core.stages import stage
from depth3d.errors import InputError
from depth3d.lift.border_flares import border_flares
from depth3d.lift.debanding import smooth_levels, step_of_levels
from depth3d.lift.flying_pixels import flying_pixels
from depth3d.lift.silhouettes import snap_to_surfaces
from depth3d.lift.slabs import grid_of_cells, sampled_at_corners, slab
from depth3d.lift.solids import LEAST_BODY_FACES, MOST_FACES, check_lengths_mm

__all__ = ["relief"]

_ASPECT_TOLERANCE = 0.02
"""How much the aspects of depth and image may differ; more is another crop."""

_FARTHEST = 0.25
"""Inverse depth of the lowest level, with 1 at the highest, where edges are looked for: the nearest point
is taken to be four times as near as the farthest, as in a room."""


@stage("mesh")
def relief(
    depth: DepthMap,
    image: ImageArray | None = None,
    *,
    width_mm: float = 100.0,
    depth_mm: float = 10.0,
    base_mm: float = 2.0,
    sample_mm: float = 0.2,
    outlier_share: float = 0.001,
    flying: Literal["snap", "keep"] = "snap",
    max_error_mm: float = 0.01,
    max_faces: int | None = MOST_FACES,
) -> Mesh:
    """Make a bas-relief: a plate with the picture's outline whose height is the inverse depth.

    No metres are needed, nor a camera: a relative map, known up to scale and shift, is inverse depth enough.
    Planes and straight lines of the scene are planes and straight lines of the relief, for (x / z, y / z,
    1 / z) is a projective map of space (Hartley and Zisserman, "Multiple View Geometry", section 2.4).

    Args:
        depth: Relative map, or metric one, of which the inverse is taken. The terraces of 8-bit maps are
            smoothed within half a level, of noisy ones within a level.
        image: (H, W, 3) uint8 sRGB of the same picture at any size, to become the texture; None for no
            texture.
        width_mm: Width of the plate; its height follows from the picture's.
        depth_mm: Thickness of the plate at the nearest point, `base_mm` included.
        base_mm: Thickness at the farthest point, and where the depth is unknown, as in the sky.
        sample_mm: Distance of the samples; a nozzle of 0.4 mm draws no finer than 0.2. Never closer than
            pixels are.
        outlier_share: Share of the known pixels that may be cut off at either end of the range, lest a few
            strays flatten all the rest.
        flying: What to do with the ramps that a network's resolution leaves at silhouettes, and with its
            flares at the border: `snap` makes ramps steep and levels flares, `keep` believes them.
        max_error_mm: Merge triangles where that moves the surface by no more at a time; several merges may
            add up to twice that. 0 merges only what is flat.
        max_faces: Most triangles, beyond which more are merged; None sets no limit.

    Returns:
        The closed body in metres, without normals: x right, y down, its middle at x = y = 0, its back on
        z = 0 and the relief towards -z, where the camera is.

    Raises:
        InputError: The map has no known pixel or is a single row or column, the image has another aspect, or
            a length is out of range.
    """
    check_slab(width_mm, sample_mm, max_error_mm, max_faces, base_mm=base_mm, depth_mm=depth_mm)
    if depth_mm <= base_mm:
        raise InputError(f"depth_mm must be more than base_mm, got {depth_mm:g} and {base_mm:g}")
    if not (isinstance(outlier_share, int | float | np.number) and 0 <= outlier_share < 0.5):
        raise InputError(f"outlier_share must be 0 or more and less than 0.5, got {outlier_share!r}")
    if flying not in ("snap", "keep"):
        raise InputError(f"flying must be one of snap, keep, got {flying!r}")
    if image is not None:
        image = as_image(image)
        stretch = (image.shape[1] / image.shape[0]) / (depth.width / depth.height)
        # Small maps may be rounded to whole pixels by half a pixel a side.
        if abs(stretch - 1) > _ASPECT_TOLERANCE + 0.5 / min(depth.size_wh):
            raise InputError(
                f"image and depth must show the same picture, got {image.shape[1]}x{image.shape[0]} and "
                f"{depth.width}x{depth.height}, of another aspect; give the depth of this very picture"
            )
    cells = grid_of_cells(depth.width, depth.height, width_mm, sample_mm)
    levels, step = _levels(depth, outlier_share)
    if flying == "snap":
        levels = _snapped(levels, step, border_flares)
    heights = sampled_at_corners(levels, *cells)
    if flying == "snap":
        heights = _snapped(heights, step, flying_pixels)
    return slab(
        (base_mm + (depth_mm - base_mm) * _spread(heights)).astype(np.float32),
        width_mm,
        width_mm * depth.height / depth.width,
        image=image,
        max_error_mm=max_error_mm,
        max_faces=max_faces,
    )


def check_slab(
    width_mm: float, sample_mm: float, max_error_mm: float, max_faces: int | None, **lengths_mm: float
) -> None:
    """Check what all slabs are told.

    Raises:
        InputError: A length is not positive, the error negative, or there are too few triangles for a box.
    """
    lengths = {"width_mm": width_mm, "sample_mm": sample_mm, **lengths_mm}
    for name, value in lengths.items():
        if value is None:
            raise InputError(f"{name} must be positive millimetres, got None")
    check_lengths_mm(**lengths)
    if not (isinstance(max_error_mm, int | float | np.number) and 0 <= max_error_mm < np.inf):
        raise InputError(f"max_error_mm must be 0 mm or more, got {max_error_mm!r}; try 0.01")
    if max_faces is not None and not (
        isinstance(max_faces, int | np.integer)
        and not isinstance(max_faces, bool)
        and max_faces >= LEAST_BODY_FACES
    ):
        raise InputError(
            f"max_faces must be a whole number of at least {LEAST_BODY_FACES}, got {max_faces!r}"
        )


def _levels(depth: DepthMap, outlier_share: float) -> tuple[FloatMap, float]:
    """Bring the inverse depth to 0 (farthest) .. 1 (nearest); NaN stays.

    Returns:
        The map, and the spacing of an 8-bit map's levels in it, or 0.
    """
    smooth = smooth_levels(depth)
    disparity = 1.0 / smooth.values if depth.is_metric else smooth.values
    known = disparity[depth.valid]
    if not known.size:
        raise InputError("the map has no known pixel, so there is nothing to raise; give a depth with values")
    low, high = (float(x) for x in np.quantile(known, [outlier_share, 1 - outlier_share]))
    if high <= low:  # a flat scene, or few pixels on a flat one
        low, high = float(known.min()), float(known.max())
    if high <= low:
        return np.where(depth.valid, np.float32(1), np.float32(np.nan)), 0.0
    levels = np.clip((disparity - np.float32(low)) / np.float32(high - low), 0, 1)
    return levels.astype(np.float32), (step_of_levels(depth) or 0.0) / (high - low)


def _spread(heights: FloatMap) -> FloatMap:
    """Let the samples, which may miss the extremes of the pixels, reach from 0 to 1; the unknown is 0."""
    known = heights[~np.isnan(heights)]
    if known.size and known.max() > known.min():
        heights = (heights - known.min()) / np.float32(known.max() - known.min())
    return np.nan_to_num(heights, nan=0.0)


def _snapped(heights: FloatMap, step: float, adrift: Callable[..., BoolMap]) -> FloatMap:
    """Put what is adrift onto the surfaces beside it, as if the heights were inverse depths of a room."""
    span = 1 - _FARTHEST
    as_depth = DepthMap(1.0 / (_FARTHEST + span * heights), DepthKind.METRIC)
    snapped = snap_to_surfaces(as_depth, adrift(as_depth, noise_per_m=span * step))
    return np.clip((1.0 / snapped.values - _FARTHEST) / span, 0, 1).astype(np.float32)
