"""`find_focus`: what a picture is focused on, by a point, a distance, a disparity, or by looking."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap
from depth3d.errors import InputError, NeedsMetricError

__all__ = ["Focus", "checked_point", "find_focus", "scaled_point"]

_WINDOW_SHARE = 0.006
"""Half a side of the window around a point, as a share of the picture's longer side."""
_ON_A_SIDE = 0.25
"""A pixel that is farther than this share of the gap from both sides of an edge stands on neither."""
_FEW = 0.12
"""Share of the window's pixels below which a part of them is no surface."""
_GAP_SHARE = 0.02
"""Least gap between two surfaces in a window, as a share of the picture's range of disparity."""

_MIDDLE_SIGMA = 0.18
"""Deviation, as a share of each side, of the weight with which `auto` looks at the picture's middle."""
_BINS = 64
_LARGE_SHARE = 0.12
"""Share of the weight from which a thing is large enough for `auto`."""


@dataclass(frozen=True, slots=True)
class Focus:
    """A plane of focus, parallel to the picture, and why it is there.

    Attributes:
        disparity: Of the plane, in the unit of the map: 1/m of metric ones; 0 is then the horizon.
        point: (u, v) in pixels of what it goes through, or None where nobody pointed.
        why: How it was found, as half a sentence.
    """

    disparity: float
    point: tuple[float, float] | None = None
    why: str = "given"


def find_focus(
    disparity: FloatMap,
    *,
    is_metric: bool,
    focus: tuple[float, float] | None = None,
    focus_m: float | None = None,
    focus_disparity: float | None = None,
    name: str = "focus",
) -> Focus:
    """Find the plane of focus; with nothing given, the nearest large thing around the middle.

    A point is read in a small window, since single pixels err. Where two surfaces meet in it, that one
    counts on which the point's own pixel stands, and the nearer one where it hangs between them, as in
    hair.

    Args:
        disparity: (H, W) float32, larger is nearer; every pixel is known.
        is_metric: Whether it is 1/z in 1/m.
        focus: (u, v) in pixels.
        focus_m: z in metres; infinity is the horizon.
        focus_disparity: In the unit of `disparity`.
        name: What errors call it.

    Raises:
        InputError: More than one is given, a point outside the picture, or an impossible distance.
        NeedsMetricError: A distance in metres for a relative map.
    """
    given = [
        one
        for one, value in (
            (name, focus), (f"{name}_m", focus_m), (f"{name}_disparity", focus_disparity)
        )
        if value is not None
    ]  # fmt: skip
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)} would each set the {name}; give one of them")
    if focus is not None:
        return _at_point(disparity, focus)
    if focus_m is not None:
        if not is_metric:
            raise NeedsMetricError(
                f"{name}_m needs metric depth, got a relative map; point at the subject ({name}=(u, v), "
                f"--{name} X,Y), or give the map metres"
            )
        if not focus_m > 0:
            raise InputError(f"{name}_m must be positive metres, got {focus_m!r}")
        return Focus(1 / focus_m, None, f"given as {focus_m:g} m")
    if focus_disparity is not None:
        if not math.isfinite(focus_disparity) or (is_metric and focus_disparity < 0):
            raise InputError(f"{name}_disparity must be a number in the map's unit, got {focus_disparity!r}")
        return Focus(float(focus_disparity), None, f"given as disparity {focus_disparity:g}")
    return _automatic(disparity)


def checked_point(point: tuple[float, float], size_wh: tuple[int, int]) -> tuple[float, float]:
    """Check that a point lies in a picture.

    Args:
        point: (u, v) in pixels.
        size_wh: Of the picture.

    Raises:
        InputError: It lies outside, or is no point.
    """
    width, height = size_wh
    try:
        u, v = (float(number) for number in point)
    except (TypeError, ValueError):
        raise InputError(f"a point must be (u, v) in pixels, got {point!r}") from None
    if not (0 <= u <= width and 0 <= v <= height):
        raise InputError(
            f"the point ({u:g}, {v:g}) lies outside the picture of {width}x{height} pixels; "
            "u counts from its left border, v from its upper one"
        )
    return u, v


def scaled_point(
    point: tuple[float, float], size_wh: tuple[int, int], to_wh: tuple[int, int]
) -> tuple[float, float]:
    """Find the place of a picture's point in the same picture of another size.

    Args:
        point: (u, v) in pixels of the picture.
        size_wh: Of the picture.
        to_wh: Of the other one.

    Raises:
        InputError: As `checked_point`, in pixels of the picture.
    """
    u, v = checked_point(point, size_wh)
    return min(u * (to_wh[0] / size_wh[0]), to_wh[0]), min(v * (to_wh[1] / size_wh[1]), to_wh[1])


