"""`gathered`: sums over known pixels that weigh less the farther they are, for every pixel at once."""

from __future__ import annotations

import numpy as np

from depth3d.core.arrays import FloatMap

__all__ = ["gathered"]


def gathered(values: FloatMap, *, falloff: float = 0.3) -> FloatMap:
    """Sum the values around each pixel with weights of about 1 / distance^4.

    A Gaussian of each octave, normalised to a sum of 1, is 4 times as low as the one before; together, each
    weighed by `falloff`, they
    make the power law (the pyramid is that of Burt and Adelson, 1983). Values come with their weights as one
    more channel: weighted sums divided by the sum of the weights are means of what is known, near first.

    Args:
        values: (H, W, C) float32, 0 where nothing is known.
        falloff: What an octave counts beside the one before; less than 1 makes the weights fall faster.

    Returns:
        (H, W, C) float32 sums; above 0 everywhere if a weight is.
    """
    import cv2

    levels = [values]
    while min(levels[-1].shape[:2]) > 1:
        levels.append(_channels(cv2.pyrDown(levels[-1]), values.shape[2]))
    total = levels.pop()
    # The coarsest level reaches everywhere, so that nothing is left without a neighbour.
    total = total + total.mean(axis=(0, 1), keepdims=True) * np.float32(1e-6)
    for level in reversed(levels):
        size = (level.shape[1], level.shape[0])
        wide = cv2.resize(total, size, interpolation=cv2.INTER_LINEAR)
        total = level + np.float32(falloff) * _channels(wide, values.shape[2])
    return np.asarray(total, dtype=np.float32)


def _channels(values: FloatMap, count: int) -> FloatMap:
    """Give back the last axis that OpenCV drops when it has one entry."""
    return values.reshape(*values.shape[:2], count)
