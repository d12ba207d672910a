"""Equations for tests of the fit: rows with known truth, without a picture."""

from __future__ import annotations

import numpy as np
import pytest

from depth3d.calibrate.equations import Constraint, Equations, Observations

SCALE, SHIFT = 0.05, 0.03
"""The law of all that is drawn: 1/z = SCALE d + SHIFT."""


@pytest.fixture(scope="session")
def truth():
    """(scale, shift) of the law that is to be found."""
    return SCALE, SHIFT


@pytest.fixture(scope="session")
def rows_of():
    """Make one observation a value: disparity (or z of a metric map) against true z."""

    def make(d, z, *, sigma_rel=0.02, share=1.0, place=None, reference=None, seed=0):
        d, z = np.asarray(d, np.float64), np.asarray(z, np.float64)
        count = len(d)
        if place is None:
            place = np.random.default_rng(seed).uniform(-1, 1, (count, 2))
        index = np.arange(count) if reference is None else np.asarray(reference)
        return Equations(
            Observations(d, np.zeros(count), place, 1 / z, sigma_rel / z, np.full(count, share), index)
        )

    return make


@pytest.fixture(scope="session")
def drawn():
    """Draw disparities and z with relative errors, some of them gross: (d, z, wrong)."""

    def draw(count, *, outliers=0.0, misfit=0.03, seed=0, low=0.2, high=10.0):
        rng = np.random.default_rng(seed)
        d = rng.uniform(low, high, count)
        z = np.exp(rng.normal(0, misfit, count)) / (SCALE * d + SHIFT)
        wrong = np.arange(count) < round(outliers * count)
        factor = rng.uniform(1.5, 4, count) ** rng.choice([-1, 1], count)
        return d, np.where(wrong, z * factor, z), wrong

    return draw


@pytest.fixture(scope="session")
def length_between():
    """Bind two points, given by disparity and ray (r_z = 1): their distance is `length` metres."""

    def bind(d, rays, length, *, sigma=0.02, reference=0):
        rays = np.asarray(rays, np.float64)

        def log_residual(q):
            ends = rays / np.asarray(q)[..., None]
            return np.log(np.linalg.norm(ends[..., 0, :] - ends[..., 1, :], axis=-1) / length)

        return Constraint(np.asarray(d, np.float64), np.zeros((2, 2)), log_residual, sigma, reference)

    return bind


@pytest.fixture(scope="session")
def true_length():
    """Give the distance between two points by the law that is to be found."""

    def measure(d, rays):
        q = SCALE * np.asarray(d) + SHIFT
        first, second = np.asarray(rays, np.float64) / q[:, None]
        return float(np.linalg.norm(first - second))

    return measure
