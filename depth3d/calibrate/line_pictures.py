"""A picture of the straight edges that a field of view rests on."""

from __future__ import annotations

import numpy as np

from depth3d.calibrate.vanishing_points import VanishingPoints
from depth3d.core.arrays import ImageArray, as_image
from depth3d.errors import InputError

__all__ = ["draw_vanishing_lines"]

_COLORS = ((230, 85, 40), (40, 160, 90), (50, 110, 220))
_STRAY = (235, 235, 235)
_LINE_SHARE = 1 / 400  # of the longer side


def draw_vanishing_lines(image: ImageArray, found: VanishingPoints) -> ImageArray:
    """Draw the straight edges of a photo, in a colour for each of three directions; strays thin and white.

    Args:
        image: (H, W, 3) uint8 sRGB, the photo.
        found: What `find_vanishing_points` made of it.

    Returns:
        (H, W, 3) uint8: the photo, paler, with the edges on it.

    Raises:
        InputError: The photo has another size than the one that `found` belongs to.
    """
    import cv2

    photo = as_image(image)
    if photo.shape[1::-1] != found.camera.size_wh:
        raise InputError(
            f"the photo is {photo.shape[1]}x{photo.shape[0]} and the lines are of one of "
            f"{found.camera.width}x{found.camera.height}; give the photo that they were found in"
        )
    drawn = np.ascontiguousarray(photo // 2 + np.uint8(64))
    thick = max(2, round(max(photo.shape) * _LINE_SHARE))
    # cv2 takes sixteenths of a pixel, with pixel centres at 0.
    ends = np.round((found.segments.ends_px - 0.5) * 16).astype(np.int32)
    for (start, end), axis in sorted(
        zip(ends.tolist(), found.axis_of.tolist(), strict=True), key=lambda x: x[1]
    ):
        color, width = (_STRAY, max(1, thick // 2)) if axis < 0 else (_COLORS[axis], thick)
        cv2.line(drawn, start, end, color, width, cv2.LINE_AA, 4)
    return as_image(drawn)
