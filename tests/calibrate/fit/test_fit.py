"""The fit: exact where the data are, robust where they are not, and honest about what it knows."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import depth3d as d3
from depth3d.calibrate.equations import Equations
from depth3d.calibrate.fit import fit_equations
from depth3d.core.depth import DepthMap

SCALE, SHIFT = 0.05, 0.03
RAYS = [(-0.4, 0.1, 1.0), (0.3, 0.2, 1.0)]


def test_scale_and_shift_of_a_stereo_disparity_come_back_exactly(rows_of):
    # Middlebury: z = baseline * focal / (disparity + offset).
    focal, baseline, offset = 994.978, 0.193001, 31.086
    disparity = np.random.default_rng(0).uniform(20, 250, 40).astype(np.float32).astype(np.float64)
    z = focal * baseline / (disparity + offset)
    for count in (2, 3, 10, 40):
        fit = fit_equations(rows_of(disparity[:count], z[:count]), "disparity")
        assert fit.form == "affine"
        np.testing.assert_allclose(fit.scale, 1 / (focal * baseline), rtol=1e-9)
        np.testing.assert_allclose(fit.shift, offset / (focal * baseline), rtol=1e-9)


def test_a_whole_map_calibrates_from_its_pixels():
    u, v = np.meshgrid(np.arange(96) + 0.5, np.arange(72) + 0.5)
    d = 1.0 + 0.05 * v + 0.01 * u  # a plane: linear in 1/z
    anchors = [
        d3.Anchor(x, y, 1 / (SCALE * (1.0 + 0.05 * y + 0.01 * x) + SHIFT))
        for x, y in ((10.5, 60.5), (80.5, 12.5), (40.5, 36.5))
    ]
    fit = d3.calibrate(DepthMap(d, "relative"), anchors, model="mini", input_size=384, photo_sha256="ab")
    np.testing.assert_allclose((fit.scale, fit.shift), (SCALE, SHIFT), rtol=1e-6)
    np.testing.assert_allclose(fit.residuals_m, 0, atol=1e-6)
    assert (fit.model, fit.input_size, fit.photo_sha256) == ("mini", 384, "ab")
    assert fit.inliers == (True, True, True)
    assert fit.references[0]["kind"] == "Anchor"
    back = d3.Calibration.from_json(fit.to_json())
    assert back.quality == fit.quality


@settings(deadline=None, max_examples=40)
@given(factor=st.floats(1e-3, 1e3), metres=st.floats(0.1, 10), seed=st.integers(0, 99))
def test_units_of_the_map_and_of_the_world_do_not_matter(rows_of, drawn, factor, metres, seed):
    d, z, _ = drawn(12, outliers=0.2, seed=seed)
    plain = fit_equations(rows_of(d, z), "disparity", form="affine")
    scaled = fit_equations(rows_of(factor * d, metres * z), "disparity", form="affine")
    np.testing.assert_allclose(scaled.scale, plain.scale / factor / metres, rtol=1e-5)
    np.testing.assert_allclose(scaled.shift, plain.shift / metres, rtol=1e-5, atol=1e-7 / metres)
    assert scaled.inliers == plain.inliers


def test_the_order_of_the_references_does_not_matter(rows_of, drawn):
    d, z, _ = drawn(9, outliers=0.2, seed=3)
    order = np.random.default_rng(0).permutation(9)
    plain = fit_equations(rows_of(d, z), "disparity")
    mixed = fit_equations(rows_of(d[order], z[order]), "disparity")
    np.testing.assert_allclose((mixed.scale, mixed.shift), (plain.scale, plain.shift), rtol=1e-6)
    assert np.array(plain.inliers)[order].tolist() == list(mixed.inliers)


def test_without_outliers_the_fit_is_the_weighted_least_squares_one(rows_of, drawn):
    d, z, _ = drawn(2000, misfit=0.03, seed=1)
    fit = fit_equations(rows_of(d, z), "disparity", form="affine")
    # Equal relative errors: each row weighs z^2, with z that of the law.
    weight = 1 / (SCALE * d + SHIFT)
    rows = np.stack([d, np.ones_like(d)], axis=1) * weight[:, None]
    scale, shift = np.linalg.lstsq(rows, weight / z, rcond=None)[0]
    np.testing.assert_allclose((fit.scale, fit.shift), (scale, shift), rtol=3e-3)
    np.testing.assert_allclose(np.hypot(fit.misfit_rel, 0.02), 0.03, rtol=0.06)


@pytest.mark.parametrize("count", [5, 10, 30, 100, 3000])
@pytest.mark.parametrize("seed", range(4))
def test_gross_outliers_are_found_and_change_little(rows_of, drawn, count, seed):
    d, z, wrong = drawn(count, outliers=0.2 if count == 5 else 0.3, misfit=0.01, seed=seed)
    fit = fit_equations(rows_of(d, z), "disparity", form="affine")
    assert not np.array(fit.inliers)[wrong].any()
    assert np.array(fit.inliers)[~wrong].mean() > 0.98
    at = np.linspace(0.5, 10, 30)
    rtol = 0.08 if count == 5 else 0.06
    np.testing.assert_allclose(fit.scale * at + fit.shift, SCALE * at + SHIFT, rtol=rtol)


def test_a_wall_does_not_outvote_the_rest_of_the_scene(rows_of):
    # 37 places of a wall that the map bends by 8 %, and 13 in front of it: no law of the wall alone.
    rng = np.random.default_rng(5)
    z = np.concatenate([rng.normal(4.4, 0.05, 37), rng.uniform(1.5, 3.5, 13)])
    d = (1 / z * (1 + 0.08 * rng.normal(size=50)) - SHIFT) / SCALE
    fit = fit_equations(rows_of(d, z), "disparity", form="affine")
    assert sum(fit.inliers) >= 47
    np.testing.assert_allclose(fit.scale, SCALE, rtol=0.15)


def test_a_metric_map_takes_one_reference_and_keeps_its_zero(rows_of):
    fit = fit_equations(rows_of([2.0], [2.6]), "depth")
    assert (fit.form, fit.space, fit.shift) == ("scale", "depth", 0.0)
    np.testing.assert_allclose(fit.scale, 1.3, rtol=1e-12)
    assert any("unverified" in note for note in fit.notes)


def test_two_references_are_exact_and_called_unverified(rows_of):
    fit = fit_equations(rows_of([1.0, 8.0], [4.0, 1.5]), "disparity")
    np.testing.assert_allclose(1 / (fit.scale * np.array([1.0, 8.0]) + fit.shift), [4.0, 1.5], rtol=1e-9)
    assert any("unverified" in note for note in fit.notes)
    assert fit.quality["leave_one_out_rel"] is None
    assert fit.misfit_rel >= 0.05


def test_a_far_place_and_a_near_distance_are_a_calibration(rows_of):
    near, sky = rows_of([5.0], [2.0]).observations, rows_of([0.1], [200.0]).observations
    stacked = {
        name: np.concatenate([getattr(near, name), getattr(sky, name)]) for name in near.__dataclass_fields__
    }
    stacked["sigma"][1] = stacked["inverse_depth"][1] / np.sqrt(3)  # anywhere from 100 m on
    stacked["reference"] = np.array([0, 1])
    fit = fit_equations(Equations(type(near)(**stacked)), "disparity")
    np.testing.assert_allclose(fit.scale * 5.0 + fit.shift, 0.5, rtol=1e-6)
    assert abs(fit.scale * 0.1 + fit.shift) < 0.01
    assert np.isnan(fit.residuals_m[1])


def test_the_law_stays_positive_at_references_that_noise_would_put_beyond_infinity(rows_of):
    d = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    z = 1 / np.array([0.0008, 0.08, 0.2, 0.3, 0.4, 0.5])
    fit = fit_equations(rows_of(d, z), "disparity", form="affine")
    used = np.array(fit.inliers)
    assert (fit.scale * d + fit.shift)[used].min() > 0


@pytest.mark.parametrize("lengths", [2, 3, 6])
def test_lengths_alone_fix_scale_and_shift(rows_of, length_between, true_length, lengths):
    rng = np.random.default_rng(lengths)
    bound = []
    for index in range(lengths):
        middle = (1.0, 8.0, 4.0, 2.0, 6.0, 3.0)[index]
        d = middle + rng.uniform(-0.3, 0.3, 2)
        bound.append(length_between(d, RAYS, true_length(d, RAYS), reference=index))
    fit = fit_equations(Equations(rows_of([], []).observations, tuple(bound)), "disparity")
    np.testing.assert_allclose((fit.scale, fit.shift), (SCALE, SHIFT), rtol=1e-5)


def test_a_length_and_a_distance_fix_scale_and_shift(rows_of, length_between, true_length):
    d = (7.0, 7.4)
    bound = length_between(d, RAYS, true_length(d, RAYS), reference=1)
    seen = rows_of([1.0], [1 / (SCALE + SHIFT)]).observations
    fit = fit_equations(Equations(seen, (bound,)), "disparity")
    np.testing.assert_allclose((fit.scale, fit.shift), (SCALE, SHIFT), rtol=1e-6)


def test_a_wrong_length_among_distances_is_not_used(rows_of, drawn, length_between, true_length):
    d, z, _ = drawn(7, misfit=0.005, seed=2)
    ends = (3.0, 3.5)
    bound = length_between(ends, RAYS, 2.5 * true_length(ends, RAYS), reference=7)
    fit = fit_equations(Equations(rows_of(d, z).observations, (bound,)), "disparity")
    assert fit.inliers == (True,) * 7 + (False,)


def test_lengths_calibrate_a_metric_map(rows_of, length_between):
    z_map = np.array([2.0, 2.4])
    ends = np.asarray(RAYS) * z_map[:, None] * 1.3
    bound = length_between(z_map, RAYS, float(np.linalg.norm(ends[0] - ends[1])))
    fit = fit_equations(Equations(rows_of([], []).observations, (bound,)), "depth")
    np.testing.assert_allclose(fit.scale, 1.3, rtol=1e-6)


def test_the_same_seed_gives_the_same_numbers(rows_of, drawn):
    d, z, _ = drawn(300, outliers=0.3, seed=4)
    first, second = (fit_equations(rows_of(d, z), "disparity", seed=7).to_json() for _ in range(2))
    assert first == second


def test_covariance_is_that_of_repeated_measurements(rows_of):
    d = np.array([0.5, 2.0, 5.0, 9.0] * 5)
    rng = np.random.default_rng(0)
    fits = []
    for _ in range(150):
        z = np.exp(rng.normal(0, 0.05, 20)) / (SCALE * d + SHIFT)
        fits.append(fit_equations(rows_of(d, z, sigma_rel=0.05), "disparity", form="affine"))
    observed = np.cov([(fit.scale, fit.shift) for fit in fits], rowvar=False)
    stated = np.mean([fit.covariance for fit in fits], axis=0)
    # The prior misfit of the map adds to what the references' own errors leave: up to a third in sigma.
    ratio = np.sqrt(np.diag(stated) / np.diag(observed))
    assert ratio.min() > 0.9
    assert ratio.max() < 1.4


def test_wide_open_forms_are_given_when_asked_for(rows_of, drawn):
    d, z, _ = drawn(12, seed=1)
    for form, count in (("scale", 1), ("affine", 2), ("tilted", 4), ("spline", 4)):
        fit = fit_equations(rows_of(d, z), "disparity", form=form)
        assert fit.form == form
        assert len(fit.parameters) >= count
        assert np.array(fit.covariance).shape == (len(fit.parameters),) * 2


def test_samples_worth_few_measurements_do_not_make_the_fit_sure(rows_of, drawn):
    d, z, _ = drawn(400, misfit=0.0, seed=0)
    one = np.zeros(400, dtype=np.intp)
    all_of_them = fit_equations(rows_of(d, z, sigma_rel=0.15, reference=one), "disparity", form="affine")
    few = fit_equations(
        rows_of(d, z, sigma_rel=0.15, share=4 / 400, reference=one), "disparity", form="affine"
    )
    assert few.covariance[0][0] > 30 * all_of_them.covariance[0][0]
    np.testing.assert_allclose(few.scale, all_of_them.scale, rtol=1e-3)


def test_pairs_of_references_give_what_the_closed_form_says(rows_of, drawn):
    d, z, _ = drawn(5, seed=8)
    for i, j in itertools.combinations(range(5), 2):
        if (d[i] - d[j]) * (z[i] - z[j]) >= 0 or max(z[i] / z[j], z[j] / z[i]) < 1.3:
            continue
        fit = fit_equations(rows_of(d[[i, j]], z[[i, j]]), "disparity")
        scale = (1 / z[i] - 1 / z[j]) / (d[i] - d[j])
        np.testing.assert_allclose((fit.scale, fit.shift), (scale, 1 / z[i] - scale * d[i]), rtol=1e-8)
