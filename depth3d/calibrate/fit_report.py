"""From a solution to a `Calibration`: what each reference says against it, figures and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.calibrate.calibration import Calibration
from depth3d.calibrate.equations import Equations
from depth3d.calibrate.fit_quality import figures, remarks
from depth3d.calibrate.laws import basis
from depth3d.calibrate.references import Reference, describe
from depth3d.calibrate.refit import Solution
from depth3d.calibrate.rows import System
from depth3d.core.depth import DepthMap

__all__ = ["calibration_from", "lengths_of", "names_of"]

_Array: TypeAlias = npt.NDArray[np.float64]


def calibration_from(
    equations: Equations,
    system: System,
    solution: Solution,
    depth: DepthMap | None,
    references: Sequence[Reference],
    names: Sequence[str],
    errors_rel: Mapping[str, float],
    notes: Sequence[str],
) -> Calibration:
    """Put a solution and all that is to be said about it into a `Calibration`.

    Args:
        equations: What was fitted.
        system: Its rows under the law of the solution.
        solution: The fit.
        depth: The map, or None to leave out the figures that need it.
        references: Where the equations came from, possibly unknown.
        names: Of the references, for the notes.
        errors_rel: What each law was off by at references left out.
        notes: Said before.
    """
    law, parameters = solution.law, solution.parameters
    seen = equations.observations
    scale, shift = float(parameters[0]), float(parameters[1]) if len(parameters) > 1 else 0.0
    if law.form == "spline":
        line = basis("affine", seen.value, seen.place)
        scale, shift = np.linalg.lstsq(line, system.places[: len(seen)] @ parameters, rcond=None)[0]
    inliers, residuals = _by_reference(system, solution, lengths_of(references, len(names)))
    known = np.concatenate([seen.value, *(constraint.value for constraint in equations.constraints)])
    used = np.concatenate(
        [solution.inlier[: len(seen)], *(np.ones(len(c.value), dtype=bool) for c in equations.constraints)]
    )
    span = (float(known[used].min()), float(known[used].max())) if used.any() else None
    fitted = Calibration(
        scale,
        shift,
        "fit to references",
        covariance=tuple(map(tuple, solution.covariance)),
        inliers=inliers,
        residuals_m=residuals,
        form=law.form,
        space=law.space,
        tilt=(float(parameters[2]), float(parameters[3])) if law.form == "tilted" else None,
        knots=law.knots,
        coefficients=tuple(parameters) if law.form == "spline" else (),
        misfit_rel=solution.misfit_rel,
        value_range=span,
        references=tuple(describe(reference) for reference in references),
    )
    quality = figures(fitted, system, solution, depth, errors_rel)
    remarked = remarks(fitted, quality, names, float(system.share.sum()))
    return replace(fitted, quality=quality, notes=(*notes, *remarked))


def _by_reference(
    system: System, solution: Solution, lengths: _Array
) -> tuple[tuple[bool, ...], tuple[float, ...]]:
    """Give, for each reference, whether most of it was used, and its residual in metres."""
    count, total = len(system.targets), len(lengths)
    y, targets = system.places[:count] @ solution.parameters, system.targets
    disparity = system.law.space == "disparity"
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = targets / y if disparity else y / targets
        z = 1 / targets if disparity else targets
    length = lengths[system.reference]
    length[:count] = np.where(np.isnan(length[:count]), z, length[:count])
    off = np.concatenate([ratio - 1, np.expm1(system.relative(solution.parameters)[count:])])
    off_m = np.where(
        system.far | ~(np.concatenate([y, np.ones(len(system) - count)]) > 0), np.nan, off * length
    )
    inliers, residuals = [], []
    order = np.argsort(system.reference, kind="stable")
    ends = np.searchsorted(system.reference[order], np.arange(total + 1))
    for reference in range(total):
        rows = order[ends[reference] : ends[reference + 1]]
        inliers.append(bool(len(rows)) and bool(solution.inlier[rows].mean() > 0.5))
        metres = off_m[rows]
        metres = metres[np.isfinite(metres)]
        residuals.append(float(np.median(metres)) if len(metres) else np.nan)
    return tuple(inliers), tuple(residuals)


def names_of(equations: Equations, references: Sequence[Reference]) -> list[str]:
    """Give what to call the references in messages."""
    if references:
        return [repr(reference) for reference in references]
    bound_to = [constraint.reference for constraint in equations.constraints]
    highest = max([*equations.observations.reference.tolist(), *bound_to], default=-1)
    return [f"reference {index + 1}" for index in range(highest + 1)]


def lengths_of(references: Sequence[Reference], total: int) -> _Array:
    """Give the length that each of so many references states, NaN where it states none or many."""
    names = ("depth_m", "range_m", "length_m", "size_m", "height_m")
    lengths = np.full(total, np.nan)
    for index, reference in enumerate(references):
        stated = [getattr(reference, name, None) for name in names]
        lengths[index] = next((metres for metres in stated if isinstance(metres, float)), np.nan)
    return lengths
