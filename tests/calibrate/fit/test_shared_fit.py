"""Many photos at once: pooled references, one scale with a shift each, and the lens of a metric network."""

import numpy as np
import pytest

import depth3d as d3
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError

SCALE = 0.05
SHIFTS = (0.03, 0.10, -0.01)


def floors(kind="relative"):
    """Three views of one floor, each with a shift of its own in the map."""
    return [
        DepthMap(np.repeat(np.linspace(0.5, 9.5, 60)[:, None], 80, axis=1) + step, kind)
        for step in (0.0, 0.4, 1.0)
    ]


def anchor(depth, shift, u, v, factor=1.0):
    return d3.Anchor(u, v, factor / (SCALE * float(depth.values[int(v), int(u)]) + shift))


def test_one_camera_s_photos_share_all_references():
    depths = floors()
    references = [
        [anchor(depths[0], 0.03, 20.5, 10.5)],
        [],
        [anchor(depths[2], 0.03, 60.5, 50.5), anchor(depths[2], 0.03, 30.5, 30.5)],
    ]
    fits = d3.calibrate_many(depths, references)
    for fit, depth, own in zip(fits, depths, references, strict=True):
        np.testing.assert_allclose((fit.scale, fit.shift), (SCALE, 0.03), rtol=1e-3)
        assert len(fit.references) == len(fit.inliers) == len(fit.residuals_m) == len(own)
        np.testing.assert_allclose(fit.apply(depth).values, 1 / (SCALE * depth.values + 0.03), rtol=1e-3)
    assert fits[0].quality["extrapolated"] != fits[2].quality["extrapolated"]


def test_one_scale_and_a_shift_for_each_photo():
    depths = floors()
    references = [
        [anchor(depth, shift, 20.5, v) for v in rows]
        for depth, shift, rows in zip(depths, SHIFTS, ((5.5, 50.5, 30.5), (20.5,), (40.5,)), strict=True)
    ]
    fits = d3.calibrate_many(depths, references, share="scale")
    for fit, shift in zip(fits, SHIFTS, strict=True):
        np.testing.assert_allclose((fit.scale, fit.shift), (SCALE, shift), atol=2e-5)
        assert len(fit.covariance) == 2
    # A photo with one reference is less sure far from it than the one with three.
    sigma = [float(np.max(fit.sigma_m(depth) / fit.apply(depth).values)) for fit, depth in zip(fits, depths, strict=True)]  # noqa: E501  # fmt: skip
    assert sigma[1] > sigma[0]


def test_one_scale_finds_the_wrong_reference():
    depths = floors()
    rows = (5.5, 20.5, 35.5, 50.5)
    references = [
        [anchor(depth, shift, 20.5, v) for v in rows] for depth, shift in zip(depths, SHIFTS, strict=True)
    ]
    references[1][2] = anchor(depths[1], SHIFTS[1], 20.5, 35.5, factor=2.5)
    fits = d3.calibrate_many(depths, references, share="scale")
    assert [fit.inliers for fit in fits] == [(True,) * 4, (True, True, False, True), (True,) * 4]
    np.testing.assert_allclose([fit.shift for fit in fits], SHIFTS, atol=3e-4)


def test_one_photo_is_the_plain_fit():
    depth = floors()[0]
    anchors = [anchor(depth, 0.03, 20.5, v, factor) for v, factor in ((5.5, 1.02), (30.5, 0.97), (50.5, 1.0))]
    plain = d3.calibrate(depth, anchors, form="affine")
    for share in ("all", "scale"):
        (fit,) = d3.calibrate_many([depth], [anchors], share=share)
        np.testing.assert_allclose((fit.scale, fit.shift), (plain.scale, plain.shift), rtol=1e-5)
        np.testing.assert_allclose(fit.covariance, plain.covariance, rtol=1e-3)


def test_metric_photos_share_their_scale():
    depths = floors("metric")
    references = [[d3.Anchor(20.5, 30.5, 1.3 * float(depth.values[30, 20]))] for depth in depths]
    fits = d3.calibrate_many(depths, references)
    np.testing.assert_allclose([fit.scale for fit in fits], 1.3, rtol=2e-3)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda depths: (depths, [[]]), "each photo needs its depth map"),
        (lambda depths: (depths, [[], [], []]), "something known in metres"),
        (lambda depths: ([*depths[:2], floors("metric")[0]], [[], [], []]), "all relative or all metric"),
    ],
)
def test_lists_that_do_not_fit_together(make, sentence):
    depths, references = make(floors())
    with pytest.raises(InputError, match=sentence):
        d3.calibrate_many(depths, references)


def test_a_shared_scale_needs_a_reference_a_photo_and_a_pair():
    depths = floors()
    lone = [[anchor(depth, 0.03, 20.5, 30.5)] for depth in depths]
    with pytest.raises(InputError, match="much nearer or much farther"):
        d3.calibrate_many(depths, lone, share="scale")
    with pytest.raises(InputError, match="photo 2 has no reference"):
        d3.calibrate_many(depths, [lone[0], [], lone[2]], share="scale")
    with pytest.raises(InputError, match="no shift of their own"):
        d3.calibrate_many(floors("metric"), [[d3.Anchor(20, 30, 2.0)] for _ in range(3)], share="scale")
    with pytest.raises(InputError, match="share must be one of"):
        d3.calibrate_many(depths, lone, share="shift")


def test_the_focal_correction_is_one_for_the_lens_of_the_training():
    hypersim = d3.Camera(fx=886.81, fy=886.81, cx=512, cy=384, width=1024, height=768)
    kitti = d3.Camera(fx=725.0087, fy=725.0087, cx=621, cy=187.5, width=1242, height=375)
    np.testing.assert_allclose(d3.focal_correction("metric-indoor-small", hypersim).scale, 1.0)
    np.testing.assert_allclose(d3.focal_correction("metric-outdoor-large", kitti).scale, 1.0)


def test_the_focal_correction_of_a_phone():
    # 26 mm of 35 mm film on 4:3: f = 26 / 43.2666 of the diagonal.
    focal = 26 * 5040 / 43.2666
    phone = d3.Camera(fx=focal, fy=focal, cx=2016, cy=1512, width=4032, height=3024, sigma_rel=0.02)
    fit = d3.focal_correction("depth_anything_v2_metric_hypersim_vits", phone)
    np.testing.assert_allclose(fit.scale, 0.867, atol=0.002)
    np.testing.assert_allclose(np.sqrt(fit.covariance[0][0]) / fit.scale, 0.02)
    np.testing.assert_allclose(
        fit.apply(DepthMap(np.full((3, 4), 2.0), "metric")).values, 2 * fit.scale, rtol=1e-6
    )
    half = d3.focal_correction("metric-indoor-small", phone, input_size=259)
    np.testing.assert_allclose(half.scale, fit.scale / 2)


@pytest.mark.parametrize("model", ["small", "mini", "indoor-outdoor"])
def test_networks_of_unknown_training_get_no_focal_correction(model):
    camera = d3.Camera.from_fov(640, 480, 60.0)
    with pytest.raises(InputError, match="metric-indoor-small"):
        d3.focal_correction(model, camera)
