"""Textures: which colour lies where, with coordinates that start at the top left."""

from __future__ import annotations

import numpy as np

from depth3d.core.arrays import FloatArray, ImageArray

__all__ = ["texture_colors"]


def texture_colors(texture: ImageArray, uv: FloatArray) -> ImageArray:
    """Look up the pixel of a texture at each coordinate.

    Args:
        texture: (H, W, 3) uint8 sRGB.
        uv: (N, 2) texture coordinates, (0, 0) at the top left corner and (1, 1) at the bottom right
            one, so that the first pixel's centre is at (0.5 / W, 0.5 / H). Beyond the border the nearest
            pixel counts.

    Returns:
        (N, 3) uint8 sRGB, no blend of neighbours.
    """
    height, width = texture.shape[:2]
    cols, rows = (
        np.clip(uv[:, axis] * size, 0, size - 1).astype(np.intp) for axis, size in ((0, width), (1, height))
    )
    found: ImageArray = texture[rows, cols]
    return found
