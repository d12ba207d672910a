"""Effects by distance: Koschmieder's law, the inverse square, gray of the same luminance."""

import numpy as np
import pytest

import depth3d as d3
from depth3d.core.color import to_linear, to_srgb
from depth3d.errors import InputError, NeedsMetricError
from depth3d.synthetic import default_camera, floor_scene, plane_scene, render_rgbd, room_scene, step_scene

WHITE = "#ffffff"


def wall(z_m, image, fov_x_deg=60):
    """A photo of a wall that faces the camera; None is the sky."""
    height, width = image.shape[:2]
    values = np.full((height, width), np.nan if z_m is None else z_m, np.float32)
    values[-1] = 1.0 if z_m is None else z_m  # some pixel must be known
    return d3.RGBD(image, d3.DepthMap(values, "metric"), d3.Camera.from_fov(width, height, fov_x_deg))


def checks(shape=(40, 60)):
    rows, cols = np.indices(shape)
    return np.where(((rows // 4 + cols // 4) % 2 == 0)[..., None], (200, 120, 40), (20, 60, 90)).astype(
        np.uint8
    )


def air(code):
    return to_linear(np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)], np.uint8))


def test_fog_is_koschmieders_law_along_the_ray():
    scene, code = render_rgbd(room_scene(), default_camera(96, 72, 70), samples=2), "#c0d0e0"
    length = scene.depth.values * np.linalg.norm(scene.camera.pixel_rays(), axis=2)
    passing = np.exp(-3.912023 * length / 8.0)[..., None]
    expected = to_srgb(to_linear(scene.image) * passing + air(code) * (1 - passing))
    found = d3.fog(scene, visibility_m=8.0, color=code, edges=False)
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_at_the_visibility_two_percent_of_the_contrast_are_left():
    photo = wall(50.0, checks(), fov_x_deg=1)
    before, after = to_linear(photo.image), to_linear(d3.fog(photo, visibility_m=50.0, color="#808080"))
    contrast = np.ptp(after.reshape(-1, 3), axis=0) / np.ptp(before.reshape(-1, 3), axis=0)
    # Rounded to bytes, whose steps are about 0.0035 in linear light there.
    np.testing.assert_allclose(contrast[0], 0.02, atol=0.005 / np.ptp(before[..., 0]))


def test_sky_and_far_things_take_on_the_fogs_colour_and_near_ones_none():
    code = "#dfe6ee"
    far = d3.fog(wall(1e6, checks()), visibility_m=100, color=code)
    np.testing.assert_array_equal(far, np.broadcast_to((0xDF, 0xE6, 0xEE), far.shape))
    sky = d3.fog(wall(None, checks()), visibility_m=1000, color=code, edges=False)
    np.testing.assert_array_equal(sky[:20], np.broadcast_to((0xDF, 0xE6, 0xEE), sky[:20].shape))
    np.testing.assert_array_equal(d3.fog(wall(0.01, checks()), visibility_m=1e4), checks())


def test_two_fogs_of_a_colour_are_one_whose_extinctions_add():
    scene = render_rgbd(plane_scene((0.3, 0.1, 1), 4.0), default_camera(90, 60, 60), samples=1)
    first = d3.fog(scene, visibility_m=20, color="#d0d0d0")
    twice = d3.fog(d3.RGBD(first, scene.depth, scene.camera), visibility_m=30, color="#d0d0d0")
    once = d3.fog(scene, visibility_m=1 / (1 / 20 + 1 / 30), color="#d0d0d0")
    assert np.abs(twice.astype(int) - once).max() <= 1


def test_fog_before_a_fog_coloured_wall_changes_nothing():
    gray = np.full((30, 40, 3), 0xAA, np.uint8)
    np.testing.assert_array_equal(d3.fog(wall(3.0, gray), visibility_m=5, color="#aaaaaa"), gray)


def test_fog_on_relative_depth_has_its_strength_at_the_farthest():
    image = np.zeros((40, 100, 3), np.uint8)
    depth = d3.DepthMap(np.broadcast_to(np.linspace(9, 3, 100), (40, 100)), "relative")
    scene = d3.RGBD(image, depth, d3.Camera.from_fov(100, 40, 60))
    light = to_linear(d3.fog(scene, strength=0.7, color=WHITE))[..., 0]
    assert light[:, 0].max() == 0
    np.testing.assert_allclose(light[:, -1], 0.7, atol=0.005)
    assert (np.diff(light[0]) >= 0).all()
    # Any scale and shift of a relative map is the same map.
    other = d3.RGBD(image, d3.DepthMap(5 * depth.values - 11, "relative"), scene.camera)
    assert np.abs(d3.fog(other, strength=0.7).astype(int) - d3.fog(scene, strength=0.7)).max() <= 1
    even = d3.RGBD(image, d3.DepthMap(np.ones((40, 100)), "relative"), scene.camera)
    np.testing.assert_array_equal(d3.fog(even, strength=0.7), image)


