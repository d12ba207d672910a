"""What others do about flicker, from (n, H, W) disparities to (n, H, W); none of it sees the pictures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np


def as_it_is(maps: Any) -> Any:
    return maps


def own_range(maps: Any) -> Any:
    """Each frame from its own smallest to its own largest value, as most tools show depth."""
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    return (maps - low) / (high - low)


def smoothed(maps: Any, decay: float) -> Any:
    """Exponential smoothing of the maps, pixel by pixel."""
    result = [maps[0]]
    for current in maps[1:]:
        result.append(decay * result[-1] + (1 - decay) * current)
    return np.stack(result)


def smoothed_range(maps: Any, decay: float) -> Any:
    """Exponential smoothing of the smallest and the largest value alone, which then are 0 and 1."""
    low, high = maps.min(axis=(1, 2)), maps.max(axis=(1, 2))
    lows, highs = [low[0]], [high[0]]
    for a, b in zip(low[1:], high[1:], strict=True):
        lows.append(decay * lows[-1] + (1 - decay) * a)
        highs.append(decay * highs[-1] + (1 - decay) * b)
    low, high = (np.array(side)[:, None, None] for side in (lows, highs))
    return (maps - low) / (high - low)


def to_the_last(maps: Any) -> Any:
    """Least squares to the frame before, pixel by pixel, chained."""
    result = [maps[0].astype(np.float64)]
    for current in maps[1:]:
        x, y = current.astype(np.float64).ravel(), result[-1].ravel()
        centred = x - x.mean()
        scale = centred @ (y - y.mean()) / (centred @ centred)
        result.append(scale * (current - x.mean()) + y.mean())
    return np.stack(result)


BASELINES: dict[str, Callable[[Any], Any]] = {
    "raw": as_it_is,
    "own range": own_range,
    "EMA of maps 0.5": partial(smoothed, decay=0.5),
    "EMA of maps 0.8": partial(smoothed, decay=0.8),
    "EMA of maps 0.9": partial(smoothed, decay=0.9),
    "EMA of range 0.75": partial(smoothed_range, decay=0.75),
    "EMA of range 0.9": partial(smoothed_range, decay=0.9),
    "EMA of range 0.99": partial(smoothed_range, decay=0.99),
    "affine to the last": to_the_last,
}
