"""What a fit says about itself: sigma that holds, figures, notes, and where to measure next."""

import numpy as np
import pytest

import depth3d as d3
from depth3d.calibrate.fit import fit_equations
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError

SCALE, SHIFT = 0.05, 0.03
FLOOR = DepthMap(np.repeat(np.linspace(0.5, 9.5, 60)[:, None], 80, axis=1), "relative")


def anchor(u, v, *, factor=1.0):
    d = float(np.interp(v, np.arange(60) + 0.5, FLOOR.values[:, 0]))
    return d3.Anchor(u, v, factor / (SCALE * d + SHIFT))


@pytest.mark.parametrize("count", [3, 10, 50])
def test_sigma_covers_what_it_says(rows_of, count):
    """68 and 95 % of errors within one and 1.96 sigma, over maps as good as the prior takes them for."""
    rng = np.random.default_rng(count)
    at = rng.uniform(0.5, 10, 200)
    within = []
    for _ in range(60):
        misfit = 0.06 * np.sqrt(4 / rng.chisquare(4))
        d = np.concatenate([[0.6, 9.5], rng.uniform(0.5, 10, count - 2)])
        z = np.exp(rng.normal(0, np.hypot(misfit, 0.02), count)) / (SCALE * d + SHIFT)
        try:
            fit = fit_equations(rows_of(d, z), "disparity", form="affine")
        except InputError:
            continue
        truth = np.exp(rng.normal(0, misfit, 200)) / (SCALE * at + SHIFT)
        values = DepthMap(at[None], "relative")
        error = np.abs(fit.apply(values).values[0] - truth) / fit.sigma_m(values)[0]
        within.append((np.mean(error < 1), np.mean(error < 1.96)))
    one, two = np.mean(within, axis=0)
    assert 0.62 < one < 0.84
    assert 0.90 < two < 0.99


def test_figures_count_what_was_used_and_what_is_extrapolated():
    rows = [15.5, 22.5, 30.5, 37.5, 44.5]
    fit = d3.calibrate(FLOOR, [*(anchor(20.5, v) for v in rows), anchor(60.5, 33.5, factor=3.0)])
    quality = fit.quality
    assert (quality["n_references"], quality["n_used"], quality["n_rejected"]) == (6, 5, 1)
    assert "Anchor((60.5, 33.5)" in " ".join(fit.notes)
    low, high = fit.value_range
    np.testing.assert_allclose((low, high), FLOOR.values[[15, 44], 0], rtol=1e-5)
    margin = 0.1 * (high - low)
    beyond = (FLOOR.values < low - margin) | (FLOOR.values > high + margin)
    np.testing.assert_allclose(quality["extrapolated"], beyond.mean())
    np.testing.assert_allclose(quality["coverage"], (high - low) / (0.98 * 9.0), rtol=0.02)
    assert quality["invalid"] == 0.0


def test_what_lies_beyond_infinity_is_counted():
    d = np.repeat(np.linspace(0, 10, 60)[:, None], 80, axis=1)
    depth = DepthMap(d, "relative")
    scale, shift = 0.1, -0.2
    anchors = [d3.Anchor(40, v, 1 / (scale * d[int(v), 0] + shift)) for v in (20.5, 40.5, 55.5)]
    fit = d3.calibrate(depth, anchors)
    np.testing.assert_allclose(fit.quality["invalid"], np.mean(d <= 2.0), atol=0.02)
    assert any("beyond infinity" in note for note in fit.notes)


def test_leave_one_out_is_the_slow_one(rows_of, drawn):
    d, z, _ = drawn(12, seed=6)
    fit = fit_equations(rows_of(d, z), "disparity", form="affine")
    errors = []
    for out in range(12):
        kept = np.arange(12) != out
        part = fit_equations(rows_of(d[kept], z[kept]), "disparity", form="affine")
        errors.append(abs(z[out] * (part.scale * d[out] + part.shift) - 1))
    np.testing.assert_allclose(fit.quality["leave_one_out_rel"], np.mean(errors), rtol=0.15)


def test_condition_grows_as_the_references_close_up(rows_of):
    conditions = []
    for low in (0.5, 4.0, 7.0):
        d = np.linspace(low, 10, 6)
        fit = fit_equations(rows_of(d, 1 / (SCALE * d + SHIFT)), "disparity")
        conditions.append(fit.quality["condition"])
    assert conditions == sorted(conditions)


def test_residuals_are_metres_of_what_each_reference_states():
    fit = d3.calibrate(FLOOR, [anchor(20.5, 10.5), anchor(20.5, 50.5), anchor(60.5, 30.5, factor=1.04)])
    z = fit.apply(FLOOR).values
    stated = [anchor(20.5, 10.5), anchor(20.5, 50.5), anchor(60.5, 30.5, factor=1.04)]
    expected = [z[int(a.v_px), int(a.u_px)] - a.depth_m for a in stated]
    np.testing.assert_allclose(fit.residuals_m, expected, atol=1e-4)


