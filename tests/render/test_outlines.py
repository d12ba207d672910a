"""Settled outlines: nothing floats between two surfaces, and what is exact stays as it is."""

import cv2
import numpy as np
import pytest

from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.core.scene import RGBD
from depth3d.render.inverse_depth import inverse_depth_of
from depth3d.render.layers import layers
from depth3d.render.outlines import has_soft_outlines, settled_outlines

SHAPE = (90, 120)


def disc(fineness=4, near=1.0, far=0.2, radius=25.0):
    """A disc before a slanted wall, at a multiple of the size; both surfaces at the size itself, too."""
    height, width = SHAPE
    v, u = (np.mgrid[: height * fineness, : width * fineness] + 0.5) / fineness
    inside = np.hypot(u - width / 2, v - height / 2) < radius
    wall = far + 0.001 * u
    return np.where(inside, near, wall).astype(np.float32)


def resized(fine):
    """As networks' maps and photos are made smaller: pixels at outlines are means."""
    return cv2.resize(fine, SHAPE[::-1], interpolation=cv2.INTER_AREA)


def hanging(values, margin=0.1):
    return (values > 0.35 + margin) & (values < 1 - margin)


def test_nothing_hangs_between_two_surfaces():
    soft = resized(disc())
    assert has_soft_outlines(soft)
    assert hanging(soft).sum() > 50
    settled = settled_outlines(soft)
    assert not hanging(settled).any()
    # What the disc covers by a good third is its own.
    inside = resized(np.float32(disc() > 0.5)) > 0.35
    assert ((settled > 0.5) != inside).sum() <= 0.1 * hanging(soft).sum()
    near = settled > 0.5
    assert settled[near].min() > 0.88
    u = np.broadcast_to(np.arange(SHAPE[1]) + 0.5, SHAPE)
    assert np.abs(settled - (0.2 + 0.001 * u))[~near].max() < 0.12 * 0.8
    # What is at no outline is untouched.
    far_from = cv2.dilate(hanging(soft).astype(np.uint8), np.ones((7, 7), np.uint8)) == 0
    np.testing.assert_array_equal(settled[far_from], soft[far_from])


def test_ramps_of_two_pixels_are_settled_too():
    soft = cv2.GaussianBlur(resized(disc()), (0, 0), 0.6)
    assert hanging(settled_outlines(soft)).sum() <= 0.03 * hanging(soft).sum()


@pytest.mark.parametrize("slope", [0.0, 0.002, 0.05])
def test_exact_maps_and_planes_are_left_alone(slope):
    v, u = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    plane = 0.3 + slope * u + slope * v / 3
    np.testing.assert_array_equal(settled_outlines(plane), plane)
    exact = disc(1) + 0.001 * u
    exact[20:60, 30] = 0.6  # a pole of one pixel, between the two
    assert not has_soft_outlines(exact)
    assert not has_soft_outlines(plane)


def test_wide_ramps_are_left_to_be_snapped():
    assert not has_soft_outlines(cv2.GaussianBlur(disc(1), (0, 0), 2.5))


def test_a_surface_between_two_others_is_no_ramp():
    soft = resized(disc())
    soft[70:, 95:98], soft[70:, 98:] = 0.6, 1
    settled = settled_outlines(soft)
    assert not np.array_equal(settled, soft)
    assert (settled[73:-2, 95:98] == np.float32(0.6)).all()


def test_specks_go_and_thin_long_things_stay():
    soft = resized(disc())
    soft[10, 10] = soft[10, 100] = soft[80, 15] = 0.9
    soft[30:50, 112] = 0.8
    soft[60, 60] = 0.3
    settled = settled_outlines(soft)
    assert settled[10, 10] == pytest.approx(0.21, abs=2e-3)
    assert settled[80, 15] == pytest.approx(0.215, abs=2e-3)
    assert settled[60, 60] == 1
    assert (settled[32:48, 112] == np.float32(0.8)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 3)])
def test_tiny_and_constant_maps(shape):
    values = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
    assert np.isfinite(settled_outlines(values)).all()
    np.testing.assert_array_equal(settled_outlines(np.full(shape, 2, np.float32)), np.full(shape, 2))


def test_layers_of_a_soft_map_have_no_surface_in_between():
    soft = resized(disc())
    image = np.full((*SHAPE, 3), 128, np.uint8)
    scene = RGBD(image, DepthMap(1 / soft, "metric"), Camera.from_fov(*SHAPE[::-1], 60))
    assert hanging(inverse_depth_of(scene, edges="keep")).sum() > 50
    assert not hanging(inverse_depth_of(scene)).any()
    made = layers(scene, reach_px=6)
    assert not (hanging(made.front.inverse_depth) & (made.front.alpha > 0)).any()