def test_fog_follows_the_photo_where_depth_is_soft():
    import cv2

    scene = render_rgbd(step_scene(1.0, 8.0), default_camera(160, 120, 60))
    exact = d3.fog(scene, visibility_m=10.0)
    soft = d3.DepthMap(1 / cv2.GaussianBlur(1 / scene.depth.values, (0, 0), 2), "metric")
    blurred = d3.RGBD(scene.image, soft, scene.camera)

    def off(picture):
        return np.abs(picture.astype(float) - exact)[:, 74:86].mean()

    assert off(d3.fog(blurred, visibility_m=10.0)) < 0.5 * off(
        d3.fog(blurred, visibility_m=10.0, edges=False)
    )


def test_flash_falls_with_the_square_of_the_distance():
    gray = np.full((30, 40, 3), 100, np.uint8)
    for z, share in ((2.0, 1.0), (4.0, 0.25), (8.0, 1 / 16)):
        lit = to_linear(d3.flash(wall(z, gray, 1), full_m=2.0, ambient=0.0))
        np.testing.assert_allclose(lit, to_linear(gray) * share, rtol=0.05)
    np.testing.assert_array_equal(d3.flash(wall(9.0, gray), full_m=2.0, ambient=1.0), gray)


def test_colour_splash_keeps_colours_inside_and_luminance_outside():
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    matte = np.zeros((30, 40), np.float32)
    matte[:, :20] = 1
    out = d3.color_splash(wall(1.0, image), matte)
    np.testing.assert_array_equal(out[:, :20], image[:, :20])
    gray = out[:, 20:]
    np.testing.assert_array_equal(gray, np.broadcast_to(gray[..., :1], gray.shape))
    weights = np.array([0.2126, 0.7152, 0.0722])
    np.testing.assert_allclose(to_linear(gray) @ weights, to_linear(image[:, 20:]) @ weights, atol=0.005)
    again = d3.color_splash(wall(1.0, out), matte)
    assert np.abs(again.astype(int) - out).max() <= 1


def test_dimming_is_a_power_of_two_outside():
    image = np.full((10, 20, 3), 180, np.uint8)
    matte = np.zeros((10, 20), np.float32)
    matte[:, :10], matte[:, 10:12] = 1, 0.5
    out = d3.dim(wall(1.0, image), matte, stops=3)
    np.testing.assert_array_equal(out[:, :10], 180)
    np.testing.assert_allclose(to_linear(out[:, 12:]), to_linear(image[:, 12:]) / 8, rtol=0.03)
    np.testing.assert_allclose(to_linear(out[:, 10:12]), to_linear(image[:, 10:12]) * 0.5625, rtol=0.02)
    np.testing.assert_array_equal(d3.dim(wall(1.0, image), matte, stops=0), image)


@pytest.mark.parametrize(
    ("effect", "kind", "error", "sentence"),
    [
        (lambda s: d3.fog(s), "metric", InputError, "needs visibility_m"),
        (lambda s: d3.fog(s, visibility_m=9, strength=0.5), "metric", InputError, "one of them"),
        (lambda s: d3.fog(s, visibility_m=0), "metric", InputError, "positive"),
        (lambda s: d3.fog(s, strength=0.5), "metric", InputError, "give visibility_m"),
        (lambda s: d3.fog(s, strength=2), "relative", InputError, r"0\.\.1"),
        (lambda s: d3.fog(s, visibility_m=9), "relative", NeedsMetricError, "--strength"),
        (lambda s: d3.fog(s, strength=0.5, color="gray"), "relative", InputError, "#rrggbb"),
        (lambda s: d3.flash(s, full_m=2), "relative", NeedsMetricError, "dim"),
        (lambda s: d3.flash(s, full_m=-2), "metric", InputError, "positive"),
        (lambda s: d3.flash(s, full_m=2, ambient=3), "metric", InputError, r"0\.\.1"),
        (lambda s: d3.dim(s, np.ones((6, 8)), stops=float("nan")), "metric", InputError, "stops"),
    ],
)
def test_what_does_not_fit_is_refused(effect, kind, error, sentence):
    scene = d3.RGBD(
        np.zeros((6, 8, 3), np.uint8), d3.DepthMap(np.ones((6, 8)), kind), d3.Camera.from_fov(8, 6, 60)
    )
    with pytest.raises(error, match=sentence):
        effect(scene)


def test_the_horizon_of_a_floor_vanishes_in_fog():
    scene = render_rgbd(floor_scene(1.5, 5.0), default_camera(80, 60, 60), samples=1)
    out = d3.fog(scene, visibility_m=20, color=WHITE)
    rows = to_linear(out).mean(axis=(1, 2))
    sky = ~scene.depth.valid.any(axis=1)
    assert sky[:5].all()
    assert (out[sky][:-1] == 255).all()
    assert (np.diff(rows[~sky][1:]) < 0.02).all()  # clearer and clearer towards the feet
