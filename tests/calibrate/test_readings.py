"""Readings of a map: exact on planes at any size, one surface at a time at edges."""

import time

import numpy as np
import pytest

from depth3d.calibrate.readings import read_box, read_values
from depth3d.core.depth import DepthMap


def pixel_centres(width, height):
    return np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)


def plane(size_wh, photo_wh):
    """A map of some size whose value is affine in the photo's (u, v), and that affine function."""

    def value(u, v):
        return 3.0 + 0.002 * u - 0.003 * v

    x, y = pixel_centres(*size_wh)
    values = value(x * photo_wh[0] / size_wh[0], y * photo_wh[1] / size_wh[1])
    return values, lambda uv: value(uv[:, 0], uv[:, 1])


@pytest.mark.parametrize("size_wh", [(640, 480), (160, 120), (37, 23), (1280, 960), (5, 3)])
@pytest.mark.parametrize("kind", ["relative", "metric"])
def test_a_plane_is_read_exactly_at_any_position_and_any_size_of_the_map(size_wh, kind):
    photo_wh = (640, 480)
    values, true = plane(size_wh, photo_wh)
    uv = np.random.default_rng(0).uniform(0, 1, (300, 2)) * photo_wh
    uv = np.concatenate([uv, [[0, 0], [640, 480], [0.5, 0.5], [320, 240]]])  # border and corners too
    depth = DepthMap((1 / values if kind == "metric" else values).astype(np.float32), kind)
    reading = read_values(depth, uv, photo_wh)
    wanted = 1 / true(uv) if kind == "metric" else true(uv)
    np.testing.assert_allclose(reading.value, wanted, rtol=2e-6)
    assert (reading.sigma < 1e-5).all()
    assert not reading.at_edge.any()
    assert np.isnan(reading.other).all()


def test_scatter_is_the_noise_of_the_map_and_outliers_do_not_count():
    rng = np.random.default_rng(1)
    values, true = plane((320, 240), (320, 240))
    noisy = values + rng.normal(0, 0.02, values.shape)
    gross = rng.random(values.shape) < 0.03
    noisy[gross] += rng.uniform(-1, 1, gross.sum())
    uv = rng.uniform(20, 200, (400, 2))
    reading = read_values(DepthMap(noisy.astype(np.float32), "relative"), uv, (320, 240))
    error = reading.value - true(uv)
    assert np.quantile(np.abs(error), 0.95) < 0.008  # 2 sigma of 81 values: 0.04 * sqrt(pi / 2) / 9 = 0.0056
    assert np.abs(error).max() < 0.02
    assert np.median(reading.sigma) == pytest.approx(0.02, rel=0.15)


def silhouette(ramp_px, angle, *, sigma=0.01):
    """Two slanted surfaces in 640x480 whose edge through (320, 240) is blurred over `ramp_px`."""
    x, y = pixel_centres(640, 480)

    def near(u, v):
        return 5 + 0.004 * u + 0.002 * v

    def far(u, v):
        return 1 + 0.001 * v

    distance = (x - 320) * np.cos(angle) + (y - 240) * np.sin(angle)
    share = np.clip(distance / ramp_px + 0.5, 0, 1)
    values = near(x, y) * (1 - share) + far(x, y) * share
    values += np.random.default_rng(2).normal(0, sigma, values.shape)
    return DepthMap(values.astype(np.float32), "relative"), near, far


@pytest.mark.parametrize("ramp_px", [0.01, 1, 2, 3, 5])
@pytest.mark.parametrize("angle", [0.0, 0.4, 0.8])
def test_beside_a_blurred_silhouette_each_side_is_read_unmixed(ramp_px, angle):
    depth, near, far = silhouette(ramp_px, angle)
    for side, mine, others in ((-1, near, far), (1, far, near)):
        for away in (0.75 * ramp_px + 1, 6.0, 10.0):
            uv = np.array([[320 + side * away * np.cos(angle), 240 + side * away * np.sin(angle)]])
            reading = read_values(depth, uv, (640, 480))
            assert reading.value[0] == pytest.approx(mine(*uv[0]), abs=0.015)
            assert not reading.at_edge[0]
            if away < 4:
                assert reading.other[0] == pytest.approx(others(*uv[0]), abs=0.1)


