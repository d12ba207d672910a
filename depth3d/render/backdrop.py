"""`backdrop_of`: something smooth behind everything, so that no view has a hole."""

from __future__ import annotations

import numpy as np

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.core.color import to_srgb
from depth3d.render.sheets import Sheet

__all__ = ["backdrop_of", "thinned"]

_SHRINK = 4
_LEVELS = 12


def thinned(values: FloatMap) -> FloatMap:
    """Take one pixel of each square that `backdrop_of` works on: (H // 4, W // 4, ...), at least 1."""
    import cv2

    height, width = values.shape[:2]
    size = (max(1, width // _SHRINK), max(1, height // _SHRINK))
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_NEAREST))


def backdrop_of(colors: FloatMap, inverse_depth: FloatMap, *, reach_px: float, like: float) -> Sheet:
    """Make a surface behind all others, in the colours of the farthest things around.

    Its inverse depth is the least within the reach, smoothed over as much, so that nothing lies behind it.
    Its colours are those of the pixels at about that depth, spread over where there are none (the push-pull
    pyramid of Gortler et al., "The lumigraph", SIGGRAPH 1996). All is computed at a quarter of the size.

    Args:
        colors: `thinned` of the picture, (H, W, 3) linear light.
        inverse_depth: (H, W).
        reach_px: How far surfaces move against one another.
        like: Difference of inverse depth within which a pixel is of the backdrop's colours.
    """
    import cv2

    height, width = inverse_depth.shape
    size = (max(1, width // _SHRINK), max(1, height // _SHRINK))
    reach = max(1, round(reach_px / _SHRINK))
    square = np.ones((2 * _SHRINK + 1, 2 * _SHRINK + 1), np.uint8)
    low = cv2.resize(cv2.erode(inverse_depth, square), size, interpolation=cv2.INTER_NEAREST)
    # The mean of minima over the window in which each of them was the least is no larger than the least.
    side = (2 * reach + 1, 2 * reach + 1)
    lowest = cv2.erode(low, np.ones(side, np.uint8), borderType=cv2.BORDER_REPLICATE)
    smooth = cv2.blur(lowest, side, borderType=cv2.BORDER_REPLICATE)
    spread = _push_pull(colors, thinned(inverse_depth) <= smooth + like)
    behind = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR)
    np.minimum(behind, inverse_depth, out=behind)
    # What is the same everywhere takes no memory.
    right, down = np.arange(width)[None, :] < width - 1, np.arange(height)[:, None] < height - 1
    return Sheet(
        cv2.resize(to_srgb(spread), (width, height), interpolation=cv2.INTER_LINEAR),
        behind,
        np.broadcast_to(np.float32(1), behind.shape),
        np.broadcast_to(right, behind.shape),
        np.broadcast_to(down, behind.shape),
    )


def _push_pull(colors: FloatMap, known: BoolMap) -> FloatMap:
    """Spread colours from where they are known to where they are not."""
    import cv2

    weight = known.astype(np.float32)
    if not known.any():
        weight[:] = 1
    levels = [(colors * weight[..., None], weight)]
    while max(levels[-1][1].shape) > 1 and len(levels) < _LEVELS:
        sums, count = levels[-1]
        half = (-(-count.shape[1] // 2), -(-count.shape[0] // 2))
        sums, count = (cv2.resize(a, half, interpolation=cv2.INTER_AREA) for a in (sums, count))
        levels.append((sums.reshape(half[1], half[0], 3), count.reshape(half[1], half[0])))
    result: FloatMap | None = None
    for sums, count in reversed(levels):
        full = np.minimum(count * 4, 1)[..., None]
        mean = sums / np.maximum(count, 1e-6)[..., None]
        if result is not None:
            size = (count.shape[1], count.shape[0])
            coarse = cv2.resize(result, size, interpolation=cv2.INTER_LINEAR).reshape(mean.shape)
            mean = full * mean + (1 - full) * coarse
        result = np.asarray(mean, dtype=np.float32)
    assert result is not None  # there is one level at least
    return result
