"""Which law the references support: chosen by what it says about references that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.calibrate.equations import Equations
from depth3d.calibrate.laws import Form, Space, spline_points
from depth3d.calibrate.mixture import MOST_ROWS, mixed_fit
from depth3d.calibrate.refit import Solution, refit
from depth3d.calibrate.rows import Law, System, picked, thinned
from depth3d.errors import InputError

__all__ = ["FEWEST_FOR", "Choice", "choose", "fit_law", "law_for", "start_for"]

_Array: TypeAlias = npt.NDArray[np.float64]

FEWEST_FOR: dict[Form, int] = {"scale": 1, "affine": 5, "tilted": 15, "spline": 50}
"""Independent references from which a law is worth trying where a simpler one would do."""

_MOST_LEFT_OUT_ONE_BY_ONE = 30
_MANY_SAMPLES = 300
_FOLDS = 5
_CELLS = 4  # samples are left out by cells of a grid of so many each way: neighbours share their errors
_MOST_ROWS = 1500
_STEPS = 8  # are enough to compare laws
_REFERENCES_A_KNOT = 15
_KNOTS = (3, 6)


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The law that cross-validation chose.

    Attributes:
        law: Which.
        errors_rel: For each form that was tried, the mean error of z at references left out, relative to z
            and truncated at the tolerance of the consensus.
    """

    law: Law
    errors_rel: dict[str, float]


def choose(
    equations: Equations, space: Space, starts: dict[Form, _Array], tolerance: float, seed: int
) -> Choice:
    """Choose among the laws of rising freedom by cross-validation.

    References are left out one by one, up to 30 of them, and in five parts otherwise; samples of one
    reference are grouped by where they are in the picture, since neighbours err alike. A freer law must
    lower the mean error by more than one standard error of the difference (after Breiman et al.,
    "Classification and Regression Trees", 1984, section 3.4.3), or the simpler one stays.

    Args:
        equations: All references.
        space: What the law gives.
        starts: Parameters of the simplest forms as the consensus found them.
        tolerance: Relative error at which that of an outlier is truncated.
        seed: Of the five parts.
    """
    simplest: Form = "scale" if "scale" in starts else "affine"
    kept = thinned(equations, _MOST_ROWS)
    count = kept.observations.share.sum() + len(kept.constraints)
    forms: list[Form] = [simplest]
    value = kept.observations.value
    if len(value) and np.ptp(value) > 1e-7 * np.abs(value).max():  # one value has no slope to tell
        forms += [form for form, fewest in FEWEST_FOR.items() if form != "scale" and count >= fewest]
    laws = {form: law_for(form, space, kept) for form in dict.fromkeys(forms)}
    if len(laws) == 1:
        return Choice(laws[simplest], {})
    folds = _folds(kept, seed)
    share = np.concatenate([kept.observations.share, np.ones(len(kept.constraints))])
    errors = {form: _errors(kept, law, starts, folds, tolerance) for form, law in laws.items()}
    parts = np.unique(folds)
    weight = np.array([share[folds == part].sum() for part in parts])

    def by_part(error: _Array) -> _Array:
        sums = np.array([error[folds == part] @ share[folds == part] for part in parts], dtype=np.float64)
        return np.asarray(sums / weight)

    chosen = simplest
    for form in laws:
        gain = by_part(errors[chosen]) - by_part(errors[form])
        mean = float(gain @ weight / weight.sum())
        spread = float(np.sqrt(weight @ (gain - mean) ** 2 / weight.sum() / max(1, len(parts) - 1)))
        if mean > spread:
            chosen = form
    scores = {str(form): float(error @ share / share.sum()) for form, error in errors.items()}
    return Choice(law_for(chosen, space, equations), scores)


def law_for(form: Form, space: Space, equations: Equations) -> Law:
    """Make a law of a form; of a spline, put its knots at quantiles of the references' values."""
    if form != "spline":
        return Law(form, space)
    value = equations.observations.value
    count = int(np.clip(equations.observations.share.sum() // _REFERENCES_A_KNOT, *_KNOTS))
    knots = np.quantile(value, np.linspace(0.0, 1.0, count))
    # Half of the references may have one value, the wall's: knots need some room between them.
    room = max(0.05 * (knots[-1] - knots[0]), 1e-7 * float(np.abs(knots).max()))
    spaced = [knots[0]]
    for knot in knots[1:]:
        if knot - spaced[-1] > room:
            spaced.append(knot)
    if len(spaced) < 2:
        raise InputError(
            "a spline bends between references at several distances, and all of these are at one; add "
            "others, or leave the form to 'auto'"
        )
    return Law(form, space, tuple(float(knot) for knot in spaced))


def start_for(law: Law, starts: dict[Form, _Array]) -> _Array:
    """Make parameters of a law from those of a simpler one."""
    if law.form in starts:
        return starts[law.form]
    scale, shift = starts["affine"] if "affine" in starts else (float(starts["scale"][0]), 0.0)
    if law.form == "scale":
        return np.array([scale])
    if law.form == "spline":
        return np.asarray(scale * spline_points(law.knots) + shift)
    return np.array([scale, shift, 0.0, 0.0][: 4 if law.form == "tilted" else 2])


def _folds(equations: Equations, seed: int) -> npt.NDArray[np.intp]:
    """Give each row the number of the part that it is left out with."""
    seen = equations.observations
    bound_to = np.array([constraint.reference for constraint in equations.constraints], dtype=np.intp)
    reference = np.concatenate([seen.reference, bound_to])
    cell = np.clip(((seen.place + 1) / 2 * _CELLS).astype(np.intp), 0, _CELLS - 1)
    corner = np.concatenate([cell[:, 1] * _CELLS + cell[:, 0], np.zeros(len(bound_to), dtype=np.intp)])
    _, group = np.unique(reference * _CELLS**2 + corner, return_inverse=True)
    count = int(group.max()) + 1
    if count <= _MOST_LEFT_OUT_ONE_BY_ONE and len(reference) < _MANY_SAMPLES:
        return np.asarray(group)
    part = np.arange(count) % _FOLDS
    np.random.default_rng(seed).shuffle(part)
    return np.asarray(part[group])


def _errors(
    equations: Equations, law: Law, starts: dict[Form, _Array], folds: npt.NDArray[np.intp], tolerance: float
) -> _Array:
    """Give (n,) truncated relative errors of rows that the fit has not seen; 0 for those that are far."""
    whole = System(equations, law)
    limit = np.maximum(tolerance, 3 * whole.relative_sigma)
    error = np.zeros(len(whole))
    start = start_for(law, starts)
    for part in np.unique(folds):
        out = folds == part
        system = System(picked(equations, ~out), law)
        solution = refit(system, start, robust=len(system) > 3, tolerance=tolerance, steps=_STEPS)
        residual = np.abs(whole.relative(solution.parameters)) / limit
        error[out] = tolerance * np.minimum(residual, 1.0)[out]
    error[whole.far] = 0.0
    return error


def fit_law(equations: Equations, law: Law, start: _Array, tolerance: float = 0.1) -> Solution:
    """Fit one law robustly where there are enough rows to tell who is wrong.

    Few of them leave open whether they are wrong or the map is poor: all of that is then weighed.
    """
    system = System(equations, law)
    if 3 < len(system) <= MOST_ROWS and law.form != "spline":
        return mixed_fit(system, start)
    return refit(system, start, robust=len(system) > 3, tolerance=tolerance)
