"""The sample files are what `still_life` renders: picture, depth and camera belong together."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth3d.core.color import to_linear, to_srgb
from depth3d.io.camera_json import camera_from_dict
from depth3d.io.depth_files import read_depth
from depth3d.synthetic import default_camera, render_depth, render_image, still_life

DATA = Path(__file__).parents[2] / "samples" / "data"


@pytest.fixture(scope="module")
def camera():
    return camera_from_dict(json.loads((DATA / "still_life_camera.json").read_text()))


def test_the_camera_is_the_one_it_was_rendered_with(camera):
    wanted = default_camera(960, 720, 50)
    np.testing.assert_array_equal(camera.matrix, wanted.matrix)
    assert camera.size_wh == wanted.size_wh


def test_the_depth_is_exact(camera):
    depth = render_depth(still_life(), camera).values
    raw = cv2.imread(str(DATA / "still_life_depth.png"), cv2.IMREAD_UNCHANGED)
    assert np.abs(raw / 20_000 - depth).max() < 0.5 / 20_000 + 1e-6
    np.testing.assert_allclose(
        read_depth(DATA / "still_life_depth.png").depth.values, raw / 20_000, rtol=1e-6
    )


def test_the_picture_is_of_the_same_scene(camera):
    picture = cv2.imread(str(DATA / "still_life.png"))[..., ::-1]
    assert (picture.shape[1], picture.shape[0]) == camera.size_wh
    small = to_srgb(cv2.resize(to_linear(picture), (96, 72), interpolation=cv2.INTER_AREA))
    again = render_image(still_life(), camera.resized(96, 72), samples=8)
    difference = np.abs(small.astype(int) - again)
    assert np.median(difference) <= 2
    assert difference.mean() < 5
    assert (DATA / "still_life.png").stat().st_size < 700_000
