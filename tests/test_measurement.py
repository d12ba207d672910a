"""`measure`: exact geometry, sigmas against Monte Carlo, and sentences for what can't be measured."""

from dataclasses import replace

import numpy as np
import pytest

import depth3d as d3
from depth3d.errors import CameraError, InputError, NeedsMetricError

WIDTH, HEIGHT = 160, 120
CAMERA = d3.Camera(150, 150, 80, 60, WIDTH, HEIGHT, sigma_rel=0.02)
SCALE, SHIFT = 0.5, 0.1


def inverse_depth():
    """A slanted plane: 1/z affine in the pixels."""
    v, u = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    return 0.3 + 0.002 * u + 0.001 * v


def relative():
    return d3.DepthMap((inverse_depth() - SHIFT) / SCALE, "relative")


def true_points(uv):
    uv = np.asarray(uv)
    z = 1 / (0.3 + 0.002 * uv[:, 0] + 0.001 * uv[:, 1])
    x, y = (uv[:, 0] - 80) / 150, (uv[:, 1] - 60) / 150
    return np.stack([x * z, y * z, z], axis=1)


UV = [(20.25, 30.5), (130.0, 31.7), (90.5, 100.0)]


@pytest.mark.parametrize("kind", ["relative", "metric", "metric and scaled"])
def test_lengths_on_a_plane_are_exact(kind):
    expected, law = true_points(UV), d3.Calibration(SCALE, SHIFT)
    depth = relative()
    if kind != "relative":
        factor = 1.0 if kind == "metric" else 2.0
        depth = d3.DepthMap(1 / inverse_depth() / factor, "metric")
        law = None if kind == "metric" else d3.Calibration(factor, 0.0, form="scale", space="depth")
    found = d3.measure(depth, CAMERA, UV, calibration=law)
    np.testing.assert_allclose(found.points_m, expected, rtol=2e-5)
    np.testing.assert_allclose(found.ranges_m, np.linalg.norm(expected, axis=1), rtol=2e-5)
    np.testing.assert_allclose(found.lengths_m, np.linalg.norm(np.diff(expected, axis=0), axis=1), rtol=2e-5)
    assert found.total_m == pytest.approx(found.lengths_m.sum())
    assert np.isnan(found.length_sigma_m).all()
    assert found.notes


def law(misfit=0.0, factor=1.0):
    """A law whose scale and shift are anticorrelated, as those of fits are."""
    covariance = np.array([[4e-4, -1.2e-4], [-1.2e-4, 1e-4]]) * factor
    return d3.Calibration(
        SCALE, SHIFT, "fit to references", covariance=tuple(map(tuple, covariance)), misfit_rel=misfit
    )


def test_sigmas_are_those_of_monte_carlo():
    """Draw the parameters, the focal length and the map at each point; all figures must scatter so."""
    draws, rng, noise = 500, np.random.default_rng(3), 0.01
    fit, flat = law(), np.full((HEIGHT, WIDTH), 0.9)
    flat[:, 50:110] = 1.6
    flat[:, 110:] = 0.6
    uv = [(20.5, 60.5), (80.5, 20.5), (140.5, 100.5)]
    noisy = d3.DepthMap(flat + rng.normal(0, noise, flat.shape), "relative")
    predicted = d3.measure(noisy, CAMERA, uv, calibration=fit)
    figures = []
    for _ in range(draws):
        scale, shift = rng.multivariate_normal([SCALE, SHIFT], np.array(fit.covariance))
        offsets = np.repeat(rng.normal(0, noise, 3), [50, 60, 50])
        f = CAMERA.fx * np.exp(rng.normal(0, CAMERA.sigma_rel))
        found = d3.measure(
            d3.DepthMap(flat + offsets, "relative"),
            replace(CAMERA, fx=f, fy=f),
            uv,
            calibration=replace(fit, scale=scale, shift=shift),
        )
        figures.append([*found.depths_m, *found.ranges_m, *found.lengths_m, found.total_m])
    observed = np.std(figures, axis=0)
    stated = [
        *predicted.depth_sigma_m, *predicted.range_sigma_m, *predicted.length_sigma_m,
        predicted.total_sigma_m,
    ]  # fmt: skip
    # 500 draws know a deviation to 3 %, and the scatter of a window stands for the noise to a tenth.
    np.testing.assert_allclose(stated, observed, rtol=0.15)