def test_the_next_measurement_is_where_the_fit_knows_least():
    fit = d3.calibrate(FLOOR, [anchor(40.5, 50.5), anchor(40.5, 40.5)])
    found = d3.next_measurement(fit, FLOOR)
    assert found.v_px < 10  # the far end, of which both references say little
    assert found.sigma_after < 0.5 * found.sigma_before
    assert f"pixel ({found.u_px:.0f}, {found.v_px:.0f})" in found.sentence
    np.testing.assert_allclose(found.value, FLOOR.values[int(found.v_px), int(found.u_px)])


def test_the_next_measurement_keeps_its_promise():
    """The largest sigma once it is measured is what was promised, for a map as good as it was thought."""
    floor = DepthMap(np.repeat(np.linspace(0.5, 9.5, 48)[:, None], 48, axis=1), "relative")
    z = 1 / (SCALE * floor.values[:, 0] + SHIFT)
    fit = d3.calibrate(floor, [d3.Anchor(20.5, v + 0.5, z[v]) for v in (15, 40)])
    found = d3.next_measurement(fit, floor)
    row = np.array([found.value, 1.0])
    noise = (0.02**2 + fit.misfit_rel**2) * (row @ (fit.scale, fit.shift)) ** 2
    before = np.array(fit.covariance)
    after = np.linalg.inv(np.linalg.inv(before) + np.outer(row, row) / noise)
    for covariance, sigma in ((before, found.sigma_before), (after, found.sigma_after)):
        known = d3.Calibration(
            fit.scale, fit.shift, covariance=tuple(map(tuple, covariance)), misfit_rel=fit.misfit_rel
        )
        relative = known.sigma_m(floor) / known.apply(floor).values
        np.testing.assert_allclose(np.percentile(relative, 98), sigma, rtol=1e-3)


def test_the_next_measurement_is_given_in_pixels_of_the_photo_and_away_from_edges():
    rng = np.random.default_rng(0)
    values = FLOOR.values.copy()
    values[:, 40:] = rng.uniform(0.5, 9.5, (60, 40))  # nothing there is flat
    depth = DepthMap(values, "relative")
    fit = d3.Calibration(SCALE, SHIFT, covariance=((1e-5, -5e-5), (-5e-5, 4e-4)))
    found = d3.next_measurement(fit, depth, size_wh=(160, 120))
    assert found.u_px < 80
    assert 3 < found.v_px < 117


def test_the_next_measurement_needs_a_fit_and_depth():
    with pytest.raises(InputError, match="does not know how sure it is"):
        d3.next_measurement(d3.assume_range(FLOOR, 1, 5), FLOOR)
    fit = d3.Calibration(1.0, -100.0, covariance=((1e-4, 0), (0, 1e-4)))
    with pytest.raises(InputError, match="no pixel has a depth"):
        d3.next_measurement(fit, FLOOR)


def test_one_pixel_and_constant_maps():
    one = DepthMap(np.array([[2.0]]), "metric")
    fit = d3.calibrate(one, [d3.Anchor(0.5, 0.5, 3.0)])
    np.testing.assert_allclose(fit.scale, 1.5)
    assert d3.next_measurement(fit, one).u_px == 0.5
    flat = DepthMap(np.full((9, 9), 4.0), "relative")
    with pytest.raises(InputError, match="much nearer or much farther"):
        d3.calibrate(flat, [d3.Anchor(2, 2, 1.0), d3.Anchor(6, 6, 2.0)])


def test_a_law_that_puts_the_picture_beyond_infinity_is_less_likely(rows_of):
    # Three references say a steep law, and two a flat one; the steep one leaves half the picture nowhere.
    d = np.array([6.0, 7.0, 8.0, 6.5, 7.5])
    steep, flat = 0.2 * d - 1.0, 0.03 * d + 0.25
    z = 1 / np.array([steep[0], steep[1], steep[2], flat[3], flat[4]])
    picture = DepthMap(np.linspace(0.5, 9.5, 400).reshape(20, 20), "relative")
    alone = fit_equations(rows_of(d, z), "disparity", form="affine")
    seen = fit_equations(rows_of(d, z), "disparity", form="affine", depth=picture)
    invalid = [np.isnan(fit.apply(picture).values).mean() for fit in (alone, seen)]
    assert invalid[1] < invalid[0]


def test_large_maps_are_judged_by_a_part_of_them():
    values = np.repeat(np.linspace(0.5, 9.5, 1500)[:, None], 2000, axis=1)
    d = values[[200, 700, 1300], 0]
    anchors = [
        d3.Anchor(900.5, v + 0.5, 1 / (SCALE * x + SHIFT)) for v, x in zip((200, 700, 1300), d, strict=True)
    ]
    fit = d3.calibrate(DepthMap(values, "relative"), anchors)
    np.testing.assert_allclose(fit.quality["coverage"], 1100 / 1470, rtol=0.01)
