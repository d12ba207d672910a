"""`flying_pixels`: pixels whose depth lies between a near and a far surface, where there is nothing.

A camera's silhouette pixels mix two surfaces, and so does every resize: a network's map, scaled up,
turns each jump into a ramp many pixels wide. Lifted to 3D these are points that hang in the air.

The test works in inverse depth q = 1/z, in which every plane is affine in the pixel coordinates. So
a plane that continues from both sides of a pixel predicts its value exactly, however slanted it is and
however near the horizon, and no floor is ever taken for an edge. (First-order tests in z, such as
`|grad z| > 0.05 m`, delete half of a perfect floor.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from depth3d.accel.threads import asked_threads, usable_cpus
from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError
from depth3d.lift.border_flares import border_flares
from depth3d.lift.steep_pixels import steep_pixels

__all__ = ["flying_pixels"]

_SHARE_OF_GAP = 0.05
"""How far from either side, as a share of the gap, a value must be to count as between."""

_SHARE_OF_SLOPE = 0.25
"""How steep a pixel must be, against a ramp that spreads the gap evenly over the window."""

_MOST_CONTINUED = 0.5
"""How much of the gap a side may climb by itself, continued to the pixel: beyond, it is no side but
part of the ramp."""

_SHARPEST_JUMP = 2.5
"""How much steeper than the pixel its ramp may be elsewhere: a smoothed ramp is steepest amid and
levels off, but one pixel's jump beside a slope is the silhouette of a real surface."""

_STEEPEST_SURFACE = math.tan(math.radians(80))
"""A ramp that could be a surface facing the camera within 80 degrees is left alone, for one side of a
box between two others looks like a ramp too. (With a field of view of 53 degrees, as the camera is
not known here.)"""

_DEFAULT_WIDTH_SHARE = 1 / 28
_LEAST_DEFAULT_WIDTH_PX = 4
"""Widest ramp looked for, as a share of the longer side: a network patch of 14 pixels is 1/37 to 1/49 of
the network's longer side, and a bilinear ramp with some smoothing is wider than one patch."""

_LEVELS_OF_NOISE = 5
"""How many levels of a quantised map, or times the noise, a gap must exceed."""

_MIN_PIXELS_PER_LEVEL = 30
"""Values that so many pixels share on average are levels: a continuous map hardly repeats any."""

_MIN_LEVELS = 32
"""A map of fewer values is a drawing of flat layers, whose levels are no noise."""

_QUANTUM_SAMPLE = 1 << 18
"""Pixels, evenly spread, that are looked at for levels."""

_MOST_THREADS = 4
"""Each takes the memory of a band."""

_PIXELS_PER_BAND = 1 << 19
"""Rows are judged in bands of about this many pixels or as many as the widest look takes, which bounds the
memory."""


def flying_pixels(
    depth: DepthMap, *, tolerance: float = 0.03, max_width_px: int | None = None, noise_per_m: float = 0.0
) -> BoolMap:
    """Find pixels that hang between a near and a far surface.

    A pixel is flying if in one of four directions all of this holds, at one of several distances r:
    the surfaces on both sides, continued as planes, disagree at the pixel by more than `tolerance`;
    the pixel's value lies between theirs; and it lies on a slope, steeper than either side's, that
    leads from one to the other without a jump. The last keeps a real object that stands between a near
    and a far one. The slope must be steeper than a surface facing the camera within 80 degrees, and
    the gap wider than a few levels where the map is quantised.

    Flying are also the pixels that `border_flares` finds.

    Left alone are planes at any slant up to the horizon, creases, spheres, thin bars at their own
    depth, and whatever has an unknown pixel or the border where evidence would be needed.

    Args:
        depth: (H, W) metric map.
        tolerance: Smallest jump that counts as an edge, as a share of the nearer side's inverse depth:
            0.03 lets surfaces that are 3 % of their distance apart pass as one.
        max_width_px: Widest ramp to look for, in pixels; None takes 1/28 of the longer side
            (4 at least), which suits maps that were scaled up from a network's patches. For a sensor or
            a rendering at its own resolution 2 is enough, and faster.
        noise_per_m: What 1/z may be off by, in 1/m, such as one level of 8-bit depth: a gap of up to
            five times that is no edge. Maps that still hold their levels need not say so.

    Returns:
        (H, W) bool, true on flying pixels; never true where the depth is unknown.

    Raises:
        NeedsMetricError: The map is relative.
        InputError: The tolerance is not between 0 and 1, the width is not positive, or the noise is
            negative.
    """
    depth.require_metric("flying_pixels()")
    if not (isinstance(tolerance, int | float | np.number) and 0 < tolerance < 1):
        raise InputError(f"the flying-pixel tolerance must lie between 0 and 1, got {tolerance!r}; try 0.03")
    longer = max(depth.size_wh)
    width_px = (
        max(_LEAST_DEFAULT_WIDTH_PX, math.ceil(longer * _DEFAULT_WIDTH_SHARE))
        if max_width_px is None
        else max_width_px
    )
    if not (isinstance(width_px, int | float | np.number) and 1 <= width_px < math.inf):
        raise InputError(f"max_width_px must be at least 1 pixel, got {max_width_px!r}")
    if not (isinstance(noise_per_m, int | float | np.number) and 0 <= noise_per_m < math.inf):
        raise InputError(f"noise_per_m must be 0 or more in 1/m, got {noise_per_m!r}")
    scales = list(_scales(min(math.ceil(width_px), longer)))
    quantum = _quantum(depth.values)
    # Levels near the border are those of the rest.
    level = 0.0 if quantum is None else float(np.median(quantum[1]))
    mask = border_flares(depth, tolerance=tolerance, noise_per_m=max(noise_per_m, level))
    steepest = _STEEPEST_SURFACE / longer
    threads = min(asked_threads() or usable_cpus(), _MOST_THREADS)

    def mark(first: int) -> None:
        for rows, q, pad in _bands(depth.values, scales, first, threads):
            _mark_rows(q, pad, mask[rows], scales, tolerance, steepest, quantum, noise_per_m)

    with ThreadPoolExecutor(threads, thread_name_prefix="depth3d-flying") as pool:
        others = pool.map(mark, range(1, threads))  # each has bands of its own
        mark(0)  # here, where there is memory that is free
        list(others)
    return mask


