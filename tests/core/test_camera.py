"""The camera is right if pixels and rays move together under every change of the picture."""

from __future__ import annotations

import dataclasses
import json
import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depth3d.core.camera import FULL_FRAME_DIAGONAL_MM, Camera
from depth3d.errors import CameraError

PINHOLE = Camera(500, 520, 310, 250, 640, 480)
BENT = Camera(500, 520, 310, 250, 640, 480, (-0.2, 0.05, 0.001, -0.002, 0.01))
FISHEYE = Camera(300, 310, 310, 250, 640, 480, (0.02, -0.01, 0.003, -0.001), distortion_model="fisheye")

CAMERAS = pytest.mark.parametrize("camera", [PINHOLE, BENT, FISHEYE], ids=["pinhole", "opencv", "fisheye"])
laws = settings(deadline=None, derandomize=True, max_examples=60, database=None)


def pixels(camera: Camera, n: int = 200) -> np.ndarray:
    return np.random.default_rng(0).uniform([0, 0], camera.size_wh, size=(n, 2))


# -- rays and pixels -------------------------------------------------------------------------------


@CAMERAS
def test_projecting_a_ray_gives_its_pixel_back_at_every_depth(camera):
    uv = pixels(camera)
    depth = np.random.default_rng(1).uniform(0.1, 100, size=(len(uv), 1))
    np.testing.assert_allclose(camera.project(depth * camera.rays(uv)), uv, rtol=0, atol=1e-6)


@CAMERAS
def test_the_ray_of_a_projected_point_goes_through_it(camera):
    points = np.random.default_rng(2).uniform([-0.5, -0.4, 1], [0.5, 0.4, 1.5], size=(200, 3))
    rays = camera.rays(camera.project(points))
    np.testing.assert_allclose(points[:, 2:] * rays, points, rtol=0, atol=1e-8)


@laws
@given(
    st.floats(100, 5000), st.floats(100, 5000), st.floats(-500, 3000), st.floats(-500, 3000),
    st.floats(0, 2000), st.floats(0, 2000),
)  # fmt: skip
def test_a_pinhole_ray_has_a_closed_form(fx, fy, cx, cy, u, v):
    ray = Camera(fx, fy, cx, cy, 2000, 2000).rays(np.array([u, v]))
    np.testing.assert_array_equal(ray, [(u - cx) / fx, (v - cy) / fy, 1.0])


def test_projection_is_opencvs_but_for_the_half_pixel():
    points = np.random.default_rng(3).uniform([-0.5, -0.4, 1], [0.5, 0.4, 1.5], size=(200, 3))
    K = BENT.matrix - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]
    theirs = cv2.projectPoints(points, np.zeros(3), np.zeros(3), K, np.array(BENT.distortion))[0][:, 0]
    np.testing.assert_allclose(BENT.project(points), theirs + 0.5, rtol=0, atol=1e-9)
    K = FISHEYE.matrix - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]
    D = np.array(FISHEYE.distortion)
    theirs = cv2.fisheye.projectPoints(points[:, None], np.zeros(3), np.zeros(3), K, D)[0][:, 0]
    np.testing.assert_allclose(FISHEYE.project(points), theirs + 0.5, rtol=0, atol=1e-9)


def test_points_that_are_not_in_front_have_no_pixel():
    uv = PINHOLE.project(np.array([[0, 0, 0.0], [0, 0, -1.0], [0, 0, 1e-9], [np.nan, 0, 1]]))
    np.testing.assert_array_equal(np.isnan(uv).any(axis=1), [True, True, False, True])


