"""The start of a robust fit: the law that most references agree on, whatever the others say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.calibrate.equations import Equations
from depth3d.calibrate.laws import Form, Space
from depth3d.calibrate.refit import misfit_belief, refit
from depth3d.calibrate.rows import Law, System

__all__ = ["Consensus", "agree", "candidates", "judge"]

_Array: TypeAlias = npt.NDArray[np.float64]

_TRUNCATED_AT = (0.1, 0.2, 0.35)
_FINALISTS = 12  # of each
_SPREADS = np.geomspace(0.01, 0.3, 9)
_WRONG = np.array([0.02, 0.1, 0.2, 0.3, 0.4, 0.5])
_FEW = 4.0  # right references that the belief in them is worth
_SKY_NOISE = 0.02  # of 1/z, as a share of the references' median
_BEYOND_COST = 30.0  # of log-likelihood, for all of the picture
_WRONG_DENSITY = 0.25
"""Of the relative error of a wrong reference: anywhere from -1 to 3."""
_NARROWEST, _WIDEST = 0.15, 0.35
_SPREADS_WIDE = 2.5
"""Who agrees: within so many spreads, but no fewer and no more percents of z than those."""

_MOST_PAIRS = 2000
_MOST_ROWS = 1500
_GRID = 90
_NEAREST_M, _FARTHEST_M = 0.05, 1000.0
_GRID_SIGMA = 0.03
_SAME = 0.03  # relative difference of depths below which two solutions are one
_INDISTINCT = 4.0  # of chi2: two standard deviations


@dataclass(frozen=True, slots=True, eq=False)
class Consensus:
    """A law through some of the references, and how many of all agree with it.

    Attributes:
        parameters: (p,).
        tolerance: Relative error up to which a row agrees.
        residual: (n,) relative residuals of the rows.
        agreeing: (n,) bool.
        evidence: Log-likelihood of all rows, wrong ones included.
        majority: Whether the rows that agree are enough.
    """

    parameters: _Array
    tolerance: float
    residual: _Array
    agreeing: npt.NDArray[np.bool_]
    evidence: float
    majority: bool


def agree(
    system: System, seed: int, *, rising: bool = True, picture: _Array | None = None
) -> Consensus | None:
    """Find the law through one or two observations that explains all of them best.

    All pairs are tried where there are at most 2000, and as many random ones otherwise (Fischler and Bolles,
    "Random sample consensus", 1981). Those with the least truncated error at one of three thresholds are
    compared by the likelihood of a mixture of right references, whose spread is unknown, and wrong ones,
    whose number is (Torr and Zisserman, "MLESAC", 2000): one threshold would take a picture with much wall
    for nothing but wall, and the rest for wrong. Errors are relative to z, since far references would
    otherwise outweigh near ones.

    Args:
        system: Rows under a law of the form `scale` or `affine`.
        seed: Of the random pairs.
        rising: Try laws that rise with the map's value; else those that fall, for a diagnosis.
        picture: Values from all over the map: a law that puts much of them beyond infinity is less likely.

    Returns:
        The best, or None where no pair of observations gives a law of that kind.
    """
    tried = _hypotheses(system, seed, rising=rising)
    if not len(tried):
        return None
    # Samples by the thousand are judged by an even selection of them, references given one by one by all.
    judges = system if len(system) <= _MOST_ROWS else system.thinned(_MOST_ROWS)
    residual = np.abs(judges.relative(tried))
    sigma = judges.relative_sigma
    finalists = np.concatenate(
        [
            np.argsort(np.minimum(residual / np.hypot(limit, 3 * sigma), 1.0) @ judges.share)[:_FINALISTS]
            for limit in _TRUNCATED_AT
        ]
    )
    return judge(system, tried[np.unique(finalists)], picture)


def judge(system: System, tried: _Array, picture: _Array | None = None) -> Consensus:
    """Take the likeliest of (m, p) laws, and count who agrees with it.

    The spread of right references has the prior that their misfit has in the refit; wrong ones are believed
    to be few.
    """
    judges = system if len(system) <= _MOST_ROWS else system.thinned(_MOST_ROWS)
    square = np.minimum(np.abs(judges.relative(tried)), 1e3)[:, None, :] ** 2
    variance = _SPREADS[:, None] ** 2 + judges.relative_sigma**2
    right = -0.5 * (square / variance + np.log(2 * np.pi * variance))
    belief = misfit_belief(_SPREADS)
    # Three references or fewer can't show which one is wrong: none is taken for it.
    shares = _WRONG if len(system) > 3 else _WRONG[:1] * 1e-6
    evidence = np.stack(
        [
            np.logaddexp(right + np.log1p(-wrong), np.log(wrong * _WRONG_DENSITY)) @ judges.share
            + belief
            + _FEW * np.log1p(-wrong)
            for wrong in shares
        ]
    )
    if picture is not None and system.law.form == "affine":
        evidence -= _BEYOND_COST * _beyond(system, tried, picture)[:, None]
    _, best, spread = np.unravel_index(int(np.argmax(evidence)), evidence.shape)
    tolerance = float(np.clip(_SPREADS_WIDE * _SPREADS[spread], _NARROWEST, _WIDEST))
    residual = system.relative(tried[best])
    agreeing = np.abs(residual) < np.hypot(tolerance, _SPREADS_WIDE * system.relative_sigma)
    majority = _is_majority(system, agreeing)
    return Consensus(tried[best], tolerance, residual, agreeing, float(evidence.max()), majority)


def _beyond(system: System, tried: _Array, picture: _Array) -> _Array:
    """Give (m,) the share of the picture that laws put further beyond infinity than noise may put the sky."""
    y = tried[:, :1] * picture + tried[:, 1:2]
    noise = _SKY_NOISE * np.median(system.targets) if len(system.targets) else 0.0
    return np.asarray((y < -noise).mean(axis=1))


def _is_majority(system: System, agreeing: npt.NDArray[np.bool_]) -> bool:
    """Ask of up to three rows that all agree, and of more that over half do, three at least."""
    count = len(system)
    if count <= 3:
        return bool(agreeing.all())
    return bool(agreeing.sum() >= 3 and system.share[agreeing].sum() > 0.5 * system.share.sum())


def _hypotheses(system: System, seed: int, *, rising: bool) -> _Array:
    """Give (m, p) laws through one observation (scale) or two (affine)."""
    count = len(system.targets)
    if system.law.form == "scale":
        value = system.places[:count, 0]
        usable = np.flatnonzero((value > 0) & (system.targets > 0))
        if len(usable) > _MOST_PAIRS:
            usable = usable[np.linspace(0, len(usable) - 1, _MOST_PAIRS).round().astype(np.intp)]
        return (system.targets[usable] / value[usable])[:, None] if rising else np.zeros((0, 1))
    if count * (count - 1) // 2 <= _MOST_PAIRS:
        pairs = np.stack(np.triu_indices(count, 1))
    else:
        pairs = np.random.default_rng(seed).integers(0, count, (2, _MOST_PAIRS))
    first, second = pairs
    value, y = system.places[:count, 0], system.targets
    step = value[second] - value[first]
    apart = np.abs(step) > 1e-9 * np.maximum(np.abs(value).max(initial=0.0), 1e-300)
    first, second, step = first[apart], second[apart], step[apart]
    scale = (y[second] - y[first]) / step
    tried = np.stack([scale, y[first] - scale * value[first]], axis=1)
    return np.asarray(tried[scale > 0 if rising else scale < 0])


def candidates(equations: Equations, law_form: Form, space: Space) -> list[_Array]:
    """Find all laws that satisfy the references, where constraints make the equations non-linear.

    A grid over the depth at the smallest and the largest value in question, 0.05 to 1000 m, whose local
    minima are refined; those that the data can't tell from the best (chi2 within 4) stay.

    Args:
        equations: With constraints; of many observations an even selection is enough.
        law_form: `scale` or `affine`.
        space: What the law gives.

    Returns:
        Parameters of each distinct solution, best first; none where no depths satisfy anything.
    """
    system = System(equations, Law(law_form, space))
    tried, shape = _grid(system)
    sigma = np.hypot(system.relative_sigma, _GRID_SIGMA)
    # Heavy tails keep one wrong reference from hiding the minimum of the others.
    score = np.where(np.isfinite(found := system.relative(tried)), found, 1e3) / sigma
    cost = (system.share * np.log1p(score**2)).sum(axis=-1).reshape(shape)
    cost[~np.isfinite(tried).all(axis=-1).reshape(shape)] = np.inf
    starts = tried.reshape(*shape, -1)[_local_minima(cost)]
    solutions = []
    for start in starts:
        solution = refit(system, start, robust=len(system) > 3, misfit_rel=_GRID_SIGMA)
        if solution.parameters[0] > 0 and np.all(system.places @ solution.parameters > 0):
            robust_chi2 = float((system.share * np.minimum(solution.score**2, 25.0)).sum())
            solutions.append((robust_chi2, solution.parameters))
    solutions.sort(key=lambda pair: pair[0])
    distinct: list[_Array] = []
    for chi2, parameters in solutions:
        y = system.places @ parameters
        new = all(np.max(np.abs(y / (system.places @ other) - 1)) > _SAME for other in distinct)
        if new and chi2 < solutions[0][0] + _INDISTINCT:
            distinct.append(parameters)
    return distinct


def _grid(system: System) -> tuple[_Array, tuple[int, ...]]:
    """Give (m, p) laws on a grid of depths, and the grid's shape."""
    value = system.places[:, 0]
    depth = np.geomspace(_NEAREST_M, _FARTHEST_M, _GRID)
    y = 1 / depth if system.law.space == "disparity" else depth
    if system.law.form == "scale":
        fine = np.geomspace(y[0], y[-1], _GRID**2)
        return fine[:, None] / np.median(value), (_GRID**2,)
    low, high = float(value.min()), float(value.max())
    at_low, at_high = np.meshgrid(y, y, indexing="ij")
    scale = (at_high - at_low) / (high - low)
    tried = np.stack([scale, at_low - scale * low], axis=-1)
    tried[scale <= 0] = np.nan
    return tried.reshape(-1, 2), (_GRID, _GRID)


def _local_minima(cost: _Array) -> npt.NDArray[np.bool_]:
    from scipy.ndimage import minimum_filter

    return np.asarray(np.isfinite(cost) & (cost <= minimum_filter(cost, size=3, mode="nearest")))
