"""`crisp_disparity`: soft edges of a disparity map, moved to where the photo has them.

A network's map, or any map that was scaled up, has a ramp where one surface ends before another. Spread by
such a map, a subject gets a rim of all radii between its own and the background's. Here every pixel around
such a ramp goes to one of the two surfaces: to that whose colours, nearby, are more like its own.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap, ImageArray
from depth3d.core.stages import stage
from depth3d.render.extremes import highest, lowest
from depth3d.render.halos import Tile, tiles, with_halo
from depth3d.render.level_ground import levelled

__all__ = ["crisp_disparity"]

_LEAST_STEP = 0.04
"""What counts as a step between two surfaces, as a share of the map's spread."""
_SATURATED = 0.8
"""Share of the range within twice a reach that lies within the reach: of a plane a half, of a step all."""
_LARGE_STEPS = 4.0
"""From so many times the least on, a step counts fully in how wide the map's ramps are."""
_MOST_EDGES = 0.7
"""Share of the steps that are no wider than the map's ramps."""
_SHARPEST = 0.6
"""Share of a step that one pixel may take on a ramp."""
_WIDEST_SHARE = 1 / 28
"""Widest ramp, as a share of the longer side: what a network's map has."""
_LEAST_WIDEST_PX = 8
"""Half the widest ramp in small pictures."""
_SIDE = 0.2
"""How far from either surface, as a share of the step, a pixel still speaks for it."""
_COLOR_SIGMA = 12.0
"""Deviation of colours in bytes that are still taken for one surface."""
_INSIDE_TRUST = 5e-4
"""What a pixel beside a ramp counts for, beside one away from it, in how far away a surface is."""
_MOST_EXTRAPOLATED = 0.3
"""How far a surface may go on beyond the mean of what is known of it, as a share of the step."""
_LEVEL_PRIOR = 0.02
"""Variance of place, in reaches squared, that a slope must overcome."""
_LIKE = 0.12
"""How far from the surface's level, as a share of the step, values are believed to be of it."""
_PRIOR = 2.0
"""Odds, as an exponent, that the level of the ramp itself gives."""
_SAMPLES = 48
_AGREEMENT_PX = 0.8
_AGREEMENT_SHARE = 0.2
"""Deviation of the window in which neighbours agree on a side: pixels at least, and a share of the reach."""
_MOST_RESTORED = 4.0
"""By how much the height of a thin thing is raised at most."""
_RESTORATIONS = 2
"""Windows around thin things overlap, so that the first time does not give all of it back."""
_LEAST_LENGTH = 8
"""How long a thin thing is that may be nearer than what is around it, in reaches."""
_CHUNK_PX = 1 << 19
"""Pixels that are looked at together, which bounds the memory."""
_WORKING_PX = 2_400_000
"""In larger pictures ramps are first made as narrow as the pixels of a smaller one."""
_QUICK_PX = 600_000
"""The same if it has to be quick."""


@stage("sharpening edges")
def crisp_disparity(disparity: FloatMap, image: ImageArray, *, quick: bool = False) -> FloatMap:
    """Turn ramps between surfaces into steps where the photo has its edges.

    Args:
        disparity: (H, W) float32, larger is nearer; every pixel is known.
        image: (H, W, 3) uint8 sRGB.
        quick: Be content, in pictures of more than 600,000 pixels, with steps as narrow as the pixels of a
            picture of that size: a seventh of the time at 1080p, for films.

    Returns:
        (H, W) float32, nowhere farther than the map is. Pixels on no ramp, and edges that are one pixel
        wide, are as they were: slanted planes, exact maps.
    """
    widest = max(_LEAST_WIDEST_PX, _WIDEST_SHARE * max(disparity.shape) / 2)
    divisor = math.ceil(math.sqrt(disparity.size / (_QUICK_PX if quick else _WORKING_PX)))
    if divisor > 1 and quick:
        return _narrowed(disparity, image, divisor)
    if divisor == 1:
        return _snapped(disparity, image, widest)
    narrow = _narrowed(disparity, image, divisor)
    return _snapped(disparity, image, widest) if narrow is disparity else _snapped(narrow, image, divisor)


