"""`snap_to_surfaces`: put pixels that hang between two surfaces onto the nearer one in the picture."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap
from depth3d.core.depth import DepthKind, DepthMap

__all__ = ["snap_to_surfaces"]

_BENT = 0.02
"""Bend, as a share of the inverse depth, beyond which a surface is not continued along its slope."""

_STEEPEST = 0.25
"""Change in inverse depth, as a share of it, up to which a surface is continued along its slope."""

_SHORT_PX = 3
"""Up to this distance there is too little on the way to tell a slope from an edge: the surface must go on
as far again."""

_FOOT_SHARE = 0.5
"""How far the foot of a ramp may be moved, against the pixels of the ramp beside it: what is farther off is
no foot but another surface."""

_PIXELS_PER_BAND = 1 << 20
"""Rows are worked on in bands of about this many pixels, which bounds the memory."""


def snap_to_surfaces(depth: DepthMap, adrift: BoolMap) -> DepthMap:
    """Move pixels that hang between two surfaces onto the one whose known pixels are nearer by.

    The ramp that a resize leaves at a silhouette becomes a step amid the ramp, where the silhouette is.
    A surface is continued as the plane through its nearest pixel and that pixel's mirror image of the one
    to fill: exact for planes, since these are affine in inverse depth. Where the surface bends or ends on
    the way, it keeps the depth of its nearest pixel.

    No test finds the foot of a ramp, so the pixels right beside those to move are moved as well, but only
    by little: one that would have to go far stands on a surface of its own, across an edge.

    Args:
        depth: (H, W) metric map.
        adrift: (H, W), the pixels to move, such as `flying_pixels` finds.

    Returns:
        A map that differs only in the pixels to move and the known pixels right beside them.

    Raises:
        NeedsMetricError: The map is relative.
    """
    depth.require_metric("snap_to_surfaces()")
    if not adrift.any():
        return depth
    import cv2

    grown = np.asarray(cv2.dilate(adrift.view(np.uint8), np.ones((3, 3), np.uint8))).view(np.bool_)
    firm = depth.valid
    to_fill = grown & firm
    firm &= ~grown
    if not firm.any():
        return depth
    values = depth.values
    snapped, reach = values.copy(), _SHORT_PX
    rows_per_band = max(1, _PIXELS_PER_BAND // depth.width)
    for top in range(0, depth.height, rows_per_band):
        bottom = min(top + rows_per_band, depth.height)
        # What a pixel beside those to move would have to do is measured by its neighbours.
        first, last = max(top - 1, 0), min(bottom + 1, depth.height)
        fill = np.flatnonzero(to_fill[first:last]) + first * depth.width
        if not fill.size:
            continue
        nearest, reach = _nearest(firm, fill, slice(first, last), reach)
        target = _continued(values.reshape(-1), firm, fill, nearest)
        # Of the pixels beside, only feet move.
        move = np.abs(target - 1.0 / values.reshape(-1)[fill])
        on_ramp = adrift.reshape(-1)[fill]
        moves = np.zeros((last - first, depth.width), dtype=np.float32)
        moves.reshape(-1)[fill - first * depth.width] = np.where(on_ramp, move, 0)
        beside = np.asarray(cv2.dilate(moves, np.ones((3, 3), np.uint8))).reshape(-1)
        moved = on_ramp | (move <= _FOOT_SHARE * beside[fill - first * depth.width])
        moved &= (fill >= top * depth.width) & (fill < bottom * depth.width)
        snapped.reshape(-1)[fill[moved]] = 1.0 / target[moved]
    snapped.flags.writeable = False  # so that it need not be copied
    return DepthMap(snapped, DepthKind.METRIC)


def _nearest(
    firm: BoolMap, fill: npt.NDArray[np.intp], rows: slice, reach: int
) -> tuple[npt.NDArray[np.intp], int]:
    """Find the firm pixel nearest to each of some pixels.

    Args:
        firm: (H, W), not all false.
        fill: Indices of pixels in reading order.
        rows: In which they are.
        reach: How many rows around these are searched first.

    Returns:
        The indices of the nearest pixels, and in how many rows around they are.
    """
    import cv2

    height, width = firm.shape
    while True:
        first, last = max(rows.start - reach, 0), min(rows.stop + reach, height)
        distance, labels = cv2.distanceTransformWithLabels(
            (~firm[first:last]).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
        )
        farthest = float(distance.reshape(-1)[fill - first * width].max())
        # What lies outside is farther away than that, by the metric of the transform, too.
        if farthest <= reach or (first == 0 and last == height):
            break
        reach = min(max(2 * reach, math.ceil(min(farthest, height))), height)
    sources = np.flatnonzero(firm[first:last])
    pixel_of_label = np.zeros(len(sources) + 1, dtype=np.intp)
    pixel_of_label[labels.reshape(-1)[sources]] = sources + first * width
    return pixel_of_label[labels.reshape(-1)[fill - first * width]], reach


def _continued(
    values: npt.NDArray[np.float32],
    firm: BoolMap,
    fill: npt.NDArray[np.intp],
    nearest: npt.NDArray[np.intp],
) -> npt.NDArray[np.float64]:
    """Give the inverse depth of the surface at the nearest pixel, continued to those to fill."""
    height, width = firm.shape
    rows, cols = np.divmod(nearest, width)
    row_step, col_step = rows - fill // width, cols - fill % width
    short = np.maximum(np.abs(row_step), np.abs(col_step)) <= _SHORT_PX
    row_probe = np.where(short, 2 * row_step, row_step // 2)
    col_probe = np.where(short, 2 * col_step, col_step // 2)
    row_reach, col_reach = np.where(short, row_probe, row_step), np.where(short, col_probe, col_step)
    inside = (rows + row_reach >= 0) & (rows + row_reach < height)
    inside &= (cols + col_reach >= 0) & (cols + col_reach < width)
    mirror = np.where(inside, nearest + row_step * width + col_step, nearest)
    probe = np.where(inside, nearest + row_probe * width + col_probe, nearest)
    here, there, probed = (1.0 / values[pixel] for pixel in (nearest, mirror, probe))
    # How far along the way the probe really is: steps are whole.
    length = np.maximum(row_step**2 + col_step**2, 1)
    share = (row_probe * row_step + col_probe * col_step) / length
    bend = np.abs(here + share * (there - here) - probed)
    plane = inside & firm.reshape(-1)[mirror] & firm.reshape(-1)[probe]
    plane &= (bend < _BENT * here) & (np.abs(there - here) < _STEEPEST * here)
    return np.asarray(np.where(plane, 2 * here - there, here))
