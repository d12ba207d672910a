"""What is in focus: points on slopes, at edges and in noise, distances, and the choice of `auto`."""

import math

import numpy as np
import pytest

from depth3d.core.camera import Camera
from depth3d.core.lens import ThinLens, circle_of_confusion_px
from depth3d.errors import InputError, NeedsMetricError
from depth3d.render.defocus import Defocus, gain_of, tilted
from depth3d.render.focus import find_focus

CAMERA = Camera.from_fov(320, 240, 50)


def step(left=2.0, right=0.5, shape=(240, 320), column=160):
    disparity = np.full(shape, right, np.float32)
    disparity[:, :column] = left
    return disparity


def read(disparity, point):
    return find_focus(disparity, is_metric=True, focus=point).disparity


def test_a_point_is_read_where_it_stands_on_either_side_of_an_edge():
    assert read(step(), (159.5, 100)) == 2
    assert read(step(), (160.5, 100)) == 0.5


def test_a_point_between_two_surfaces_reads_the_nearer_one():
    soft = step()
    soft[:, 160] = 1.25
    assert read(soft, (160.5, 100)) == 2


def test_a_wrong_pixel_does_not_decide():
    spoiled = step()
    spoiled[100, 60] = 40
    assert read(spoiled, (60.5, 100.5)) == 2


def test_a_slope_is_read_at_the_point():
    v, u = np.mgrid[:240, :320] + 0.5
    plane = (0.2 + 0.004 * v + 0.002 * u).astype(np.float32)
    assert read(plane, (100.5, 80.5)) == pytest.approx(0.2 + 0.004 * 80.5 + 0.002 * 100.5, abs=1e-3)


@pytest.mark.parametrize("point", [(0, 0), (320, 240), (319.9, 0)])
def test_corners_are_inside(point):
    assert math.isfinite(read(step(), point))


@pytest.mark.parametrize("point", [(-1, 5), (5, 241), (math.nan, 5)])
def test_outside_is_refused(point):
    with pytest.raises(InputError, match="lies outside the picture of 320x240"):
        read(step(), point)


def test_distances_and_disparities():
    assert find_focus(step(), is_metric=True, focus_m=4).disparity == 0.25
    assert find_focus(step(), is_metric=True, focus_m=math.inf).disparity == 0
    assert find_focus(step(), is_metric=False, focus_disparity=-3).disparity == -3
    with pytest.raises(NeedsMetricError, match="--focus X,Y"):
        find_focus(step(), is_metric=False, focus_m=4)
    with pytest.raises(InputError, match="focus and focus_m would each"):
        find_focus(step(), is_metric=True, focus=(1, 1), focus_m=4)
    with pytest.raises(InputError, match="positive"):
        find_focus(step(), is_metric=True, focus_m=0)


def test_auto_takes_the_nearest_large_thing_around_the_middle():
    v, _ = np.mgrid[:240, :320]
    disparity = np.full((240, 320), 0.2, np.float32)  # a wall
    disparity[60:220, 120:200] = 1.0  # somebody in front of it
    disparity[225:] = 3.0  # the edge of a table, near and at the border
    disparity[110:114, 150:154] = 4.0  # a fly
    found = find_focus(disparity, is_metric=True)
    assert found.disparity == pytest.approx(1, abs=0.02)
    assert "nearest large thing" in found.why
    u, v = found.point
    assert disparity[int(v), int(u)] == 1


def test_auto_on_flat_maps():
    assert find_focus(np.full((5, 7), 0.5, np.float32), is_metric=True).disparity == 0.5


def test_the_radius_is_half_of_the_thin_lens_diameter():
    lens = ThinLens.from_f_number(50, 1.8)
    z = np.linspace(0.4, 20, 60).reshape(6, 10)
    gain = gain_of(1 / z, CAMERA, is_metric=True, lens=lens)
    radius = Defocus(gain, 1 / 1.5).radius((1 / z).astype(np.float32))
    diameter = circle_of_confusion_px(z, focus_m=1.5, lens=lens, fx_px=CAMERA.fx)
    np.testing.assert_allclose(2 * np.abs(radius), diameter, atol=1e-4)
    np.testing.assert_array_equal(np.sign(radius), np.sign(1.5 - z))


def test_strength_is_the_blur_of_the_nearest_thing_with_the_focus_on_the_farthest():
    disparity = np.linspace(-3, 9, 101, dtype=np.float32).reshape(1, -1)
    gain = gain_of(disparity, CAMERA, is_metric=False, strength_px=40)
    far, near = np.percentile(disparity, (1, 99))
    assert 2 * Defocus(gain, far).radius(np.float32([[near]]))[0, 0] == pytest.approx(40, rel=1e-5)
    # Another unit and origin of disparity are the same picture.
    assert gain_of(5 * disparity + 7, CAMERA, is_metric=False, strength_px=40) == pytest.approx(gain / 5)


def test_a_sharp_range_is_a_dead_zone_without_a_jump():
    disparity = np.linspace(0, 2, 201, dtype=np.float32).reshape(1, -1)
    radius = Defocus(10, 1.0, sharp_px=10 * 0.4 / 2).radius(disparity)
    np.testing.assert_array_equal(radius[np.abs(disparity - 1) <= 0.199], 0)
    assert radius[0, -1] == pytest.approx(8)
    assert np.abs(np.diff(radius)).max() < 0.11


@pytest.mark.parametrize("tilt", [(40.0, 0.0), (0.0, -30.0), (25.0, 50.0)])
def test_a_tilted_plane_is_in_focus_all_over(tilt):
    slope, middle = tilted(CAMERA, focus_m=2.0, point=(200.0, 150.0), tilt_deg=tilt)
    back, aside = np.radians(tilt)
    normal = [-math.sin(aside) * math.cos(back), math.sin(back), math.cos(aside) * math.cos(back)]
    v, u = np.mgrid[:240, :320] + 0.5
    rays = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones_like(u)], -1)
    point = 2.0 * np.array([(200 - CAMERA.cx) / CAMERA.fx, (150 - CAMERA.cy) / CAMERA.fy, 1])
    disparity = (rays @ normal) / (point @ normal)
    radius = Defocus(100, 0.5, slope, middle).radius(disparity.astype(np.float32))
    assert np.abs(radius).max() < 1e-3
    # Its upper end, and its right end, lean away.
    assert (tilt[0] > 0) <= (disparity[0].mean() <= disparity[-1].mean())


def test_an_edge_on_plane_is_refused():
    with pytest.raises(InputError, match="edge-on"):
        tilted(CAMERA, focus_m=2.0, point=None, tilt_deg=(90, 0))


def test_what_relative_maps_are_refused():
    with pytest.raises(NeedsMetricError, match="--strength-px"):
        gain_of(step(), CAMERA, is_metric=False, lens=ThinLens(0.02))
    with pytest.raises(InputError, match="give one of them"):
        gain_of(step(), CAMERA, is_metric=True, lens=ThinLens(0.02), strength_px=3)


@pytest.mark.parametrize("slope", [(0.0, 0.0), (0.001, -0.002)])
def test_the_radius_of_some_pixels_and_the_largest_are_those_of_the_map(slope):
    disparity = np.random.default_rng(0).random((30, 40)).astype(np.float32)
    setting = Defocus(-37.0, 0.6, slope, (12.5, 3.0), sharp_px=1.5)
    radius = setting.radius(disparity)
    at = np.array([0, 39, 40, 611, 1199])
    np.testing.assert_array_equal(setting.radius_at(at, disparity.ravel()[at], 40), radius.ravel()[at])
    assert setting.largest_px(disparity) == np.abs(radius).max()
