"""The verb: what is copied, what is blurred by how much, and its looks."""

import numpy as np
import pytest

import depth3d as d3
from depth3d.core.color import to_linear, to_srgb
from depth3d.render.looks import Look, grain_of, with_highlights

CAMERA = d3.Camera.from_fov(200, 150, 50)


def scene(z, image=None, seed=0, kind="metric"):
    height, width = z.shape
    if image is None:
        image = np.random.default_rng(seed).integers(30, 226, (height, width, 3)).astype(np.uint8)
    return d3.RGBD(image, d3.DepthMap(z.astype(np.float32), kind), d3.Camera.from_fov(width, height, 50))


def subject_and_wall(near=1.0, far=5.0):
    z = np.full((150, 200), far)
    z[40:110, 60:140] = near
    return z


def lens_of_radius(radius_px, near=1.0, far=5.0):
    """The lens that blurs what is at `far` by this radius when it is focused on `near`."""
    return d3.ThinLens(2 * radius_px / (CAMERA.fx * (1 / near - 1 / far)))


def test_the_subject_is_the_photos_own_to_the_bit_and_the_wall_is_blurred():
    z = subject_and_wall()
    photo = scene(z)
    picture = d3.bokeh(photo, focus=(100, 75), lens=lens_of_radius(12))
    assert picture.dtype == np.uint8
    assert not picture.flags.writeable
    np.testing.assert_array_equal(picture[z == 1], photo.image[z == 1])
    assert picture[:30].std() < photo.image[:30].std() / 8


def test_focus_by_point_metres_and_disparity_are_one():
    photo = scene(subject_and_wall(near=1.25))
    lens = lens_of_radius(8)
    by_point = d3.bokeh(photo, focus=(100, 75), lens=lens)
    np.testing.assert_array_equal(by_point, d3.bokeh(photo, focus_m=1.25, lens=lens))
    np.testing.assert_array_equal(by_point, d3.bokeh(photo, focus_disparity=0.8, lens=lens))
    np.testing.assert_array_equal(by_point, d3.bokeh(photo, lens=lens))  # auto finds the subject


def test_a_relative_map_with_the_same_strength_gives_the_same_picture():
    z = subject_and_wall()
    metric, relative = scene(z), scene(7 / z - 3, kind="relative")
    lens = lens_of_radius(10)
    by_lens = d3.bokeh(metric, focus=(100, 75), lens=lens)
    by_strength = d3.bokeh(relative, focus=(100, 75), strength_px=20)
    # What is hidden is guessed by planes through rounded numbers.
    assert np.abs(by_lens.astype(int) - by_strength).max() <= 1
    assert (by_lens == by_strength).mean() > 0.98


@pytest.mark.parametrize("radius", [5.0, 14.0, 30.0])
def test_a_highlight_has_the_size_of_the_formula(radius):
    image = np.zeros((201, 201, 3), np.uint8)
    image[100, 100] = 255
    photo = d3.RGBD(image, d3.DepthMap(np.full((201, 201), 4.0, np.float32), "metric"),
                    d3.Camera.from_fov(201, 201, 50))  # fmt: skip
    lens = d3.ThinLens(2 * radius / (photo.camera.fx * (1 / 1 - 1 / 4)))
    from depth3d.render.refocus import Refocus

    taken = Refocus(photo)
    setting = taken.defocus(taken.focus(focus_m=1.0), lens=lens)
    light = taken.light(setting)[..., 0]
    y, x = np.mgrid[:201, :201] - 100
    assert light.sum() == pytest.approx(1, abs=1e-3)
    assert np.sqrt(2 * (light * (x**2 + y**2)).sum()) == pytest.approx(radius, abs=0.5)


def test_a_flat_picture_stays_flat_whatever_the_depth():
    z = np.random.default_rng(3).uniform(0.5, 6, (150, 200))
    flat = np.full((150, 200, 3), 137, np.uint8)
    picture = d3.bokeh(scene(z, flat), focus_m=1.5, lens=d3.ThinLens(0.05), edges="keep")
    np.testing.assert_array_equal(picture, flat)