def _snapped(disparity: FloatMap, image: ImageArray, widest_px: float) -> FloatMap:
    """Do it with ramps of at most twice a width."""
    reach, low, high = _ramps(disparity, widest_px)
    at = np.flatnonzero(reach)
    if not len(at):
        return disparity
    result = disparity.copy()
    nearer = np.zeros(disparity.size, dtype=np.float32)
    sides = np.zeros((2, len(at)), dtype=np.float32)
    for start in range(0, len(at), _CHUNK_PX):
        some = slice(start, start + _CHUNK_PX)
        nearer[at[some]], sides[:, some] = _votes(disparity, image, at[some], reach, low, high)
    # No surface goes on beyond what the map knows: 1/z below that of the horizon is no place.
    np.clip(sides, disparity.min(), disparity.max(), out=sides)
    near = _agreed(nearer.reshape(disparity.shape), reach)
    result.ravel()[at] = np.where(near.ravel()[at], sides[1], sides[0])
    del nearer, sides, at  # large pictures take much memory
    for _ in range(_RESTORATIONS):
        _restore(result, disparity, near, reach, low, high)
    return levelled(result, near, reach, low, high)


def _narrowed(disparity: FloatMap, image: ImageArray, divisor: int) -> FloatMap:
    """Snap ramps at a smaller size, which leaves ramps of two of its pixels; give back a map without any."""
    import cv2

    height, width = disparity.shape
    size = max(1, width // divisor), max(1, height // divisor)
    small = cv2.resize(disparity, size, interpolation=cv2.INTER_NEAREST_EXACT)
    crisp = crisp_disparity(small, cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    if crisp is small:
        return disparity
    changed = cv2.dilate((crisp != small).astype(np.uint8), np.ones((3, 3), np.uint8))
    changed = cv2.resize(changed, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    wide = cv2.resize(crisp, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.where(changed > 0, wide, disparity)


def _ramps(disparity: FloatMap, widest_px: float) -> tuple[npt.NDArray[np.uint16], FloatMap, FloatMap]:
    """Find the pixels around ramps, and between which two values each of them is.

    A reach is looked for within which disparity rises as much as within twice that reach: on a plane,
    however steep, it rises half as much.

    Returns:
        Half the ramp's width in pixels, 0 off ramps, and the lowest and highest value around.
    """
    import cv2

    spread = float(np.subtract(*np.percentile(disparity, (99, 1))))
    edges, edge_reaches = _edges(disparity, _LEAST_STEP * spread, widest_px)
    reaches = np.zeros(disparity.shape, dtype=np.uint16)
    low_around, high_around = disparity.copy(), disparity.copy()
    for tile in tiles(disparity.shape, max(edge_reaches, default=0)):
        for number, reach in enumerate(edge_reaches[1:], start=2):
            part, core = with_halo(tile, 2 * reach, disparity.shape)
            found = (edges[part] == number).view(np.uint8)
            if not found.any():
                continue
            around = cv2.dilate(found, _square(3 * reach // 2))[core].view(np.bool_)
            around &= reaches[tile] == 0
            low, high = _extremes(disparity[part], 2 * reach)
            reaches[tile][around] = reach
            low_around[tile][around], high_around[tile][around] = low[core][around], high[core][around]
    return reaches, low_around, high_around


def _edges(disparity: FloatMap, least: float, widest_px: float) -> tuple[npt.NDArray[np.uint8], list[int]]:
    """Find the middles of ramps, by half their width: as wide as a map smears most of its large steps.

    What is wider is no ramp of this map but the shape of a thing. In an exact map most steps take a pixel.

    Returns:
        (H, W), the number of a ramp's reach in its middle, and others elsewhere; and these reaches in pixels,
        of which the first has the number 1.
    """
    edges = np.zeros(disparity.shape, np.uint8)
    if least <= 0:
        return edges, []
    reaches = [2**k for k in range(math.floor(math.log2(widest_px)) + 1)]
    weights = np.zeros(len(reaches))
    for tile in tiles(disparity.shape, reaches[-1]):
        weights += _find_edges(edges, disparity, tile, reaches, least)
    enough = np.cumsum(weights) >= _MOST_EDGES * weights.sum()
    return edges, reaches[: int(enough.argmax()) + 1] if weights.any() else []


def _find_edges(
    edges: npt.NDArray[np.uint8], disparity: FloatMap, tile: Tile, reaches: list[int], least: float
) -> npt.NDArray[np.float64]:
    """Write the numbers of the reaches of a tile's ramps into `edges`; give what the steps of each weigh."""
    weights = np.zeros(len(reaches))
    part, core = with_halo(tile, 2 * reaches[-1], disparity.shape)
    here = disparity[part]
    if not here.max() - here.min() > least:
        return weights
    steepest = _steepest(here)
    free = np.ones(edges[tile].shape, np.bool_)
    low, high = _extremes(here, reaches[0])
    for number, reach in enumerate(reaches, start=1):
        wide_low = lowest(low, 2 * reach, of_reach=reach)
        wide_high = highest(high, 2 * reach, of_reach=reach)
        step = high[core] - low[core]
        found = free & (step > np.maximum(least, _SATURATED * (wide_high[core] - wide_low[core])))
        found &= _beside(here >= (low + high) / 2)[core]
        free &= ~found
        if reach > 1:
            # Between surfaces that really end there one pixel takes the whole step.
            found &= highest(steepest, reach)[core] < _SHARPEST * step
        edges[tile][found] = number
        large = np.minimum(step[found] / (_LARGE_STEPS * least), 1)
        weights[number - 1] = (large**2).sum()
        low, high = wide_low, wide_high
    return weights


def _votes(
    disparity: FloatMap,
    image: ImageArray,
    at: npt.NDArray[np.intp],
    reach: npt.NDArray[np.uint16],
    low: FloatMap,
    high: FloatMap,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Ask the pixels around, which are on one of the two surfaces, whose colour is that of the pixel.

    Returns:
        (n,) the share of the nearer surface in the votes, and (2, n) what the voters of the farther and of
        the nearer surface say the disparity is.
    """
    height, width = disparity.shape
    rows, cols = np.divmod(at, width)
    flat, band, colors = disparity.ravel(), reach.ravel(), image.reshape(-1, 3)
    bottom, top, size = low.ravel()[at], high.ravel()[at], reach.ravel()[at].astype(np.float32)
    step = np.maximum(top - bottom, 1e-30)
    own = colors[at].astype(np.float32)
    votes = np.full((2, len(at)), 1e-6, dtype=np.float32)
    fits = [_Plane(base) for base in (bottom, top)]
    for number in range(_SAMPLES):
        # A sunflower's pattern, evenly over a disc.
        rho = math.sqrt((number + 0.5) / _SAMPLES)
        turn = number * math.pi * (3 - math.sqrt(5))
        far = rho * (3 * size + 1)
        row = np.rint(rows + far * math.sin(turn)).astype(np.intp).clip(0, height - 1)
        col = np.rint(cols + far * math.cos(turn)).astype(np.intp).clip(0, width - 1)
        there = row * width + col
        down, right = ((row - rows) / size).astype(np.float32), ((col - cols) / size).astype(np.float32)
        value = flat[there]
        level = (value - bottom) / step
        unlike = np.square(colors[there] - own).sum(axis=1)
        weight = np.exp(-unlike / (2 * _COLOR_SIGMA**2) - 2 * rho**2) + 1e-4
        firm = band[there] == 0
        trust = weight * np.where(firm, 1, _INSIDE_TRUST)
        for side, (speaks, near) in enumerate(
            ((level <= _SIDE, level < 0.5), (level >= 1 - _SIDE, level >= 0.5))
        ):
            votes[side] += weight * speaks
            like = np.exp(-(((level - side) / _LIKE) ** 2))
            fits[side].add(trust * like * (speaks | (near & firm)), firm, right, down, value)
    votes[1] *= np.exp(_PRIOR * ((flat[at] - bottom) / step - 0.5))
    sides = np.stack([fit.here(_MOST_EXTRAPOLATED * step) for fit in fits])
    return votes[1] / votes.sum(axis=0), sides


class _Plane:
    """A plane through weighted values around each of many pixels, by least squares with a prior for level."""

    def __init__(self, base: npt.NDArray[np.float32]) -> None:
        self.base = base
        self.moments = np.zeros((9, len(base)), dtype=np.float32)
        self.firm = np.zeros(len(base), dtype=np.float32)
        self.moments[0] = 1e-9

    def add(
        self,
        weight: npt.NDArray[np.float32],
        firm: BoolMap,
        x: npt.NDArray[np.float32],
        y: npt.NDArray[np.float32],
        value: npt.NDArray[np.float32],
    ) -> None:
        """Add one value for each pixel, at (x, y) from it; `firm` where it is not on a ramp."""
        v = value - self.base
        self.firm += weight * firm
        one = np.ones_like(v)
        for moment, factor in zip(
            self.moments, (one, x, y, x * x, x * y, y * y, v, x * v, y * v), strict=True
        ):
            moment += weight * factor

    def here(self, most: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Give the plane's value at the pixels, no farther than `most` from the mean."""
        mean = self.moments / self.moments[0]
        _, x, y, xx, xy, yy, v, xv, yv = mean
        xx, xy, yy = xx - x * x + _LEVEL_PRIOR, xy - x * y, yy - y * y + _LEVEL_PRIOR
        xv, yv = xv - x * v, yv - y * v
        determinant = xx * yy - xy * xy
        slope_x, slope_y = (yy * xv - xy * yv) / determinant, (xx * yv - xy * xv) / determinant
        # Pixels on the ramp itself show its slope, not the surface's.
        change = -(slope_x * x + slope_y * y) * (self.firm / self.moments[0])
        return np.asarray(self.base + v + np.clip(change, -most, most), dtype=np.float32)


def _agreed(nearer: FloatMap, reach: npt.NDArray[np.uint16]) -> BoolMap:
    """Decide for a side, each pixel in agreement with those around it; `nearer` is changed in place."""
    import cv2

    inside = (reach > 0).astype(np.float32)
    nearer *= inside
    near = np.zeros(reach.shape, dtype=np.bool_)
    for size in (int(k) for k in np.unique(reach[reach > 0])):
        sigma = max(_AGREEMENT_PX, _AGREEMENT_SHARE * size)
        votes, count = (cv2.GaussianBlur(x, (0, 0), sigma) for x in (nearer, inside))
        near |= (votes > 0.5 * count) & (reach == size)
    return near


def _restore(
    result: FloatMap,
    disparity: FloatMap,
    near: BoolMap,
    reach: npt.NDArray[np.uint16],
    low: FloatMap,
    high: FloatMap,
) -> None:
    """Give thin things in `result` the height back that they lost when the map was smoothed.

    Smoothing keeps the mean: what a rod stands out from its background, summed over a window, is the same
    before and after. Only of things that are thinner than the ramps beside them the height is unknown.
    """
    import cv2

    band = reach > 0

    def mean(values: FloatMap, side: int) -> FloatMap:
        """Average over a window what is in the band; `values` are changed in place."""
        values[~band] = 0
        return np.asarray(cv2.blur(values, (side, side)))

    for size in (int(k) for k in np.unique(reach[band])):
        # Outside the band a side is told by the middle between the sides nearby.
        window = 6 * size + 1
        middle = low + high
        middle /= 2
        middle = mean(middle, window)
        count = mean(band.astype(np.float32), window)
        solid = np.where(band, near, (count > 0) & (disparity * count >= middle)).astype(np.uint8)
        del middle, count
        thin = near & (reach == size) & (cv2.morphologyEx(solid, cv2.MORPH_OPEN, _square(size)) == 0)
        if not thin.any():
            continue
        before, after = (mean(x - low, window)[thin] for x in (disparity, result))
        ratio = np.clip(before / np.maximum(after, 1e-30), 1, _MOST_RESTORED)
        raised = low[thin] + (result[thin] - low[thin]) * ratio
        # A speck is no nearer than all that the map shows around it.
        _, areas, figures, _ = cv2.connectedComponentsWithStats(thin.astype(np.uint8), connectivity=8)
        length = np.maximum(figures[:, cv2.CC_STAT_WIDTH], figures[:, cv2.CC_STAT_HEIGHT])
        speck = (length < _LEAST_LENGTH * size)[areas[thin]]
        del areas
        top = np.maximum(highest(disparity, 3 * size)[thin], result[thin])
        result[thin] = np.where(speck, np.minimum(raised, top), raised)


def _beside(inside: BoolMap) -> BoolMap:
    """Find the pixels on both sides of a region's outline."""
    import cv2

    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    region = inside.astype(np.uint8)
    return np.asarray(cv2.dilate(region, cross) != cv2.erode(region, cross))


def _steepest(values: FloatMap) -> FloatMap:
    """Find the largest difference between each pixel and the next ones down and to the right."""
    steepest = np.zeros_like(values)
    steepest[:-1] = np.abs(np.diff(values, axis=0))
    np.maximum(steepest[:, :-1], np.abs(np.diff(values, axis=1)), out=steepest[:, :-1])
    return steepest


def _square(reach: int) -> npt.NDArray[np.uint8]:
    return np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)


def _extremes(values: FloatMap, reach: int) -> tuple[FloatMap, FloatMap]:
    return lowest(values, reach), highest(values, reach)
