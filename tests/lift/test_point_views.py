"""Drawings of clouds: the right pixels, the nearest in front, the poses respected."""

import numpy as np
import pytest

from depth3d.core.camera import Camera
from depth3d.core.cloud import PointCloud
from depth3d.core.depth import DepthMap
from depth3d.core.scene import RGBD
from depth3d.errors import InputError
from depth3d.lift.clouds import point_cloud
from depth3d.lift.point_views import contact_sheet, render_points

CAMERA = Camera(fx=20.0, fy=20.0, cx=10.0, cy=8.0, width=20, height=16)
RED, BLUE = (255, 0, 0), (0, 0, 255)


def a_cloud(points, colors=None):
    return PointCloud(np.array(points, float), None if colors is None else np.array(colors, np.uint8))


def test_the_photo_s_own_view_gives_the_photo_back():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (16, 20, 3), dtype=np.uint8)
    depth = DepthMap(rng.uniform(0.5, 5.0, (16, 20)), "metric")
    cloud = point_cloud(RGBD(image, depth, CAMERA), flying="keep")
    np.testing.assert_array_equal(render_points(cloud, CAMERA, radius_px=0), image)
    np.testing.assert_array_equal(render_points(cloud, CAMERA), image)  # the points touch: radius 0


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
@pytest.mark.parametrize("radius", [0, 2])
def test_the_nearest_point_is_in_front(order, radius):
    cloud = a_cloud([[0, 0, 1], [0, 0, 2]], [RED, BLUE])[order]
    assert render_points(cloud, CAMERA, radius_px=radius)[8, 10].tolist() == list(RED)


def test_a_splat_is_a_square_on_its_pixel():
    picture = render_points(a_cloud([[0.12, -0.08, 1.0]], [RED]), CAMERA, radius_px=1)
    rows, cols = np.nonzero((picture == RED).all(-1))  # u = 12.4, v = 6.4
    assert (rows.min(), rows.max(), cols.min(), cols.max(), len(rows)) == (5, 7, 11, 13, 9)


def test_a_pose_takes_the_camera_s_coordinates_to_the_world_s():
    pose = np.eye(4)
    pose[:3, 3] = [0.25, 0, -1]  # a step to the right and one back
    picture = render_points(a_cloud([[0, 0, 1]], [RED]), CAMERA, pose, radius_px=0)
    rows, cols = np.nonzero((picture == RED).all(-1))  # u = 20 * -0.25 / 2 + 10 = 7.5
    assert (rows.tolist(), cols.tolist()) == ([8], [7])


def test_turning_the_camera_round_shows_what_is_behind():
    pose = np.diag([-1.0, 1, -1, 1])
    cloud = a_cloud([[0.5, 0, -2], [0, 0, 2]], [RED, BLUE])
    picture = render_points(cloud, CAMERA, pose, radius_px=0)
    assert picture[8, 5].tolist() == list(RED)  # its right is our left
    assert not (picture == BLUE).all(-1).any()


def test_nothing_in_view_leaves_the_background():
    cloud = a_cloud([[0, 0, -1], [9, 0, 1], [0, 0, 0]])
    assert (render_points(cloud, CAMERA, background=(1, 2, 3)) == (1, 2, 3)).all()
    assert (render_points(a_cloud(np.zeros((0, 3))), CAMERA) == 255).all()


def test_points_without_colour_are_gray():
    picture = render_points(a_cloud([[0, 0, 1]]), CAMERA, radius_px=0)
    assert picture[8, 10].tolist() == [96, 96, 96]


def test_a_contact_sheet_shows_front_side_and_top():
    # A red ball-like block near and left, a blue one far and right, and a green one low between.
    rng = np.random.default_rng(0)
    block = rng.uniform(-0.1, 0.1, (4000, 3))
    points = np.concatenate([block + np.array(at) for at in ([-0.5, 0, 2], [0.5, 0, 3], [0, 0.5, 2.5])])
    colors = np.repeat([RED, BLUE, (0, 160, 0)], 4000, axis=0)
    sheet = contact_sheet(a_cloud(points, colors), width_px=120, height_px=100)
    assert sheet.shape == (100, 360, 3)

    def centre(view, color):
        rows, cols = np.nonzero((sheet[:, view * 120 : (view + 1) * 120] == color).all(-1))
        return rows.mean(), cols.mean()

    red, blue, green = ([centre(view, c) for view in range(3)] for c in (RED, BLUE, (0, 160, 0)))
    assert red[0][1] < green[0][1] < blue[0][1]  # front: left to right
    assert green[0][0] > max(red[0][0], blue[0][0]) + 20  # front: low is low
    assert red[1][1] > green[1][1] + 10 > blue[1][1] + 20  # from the left: near is on the right
    assert green[1][0] > max(red[1][0], blue[1][0]) + 20
    assert red[2][0] > green[2][0] + 10 > blue[2][0] + 20  # from above: far is up
    assert red[2][1] < green[2][1] < blue[2][1]


def test_a_contact_sheet_ignores_a_few_strays():
    rng = np.random.default_rng(0)
    block = rng.uniform(-0.5, 0.5, (5000, 3)) + np.array([0, 0, 2])
    strays = np.array([[0, 0, 900.0], [700, 0, 5], [0, -800, 5]])
    sheet = contact_sheet(a_cloud(np.concatenate([block, strays])), width_px=120, height_px=100)
    for view in range(3):
        assert (sheet[:, view * 120 + 1 : (view + 1) * 120] == 96).mean() > 0.4


@pytest.mark.parametrize("points", [np.zeros((0, 3)), [[0, 0, 1]], [[0, 0, -1]], [[0, 0, 0]]])
def test_a_contact_sheet_of_next_to_nothing(points):
    assert contact_sheet(a_cloud(points), CAMERA, width_px=30, height_px=20).shape == (20, 90, 3)
    assert contact_sheet(a_cloud(points), width_px=30, height_px=20).shape == (20, 90, 3)


def test_the_front_view_is_the_photo():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (16, 20, 3), dtype=np.uint8)
    cloud = point_cloud(RGBD(image, DepthMap(rng.uniform(1, 2, (16, 20)), "metric"), CAMERA), flying="keep")
    sheet = contact_sheet(cloud, CAMERA, width_px=20, height_px=16)
    np.testing.assert_array_equal(sheet[:, :20], image)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"T_world_camera": np.eye(3)}, r"rigid \(4, 4\) transform, got shape \(3, 3\)"),
        ({"T_world_camera": 2 * np.eye(4)}, "rigid"),
        ({"T_world_camera": np.diag([-1.0, 1, 1, 1])}, "rigid"),  # a mirror
        ({"T_world_camera": np.full((4, 4), np.nan)}, "rigid"),
        ({"T_world_camera": "front"}, r"\(4, 4\)"),
        ({"radius_px": -1}, r"radius_px must lie within 0\.\.16, got -1"),
        ({"radius_px": 99}, r"radius_px must lie within 0\.\.16, got 99"),
        ({"background": (0, 0, 300)}, "background must be three whole numbers"),
        ({"background": "white"}, "background must be three whole numbers"),
    ],
)
def test_refuses_what_it_cannot_draw(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        render_points(a_cloud([[0, 0, 1]]), CAMERA, **arguments)


def test_refuses_a_sheet_without_pixels():
    with pytest.raises(InputError, match="at least 1x1"):
        contact_sheet(a_cloud([[0, 0, 1]]), width_px=0)
