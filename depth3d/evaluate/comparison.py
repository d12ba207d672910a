"""`Comparison`: a depth map brought to the size and the unit of its truth, and the pixels that count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap
from depth3d.core.depth import DepthMap
from depth3d.core.resample import resize_depth
from depth3d.errors import InputError
from depth3d.evaluate.alignment import affine_fit
from depth3d.evaluate.protocols import EvaluationProtocol, Window, protocol_named

__all__ = ["ALIGNMENTS", "Alignment", "Comparison", "compare", "disparities"]

Alignment = Literal["auto", "none", "scale", "affine"]
ALIGNMENTS = ("auto", "none", "scale", "affine")
"""`none`: metres as they are. `scale`: median scaling, z * median(z*) / median(z) (Zhou et al., "Unsupervised
Learning of Depth and Ego-Motion from Video", CVPR 2017). `affine`: scale and shift by least squares in 1/z
(Ranftl et al., "Towards Robust Monocular Depth Estimation", TPAMI 2022). `auto`: `none` for two metric maps,
else `affine`."""

_LARGEST_TURN = 1.5
"""Ratio of the two aspect ratios beyond which the maps can't be of one picture."""

_Map = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two maps that can be subtracted.

    Attributes:
        given: (H, W) prediction at the truth's size: 1/z, or the disparity that it is. NaN where unknown.
        disparity: (H, W) the same, aligned and clamped to the protocol's range: 1/z in 1/m, or in the
            truth's own unit where that is relative.
        true_disparity: (H, W) truth in the same unit, NaN where unknown.
        counts: (H, W) where both are known and the protocol looks.
        pixels_of_truth: How many pixels of the truth the protocol looks at.
        window: The rows and columns that the protocol's crop leaves.
        in_metres: Whether the truth is metric.
        protocol: What decided.
        align: `none`, `scale` or `affine`.
        scale: What the prediction was multiplied by: its z for `scale`, its disparity for `affine`.
        shift: What was added to its disparity then.
    """

    given: _Map
    disparity: _Map
    true_disparity: _Map
    counts: BoolMap
    pixels_of_truth: int
    window: Window
    in_metres: bool
    protocol: EvaluationProtocol
    align: str
    scale: float
    shift: float

    def __repr__(self) -> str:
        height, width = self.counts.shape
        return (
            f"Comparison({width}x{height}, {int(self.counts.sum())} pixels count, "
            f"protocol {self.protocol.name}, align {self.align})"
        )

    def error(self) -> _Map:
        """Give the error of each pixel, above 0 where the prediction is too far.

        Returns:
            (H, W): (z - z*) / z* where the truth is metric; otherwise the difference of disparity as a share
            of the span of the true one. NaN where a pixel does not count.
        """
        ours, theirs = (np.where(self.counts, d, np.nan) for d in (self.disparity, self.true_disparity))
        if self.in_metres:
            return np.asarray(theirs / ours - 1)
        known = theirs[self.counts]
        span = float(known.max() - known.min()) if known.size else 0.0
        return np.asarray((theirs - ours) / (span or np.nan))


def compare(
    prediction: DepthMap,
    truth: DepthMap,
    *,
    protocol: EvaluationProtocol | str = "default",
    align: Alignment | str = "auto",
) -> Comparison:
    """Bring a prediction to its truth.

    It is resized to the truth's size, bilinearly in inverse depth; aligned on the pixels that count; and
    clamped to the protocol's range.

    Args:
        prediction: Relative or metric, of any size.
        truth: Metric; or relative, and then the protocol's range does not apply.
        protocol: Which pixels count: a name of `PROTOCOLS`, or one of your own.
        align: One of `ALIGNMENTS`. A relative prediction with `scale` is taken as 1/z up to a factor.

    Returns:
        The two, and what was done. Where no pixel counts, the alignment is NaN.

    Raises:
        InputError: An unknown alignment or protocol, an alignment that the kinds of the maps rule out, a crop
            for pictures of another size, or a map that is turned on its side.
    """
    protocol = protocol_named(protocol)
    align = _chosen(align, prediction, truth)
    given, theirs = disparities(prediction, truth)
    window = protocol.window(*theirs.shape)
    least, most = 1 / protocol.max_depth_m, 1 / protocol.min_depth_m
    looks = np.zeros(theirs.shape, dtype=bool)
    looks[window] = True
    looks &= (theirs > least) & (theirs < most) if truth.is_metric else np.isfinite(theirs)
    counts = looks & np.isfinite(given)
    scale, shift = (1.0, 0.0) if counts.any() else (float("nan"), float("nan"))
    ours = given
    if counts.any() and align == "affine":
        scale, shift = affine_fit(given[counts], theirs[counts])
        ours = scale * given + shift
    elif counts.any() and align == "scale":
        scale = _median_scale(given[counts], theirs[counts])
        ours = given / scale
    if truth.is_metric:
        ours = np.clip(ours, least, most)
    return Comparison(
        given=given,
        disparity=ours,
        true_disparity=theirs,
        counts=counts,
        pixels_of_truth=int(looks.sum()),
        window=window,
        in_metres=truth.is_metric,
        protocol=protocol,
        align=align,
        scale=scale,
        shift=shift,
    )


def disparities(prediction: DepthMap, truth: DepthMap) -> tuple[_Map, _Map]:
    """Give both maps as inverse depth, or as the disparity that they are, at the truth's size.

    Returns:
        Two (H, W) float64 arrays, NaN where unknown.

    Raises:
        InputError: The shapes of the maps show that one is turned on its side.
    """
    turn = (prediction.width / prediction.height) / (truth.width / truth.height)
    if not 1 / _LARGEST_TURN < turn < _LARGEST_TURN:
        raise InputError(
            f"a map of {prediction.width}x{prediction.height} and a truth of {truth.width}x{truth.height} "
            "can't be of one picture; is one of them turned on its side?"
        )
    return _disparity(resize_depth(prediction, *truth.size_wh)), _disparity(truth)


def _disparity(depth: DepthMap) -> _Map:
    values = depth.values.astype(np.float64)
    return 1 / values if depth.is_metric else values


def _chosen(align: str, prediction: DepthMap, truth: DepthMap) -> str:
    if align not in ALIGNMENTS:
        raise InputError(f"align must be one of {', '.join(ALIGNMENTS)}, got {align!r}")
    both_metric = prediction.is_metric and truth.is_metric
    if align == "auto":
        return "none" if both_metric else "affine"
    if align == "none" and not both_metric:
        raise InputError(
            f"a {prediction.kind} map and a {truth.kind} truth have no common unit; align them by scale and "
            "shift (--align affine)"
        )
    if align == "scale" and not truth.is_metric:
        raise InputError("a relative truth is known up to scale and shift; use --align affine")
    return align


def _median_scale(ours: _Map, theirs: _Map) -> float:
    """Divide the medians of z; a disparity of 0 or less is infinitely far."""
    z = np.full(ours.shape, np.inf)
    np.divide(1.0, ours, out=z, where=ours > 0)
    scale = float(np.median(1 / theirs) / np.median(z))
    if not scale > 0:
        raise InputError(
            "median scaling needs a prediction that is 1/z up to a factor, and half of this one is 0 or "
            "less; use --align affine"
        )
    return scale
