"""`snap_to_surfaces`: put pixels that hang between two surfaces onto the nearer one in the picture."""

from __future__ import annotations

import numpy as np

from depth3d.core.arrays import BoolMap
from depth3d.core.depth import DepthKind, DepthMap

__all__ = ["snap_to_surfaces"]

_BENT = 0.02
"""Bend, as a share of the inverse depth, beyond which a surface is not continued along its slope."""

_STEEPEST = 0.25
"""Change in inverse depth, as a share of it, up to which a surface is continued along its slope."""


def snap_to_surfaces(depth: DepthMap, adrift: BoolMap) -> DepthMap:
    """Move pixels that hang between two surfaces onto the one whose known pixels are nearer by.

    The ramp that a resize leaves at a silhouette becomes a step amid the ramp, where the silhouette is.
    A surface is continued as the plane through its nearest pixel and that pixel's mirror image of the one
    to fill: exact for planes, since these are affine in inverse depth. Where the surface bends or ends on
    the way, it keeps the depth of its nearest pixel.

    Args:
        depth: (H, W) metric map.
        adrift: (H, W), the pixels to move, such as `flying_pixels` finds.

    Returns:
        A map that differs only in the pixels to move and the known pixels right beside them, which may
        be the foot of a ramp.

    Raises:
        NeedsMetricError: The map is relative.
    """
    depth.require_metric("snap_to_surfaces()")
    if not adrift.any():
        return depth
    import cv2

    grown = np.asarray(cv2.dilate(adrift.astype(np.uint8), np.ones((3, 3), np.uint8))).astype(np.bool_)
    firm = depth.valid & ~grown
    if not firm.any():
        return depth
    height, width = firm.shape
    _, labels = cv2.distanceTransformWithLabels(
        (~firm).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    pixel_of_label = np.zeros(int(labels.max()) + 1, dtype=np.int64)
    sources = np.flatnonzero(firm)
    pixel_of_label[labels.reshape(-1)[sources]] = sources
    to_fill = np.flatnonzero(grown & depth.valid)
    nearest = pixel_of_label[labels.reshape(-1)[to_fill]]

    values = depth.values.reshape(-1)
    rows, cols = np.divmod(nearest, width)
    row_step, col_step = rows - to_fill // width, cols - to_fill % width
    inside = (rows + row_step >= 0) & (rows + row_step < height)
    inside &= (cols + col_step >= 0) & (cols + col_step < width)
    mirror = np.where(inside, nearest + row_step * width + col_step, nearest)
    halfway = np.where(inside, nearest + row_step // 2 * width + col_step // 2, nearest)
    here, there, between = (1.0 / values[pixel] for pixel in (nearest, mirror, halfway))
    # How far along the way the pixel halfway really is: steps are whole.
    length = np.maximum(row_step**2 + col_step**2, 1)
    share = ((row_step // 2) * row_step + (col_step // 2) * col_step) / length
    bend = np.abs(here + share * (there - here) - between)
    plane = firm.reshape(-1)[mirror] & firm.reshape(-1)[halfway]
    plane &= (bend < _BENT * here) & (np.abs(there - here) < _STEEPEST * here)
    snapped = values.copy()
    snapped[to_fill] = 1.0 / np.where(plane, 2 * here - there, here)
    return DepthMap(snapped.reshape(height, width), DepthKind.METRIC)
