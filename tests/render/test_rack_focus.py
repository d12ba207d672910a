"""Focus pulls, focus stacks and miniatures: plans, ends, no flicker, indices."""

from itertools import pairwise

import numpy as np
import pytest

import depth3d as d3
from depth3d.render.rack_focus import focus_pull
from depth3d.render.refocus import Refocus
from depth3d.render.resized import resized_scene


def scene(near=1.0, far=5.0, kind="metric"):
    z = np.full((90, 120), far, np.float32)
    z[25:65, 40:80] = near
    image = np.random.default_rng(0).integers(30, 226, (90, 120, 3)).astype(np.uint8)
    return d3.RGBD(image, d3.DepthMap(z, kind), d3.Camera.from_fov(120, 90, 50))


KEYS = [
    d3.FocusKey(0.0, (60, 45), lens=d3.ThinLens(0.08)),
    d3.FocusKey(1.0, (5, 5), lens=d3.ThinLens(0.08)),
]


def test_the_plan_is_eased_in_dioptres():
    plan = focus_pull(Refocus(scene()), KEYS, fps=25)
    assert len(plan) == 25
    disparities = np.array([setting.disparity for setting in plan])
    t = np.linspace(0, 1, 25)
    np.testing.assert_allclose(disparities, 1 + (0.2 - 1) * (3 * t**2 - 2 * t**3), atol=1e-6)


def test_openings_are_pulled_too():
    keys = [d3.FocusKey(0, focus_m=1, lens=d3.ThinLens(0.08)), d3.FocusKey(2, focus_m=1, lens=d3.ThinLens(0))]
    plan = focus_pull(Refocus(scene()), keys, fps=10)
    gains = [setting.gain for setting in plan]
    assert gains[-1] == 0
    assert all(a >= b for a, b in pairwise(gains))


def test_the_ends_are_single_pictures():
    frames = list(d3.rack_focus(scene(), KEYS, fps=6))
    assert len(frames) == 6
    for frame, key in ((frames[0], KEYS[0]), (frames[-1], KEYS[1])):
        alone = d3.bokeh(scene(), focus=key.focus, lens=key.lens)
        assert np.abs(frame.astype(int) - alone).max() <= 3
    np.testing.assert_array_equal(frames[0][30:60, 45:75], scene().image[30:60, 45:75])


def test_nothing_flickers():
    """The focus moves smoothly, and so does the light of every pixel."""
    keys = [
        d3.FocusKey(0, focus_disparity=0.6, strength_px=30),
        d3.FocusKey(1, focus_disparity=0.55, strength_px=30),
    ]
    photo = Refocus(scene())
    plan = focus_pull(photo, keys, fps=24)
    photo.prepare(plan)
    light = np.stack([photo.light(setting) for setting in plan])
    moved = np.abs(np.diff(light, axis=0))
    bent = np.abs(np.diff(light, n=2, axis=0))
    assert moved.max() > 1e-3
    assert bent.mean() < 0.3 * moved.mean()
    assert bent.max() < 0.005  # about a byte in the middle of the scale


def test_a_still_focus_is_a_still_picture():
    keys = [d3.FocusKey(0, focus_m=2), d3.FocusKey(1, focus_m=2)]
    frames = list(d3.rack_focus(scene(), keys, fps=4))
    for frame in frames[1:]:
        np.testing.assert_array_equal(frame, frames[0])


@pytest.mark.parametrize("keys", [[], KEYS[:1], [KEYS[1], KEYS[0]]])
def test_bad_keys_are_refused_at_once(keys):
    with pytest.raises(d3.Depth3DError, match="two or more keys whose times increase"):
        d3.rack_focus(scene(), keys)


@pytest.mark.parametrize("name", ["sharp_range", "sharp_px"])
@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_what_stays_sharp_is_checked(name, value):
    with pytest.raises(d3.Depth3DError, match=f"{name} must be 0 or more"):
        d3.rack_focus(scene(), KEYS, **{name: value})


def test_points_are_checked_in_pixels_of_the_photo():
    keys = [d3.FocusKey(0, (120, 90)), d3.FocusKey(1, (121, 3))]
    with pytest.raises(d3.Depth3DError, match=r"\(121, 3\) lies outside the picture of 120x90"):
        d3.rack_focus(scene(), keys, size=37)
    d3.rack_focus(scene(), [keys[0], d3.FocusKey(1, (0, 90))], size=37)


