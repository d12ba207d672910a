"""How good a depth map is: against a truth in metres, or against one known up to scale and shift.

found = evaluate(prediction, truth, protocol="nyu")   # two DepthMaps of one picture, of any two sizes
found.abs_rel, found.delta1, found.rmse_m, found.silog_kitti, found.spearman, found.boundary_f1
"""

from __future__ import annotations

from depth3d.evaluate.alignment import affine_fit, aligned_to
from depth3d.evaluate.boundaries import boundary_f1
from depth3d.evaluate.comparison import ALIGNMENTS, Comparison, compare
from depth3d.evaluate.error_pictures import draw_error, error_picture
from depth3d.evaluate.evaluation import MEASURES, Evaluation, averages, evaluate, measure
from depth3d.evaluate.metrics import (
    abs_rel,
    delta1,
    log10,
    rmse,
    rmse_log,
    silog,
    spearman,
    sq_rel,
    within_factor,
)
from depth3d.evaluate.ordinal import PointPair, judge_pairs, parse_da2k, scene_of
from depth3d.evaluate.protocols import CROPS, DEFAULT_MAX_DEPTH_M, PROTOCOLS, EvaluationProtocol
from depth3d.evaluate.scores import DEFAULT_TOLERANCE_PX, Scores, score

__all__ = [
    "ALIGNMENTS",
    "CROPS",
    "DEFAULT_MAX_DEPTH_M",
    "DEFAULT_TOLERANCE_PX",
    "MEASURES",
    "PROTOCOLS",
    "Comparison",
    "Evaluation",
    "EvaluationProtocol",
    "PointPair",
    "Scores",
    "abs_rel",
    "affine_fit",
    "aligned_to",
    "averages",
    "boundary_f1",
    "compare",
    "delta1",
    "draw_error",
    "error_picture",
    "evaluate",
    "judge_pairs",
    "log10",
    "measure",
    "parse_da2k",
    "rmse",
    "rmse_log",
    "scene_of",
    "score",
    "silog",
    "spearman",
    "sq_rel",
    "within_factor",
]
