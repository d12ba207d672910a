"""Stereo pairs of planes whose disparity is known: parallax to a tenth of a pixel, exact eyes, refusals."""

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest

import depth3d as d3
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.core.scene import RGBD
from depth3d.errors import InputError, NeedsMetricError
from depth3d.render.layers import layers
from depth3d.render.stereo import StereoViews, stereo
from depth3d.render.views import render_views

WIDTH, HEIGHT, FX = 256, 96, 240.0
NEAR_M, FAR_M = 1.0, 3.0
PERIOD_PX = 40
CAMERA = Camera(FX, FX, 120, 50, WIDTH, HEIGHT)


@lru_cache
def taken(kind="metric"):
    """The layers of the planes, made once: wide enough for all that is asked for here."""
    return layers(two_planes(kind), reach_px=20, margin_px=40, motion=(1, 0), edges="keep")


def waves(u, v):
    wave = (
        np.sin(2 * np.pi * u / PERIOD_PX),
        np.sin(2 * np.pi * v / PERIOD_PX),
        np.cos(2 * np.pi * u / PERIOD_PX),
    )
    return np.rint(127.5 + 100 * np.stack(np.broadcast_arrays(*wave), axis=-1)).astype(np.uint8)


def two_planes(kind="metric"):
    """The upper half far away, the lower half near: what moves sideways hides nothing."""
    v, u = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    z = np.where(v < HEIGHT / 2, FAR_M, NEAR_M)
    return RGBD(waves(u, v), DepthMap(z if kind == "metric" else 5 + 40 / z, kind), CAMERA)


def shift_px(first, second, rows, channel=0, axis=1):
    """How far `second` lies to the left of (or above) `first`: the difference of one wave's phase."""
    phases = []
    for image in (first, second):
        part = image[rows, 48:208, channel].astype(float).mean(axis=1 - axis)
        at = np.arange(len(part))  # whole periods, so that this window parts the wave from its mirror image
        window = np.hanning(len(part) + 1)[:-1]
        phases.append(np.angle(np.sum((part - 127.5) * window * np.exp(-2j * np.pi * at / PERIOD_PX))))
    turn = (phases[1] - phases[0] + np.pi) % (2 * np.pi) - np.pi
    return turn / (2 * np.pi) * PERIOD_PX


TAP_PX = 0.03
"""How far a tap between pixels may put smooth waves from where they should be."""
FAR_ROWS, NEAR_ROWS = slice(8, 40), slice(56, 88)
PAIR = {"edges": "keep"}


@pytest.mark.parametrize(
    ("kind", "convergence", "keep"),
    [
        ("metric", 0.0, None),
        ("metric", 0.8, None),
        ("metric", 0.5, "left"),
        ("metric", 1.0, "right"),
        ("relative", 0.5, None),
    ],
)
def test_divergence_is_a_share_of_the_width(kind, convergence, keep):
    left, right = pair = stereo(taken(kind), divergence_percent=5, convergence=convergence, keep=keep)
    total = 0.05 * WIDTH
    assert shift_px(left, right, NEAR_ROWS) == pytest.approx((1 - convergence) * total, abs=2 * TAP_PX)
    assert shift_px(left, right, FAR_ROWS) == pytest.approx(-convergence * total, abs=2 * TAP_PX)
    assert pair.rig.facts["divergence_percent"] == pytest.approx(5)
    assert pair.rig.facts["nearest_percent"] == pytest.approx(5 * (1 - convergence))


@pytest.mark.parametrize(
    ("given", "screen"), [({}, 0), ({"convergence_m": 2.0}, 0.5), ({"convergence": 1.0}, 1)]
)
def test_a_baseline_is_in_millimetres(given, screen):
    left, right = pair = stereo(taken(), baseline_mm=63, **given)
    for rows, z in ((NEAR_ROWS, NEAR_M), (FAR_ROWS, FAR_M)):
        assert shift_px(left, right, rows) == pytest.approx(FX * 0.063 * (1 / z - screen), abs=2 * TAP_PX)
    assert pair.rig.facts["baseline_mm"] == pytest.approx(63)
    assert pair.rig.facts["convergence_m"] == (pytest.approx(1 / screen) if screen else math.inf)


