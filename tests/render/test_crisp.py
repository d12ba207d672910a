"""Soft edges of depth: back to the photo's, while exact maps and planes stay as they are."""

import cv2
import numpy as np
import pytest

from depth3d.core.depth import DepthMap
from depth3d.errors import InputError
from depth3d.render import level_ground
from depth3d.render.crisp import crisp_disparity
from depth3d.render.disparity import whole_disparity


def disc_scene(shape=(160, 200), radius=50, seed=0):
    """A textured disc in front of a textured, slanted wall."""
    v, u = np.mgrid[: shape[0], : shape[1]]
    inside = np.hypot(v - shape[0] / 2, u - shape[1] / 2) < radius
    disparity = np.where(inside, 1.0, 0.2 + 0.0005 * u).astype(np.float32)
    noise = np.random.default_rng(seed).normal(size=(*shape, 3)) * 8
    image = np.where(inside[..., None], (190, 120, 60), (60, 90, 140)) + noise
    return np.clip(image, 0, 255).astype(np.uint8), disparity, inside


@pytest.mark.parametrize("sigma", [1.5, 2.0, 4.0])
def test_a_blurred_silhouette_goes_back_to_where_the_photo_has_it(sigma):
    image, disparity, inside = disc_scene()
    soft = cv2.GaussianBlur(disparity, (0, 0), sigma)
    crisp = crisp_disparity(soft, image)
    # Less than one pixel in a hundred is on the wrong side, and none hangs between.
    assert ((crisp > 0.6) != inside).mean() < 0.001
    assert ((crisp > 0.35) & (crisp < 0.9)).mean() < 0.001
    assert np.abs(crisp - disparity).mean() < 0.15 * np.abs(soft - disparity).mean()