def _at_point(disparity: FloatMap, point: tuple[float, float]) -> Focus:
    height, width = disparity.shape
    u, v = checked_point(point, (width, height))
    col, row = min(int(u), width - 1), min(int(v), height - 1)
    reach = max(2, round(_WINDOW_SHARE * max(disparity.shape)))
    window = disparity[max(row - reach, 0) : row + reach + 1, max(col - reach, 0) : col + reach + 1]
    values = np.sort(window, axis=None).astype(np.float64)
    where = f"read at ({u:g}, {v:g})"
    cut = _largest_gain(values)
    far, near = values[:cut], values[cut:]
    span = float(disparity.max() - disparity.min())
    few = min(len(far), len(near)) < _FEW * len(values)
    if few or np.median(near) - np.median(far) <= _GAP_SHARE * span:
        return Focus(float(np.median(values)), (u, v), where)
    sides = np.array([np.median(far), np.median(near)])
    gap = sides[1] - sides[0]
    distances = np.abs(sides - float(disparity[row, col]))
    # On a slope there is no gap: both halves reach to the middle.
    if near[0] - far[-1] < 0.25 * gap and _is_slope(window):
        return Focus(float(np.median(values)), (u, v), where)
    stands = distances.min() <= _ON_A_SIDE * gap
    side = int(distances.argmin()) if stands else 1
    return Focus(
        float(sides[side]), (u, v), f"{where}, on the {'nearer' if side else 'farther'} side of an edge"
    )


def _is_slope(window: FloatMap) -> bool:
    """Tell whether a plane explains most of what varies in a window."""
    v, u = np.mgrid[: window.shape[0], : window.shape[1]]
    columns = np.column_stack([u.ravel(), v.ravel(), np.ones(u.size)]).astype(np.float64)
    values = window.ravel().astype(np.float64)
    fitted, *_ = np.linalg.lstsq(columns, values, rcond=None)
    rest = values - columns @ fitted
    return bool(rest.var() < 0.04 * values.var())


def _largest_gain(ordered: npt.NDArray[np.float64]) -> int:
    """Split sorted values in two so that the variance between the parts is largest (Otsu 1979)."""
    count = np.arange(1, len(ordered))
    total = np.cumsum(ordered)
    low = total[:-1] / count
    high = (total[-1] - total[:-1]) / (len(ordered) - count)
    gain = count * (len(ordered) - count) * (high - low) ** 2
    return int(gain.argmax()) + 1 if len(gain) and gain.max() > 0 else 0


def _automatic(disparity: FloatMap) -> Focus:
    """Choose the nearest thing that fills a good part of the picture's middle."""
    height, width = disparity.shape
    down = np.exp(-0.5 * (((np.arange(height) + 0.5) / height - 0.5) / _MIDDLE_SIGMA) ** 2)
    across = np.exp(-0.5 * (((np.arange(width) + 0.5) / width - 0.5) / _MIDDLE_SIGMA) ** 2)
    weight = down[:, None] * across[None, :]
    low, high = float(disparity.min()), float(disparity.max())
    middle = (width / 2, height / 2)
    if high <= low:
        return Focus(low, middle, "auto: everything is equally far away")
    counts, edges = np.histogram(disparity, bins=_BINS, range=(low, high), weights=weight)
    smooth = np.convolve(np.pad(counts, 2, mode="edge"), np.array([1, 2, 3, 2, 1]) / 9, mode="valid")
    share = smooth / smooth.sum()
    start, stop = _nearest_mode(share)
    inside = (disparity >= edges[start]) & (disparity <= edges[stop])
    if not inside.any():
        inside = np.ones_like(inside)
    value = float(np.median(disparity[inside]))
    # The pixel of that thing which is nearest to the middle shows people where the focus is.
    rows, cols = np.nonzero(inside & (np.abs(disparity - value) <= (high - low) / _BINS))
    nearest = int(np.hypot(cols + 0.5 - middle[0], rows + 0.5 - middle[1]).argmin()) if len(rows) else -1
    point = (float(cols[nearest]) + 0.5, float(rows[nearest]) + 0.5) if len(rows) else middle
    where = f"({point[0]:.0f}, {point[1]:.0f})"
    return Focus(value, point, f"auto: on the nearest large thing around the middle, at {where}")


def _nearest_mode(share: npt.NDArray[np.float64]) -> tuple[int, int]:
    """Give the bins of the nearest hill that is large enough, else of the largest one."""
    last = len(share) - 1
    valleys = [k for k in range(1, last) if share[k] < share[k - 1] and share[k] <= share[k + 1]]
    borders = [0, *valleys, len(share)]
    hills = list(pairwise(borders))
    for start, stop in reversed(hills):
        if share[start:stop].sum() >= _LARGE_SHARE:
            return start, stop
    return max(hills, key=lambda hill: share[hill[0] : hill[1]].sum())