@pytest.mark.parametrize(("model", "k"), [("opencv", (-0.3,)), ("fisheye", (-0.4,))])
def test_what_lies_beyond_the_fold_of_the_lens_is_not_in_the_picture(model, k):
    camera = Camera(500, 500, 320, 240, 640, 480, distortion=k, distortion_model=model)
    x = np.linspace(-4, 4, 801)
    points = np.stack([x, 0.1 * x, np.ones_like(x)], axis=-1)
    uv = camera.project(points)
    radius = np.hypot(x, 0.1 * x)
    grows_with = np.arctan(radius) if model == "fisheye" else radius
    share = grows_with * np.sqrt(-3 * k[0])  # 1 where d/dr (r + k r^3) = 0
    assert np.isnan(uv[share > 1.01]).all()
    inside = share < 0.99
    np.testing.assert_allclose(camera.rays(uv[inside]), points[inside], atol=1e-7)


def test_the_centre_of_the_first_pixel_is_at_one_half():
    camera = Camera(1, 1, 0.5, 0.5, 3, 2)
    rays = camera.pixel_rays()
    assert rays.shape == (2, 3, 3)
    np.testing.assert_array_equal(rays[1, 2], [2, 1, 1])  # row 1, column 2: x is the column
    np.testing.assert_array_equal(rays[0, 0], [0, 0, 1])


@CAMERAS
def test_pixel_rays_by_rows_and_stride_are_parts_of_the_whole(camera):
    small = camera.resized(64, 48)
    whole = small.pixel_rays()
    np.testing.assert_array_equal(small.pixel_rays(slice(7, 12)), whole[7:12])
    np.testing.assert_array_equal(small.pixel_rays(stride=5), whole[::5, ::5])
    np.testing.assert_array_equal(small.pixel_rays(slice(3, 40), stride=4), whole[3:40:4, ::4])


def test_where_the_lens_folds_over_there_is_no_ray_rather_than_a_wrong_one():
    # r (1 - r^2 / 2) has its maximum of 0.544 at r = 0.816: nothing is seen at 0.6.
    camera = Camera(100, 100, 100, 100, 200, 200, (-0.5,))
    inside, outside = camera.rays(np.array([[100 + 54.0, 100], [100 + 60.0, 100]]))
    assert inside[0] * (1 - 0.5 * inside[0] ** 2) == pytest.approx(0.54)
    assert np.isnan(outside[:2]).all()


# -- pictures that change ----------------------------------------------------------------------------


@CAMERAS
@pytest.mark.parametrize("size", [(320, 240), (1280, 960), (333, 777), (1, 1)])
def test_resizing_moves_k_with_the_pixels(camera, size):
    small = camera.resized(*size)
    uv = pixels(camera)
    moved = uv * np.divide(size, camera.size_wh)  # corners to corners: half-pixel centres
    np.testing.assert_allclose(small.rays(moved), camera.rays(uv), rtol=0, atol=1e-9)
    assert small.size_wh == size


@laws
@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(1, 4000), st.integers(1, 4000))
def test_two_resizes_are_one_and_a_centred_camera_stays_centred(w, h, w2, h2):
    camera = Camera.from_fov(640, 480, 60)
    twice, once = camera.resized(w, h).resized(w2, h2), camera.resized(w2, h2)
    for name in ("fx", "fy", "cx", "cy"):
        assert getattr(twice, name) == pytest.approx(getattr(once, name))
    assert (once.cx, once.cy) == pytest.approx((w2 / 2, h2 / 2))
    assert once.fov_x_deg == pytest.approx(60)


@CAMERAS
def test_cropping_moves_the_centre_and_keeps_the_rays(camera):
    part = camera.cropped(40, 30, 200, 100)
    np.testing.assert_array_equal(part.size_wh, (200, 100))
    np.testing.assert_allclose(
        part.resized(20, 10).resized(200, 100).pixel_rays(),
        camera.pixel_rays()[30:130, 40:240],
        rtol=0,
        atol=1e-9,
    )


@CAMERAS
@pytest.mark.parametrize("turns", [-1, 0, 1, 2, 3, 4, 5])
def test_turning_follows_numpy_rot90(camera, turns):
    small = camera.resized(64, 48)
    rays = np.rot90(small.pixel_rays(), turns)
    for _ in range(turns % 4):  # counter-clockwise: what was to the right is now above
        rays = np.stack([rays[..., 1], -rays[..., 0], rays[..., 2]], axis=-1)
    turned = small.rotated_90(turns)
    np.testing.assert_allclose(turned.pixel_rays(), rays, rtol=0, atol=1e-9)