@pytest.mark.parametrize("divisor", [2, 3])
def test_large_pictures_are_snapped_at_a_smaller_size_first(divisor, monkeypatch):
    image, disparity, inside = disc_scene((321, 400), 100)
    soft = cv2.GaussianBlur(disparity, (0, 0), 6)
    monkeypatch.setattr("depth3d.render.crisp._WORKING_PX", soft.size // divisor**2 + 1)
    crisp = crisp_disparity(soft, image)
    assert ((crisp > 0.6) != inside).mean() < 0.001
    assert ((crisp > 0.4) & (crisp < 0.9)).mean() < 0.001
    assert np.abs(crisp - disparity).mean() < 0.15 * np.abs(soft - disparity).mean()
    np.testing.assert_array_equal(crisp_disparity(disparity, image), disparity)


def test_a_silhouette_that_is_off_by_pixels_follows_the_photo():
    image, disparity, inside = disc_scene()
    soft = np.roll(cv2.GaussianBlur(disparity, (0, 0), 3), 2, axis=1)
    crisp = crisp_disparity(soft, image)
    assert ((crisp > 0.6) != inside).sum() < 0.15 * ((soft > 0.6) != inside).sum()


def test_a_quarter_of_the_resolution():
    image, disparity, inside = disc_scene()
    small = cv2.resize(disparity, (50, 40), interpolation=cv2.INTER_AREA)
    soft = cv2.resize(small, (200, 160), interpolation=cv2.INTER_LINEAR)
    crisp = crisp_disparity(soft, image)
    assert ((crisp > 0.6) != inside).mean() < 0.002
    assert np.abs(crisp - disparity).mean() < 0.25 * np.abs(soft - disparity).mean()


def test_exact_maps_and_planes_are_untouched():
    image, disparity, _ = disc_scene()
    np.testing.assert_array_equal(crisp_disparity(disparity, image), disparity)
    v, u = np.mgrid[:160, :200].astype(np.float32)
    plane = 0.3 + 0.01 * v - 0.004 * u
    np.testing.assert_array_equal(crisp_disparity(plane, image), plane)
    flat = np.ones((160, 200), np.float32)
    np.testing.assert_array_equal(crisp_disparity(flat, image), flat)


@pytest.mark.parametrize("sigma", [2, 3, 4])
def test_ground_that_falls_towards_an_edge_stays_nearer_than_the_horizon(sigma):
    # The ground's slope, continued to the snapped edge, would lie behind infinity.
    _, u = np.mgrid[:120, :200]
    near = u >= 124
    image = np.where(near[..., None], (200, 60, 40), (40, 90, 200)).astype(np.uint8)
    soft = np.where(near, 3, np.maximum(0.004 * (120 - u), 0)).astype(np.float32)
    soft = cv2.GaussianBlur(soft, (0, 0), sigma)
    crisp = crisp_disparity(soft, image)
    assert crisp.min() >= soft.min()
    assert ((crisp > 1.5) == near).all()


def test_smooth_shapes_are_no_edges():
    image, _, _ = disc_scene()
    v, u = np.mgrid[:160, :200]
    ball = np.sqrt(np.maximum(1 - np.hypot((v - 80) / 140, (u - 100) / 140) ** 2, 0)).astype(np.float32)
    np.testing.assert_array_equal(crisp_disparity(ball, image), ball)


def test_a_thin_rod_gets_its_height_back():
    image = np.full((120, 160, 3), 60, np.uint8)
    disparity = np.full((120, 160), 0.2, np.float32)
    image[:, 79:82], disparity[:, 79:82] = 220, 1.0
    soft = cv2.GaussianBlur(disparity, (0, 0), 2)
    assert soft[60, 80] < 0.7
    np.testing.assert_allclose(crisp_disparity(soft, image)[20:100, 79:82], 1.0, atol=0.1)


@pytest.mark.parametrize("sigma", [1.5, 2.0])
def test_what_is_behind_is_freed_of_what_smoothing_mixed_into_it(sigma):
    image, disparity, inside = disc_scene()
    soft = cv2.GaussianBlur(disparity, (0, 0), sigma)
    crisp = crisp_disparity(soft, image)
    behind = ~inside & (crisp < 0.6)
    behind[:8] = behind[-8:] = False
    behind[:, :8] = behind[:, -8:] = False  # the blur bends the wall at the border
    # Half a hundredth of the step, where smoothing left a tenth and more.
    assert np.abs(crisp - disparity)[behind].max() < 0.004
    assert np.abs(soft - disparity)[behind].max() > 0.1


def test_parts_of_a_map_have_no_seams(monkeypatch):
    image, disparity, _ = disc_scene()
    soft = cv2.GaussianBlur(disparity, (0, 0), 2)
    whole = crisp_disparity(soft, image)
    monkeypatch.setattr(level_ground, "_TILE_PX", 7)
    np.testing.assert_allclose(crisp_disparity(soft, image), whole, atol=2e-5)


def test_specks_are_no_nearer_than_what_is_around_them():
    image, disparity, _ = disc_scene()
    image = np.random.default_rng(1).integers(0, 255, image.shape, dtype=np.uint8)
    soft = cv2.GaussianBlur(disparity, (0, 0), 2)
    assert crisp_disparity(soft, image).max() <= soft.max() + 1e-6


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (3, 3)])
def test_tiny_maps(shape):
    values = np.random.default_rng(0).random(shape).astype(np.float32)
    crisp = crisp_disparity(values, np.zeros((*shape, 3), np.uint8))
    assert crisp.shape == shape
    assert np.isfinite(crisp).all()


def test_sky_is_infinitely_far_and_holes_are_behind():
    z = np.full((60, 80), 4.0, np.float32)
    z[20:, 30:50] = 1.0
    z[:15] = np.nan  # sky: at the top, over what is far
    z[30:40, 26:30] = np.nan  # a shadow beside the thing in front
    disparity = whole_disparity(DepthMap(z, "metric"))
    np.testing.assert_array_equal(disparity[:15], 0)
    np.testing.assert_array_equal(disparity[30:40, 26:30], 0.25)
    known = np.isfinite(z)
    np.testing.assert_array_equal(disparity[known], 1 / z[known])


def test_a_hole_inside_a_thing_belongs_to_it_and_relative_sky_is_the_farthest():
    values = np.full((60, 80), 0.5, np.float32)
    values[20:50, 20:60] = 3.0
    values[30:33, 30:33] = np.nan
    values[:10] = np.nan
    filled = whole_disparity(DepthMap(values, "relative"))
    np.testing.assert_array_equal(filled[30:33, 30:33], 3)
    np.testing.assert_array_equal(filled[:10], 0.5)


def test_a_map_that_knows_nothing_is_refused():
    with pytest.raises(InputError, match="knows no pixel"):
        whole_disparity(DepthMap(np.full((4, 4), np.nan, np.float32), "metric"))
