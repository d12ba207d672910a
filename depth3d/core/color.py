"""The sRGB transfer curve: blending and filtering happen in linear light."""

from __future__ import annotations

import numpy as np

from depth3d.core.arrays import FloatArray, ImageArray

__all__ = ["to_linear", "to_srgb"]

_BLOCK = 1 << 16
"""Numbers that are encoded at a time, which stay in the cache."""


def to_linear(image: ImageArray) -> FloatArray:
    """Decode sRGB bytes to linear light.

    Args:
        image: (..., 3) uint8, sRGB.

    Returns:
        float32 of the same shape in 0..1. Source: IEC 61966-2-1:1999.
    """
    return _LINEAR_OF_BYTE[image]


def to_srgb(linear: FloatArray) -> ImageArray:
    """Encode linear light as sRGB bytes, clipped to 0..1 and rounded.

    Args:
        linear: (..., 3) linear light; 1 is white. Values outside 0..1 are clipped.

    Returns:
        uint8 of the same shape. Source: IEC 61966-2-1:1999.
    """
    light = np.asarray(linear)
    image = np.empty(light.shape, dtype=np.uint8)
    rows = max(1, _BLOCK // max(1, light[:1].size))
    for top in range(0, len(light), rows):
        x = np.clip(light[top : top + rows], 0.0, 1.0)
        curve = 1.055 * np.power(x, 1 / 2.4)
        curve -= 0.055
        np.copyto(curve, 12.92 * x, where=x <= 0.0031308)
        curve *= 255.0
        image[top : top + rows] = np.rint(curve, out=curve)
    return image


def _decode_table() -> FloatArray:
    x = np.arange(256) / 255.0
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4).astype(np.float32)


_LINEAR_OF_BYTE = _decode_table()
