"""`whole_disparity`: a disparity for every pixel, which is what light is spread by."""

from __future__ import annotations

import numpy as np

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError

__all__ = ["whole_disparity"]

_SKY_SHARE = 0.1
"""Share of the upper row that an unknown area must cover to be sky."""


def whole_disparity(depth: DepthMap) -> FloatMap:
    """Turn a map into disparity, and give its unknown pixels one.

    Unknown areas of two kinds are told apart. Sky covers at least a tenth of the picture's upper row and
    borders on the farther half of the scene: it is infinitely far away (1/z = 0), or as far as anything in
    a relative map. Everything else is a hole, such as the shadow of a depth sensor, and belongs to what is
    behind: each pixel takes the nearest value of the farther half of the hole's rim.

    Args:
        depth: Metric or relative.

    Returns:
        (H, W) float32, larger is nearer: 1/z in 1/m of a metric map, else the map's own values.

    Raises:
        InputError: The map knows no pixel.
    """
    known = depth.valid
    if not known.any():
        raise InputError(f"the depth knows no pixel, it is {depth!r}; give another depth, or use a network")
    disparity: FloatMap = depth.values
    if depth.is_metric:
        disparity = np.asarray(1 / depth.values, dtype=np.float32)
    if known.all():
        return disparity
    return _filled(disparity, known, 0.0 if depth.is_metric else float(disparity[known].min()))


def _filled(disparity: FloatMap, known: BoolMap, farthest: float) -> FloatMap:
    import cv2

    height, width = known.shape
    count, areas = cv2.connectedComponents((~known).astype(np.uint8), connectivity=8)
    # The rim: known pixels beside an unknown area, each with the area's number.
    grown = cv2.dilate(areas.astype(np.float32), np.ones((3, 3), np.uint8)).astype(np.int32)
    at = np.flatnonzero(known & (grown > 0))
    number, value = grown.ravel()[at], disparity.ravel()[at]
    order = np.lexsort((value, number))
    number, value, at = number[order], value[order], at[order]
    starts = np.searchsorted(number, np.arange(count + 1))
    median_of_all = float(np.median(disparity[known]))
    top = np.bincount(areas[0], minlength=count) >= _SKY_SHARE * width
    sources = np.zeros(height * width, dtype=np.bool_)
    result = np.where(known, disparity, np.float32(farthest)).astype(np.float32)
    sky = np.zeros(count, dtype=np.bool_)
    for k in range(1, count):
        rim = slice(starts[k], starts[k + 1])
        middle = (starts[k] + starts[k + 1]) // 2
        if starts[k] == starts[k + 1]:  # its rim went to a neighbouring area's number
            continue
        sky[k] = top[k] and value[middle] <= median_of_all
        if not sky[k]:
            sources[at[rim.start : middle + 1]] = True
    holes = ~known & ~sky[areas]
    if not (holes.any() and sources.any()):
        return result
    _, labels = cv2.distanceTransformWithLabels(
        (~sources.reshape(height, width)).astype(np.uint8),
        cv2.DIST_L2,
        cv2.DIST_MASK_5,
        labelType=cv2.DIST_LABEL_PIXEL,
    )
    value_of = np.zeros(int(labels.max()) + 1, dtype=np.float32)
    value_of[labels.ravel()[sources]] = result.ravel()[sources]
    result[holes] = value_of[labels[holes]]
    return result
