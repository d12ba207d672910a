"""`evaluate`: alignments, crops, ranges, clamping, kinds, and averages over pictures."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

import depth3d as d3
from depth3d.errors import InputError
from depth3d.evaluate import MEASURES, EvaluationProtocol, averages, compare, evaluate, score
from depth3d.synthetic import default_camera, random_scene, render_depth

PERFECT = {name: float(name.startswith(("delta", "spearman", "boundary"))) for name in MEASURES}


@pytest.fixture(scope="module")
def truth() -> d3.DepthMap:
    depth = render_depth(random_scene(3), default_camera(96, 72, fov_x_deg=60))
    assert 0.1 < np.nanmin(depth.values) < np.nanmax(depth.values) < 60
    return depth


def noisy(truth: d3.DepthMap, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return truth.values * np.exp(draw.normal(0.0, 0.1, truth.values.shape))


def values(found, names=MEASURES) -> dict[str, float]:
    return {name: getattr(found, name) for name in names}


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (7, 3), (0.01, 0), (100, -50)])
def test_an_affine_copy_in_disparity_is_perfect(truth, scale, shift):
    found = evaluate(d3.DepthMap(scale / truth.values + shift, "relative"), truth)
    assert values(found) == pytest.approx(PERFECT, abs=2e-3)
    assert found.align == "affine"
    assert found.scale == pytest.approx(1 / scale, rel=1e-3)
    assert found.shift == pytest.approx(-shift / scale, rel=1e-3, abs=1e-3)
    assert (found.pixels, found.coverage) == (truth.valid.sum(), 1.0)


def test_metres_are_taken_as_they_are(truth):
    found = evaluate(d3.DepthMap(1.1 * truth.values, "metric"), truth)
    assert found.align == "none"
    assert found.abs_rel == pytest.approx(0.1, abs=1e-6)
    assert found.log10 == pytest.approx(math.log10(1.1), abs=1e-6)
    assert found.rmse_log == pytest.approx(math.log(1.1), abs=1e-6)
    assert found.silog_half == pytest.approx(math.log(1.1) / math.sqrt(2), abs=1e-6)
    assert found.silog_kitti < 1e-4
    assert (found.delta1, found.spearman, found.boundary_f1) == (1, 1, 1)


@pytest.mark.parametrize("align", ["scale", "affine"])
def test_either_alignment_undoes_a_common_factor(truth, align):
    found = evaluate(d3.DepthMap(1.7 * truth.values, "metric"), truth, align=align)
    assert values(found) == pytest.approx(PERFECT, abs=1e-4)
    assert found.scale == pytest.approx(1 / 1.7 if align == "scale" else 1.7, rel=1e-5)


def test_median_scaling_is_the_ratio_of_the_medians(truth):
    prediction = d3.DepthMap(3 * noisy(truth), "metric")
    found = evaluate(prediction, truth, align="scale")
    assert found.scale == pytest.approx(np.median(truth.values) / np.median(prediction.values), rel=1e-6)
    scaled = d3.DepthMap(found.scale * prediction.values, "metric")
    assert found.abs_rel == pytest.approx(evaluate(scaled, truth).abs_rel, rel=1e-5)


def test_median_scaling_of_a_disparity_that_is_right_up_to_a_factor(truth):
    found = evaluate(d3.DepthMap(5 / truth.values, "relative"), truth, align="scale")
    assert values(found) == pytest.approx(PERFECT, abs=1e-4)
    with pytest.raises(InputError, match=r"half of this one is 0 or less; use --align affine"):
        evaluate(d3.DepthMap(5 / truth.values - 1000, "relative"), truth, align="scale")


def test_least_squares_in_disparity_against_numpy(truth):
    d = 1 / noisy(truth)
    found = evaluate(d3.DepthMap(4 * d - 1, "relative"), truth)
    q = 1 / truth.values.astype(np.float64)
    design = np.stack([d.ravel(), np.ones(d.size)], axis=1)
    s, t = np.linalg.lstsq(design, q.ravel(), rcond=None)[0]
    z = 1 / np.clip(s * d + t, 1 / 80, 1 / 1e-3)
    assert found.abs_rel == pytest.approx(np.mean(np.abs(z * q - 1)), rel=1e-4)
    assert found.rmse_m == pytest.approx(np.sqrt(np.mean((z - 1 / q) ** 2)), rel=1e-4)
    assert found.spearman == pytest.approx(spearmanr(d.ravel(), q.ravel()).statistic, rel=1e-6)


def test_as_score_says_where_nothing_is_clamped(truth):
    z = truth.values.copy()
    z[0, 0] = 70.0  # `score` clamps to the farthest true pixel, `evaluate` to the protocol's range
    truth = d3.DepthMap(z, "metric")
    prediction = d3.DepthMap(1 / noisy(truth), "relative")
    found, known = evaluate(prediction, truth), score(prediction, truth)
    for name in ("abs_rel", "delta1", "spearman", "boundary_f1"):
        assert getattr(found, name) == pytest.approx(getattr(known, name), rel=1e-6), name


def test_the_order_is_judged_before_the_clamp_and_any_alignment(truth):
    upside_down = evaluate(d3.DepthMap(truth.values, "relative"), truth)
    assert upside_down.spearman == pytest.approx(-1)
    assert upside_down.scale == 0
    far = d3.DepthMap(truth.values + 100, "metric")  # beyond 80 m everywhere
    assert evaluate(far, truth).spearman == pytest.approx(1)
    assert evaluate(far, truth).abs_rel == pytest.approx(np.mean(80 / truth.values - 1), rel=1e-5)


def test_only_pixels_of_crop_and_range_count():
    z = np.full((480, 640), 5.0)
    z[:45] = z[471:] = z[:, :41] = z[:, 601:] = 1.0
    z[100, 100:110], z[200, 200:205] = 10.0, 0.0005  # at the cap, and too near
    z[300, 300:303] = np.nan
    wrong = np.where(z == 5.0, 5.5, 3.0)
    found = evaluate(d3.DepthMap(wrong, "metric"), d3.DepthMap(z, "metric"), protocol="nyu")
    assert found.pixels == (471 - 45) * (601 - 41) - 10 - 5 - 3
    assert found.abs_rel == pytest.approx(0.1, rel=1e-6)
    assert found.protocol == "nyu"
    whole = evaluate(d3.DepthMap(wrong, "metric"), d3.DepthMap(z, "metric"))
    assert whole.pixels == 480 * 640 - 5 - 3


def test_the_crop_bounds_the_edges_too():
    z = np.full((480, 640), 5.0)
    z[:30] = 1.0
    flat, true = d3.DepthMap(np.full((480, 640), 5.0), "metric"), d3.DepthMap(z, "metric")
    assert np.isnan(evaluate(flat, true, protocol="nyu").boundary_f1)  # no edge within it
    assert evaluate(flat, true).boundary_f1 == 0


def test_alignment_sees_the_counted_pixels_only():
    z = np.linspace(1, 8, 480 * 640).reshape(480, 640)
    d = 2 / z + 1
    d[:45] = 900.0
    found = evaluate(d3.DepthMap(d, "relative"), d3.DepthMap(z, "metric"), protocol="nyu")
    assert found.abs_rel < 1e-5


def test_what_a_prediction_leaves_out_is_said(truth):
    half = np.where(np.arange(96) < 48, truth.values, np.nan)
    found = evaluate(d3.DepthMap(half, "metric"), truth)
    assert found.abs_rel == 0
    assert found.coverage == pytest.approx(truth.valid[:, :48].sum() / truth.valid.sum())


def test_a_relative_truth_has_no_errors_of_z(truth):
    found = evaluate(truth, d3.DepthMap(3 / truth.values + 1, "relative"))
    undefined = [name for name in MEASURES if name not in ("spearman", "boundary_f1")]
    assert np.isnan(list(values(found, undefined).values())).all()
    assert (found.spearman, found.boundary_f1) == pytest.approx((1, 1))
    with pytest.raises(InputError, match="up to scale and shift"):
        evaluate(truth, d3.DepthMap(3 / truth.values, "relative"), align="scale")


def test_alignments_and_protocols_that_are_none(truth):
    relative = d3.DepthMap(1 / truth.values, "relative")
    with pytest.raises(InputError, match=r"no common unit.*--align affine"):
        evaluate(relative, truth, align="none")
    with pytest.raises(InputError, match="align must be one of auto, none, scale, affine, got 'median'"):
        evaluate(relative, truth, align="median")
    with pytest.raises(InputError, match="protocol must be one of default, nyu, kitti, kitti-eigen"):
        evaluate(relative, truth, protocol="sun")
    with pytest.raises(InputError, match="turned on its side"):
        evaluate(d3.DepthMap(truth.values.T, "metric"), truth)


@pytest.mark.parametrize("align", ["none", "scale", "affine"])
def test_nothing_to_count(align):
    found = evaluate(
        d3.DepthMap([[1.0, np.nan]], "metric"), d3.DepthMap([[np.nan, 1.0]], "metric"), align=align
    )
    assert (found.pixels, found.coverage) == (0, 0)
    assert np.isnan([*values(found).values(), found.scale]).all()
    far = EvaluationProtocol(max_depth_m=0.5)
    nothing = evaluate(d3.DepthMap([[1.0]], "metric"), d3.DepthMap([[1.0]], "metric"), protocol=far)
    assert nothing.pixels == 0
    assert np.isnan(nothing.coverage)


def test_error_map(truth):
    found = compare(d3.DepthMap(1.2 * truth.values, "metric"), truth).error()
    assert np.isnan(found[~truth.valid]).all()
    assert found[truth.valid] == pytest.approx(0.2, abs=1e-6)
    relative = compare(truth, d3.DepthMap(3 / truth.values + 1, "relative")).error()
    assert np.abs(relative[truth.valid]).max() < 1e-4


def test_averages_weigh_pictures_alike(truth):
    three = [evaluate(d3.DepthMap(f * truth.values, "metric"), truth) for f in (1.1, 1.2, 1.6)]
    nothing = evaluate(d3.DepthMap(np.full((72, 96), np.nan), "metric"), truth)
    found = averages([*three, replace(three[0], boundary_f1=float("nan"), pixels=5), nothing])
    assert found["mean"]["abs_rel"] == pytest.approx((0.1 + 0.2 + 0.6 + 0.1) / 4, abs=1e-6)
    assert found["median"]["abs_rel"] == pytest.approx(0.15, abs=1e-6)
    assert found["mean"]["boundary_f1"] == 1
    assert np.isnan(averages([nothing])["mean"]["abs_rel"])
    with pytest.raises(InputError, match="align affine and default with align none"):
        averages([three[0], replace(three[0], align="affine")])


def test_repr_is_one_line(truth):
    text = repr(evaluate(truth, truth))
    assert "\n" not in text
    assert "abs_rel=0.0000" in text
    assert "pixels count" in repr(compare(truth, truth))
