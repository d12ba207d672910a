"""What a depth map says at a pixel of its photo: a robust reading that does not mix two surfaces.

Readings are made where inverse depth is at home, in disparity or 1/z: there a plane is a plane.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.depth import DepthMap

__all__ = ["Readings", "read_box", "read_values"]

_Array: TypeAlias = npt.NDArray[np.float64]
_Flags: TypeAlias = npt.NDArray[np.bool_]

_WINDOW_SHARE = 0.02
_SHORTEST_REACH_PX = 2
_SAMPLES_A_SIDE = 11
_COARSE_A_SIDE = 5
"""Of a large window so many rows and columns are read: the time does not grow with the photo."""
_BOX_SAMPLES_A_SIDE = 128
_LEAST_SHARE_OF_BOX = 0.15
"""Of a box that its nearer surface must fill: less is something that reaches into it."""
_SAMPLES_AT_ONCE = 1 << 16

_BIMODAL = 10.0
"""Squared distance of two surfaces' means over the sum of their variances. Split at its middle, a plane has 6
at most (a ramp along an axis) and noise 3.5; two surfaces with a quarter of the window in between have 12."""
_LEAST_STEP = 0.02
"""What counts as a step between two surfaces, as a share of the map's spread, or of 1/z of a metric map: more
than the levels of an 8-bit map."""
_RAMP = 0.25
"""How far off a surface a value must lie, as a share of the step to the next one, to hang between the two."""
_LEAST_SHARE = 0.05
"""Of a window that a surface fills: a line of one pixel across does, some outliers do not."""
_BESIDE = 0.75
"""How near another surface must come to count as beside the position, as a share of the window's reach."""
_FEWEST = 3
_FEWEST_FOR_SLOPE = 6
_THINNEST = 0.05
"""Product over squared sum of the variances along and across a strip that is wide enough to show a slope."""
_SIGMA_OF_MAD = 1.4826  # of a normal distribution


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What a map says at n places.

    Attributes:
        value: (n,) disparity of a relative map, z in metres of a metric one; NaN outside the picture and
            where the map knows nothing.
        sigma: (n,) how far the values around scatter about their own slope, in the same unit; where
            `at_edge`, half the step to the other surface at least.
        at_edge: (n,) whether the place hangs between two surfaces, so that `value` may be the wrong one's.
        other: (n,) what another surface beside the place has there; NaN where there is none.
    """

    value: _Array
    sigma: _Array
    at_edge: _Flags
    other: _Array

    def __getitem__(self, rows: npt.NDArray[np.intp]) -> Readings:
        return Readings(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def read_values(
    depth: DepthMap, uv_px: npt.ArrayLike, size_wh: tuple[int, int], *, coarse: bool = False
) -> Readings:
    """Read a map at positions of its photo.

    Around each position a square window is read, with a side of 1/50 of the map's diagonal and of 5 pixels at
    least: wider than a network blurs a silhouette, so that both surfaces are seen from between them, and
    about a patch of it, below which it is smooth. Where its values fall into two heaps (Otsu's threshold, "A
    threshold selection method from gray-level histograms", 1979), it shows two surfaces, and only the one
    that the position belongs to counts; the values on the blurred edge between are left out. Its slope is
    fitted and taken off, and the median of the rest is the reading, so that a plane is read exactly at any
    position and at any size of the map.

    Args:
        depth: The map, of any size.
        uv_px: (n, 2) pixels of the photo, pixel centres at +0.5.
        size_wh: (width, height) of the photo.
        coarse: Read windows half as wide at 5 x 5 places, for thousands of positions: a fifth of the time.

    Returns:
        The readings.
    """
    uv = np.asarray(uv_px, dtype=np.float64).reshape(-1, 2)
    xy = uv * (np.array(depth.size_wh) / np.array(size_wh))
    share, most = (0.5 * _WINDOW_SHARE, _COARSE_A_SIDE) if coarse else (_WINDOW_SHARE, _SAMPLES_A_SIDE)
    reach = max(_SHORTEST_REACH_PX, round(0.5 * share * float(np.hypot(*depth.size_wh))))
    along = np.linspace(-reach, reach, min(2 * reach + 1, most)).round().astype(np.intp)
    window = np.stack(np.meshgrid(along, along, indexing="xy"), axis=-1).reshape(-1, 2)
    spread = np.nan if depth.is_metric else _spread(depth)
    rows = max(1, _SAMPLES_AT_ONCE // len(window))
    parts = [_read(depth, xy[i : i + rows], window, spread) for i in range(0, len(xy), rows)]
    if not parts:
        return Readings(np.empty(0), np.empty(0), np.empty(0, dtype=np.bool_), np.empty(0))
    value, sigma, at_edge, other = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return _as_stored(depth, value, sigma, at_edge.astype(np.bool_), other)


def read_box(
    depth: DepthMap, box_px: tuple[float, float, float, float], size_wh: tuple[int, int]
) -> Readings:
    """Read what stands in a box of the photo: of two surfaces the nearer one.

    Args:
        depth: The map, of any size.
        box_px: (left, top, right, bottom) in pixels of the photo.
        size_wh: (width, height) of the photo.

    Returns:
        One reading: the median of the nearer heap where the values fall into two, as for `read_values`, and
        of the box's middle third each way where they do not.
    """
    left, top, right, bottom = (
        side * scale
        for side, scale in zip(box_px, 2 * (depth.width / size_wh[0], depth.height / size_wh[1]), strict=True)
    )
    cols, rows = (
        np.unique(
            np.clip(np.linspace(low, high, 2 * _BOX_SAMPLES_A_SIDE + 1)[1::2].astype(np.intp), 0, side - 1)
        )
        for low, high, side in ((left, right, depth.width), (top, bottom, depth.height))
    )
    values = depth.values[np.ix_(rows, cols)].astype(np.float64)
    values = 1 / values if depth.is_metric else values
    flat = values.reshape(1, -1)
    least = _LEAST_STEP * (np.abs(_median(flat)) if depth.is_metric else np.array([_spread(depth)]))
    threshold, _, split = _split(flat, least)
    nearer = np.where(flat > threshold, flat, np.nan)
    if split[0] and np.isfinite(nearer).mean() >= _LEAST_SHARE_OF_BOX:
        thing, other = nearer, _median(np.where(flat > threshold, np.nan, flat))
    else:
        thing, other = values[_middle(len(rows)), _middle(len(cols))].reshape(1, -1), np.array([np.nan])
    value = _median(thing)
    sigma = _SIGMA_OF_MAD * _median(np.abs(thing - value))
    return _as_stored(depth, value, sigma, np.array([False]), other)


def _middle(count: int) -> slice:
    return slice(count // 3, count - count // 3)


def _as_stored(depth: DepthMap, value: _Array, sigma: _Array, at_edge: _Flags, other: _Array) -> Readings:
    """Turn inverse depths back into what the map holds."""
    if depth.is_metric:
        with np.errstate(divide="ignore", invalid="ignore"):
            value, other = (np.where(q > 0, 1 / q, np.nan) for q in (value, other))
        sigma = sigma * value**2
    return Readings(value, sigma, at_edge, other)


def _spread(depth: DepthMap) -> float:
    """Tell how far apart the map's nearer and farther values are."""
    step = max(1, int(np.hypot(*depth.size_wh)) // 200)
    known = depth.values[::step, ::step]
    known = known[np.isfinite(known)]
    return float(np.subtract(*np.percentile(known, [98, 2]))) if known.size else 0.0


def _read(
    depth: DepthMap, xy: _Array, window: npt.NDArray[np.intp], spread: float
) -> tuple[_Array, _Array, _Flags, _Array]:
    """Read inverse depth at (n, 2) positions in pixels of the map."""
    size = np.array(depth.size_wh)
    with np.errstate(invalid="ignore"):
        inside = np.all((xy >= 0) & (xy <= size), axis=1)
    own = np.minimum(np.floor(np.where(inside[:, None], xy, 0)), size - 1).astype(np.intp)
    pixels = own[:, None] + window
    held = np.clip(pixels, 0, size - 1)
    values = depth.values[held[..., 1], held[..., 0]].astype(np.float64)
    values[np.any(held != pixels, axis=-1)] = np.nan
    if depth.is_metric:
        values = 1 / values
    centre = values[:, len(window) // 2]
    offsets = pixels + 0.5 - xy[:, None]
    readable = inside & np.isfinite(centre)
    values[~readable] = np.nan

    least = _LEAST_STEP * (np.abs(centre) if depth.is_metric else np.full(len(centre), spread))
    threshold, step, split = _split(values, least)
    above = values > threshold[:, None]
    known = np.isfinite(values).sum(axis=1)
    above_share: _Array = above.sum(axis=1) / np.maximum(known, 1)
    few: _Flags = split & (np.minimum(above_share, 1 - above_share) < _LEAST_SHARE)
    if few.any():  # no surface but outliers, and another surface may hide behind them
        values[few[:, None] & (above == (above_share < 0.5)[:, None])] = np.nan
        threshold[few], step[few], split[few] = _split(values[few], least[few])
    to_own = own + 0.5 - xy
    value, sigma, _, _ = _level(values, offsets, to_own)
    at_edge, other = np.zeros(len(xy), dtype=np.bool_), np.full(len(xy), np.nan)
    if split.any():
        value[split], sigma[split], at_edge[split], other[split] = _read_split(
            values[split], threshold[split], step[split], offsets[split], to_own[split], centre[split]
        )
    return value, sigma, at_edge, other


def _read_split(
    values: _Array, threshold: _Array, step: _Array, offsets: _Array, to_own: _Array, centre: _Array
) -> tuple[_Array, _Array, _Flags, _Array]:
    """Read windows with two surfaces: the one that the centre is nearer to, and the other one."""
    away = np.abs(offsets).max(axis=2)
    limit = _BESIDE * away.max(axis=1)
    surfaces, beside = [], []
    for side in (values <= threshold[:, None], values > threshold[:, None]):
        heap = np.where(side, values, np.nan)
        core: _Flags = np.abs(heap - _median(heap)[:, None]) <= _RAMP * step[:, None]
        core |= ~np.any(core, axis=1, keepdims=True) & side
        surfaces.append(_level(np.where(core, heap, np.nan), offsets, to_own))
        beside.append(np.where(core, away, np.inf).min(axis=1) <= limit)
    level, scatter, at_own, count = (np.stack(columns) for columns in zip(*surfaces, strict=True))
    miss = np.abs(centre - at_own)
    # A surface goes on around the own pixel; what has no neighbours there is an outlier, and does not count.
    wide = math.isqrt(values.shape[1])
    same = np.equal(values > threshold[:, None], (centre > threshold)[:, None]) & np.isfinite(values)
    around = same.reshape(-1, wide, wide)
    alone = around[:, wide // 2 - 1 : wide // 2 + 2, wide // 2 - 1 : wide // 2 + 2].sum(axis=(1, 2)) < _FEWEST
    mine, rows = np.where(alone, np.argmax(count, axis=0), np.argmin(miss, axis=0)), np.arange(len(centre))
    between = np.abs(level[1] - level[0])
    at_edge = ~alone & ((miss[mine, rows] > _RAMP * between) | (count[mine, rows] < _FEWEST))
    sigma = np.where(at_edge, np.maximum(scatter[mine, rows], between / 2), scatter[mine, rows])
    there = ~alone & np.stack(beside)[1 - mine, rows] & (count[1 - mine, rows] >= _FEWEST)
    other = np.where(there, level[1 - mine, rows], np.nan)
    return level[mine, rows], sigma, at_edge, other


def _split(values: _Array, least: _Array) -> tuple[_Array, _Array, _Flags]:
    """Find two heaps in each row: the threshold between, the distance of their means, whether it is two."""
    if values.shape[1] < 2:
        return values[:, 0], np.zeros(len(values)), np.zeros(len(values), dtype=np.bool_)
    count = np.isfinite(values).sum(axis=1)
    ordered = np.sort(values, axis=1)  # NaN last
    origin = np.nan_to_num(ordered[:, :1])  # for the squares' sake
    shifted = np.nan_to_num(ordered - origin)
    low_count = np.arange(1, values.shape[1])
    high_count = count[:, None] - low_count
    sums, squares = np.cumsum(shifted, axis=1), np.cumsum(shifted**2, axis=1)
    low, low_square = sums[:, :-1] / low_count, squares[:, :-1] / low_count
    high_count_or_1 = np.maximum(high_count, 1)
    high = (sums[:, -1:] - sums[:, :-1]) / high_count_or_1
    high_square = (squares[:, -1:] - squares[:, :-1]) / high_count_or_1
    between = np.where(high_count > 0, low_count * high_count * (high - low) ** 2, -1.0)
    at = np.argmax(between, axis=1)
    rows = np.arange(len(values))
    step = (high - low)[rows, at]
    within = ((low_square - low**2) + (high_square - high**2))[rows, at]
    split = (count >= 2) & (step > least) & (step**2 > _BIMODAL * within)
    threshold = 0.5 * (ordered[rows, at] + ordered[rows, np.minimum(at + 1, values.shape[1] - 1)])
    return threshold, step, split


def _level(
    values: _Array, offsets: _Array, own: _Array
) -> tuple[_Array, _Array, _Array, npt.NDArray[np.intp]]:
    """Take the slope off each row's values, those far from it left out.

    Args:
        values: (n, k), NaN for what does not count.
        offsets: (n, k, 2) where they are, from the position that is read.
        own: (n, 2) where the own pixel's centre is, from there.

    Returns:
        (n,) level at the position, scatter, level at the own pixel's centre, number of values.
    """
    slope: _Array = np.zeros((len(values), 2))
    for sloping in (False, True, True):  # first without: a slope would lean on what is far off
        if sloping:
            slope = _slope(values, offsets)
        flat = values - (offsets[..., 0] * slope[:, :1] + offsets[..., 1] * slope[:, 1:])
        level = _median(flat)
        off = np.abs(flat - level[:, None])
        scatter = _SIGMA_OF_MAD * _median(off)
        beyond = off > 3 * scatter[:, None] + 1e-6 * np.abs(level[:, None])
        values = np.where(beyond, np.nan, values)
    return level, scatter, level + np.einsum("nc,nc->n", own, slope), np.isfinite(values).sum(axis=1)


def _slope(values: _Array, offsets: _Array) -> _Array:
    """Fit a plane to each row by least squares: its (n, 2) slope, 0 where values are too few or on a line."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    share = 1 / np.maximum(count, 1)
    v, x, y = (np.where(known, of, 0.0) for of in (values, offsets[..., 0], offsets[..., 1]))
    v, x, y = (of - known * (of.sum(axis=1) * share)[:, None] for of in (v, x, y))
    xx, xy, yy, xv, yv = (np.einsum("nk,nk->n", a, b) for a, b in ((x, x), (x, y), (y, y), (x, v), (y, v)))
    determinant = xx * yy - xy**2
    sound = (count >= _FEWEST_FOR_SLOPE) & (determinant > _THINNEST * (xx + yy) ** 2)
    determinant = np.where(sound, determinant, 1.0)
    slope = np.stack([yy * xv - xy * yv, xx * yv - xy * xv], axis=1) / determinant[:, None]
    return np.where(sound[:, None], slope, 0.0)


def _median(values: _Array) -> _Array:
    """Give the median of each row without its NaN; `numpy.nanmedian` takes ten times as long."""
    ordered = np.sort(values, axis=1)
    count = np.isfinite(values).sum(axis=1)
    rows = np.arange(len(values))
    upper = np.minimum(count // 2, values.shape[1] - 1)
    lower = np.maximum(count - 1, 0) // 2
    return np.asarray(0.5 * (ordered[rows, lower] + ordered[rows, upper]))
