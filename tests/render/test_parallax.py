"""Films of small scenes: frames, loops, looks, sizes, and what is refused."""

import itertools

import numpy as np
import pytest

import depth3d as d3
from depth3d.core.color import to_linear, to_srgb
from depth3d.render.film import Film
from depth3d.render.parallax import timing_of

W, H = 64, 48


@pytest.fixture(scope="module")
def scene():
    """A textured box before a textured wall."""
    v, u = np.mgrid[:H, :W]
    z = np.where((u >= 24) & (u < 40) & (v >= 14) & (v < 34), 1.0, 3.0).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 8, (H, W))
    wave = 120 + 50 * np.sin(u / 5) * np.cos(v / 6) + noise
    image = np.stack([wave, wave[::-1], np.where(z == 1, 220, 60) + noise], axis=-1)
    camera = d3.Camera(70, 70, 32, 24, W, H)
    return d3.RGBD(image.clip(0, 255).astype(np.uint8), d3.DepthMap(z, "metric"), camera)


@pytest.fixture(scope="module")
def layers(scene):
    return d3.layers(scene, reach_px=4, margin_px=8)


def film(scene, path=None, frames=6, **options):
    path = path or d3.Orbit()
    return Film(scene, path, timing_of(path, frames), **options)


def test_it_is_a_generator_of_frames_and_saves_as_a_film(scene, tmp_path):
    frames = d3.parallax(scene, d3.Orbit(), frames=5)
    assert iter(frames) is frames
    d3.save(frames, tmp_path / "orbit.mp4", fps=30)
    import av

    with av.open(str(tmp_path / "orbit.mp4")) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [picture.shape for picture in pictures] == [(H, W, 3)] * 5


def test_the_first_frame_of_a_filled_film_is_the_photo_and_a_loop_has_no_seam(scene, layers):
    made = film(layers, frames=5, border="fill")
    np.testing.assert_array_equal(made.frame(0), scene.image)
    np.testing.assert_array_equal(made.frame(5), made.frame(0))
    np.testing.assert_array_equal(made.frame(7), made.frame(2))
    assert (made.frame(1) != scene.image).mean() > 0.2


def test_the_box_moves_against_the_wall_as_the_plan_says(layers):
    """The box is the still point; the wall shifts by fx * length * (1 - 1/3) pixels."""
    made = film(layers, d3.Sway(), frames=4, border="fill", pivot=(32, 24))
    shift = 70 * made.plan.length * (1 - 1 / 3)
    assert shift == pytest.approx(0.025 * W, rel=0.01)
    still, moved = made.frame(0), made.frame(1)
    assert np.abs(still[18:30, 28:36].astype(int) - moved[18:30, 28:36]).max() <= 2
    whole = film(layers, d3.Sway(), frames=4, border="fill", pivot=(32, 24), length=2 / (70 * 2 / 3))
    there = whole.frame(1)[2:10, 8:56].astype(int)
    np.testing.assert_allclose(there, still[2:10, 6:54], atol=6)


def test_the_way_back_shows_the_same_pictures(layers):
    frames = list(film(layers, d3.Sway(), frames=8, border="fill").frames())
    for there, back in ((1, 3), (5, 7), (0, 4)):
        assert (np.abs(frames[there].astype(int) - frames[back]) > 1).mean() < 0.01
    assert (frames[2] != frames[6]).mean() > 0.2


@pytest.mark.parametrize(
    "path", [d3.DollyIn(), d3.DollyZoom(), d3.Zoom(1.3), d3.Handheld(), d3.KenBurns()], ids=repr
)
def test_every_path_gives_frames_of_one_size(layers, path):
    frames = list(d3.parallax(layers, path, frames=3, size=40, max_parallax_percent=2))
    assert {frame.shape for frame in frames} == {(30, 40, 3)}
    assert (frames[0] != frames[1]).any()