def test_a_point_may_be_put_on_the_screen():
    for point, still, moved in (((30, 80), NEAR_ROWS, FAR_ROWS), ((30, 10), FAR_ROWS, NEAR_ROWS)):
        left, right = stereo(taken(), divergence_percent=4, converge_at=point)
        assert shift_px(left, right, still) == pytest.approx(0, abs=0.02)
        assert abs(shift_px(left, right, moved)) == pytest.approx(0.04 * WIDTH, abs=2 * TAP_PX)


def test_both_eyes_share_the_shift_and_nothing_moves_up_or_down():
    scene = two_planes()
    left, right = stereo(scene, divergence_percent=5, **PAIR)
    for rows, half in ((NEAR_ROWS, 0.0125 * WIDTH), (FAR_ROWS, -0.0125 * WIDTH)):
        assert shift_px(scene.image, left, rows) == pytest.approx(-half, abs=TAP_PX)
        assert shift_px(scene.image, right, rows) == pytest.approx(half, abs=TAP_PX)
    rows = slice(4, 44)  # one period
    assert shift_px(left, right, rows, channel=1, axis=0) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("eye", ["left", "right"])
def test_the_eye_that_is_kept_is_the_photo(eye):
    scene = two_planes()
    for given in ({"divergence_percent": 4}, {"baseline_mm": 60, "convergence_m": 1.5}, {"baseline_mm": 60}):
        pair = stereo(taken(), keep=eye, **given)
        other = "right" if eye == "left" else "left"
        assert np.array_equal(getattr(pair, eye), scene.image)
        assert not np.array_equal(getattr(pair, other), scene.image)


def test_the_right_picture_of_a_stereo_camera():
    """A second lens 60 mm to the right, parallel and equal: what rectified pairs are."""
    _, right = stereo(taken(), baseline_mm=60, keep="left")
    pose = np.eye(4)
    pose[0, 3] = 0.06
    assert np.array_equal(right, next(render_views(taken(), [pose])))
    for rows, z in ((NEAR_ROWS, NEAR_M), (FAR_ROWS, FAR_M)):
        assert shift_px(taken().photo, right, rows) == pytest.approx(FX * 0.06 / z, abs=TAP_PX)


def test_eyes_can_be_swapped():
    first = stereo(taken(), divergence_percent=4)
    second = stereo(taken(), divergence_percent=4, swap=True)
    assert np.array_equal(first.left, second.right)
    assert np.array_equal(first.right, second.left)


def test_a_floating_window_is_as_wide_as_what_it_hides():
    plain = stereo(taken(), divergence_percent=5, convergence=0)
    left, right = stereo(taken(), divergence_percent=5, convergence=0, window=True)
    wide = math.ceil(0.05 * WIDTH)
    assert not left[:, :wide].any()
    assert np.array_equal(left[:, wide:], plain.left[:, wide:])
    assert not right[:, -wide:].any()
    assert np.array_equal(right[:, :-wide], plain.right[:, :-wide])
    behind = stereo(taken(), divergence_percent=5, convergence=1, window=True)
    assert np.array_equal(behind.left, stereo(taken(), divergence_percent=5, convergence=1).left)


def test_views_are_evenly_spaced_from_left_to_right():
    views = StereoViews(taken(), 5, divergence_percent=5, convergence=0)
    assert (len(views), views.places) == (5, (-0.5, -0.25, 0, 0.25, 0.5))
    pictures = list(views)
    assert np.array_equal(pictures[2], taken().photo)
    for first, second in pairwise(pictures):
        assert shift_px(first, second, NEAR_ROWS) == pytest.approx(0.05 * WIDTH / 4, abs=2 * TAP_PX)
    pair = stereo(taken(), divergence_percent=5, convergence=0)
    assert np.array_equal(pictures[0], pair.left)
    assert np.array_equal(pictures[4], pair.right)


