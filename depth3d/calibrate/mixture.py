"""The fit of few references: any may be wrong, the map may be poor, and few can't tell one from the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.calibrate.refit import (
    PRIOR_MISFIT_REL,
    Solution,
    belief,
    damped,
    misfit_belief,
    refit,
    solve,
)
from depth3d.calibrate.rows import System

__all__ = ["MOST_ROWS", "mixed_fit"]

_Array: TypeAlias = npt.NDArray[np.float64]

MOST_ROWS = 60
"""With more there is little doubt about the misfit, and `refit` alone does."""

_MISFITS: _Array = np.asarray(np.geomspace(0.005, 0.6, 10), dtype=np.float64)
_POOR, _POOR_MISFIT_REL = 0.15, 0.2
"""Share of maps that are believed poor (a small network, a picture unlike those it learned from), and what
they are off by."""
_WRONG, _WRONG_DENSITY = 0.15, 0.3
"""Share of references that are believed wrong, and their density in ln z: from 1/5 to 5 times the truth."""
_STEPS = 12
_SETTLED = 1e-5
_SAME = 1e-3  # relative difference of y below which two laws are one


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """The fit under one misfit, with (n,) how likely each row is right and the log of its evidence."""

    parameters: _Array
    covariance: _Array
    condition: float
    leverage: _Array
    misfit: float
    right: _Array
    evidence: float


def mixed_fit(system: System, start: _Array) -> Solution:
    """Average the fits under all misfits that the map may have, each by its evidence.

    Where references disagree, either some are wrong and the map is good, or they are right and the map is
    poor. One estimate of the misfit decides that once and for all, and on a poor map it throws out right
    references. Here each row is right with the spread that a misfit gives it or wrong with any error (Jaynes
    and Bretthorst, "Probability Theory", 2003, section 21), and the misfit is a variable like the others:
    for each of its values the mode is found by expectation and maximisation, its evidence by Laplace's
    approximation (MacKay, "Information Theory", 2003, chapters 27 and 28), and the modes are averaged
    (Hoeting et al., "Bayesian Model Averaging", 1999). Modes that differ make the covariance wider. What
    is left out are the tails: where one reference alone rules the far end, sigma there is half or a third of
    the integral's.

    Two series of fits look for modes: from the law that most agree on with rising misfit, and from the
    least-squares one of all rows with falling misfit.

    Args:
        system: Up to `MOST_ROWS` rows, more than the law has parameters.
        start: (p,) the law that most agree on.

    Returns:
        The average. Rows that are likelier wrong than right are no inliers.
    """
    everything = refit(system, start, robust=False, misfit_rel=float(_MISFITS[-1])).parameters
    prior = belief(system, start)
    cases = _modes(
        system,
        [*_series(system, start, _MISFITS, prior), *_series(system, everything, _MISFITS[::-1], prior)],
    )
    evidence = np.array([case.evidence for case in cases])
    weight = np.exp(evidence - evidence.max())
    weight /= weight.sum()
    modes = np.array([case.parameters for case in cases])
    parameters = weight @ modes
    off = modes - parameters
    covariance = np.tensordot(weight, np.array([case.covariance for case in cases]), 1)
    covariance = covariance + (off.T * weight) @ off
    misfit = float(np.sqrt(weight @ np.array([case.misfit for case in cases]) ** 2))
    inlier = weight @ np.array([case.right for case in cases]) > 0.5
    leverage = weight @ np.array([case.leverage for case in cases])

    rows = system.rows(parameters)
    sigma = np.hypot(rows.noise, misfit * rows.drift)
    score = (rows.target - rows.factors @ parameters) / sigma
    left = np.where(inlier, np.clip(1 - leverage, 1e-3, 1.0), 1.0)
    return Solution(
        law=system.law,
        parameters=parameters,
        covariance=covariance,
        misfit_rel=misfit,
        inlier=inlier,
        score=score,
        leave_one_out=score / left * sigma / np.maximum(rows.drift, 1e-12),
        chi2=float(np.sum(system.share[inlier] * score[inlier] ** 2)),
        condition=cases[int(np.argmax(evidence))].condition,
    )


def _series(system: System, start: _Array, misfits: _Array, prior: _Array) -> list[_Case]:
    """Fit under one misfit after the other, each time from the mode of the one before."""
    cases: list[_Case] = []
    for misfit in misfits.tolist():
        cases.append(_case(system, cases[-1].parameters if cases else start, misfit, prior))
    return cases


def _case(system: System, parameters: _Array, misfit: float, prior: _Array) -> _Case:
    """Find the mode under one misfit near some parameters; `prior` are rows that are N(0, 1) by belief."""
    share = system.share
    # Errors of a distance count relative to it; those of lengths are logarithms already.
    unit = np.ones(len(system))
    unit[: len(system.targets)] = np.abs(system.targets)
    # Two rows that are surely right, and no more, would fix a line, and any two would.
    fewest = min(len(parameters) + 0.5, 0.5 * float(share.sum()))
    rows = system.rows(parameters)
    for _ in range(_STEPS):
        sigma = np.hypot(rows.noise, misfit * rows.drift)
        score = (rows.target - rows.factors @ parameters) / sigma
        right, _ = _likelihood(score, sigma / unit)
        if right @ share < fewest:
            right = 1 / (1 + score**2)
        solved = solve(rows, sigma, share * right, prior, system)
        after = damped(system, parameters, solved.parameters)
        moved = np.max(np.abs(system.places @ (after - parameters))) / np.abs(system.places @ after).max()
        parameters, rows = after, system.rows(after)
        if moved < _SETTLED:
            break
    sigma = np.hypot(rows.noise, misfit * rows.drift)
    right, likelihood = _likelihood((rows.target - rows.factors @ parameters) / sigma, sigma / unit)
    # Columns brought to one size: the determinant is of a matrix that may hold disparities of 1e-3 or 1e3.
    size = np.abs(system.places).max(axis=0)
    _, volume = np.linalg.slogdet(solved.covariance * np.outer(size, size))
    believed = prior @ parameters
    evidence = likelihood @ share + _misfit_belief(misfit) + 0.5 * volume - 0.5 * believed @ believed
    return _Case(
        parameters, solved.covariance, solved.condition, solved.leverage, misfit, right, float(evidence)
    )


def _likelihood(score: _Array, spread: _Array) -> tuple[_Array, _Array]:
    """Give (n,) how likely each row is right, and its log-likelihood, right or wrong."""
    right = np.log1p(-_WRONG) - np.log(spread) - 0.5 * (np.log(2 * np.pi) + score**2)
    either = np.logaddexp(right, np.log(_WRONG * _WRONG_DENSITY))
    return np.exp(right - either), either


def _misfit_belief(misfit: float) -> float:
    """Give the log prior of a misfit: most maps are as good as published ones, and some are poor."""
    good = misfit_belief(misfit)
    poor = misfit_belief(misfit * PRIOR_MISFIT_REL / _POOR_MISFIT_REL)  # the same, so many times wider
    return float(np.logaddexp(np.log(1 - _POOR) + good, np.log(_POOR) + poor))


def _modes(system: System, cases: Iterable[_Case]) -> list[_Case]:
    """Keep each mode once: both series mostly end in the same."""
    kept: list[_Case] = []
    for case in cases:
        y = system.places @ case.parameters
        known = (system.places @ other.parameters for other in kept if other.misfit == case.misfit)
        if not any(np.allclose(y, other, rtol=_SAME, atol=0) for other in known):
            kept.append(case)
    return kept
