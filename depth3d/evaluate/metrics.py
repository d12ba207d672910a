"""Three numbers for two maps: AbsRel, delta1 and Spearman's rank correlation.

Each takes two arrays of one shape, counts the pixels that are known (finite) in both, and is NaN where it
is not defined.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from depth3d.core.arrays import FloatArray
from depth3d.errors import InputError

__all__ = ["abs_rel", "delta1", "spearman"]


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
    z, truth = _known_in_both(depth_m, truth_m)
    return float(np.mean(np.maximum(z / truth, truth / z) < 1.25)) if z.size else float("nan")


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