def test_four_turns_are_none():
    back = BENT
    for _ in range(4):
        back = back.rotated_90(1)
    assert (back.distortion, back.cx, back.cy, back.size_wh) == (
        BENT.distortion,
        BENT.cx,
        BENT.cy,
        (640, 480),
    )
    short = dataclasses.replace(BENT, distortion=(-0.2, 0.05, 0.001))  # p2 is left out
    assert short.rotated_90(1).distortion == (-0.2, 0.05, 0.0, 0.001)


ANY_CHANGE = st.lists(
    st.one_of(
        st.tuples(st.just("crop"), st.floats(0, 0.4), st.floats(0, 0.4), st.floats(0.5, 1)),
        st.tuples(st.just("resize"), st.floats(0.3, 3), st.floats(0.3, 3), st.just(0.0)),
        st.tuples(st.just("turn"), st.integers(1, 3), st.just(0.0), st.just(0.0)),
    ),
    min_size=1,
    max_size=4,
)


@CAMERAS
@laws
@given(ANY_CHANGE)
def test_projecting_then_changing_the_picture_is_changing_the_camera_then_projecting(camera, changes):
    points = np.random.default_rng(4).uniform([-0.5, -0.4, 1], [0.5, 0.4, 1.5], size=(50, 3))
    uv = camera.project(points)
    for what, a, b, c in changes:
        w, h = camera.size_wh
        if what == "crop":
            left, top = int(a * w), int(b * h)
            uv = uv - [left, top]
            camera = camera.cropped(left, top, max(1, int(c * (w - left))), max(1, int(c * (h - top))))
        elif what == "resize":
            size = max(1, round(a * w)), max(1, round(b * h))
            uv = uv * np.divide(size, (w, h))
            camera = camera.resized(*size)
        else:
            for _ in range(a):  # the top right corner becomes the top left one
                uv = np.stack([uv[:, 1], w - uv[:, 0]], axis=-1)
                points = np.stack([points[:, 1], -points[:, 0], points[:, 2]], axis=-1)
                w, h = h, w
            camera = camera.rotated_90(a)
    np.testing.assert_allclose(camera.project(points), uv, rtol=1e-9, atol=1e-7)


def test_what_does_not_move_with_the_pixels_stays():
    camera = Camera(500, 500, 320, 240, 640, 480, (0.1,), "exif", 0.02)
    for other in (camera.resized(64, 48), camera.cropped(1, 2, 3, 4), camera.rotated_90(1)):
        assert (other.source, other.sigma_rel, other.distortion) == ("exif", 0.02, (0.1,))


# -- angles and focal lengths --------------------------------------------------------------------------


@laws
@given(st.integers(1, 9000), st.integers(1, 9000), st.floats(1, 175))
def test_a_field_of_view_comes_back(width, height, angle):
    camera = Camera.from_fov(width, height, angle)
    assert camera.fov_x_deg == pytest.approx(angle)
    assert camera.fx == camera.fy
    assert math.tan(math.radians(camera.fov_y_deg) / 2) == pytest.approx(height / 2 / camera.fy)


def test_the_field_of_view_of_an_off_centre_camera():
    camera = Camera(100, 100, 0, 100, 100, 200)
    assert camera.fov_x_deg == pytest.approx(45)
    assert camera.fov_y_deg == pytest.approx(90)


def test_the_diagonal_rule_is_exact_on_full_frame_itself():
    # A 36 x 24 mm sensor at 100 pixels a millimetre: 50 mm are 5000 pixels, by definition.
    for size in ((3600, 2400), (2400, 3600)):
        assert Camera.from_focal_35mm(*size, 50).fx == pytest.approx(5000)
    assert pytest.approx(43.2666, abs=5e-5) == FULL_FRAME_DIAGONAL_MM


