"""`tiles_of`: the colours and the coverage of one surface in a square, ready to be interpolated."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatArray, FloatMap, ImageArray
from depth3d.core.color import to_linear, to_srgb

__all__ = ["reduced", "tiles_of"]

_SPREAD_TEXELS = 4
"""How far a surface's colours are carried on into the uncovered part; beyond is their mean."""


def tiles_of(
    color: ImageArray, alpha: FloatMap, mask: BoolMap, reduction: int
) -> tuple[ImageArray, npt.NDArray[np.uint8]]:
    """Make tiles of squares of a sheet.

    Args:
        color: (n, s, s, 3) uint8 sRGB.
        alpha: (n, s, s) coverage 0..1, 0 outside the mask.
        mask: (n, s, s) which pixels are the surface's.
        reduction: Pixels along the side of a texel; a divisor of s.

    Returns:
        (n, t, t, 3) uint8 sRGB with t = s / reduction, whose colours go on where there is no coverage, and
        (n, t, t) uint8 coverage.
    """
    if reduction == 1:
        light = color.astype(np.float32)  # nothing is averaged but what nobody sees
        weight = mask.astype(np.float32)
    else:
        weight = _means(mask.astype(np.float32), reduction)
        light = _means(to_linear(color) * mask[..., None], reduction)
        light /= np.maximum(weight, 1e-6)[..., None]
        alpha = _means(np.asarray(alpha, np.float32), reduction)
    known = weight > 0
    light = light * known[..., None]
    total = known.sum(axis=(1, 2))[:, None, None, None]
    mean = light.sum(axis=(1, 2), keepdims=True) / np.maximum(total, 1)
    for _ in range(_SPREAD_TEXELS):
        around, count = _neighbours(light), _neighbours(known.astype(np.float32)[..., None])
        fresh = ~known & (count[..., 0] > 0)
        light[fresh] = (around / np.maximum(count, 1))[fresh]
        known |= fresh
    light = np.where(known[..., None], light, mean)
    finished = np.rint(light).astype(np.uint8) if reduction == 1 else to_srgb(light)
    return finished, np.rint(255 * np.clip(alpha, 0, 1)).astype(np.uint8)


def reduced(image: ImageArray, reduction: int) -> ImageArray:
    """Average squares of pixels in linear light.

    Args:
        image: (H, W, 3) uint8 sRGB, whole squares.
        reduction: Pixels along the side of a square.
    """
    if reduction == 1:
        return image
    return to_srgb(_means(to_linear(image)[None], reduction)[0])


def _means(values: FloatArray, side: int) -> FloatArray:
    total = np.array(values[:, ::side, ::side], dtype=np.float32)
    for down in range(side):
        for across in range(side):
            if down or across:
                total += values[:, down::side, across::side]
    total /= side**2
    return total


def _neighbours(values: FloatArray) -> FloatArray:
    total = np.zeros_like(values)
    total[:, 1:] += values[:, :-1]
    total[:, :-1] += values[:, 1:]
    total[:, :, 1:] += values[:, :, :-1]
    total[:, :, :-1] += values[:, :, 1:]
    return total
