"""Layers: planes stay whole, steps are cut, and what is behind goes on in its plane and its colours."""

import numpy as np
import pytest

import depth3d as d3
from depth3d.core.camera import Camera
from depth3d.core.color import to_linear, to_srgb
from depth3d.core.depth import DepthMap
from depth3d.core.scene import RGBD
from depth3d.errors import InputError
from depth3d.render.cuts import find_joints, gaps
from depth3d.render.inverse_depth import inverse_depth_of
from depth3d.render.layers import layers

SIZE = (72, 96)
REACH = 12.0
NEAR, FAR = (200, 30, 30), (30, 40, 190)


def scene_of(inverse_depth, image=None, kind="metric"):
    height, width = inverse_depth.shape
    if image is None:
        image = np.full((height, width, 3), 128, np.uint8)
    with np.errstate(divide="ignore"):
        values = np.where(inverse_depth > 0, 1 / inverse_depth, np.nan) if kind == "metric" else inverse_depth
    return RGBD(image, DepthMap(values.astype(np.float32), kind), Camera.from_fov(width, height, 60))


def half_plane(angle_deg=20.0, offset=0.3):
    """A red surface in front of a blue one: both planes, with the true coverage of the pixels."""
    height, width = SIZE
    v, u = np.mgrid[:height, :width]
    turn = np.radians(angle_deg)

    def inside(x, y):
        return (x - width / 2) * np.cos(turn) + (y - height / 2) * np.sin(turn) < offset

    fine = (np.arange(16) + 0.5) / 16
    coverage = np.mean([inside(u + dx, v + dy) for dx in fine for dy in fine], axis=0)
    near = 1.0 + 0.0004 * u - 0.0003 * v
    far = 0.2 + 0.0005 * u + 0.0002 * v
    light = coverage[..., None] * to_linear(np.uint8(NEAR)) + (1 - coverage)[..., None] * to_linear(
        np.uint8(FAR)
    )
    q = np.where(inside(u + 0.5, v + 0.5), near, far).astype(np.float32)
    return scene_of(q, to_srgb(light)), coverage, near, far


def within(made, values):
    """Cut the margin off."""
    m = made.margin_px
    return values[m : values.shape[0] - m, m : values.shape[1] - m]


def test_planes_are_never_cut_and_steps_are():
    v, u = np.mgrid[:40, :60].astype(np.float32)
    steep = 0.2 + 0.01 * u + 0.02 * v
    joints = find_joints(steep, 1e-4)
    assert joints.right[:, :-1].all()
    assert joints.down[:-1].all()
    assert not joints.right[:, -1].any()
    assert not joints.down[-1].any()
    joints = find_joints(steep + 0.1 * (u >= 30), 1e-2)
    expected = np.ones((40, 60), bool)
    expected[:, [29, 59]] = False
    np.testing.assert_array_equal(joints.right, expected)
    assert joints.down[:-1].all()


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_a_pole_of_any_width_is_cut_at_its_two_sides_only(width):
    row = np.zeros((1, 20), np.float32)
    row[:, 8 : 8 + width] = 1
    np.testing.assert_array_equal(np.flatnonzero(gaps(row)[0]), [7, 7 + width])
    assert gaps(row)[0, 7] == 1
    assert gaps(row)[0, 7 + width] == -1


def test_behind_a_step_the_far_plane_goes_on():
    scene, _, _, far = half_plane()
    made = layers(scene, reach_px=REACH, edges="keep")
    behind, there = within(made, made.back.inverse_depth), within(made, made.back.alpha) > 0
    hidden = there & (scene.depth.values < 1.5)
    assert np.abs(behind - far)[hidden].max() < 1e-3
    # The parallax of the two surfaces is the reach: so far from the edge all of it is known.
    u = np.arange(SIZE[1])
    edge = (~(scene.depth.values < 1.5)).argmax(axis=1)[:, None]
    span_px = REACH * np.cos(np.radians(20))
    near_the_edge = (u < edge) & (u >= edge - span_px * 0.9)
    assert there[near_the_edge].all()


def test_the_nearer_surface_goes_on_beyond_its_edge():
    scene, _, near, _ = half_plane()
    made = layers(scene, reach_px=REACH, edges="keep")
    front = within(made, made.front.inverse_depth)
    beyond = (front > 0.6) & (scene.depth.values > 1.5)
    assert beyond.sum() >= SIZE[0] * 2
    assert np.abs(front - near)[beyond].max() < 2e-3


