"""The weighted, robust refit of a law from a good start, its covariance, and what it leaves unexplained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.calibrate.laws import spline_points
from depth3d.calibrate.rows import Law, Rows, System

__all__ = ["PRIOR_MISFIT_REL", "Solution", "belief", "damped", "misfit_belief", "refit", "solve"]

_Array: TypeAlias = npt.NDArray[np.float64]

PRIOR_MISFIT_REL = 0.06
"""Typical error of a relative map's own shape, and the degrees of freedom that this belief is worth."""
PRIOR_FREEDOM = 4.0

_MISFITS = np.geomspace(0.001, 0.6, 140)
_MOST_ROWS_FOR_MISFIT = 1000
_STEPS = 30
_TOLERANCE = 1e-7
_TUKEY = 4.685  # keeps 95 % of the efficiency on Gaussian errors (Huber, "Robust Statistics", 1981)
_INLIER = 3.0  # sigmas, of rows that the misfit is estimated from
_FLOOR = 0.02  # of a reference's y: less than that is pinned there
_TILT = 0.1
"""How much a map is believed to drift from the picture's centre to its edge, as a share of its middle 1/z."""
_BEND = 0.3
"""How much a spline's slope is believed to change from knot to knot, as a share of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """A fitted law.

    Attributes:
        law: Which.
        parameters: (p,).
        covariance: (p, p).
        misfit_rel: Standard deviation of what the law does not explain, relative to z.
        inlier: (n,) bool of the rows.
        score: (n,) residuals in standard deviations.
        leave_one_out: (n,) what a row's residual would be had the fit not seen it, relative to z.
        chi2: Sum of squared scores of the inliers, each times its share.
        condition: Condition number of the weighted system with columns of equal length.
    """

    law: Law
    parameters: _Array
    covariance: _Array
    misfit_rel: float
    inlier: npt.NDArray[np.bool_]
    score: _Array
    leave_one_out: _Array
    chi2: float
    condition: float


def refit(
    system: System,
    start: _Array,
    *,
    robust: bool,
    misfit_rel: float | None = None,
    tolerance: float = 0.1,
    steps: int = _STEPS,
) -> Solution:
    """Fit by iteratively reweighted least squares.

    A row's variance is that of its reference, of the map's scatter there, and of the map's own drift:
    `noise^2 + (misfit * drift)^2`. The misfit is estimated with the parameters, from the inliers and a prior:
    without it two references would be fitted exactly and nothing would be left to doubt.

    Args:
        system: The rows.
        start: (p,) parameters near the solution, with a positive depth at all places of constraints.
        robust: Reject outliers by Tukey's biweight.
        misfit_rel: Keep this misfit, instead of estimating it.
        tolerance: Relative residuals below this are inliers at the start.
        steps: At most.
    """
    parameters = start
    rows = system.rows(parameters)
    relative = np.abs(system.relative(parameters))
    misfit = misfit_rel
    if misfit is None:
        near = relative[relative < tolerance]
        misfit = max(PRIOR_MISFIT_REL, 1.4826 * float(np.median(near)) if len(near) else 0.0)
    prior = belief(system, start)
    sigma = np.hypot(rows.noise, misfit * rows.drift)
    solved = _Solved(parameters, np.zeros(len(system)), np.eye(len(parameters)), 1.0)
    for _ in range(steps):
        score = (rows.target - rows.factors @ parameters) / sigma
        kept = _kept(score, len(parameters)) if robust else np.ones(len(score))
        solved = solve(rows, sigma, system.share * kept, prior, system)
        after = damped(system, parameters, solved.parameters)
        moved = np.max(np.abs(system.places @ (after - parameters)) / np.abs(system.places @ after).max())
        parameters, rows = after, system.rows(after)
        score = (rows.target - rows.factors @ parameters) / sigma
        inlier = np.abs(score) < _INLIER if robust else np.ones(len(score), dtype=bool)
        before = misfit
        if misfit_rel is None:
            misfit = _misfit(rows, parameters, solved.leverage, system.share, inlier)
        sigma = np.hypot(rows.noise, misfit * rows.drift)
        if moved < _TOLERANCE and abs(misfit - before) < 1e-4 * misfit:
            break
    score = (rows.target - rows.factors @ parameters) / sigma
    inlier = np.abs(score) < _TUKEY if robust else np.ones(len(score), dtype=bool)
    chi2 = float(np.sum(system.share[inlier] * score[inlier] ** 2))
    freedom = float(system.share[inlier].sum()) - len(parameters)
    excess = max(1.0, chi2 / freedom) if freedom >= 1 else 1.0
    left = np.clip(1 - solved.leverage, 1e-3, 1.0)
    out = (score / np.where(inlier, left, 1.0)) * sigma / np.maximum(rows.drift, 1e-12)
    return Solution(
        system.law, parameters, solved.covariance * excess, misfit, inlier, score, out, chi2, solved.condition
    )


def misfit_belief(misfit_rel: npt.NDArray[Any] | float) -> _Array:
    """Give the log prior of a map's misfit: a scaled inverse chi-square of its square, per step of its log.

    The published mean errors of relative networks after the best affine fit are 4 to 8 % on most data sets,
    which is half as much again in the root of the mean square.
    """
    square = np.asarray(misfit_rel) ** 2
    return np.asarray(-0.5 * PRIOR_FREEDOM * (np.log(square) + PRIOR_MISFIT_REL**2 / square))


@dataclass(frozen=True, slots=True, eq=False)
class _Solved:
    parameters: _Array
    leverage: _Array
    covariance: _Array
    condition: float


def _kept(score: _Array, parameters: int) -> _Array:
    """Give weights by Tukey's biweight, or Cauchy's, which are never 0, where too few rows would be left."""
    weight = np.clip(1 - (score / _TUKEY) ** 2, 0, None) ** 2
    if np.count_nonzero(weight > 0.05) < parameters:
        weight = 1 / (1 + score**2)
    return np.asarray(weight)


def belief(system: System, start: _Array) -> _Array:
    """Give (k, p) rows that are N(0, 1) by belief: a tilt, and the changes of a spline's slope.

    Without it a floor, which is nearer the lower it is seen, would be explained by that and not by the map.
    """
    law = system.law
    if law.form == "tilted":
        level = float(np.median(system.places @ start))
        return np.asarray(np.eye(4)[2:] / (_TILT * level))
    if law.form != "spline":
        return np.zeros((0, len(start)))
    points = spline_points(law.knots)
    slope = np.diff(np.eye(len(points)), axis=0) / np.diff(points)[:, None]
    mean = (start[-1] - start[0]) / (points[-1] - points[0])
    return np.asarray(np.diff(slope, axis=0) / (_BEND * mean))


def solve(rows: Rows, sigma: _Array, weight: _Array, prior: _Array, system: System) -> _Solved:
    """Solve the weighted system with a rising law that is positive at the references.

    The columns are brought to one length first: disparities may be 1e-3 or 1e3, and the shift's column is 1.
    """
    root = np.sqrt(weight) / sigma
    matrix = np.concatenate([rows.factors * root[:, None], prior])
    target = np.concatenate([rows.target * root, np.zeros(len(prior))])
    transform = _coordinates(system.law, matrix)
    scaled = matrix @ transform
    parameters = _least_squares(scaled, target, transform, system.law)
    # References that the free solution puts at or beyond infinity are pinned just within it, and not below.
    targets = system.targets
    seen = rows.factors[: len(targets)]
    pinned = np.zeros(len(targets), dtype=bool)
    for _ in range(4):
        broken = (weight[: len(targets)] > 0) & (seen @ parameters < _FLOOR * targets * 0.999)
        if not (broken & ~pinned).any():
            break
        pinned |= broken
        heavy = 1e3 * np.abs(root).max() if len(root) else 1.0
        parameters = _least_squares(
            np.concatenate([scaled, heavy * seen[pinned] @ transform]),
            np.concatenate([target, heavy * _FLOOR * targets[pinned]]),
            transform,
            system.law,
        )
    values, vectors = np.linalg.eigh(scaled.T @ scaled)
    values = np.maximum(values, max(1e-15 * float(values[-1]), 1e-200))
    inverse = (vectors / values) @ vectors.T
    leverage = np.einsum("ni,ij,nj->n", scaled, inverse, scaled)[: len(sigma)]
    covariance = transform @ inverse @ transform.T
    return _Solved(parameters, leverage, covariance, _condition(matrix))


def _condition(matrix: _Array) -> float:
    """Give the condition number with columns of equal length: large where they say the same thing."""
    length = np.linalg.norm(matrix, axis=0)
    columns = matrix / np.where(length > 0, length, 1.0)
    values = np.linalg.eigvalsh(columns.T @ columns)
    return float(np.sqrt(max(values[-1], 0.0) / max(float(values[0]), 1e-16 * float(values[-1]))))


def _coordinates(law: Law, matrix: _Array) -> _Array:
    """Give (p, p) that makes the columns of `matrix @ it` of equal length, and the first two orthogonal."""
    transform = np.eye(matrix.shape[1])
    if law.form in ("affine", "tilted"):
        ones = matrix[:, 1]
        transform[1, 0] = -(matrix[:, 0] @ ones) / max(float(ones @ ones), 1e-300)
    length = np.linalg.norm(matrix @ transform, axis=0)
    return np.asarray(transform / np.where(length > 0, length, 1.0))


def _least_squares(scaled: _Array, target: _Array, transform: _Array, law: Law) -> _Array:
    if law.form != "spline":
        return np.asarray(transform @ np.linalg.lstsq(scaled, target, rcond=None)[0])
    from scipy.optimize import lsq_linear

    # A spline rises when its coefficients do: the first is free and the steps are not negative.
    count = len(transform)
    steps = np.tril(np.ones((count, count)))
    matrix = scaled @ np.linalg.solve(transform, steps)
    length = np.maximum(np.linalg.norm(matrix, axis=0), 1e-300)
    # Orthogonal reduction first: the bounded solver then works on p rows, not on all.
    q, r = np.linalg.qr(matrix / length)
    low = np.zeros(count)
    low[0] = -np.inf
    found = lsq_linear(r, q.T @ target, bounds=(low, np.inf), method="bvls")
    return np.asarray(steps @ (found.x / length))


def damped(system: System, before: _Array, after: _Array) -> _Array:
    """Go only so far that all places of constraints keep a positive depth, and no depth changes threefold."""
    bound = system.places[len(system.targets) :]
    if not len(bound):
        return after
    step = 1.0
    for _ in range(30):
        there, here = bound @ (before + step * (after - before)), bound @ before
        if np.all(there > here / 3) and np.all(there < here * 3):
            break
        step /= 2
    return before + step * (after - before)


def _misfit(
    rows: Rows,
    parameters: _Array,
    leverage: _Array,
    share: _Array,
    inlier: npt.NDArray[np.bool_],
) -> float:
    """Estimate what the law leaves unexplained, relative to z: the posterior's mean square.

    The likelihood of residuals e with leverages h (whose variance the fit has shrunk by 1 - h) is
    `sum (share - h) log v + share e^2 / v` with v = noise^2 + misfit^2 drift^2; the prior is a scaled
    inverse chi-square of few degrees of freedom (Gelman et al., "Bayesian Data Analysis", 2013, section 2.6).
    """
    chosen = np.flatnonzero(inlier & (share > 0))
    weight = share[chosen]
    if len(chosen) > _MOST_ROWS_FOR_MISFIT:
        thin = np.linspace(0, len(chosen) - 1, _MOST_ROWS_FOR_MISFIT).round().astype(np.intp)
        chosen = chosen[thin]
        weight = weight[thin] * (weight.sum() / weight[thin].sum())
    residual = (rows.target - rows.factors @ parameters)[chosen]
    left = np.clip(weight - leverage[chosen] * (weight / share[chosen]), 0.0, None)
    square = _MISFITS[:, None] ** 2
    variance = rows.noise[chosen] ** 2 + square * rows.drift[chosen] ** 2
    fit = (left * np.log(variance) + weight * residual**2 / variance).sum(axis=1)
    log_posterior = -0.5 * fit + misfit_belief(_MISFITS)
    posterior = np.exp(log_posterior - log_posterior.max())
    return float(np.sqrt((posterior @ square[:, 0]) / posterior.sum()))
