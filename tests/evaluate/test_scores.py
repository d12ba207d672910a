"""`score` puts the four numbers together: kinds, sizes, alignment and what is undefined."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest

from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError
from depth3d.evaluate import Scores, affine_fit, score
from depth3d.synthetic import default_camera, random_scene, render_depth

PERFECT = Scores(0.0, 1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def truth() -> DepthMap:
    depth = render_depth(random_scene(3), default_camera(96, 72, fov_x_deg=60))
    assert depth.is_metric
    return depth


def relative(depth: DepthMap, scale: float = 1.0, shift: float = 0.0) -> DepthMap:
    return DepthMap(scale / depth.values + shift, "relative")


def approx(scores: Scores, tolerance: float = 1e-5):
    return pytest.approx(astuple(scores), abs=tolerance, nan_ok=True)


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (7, 3), (0.01, 0), (100, -50)])
def test_an_affine_copy_in_disparity_is_perfect(truth, scale, shift):
    assert astuple(score(relative(truth, scale, shift), truth)) == approx(PERFECT, 1e-4)


def test_depth_offered_as_disparity_is_as_good_as_a_constant(truth):
    upside_down = score(DepthMap(truth.values, "relative"), truth)
    constant = score(DepthMap(np.ones_like(truth.values), "relative"), truth)
    assert upside_down.spearman == pytest.approx(-1)
    assert astuple(upside_down)[:2] == astuple(constant)[:2]
    assert upside_down.boundary_f1 == 0


def test_a_metric_map_is_taken_as_it_is(truth):
    scores = score(DepthMap(1.5 * truth.values, "metric"), truth)
    assert astuple(scores) == approx(Scores(0.5, 0.0, 1.0, 1.0))


def test_or_aligned_on_request(truth):
    assert astuple(score(DepthMap(1.5 * truth.values, "metric"), truth, align=True)) == approx(PERFECT, 1e-4)


def test_a_relative_truth_has_neither_abs_rel_nor_delta1(truth):
    want = approx(Scores(np.nan, np.nan, 1.0, 1.0))
    assert astuple(score(relative(truth, 3, 1), relative(truth))) == want
    assert astuple(score(truth, relative(truth, 3, 1))) == want


def test_alignment_gives_no_depth_beyond_the_farthest_true_one():
    q = np.array([[1.0, 0.5, 0.4, 0.1]])
    d = np.array([[1.0, 0.5, 0.4, -3.0]])
    scale, shift = affine_fit(d, q)
    aligned = scale * d + shift
    assert aligned[0, 3] < 0.1
    got = score(DepthMap(d, "relative"), DepthMap(1 / q, "metric"))
    clamped = np.maximum(aligned, 0.1)
    assert got.abs_rel == pytest.approx(np.mean(np.abs(q / clamped - 1)), rel=1e-5)


def test_a_ground_to_the_horizon_counts_as_far_as_protocols_look():
    """1/z of a floor is linear in v, so an affine copy is exact; one row at infinity must not undo that."""
    q = np.linspace(0, 0.5, 101)[1:, None] * np.ones((1, 90))
    q[0] = 1e-6  # a thousand kilometres
    truth = DepthMap(1 / q, "metric")
    assert score(DepthMap(3 * q - 7, "relative"), truth).abs_rel < 1e-4
    d = np.where((q > 0.1) & (q < 0.12), -0.1, q)
    scale, shift = affine_fit(d, q)
    z = 1 / np.maximum(scale * d + shift, 1 / 80)
    near = q > 1 / 80
    bent = DepthMap(d, "relative")
    assert score(bent, truth).abs_rel == pytest.approx(np.mean(np.abs(z * q - 1)[near]), rel=1e-5)
    assert score(bent, truth, max_depth_m=1e9).abs_rel > 100


def test_what_is_too_far_has_neither_errors_nor_edges():
    z = np.where(np.arange(40) < 20, 90.0, 200.0) * np.ones((30, 1))
    z[:, 35:] = 10.0
    prediction = np.where(z > 80, 10 * z, z)
    got = score(DepthMap(prediction, "metric"), DepthMap(z, "metric"))
    assert got.abs_rel == 0
    assert got.boundary_f1 == 1
    assert score(DepthMap(prediction, "metric"), DepthMap(z, "metric"), max_depth_m=1000).abs_rel > 1
    assert np.isnan(score(DepthMap(z, "metric"), DepthMap(z, "metric"), max_depth_m=5).abs_rel)


@pytest.mark.parametrize("max_depth_m", [0, -1, float("nan")])
def test_bounds_that_are_none(truth, max_depth_m):
    with pytest.raises(InputError, match="above 0 metres"):
        score(truth, truth, max_depth_m=max_depth_m)


@pytest.mark.parametrize("size_wh", [(96, 72), (40, 30), (192, 144), (61, 50)])
@pytest.mark.parametrize("kind", ["metric", "relative"])
def test_a_plane_is_perfect_from_any_size(size_wh, kind):
    """1/z of a plane is affine in the pixels; only the clamped outermost rows and columns miss it."""
    camera = Camera.from_fov(96, 72, 50)

    def plane(view: Camera) -> np.ndarray:
        return 2.0 / (view.pixel_rays() @ np.array([0.2, 0.1, 1.0]))

    true = plane(camera)
    z = plane(camera.resized(*size_wh))
    prediction = DepthMap(z, "metric") if kind == "metric" else DepthMap(3 / z + 1, "relative")
    border = np.zeros((72, 96), dtype=bool)
    border[3:-3, 3:-3] = True
    got = score(prediction, DepthMap(np.where(border, true, np.nan), "metric"))
    assert got.abs_rel < 2e-6
    assert got.delta1 == 1
    assert got.spearman == pytest.approx(1, abs=1e-4)


def test_unknown_pixels_do_not_count(truth):
    noise = np.random.default_rng(0).uniform(0.8, 1.25, truth.values.shape)
    holes = np.zeros(truth.values.shape, dtype=bool)
    holes[20:40, 30:70] = True
    wild = np.where(holes, 100 * noise, noise) / truth.values
    in_truth = score(DepthMap(wild, "relative"), DepthMap(np.where(holes, np.nan, truth.values), "metric"))
    in_both = score(
        DepthMap(np.where(holes, np.nan, wild), "relative"),
        DepthMap(np.where(holes, np.nan, truth.values), "metric"),
    )
    assert astuple(in_truth) == approx(in_both, 1e-6)
    assert in_truth.abs_rel < 0.2


@pytest.mark.parametrize("kind", ["metric", "relative"])
def test_nothing_known_in_both(kind):
    one, other = DepthMap([[1.0, np.nan]], kind), DepthMap([[np.nan, 1.0]], "metric")
    assert np.isnan(astuple(score(one, other))).all()


def test_a_single_pixel():
    got = score(DepthMap([[5.0]], "relative"), DepthMap([[2.0]], "metric"))
    assert astuple(got) == approx(Scores(0.0, 1.0, np.nan, np.nan))


def test_a_constant_prediction_is_the_mean_disparity(truth):
    got = score(DepthMap(np.full((72, 96), 4.0), "relative"), truth)
    known = truth.values[truth.valid].astype(float)
    constant = 1 / np.mean(1 / known)
    assert got.abs_rel == pytest.approx(np.mean(np.abs(constant - known) / known), rel=1e-5)
    assert np.isnan(got.spearman)
    assert got.boundary_f1 == 0


def test_the_tolerance_reaches_the_boundaries():
    q = np.where(np.arange(40) < 20, 1.0, 2.0) * np.ones((30, 1))
    shifted = DepthMap(1 / np.roll(q, 1, axis=1)[:, 1:], "metric")
    true = DepthMap(1 / q[:, 1:], "metric")
    assert score(shifted, true, tolerance_px=0).boundary_f1 == 0
    assert score(shifted, true, tolerance_px=1).boundary_f1 == pytest.approx(1 / 2)
    assert score(shifted, true).boundary_f1 == pytest.approx(2 / 3)


def test_no_alignment_without_metres(truth):
    with pytest.raises(InputError, match="relative map and a metric truth"):
        score(relative(truth), truth, align=False)
    with pytest.raises(InputError, match="metric map and a relative truth"):
        score(truth, relative(truth), align=False)


def test_a_map_turned_on_its_side(truth):
    with pytest.raises(InputError, match=r"72x96 and a truth of 96x72.*turned on its side"):
        score(DepthMap(truth.values.T, "metric"), truth)
