"""`picture_sheet`: photos beside their true and their estimated depth."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from depth3d.core.arrays import ImageArray
from depth3d.core.depth import DepthMap
from depth3d.io.previews import colorize_depth

__all__ = ["picture_sheet"]

_GAP_PX = 4


def picture_sheet(
    rows: Sequence[tuple[ImageArray, DepthMap, DepthMap]], *, width_px: int = 320
) -> ImageArray:
    """Draw a row for each photo: the photo, the truth, the estimate.

    Args:
        rows: (image, truth, prediction), each of any size; at least one row.
        width_px: Width of each picture; the height follows from the photo's shape.

    Returns:
        (H, W, 3) uint8 sRGB on white. Near is red; each map's colours span its own disparities, unknown is
        gray.
    """
    width = 3 * width_px + 2 * _GAP_PX
    strips: list[ImageArray] = []
    for image, truth, prediction in rows:
        height = max(1, round(width_px * image.shape[0] / image.shape[1]))
        strip = np.full((height + _GAP_PX, width, 3), 255, dtype=np.uint8)
        for column, picture in enumerate((image, colorize_depth(truth), colorize_depth(prediction))):
            left = column * (width_px + _GAP_PX)
            shrinks = picture.shape[1] > width_px
            strip[:height, left : left + width_px] = cv2.resize(
                picture,
                (width_px, height),
                interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST_EXACT,
            )
        strips.append(strip)
    return np.concatenate(strips)[:-_GAP_PX]
