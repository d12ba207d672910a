"""Bring a disparity that is known up to scale and shift to that of the truth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatArray

__all__ = ["affine_fit", "aligned_to"]

_LEAST_RELIEF = 1e-6
"""Spread, as a share of the largest value, below which a map counts as constant: float32's own noise."""


def affine_fit(disparity: FloatArray, target: FloatArray) -> tuple[float, float]:
    """Fit `target = scale * disparity + shift` by least squares, with a scale of at least 0.

    Both are inverse depths, where the relation is affine (Ranftl et al., "Towards Robust Monocular Depth
    Estimation", TPAMI 2022, section 5); a fit in depth would weigh the far pixels most.

    Args:
        disparity: Any shape; NaN where unknown.
        target: The same shape, NaN where unknown; 1/z in 1/metres, or relative disparity.

    Returns:
        (scale, shift). A disparity that is constant, or that runs against the target, says nothing about
        it: scale 0, and the target's mean as shift. Both NaN where no pixel is known in both maps.
    """
    known = np.isfinite(disparity) & np.isfinite(target)
    if not known.any():
        return float("nan"), float("nan")
    d, q = disparity[known].astype(np.float64), target[known].astype(np.float64)
    centred = d - d.mean()
    if centred.std() <= _LEAST_RELIEF * np.abs(d).max():
        return 0.0, float(q.mean())
    scale = max(0.0, float(centred @ (q - q.mean()) / (centred @ centred)))
    return scale, float(q.mean() - scale * d.mean())


def aligned_to(
    disparity: FloatArray, target: FloatArray, *, least: float | None = None
) -> npt.NDArray[np.float64]:
    """Give `scale * disparity + shift` with the numbers of `affine_fit`.

    Args:
        disparity: Any shape; NaN where unknown.
        target: The same shape; NaN where unknown.
        least: Smallest value of the result. The line may cross 0, where depth is infinite and then
            negative; the target's own smallest value keeps every depth positive and no pixel farther
            than the farthest one known.

    Returns:
        float64 of the same shape, NaN where `disparity` is; all NaN where the two have no pixel in common.
    """
    scale, shift = affine_fit(disparity, target)
    aligned: npt.NDArray[np.float64] = scale * disparity.astype(np.float64) + shift
    return aligned if least is None else np.maximum(aligned, least)
