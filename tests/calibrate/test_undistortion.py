"""Straightened photos against renders through the pinhole that comes with them."""

from dataclasses import dataclass

import numpy as np
import pytest

import depth3d as d3
from depth3d.core.distortion import fold_radius
from depth3d.errors import CameraError, InputError
from depth3d.synthetic.render import render_image
from depth3d.synthetic.scene import Ambient, Material, Scene, Surface
from depth3d.synthetic.scenes import plane_scene
from depth3d.synthetic.shapes import Sphere

undistort_image = d3.undistort_image

SIZE = (200, 150)
CAMERAS = {
    "barrel": d3.Camera(190, 192, 103.3, 73.6, *SIZE, (-0.26637, -0.03859, 0.00178, -0.00028, 0.23839)),
    "pincushion": d3.Camera(190, 192, 103.3, 73.6, *SIZE, (0.15, 0.05)),
    "tangential": d3.Camera(190, 190, 100, 75, *SIZE, (0.0, 0.0, 0.03, -0.02)),
    "rational": d3.Camera(190, 190, 100, 75, *SIZE, (0.4, 0.1, 0.001, 0.002, 0.02, 0.3, 0.05, 0.01)),
    "folding": d3.Camera(125, 125, 100, 75, *SIZE, (-0.5,)),  # the corners have no ray
    "fisheye": d3.Camera(95, 96, 101, 74, *SIZE, (0.02, -0.01, 0.003, -0.001), distortion_model="fisheye"),
    "round fisheye": d3.Camera(45, 45, 100, 75, *SIZE, (0.01,), distortion_model="fisheye"),  # past 90 deg
    "crop off the axis": d3.Camera(190, 192, -40.5, 190.0, *SIZE, (-0.2, 0.05)),
}
cameras = pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS)
both = pytest.mark.parametrize("keep_all", [False, True])


@dataclass(frozen=True)
class Waves:
    """Smooth in the angle, so that interpolation has nothing to lose."""

    def __call__(self, points, *_):
        x, y, z = points / np.linalg.norm(points, axis=0)
        bands = [
            0.5 + 0.4 * np.sin(7 * x + 2 * y),
            0.5 + 0.4 * np.sin(8 * y),
            0.5 + 0.4 * np.cos(6 * z - 4 * x),
        ]
        return np.stack(bands)


def shown(camera, pinhole):
    """Which pixels of the result have their ray between the centres of the photo's pixels."""
    uv = camera.project(pinhole.pixel_rays())
    return ((uv > 0.5 - 1e-6) & (uv < np.array(camera.size_wh) - 0.5 + 1e-6)).all(axis=-1)


def ramps(camera):
    """A photo whose red is its own column and whose green is its own row."""
    v, u = np.mgrid[: camera.height, : camera.width]
    return np.stack([u, v, np.full_like(u, 255)], axis=-1).astype(np.uint8)


@both
@cameras
def test_it_is_what_the_pinhole_would_have_seen(camera, keep_all):
    even = Ambient(sky=(1.0, 1.0, 1.0), ground=(1.0, 1.0, 1.0))
    scene = Scene((Surface(Sphere(2.0), Material(Waves())),), ambient=even)
    straight, pinhole = undistort_image(render_image(scene, camera), camera, keep_all=keep_all)
    assert pinhole.distortion == ()
    truth = render_image(scene, pinhole).astype(int)
    assert truth.std() > 20
    # At a fold the lens squeezes the whole world into a pixel, and nothing brings it back.
    steady = np.linalg.norm(pinhole.pixel_rays()[..., :2], axis=-1) < 0.7 * fold_radius(
        camera.distortion, camera.distortion_model
    )
    error = np.abs(straight - truth)[shown(camera, pinhole) & steady]
    assert error.mean() < 0.3
    assert error.max() <= 2


@both
@cameras
def test_each_pixel_is_read_where_its_ray_meets_the_photo(camera, keep_all):
    """To a few hundredths of a pixel on average: half a pixel, or rows for columns, would be seen."""
    straight, pinhole = undistort_image(ramps(camera), camera, keep_all=keep_all)
    seen = shown(camera, pinhole)
    error = straight[..., :2][seen] - (camera.project(pinhole.pixel_rays())[seen] - 0.5)
    # Half a byte of rounding, and the ripple of OpenCV's cubic, which does not keep ramps quite straight.
    assert np.abs(error).max() < 0.65
    assert np.abs(error.mean(axis=0)).max() < 0.05


@cameras
def test_the_crop_has_no_black(camera):
    straight, pinhole = undistort_image(ramps(camera), camera)
    assert straight.shape == (pinhole.height, pinhole.width, 3)
    assert shown(camera, pinhole).all()
    assert (straight[..., 2] == 255).all()
    assert pinhole.width * pinhole.height > 0.4 * camera.width * camera.height