def test_a_stack_goes_from_near_to_far_and_its_index_says_where_it_is_sharp():
    photo = scene()
    stack = d3.focus_stack(photo, 5, lens=d3.ThinLens(0.08))
    np.testing.assert_allclose(stack.disparities, np.linspace(1, 0.2, 5), rtol=1e-6)
    assert stack.images.shape == (5, 90, 120, 3)
    z = photo.depth.values
    np.testing.assert_array_equal(stack.index[z == 1], 0)
    np.testing.assert_array_equal(stack.index[z == 5], 4)
    np.testing.assert_array_equal(stack.images[0][z == 1], photo.image[z == 1])
    whole = stack.all_in_focus
    np.testing.assert_array_equal(whole[z == 1], photo.image[z == 1])
    # What is far from the subject's edge is not covered by its blur.
    np.testing.assert_array_equal(whole[:, :10], photo.image[:, :10])
    with pytest.raises(d3.Depth3DError, match="2 or more pictures"):
        d3.focus_stack(photo, 1)


def test_a_miniature_keeps_its_band_and_blurs_the_rest_more_and_more():
    image = np.random.default_rng(1).integers(0, 256, (120, 160, 3)).astype(np.uint8)
    made = d3.miniature(image, focus=(80, 60), band_share=0.25, strength_px=20)
    np.testing.assert_array_equal(made[46:74], image[46:74])
    deviations = [made[rows].std() for rows in (slice(40, 44), slice(25, 35), slice(0, 10))]
    assert deviations[0] > deviations[1] > deviations[2]
    turned = d3.miniature(np.rot90(image).copy(), focus=(60, 80), band_share=0.1, angle_deg=90)
    np.testing.assert_array_equal(turned[:, 56:64], np.rot90(image)[:, 56:64])
    np.testing.assert_array_equal(d3.miniature(image, strength_px=0), image)
    with pytest.raises(d3.Depth3DError, match="band_share"):
        d3.miniature(image, band_share=2)


def test_frames_of_another_size_are_the_resized_scene_s():
    """Pixels in focus and strengths are meant in the photo's pixels, so they shrink with it."""
    keys = [d3.FocusKey(0, (60, 45), strength_px=16), d3.FocusKey(1, (6, 6), strength_px=16)]
    frames = list(d3.rack_focus(scene(), keys, fps=3, size=80, sharp_px=3, fringe_px=(1.5, 0, 0)))
    share = 80 / 120
    fewer = [d3.FocusKey(k, (u, u * 0.75 + v), strength_px=16 * share) for k, u, v in ((0, 40, 0), (1, 4, 1))]
    want = d3.rack_focus(
        resized_scene(scene(), 80, 60), fewer, fps=3, sharp_px=3 * share, fringe_px=(1.5 * share, 0, 0)
    )
    np.testing.assert_array_equal(frames, list(want))
    assert np.abs(np.diff(np.array(frames).astype(int), axis=0)).max() > 20


def test_a_size_of_another_shape_is_cut_out_around_what_is_in_focus():
    keys = [d3.FocusKey(0, (100, 45), lens=d3.ThinLens(0.02)), d3.FocusKey(1, (110, 10))]
    whole = list(d3.rack_focus(scene(), keys, fps=2))
    frames = list(d3.rack_focus(scene(), keys, fps=2, size=(40, 90)))
    np.testing.assert_array_equal(frames, np.stack(whole)[:, :, 80:])
    assert not frames[0].flags.writeable
    # The middle between two points, where there is room.
    keys = [d3.FocusKey(0, (40, 45)), d3.FocusKey(1, (80, 10))]
    np.testing.assert_array_equal(
        list(d3.rack_focus(scene(), keys, fps=2, size=(40, 90))),
        np.stack(list(d3.rack_focus(scene(), keys, fps=2)))[:, :, 40:80],
    )
    with pytest.raises(d3.Depth3DError, match="size must be"):
        d3.rack_focus(scene(), keys, size=1)


def test_large_photos_make_frames_of_1920_pixels():
    z = np.full((20, 2400), 2, np.float32)
    wide = d3.RGBD(
        np.zeros((20, 2400, 3), np.uint8), d3.DepthMap(z, "metric"), d3.Camera.from_fov(2400, 20, 50)
    )
    keys = [d3.FocusKey(0, focus_m=2), d3.FocusKey(1, focus_m=3)]
    assert next(d3.rack_focus(wide, keys)).shape == (16, 1920, 3)
    assert next(d3.rack_focus(wide, keys, size=2400)).shape == (20, 2400, 3)
