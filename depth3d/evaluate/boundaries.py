"""Whether depth jumps where it should: the scale-invariant boundary F1 of Depth Pro.

A pair of pixels in a row or column is a boundary at threshold t if the depth of one exceeds the other's by
more than t per cent; which of the two is nearer counts as well. At each of ten thresholds from 5 to 25 the
boundaries of two maps are compared, and the F1 values are averaged with weights proportional to t.

Four things differ from the published metric (Bochkovskii et al., "Depth Pro", ICLR 2025, section on
boundary metrics): pairs count for all four directions together, as one by one a perfect map of a single
upright edge would score 1/4; a threshold that neither map exceeds anywhere is left out; the weights are those
of the paper's text, more for high thresholds, where its code has 1 + t/100, all but equal; and the two pixels
of a pair may be more than one apart. So numbers compare among themselves, not with those of the paper.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatArray
from depth3d.errors import InputError

__all__ = ["boundary_f1"]

_PER_CENT = np.linspace(5.0, 25.0, 10)
_SPAN_PERCENTILES = (2.0, 98.0)

_Levels = npt.NDArray[np.intp]
"""How many of the thresholds a pair exceeds, so that all of them are counted at once."""


def boundary_f1(
    disparity: FloatArray, truth: FloatArray, *, relative: bool = False, tolerance_px: int = 0
) -> float:
    """Compare the boundaries of two maps.

    Args:
        disparity: (H, W) inverse depth, aligned to `truth`; NaN where unknown.
        truth: (H, W) inverse depth; NaN where unknown.
        relative: Whether the disparities are known up to a shift, so that no ratio means anything. A
            boundary is then a difference of more than t per cent of the truth's span (2nd to 98th
            percentile).
        tolerance_px: The pixels that are compared are `1 + tolerance_px` apart. An edge that is m pixels
            off, or that is spread over m pixels, loses a share of about m / (1 + tolerance_px) instead of
            everything; at 0 it has to be right to the pixel, which suits only an exact truth.

    Returns:
        From 0 to 1, which is perfect. Pairs count only if both pixels are known in both maps. NaN where
        neither map has a boundary.

    Raises:
        InputError: Not two (H, W) maps of one shape, or a tolerance that is no whole number from 0.
    """
    if disparity.ndim != 2 or disparity.shape != truth.shape:
        raise InputError(
            f"the two maps must have one shape (H, W), got {disparity.shape} and {truth.shape}; resize one"
        )
    if int(tolerance_px) != tolerance_px or tolerance_px < 0:
        raise InputError(f"tolerance_px must be a whole number from 0, got {tolerance_px!r}")
    known = np.isfinite(disparity) & np.isfinite(truth)
    if not known.any():
        return float("nan")
    if relative:
        span = _span(truth[known])
        if span == 0.0:
            return float("nan")
        cuts = span * _PER_CENT / 100.0
        ours, theirs = (np.where(known, d, np.nan).astype(np.float64) for d in (disparity, truth))
    else:
        cuts = np.log1p(_PER_CENT / 100.0)
        # A difference of logarithms is a ratio; inverse depths of 0 or less have none.
        ours, theirs = (
            np.log(np.where(known & (d > 0), d, np.nan), dtype=np.float64) for d in (disparity, truth)
        )

    found, true, right = np.zeros((3, len(cuts)))
    step = 1 + int(tolerance_px)
    for axis in (0, 1):
        a, b = (_differences(values, step, axis) for values in (ours, theirs))
        both = np.isfinite(a) & np.isfinite(b)
        a, b = a[both], b[both]
        level_a, level_b = np.searchsorted(cuts, np.abs(a)), np.searchsorted(cuts, np.abs(b))
        found += _exceeding(level_a)
        true += _exceeding(level_b)
        right += _exceeding(np.where(a * b > 0, np.minimum(level_a, level_b), 0))
    there = found + true > 0
    if not there.any():
        return float("nan")
    f1 = 2 * right[there] / (found + true)[there]
    return float(np.average(f1, weights=_PER_CENT[there]))


def _differences(values: npt.NDArray[np.float64], step: int, axis: int) -> npt.NDArray[np.float64]:
    """Subtract from each pixel the one `step` before it."""
    size = values.shape[axis]
    later = np.arange(min(step, size), size)
    return values.take(later, axis) - values.take(later - step, axis)


def _exceeding(levels: _Levels) -> npt.NDArray[np.float64]:
    """Count, for each threshold, the pairs that exceed it."""
    exactly = np.bincount(levels, minlength=len(_PER_CENT) + 1)
    return exactly[::-1].cumsum()[::-1][1:].astype(np.float64)


def _span(known: FloatArray) -> float:
    """Give the span of most values, or of all where most are equal."""
    low, high = np.percentile(known, _SPAN_PERCENTILES)
    return float(high - low) or float(known.max() - known.min())