def test_a_pinhole_and_a_flat_scene_return_the_photo():
    photo = scene(subject_and_wall())
    np.testing.assert_array_equal(d3.bokeh(photo, lens=d3.ThinLens(0)), photo.image)
    flat = scene(np.full((150, 200), 2.0))
    np.testing.assert_array_equal(d3.bokeh(flat), flat.image)


def test_a_sharp_range_keeps_a_whole_face():
    z = 1.0 + 0.1 * np.linspace(-1, 1, 200)[None, :].repeat(150, 0)  # from 0.9 to 1.1 m
    photo = scene(z)
    lens = d3.ThinLens(0.2)
    assert (d3.bokeh(photo, focus_m=1, lens=lens) != photo.image).mean() > 0.5
    np.testing.assert_array_equal(d3.bokeh(photo, focus_m=1, lens=lens, sharp_range=0.25), photo.image)
    np.testing.assert_array_equal(d3.bokeh(photo, focus_m=1, lens=lens, sharp_px=12), photo.image)


def test_maps_agree_with_the_formula_and_with_each_other():
    z = subject_and_wall()
    lens = lens_of_radius(9, near=1, far=5)
    maps = d3.bokeh_maps(scene(z), focus_m=5, lens=lens)
    want = d3.circle_of_confusion_px(z, focus_m=5, lens=lens, fx_px=CAMERA.fx)
    np.testing.assert_allclose(maps.diameter_px, want, atol=1e-4)
    np.testing.assert_array_equal(maps.near, z == 1)
    np.testing.assert_array_equal(maps.in_focus, z == 5)
    assert not maps.far.any()
    assert maps.focus.disparity == pytest.approx(0.2)
    # The blurred subject: opaque in its middle, a half on its edge, nothing far off.
    assert maps.coverage[75, 100] == pytest.approx(1, abs=1e-3)
    assert maps.coverage[75, 59:61].mean() == pytest.approx(0.5, abs=0.02)
    assert maps.coverage[75, 45] == 0


def test_sky_without_depth_is_blurred_like_infinity():
    z = np.full((150, 200), 10.0)
    z[:60] = np.nan
    maps = d3.bokeh_maps(scene(z), focus_m=10, lens=d3.ThinLens(0.5))
    np.testing.assert_allclose(maps.diameter_px[:60], -CAMERA.fx * 0.5 / 10, rtol=1e-5)


def test_portrait_photos():
    z = subject_and_wall().T
    image = np.random.default_rng(0).integers(0, 256, (200, 150, 3)).astype(np.uint8)
    photo = d3.RGBD(image, d3.DepthMap(z.astype(np.float32), "metric"), d3.Camera.from_fov(150, 200, 40))
    assert d3.bokeh(photo, focus=(75, 100)).shape == (200, 150, 3)
    # The lens of a picture and of the same picture turned is the same.
    turned = d3.Camera(CAMERA.fy, CAMERA.fx, CAMERA.cy, CAMERA.cx, CAMERA.height, CAMERA.width)
    assert d3.ThinLens.on_full_frame(turned, 2).aperture_m == pytest.approx(
        d3.ThinLens.on_full_frame(CAMERA, 2).aperture_m
    )


def test_highlights_raise_small_clipped_spots_where_they_are_blurred_and_nothing_else():
    light = np.full((200, 200, 3), 0.2, np.float32)
    light[20:23, 20:23] = light[20:23, 150:153] = 1  # two lamps
    light[100:180, 20:180] = 1  # a white wall
    radius = np.full((200, 200), -8, np.float32)
    radius[:, 100:] = 0
    raised = with_highlights(light, radius, 1.0)
    np.testing.assert_allclose(raised[21, 21], 8, rtol=0.2)  # three stops
    np.testing.assert_array_equal(raised[:, 100:], light[:, 100:])
    np.testing.assert_array_equal(raised[120:160, 30:70], 1)
    np.testing.assert_array_equal(raised[50:90, 20:90], light[50:90, 20:90])


