"""Quick colours for what is hidden: of the hidden surface, never of what hides it."""

import cv2
import numpy as np

import depth3d as d3
from depth3d.render.inverse_depth import inverse_depth_of
from depth3d.render.layers import layers_of
from depth3d.render.spread_colors import spread_behind
from depth3d.render.views import ViewRenderer

H, W = 80, 120


def test_holes_take_colours_of_the_farther_side_only():
    q = np.full((H, W), 0.2, np.float32)
    q[20:60, 40:80] = 1.0
    color = np.zeros((H, W, 3), np.float32)
    color[..., 2] = 0.5  # the wall is blue
    color[20:60, 40:80] = (0.8, 0, 0)  # the box is red
    hole = np.zeros((H, W), bool)
    hole[20:60, 40:50] = True
    source = ~hole
    hidden = np.where(hole, np.float32(0.2), q)
    filled = spread_behind(color, q, source, hole, hidden, least_gap=0.05)
    np.testing.assert_allclose(filled[hole], np.broadcast_to((0, 0, 0.5), (hole.sum(), 3)), atol=1e-5)
    assert np.array_equal(filled[~hole], color[~hole])
    assert spread_behind(color, q, source, np.zeros_like(hole), q, least_gap=0.05) is color
    # Nothing farther is to be had: what there is; and nothing at all: the picture as it is.
    near = np.ones_like(q)
    some = spread_behind(color, near, source, hole, np.where(hole, np.float32(0.1), near), least_gap=0.05)
    assert np.isfinite(some).all()
    assert spread_behind(color, q, ~source & ~hole, hole, hidden, least_gap=0.05) is color


def shot(x):
    """A textured wall with a box before it, x pixels farther right."""
    rng = np.random.default_rng(2)
    image = cv2.GaussianBlur(rng.integers(40, 216, (H, W, 3)).astype(np.uint8), (0, 0), 2)
    z = np.full((H, W), 5.0, np.float32)
    z[20:60, 40 + x : 80 + x] = 1.0
    image[20:60, 40 + x : 80 + x] = (200, 60, 60)
    camera = d3.Camera(fx=120, fy=120, cx=60, cy=40, width=W, height=H)
    return d3.RGBD(image, d3.DepthMap(z, "metric"), camera)


def view_of(scene, quick, x_m=0.02):
    q = inverse_depth_of(scene, quick=quick)
    made = layers_of(
        scene.image, q, scene.camera, is_metric=True, reach_px=3, margin_px=4, motion=(1, 0), quick=quick
    )
    pose = np.eye(4)
    pose[0, 3] = x_m
    return ViewRenderer(made).render(pose).image.astype(float)


def test_quick_views_are_the_careful_ones_but_for_what_was_hidden():
    scene = shot(0)
    careful, quick = view_of(scene, False), view_of(scene, True)
    differs = np.abs(careful - quick).max(axis=2) > 8
    rows, cols = np.nonzero(differs[:, 4:-4])
    assert differs.mean() < 0.02
    # They differ beside the box and at the margins alone.
    assert ((rows >= 18) & (rows < 62)).all()
    assert (np.minimum(abs(cols + 4 - 78), abs(cols + 4 - 38)) <= 4).all()


def test_the_photos_own_place_gives_the_photo():
    scene = shot(0)
    assert np.array_equal(view_of(scene, True, x_m=0.0), scene.image)
