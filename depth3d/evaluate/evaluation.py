"""`evaluate`: all the numbers that papers report about a depth map, under the protocol that they name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from depth3d.core.depth import DepthMap
from depth3d.core.stages import stage
from depth3d.errors import InputError
from depth3d.evaluate.boundaries import boundary_f1
from depth3d.evaluate.comparison import Alignment, Comparison, compare
from depth3d.evaluate.metrics import abs_rel, log10, rmse, rmse_log, silog, spearman, sq_rel, within_factor
from depth3d.evaluate.protocols import EvaluationProtocol
from depth3d.evaluate.scores import DEFAULT_TOLERANCE_PX

__all__ = ["MEASURES", "Evaluation", "averages", "evaluate", "measure"]

MEASURES = (
    "abs_rel", "sq_rel_m", "rmse_m", "rmse_log", "log10", "silog_half", "silog_kitti", "delta1", "delta2",
    "delta3", "spearman", "boundary_f1",
)  # fmt: skip
"""The fields of `Evaluation` that are averaged over pictures."""


@dataclass(frozen=True, slots=True, repr=False)
class Evaluation:
    """What `evaluate` found; NaN where a number is not defined, as all errors of z are for a relative truth.

    Attributes:
        pixels: How many pixels count.
        coverage: Their share of the pixels of the truth that the protocol looks at. A prediction that leaves
            out what is hard scores well on the rest.
        abs_rel: Mean |z - z*| / z*.
        sq_rel_m: Mean (z - z*)^2 / z*, metres.
        rmse_m: Root of the mean (z - z*)^2, metres.
        rmse_log: Root of the mean (ln z - ln z*)^2.
        log10: Mean |log10 z - log10 z*|.
        silog_half: SiLog with lambda 0.5, as Depth Anything V2 reports it.
        silog_kitti: SiLog with lambda 1, times 100, as KITTI and ZoeDepth report it.
        delta1: Share of the pixels within a factor of 1.25.
        delta2: Within 1.25^2.
        delta3: Within 1.25^3.
        spearman: Rank correlation of disparity, from -1 to 1, which is perfect.
        boundary_f1: Agreement about where depth jumps, from 0 to 1, which is perfect; see `boundary_f1`.
        protocol: Name of the protocol.
        align: `none`, `scale` or `affine`.
        scale: Factor of z for `scale`, of disparity for `affine`.
        shift: What was added to disparity.
    """

    pixels: int
    coverage: float
    abs_rel: float
    sq_rel_m: float
    rmse_m: float
    rmse_log: float
    log10: float
    silog_half: float
    silog_kitti: float
    delta1: float
    delta2: float
    delta3: float
    spearman: float
    boundary_f1: float
    protocol: str
    align: str
    scale: float
    shift: float

    def __repr__(self) -> str:
        return (
            f"Evaluation(abs_rel={self.abs_rel:.4f}, delta1={self.delta1:.4f}, rmse_m={self.rmse_m:.4f}, "
            f"spearman={self.spearman:.4f}, boundary_f1={self.boundary_f1:.4f}, {self.pixels} pixels, "
            f"protocol {self.protocol}, align {self.align})"
        )


@stage("scoring")
def evaluate(
    prediction: DepthMap,
    truth: DepthMap,
    *,
    protocol: EvaluationProtocol | str = "default",
    align: Alignment | str = "auto",
    tolerance_px: int = DEFAULT_TOLERANCE_PX,
) -> Evaluation:
    """Compare a depth map with the truth, on the pixels that count.

    The prediction is resized to the truth's size, bilinearly in inverse depth; aligned on the pixels that
    count; and clamped to the protocol's range, as the public evaluations do.

    Args:
        prediction: A relative or metric map.
        truth: Metric, or relative: then only `spearman` and `boundary_f1` are defined.
        protocol: Which pixels count. `default`: the whole picture up to 80 m; `nyu`: NYU Depth V2, Eigen's
            crop, up to 10 m; `kitti`: Garg's crop, up to 80 m; `kitti-eigen`: Eigen's crop, up to 80 m; or an
            `EvaluationProtocol` of your own.
        align: `none`: metres as they are; `scale`: median scaling; `affine`: scale and shift by least squares
            in 1/z, with a scale of at least 0, so that a map that runs against the truth is scored as a flat
            one. `auto` is `none` for two metric maps, else `affine`.
        tolerance_px: How far edges may be off, in pixels of the truth; see `boundary_f1`. 0 for an exact
            truth.

    Returns:
        The numbers. Where no pixel counts, `pixels` is 0 and the rest NaN.

    Raises:
        InputError: An unknown protocol or alignment, an alignment that the kinds of the maps rule out, a crop
            for pictures of another size, a map that is turned on its side, or a negative tolerance.
    """
    return measure(compare(prediction, truth, protocol=protocol, align=align), tolerance_px=tolerance_px)


@stage("scoring")
def measure(comparison: Comparison, *, tolerance_px: int = DEFAULT_TOLERANCE_PX) -> Evaluation:
    """Put numbers to a comparison; see `evaluate`."""
    counts = comparison.counts
    ours, theirs = comparison.disparity[counts], comparison.true_disparity[counts]
    order = spearman(comparison.given[counts], theirs)  # before the clamp, which makes ties
    # Where the truth is relative, errors of z have no meaning.
    z, true_z = (1 / ours, 1 / theirs) if comparison.in_metres else (np.empty(0), np.empty(0))
    return Evaluation(
        pixels=ours.size,
        coverage=ours.size / comparison.pixels_of_truth if comparison.pixels_of_truth else float("nan"),
        abs_rel=abs_rel(z, true_z),
        sq_rel_m=sq_rel(z, true_z),
        rmse_m=rmse(z, true_z),
        rmse_log=rmse_log(z, true_z),
        log10=log10(z, true_z),
        silog_half=silog(z, true_z, variance_focus=0.5),
        silog_kitti=100 * silog(z, true_z, variance_focus=1.0),
        delta1=within_factor(z, true_z, 1.25),
        delta2=within_factor(z, true_z, 1.25**2),
        delta3=within_factor(z, true_z, 1.25**3),
        spearman=order,
        boundary_f1=_edges(comparison, tolerance_px),
        protocol=comparison.protocol.name,
        align=comparison.align,
        scale=comparison.scale,
        shift=comparison.shift,
    )


def averages(evaluations: list[Evaluation]) -> dict[str, dict[str, float]]:
    """Summarise pictures, each of which weighs the same.

    Args:
        evaluations: Of any pictures; those in which no pixel counts are left out.

    Returns:
        `{"mean": {measure: value}, "median": {measure: value}}` with `MEASURES` and `coverage`, each over the
        pictures in which it is defined; NaN where that is none.

    Raises:
        InputError: The pictures were compared under different protocols or alignments.
    """
    used = [one for one in evaluations if one.pixels]
    ways = sorted({f"{one.protocol} with align {one.align}" for one in used})
    if len(ways) > 1:
        raise InputError(
            f"numbers of different protocols can't be averaged: {' and '.join(ways)}; name one (--align)"
        )
    summary: dict[str, dict[str, float]] = {"mean": {}, "median": {}}
    for name in (*MEASURES, "coverage"):
        values = np.array([getattr(one, name) for one in used], dtype=np.float64)
        values = values[np.isfinite(values)]
        summary["mean"][name] = float(values.mean()) if values.size else float("nan")
        summary["median"][name] = float(np.median(values)) if values.size else float("nan")
    return summary


def _edges(comparison: Comparison, tolerance_px: int) -> float:
    """Compare the boundaries within the crop; what is too far is one distance, so that its rim is an edge."""
    ours, theirs = comparison.disparity[comparison.window], comparison.true_disparity[comparison.window]
    if not comparison.in_metres:
        return boundary_f1(ours, theirs, relative=True, tolerance_px=tolerance_px)
    least, most = 1 / comparison.protocol.max_depth_m, 1 / comparison.protocol.min_depth_m
    theirs = np.where(theirs < most, np.maximum(theirs, least), np.nan)
    return boundary_f1(ours, theirs, tolerance_px=tolerance_px)