@cameras
def test_all_of_the_photo_is_kept_and_the_rest_is_black(camera):
    straight, pinhole = undistort_image(ramps(camera), camera, keep_all=True)
    seen = shown(camera, pinhole)
    np.testing.assert_array_equal(straight[..., 2], np.where(seen, 255, 0))
    assert not straight[~seen].any()
    for rim in (seen[0], seen[-1], seen[:, 0], seen[:, -1]):
        assert rim.any()
    around = pinhole.cropped(-40, -40, pinhole.width + 80, pinhole.height + 80)
    flat = (np.abs(around.pixel_rays()[..., :2]) < np.tan(np.radians(75))).all(axis=-1)
    more = shown(camera, around) & flat
    assert more.sum() == (seen & flat[40:-40, 40:-40]).sum()


@cameras
def test_the_scale_stays_and_the_principal_point_moves_by_whole_pixels(camera):
    for keep_all in (False, True):
        _, pinhole = undistort_image(ramps(camera), camera, keep_all=keep_all)
        assert (pinhole.fx, pinhole.fy, pinhole.source) == (camera.fx, camera.fy, camera.source)
        move = np.array([pinhole.cx - camera.cx, pinhole.cy - camera.cy])
        np.testing.assert_allclose(move, np.rint(move), rtol=0, atol=1e-9)


def test_straight_lines_of_a_checker_become_straight():
    camera = CAMERAS["barrel"]
    scene = plane_scene((0.2, 0.1, 1.0), 2.0)
    photo = render_image(scene, camera, samples=16)
    straight, pinhole = undistort_image(photo, camera)
    truth = render_image(scene, pinhole, samples=16).astype(int)
    bent = render_image(scene, camera, samples=16)[: truth.shape[0], : truth.shape[1]]
    error = np.abs(straight - truth).mean()
    assert error < 4  # edges are half a pixel softer
    height, width = np.minimum(truth.shape[:2], bent.shape[:2])
    assert np.abs(bent[:height, :width] - truth[:height, :width]).mean() > 5 * error


@both
@pytest.mark.parametrize("distortion", [(), (0.0, 0.0, 0.0, 0.0)])
@pytest.mark.parametrize("model", ["opencv", "fisheye"])
def test_without_distortion_the_photo_stays_as_it_is(distortion, model, keep_all):
    camera = d3.Camera(190, 192, 103.3, 73.6, *SIZE, distortion, distortion_model=model)
    straight, pinhole = undistort_image(ramps(camera), camera, keep_all=keep_all)
    np.testing.assert_array_equal(straight, ramps(camera))
    np.testing.assert_array_equal(pinhole.matrix, camera.matrix)
    assert pinhole.size_wh == camera.size_wh


@both
def test_a_distortion_too_small_to_see_changes_nothing(keep_all):
    """The whole way through the resampling, and still bit for bit."""
    camera = d3.Camera(190, 192, 103.3, 73.6, *SIZE, (1e-12,))
    straight, pinhole = undistort_image(ramps(camera), camera, keep_all=keep_all)
    np.testing.assert_array_equal(straight, ramps(camera))
    np.testing.assert_array_equal(pinhole.matrix, camera.matrix)


@both
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_a_line_and_a_point_of_pixels(size, keep_all):
    camera = d3.Camera(10, 10, size[0] / 2, size[1] / 2, *size, (-0.1,))
    straight, pinhole = undistort_image(np.full((*size[::-1], 3), 77, np.uint8), camera, keep_all=keep_all)
    assert (straight == 77).all()
    assert pinhole.size_wh == straight.shape[1::-1]


def test_errors_say_what_to_do():
    camera = CAMERAS["barrel"]
    with pytest.raises(CameraError, match=r"resized\(\)"):
        undistort_image(np.zeros((10, 10, 3), np.uint8), camera)
    with pytest.raises(InputError, match="uint8"):
        undistort_image(np.zeros((150, 200, 3)), camera)
    aside = d3.Camera(100, 100, 900, 75, *SIZE, (-1.0,))  # the photo lies wholly beyond the fold
    for keep_all in (False, True):
        with pytest.raises(CameraError, match="leaves nothing"):
            undistort_image(np.zeros((150, 200, 3), np.uint8), aside, keep_all=keep_all)
    wide = d3.Camera(40000, 40000, 20000, 0.5, 40000, 1, (0.01,))
    with pytest.raises(InputError, match="scale the photo down"):
        undistort_image(np.zeros((1, 40000, 3), np.uint8), wide)
