"""The fit of few references against the integral that it stands for, and on maps that are poor."""

from __future__ import annotations

import numpy as np
import pytest

from depth3d.calibrate.fit import fit_equations
from depth3d.calibrate.mixture import mixed_fit
from depth3d.calibrate.rows import Law, System
from depth3d.errors import InputError

SIGMA_REL = 0.02


def integrated(d, z, at):
    """Integrate over all lines, misfits, and which references are wrong: mean and sigma of 1/z at some d.

    Written down from the model alone: a reference is wrong one time in seven, then anywhere within 5 times
    the truth either way; the misfit has the published prior, or one time in seven that of a poor map.
    """
    low, high = np.meshgrid(np.linspace(0.002, 0.9, 420), np.linspace(0.02, 1.6, 420), indexing="ij")
    scale = (high - low) / (d.max() - d.min())
    shift = low - scale * d.min()
    posterior = np.zeros_like(low)
    for misfit in np.geomspace(0.004, 0.6, 25):
        prior = sum(
            share * np.exp(-2 * (np.log((misfit / typical) ** 2) + (typical / misfit) ** 2))
            for share, typical in ((0.85, 0.06), (0.15, 0.2))
        )
        likelihood = prior
        for value, target in zip(d, 1 / z, strict=True):
            y = scale * value + shift
            spread = np.hypot(SIGMA_REL * target, misfit * np.maximum(y, 0.1 * target))
            bell = np.exp(-0.5 * ((y - target) / spread) ** 2) / (np.sqrt(2 * np.pi) * spread)
            likelihood = likelihood * (0.85 * bell * target + 0.15 * 0.3)
        posterior += likelihood
    posterior /= posterior.sum()
    y = np.array([(scale * value + shift) for value in at])
    mean = (posterior * y).sum(axis=(1, 2))
    return mean, np.sqrt((posterior * (y - mean[:, None, None]) ** 2).sum(axis=(1, 2)))


@pytest.mark.parametrize("worst", [1.0, 1.25, 1.6, 3.0])
def test_the_average_is_that_of_the_integral(rows_of, worst):
    d = np.array([0.5, 2.0, 4.5, 7.0, 9.5])
    z = np.array([1.03, 0.96, 1.0, 1.05, 0.98]) / (0.05 * d + 0.03)
    z[2] *= worst
    system = System(rows_of(d, z, sigma_rel=SIGMA_REL), Law("affine", "disparity"))
    found = mixed_fit(system, np.array([0.05, 0.03]))
    at = np.array([0.5, 3.0, 6.0, 9.5])
    mean, sigma = integrated(d, z, at)
    factors = np.stack([at, np.ones_like(at)], axis=1)
    spread = np.sqrt(np.einsum("ni,ij,nj->n", factors, found.covariance, factors))
    np.testing.assert_array_less(np.abs(factors @ found.parameters - mean), 0.35 * sigma)
    # Modes leave out tails: at 0.5, where all rests on one reference that may be wrong, most of the sigma.
    np.testing.assert_allclose(spread[2:], sigma[2:], rtol=0.25)
    assert spread[1] > 0.5 * sigma[1]


def test_right_references_of_a_poor_map_are_kept_more_often_than_not(rows_of, drawn):
    used, better, sigmas = [], [], []
    for seed in range(100):
        d, z, _ = drawn(8, misfit=0.25, seed=seed)
        try:
            fit = fit_equations(rows_of(d, z), "disparity")
        except InputError:  # not even three agree
            continue
        line = np.polyfit(d, 1 / z, 1)
        at = np.linspace(0.5, 10, 30)
        truth = 0.05 * at + 0.03
        used.append(np.mean(fit.inliers))
        better.append(
            [np.mean(np.abs(np.polyval(p, at) / truth - 1)) for p in ((fit.scale, fit.shift), line)]
        )
        sigmas.append(fit.misfit_rel)
    assert len(used) > 90
    assert np.mean(used) > 0.9
    ours, least_squares = np.median(better, axis=0)
    assert ours < least_squares
    assert 0.15 < np.median(sigmas) < 0.35


def test_units_do_not_matter(rows_of, drawn):
    d, z, _ = drawn(7, outliers=0.15, misfit=0.1, seed=3)
    one = System(rows_of(d, z), Law("affine", "disparity"))
    other = System(rows_of(1e4 * d, 1e-3 * z), Law("affine", "disparity"))
    first = mixed_fit(one, np.array([0.05, 0.03]))
    second = mixed_fit(other, np.array([0.05e-4, 0.03]) * 1e3)
    np.testing.assert_allclose(second.parameters * [1e1, 1e-3], first.parameters, rtol=1e-6)
    np.testing.assert_allclose(second.misfit_rel, first.misfit_rel, rtol=1e-6)
    np.testing.assert_array_equal(second.inlier, first.inlier)