def test_the_diagonal_rule_on_real_cameras(shared_data):
    for case in json.loads((shared_data / "exif_truth/exif_truth.json").read_text())["cases"]:
        camera = Camera.from_focal_35mm(case["width"], case["height"], case["f35"])
        assert camera.fx == pytest.approx(case["fx_true"], rel=0.0145)


# -- what is refused -----------------------------------------------------------------------------------

GOOD = {"fx": 500, "fy": 500, "cx": 320, "cy": 240, "width": 640, "height": 480}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"fx": 0}, "focal lengths must be positive"),
        ({"fy": -1}, "fy must be a finite positive number, got -1.0"),
        ({"fx": math.nan}, "fx must be"),
        ({"cx": math.inf}, "cx must be"),
        ({"fx": "far"}, "fx must be a number, got 'far'"),
        ({"fy": 10**400}, "fy must be a number, got 1000"),
        ({"cy": None}, "cy must be a number, got None"),
        ({"sigma_rel": -0.1}, "sigma_rel must be"),
        ({"width": 0}, "width must be a whole number of pixels, got 0"),
        ({"height": 480.5}, "height must be a whole number"),
        ({"height": 10**400}, "height must be a whole number of pixels, got 10{39}$"),
        ({"height": math.nan}, "height must be"),
        ({"width": math.inf}, "width must be"),
        ({"width": None}, "width must be"),
        ({"source": "guess"}, "source must be one of"),
        ({"distortion": (math.nan,)}, "distortion must be finite"),
        ({"distortion": 0.1}, "distortion must be a list of numbers, got 0.1"),
        ({"distortion": ("k1",)}, "distortion must be a list of numbers, got"),
        ({"distortion": None}, "distortion must be a list of numbers, got None"),
        ({"distortion": (0.1,) * 9}, "at most 8 coefficients, got 9"),
        ({"distortion": (0.1,) * 5, "distortion_model": "fisheye"}, "at most 4 coefficients, got 5"),
        ({"distortion_model": "panorama"}, "'opencv' or 'fisheye', got 'panorama'"),
    ],
)
def test_impossible_cameras(change, says):
    with pytest.raises(CameraError, match=says):
        Camera(**{**GOOD, **change})


def test_a_picture_without_pixels_is_named_as_such():
    for make in (lambda: PINHOLE.resized(0, 10), lambda: Camera.from_fov(0, 480, 60)):
        with pytest.raises(CameraError, match="width must be a whole number of pixels, got 0"):
            make()


@pytest.mark.parametrize("angle", [0, 180, -5, 400, math.nan])
def test_impossible_angles(angle):
    with pytest.raises(CameraError, match="between 0 and 180"):
        Camera.from_fov(640, 480, angle)


@pytest.mark.parametrize("focal", [0, -1, math.nan, math.inf])
def test_impossible_focal_lengths(focal):
    with pytest.raises(CameraError, match="focal_35mm must be positive"):
        Camera.from_focal_35mm(640, 480, focal)


def test_numbers_are_plain_and_nothing_can_be_set():
    camera = Camera(np.float32(500), 500, 320, 240, np.int64(640), 480.0, np.array([0.25]))
    assert type(camera.fx) is float
    assert type(camera.width) is type(camera.height) is int
    assert camera.distortion == (0.25,)
    with pytest.raises(dataclasses.FrozenInstanceError):
        camera.fx = 1.0
    np.testing.assert_array_equal(camera.matrix, [[500, 0, 320], [0, 500, 240], [0, 0, 1]])


def test_repr_is_one_line_with_the_trust_in_it():
    text = repr(Camera(500, 500, 320, 240, 640, 480, (0.1,), "exif", 0.02))
    assert text.startswith("Camera(640x480, fx 500.00 fy 500.00 +-2 %")
    assert "exif" in text
    assert "opencv distortion" in text
    assert "\n" not in text
