"""Numbers for two maps: errors of depth, shares within a factor, and Spearman's rank correlation.

Each takes two arrays of one shape, counts the pixels that are known (finite) in both, and is NaN where it
is not defined. With d = ln z - ln z*, and means over these pixels:

    abs_rel   mean |z - z*| / z*        sq_rel    mean (z - z*)^2 / z*
    rmse      sqrt(mean (z - z*)^2)     rmse_log  sqrt(mean d^2)
    log10     mean |d| / ln 10          silog     sqrt(mean d^2 - lambda (mean d)^2)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from depth3d.core.arrays import FloatArray
from depth3d.errors import InputError

__all__ = ["abs_rel", "delta1", "log10", "rmse", "rmse_log", "silog", "spearman", "sq_rel", "within_factor"]


def abs_rel(depth_m: FloatArray, truth_m: FloatArray) -> float:
    """Give the mean of |z - z*| / z* (Eigen et al., NeurIPS 2014).

    Args:
        depth_m: z, above 0.
        truth_m: The true z*, above 0, in the same unit.

    Returns:
        0 is perfect; NaN where no pixel is known in both.

    Raises:
        InputError: The shapes differ.
    """
    z, truth = _known_in_both(depth_m, truth_m)
    return float(np.mean(np.abs(z - truth) / truth)) if z.size else float("nan")


def sq_rel(depth_m: FloatArray, truth_m: FloatArray) -> float:
    """Give the mean of (z - z*)^2 / z*, as Eigen et al. (NeurIPS 2014) define it; others divide by z*^2.

    Args:
        depth_m: z, above 0.
        truth_m: The true z*, above 0, in the same unit.

    Returns:
        0 is perfect; in the unit of z. NaN where no pixel is known in both.

    Raises:
        InputError: The shapes differ.
    """
    z, truth = _known_in_both(depth_m, truth_m)
    return float(np.mean((z - truth) ** 2 / truth)) if z.size else float("nan")


def rmse(depth_m: FloatArray, truth_m: FloatArray) -> float:
    """Give the root of the mean of (z - z*)^2.

    Args:
        depth_m: z.
        truth_m: The true z*, in the same unit.

    Returns:
        0 is perfect; in the unit of z. NaN where no pixel is known in both.

    Raises:
        InputError: The shapes differ.
    """
    z, truth = _known_in_both(depth_m, truth_m)
    return float(np.sqrt(np.mean((z - truth) ** 2))) if z.size else float("nan")


def rmse_log(depth_m: FloatArray, truth_m: FloatArray) -> float:
    """Give the root of the mean of (ln z - ln z*)^2 (Eigen et al., NeurIPS 2014).

    Args:
        depth_m: z, above 0.
        truth_m: The true z*, above 0, in the same unit.

    Returns:
        0 is perfect; NaN where no pixel is known in both.

    Raises:
        InputError: The shapes differ.
    """
    return silog(depth_m, truth_m, variance_focus=0.0)


def log10(depth_m: FloatArray, truth_m: FloatArray) -> float:
    """Give the mean of |log10 z - log10 z*| (Saxena et al., "Make3D", TPAMI 2009).

    Args:
        depth_m: z, above 0.
        truth_m: The true z*, above 0, in the same unit.

    Returns:
        0 is perfect; NaN where no pixel is known in both.

    Raises:
        InputError: The shapes differ.
    """
    z, truth = _known_in_both(depth_m, truth_m)
    return float(np.mean(np.abs(np.log10(z / truth)))) if z.size else float("nan")


def silog(depth_m: FloatArray, truth_m: FloatArray, *, variance_focus: float) -> float:
    """Give sqrt(mean d^2 - lambda (mean d)^2) of d = ln z - ln z* (after Eigen et al., NeurIPS 2014, eq. 4).

    Two numbers go by this name. With lambda 1 it is the standard deviation of d, which no common factor of
    all depths changes; times 100 it ranks the KITTI benchmark and is what ZoeDepth reports. With lambda 0.5,
    as Depth Anything V2 reports it, half of the common factor is left in.

    Args:
        depth_m: z, above 0.
        truth_m: The true z*, above 0, in the same unit.
        variance_focus: lambda, from 0, which is `rmse_log`, to 1.

    Returns:
        0 is perfect; not multiplied by 100. NaN where no pixel is known in both.

    Raises:
        InputError: The shapes differ, or another lambda.
    """
    if not 0 <= variance_focus <= 1:
        raise InputError(f"variance_focus (lambda) must lie between 0 and 1, got {variance_focus!r}")
    z, truth = _known_in_both(depth_m, truth_m)
    if not z.size:
        return float("nan")
    d = np.log(z / truth)
    # mean d^2 = variance + (mean d)^2: the difference of the formula would lose all digits near 0.
    return float(np.sqrt(d.var() + (1 - variance_focus) * d.mean() ** 2))


def within_factor(depth_m: FloatArray, truth_m: FloatArray, factor: float) -> float:
    """Give the share of pixels with max(z / z*, z* / z) < factor (Eigen et al., NeurIPS 2014).

    Args:
        depth_m: z, above 0.
        truth_m: The true z*, above 0, in the same unit.
        factor: 1.25, 1.25^2 and 1.25^3 are known as delta 1, 2 and 3.

    Returns:
        From 0 to 1, which is perfect; NaN where no pixel is known in both.

    Raises:
        InputError: The shapes differ.
    """
    z, truth = _known_in_both(depth_m, truth_m)
    return float(np.mean(np.maximum(z / truth, truth / z) < factor)) if z.size else float("nan")


def delta1(depth_m: FloatArray, truth_m: FloatArray) -> float:
    """Give the share of pixels with max(z / z*, z* / z) < 1.25 (Eigen et al., NeurIPS 2014).

    Args:
        depth_m: z, above 0.
        truth_m: The true z*, above 0, in the same unit.

    Returns:
        From 0 to 1, which is perfect; NaN where no pixel is known in both.

    Raises:
        InputError: The shapes differ.
    """
    return within_factor(depth_m, truth_m, 1.25)


def spearman(disparity: FloatArray, truth: FloatArray) -> float:
    """Correlate the ranks of two maps; equal values share the mean of their ranks.

    No monotone change of either map matters, so neither needs an alignment. Spearman, "The Proof and
    Measurement of Association between Two Things", American Journal of Psychology 15(1), 1904.

    Args:
        disparity: Larger is nearer.
        truth: Larger is nearer.

    Returns:
        1 where the order is right throughout, -1 where it is reversed; NaN where a map is constant.

    Raises:
        InputError: The shapes differ.
    """
    ours, theirs = (rankdata(known) for known in _known_in_both(disparity, truth))
    if not ours.size or ours.min() == ours.max() or theirs.min() == theirs.max():
        return float("nan")
    ours, theirs = ours - ours.mean(), theirs - theirs.mean()
    return float(ours @ theirs / np.sqrt((ours @ ours) * (theirs @ theirs)))


def _known_in_both(a: FloatArray, b: FloatArray) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    if a.shape != b.shape:
        raise InputError(f"the two maps must have one shape, got {a.shape} and {b.shape}; resize one")
    known = np.isfinite(a) & np.isfinite(b)
    return a[known].astype(np.float64), b[known].astype(np.float64)