def test_grain_is_measured_and_given_back_to_blurred_areas_only():
    rng = np.random.default_rng(4)
    v, _ = np.mgrid[:150, :200]
    clean = np.repeat((60 + 0.8 * v)[..., None], 3, axis=2)
    image = np.clip(clean + rng.normal(0, 5, (150, 200, 1)), 0, 255).round().astype(np.uint8)
    np.testing.assert_allclose(grain_of(image)[2:5], 5, rtol=0.15)
    z = subject_and_wall()
    photo = scene(z, image)
    smooth = d3.bokeh(photo, focus_m=1, lens=lens_of_radius(12))
    grainy = d3.bokeh(photo, focus_m=1, lens=lens_of_radius(12), grain=1.0)
    np.testing.assert_array_equal(grainy[z == 1], image[z == 1])
    rest = (grainy.astype(float) - smooth)[:30]
    assert rest.std() == pytest.approx(5, rel=0.15)
    np.testing.assert_array_equal(grainy, d3.bokeh(photo, focus_m=1, lens=lens_of_radius(12), grain=1.0))
    assert (grainy != d3.bokeh(photo, focus_m=1, lens=lens_of_radius(12), grain=1.0, seed=1)).any()


def test_a_photo_without_noise_gets_none():
    assert grain_of(np.full((60, 60, 3), 90, np.uint8)).max() == 0


def test_soft_depth_costs_little():
    """A disc before a wall: a map blurred by 2 pixels gives nearly the picture of the true one."""
    import cv2

    v, u = np.mgrid[:150, :200]
    inside = np.hypot(v - 75, u - 100) < 40
    noise = np.random.default_rng(5).normal(0, 12, (150, 200, 3))
    image = np.clip(np.where(inside[..., None], (200, 120, 70), (50, 90, 140)) + noise, 0, 255).astype(
        np.uint8
    )
    disparity = np.where(inside, 1.0, 0.2).astype(np.float32)
    soft = cv2.GaussianBlur(disparity, (0, 0), 2)

    def taken(values, edges="snap"):
        return d3.bokeh(
            scene(values, image, kind="relative"), focus=(100, 75), strength_px=24, edges=edges
        ).astype(float)

    def db(a, b):
        return 10 * np.log10(255**2 / ((a - b) ** 2).mean())

    truth = taken(disparity, "keep")
    assert db(taken(soft), truth) > db(taken(soft, "keep"), truth) + 6
    assert db(taken(soft), truth) > 40


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"focus": (1, 1), "focus_m": 2}, "give one of them"),
        ({"highlights": 2}, "highlights must lie between 0 and 1"),
        ({"grain": -1}, "grain must lie"),
        ({"sharp_px": -1}, "sharp_px must be 0 or more"),
        ({"edges": "blur"}, "edges must be one of snap, keep"),
        ({"strength_px": np.nan}, "strength_px must be"),
        ({"fringe_px": (1, 2)}, "fringe_px must be three"),
        ({"aperture": 5}, "aperture must be an Aperture"),
    ],
)
def test_bad_arguments(options, says):
    with pytest.raises(d3.Depth3DError, match=says):
        d3.bokeh(scene(subject_and_wall()), **options)


def test_relative_maps_are_told_what_to_type():
    relative = scene(1 / subject_and_wall(), kind="relative")
    with pytest.raises(d3.Depth3DError, match="--strength-px"):
        d3.bokeh(relative, lens=d3.ThinLens(0.02))
    with pytest.raises(d3.Depth3DError, match="--focus X,Y"):
        d3.bokeh(relative, focus_m=2)
    with pytest.raises(d3.Depth3DError, match="tilted plane of focus needs metric"):
        d3.bokeh(relative, tilt_deg=(20, 0))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2)])
def test_tiny_pictures(shape):
    z = np.linspace(1, 3, shape[0] * shape[1]).reshape(shape)
    assert d3.bokeh(scene(z), focus_m=0.3).shape == (*shape, 3)


def test_blur_larger_than_the_picture():
    picture = d3.bokeh(scene(subject_and_wall()), focus_m=0.002, lens=d3.ThinLens(0.1))
    assert np.ptp(picture.reshape(-1, 3).mean(axis=1)) < 40  # next to nothing is left of the noise


def test_bytes_survive_linear_light():
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    np.testing.assert_array_equal(to_srgb(to_linear(ramp)), ramp)
    assert Look().fringe_px == (0, 0, 0)