def _scales(width_px: int) -> Iterator[tuple[int, int, int]]:
    """Yield (step of the local slope, distance of the sides, baseline of a side's slope) in pixels.

    Distances grow as 1, 2, 3, 4, 6, 8, 12, 16 and so on, up to a ramp's width: seen from its ends, one
    side is that far.
    """
    r = 1
    while True:
        for distance in (r, r + r // 2) if r > 1 else (r,):
            r_capped = min(distance, width_px)
            yield max(1, r // 4), r_capped, max(1, r_capped // 2)
            if distance >= width_px:
                return
        r *= 2


def _bands(
    z: FloatMap, scales: list[tuple[int, int, int]], begin: int, every: int
) -> Iterator[tuple[slice, FloatMap, int]]:
    """Yield some rows, their inverse depth with what is around, unknown beyond the picture, and how much.

    Of all bands it is the one numbered `begin`, and each that comes `every` so many later.
    """
    height, width = z.shape
    pad = max(r + outer for _, r, outer in scales)
    n_rows = min(max(pad, _PIXELS_PER_BAND // width), height)
    if begin * n_rows >= height:
        return
    q = np.full((n_rows + 2 * pad, width + 2 * pad), np.nan, dtype=np.float32)
    for top in range(begin * n_rows, height, every * n_rows):
        first, last = max(top - pad, 0), min(top + n_rows + pad, height)
        inside = q[pad + first - top : pad + last - top, pad:-pad]
        np.divide(1.0, z[first:last], out=inside)
        q[pad + last - top :] = np.nan
        yield slice(top, min(top + n_rows, height)), q, pad


def _quantum(z: FloatMap) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Find the levels of a quantised map and the spacing at each, or None for a continuous one.

    Eight-bit disparity has 256 levels, a structured-light sensor some 2000. On a slanted surface two
    steps of one level in a row look like an edge, and far away one level can be a tenth of the depth.
    """
    thinning = max(1, math.isqrt(z.size // _QUANTUM_SAMPLE))
    known = 1.0 / z[::thinning, ::thinning]
    known = known[~np.isnan(known)]
    # Where a few hold too many values already, all need not be sorted.
    if len(np.unique(known[::8])) * _MIN_PIXELS_PER_LEVEL > known.size:
        return None
    levels, counts = np.unique(known, return_counts=True)
    if len(levels) < _MIN_LEVELS or counts.mean() < _MIN_PIXELS_PER_LEVEL:
        return None
    steps = np.diff(levels.astype(np.float64))
    # The tightest of the steps around a level: a wider one only says that nothing stands there.
    around = np.lib.stride_tricks.sliding_window_view(np.pad(steps, 4, constant_values=np.inf), 8)
    return levels.astype(np.float64), around.min(axis=1)


def _mark_rows(
    q: FloatMap,
    pad: int,
    mask: BoolMap,
    scales: list[tuple[int, int, int]],
    tolerance: float,
    steepest: float,
    quantum: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None,
    noise_per_m: float,
) -> None:
    """Set `mask` from the padded inverse depth.

    Few pixels are steep on both sides. Only these are looked at closely, one distance after the other.
    """
    stride, (height, width) = q.shape[1], mask.shape
    flat, marks = q.reshape(-1), mask.reshape(-1)
    distances: dict[int, list[tuple[int, int]]] = {}
    for step, r, outer in scales:
        distances.setdefault(step, []).append((r, outer))
    least = {}
    for step, some in distances.items():
        loosest = _SHARE_OF_SLOPE * tolerance / (2 * max(r for r, _ in some))
        least[step] = step * max(loosest, steepest)
    for step, one, at, slope in steep_pixels(q, pad, (height, width), least):
        where = (at // stride - pad) * width + at % stride - pad
        new = ~marks[where]
        where, at, slope = where[new], at[new], slope[new]
        for r, outer in distances[step]:
            found = _steeper_than_sides(flat, at, slope, one, r, outer, tolerance)
            gaps = _gaps_around(flat, at[found], slope[found], one, r, outer, tolerance)
            gaps[gaps <= _LEVELS_OF_NOISE * noise_per_m] = 0
            if quantum is not None:
                gaps[gaps <= _LEVELS_OF_NOISE * np.interp(flat[at[found]], *quantum)] = 0
            found = found[gaps > 0]
            if r > 2 and found.size:
                found = found[_without_jump(flat, at[found], slope[found], one, r, step)]
            marks[where[found]] = True


def _steeper_than_sides(
    flat: npt.NDArray[np.float32],
    at: npt.NDArray[np.intp],
    slope: npt.NDArray[np.float32],
    one: int,
    r: int,
    outer: int,
    tolerance: float,
) -> npt.NDArray[np.intp]:
    """Find the few pixels that are steep enough beside both sides: on a plane there are none."""
    found = np.arange(at.size)
    needed = np.abs(slope) - np.float32(_SHARE_OF_SLOPE * tolerance / (2 * r)) * flat[at]
    for near, far in ((-r, -r - outer), (r + outer, r)):
        pixels = at[found]
        side = (flat[pixels + near * one] - flat[pixels + far * one]) * np.sign(slope[found])
        found = found[side < needed[found] * np.float32(outer)]
    return found


def _gaps_around(
    flat: npt.NDArray[np.float32],
    at: npt.NDArray[np.intp],
    slope: npt.NDArray[np.float32],
    one: int,
    r: int,
    outer: int,
    tolerance: float,
) -> npt.NDArray[np.float32]:
    """Measure the gaps in whose ramp the pixels lie, between surfaces r steps away on either side.

    Args:
        flat: Padded inverse depth, flattened.
        at: Indices of the pixels in `flat`.
        slope: The gentler of their two one-sided slopes, a step.
        one: Offset in `flat` of one step.
        r: Steps to the nearest pixel of each side.
        outer: Steps from there to the pixel that gives the side's slope.
        tolerance: As for `flying_pixels`.

    Returns:
        The gap in inverse depth for each pixel that lies on a ramp, 0 for the others.
    """
    sense = np.sign(slope)
    value = flat[at]
    low, low_outer = flat[at - r * one], flat[at - (r + outer) * one]
    high, high_outer = flat[at + r * one], flat[at + (r + outer) * one]
    # Slopes in the sense of the ramp. A side that turns back has its summit or valley on the way.
    low_slope = np.maximum((low - low_outer) * sense, 0) / np.float32(outer)
    high_slope = np.maximum((high_outer - high) * sense, 0) / np.float32(outer)
    low_top, high_top = low * sense, high * sense
    for part in (r // 4, r // 2, r * 3 // 4):
        if part:
            low_top = np.minimum(low_top, flat[at - part * one] * sense)
            high_top = np.maximum(high_top, flat[at + part * one] * sense)
    low = np.where(low_slope > 0, low + sense * low_slope * r, low_top * sense)
    high = np.where(high_slope > 0, high - sense * high_slope * r, high_top * sense)
    gap = (high - low) * sense
    away = np.float32(_SHARE_OF_GAP) * gap
    steeper = np.abs(slope) - np.maximum(low_slope, high_slope)
    # NaN compares false: no evidence, no verdict.
    on_ramp = (
        (gap > tolerance * np.maximum(low, high))
        & ((value - low) * sense > away)
        & ((high - value) * sense > away)
        & (steeper * (2 * r) > np.float32(_SHARE_OF_SLOPE) * gap)
        & (np.maximum(low_slope, high_slope) * r < np.float32(_MOST_CONTINUED) * gap)
    )
    return np.where(on_ramp, gap, np.float32(0))


def _without_jump(
    flat: npt.NDArray[np.float32],
    at: npt.NDArray[np.intp],
    slope: npt.NDArray[np.float32],
    one: int,
    r: int,
    step: int,
) -> BoolMap:
    """Tell which pixels' slope accounts for the gap, rather than a jump elsewhere in the window."""
    reach = np.arange(-(r // step), r // step + 1) * (step * one)
    sharpest = np.abs(np.diff(flat[at[:, None] + reach[None, :]], axis=1)).max(axis=1) / np.float32(step)
    # NaN compares false: no evidence, no verdict.
    calm: BoolMap = sharpest < np.float32(_SHARPEST_JUMP) * np.abs(slope)
    # A wide baseline spreads a jump over its pixels. Pixel by pixel a jump is a step far larger than those
    # before and after it; a ramp that was scaled up has none, however it bends.
    reach = np.arange(-r - 1, r + 2) * one
    steps = np.abs(np.diff(flat[at[calm, None] + reach[None, :]], axis=1))
    lone = (steps[:, 1:-1] - np.maximum(steps[:, :-2], steps[:, 2:])).max(axis=1)
    calm[calm] = lone < np.abs(slope[calm])
    return calm