def test_a_scene_without_relief_is_flat():
    flat = RGBD(two_planes().image, DepthMap(np.full((HEIGHT, WIDTH), 2.0), "metric"), CAMERA)
    left, right = stereo(flat, **PAIR)
    assert np.array_equal(left, flat.image)
    assert np.array_equal(right, flat.image)


def test_a_lens_is_left_out():
    bent = Camera(FX, FX, 120, 50, WIDTH, HEIGHT, distortion=(0.1, 0.01))
    scene = two_planes()
    pair = stereo(RGBD(scene.image, scene.depth, bent), keep="right", **PAIR)
    assert np.array_equal(pair.right, scene.image)


def test_what_strains_the_eyes_is_said():
    planned = StereoViews(two_planes(), **PAIR)
    assert planned.rig.facts["divergence_percent"] == pytest.approx(2)
    assert planned.rig.facts["widest_screen_m"] == pytest.approx(6.3)
    assert planned.rig.discomforts == []
    (strong,) = StereoViews(two_planes(), divergence_percent=3.5, **PAIR).rig.discomforts
    assert "3.5 % of the width apart" in strong
    told = StereoViews(two_planes(), divergence_percent=6, convergence=1, **PAIR).rig.discomforts
    assert "screens wider than 1.1 m" in told[1]
    assert StereoViews(two_planes(), convergence=0, **PAIR).rig.facts["widest_screen_m"] == math.inf


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"divergence_percent": 2, "baseline_mm": 60}, "divergence_percent .* and baseline_mm .* same thing"),
        ({"convergence": 1, "convergence_m": 2}, "convergence .* and convergence_m .* give one of them"),
        ({"divergence_percent": 0}, "between 0 and 50 % of the width, got 0; 2 is usual"),
        ({"divergence_percent": math.nan}, "between 0 and 50 %"),
        ({"baseline_mm": -1}, "baseline_mm must be positive millimetres, got -1"),
        ({"convergence": 1.5}, "between 0 .* and 1 .* got 1.5"),
        ({"convergence_m": 0}, "convergence_m must be positive metres"),
        ({"converge_at": (900, 2)}, "lies outside the picture"),
        ({"keep": "both"}, "keep must be 'left', 'right' or None"),
        ({"baseline_mm": 1000}, "240 pixels apart in a picture of 256; use a shorter baseline"),
    ],
)
def test_refusals(given, sentence):
    with pytest.raises(InputError, match=sentence):
        stereo(two_planes(), **given, **PAIR)


def test_more_refusals():
    for given in ({"baseline_mm": 60}, {"convergence_m": 2}):
        with pytest.raises(
            NeedsMetricError, match=f"{next(iter(given))} needs metric depth, got a relative map"
        ):
            stereo(two_planes("relative"), **given, **PAIR)
    with pytest.raises(InputError, match="views must be a whole number from 2"):
        StereoViews(two_planes(), 1, **PAIR)
    with pytest.raises(InputError, match=r"uncover 12.8 pixels and the layers reach 3.0; make them with"):
        stereo(layers(two_planes(), reach_px=3, edges="keep"), divergence_percent=10)
    with pytest.raises(InputError, match="stereo needs an RGBD or Layers, got ndarray"):
        stereo(np.zeros((3, 3)))


def test_public_names():
    assert d3.stereo is stereo
    assert d3.StereoViews is StereoViews
    left, _ = pair = d3.stereo(taken())
    assert isinstance(pair, d3.StereoPair)
    assert pair.picture().shape == (HEIGHT, 2 * WIDTH, 3)
    assert np.array_equal(pair.picture("rows")[::2], left[::2])