@pytest.mark.parametrize("angle_deg", [0, 7, 20, 45, 90])
@pytest.mark.parametrize("offset", [0.1, 0.45])
def test_alpha_is_the_true_coverage(angle_deg, offset):
    scene, coverage, _, _ = half_plane(angle_deg, offset)
    made = layers(scene, reach_px=REACH, edges="keep")
    alpha = within(made, np.where(made.front.inverse_depth > 0.6, made.front.alpha, 0))
    assert np.abs(alpha - coverage).max() < 0.1


def test_together_the_layers_are_the_photo():
    scene, _, _, _ = half_plane()
    noise = np.random.default_rng(0).integers(-12, 12, (*SIZE, 3))
    scene = RGBD(np.clip(scene.image + noise, 0, 255).astype(np.uint8), scene.depth, scene.camera)
    made = layers(scene, reach_px=REACH, edges="keep")
    alpha = made.front.alpha[..., None]
    light = alpha * to_linear(made.front.color) + (1 - alpha) * to_linear(made.back.color)
    error = np.abs(within(made, to_srgb(light)).astype(int) - scene.image)
    assert error.max() <= 2
    assert (within(made, made.back.alpha)[within(made, made.front.alpha) < 1] == 1).all()


def test_nothing_of_the_foreground_is_behind_it_and_the_reverse():
    scene, _, _, _ = half_plane()
    made = layers(scene, reach_px=REACH, edges="keep")
    there = made.back.alpha > 0
    # Red is 0.58 of linear light in the one and 0.01 in the other.
    assert np.abs(to_linear(made.back.color) - to_linear(np.uint8(FAR)))[there].max() < 0.02
    near = (made.front.inverse_depth > 0.6) & (made.front.alpha > 0.05)
    assert np.abs(to_linear(made.front.color) - to_linear(np.uint8(NEAR)))[near].max() < 0.04


def test_a_pole_has_one_background_behind_it():
    u = np.mgrid[: SIZE[0], : SIZE[1]][1].astype(np.float32)
    wall = 0.3 + 0.001 * u
    for width in (1, 4, 9):
        pole = (u >= 40) & (u < 40 + width)
        made = layers(scene_of(np.where(pole, 1, wall)), reach_px=REACH, edges="keep")
        behind, there = within(made, made.back.inverse_depth), within(made, made.back.alpha) > 0
        assert there[pole].all()
        assert np.abs(behind - wall)[pole].max() < 1e-3
        inner = within(made, made.back.joined_right)[:, 40 : 40 + width - 1]
        assert inner.all()


def test_the_margin_continues_planes_and_the_camera_follows():
    v, u = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    plane = 0.3 + 0.002 * u - 0.001 * v
    scene = scene_of(plane)
    made = layers(scene, reach_px=REACH, margin_px=10)
    assert made.margin_px == 10
    rows, cols = np.mgrid[-10 : SIZE[0] + 10, -10 : SIZE[1] + 10]
    np.testing.assert_allclose(made.front.inverse_depth, 0.3 + 0.002 * cols - 0.001 * rows, atol=1e-4)
    assert made.camera.size_wh == (SIZE[1] + 20, SIZE[0] + 20)
    assert made.camera.cx == scene.camera.cx + 10
    assert made.camera.fx == scene.camera.fx
    assert made.front.joined_right[:, :-1].all()
    assert made.front.joined_down[:-1].all()
    assert not made.back.alpha.any()
    np.testing.assert_array_equal(within(made, made.front.color), scene.image)
    assert (made.front.alpha == 1).all()


def test_a_wrong_outermost_row_is_not_carried_into_the_margin():
    v, u = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    plane = 0.3 + 0.002 * u + 0.001 * v
    spoilt = plane.copy()
    spoilt[0] *= 2.5
    made = layers(scene_of(spoilt), reach_px=REACH, edges="keep")
    np.testing.assert_allclose(within(made, made.front.inverse_depth), plane, atol=1e-5)
    assert not made.back.alpha.any()


def test_the_backdrop_is_behind_everything():
    scene, _, _, _ = half_plane()
    made = layers(scene, reach_px=REACH, edges="keep")
    assert (made.backdrop.inverse_depth <= made.front.inverse_depth).all()
    assert made.backdrop.inverse_depth.min() >= 0
    assert (made.backdrop.alpha == 1).all()


def test_motion_along_an_edge_uncovers_nothing():
    scene, _, _, _ = half_plane(0)
    along = layers(scene, reach_px=REACH, motion=(0, 1), edges="keep")
    across = layers(scene, reach_px=REACH, motion=(1, 0), edges="keep")
    assert along.back.alpha.sum() < 0.7 * across.back.alpha.sum()


