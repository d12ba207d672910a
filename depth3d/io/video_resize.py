"""Sizes of frames: what fits into a box, and pictures made smaller without aliasing."""

from __future__ import annotations

import numpy as np

from depth3d.core.arrays import ImageArray
from depth3d.errors import InputError

__all__ = ["fitted_size", "resized"]


def fitted_size(size_wh: tuple[int, int], wanted: tuple[int, int] | int | None) -> tuple[int, int]:
    """Shrink a size, keeping its aspect ratio, until it fits.

    Args:
        size_wh: (width, height) in pixels.
        wanted: The longer side, or a (width, height) box; None leaves the size as it is.

    Returns:
        (width, height), whole pixels, at least 1x1; `size_wh` where that fits already.

    Raises:
        InputError: A side that is no whole number of pixels, or less than 1.
    """
    if wanted is None:
        return size_wh
    box = (wanted, wanted) if isinstance(wanted, int | np.integer) else wanted
    if not (
        isinstance(box, tuple | list)
        and len(box) == 2
        and all(isinstance(s, int | np.integer) and not isinstance(s, bool) and s >= 1 for s in box)
    ):
        raise InputError(
            f"size must be the longer side in pixels, or (width, height), of at least 1, got {wanted!r}"
        )
    width, height = size_wh
    scale = min(1.0, int(box[0]) / width, int(box[1]) / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def resized(image: ImageArray, size_wh: tuple[int, int]) -> ImageArray:
    """Scale a picture by the mean over areas; read-only. Sizes that are equal give it as it is."""
    import cv2

    if image.shape[1::-1] != size_wh:
        image = np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
        image.flags.writeable = False
    return image
