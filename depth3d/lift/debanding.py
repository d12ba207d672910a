"""`smooth_levels`: give back the slopes that 8-bit depth has cut into terraces."""

from __future__ import annotations

import numpy as np

from depth3d.core.arrays import FloatMap
from depth3d.core.depth import DepthMap

__all__ = ["smooth_levels", "step_of_levels"]

_MOST_LEVELS = 256
_FEWEST_LEVELS = 32
"""A map with fewer values is a scene of a few flat planes rather than a quantised one."""

_SIGMAS_PX = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

_TERRACE_PER_SIGMA = 2.0
"""A blur bridges terraces up to twice its sigma wide. (The rim of a single terrace looks 2.5 wide.)"""

_FLICKER_SHARE = 0.03
"""Share of steps that the next pixel takes back, beyond which a map is noisy. Rounding alone leaves 0.3 % at
most, on ridges; noise of 0.15 levels 5 to 20 %."""


def smooth_levels(depth: DepthMap) -> DepthMap:
    """Smooth a map of 256 levels without leaving what each level can stand for.

    Every stored level stands for an interval of disparity one step wide. Each pixel takes the least blur
    that bridges the terraces around it, clamped to its interval. So the map still rounds to the very same
    levels: slopes come back, and edges, which jump over many levels, move by half a step at most. A map
    that flickers between levels was noisy before it was rounded, or a lossy file made it so: there the
    level beside may be the true one, and the interval is twice as wide.

    Args:
        depth: Any map. Those that are not quantised are returned as they are.

    Returns:
        A map of the same kind, within half a step of disparity (1/m where metric) everywhere, of a noisy
        map within one step.
    """
    step = step_of_levels(depth)
    if step is None:
        return depth
    disparity = _disparity(depth)
    import cv2

    known = depth.valid.astype(np.float32)
    filled = np.nan_to_num(disparity)

    def blur(values: FloatMap, sigma: float) -> FloatMap:
        # Divided by the blurred mask, so that unknown pixels take no part.
        weight = cv2.GaussianBlur(known, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        total = cv2.GaussianBlur(values * known, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        return np.asarray(total / np.maximum(weight, np.float32(1e-6)), dtype=np.float32)

    smooth = blur(filled, _SIGMAS_PX[-1])
    for sigma in _SIGMAS_PX[-2::-1]:
        finer = blur(filled, sigma)
        slope = np.hypot(_slope(finer, 0), _slope(finer, 1))
        smooth = np.where(step <= _TERRACE_PER_SIGMA * sigma * slope, finer, smooth)
    within = np.float32(step if _flickers(disparity, step) else step / 2)
    low, high = disparity - within, disparity + within
    smooth = np.clip(blur(np.nan_to_num(np.clip(smooth, low, high)), _SIGMAS_PX[0]), low, high)
    smooth = np.where(depth.valid, smooth, np.float32(np.nan))
    # A mean of inverse depths is positive, so z stays finite even where a step less is not.
    return DepthMap(np.asarray(1.0 / smooth if depth.is_metric else smooth), depth.kind)


def step_of_levels(depth: DepthMap) -> float | None:
    """Find the spacing of the levels of a quantised map.

    Args:
        depth: Any map.

    Returns:
        The spacing in disparity (1/m where metric), or None if the disparities do not lie on a grid of
        at most 256 levels.
    """
    disparity = _disparity(depth)
    # Any 257 different values settle it, so a corner of a continuous map is enough.
    for sample in (disparity.ravel()[:65536], disparity.ravel()):
        levels = np.unique(sample[~np.isnan(sample)]).astype(np.float64)
        if len(levels) > _MOST_LEVELS:
            return None
    if len(levels) < _FEWEST_LEVELS:
        return None
    step = float(np.diff(levels).min())
    position = (levels - levels[0]) / step
    on_grid = np.abs(position - np.rint(position)).max() < 0.05 and position[-1] < _MOST_LEVELS
    return step if on_grid else None


def _flickers(disparity: FloatMap, step: float) -> bool:
    """Tell whether small steps, of up to two levels, are often taken back by the next pixel."""
    small = taken_back = 0
    for along in (disparity, disparity.T):
        steps = np.rint(np.diff(along, axis=1) / np.float32(step))
        first, second = steps[:, :-1], steps[:, 1:]
        # NaN compares false: beside unknown pixels there is no telling.
        here = (np.maximum(np.abs(first), np.abs(second)) <= 2) & ((first != 0) | (second != 0))
        small += int(here.sum())
        taken_back += int((here & (first * second < 0)).sum())
    return taken_back > _FLICKER_SHARE * small


def _disparity(depth: DepthMap) -> FloatMap:
    return 1.0 / depth.values if depth.is_metric else depth.values


def _slope(values: FloatMap, axis: int) -> FloatMap:
    """Differentiate along an axis; 0 where there is only one sample."""
    if values.shape[axis] < 2:
        return np.zeros_like(values)
    return np.asarray(np.gradient(values, axis=axis), dtype=np.float32)
