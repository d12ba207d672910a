"""A scene's three parts agree on the size."""

from __future__ import annotations

import numpy as np
import pytest

from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.core.scene import RGBD
from depth3d.errors import InputError

IMAGE = np.zeros((2, 3, 3), np.uint8)
DEPTH = DepthMap(np.ones((2, 3)), "metric")
CAMERA = Camera.from_fov(3, 2, 60)


def test_a_scene_owns_its_image_and_knows_its_size():
    image = IMAGE.copy()
    scene = RGBD(image, DEPTH, CAMERA)
    image[:] = 9
    assert scene.image.max() == 0
    assert scene.size_wh == (3, 2)
    assert repr(scene).startswith("RGBD(3x2, DepthMap(metric, 3x2")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (
            {"depth": DepthMap(np.ones((3, 2)), "metric")},
            "image and depth .* got 3x2 and 2x3; .*resize_depth",
        ),
        ({"camera": Camera.from_fov(6, 4, 60)}, "image and camera .* got 3x2 and 6x4; use camera.resized"),
        ({"depth": np.ones((2, 3))}, "depth must be a DepthMap, got ndarray"),
        ({"camera": None}, "camera must be a Camera, got NoneType"),
        ({"image": IMAGE / 255}, "uint8 sRGB"),
        ({"image": IMAGE[..., 0]}, r"\(H, W, 3\)"),
    ],
)
def test_refusals(fields, says):
    with pytest.raises(InputError, match=says):
        RGBD(**{"image": IMAGE, "depth": DEPTH, "camera": CAMERA, **fields})
