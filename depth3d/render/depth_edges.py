"""Where one surface ends in front of another: silhouettes, and how wide a map smears them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.render.extremes import highest, lowest
from depth3d.render.focus import find_focus
from depth3d.render.halos import Tile, tiles, with_halo

__all__ = ["EdgeBand", "edge_band", "edge_bands", "thing_at", "widest_ramp_px"]

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

    @classmethod
    def nowhere(cls, disparity: FloatMap) -> EdgeBand:
        """Give the band of a map, or of a part of it, without silhouettes; its arrays may be written to."""
        empty = np.zeros(disparity.shape, dtype=np.bool_)
        return cls(empty, disparity.copy(), disparity.copy(), np.zeros_like(disparity))


def edge_band(disparity: FloatMap, level: float | None = None) -> EdgeBand:
    """Find the silhouettes of a map.

    A reach is looked for within which the disparity rises as much as within twice that reach: of a plane,
    however steep, it rises half as much. The band is as wide on both sides as that reach: a pixel around
    exact steps, and as wide as the ramp around those that a network has smeared.

    Args:
        disparity: (H, W) float32, larger is nearer, all known.
        level: Only silhouettes whose sides lie below and above it; None takes all.
    """
    whole = EdgeBand.nowhere(disparity)
    for tile, band in edge_bands(disparity, level):
        for field in ("mask", "low", "high", "width_px"):
            getattr(whole, field)[tile] = getattr(band, field)
    return whole


def edge_bands(disparity: FloatMap, level: float | None = None) -> Iterator[tuple[Tile, EdgeBand]]:
    """Find them as `edge_band` does, and give them tile by tile, those tiles that have any.

    Yields:
        Rows and columns of a tile, and the band there.
    """
    steps, reaches = _steps(disparity, level)
    for tile in tiles(disparity.shape, max(reaches, default=0)):
        band = None
        for number, reach in enumerate(reaches, start=1):
            beside = reach + (reach > 1)
            around, core = with_halo(tile, beside + 2, disparity.shape)
            found = steps[around] == number
            if not found.any():
                continue
            near = _widened(found, beside)[core]
            if not near.any():
                continue
            band = band or EdgeBand.nowhere(disparity[tile])
            around, core = with_halo(tile, 2 * reach, disparity.shape)
            low, high = _extremes(disparity[around], 2 * reach)
            np.minimum(band.low, low[core], out=band.low, where=near)
            np.maximum(band.high, high[core], out=band.high, where=near)
            band.width_px[near] = 2 * reach
            np.logical_or(band.mask, near, out=band.mask)
        if band is not None:
            yield tile, band


def _steps(disparity: FloatMap, level: float | None) -> tuple[npt.NDArray[np.uint8], list[int]]:
    """Find the middles of steps.

    Returns:
        (H, W), the number of a step's reach at its middle, and 0 elsewhere; and these reaches in pixels, up
        to the largest that is needed, of which the first has the number 1.
    """
    least = _LEAST_STEP * float(np.subtract(*np.percentile(disparity, (99, 1))))
    limit = widest_ramp_px((disparity.shape[1], disparity.shape[0])) / 2
    steps = np.zeros(disparity.shape, dtype=np.uint8)
    reaches = [2**k for k in range(math.floor(math.log2(limit)) + 1)]
    counts = np.zeros(len(reaches) + 1, np.intp)
    for tile in tiles(disparity.shape, reaches[-1]) if least > 0 else ():
        _find_steps(steps, disparity, tile, reaches, least, level)
        counts += np.bincount(steps[tile].ravel(), minlength=len(counts))
    counts[0] = 0
    exact = counts[1] > _EXACT_SHARE * counts.sum()
    return steps, reaches[:1] if exact else reaches[: int(np.flatnonzero(counts)[-1:].sum())]


def _find_steps(
    steps: npt.NDArray[np.uint8],
    disparity: FloatMap,
    tile: Tile,
    reaches: list[int],
    least: float,
    level: float | None,
) -> None:
    """Write the numbers of the reaches of a tile's steps into `steps`."""
    found = steps[tile]
    left = np.ones(found.shape, np.bool_)
    if level is not None:
        around, core = with_halo(tile, 1, disparity.shape)
        left = _beside(disparity[around] >= level)[core]
        if not left.any():
            return
    around, core = with_halo(tile, 2 * reaches[-1], disparity.shape)
    here = disparity[around]
    if not here.max() - here.min() > least:
        return
    low, high = _extremes(here, reaches[0])
    # The slope here is that of a ramp so wide, not that of a surface which ends nearby.
    slope = high[core] - low[core]
    for number, reach in enumerate(reaches, start=1):
        wide_low = lowest(low, 2 * reach, of_reach=reach)
        wide_high = highest(high, 2 * reach, of_reach=reach)
        rise, wide_rise = high[core] - low[core], wide_high[core] - wide_low[core]
        step = left & (rise > np.maximum(least, _SATURATED * wide_rise))
        step &= slope >= _STEEP * rise / reach
        if level is None:
            step &= _beside(here >= (low + high) / 2)[core]
        else:
            step &= (low[core] < level) & (high[core] >= level)
        found[step] = number
        left &= ~step
        if not left.any():
            return
        low, high = wide_low, wide_high


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
