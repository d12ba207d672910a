"""Bokeh against photographs ray-traced through a wide lens: a quick gate, tests/benchmarks has more."""

import math

import numpy as np
import pytest

import depth3d as d3
from depth3d import synthetic
from depth3d.core.color import to_linear, to_srgb
from depth3d.synthetic import place

WIDTH, HEIGHT, RADIUS_PX = 144, 108, 12
CAMERA = synthetic.default_camera(WIDTH, HEIGHT, 50)
EVEN = synthetic.Ambient((0.95, 0.95, 0.95), (0.75, 0.75, 0.75))
INSIDE = (slice(RADIUS_PX, -RADIUS_PX), slice(RADIUS_PX, -RADIUS_PX))
"""Nearer to the border light comes in that the photo does not show."""

WALL = synthetic.Surface(
    synthetic.Rectangle(),
    synthetic.Material(synthetic.Marble((0.7, 0.6, 0.4), (0.1, 0.2, 0.3), 0.5)),
    place(0, 0, 4),
)
CARD = synthetic.Surface(
    synthetic.Rectangle(0.4, 0.5),
    synthetic.Material(synthetic.Stripes((0.8, 0.3, 0.1), (0.1, 0.3, 0.5), 0.06)),
    place(0.08, 0.02, 1.2, roll_deg=20),
)
FLOOR = synthetic.Surface(
    synthetic.Rectangle(),
    synthetic.Material(synthetic.Checker(size_m=0.4)),
    place(0, 0.6, 0, pitch_deg=90),
)
BALL = synthetic.Surface(
    synthetic.Sphere(0.3), synthetic.Material(synthetic.Checker((0.7, 0.2, 0.1))), place(0.1, 0.3, 1.7)
)
SCENES = {"card": (WALL, CARD), "ball": (WALL, FLOOR, BALL)}


def psnr(found, true):
    error = (found[INSIDE].astype(float) - true[INSIDE]) ** 2
    return 10 * math.log10(255**2 / error.mean())


def blurred_at_each_radius(image, radius):
    """The usual way: each pixel from a blur of the whole picture at its own radius."""
    import cv2

    light, out = to_linear(image), to_linear(image)
    size = np.rint(np.abs(radius)).astype(int)
    for step in range(1, size.max() + 1):
        y, x = np.mgrid[-step : step + 1, -step : step + 1]
        disc = (np.hypot(x, y) <= step + 0.25).astype(np.float32)
        out[size == step] = cv2.filter2D(light, -1, disc / disc.sum())[size == step]
    return to_srgb(out)


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("near", [True, False])
def test_bokeh_is_nearer_to_the_photograph_than_the_usual_blur(name, near):
    scene = synthetic.Scene(SCENES[name], ambient=EVEN)
    photo = synthetic.render_rgbd(scene, CAMERA, samples=16)
    disparity = 1 / photo.depth.values
    focus = float(np.quantile(disparity, 0.95 if near else 0.1))
    lens = d3.ThinLens(2 * RADIUS_PX / (CAMERA.fx * np.abs(disparity - focus).max()))
    truth = to_srgb(synthetic.render_photograph(scene, CAMERA, lens, 1 / focus, samples=64))

    ours = psnr(d3.bokeh(photo, focus_m=1 / focus, lens=lens), truth)
    radius = 0.5 * CAMERA.fx * lens.aperture_m * (disparity - focus)
    usual = psnr(blurred_at_each_radius(photo.image, radius), truth)
    assert ours > 35.5
    assert ours > usual + 3
    assert ours > psnr(photo.image, truth) + 13