def test_sizes_and_aspects(scene, layers):
    assert next(d3.parallax(layers, frames=1, size=(36, 64))).shape == (64, 36, 3)
    assert next(d3.parallax(layers, frames=1, aspect=1.0)).shape == (48, 48, 3)
    big = d3.RGBD(
        np.repeat(np.repeat(scene.image, 8, 0), 8, 1),
        d3.DepthMap(np.repeat(np.repeat(scene.depth.values, 8, 0), 8, 1), "metric"),
        scene.camera.resized(8 * W, 8 * H),
    )
    made = film(big, size=64, pivot=(8 * 32, 8 * 24))
    assert made.scene.size_wh == (77, 58)  # 1.2 pixels for each of a frame's
    assert made.plan.stage.point == pytest.approx((38.5, 29), abs=0.1)
    assert made.plan.stage.inverse_depth == pytest.approx(1)
    assert made.pivot.point == pytest.approx((8 * 32, 8 * 24))
    assert "(256, 192)" in made.pivot.why


def test_motion_blur_averages_light(layers):
    sharp = film(layers, d3.Sway(), frames=4, border="fill", look=d3.FilmLook())
    look = d3.FilmLook(shutter_deg=180, exposures=4)
    blurred = film(layers, d3.Sway(), frames=4, border="fill", look=look)
    assert look.moments(2) == pytest.approx([1.8125, 1.9375, 2.0625, 2.1875])
    parts = [
        sharp._renderer.render(views.poses[0], views.camera(0, (W, H))).image
        for views in (sharp.plan.views([moment]) for moment in look.moments(2))
        if sharp.prepare() is None
    ]
    want = to_srgb(np.mean([to_linear(part) for part in parts], axis=0))
    np.testing.assert_array_equal(blurred.frame(2), want)


def test_depth_of_field_keeps_the_still_point_sharp(layers):
    options = {"frames": 4, "border": "fill", "pivot": (32, 24)}
    sharp, soft = (film(layers, look=d3.FilmLook(strength_px=s), **options) for s in (None, 8.0))
    box, wall = (slice(20, 28), slice(29, 35)), (slice(2, 9), slice(6, 58))
    for number in range(2):
        a, b = sharp.frame(number), soft.frame(number)
        np.testing.assert_array_equal(a[box], b[box])
        assert np.diff(b[wall].astype(int), axis=1).std() < 0.6 * np.diff(a[wall].astype(int), axis=1).std()
    away = film(layers, look=d3.FilmLook(strength_px=8.0, focus=(5, 5)), **options).frame(0)
    np.testing.assert_array_equal(away[2:6, 4:12], sharp.frame(0)[2:6, 4:12])
    assert np.abs(away[box].astype(int) - sharp.frame(0)[box]).mean() > 2


def test_a_lens_blurs_as_bokeh_does(scene, layers):
    lens = d3.ThinLens(0.08)
    look = d3.FilmLook(lens=lens)
    made = film(layers, frames=2, border="fill", pivot=(32, 24), look=look).frame(0)
    want = d3.bokeh(scene, focus=(32, 24), lens=lens, edges="keep")
    assert np.abs(made.astype(int) - want).max() <= 1


def test_a_vignette_falls_off_by_the_closed_form(layers):
    made = film(layers, frames=2, border="fill", look=d3.FilmLook(vignette=0.5)).frame(0)
    r2 = ((np.arange(W) + 0.5 - 32)[None] ** 2 + (np.arange(H) + 0.5 - 24)[:, None] ** 2) / (32**2 + 24**2)
    falloff = 1 / (1 + (2**0.5 - 1) * r2[..., None]) ** 2
    want = to_srgb(to_linear(layers.photo) * falloff)
    assert np.abs(made.astype(int) - want).max() <= 1