def test_lengths_across_the_picture_share_the_error_of_their_ends():
    """At one depth, length is proportional to z, so both have one relative sigma: nothing averages out."""
    depth = d3.DepthMap(np.full((HEIGHT, WIDTH), 0.8), "relative")
    camera = replace(CAMERA, sigma_rel=0.0)
    for fit in (law(), law(misfit=0.05, factor=1e-12)):
        found = d3.measure(depth, camera, [(40, 60), (120, 60)], calibration=fit)
        assert found.total_sigma_m / found.total_m == pytest.approx(
            found.depth_sigma_m[0] / found.depths_m[0], rel=1e-6
        )
        np.testing.assert_allclose(found.depth_sigma_m, fit.sigma_m(depth)[60, [40, 120]], rtol=1e-5)


def test_a_straight_line_in_pieces_is_as_sure_as_in_one():
    depth, fit = relative(), law()
    ends = [(20, 60), (140, 60)]
    whole = d3.measure(depth, CAMERA, ends, calibration=fit)
    pieces = d3.measure(depth, CAMERA, [ends[0], (70, 60), ends[1]], calibration=fit)
    assert pieces.total_m == pytest.approx(whole.total_m, rel=1e-5)
    assert pieces.total_sigma_m == pytest.approx(whole.total_sigma_m, rel=1e-3)


def test_one_point_has_z_and_range_and_no_length():
    found = d3.measure(relative(), CAMERA, (20.25, 30.5), calibration=law())
    assert found.depths_m.shape == (1,)
    assert found.lengths_m.shape == (0,)
    assert (found.total_m, found.total_sigma_m) == (0.0, 0.0)
    assert found.ranges_m[0] > found.depths_m[0]
    # The range knows the ray's slant less well than z does when the focal length is doubtful.
    exact = d3.measure(relative(), replace(CAMERA, sigma_rel=0.0), (20.25, 30.5), calibration=law())
    assert found.range_sigma_m[0] > exact.range_sigma_m[0]
    assert found.depth_sigma_m[0] == exact.depth_sigma_m[0]


def test_what_is_a_guess_is_called_one():
    assumed = d3.assume_range(relative(), 1, 3)
    found = d3.measure(relative(), CAMERA, UV, calibration=assumed)
    assert "guess" in found.notes[0]
    assert np.isnan(found.total_sigma_m)
    camera = replace(CAMERA, source="assumed", sigma_rel=0.25)
    assert "25 %" in d3.measure(relative(), camera, UV, calibration=law()).notes[-1]
    narrow = replace(law(), value_range=(0.5, 0.55))
    assert "extrapolated" in d3.measure(relative(), CAMERA, UV, calibration=narrow).notes[-1]


@pytest.mark.parametrize(
    ("depth", "points", "calibration", "error", "match"),
    [
        (relative(), [(200, 3)], law(), InputError, r"\(200, 3\) lies outside the picture of 160x120"),
        (relative(), [(1, 2, 3)], law(), InputError, r"\(n, 2\) pixels"),
        (relative(), UV, None, NeedsMetricError, "calibration"),
        (relative(), UV, d3.Calibration(SCALE, -9.0), InputError, "beyond infinity"),
        (d3.DepthMap(np.ones((HEIGHT, WIDTH)), "metric"), UV, law(), InputError, "metric already"),
        (d3.DepthMap(np.full((HEIGHT, WIDTH), np.nan), "metric"), UV, None, InputError, "knows nothing"),
        (d3.DepthMap(np.ones((6, 8)), "metric"), [(1, 2)], None, CameraError, "8x6 pixels and the camera"),
    ],
)
def test_what_cannot_be_measured_gets_a_sentence(depth, points, calibration, error, match):
    with pytest.raises(error, match=match):
        d3.measure(depth, CAMERA, points, calibration=calibration)
