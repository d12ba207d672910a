"""`resized_scene`: planes stay planes, edges stay edges, colours are averaged in light."""

import numpy as np
import pytest

import depth3d as d3
from depth3d.core.color import to_linear
from depth3d.render.resized import resized_scene


@pytest.mark.parametrize("kind", ["metric", "relative"])
def test_nothing_hangs_between_two_surfaces_and_planes_stay_planes(kind):
    v, u = np.mgrid[:90, :120] + 0.5
    floor = (0.2 + 0.002 * u + 0.001 * v).astype(np.float32)
    box = (np.abs(u - 60) < 20.5) & (np.abs(v - 45) < 17.5)
    q = np.where(box, np.float32(2.0), floor)
    depth = d3.DepthMap(1 / q if kind == "metric" else q, kind)
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3)).astype(np.uint8)
    small = resized_scene(d3.RGBD(image, depth, d3.Camera.from_fov(120, 90, 50)), 72, 54)
    got = 1 / small.depth.values if kind == "metric" else small.depth.values
    y, x = np.mgrid[:54, :72] + 0.5
    plane = 0.2 + 0.002 * x / 0.6 + 0.001 * y / 0.6
    inside = np.abs(got - 2) < 1e-5
    np.testing.assert_allclose(got[~inside], plane[~inside], atol=0.002)  # half an old pixel beside edges
    assert np.median(np.abs(got - plane)[~inside]) < 1e-6
    assert inside.sum() == pytest.approx(0.36 * box.sum(), rel=0.06)
    assert small.camera.fx == pytest.approx(0.6 * d3.Camera.from_fov(120, 90, 50).fx)
    assert to_linear(small.image).mean() == pytest.approx(to_linear(image).mean(), abs=0.003)


def test_a_scene_of_that_size_is_itself():
    scene = d3.RGBD(
        np.zeros((4, 6, 3), np.uint8),
        d3.DepthMap(np.ones((4, 6), np.float32), "metric"),
        d3.Camera.from_fov(6, 4, 50),
    )
    assert resized_scene(scene, 6, 4) is scene