def test_relative_scenes_and_pivots(scene):
    relative = d3.RGBD(scene.image, d3.DepthMap(200 / scene.depth.values, "relative"), scene.camera)
    near, far = (film(relative, pivot_disparity=q).plan.stage.inverse_depth for q in (1.0, 0.2))
    assert (near, far) == (1.0, 0.2)
    assert film(relative, pivot=(32, 24)).plan.stage.inverse_depth == pytest.approx(1)
    assert film(scene, pivot_m=3.0).plan.stage.inverse_depth == pytest.approx(1 / 3)
    for options in ({"pivot_m": 2.0}, {"look": d3.FilmLook(lens=d3.ThinLens(0.02))}):
        with pytest.raises(d3.Depth3DError, match="relative map"):
            film(relative, **options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"scene": 3}, "needs an RGBD scene or Layers"),
        ({"path": "orbit"}, "path must be a way of the camera"),
        ({"frames": 0}, "frames must be"),
        ({"path": d3.DollyIn(), "repeat": "loop"}, "does not end where it begins"),
        ({"pivot": (900, 3)}, "outside the picture"),
        ({"path": d3.Sway(), "length": 0.15}, "layers of a reach"),
        ({"path": d3.DollyIn(), "length": 3.0}, "come to a surface"),
        ({"supersample": 0}, "supersample"),
        ({"aspect": -1.0}, "aspect must lie"),
        ({"max_parallax_percent": float("nan")}, "max_parallax_percent must be above 0"),
        ({"max_parallax_percent": 0, "length": 0.01}, "max_parallax_percent must be above 0"),
        ({"pivot_m": -1.0}, "pivot_m must be positive"),
        ({"pivot": (3, 3), "pivot_m": 1.0}, "pivot and pivot_m would each set the pivot"),
    ],
)
def test_bad_arguments_are_refused_at_once(layers, options, says):
    scene = options.pop("scene", layers)
    with pytest.raises(d3.Depth3DError, match=says):
        next(d3.parallax(scene, **{"frames": 4, **options}))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"edges": "sharp"}, "edges must be snap or keep, got 'sharp'"),
        ({"device": "abacus"}, "device must be auto"),
        ({"supersample": 9}, "supersample must be a whole number"),
        ({"pivot": (65, 3), "size": 20}, r"\(65, 3\) lies outside the picture of 64x48"),
        ({"look": d3.FilmLook(strength_px=2, focus=(3, 49)), "size": 20}, r"\(3, 49\) lies outside .* 64x48"),
    ],
)
def test_a_plan_is_refused_before_layers_are_made(scene, options, says):
    with pytest.raises(d3.Depth3DError, match=says):
        film(scene, **options)


def test_a_corner_is_a_still_point_at_any_size(scene):
    for size in (13, 20, 37):
        assert film(scene, pivot=(W, H), size=size).pivot.point == pytest.approx((W, H))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"shutter_deg": -1}, "shutter_deg must lie"),
        ({"exposures": 1}, "exposures must be"),
        ({"vignette": 1.0}, "vignette must lie"),
        ({"lens": d3.ThinLens(0.02), "strength_px": 3.0}, "give one of them"),
        ({"focus": (1, 2)}, "give a lens or strength_px"),
    ],
)
def test_bad_looks_are_refused(values, says):
    with pytest.raises(d3.Depth3DError, match=says):
        d3.FilmLook(**values)


@pytest.mark.parametrize("size_wh", [(1, 1), (2, 1), (1, 3)])
def test_pictures_of_a_few_pixels_are_films_too(size_wh):
    w, h = size_wh
    image = np.arange(3 * w * h, dtype=np.uint8).reshape(h, w, 3)
    scene = d3.RGBD(
        image, d3.DepthMap(1.0 + np.arange(w * h).reshape(h, w), "metric"), d3.Camera(2, 2, 1, 1, w, h)
    )
    made = film(scene, d3.Sway(), frames=2, border="fill")
    np.testing.assert_array_equal(made.frame(0), image)
    assert made.frame(1).shape == image.shape


def test_frames_come_one_at_a_time(layers):
    frames = d3.parallax(layers, frames=90_000, size=16)
    assert len(list(itertools.islice(frames, 2))) == 2
