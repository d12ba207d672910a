"""The laws that join a map to metres: closed forms, monotone splines, straight continuations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth3d.calibrate.calibration import Calibration
from depth3d.calibrate.laws import basis, place_of_pixels, spline_points
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError

PLACE = np.zeros((50, 2))
KNOTS = (0.5, 1.0, 3.0, 4.5)


def test_places_run_from_edge_to_edge():
    x, y = place_of_pixels(4, 2)
    np.testing.assert_allclose(x, [-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_allclose(y, [-0.5, 0.5])


def test_a_spline_with_straight_coefficients_is_the_straight_line_inside_and_out():
    value = np.linspace(-2, 9, 50)
    line = 0.3 * spline_points(KNOTS) + 0.7
    np.testing.assert_allclose(basis("spline", value, PLACE, KNOTS) @ line, 0.3 * value + 0.7, rtol=1e-12)


@given(steps=st.lists(st.floats(0, 3), min_size=4, max_size=4), start=st.floats(-1, 1))
def test_rising_coefficients_make_a_spline_that_rises_everywhere(steps, start):
    coefficients = start + np.concatenate([[0.0], np.cumsum(steps)])
    y = basis("spline", np.linspace(-2, 9, 50), PLACE, KNOTS) @ coefficients
    assert np.diff(y).min() >= -1e-9


def test_a_spline_has_no_kink_where_the_straight_continuation_begins():
    coefficients = np.array([0.0, 0.1, 0.9, 1.0, 2.5])
    for end in (KNOTS[0], KNOTS[-1]):
        value = end + np.array([-2e-6, -1e-6, 0.0, 1e-6, 2e-6])
        y = basis("spline", value, PLACE[:5], KNOTS) @ coefficients
        slopes = np.diff(y) / 1e-6
        np.testing.assert_allclose(slopes, slopes[0], rtol=1e-5)


def test_tilted_law_is_affine_plus_a_plane_over_the_picture():
    disparity = np.random.default_rng(0).uniform(1, 2, (6, 8)).astype(np.float32)
    tilted = Calibration(0.2, 0.1, form="tilted", tilt=(0.05, -0.02))
    x, y = place_of_pixels(8, 6)
    expected = 0.2 * disparity + 0.1 + 0.05 * x[None] - 0.02 * y[:, None]
    np.testing.assert_allclose(tilted.apply(DepthMap(disparity, "relative")).values, 1 / expected, rtol=1e-6)


def test_a_law_of_depth_scales_metric_maps_and_refuses_relative_ones():
    metric = DepthMap(np.array([[1.0, 2.5]], np.float32), "metric")
    doubled = Calibration(2.0, 0.0, form="scale", space="depth")
    np.testing.assert_allclose(doubled.apply(metric).values, [[2.0, 5.0]])
    with pytest.raises(InputError, match="relative"):
        doubled.apply(DepthMap(metric.values, "relative"))


def test_sigma_of_an_affine_law_is_the_textbook_propagation():
    covariance = ((4e-6, -3e-6), (-3e-6, 9e-6))
    fit = Calibration(0.05, 0.02, covariance=covariance, misfit_rel=0.03)
    d = np.array([[0.5, 3.0, 10.0]])
    z = 1 / (0.05 * d + 0.02)
    variance_q = 4e-6 * d**2 - 2 * 3e-6 * d + 9e-6
    expected = np.sqrt(z**4 * variance_q + (0.03 * z) ** 2)
    np.testing.assert_allclose(fit.sigma_m(DepthMap(d, "relative")), expected, rtol=1e-6)


def test_sigma_agrees_with_monte_carlo_for_each_form():
    rng = np.random.default_rng(7)
    depth = DepthMap(rng.uniform(1, 4, (5, 6)), "relative")
    for fit in (
        Calibration(0.2, 0.1, form="tilted", tilt=(0.03, -0.01)),
        Calibration(0.25, 0.0, form="spline", knots=KNOTS, coefficients=(0.1, 0.2, 0.6, 0.9, 1.2)),
    ):
        count = len(fit.parameters)
        root = rng.normal(0, 1e-3, (count, count))
        covariance = tuple(map(tuple, root @ root.T))
        known = Calibration(
            fit.scale, fit.shift, form=fit.form, tilt=fit.tilt, knots=fit.knots,
            coefficients=fit.coefficients, covariance=covariance,
        )  # fmt: skip
        x, y = place_of_pixels(6, 5)
        place = np.stack(np.broadcast_arrays(x[None], y[:, None]), axis=-1).reshape(-1, 2)
        factors = basis(fit.form, depth.values.astype(np.float64).ravel(), place, fit.knots)
        draws = np.array(fit.parameters) + rng.normal(size=(20_000, count)) @ root.T
        observed = (1 / (draws @ factors.T)).std(axis=0).reshape(5, 6)
        np.testing.assert_allclose(known.sigma_m(depth), observed, rtol=0.03)


def test_unknown_and_beyond_infinity_have_no_sigma():
    fit = Calibration(1.0, -1.0, covariance=((1e-4, 0), (0, 1e-4)))
    sigma = fit.sigma_m(DepthMap(np.array([[np.nan, 0.5, 2.0]]), "relative"))
    np.testing.assert_array_equal(np.isnan(sigma), [[True, True, False]])


def test_without_covariance_there_is_no_sigma():
    with pytest.raises(InputError, match=r"depth3d\.calibrate"):
        Calibration(1.0, 0.0).sigma_m(DepthMap(np.ones((2, 2)), "relative"))


@pytest.mark.parametrize(
    "fields",
    [
        {"form": "tilted"},  # no tilt
        {"tilt": (0.1, 0.2)},  # a tilt without a place for it
        {"form": "spline", "knots": (1, 2), "coefficients": (0.1, 0.2)},  # one too few
        {"form": "spline", "knots": (1, 2), "coefficients": (0.3, 0.2, 0.4)},  # falling
        {"knots": (1, 2)},  # of no spline
        {"form": "cubic"},
        {"covariance": ((1.0,),)},  # of one parameter, and there are two
    ],
)
def test_parts_that_do_not_fit_together_are_refused(fields):
    with pytest.raises(InputError):
        Calibration(1.0, 0.0, **fields)


def test_json_keeps_every_field():
    fit = Calibration(
        0.25, 0.01, "fit", form="spline", knots=KNOTS, coefficients=(0.1, 0.2, 0.6, 0.9, 1.2),
        residuals_m=(0.1, float("nan")), inliers=(True, False), misfit_rel=0.02, value_range=(0.6, 4.0),
        references=({"kind": "Anchor", "depth_m": 1.5},), photo_sha256="ab", quality={"condition": 3.0},
        notes=("one",), model="mini", input_size=384,
    )  # fmt: skip
    back = Calibration.from_json(fit.to_json())
    for name in Calibration.__dataclass_fields__:
        left, right = getattr(fit, name), getattr(back, name)
        if name == "residuals_m":
            np.testing.assert_array_equal(left, right)
        else:
            assert left == right, name
