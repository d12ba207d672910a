"""`Scores`: how good a depth map is, in four numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from depth3d.core.depth import DepthMap
from depth3d.errors import InputError
from depth3d.evaluate.alignment import aligned_to
from depth3d.evaluate.boundaries import boundary_f1
from depth3d.evaluate.comparison import disparities
from depth3d.evaluate.metrics import abs_rel, delta1, spearman
from depth3d.evaluate.protocols import DEFAULT_MAX_DEPTH_M

__all__ = ["DEFAULT_MAX_DEPTH_M", "DEFAULT_TOLERANCE_PX", "Scores", "score"]

DEFAULT_TOLERANCE_PX = 2
"""The edges of depth sensors are one or two pixels off the picture's; at 0 a map that is perfect but for
that scores next to nothing."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What `score` found; NaN where a number is not defined.

    Attributes:
        abs_rel: Mean of |z - z*| / z*; 0 is perfect.
        delta1: Share of the pixels with max(z / z*, z* / z) < 1.25; 1 is perfect.
        spearman: Rank correlation of disparity, from -1 to 1, which is perfect.
        boundary_f1: Agreement about where depth jumps, from 0 to 1, which is perfect.
    """

    abs_rel: float
    delta1: float
    spearman: float
    boundary_f1: float


def score(
    prediction: DepthMap,
    truth: DepthMap,
    *,
    align: bool | None = None,
    max_depth_m: float = DEFAULT_MAX_DEPTH_M,
    tolerance_px: int = DEFAULT_TOLERANCE_PX,
) -> Scores:
    """Compare a depth map with the truth, on the pixels that both know: four numbers that watch a training.

    `evaluate` gives all the numbers that papers report, under their protocols.

    A prediction of another size is brought to the truth's, bilinearly in inverse depth. An alignment is
    the least squares `1/z = s*d + t` with s >= 0; no aligned depth is beyond the farthest true one, nor
    beyond `max_depth_m`.

    Args:
        prediction: A relative or metric map.
        truth: Metric, or relative: disparity known up to scale and shift.
        align: Whether scale and shift of the prediction are taken from the truth. None aligns unless
            both maps are metric.
        max_depth_m: Where the truth is farther, `abs_rel` and `delta1` do not count, and there are no
            boundaries.
        tolerance_px: How far edges may be off, in pixels of the truth; see `boundary_f1`. 0 for an exact
            truth.

    Returns:
        The four numbers. `abs_rel` and `delta1` are NaN where the truth is relative or all too far.

    Raises:
        InputError: The shapes of the maps show that one is turned on its side, align=False without two
            metric maps, or a `max_depth_m` that is not above 0.
    """
    both_metric = prediction.is_metric and truth.is_metric
    if align is False and not both_metric:
        raise InputError(
            f"a {prediction.kind} map and a {truth.kind} truth have no common unit; leave align to None"
        )
    if not max_depth_m > 0:
        raise InputError(f"max_depth_m must be above 0 metres, got {max_depth_m!r}")
    ours, theirs = disparities(prediction, truth)
    known = np.isfinite(ours) & np.isfinite(theirs)
    if not known.any():
        return Scores(*[float("nan")] * 4)
    order = spearman(ours, theirs)
    if not truth.is_metric:
        edges = boundary_f1(aligned_to(ours, theirs), theirs, relative=True, tolerance_px=tolerance_px)
        return Scores(float("nan"), float("nan"), order, edges)
    least = 1 / max_depth_m
    if align or not both_metric:
        ours = aligned_to(ours, theirs, least=max(least, float(theirs[known].min())))
    edges = boundary_f1(np.maximum(ours, least), np.maximum(theirs, least), tolerance_px=tolerance_px)
    z, true_z = 1 / ours, np.where(theirs < least, np.nan, 1 / theirs)
    return Scores(abs_rel(z, true_z), delta1(z, true_z), order, edges)