def test_relative_maps_lie_between_1_and_5_units():
    values = np.linspace(7, 3, 4800, dtype=np.float32).reshape(60, 80)
    q = inverse_depth_of(scene_of(values, kind="relative"))
    np.testing.assert_allclose([q.max(), q.min()], [1, 0.2], atol=2e-3)
    # It is affine in the map.
    assert np.abs(np.polyval(np.polyfit(values.ravel(), q.ravel(), 1), values) - q).max() < 1e-5
    made = layers(scene_of(values, kind="relative"), reach_px=3)
    assert not made.is_metric
    flat = inverse_depth_of(scene_of(np.full((5, 6), 4.0, np.float32), kind="relative"))
    np.testing.assert_allclose(flat, 1 / np.sqrt(5), rtol=1e-6)


def test_sky_is_infinitely_far_and_nothing_is_behind_it():
    q = np.full(SIZE, 0.5, np.float32)
    q[:30] = 0
    made = layers(scene_of(q), reach_px=REACH)
    assert (within(made, made.front.inverse_depth)[:25] == 0).all()
    assert made.back.inverse_depth.min() >= 0
    assert np.isfinite(made.back.inverse_depth).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 2), (5, 5)])
@pytest.mark.parametrize("kind", ["metric", "relative"])
def test_tiny_pictures(shape, kind):
    values = np.random.default_rng(3).uniform(0.3, 2, shape).astype(np.float32)
    image = np.random.default_rng(4).integers(0, 256, (*shape, 3)).astype(np.uint8)
    made = layers(scene_of(values, image, kind))
    for sheet in (made.front, made.back, made.backdrop):
        assert sheet.color.shape == (*sheet.alpha.shape, 3) == (*made.camera.size_wh[::-1], 3)
        assert np.isfinite(sheet.inverse_depth).all()
        assert np.isfinite(sheet.alpha).all()


def test_a_constant_map_is_one_surface():
    made = layers(scene_of(np.full(SIZE, 2.0, np.float32)))
    assert not made.back.alpha.any()
    assert (made.front.alpha == 1).all()


def test_somebodys_inpainter_is_asked_once_for_the_hidden_colors():
    scene, _, _, _ = half_plane()
    asked = []

    def green(image, hole):
        asked.append(hole)
        image[hole] = (0, 255, 0)
        return image

    made = layers(scene, reach_px=REACH, edges="keep", inpainter=green)
    assert len(asked) == 1
    deep = within(made, asked[0]) & (within(made, made.front.alpha) == 1)
    assert deep.any()
    assert (within(made, made.back.color)[deep] == (0, 255, 0)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reach_px": -1}, "reach_px must lie in"),
        ({"reach_px": float("nan")}, "reach_px must lie in"),
        ({"margin_px": -1}, "margin_px must be whole pixels"),
        ({"margin_px": 2.5}, "margin_px must be whole pixels"),
    ],
)
def test_bad_numbers_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        layers(scene_of(np.full(SIZE, 2.0, np.float32)), **arguments)


def test_the_verb_is_public():
    assert d3.layers is layers
    assert d3.Layers.__name__ == "Layers"


@pytest.mark.parametrize("motion", [(float("nan"), 0), (1,), (1, 0, 0), "right"])
def test_a_motion_is_two_numbers(motion):
    scene = d3.RGBD(
        np.zeros((6, 8, 3), np.uint8), d3.DepthMap(np.ones((6, 8)), "metric"), d3.Camera.from_fov(8, 6, 50)
    )
    with pytest.raises(InputError, match="two finite numbers"):
        d3.layers(scene, motion=motion)
    with pytest.raises(InputError, match="seed must be"):
        d3.layers(scene, seed=-1)
    with pytest.raises(InputError, match="RGBD"):
        d3.layers(scene.image)


def test_rounding_is_no_relief():
    z = 3 * (1 + 1e-7 * np.random.default_rng(0).standard_normal((40, 60)))
    image = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
    layers = d3.layers(d3.RGBD(image, d3.DepthMap(z, "metric"), d3.Camera.from_fov(60, 40, 50)), reach_px=5)
    assert not layers.back.alpha.any()


def test_nothing_hidden_is_beyond_infinity():
    """A wall that goes on to the horizon, under the sky."""
    q = np.linspace(0.5, 0, 240, dtype=np.float32) + np.zeros((80, 1), np.float32)
    q[:30] = 0
    with np.errstate(divide="ignore"):
        z = np.where(q > 0, 1 / q, np.nan)
    image = np.zeros((80, 240, 3), np.uint8)
    scene = d3.RGBD(image, d3.DepthMap(z, "metric"), d3.Camera.from_fov(240, 80, 50))
    layers = d3.layers(scene, reach_px=5, edges="keep")
    assert layers.back.inverse_depth.min() >= 0
    assert layers.front.inverse_depth.min() >= 0
