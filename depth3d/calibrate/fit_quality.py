"""What to know about a fit before trusting it: figures, and sentences about those that matter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from depth3d.calibrate.calibration import Calibration
from depth3d.calibrate.refit import Solution
from depth3d.calibrate.rows import System
from depth3d.core.depth import DepthMap

__all__ = ["figures", "picture_figures", "remarks", "thinned_map"]

_OUTERMOST = (1.0, 99.0)  # percent of the map's values that count as its range
_BEYOND = 0.1  # of the references' span: farther than that is extrapolated
_MOST_PIXELS = 1_000_000
_MUCH_EXTRAPOLATED, _MUCH_INVALID = 0.3, 0.02


def figures(
    fitted: Calibration,
    system: System,
    solution: Solution,
    depth: DepthMap | None,
    errors_rel: Mapping[str, float],
) -> dict[str, Any]:
    """Give the figures that `depth3d.calibrate` names."""
    near = solution.inlier & ~system.far
    spare = system.share[solution.inlier].sum() - len(solution.parameters)
    held_out = np.abs(solution.leave_one_out[near])
    quality: dict[str, Any] = {
        "n_references": len(fitted.inliers),
        "n_used": int(sum(fitted.inliers)),
        "n_rejected": int(len(fitted.inliers) - sum(fitted.inliers)),
        "samples_used": int(solution.inlier.sum()),
        "samples_rejected": int((~solution.inlier).sum()),
        "leave_one_out_rel": float(held_out.mean()) if spare >= 1 and near.any() else None,
        "condition": solution.condition,
        "cv_rel": dict(errors_rel),
    }
    if depth is not None and fitted.value_range is not None:
        quality |= picture_figures(fitted, depth)
    return quality


def picture_figures(fitted: Calibration, depth: DepthMap) -> dict[str, Any]:
    """Give the figures that depend on the whole map: coverage, and what is extrapolated or invalid."""
    depth = thinned_map(depth)
    known = depth.values[depth.valid].astype(np.float64)
    if not known.size or fitted.value_range is None:
        return {}
    low, high = fitted.value_range
    least, most = np.percentile(known, _OUTERMOST)
    shared = max(0.0, min(high, most) - max(low, least))
    margin = _BEYOND * (high - low)
    metres = fitted.apply(depth)
    return {
        "coverage": float(shared / (most - least)) if most > least else 1.0,
        "extrapolated": float(np.mean((known < low - margin) | (known > high + margin))),
        "invalid": float(1 - metres.valid.sum() / known.size),
    }


def thinned_map(depth: DepthMap) -> DepthMap:
    """Keep every so manyth row and column of a large map: shares of its area need no more than a million."""
    step = math.ceil(math.sqrt(depth.values.size / _MOST_PIXELS))
    return depth if step == 1 else DepthMap(depth.values[::step, ::step], depth.kind)


def remarks(
    fitted: Calibration, quality: Mapping[str, Any], names: Sequence[str], independent: float
) -> tuple[str, ...]:
    """Say in sentences what a user should know."""
    said = []
    constants = len(fitted.parameters)
    if independent <= constants:
        many = "reference fixes" if constants == 1 else "references fix"
        said.append(f"unverified: {constants} {many} the law exactly, and nothing checks it; add one more")
    elif independent <= 3:
        said.append("with so few references a wrong one can't be found; add one more")
    rejected = [name for name, used in zip(names, fitted.inliers, strict=False) if not used]
    if rejected:
        more = f" and {len(rejected) - 3} more" if len(rejected) > 3 else ""
        said.append(f"not used, as the others disagree with it: {'; '.join(rejected[:3])}{more}")
    if fitted.form != "scale" and quality.get("extrapolated", 0.0) > _MUCH_EXTRAPOLATED:
        said.append(
            f"{100 * quality['extrapolated']:.0f} % of the picture is nearer or farther than all references; "
            "distances there are extrapolated"
        )
    if quality.get("invalid", 0.0) > _MUCH_INVALID:
        said.append(f"{100 * quality['invalid']:.0f} % of the picture is at or beyond infinity by this law")
    return tuple(said)
