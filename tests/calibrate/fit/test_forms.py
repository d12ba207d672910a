"""Which law is chosen: the simplest that says as much about references that the fit has not seen."""

import numpy as np
import pytest

from depth3d.calibrate.fit import fit_equations
from depth3d.calibrate.laws import place_of_pixels
from depth3d.calibrate.rows import Law, System
from depth3d.calibrate.selection import choose
from depth3d.core.depth import DepthMap

SCALE, SHIFT = 0.05, 0.03
STARTS = {"affine": np.array([SCALE, SHIFT])}


def bent(d):
    """A law that rises and bends: twice as steep for far places as for near ones."""
    return SHIFT + SCALE * (1.4 * d - 0.04 * d**2)


@pytest.mark.parametrize("count", [16, 60, 400])
def test_a_straight_map_keeps_the_straight_law(rows_of, drawn, count):
    chosen = []
    for seed in range(8):
        d, z, _ = drawn(count, outliers=0.1, seed=seed)
        chosen.append(fit_equations(rows_of(d, z, seed=seed), "disparity").form)
    assert chosen.count("affine") >= 6


def test_a_map_that_drifts_across_the_picture_gets_a_tilt(rows_of, drawn):
    rng = np.random.default_rng(2)
    d, place = rng.uniform(0.5, 10, 40), rng.uniform(-1, 1, (40, 2))
    q = SCALE * d + SHIFT + 0.04 * place[:, 0] - 0.02 * place[:, 1]
    z = np.exp(rng.normal(0, 0.01, 40)) / np.maximum(q, 0.02)
    fit = fit_equations(rows_of(d, z, place=place), "disparity")
    assert fit.form == "tilted"
    np.testing.assert_allclose(fit.tilt, (0.04, -0.02), atol=0.006)
    errors = fit.quality["cv_rel"]
    assert errors["tilted"] < 0.5 * errors["affine"]


def test_a_map_that_bends_gets_a_spline_that_rises_everywhere(rows_of):
    rng = np.random.default_rng(3)
    d = rng.uniform(0.3, 15, 150)
    fit = fit_equations(rows_of(d, np.exp(rng.normal(0, 0.01, 150)) / bent(d)), "disparity")
    assert fit.form == "spline"
    at = np.linspace(0.5, 14.5, 50)
    depth = fit.apply(DepthMap(at[None], "relative")).values[0]
    np.testing.assert_allclose(depth, 1 / bent(at), rtol=0.04)
    everywhere = fit.apply(DepthMap(np.linspace(-1, 30, 500)[None], "relative")).values[0]
    known = everywhere[np.isfinite(everywhere)]
    assert len(known) > 450
    assert np.diff(known).max() <= 0


def test_a_spline_through_few_noisy_references_stays_near_the_straight_law(rows_of, drawn):
    d, z, _ = drawn(50, misfit=0.08, seed=5)
    spline = fit_equations(rows_of(d, z), "disparity", form="spline")
    at = DepthMap(np.linspace(0.5, 9.5, 40)[None], "relative")
    np.testing.assert_allclose(spline.apply(at).values[0], 1 / (SCALE * at.values[0] + SHIFT), rtol=0.15)


def test_too_few_references_are_not_offered_the_richer_laws(rows_of, drawn):
    for count, tried in ((14, set()), (15, {"affine", "tilted"}), (50, {"affine", "tilted", "spline"})):
        d, z, _ = drawn(count)
        assert set(fit_equations(rows_of(d, z), "disparity").quality["cv_rel"]) == tried


def test_a_metric_map_keeps_its_zero_unless_the_references_are_against_it(rows_of):
    rng = np.random.default_rng(0)
    z_map = rng.uniform(1, 6, 12)
    noise = np.exp(rng.normal(0, 0.02, 12))
    plain = fit_equations(rows_of(z_map, 1.2 * z_map * noise), "depth")
    assert (plain.form, plain.shift) == ("scale", 0.0)
    shifted = fit_equations(rows_of(z_map, (1.2 * z_map + 0.8) * noise), "depth")
    assert shifted.form == "affine"
    np.testing.assert_allclose((shifted.scale, shifted.shift), (1.2, 0.8), atol=0.12)


def test_neighbouring_samples_do_not_vouch_for_one_another(rows_of):
    # Errors that neighbours share look like structure to whoever leaves out one sample at a time.
    rng = np.random.default_rng(1)
    x, y = place_of_pixels(40, 30)
    place = np.stack(np.broadcast_arrays(x[None], y[:, None]), axis=-1).reshape(-1, 2)
    d = rng.uniform(1, 9, (6, 8)).repeat(5, axis=0).repeat(5, axis=1).ravel()
    shared = np.exp(rng.normal(0, 0.1, (6, 8))).repeat(5, axis=0).repeat(5, axis=1).ravel()
    rows = rows_of(d, shared / (SCALE * d + SHIFT), place=place, reference=np.zeros(1200, dtype=int))
    choice = choose(rows, "disparity", STARTS, 0.35, 0)
    assert choice.law.form == "affine"


def test_cross_validation_is_the_slow_one(rows_of, drawn):
    """The mean truncated error at references left out one by one, fitted anew by hand."""
    d, z, _ = drawn(15, seed=3)
    place = np.random.default_rng(0).uniform(-1, 1, (15, 2))
    reported = choose(rows_of(d, z, place=place), "disparity", STARTS, 0.1, 0).errors_rel["affine"]
    errors = []
    for out in range(15):
        kept = np.arange(15) != out
        fit = fit_equations(rows_of(d[kept], z[kept]), "disparity", form="affine")
        errors.append(min(abs((fit.scale * d[out] + fit.shift) * z[out] - 1), 0.1))
    np.testing.assert_allclose(reported, np.mean(errors), rtol=0.02)


def test_rows_under_a_law_are_its_basis_and_the_truth_solves_them(rows_of, length_between, true_length):
    rays, ends = [(-0.4, 0.1, 1.0), (0.3, 0.2, 1.0)], (3.0, 5.0)
    d = np.array([1.0, 6.0])
    equations = rows_of(d, 1 / (SCALE * d + SHIFT))
    equations = type(equations)(
        equations.observations, (length_between(ends, rays, true_length(ends, rays)),)
    )
    system = System(equations, Law("affine", "disparity"))
    truth = np.array([SCALE, SHIFT])
    rows = system.rows(truth)
    np.testing.assert_allclose(rows.factors @ truth, rows.target, rtol=1e-9)
    np.testing.assert_allclose(system.relative(truth), 0, atol=1e-12)
    # The constraint's row is the derivative of its residual.
    step = np.array([1e-6, -2e-6])
    np.testing.assert_allclose(
        system.relative(truth + step)[2] - system.relative(truth)[2], rows.factors[2] @ step, rtol=1e-4
    )