@pytest.mark.parametrize("angle", [0.0, 0.4, 0.8])
def test_on_the_ramp_the_reading_is_one_surface_and_says_that_it_may_be_the_wrong_one(angle):
    depth, near, far = silhouette(5, angle)
    reading = read_values(depth, [[320.0, 240.0]], (640, 480))
    surfaces = np.array([near(320, 240), far(320, 240)])
    assert reading.at_edge[0]
    assert np.abs(reading.value[0] - surfaces).min() < 0.02
    assert np.abs(reading.other[0] - surfaces).min() < 0.05
    assert reading.sigma[0] == pytest.approx(np.ptp(surfaces) / 2, rel=0.02)


def test_the_levels_of_an_8_bit_map_are_no_edges():
    x, _ = pixel_centres(640, 480)
    depth = DepthMap(np.round(255 * x / 640).astype(np.float32), "relative")
    uv = np.random.default_rng(3).uniform(20, 460, (500, 2))
    reading = read_values(depth, uv, (640, 480))
    assert not reading.at_edge.any()
    np.testing.assert_allclose(reading.value, 255 * uv[:, 0] / 640, atol=0.75)


def test_nothing_is_read_outside_or_where_nothing_is_known():
    values = np.ones((40, 60), np.float32)
    values[:, 30:] = np.nan
    uv = [[10, 10], [29.9, 10], [30.1, 10], [-0.1, 10], [10, 40.1], [np.nan, 1]]
    reading = read_values(DepthMap(values, "metric"), uv, (60, 40))
    np.testing.assert_array_equal(np.isfinite(reading.value), [True, True, False, False, False, False])
    assert not reading.at_edge.any()
    assert read_values(DepthMap(values, "metric"), np.empty((0, 2)), (60, 40)).value.shape == (0,)


@pytest.mark.parametrize("values", [np.ones((1, 1)), np.full((3, 4), 0.0), np.full((9, 9), np.nan)])
def test_maps_without_relief_are_read(values):
    reading = read_values(DepthMap(values.astype(np.float32), "relative"), [[0.5, 0.5]], (1, 1))
    np.testing.assert_array_equal(reading.value, values[0, 0])


def test_a_box_shows_the_thing_in_front_and_not_the_wall_around_it():
    x, y = pixel_centres(640, 480)
    wall = 1 + 0.001 * x
    inside = ((x - 300) / 60) ** 2 + ((y - 200) / 150) ** 2 < 1  # an ellipse fills 79 % of its box
    depth = DepthMap(np.where(inside, 4.0, wall).astype(np.float32), "relative")
    reading = read_box(depth, (240, 50, 360, 350), (640, 480))
    np.testing.assert_allclose(reading.value, [4.0])
    np.testing.assert_allclose(reading.other, [1.3], atol=0.02)
    empty = read_box(DepthMap(wall.astype(np.float32), "relative"), (240, 50, 360, 350), (640, 480))
    np.testing.assert_allclose(empty.value, [1.3], atol=0.002)
    assert np.isnan(empty.other[0])


def test_a_box_ignores_what_only_reaches_into_it():
    x, _ = pixel_centres(640, 480)
    depth = DepthMap(np.where(x < 250, 0.5, 2.0).astype(np.float32), "metric")
    reading = read_box(depth, (240, 50, 360, 350), (640, 480))  # 8 % of the box
    np.testing.assert_allclose(reading.value, [2.0])


def test_fifty_thousand_pixels_take_less_than_seconds():
    rng = np.random.default_rng(4)
    depth = DepthMap(rng.normal(size=(480, 640)).astype(np.float32), "relative")
    uv = rng.uniform(0, 1, (50_000, 2)) * (640, 480)
    begin = time.process_time()
    read_values(depth, uv, (640, 480), coarse=True)
    assert time.process_time() - begin < 3  # 0.5 s on one core
