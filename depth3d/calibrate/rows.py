"""References as weighted rows of a linear system in a law's parameters, about a guess of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.calibrate.equations import Constraint, Equations, Observations
from depth3d.calibrate.laws import Form, Space, basis

__all__ = ["Law", "Rows", "System", "picked", "thinned", "without_far_places"]

_Array: TypeAlias = npt.NDArray[np.float64]

_STEP = 1e-4  # of ln(1/z), for derivatives of constraints: exact to 1e-8 of them
_FAR_SHARE = 0.4
"""Rows whose sigma is more than this share of their 1/z say no more than "far"."""


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """Which law joins the map to metres: its form, what it gives, and a spline's knots."""

    form: Form
    space: Space
    knots: tuple[float, ...] = ()

    def factors(self, value: _Array, place: _Array) -> _Array:
        """Give the (n, p) factors of the parameters."""
        return basis(self.form, value, place, self.knots)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """`factors @ parameters = target`, a row for each observation and then one for each constraint.

    Attributes:
        factors: (n, p).
        target: (n,) y, or what a constraint's linear form should be.
        noise: (n,) standard deviation of the target by the reference's error and the map's local scatter.
        drift: (n,) what an error of the map of 100 % of z would change, in the target's unit.
    """

    factors: _Array
    target: _Array
    noise: _Array
    drift: _Array


class System:
    """The rows that `Equations` are under one law.

    Attributes:
        law: Which.
        share: (n,) how much of an independent measurement each row is.
        reference: (n,) the index of its reference.
        far: (n,) bool: the row says no more than that a place is far.
        places: (n, p) factors of all places that must have a positive depth, constraints' included.
    """

    def __init__(self, equations: Equations, law: Law) -> None:
        """Prepare what does not depend on the parameters."""
        seen, constraints = equations.observations, equations.constraints
        self.law = law
        self._equations = equations
        self._seen, self._constraints = seen, constraints
        self._factors = law.factors(seen.value, seen.place)
        self._rise = _rise(law, seen.value, seen.place)
        self._bound = [law.factors(constraint.value, constraint.place) for constraint in constraints]
        self.places = np.concatenate([self._factors, *self._bound])
        self.share = np.concatenate([seen.share, np.ones(len(constraints))])
        bound_to = np.array([constraint.reference for constraint in constraints], dtype=np.intp)
        self.reference = np.concatenate([seen.reference, bound_to])
        far = seen.sigma > _FAR_SHARE * seen.inverse_depth
        self.far = np.concatenate([far, np.zeros(len(constraints), dtype=bool)])
        q = seen.inverse_depth
        if law.space == "disparity":
            self._target, self._sigma = q, seen.sigma
        else:
            self._target, self._sigma = 1 / q, seen.sigma / q**2

    def __len__(self) -> int:
        return len(self.share)

    def rows(self, parameters: _Array) -> Rows:
        """Give the rows about some parameters, which must make all places positive for constraints."""
        y = self._factors @ parameters
        scatter = (self._rise @ parameters) * self._seen.value_sigma
        noise = np.hypot(self._sigma, scatter)
        drift = np.maximum(y, 0.1 * np.abs(self._target))
        if not self._constraints:
            return Rows(self._factors, self._target, noise, drift)
        more = [
            self._linear(constraint, factors, parameters)
            for constraint, factors in zip(self._constraints, self._bound, strict=True)
        ]
        return Rows(
            np.concatenate([self._factors, [row for row, _, _ in more]]),
            np.concatenate([self._target, [target for _, target, _ in more]]),
            np.concatenate([noise, [constraint.sigma_log for constraint in self._constraints]]),
            np.concatenate([drift, [change for _, _, change in more]]),
        )

    def _linear(
        self, constraint: Constraint, factors: _Array, parameters: _Array
    ) -> tuple[_Array, float, float]:
        """Give factors, target and drift of a constraint: its first order about the parameters."""
        y = np.maximum(factors @ parameters, 1e-12)
        sign = 1.0 if self.law.space == "disparity" else -1.0
        ln_q = sign * np.log(y)
        steps = _STEP * np.eye(len(y))
        residual = constraint.log_residual(np.exp(np.stack([ln_q, *(ln_q + steps), *(ln_q - steps)])))
        by_ln_q = (residual[1 : 1 + len(y)] - residual[1 + len(y) :]) / (2 * _STEP)
        row = (by_ln_q * sign / y) @ factors
        return row, float(row @ parameters - residual[0]), float(np.linalg.norm(by_ln_q))

    def relative(self, parameters: _Array) -> _Array:
        """Give (..., n) residuals of (..., p) parameters, as a share of y or of a constraint's length.

        inf where a constraint has a place without a positive depth.
        """
        residual = parameters @ self._factors.T
        residual -= self._target
        residual /= np.maximum(np.abs(self._target), 1e-12)
        if not self._constraints:
            return residual
        more = []
        for constraint, factors in zip(self._constraints, self._bound, strict=True):
            y = parameters @ factors.T
            good = (y > 0).all(axis=-1)
            safe = np.where(y > 0, y, 1.0)
            found = constraint.log_residual(safe if self.law.space == "disparity" else 1 / safe)
            more.append(np.where(good, found, np.inf))
        return np.concatenate([residual, np.stack(more, axis=-1)], axis=-1)

    def thinned(self, most: int) -> System:
        """Keep so many observations, evenly spaced, and all constraints."""
        return System(thinned(self._equations, most), self.law)

    @property
    def relative_sigma(self) -> _Array:
        """(n,) standard deviation of `relative` by the references' own errors."""
        observed = self._sigma / np.maximum(np.abs(self._target), 1e-12)
        return np.concatenate([observed, [constraint.sigma_log for constraint in self._constraints]])

    @property
    def targets(self) -> _Array:
        """(m,) y of the observations."""
        return self._target


def _rise(law: Law, value: _Array, place: _Array) -> _Array:
    """Give the (n, p) factors of dy/dv: how fast the law rises with the map's value."""
    step = 1e-4 * (law.knots[-1] - law.knots[0]) if law.form == "spline" else 1.0
    return (law.factors(value + step, place) - law.factors(value - step, place)) / (2 * step)


def picked(equations: Equations, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Equations:
    """Keep some rows, counted as in `System`: observations first, then constraints."""
    count = len(equations.observations)
    chosen = np.arange(count + len(equations.constraints))[rows]
    constraints = tuple(equations.constraints[row - count] for row in chosen[chosen >= count])
    return replace(
        equations, observations=equations.observations[chosen[chosen < count]], constraints=constraints
    )


def thinned(equations: Equations, most: int) -> Equations:
    """Keep so many observations at most, evenly spaced, and all constraints."""
    count = len(equations.observations)
    if count <= most:
        return equations
    kept = np.linspace(0, count - 1, most).round().astype(np.intp)
    return replace(equations, observations=equations.observations[kept])


def without_far_places(equations: Equations) -> tuple[Equations, int]:
    """Leave out observations that say no more than "far", and count them."""
    seen: Observations = equations.observations
    near = seen.sigma <= _FAR_SHARE * seen.inverse_depth
    return replace(equations, observations=seen[near]), int((~near).sum())
