"""Where one surface ends in front of another: silhouettes, and how wide a map smears them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.render.extremes import highest, lowest
from depth3d.render.focus import find_focus

__all__ = ["EdgeBand", "edge_band", "thing_at", "widest_ramp_px"]

_LEAST_STEP = 0.03
"""What counts as a step between two surfaces, as a share of the map's spread."""
_SATURATED = 0.75
"""Share of the range within twice a reach that lies within the reach: a plane's is a half, a step's 1."""
_STEEP = 0.5
"""Slope in the middle of a ramp, as a share of its mean slope, at least."""
_EXACT_SHARE = 0.6
"""With more of its steps one pixel wide a map is exact; what looks like a wider one is a narrow surface."""
_RAMP_SHARE = 1 / 28
"""Widest ramp between two surfaces, as a share of the longer side: what a network's map has."""
_LEAST_RAMP_PX = 8
"""Of small pictures, too, ramps of so many pixels are known."""
_SEARCH_SIDE_PX = 320
"""Longer side of the map on which a thing's outline is looked for."""
_LEVELS = 64
_ROWS = 128
"""Rows that are looked at together, which bounds the memory."""


def widest_ramp_px(size_wh: tuple[int, int]) -> int:
    """Tell how many pixels a ramp between two surfaces takes at most in a picture of a size."""
    return max(_LEAST_RAMP_PX, round(_RAMP_SHARE * max(size_wh)))


@dataclass(frozen=True, slots=True, eq=False)
class EdgeBand:
    """The pixels around silhouettes whose depth may be either surface's.

    Attributes:
        mask: (H, W) bool.
        low: (H, W) float32, the least disparity around, that of the farther surface; the pixel's own outside
            the mask.
        high: (H, W) float32, the largest one.
        width_px: (H, W) float32, width of the ramp between the two; 0 outside the mask.
    """

    mask: BoolMap
    low: FloatMap
    high: FloatMap
    width_px: FloatMap


def edge_band(disparity: FloatMap, level: float | None = None) -> EdgeBand:
    """Find the silhouettes of a map.

    A reach is looked for within which the disparity rises as much as within twice that reach: of a plane,
    however steep, it rises half as much. The band is as wide on both sides as that reach: a pixel around
    exact steps, and as wide as the ramp around those that a network has smeared.

    Args:
        disparity: (H, W) float32, larger is nearer, all known.
        level: Only silhouettes whose sides lie below and above it; None takes all.
    """
    steps = _steps(disparity, level)  # it takes memory of its own
    mask = np.zeros(disparity.shape, dtype=np.bool_)
    low_beside, high_beside = disparity.copy(), disparity.copy()
    width_px = np.zeros_like(disparity)
    for reach, found in steps:
        near = _widened(found, reach + (reach > 1))
        low, high = _extremes(disparity, 2 * reach)
        np.minimum(low_beside, low, out=low_beside, where=near)
        np.maximum(high_beside, high, out=high_beside, where=near)
        del low, high
        width_px[near] = 2 * reach
        mask |= near
    return EdgeBand(mask, low_beside, high_beside, width_px)


def _steps(disparity: FloatMap, level: float | None) -> list[tuple[int, BoolMap]]:
    """Find the middles of steps: each reach in pixels, and where it is that of a step."""
    least = _LEAST_STEP * float(np.subtract(*np.percentile(disparity, (99, 1))))
    limit = widest_ramp_px((disparity.shape[1], disparity.shape[0])) / 2
    left = np.ones(disparity.shape, np.bool_) if level is None else _beside(disparity >= level)
    steps: list[tuple[int, BoolMap]] = []
    reach = 1
    low, high = _extremes(disparity, reach)
    around = high - low
    while least > 0 and reach <= limit and left.any():
        wide_low = lowest(low, 2 * reach, of_reach=reach)
        wide_high = highest(high, 2 * reach, of_reach=reach)
        found = left.copy()
        for top in range(0, len(found), _ROWS):
            rows = slice(top, top + _ROWS)
            rise, wide_rise = high[rows] - low[rows], wide_high[rows] - wide_low[rows]
            found[rows] &= rise > np.maximum(least, _SATURATED * wide_rise)
            # The slope here is that of a ramp so wide, not that of a surface which ends nearby.
            found[rows] &= around[rows] >= _STEEP * rise / reach
            if level is not None:
                found[rows] &= (low[rows] < level) & (high[rows] >= level)
        if level is None:
            found &= _beside(disparity >= (low + high) / 2)
        if found.any():
            steps.append((reach, found))
            left &= ~found
        low, high, reach = wide_low, wide_high, 2 * reach
    counts = [int(np.count_nonzero(found)) for _, found in steps]
    exact = bool(steps) and steps[0][0] == 1 and counts[0] > _EXACT_SHARE * sum(counts)
    return steps[:1] if exact else steps


def thing_at(disparity: FloatMap, at: tuple[float, float], *, is_metric: bool) -> float:
    """Find the disparity between the thing at a point and what is behind it.

    Of all levels below the point's own the one is taken whose outline around the point runs along the highest
    steps, with the level in their middle: a person is cut at the silhouette, though the floor goes on.

    Args:
        disparity: (H, W) float32, larger is nearer, all known.
        at: (u, v) in pixels.
        is_metric: Whether it is 1/z in 1/m.

    Returns:
        A level; where there is no step all around, that of the point less what counts as a step.

    Raises:
        InputError: The point lies outside the picture.
    """
    import cv2

    focus = find_focus(disparity, is_metric=is_metric, focus=at).disparity
    height, width = disparity.shape
    share = min(1.0, _SEARCH_SIDE_PX / max(height, width))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    small = cv2.resize(disparity, size, interpolation=cv2.INTER_AREA)
    least = _LEAST_STEP * float(np.subtract(*np.percentile(disparity, (99, 1))))
    candidates = np.linspace(float(small.min()), focus, _LEVELS + 2)[1:-1]
    low, high = _extremes(small, max(1, widest_ramp_px(size) // 2))
    # The thing may be thinner than the point is exact: of what is around, the pixel most like the reading.
    rows, columns = np.mgrid[: size[1], : size[0]]
    away = np.hypot(columns + 0.5 - at[0] * share, rows + 0.5 - at[1] * share)
    near = np.where(away <= away.min() + 3, np.abs(small - focus), np.inf)
    seed = np.unravel_index(int(np.argmin(near)), near.shape)
    best, level = least, focus - least
    for candidate in candidates:
        _, areas = cv2.connectedComponents((small >= candidate).astype(np.uint8), connectivity=4)
        if areas[seed] == 0:
            continue
        outline = _beside(areas == areas[seed])
        if not outline.any():
            continue
        step = 2 * np.minimum(high - candidate, candidate - low)[outline].clip(min=0)
        if (score := float(step.mean())) > best:
            best, level = score, float(candidate)
    return level


def _widened(region: BoolMap, by_px: int) -> BoolMap:
    """Grow a region on all sides by so many pixels."""
    import cv2

    away_px = cv2.distanceTransform((~region).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(away_px <= by_px)


def _beside(inside: BoolMap) -> BoolMap:
    """Find the pixels on both sides of a region's outline."""
    import cv2

    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    region = inside.astype(np.uint8)
    return np.asarray(cv2.dilate(region, cross) != cv2.erode(region, cross))


def _extremes(values: FloatMap, reach: int) -> tuple[FloatMap, FloatMap]:
    return lowest(values, reach), highest(values, reach)
