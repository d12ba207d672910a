"""How good a depth map is: against a truth in metres, or against one known up to scale and shift.

scores = score(prediction, truth)          # two DepthMaps of one picture, of any two sizes
scores.spearman, scores.abs_rel, scores.delta1, scores.boundary_f1
"""

from __future__ import annotations

from depth3d.evaluate.alignment import affine_fit, aligned_to
from depth3d.evaluate.boundaries import boundary_f1
from depth3d.evaluate.metrics import abs_rel, delta1, spearman
from depth3d.evaluate.scores import DEFAULT_MAX_DEPTH_M, DEFAULT_TOLERANCE_PX, Scores, score

__all__ = [
    "DEFAULT_MAX_DEPTH_M",
    "DEFAULT_TOLERANCE_PX",
    "Scores",
    "abs_rel",
    "affine_fit",
    "aligned_to",
    "boundary_f1",
    "delta1",
    "score",
    "spearman",
]
