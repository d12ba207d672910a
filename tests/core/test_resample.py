"""Planes survive resizing, holes neither grow nor bleed, and OpenCV agrees."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.core.resample import resize_bilinear, resize_depth
from depth3d.errors import InputError

NORMAL = np.array([0.1, 1.0, 0.6])
SIZES = [(80, 60), (37, 91), (23, 17), (41, 29), (7, 3), (400, 20)]


def floor(camera: Camera) -> np.ndarray:
    """z of the floor 1.5 m below the camera, tilted a little to the side: 1/z is affine in (u, v)."""
    rays = camera.pixel_rays()
    return 1.5 / (rays @ NORMAL)


@pytest.mark.parametrize("size", SIZES)
def test_a_planes_inverse_depth_survives_exactly_between_the_outermost_centres(size):
    camera = Camera.from_fov(60, 40, 50).cropped(12, 3, 41, 29)  # off its centre
    resized = resize_depth(DepthMap(floor(camera), "metric"), *size)
    small = camera.resized(*size)
    u = (np.arange(size[0]) + 0.5) * 41 / size[0]
    v = (np.arange(size[1]) + 0.5) * 29 / size[1]
    inside = ((v >= 0.5) & (v <= 28.5))[:, None] & ((u >= 0.5) & (u <= 40.5))[None, :]
    assert inside.mean() > 0.5
    want = floor(small)
    np.testing.assert_allclose(1 / resized.values[inside], 1 / want[inside], rtol=0, atol=2e-7 / want.min())
    # And so every point lies in the plane itself, in metres.
    points = small.pixel_rays()[inside] * resized.values[inside][:, None]
    np.testing.assert_allclose(points @ NORMAL, 1.5, rtol=1e-5)


def test_interpolating_z_itself_would_bend_that_floor():
    """The test above has teeth: a resize of z misses by millimetres where 10 micrometres are allowed."""
    camera = Camera.from_fov(41, 29, 40)
    bent = resize_bilinear(floor(camera).astype(np.float32), 80, 60)
    assert np.abs(bent[2:-2, 2:-2] - floor(camera.resized(80, 60))[2:-2, 2:-2]).max() > 0.002


@pytest.mark.parametrize("size", SIZES)
def test_relative_maps_are_resized_as_opencv_does(size):
    values = np.random.default_rng(0).random((29, 41), dtype=np.float32)
    ours = resize_depth(DepthMap(values, "relative"), *size)
    np.testing.assert_allclose(
        ours.values, cv2.resize(values, size, interpolation=cv2.INTER_LINEAR), rtol=0, atol=2e-6
    )


def test_a_ramp_has_a_closed_form():
    ours = resize_bilinear(np.array([[0.0, 1.0, 2.0]], np.float32), 6, 1)
    np.testing.assert_allclose(ours, [[0, 0.25, 0.75, 1.25, 1.75, 2]], rtol=0, atol=1e-7)


@pytest.mark.parametrize("kind", ["relative", "metric"])
@pytest.mark.parametrize("size", SIZES)
def test_no_value_is_made_up_beyond_what_was_there(kind, size):
    values = np.random.default_rng(1).uniform(0.5, 9, size=(29, 41)).astype(np.float32)
    ours = resize_depth(DepthMap(values, kind), *size).values
    assert ours.min() >= values.min() * (1 - 1e-6)
    assert ours.max() <= values.max() * (1 + 1e-6)


@pytest.mark.parametrize("kind", ["relative", "metric"])
@pytest.mark.parametrize("factor", [2, 3, 5])
def test_holes_neither_grow_nor_shrink_nor_bleed(kind, factor):
    rng = np.random.default_rng(2)
    values = rng.uniform(1, 2, size=(12, 15)).astype(np.float32)
    holes = rng.random(values.shape) < 0.3
    values[holes] = np.nan
    ours = resize_depth(DepthMap(values, kind), 15 * factor, 12 * factor)
    np.testing.assert_array_equal(~ours.valid, np.kron(holes, np.ones((factor, factor))).astype(bool))


def test_a_sample_beside_a_hole_takes_its_nearest_neighbour():
    ours = resize_depth(DepthMap([[1.0, np.nan, 3.0]], "relative"), 6, 1)
    np.testing.assert_array_equal(ours.values, [[1, 1, np.nan, np.nan, 3, 3]])


def test_an_exact_sample_ignores_the_hole_next_to_it():
    # Three to one: the new centre is the old middle one, with weight 0 for its neighbours.
    ours = resize_depth(DepthMap([[np.nan, 2.0, np.nan]], "metric"), 1, 1)
    np.testing.assert_array_equal(ours.values, [[2.0]])


@pytest.mark.parametrize("kind", ["relative", "metric"])
def test_one_pixel_fills_any_size(kind):
    ours = resize_depth(DepthMap([[2.5]], kind), 7, 3)
    assert ours.size_wh == (7, 3)
    assert ours.kind == kind
    np.testing.assert_array_equal(ours.values, np.float32(2.5))


def test_all_unknown_stays_unknown():
    assert not resize_depth(DepthMap(np.full((3, 4), np.nan), "metric"), 8, 9).valid.any()


def test_the_same_size_is_the_same_map():
    depth = DepthMap(np.ones((3, 4)), "metric")
    assert resize_depth(depth, 4, 3) is depth


@pytest.mark.parametrize("size", [(0, 3), (3, 0), (-1, 5), (10.5, 3), ("4", 3)])
def test_sizes_that_are_none(size):
    with pytest.raises(InputError, match=f"at least 1x1, got {size[0]}x{size[1]}"):
        resize_depth(DepthMap(np.ones((3, 4)), "metric"), *size)
