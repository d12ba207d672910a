"""Pictures: edges mixed in linear light, true lens blur, shadows where a light is hidden."""

import numpy as np
import pytest

from depth3d.core.camera import Camera
from depth3d.core.color import to_srgb
from depth3d.core.lens import ThinLens, circle_of_confusion_px
from depth3d.errors import InputError
from depth3d.synthetic import (
    Ambient,
    AreaLight,
    Material,
    Plain,
    Rectangle,
    Scene,
    Sphere,
    Surface,
    bars_scene,
    default_camera,
    place,
    random_scene,
    render_depth,
    render_image,
    render_linear,
    render_photograph,
    room_scene,
    still_life,
)

CAMERA = default_camera(64, 48)
DARK = Ambient(sky=(0, 0, 0), ground=(0, 0, 0))
BLACK = Plain((0.0, 0.0, 0.0))


def glowing(shape, radiance, pose):
    return Surface(shape, Material(BLACK, emission=(radiance, radiance, radiance)), pose)


@pytest.mark.parametrize("samples", [1, 4, 8])
@pytest.mark.parametrize("share", [0.125, 0.5, 0.625])
def test_an_edge_pixel_is_mixed_in_linear_light(samples, share):
    # A white sheet ends within column 8, at `share` of it: at cx + fx * x / z = 8 + share.
    camera = Camera(16, 16, 8, 8, 16, 16)
    edge_x = share / 16
    sheet = glowing(Rectangle(100, 100), 1.0, place(edge_x - 50, 0, 1.0))
    picture = render_linear(Scene((sheet,), ambient=DARK), camera, samples=samples)
    inside = np.mean((np.arange(samples) + 0.5) / samples <= share)  # one sample in each column of a grid
    row = np.where(np.arange(16) < 8, 1.0, 0.0)
    row[8] = inside
    np.testing.assert_allclose(picture, np.broadcast_to(row[:, None], (16, 16, 3)), atol=1e-6)
    bytes_ = render_image(Scene((sheet,), ambient=DARK), camera, samples=samples)
    np.testing.assert_array_equal(bytes_, to_srgb(picture))
    if samples == 8:
        assert inside == share


@pytest.mark.parametrize(
    ("z", "focus_m", "aperture_m"),
    [(1.0, 2.0, 0.03), (4.0, 1.0, 0.02), (2.0, np.inf, 0.05)],
)
def test_a_tiny_lamp_becomes_the_disc_of_the_formula(z, focus_m, aperture_m):
    camera = Camera(300, 300, 24, 24, 48, 48)
    lamp = glowing(Rectangle(z / 300, z / 300), 1.0, place(0, 0, z))  # one pixel
    lens, scene = ThinLens(aperture_m), Scene((lamp,), ambient=DARK)
    picture = render_photograph(scene, camera, lens, focus_m, samples=1600, seed=3)[..., 0]
    picture = picture.astype(np.float64)
    v, u = np.mgrid[:48, :48] + 0.5
    total = picture.sum()
    # A disc of diameter D has a variance of D^2 / 16 along an axis; pixel and lamp add 1/12 each.
    variance = [(picture * (a - 24) ** 2).sum() / total for a in (u, v)]
    diameter = np.sqrt(16 * (np.mean(variance) - 2 / 12))
    wanted = float(circle_of_confusion_px(np.array(z), focus_m=focus_m, lens=lens, fx_px=300))
    assert wanted > 4
    assert diameter == pytest.approx(wanted, abs=0.15)
    # Its light is that of one pixel, spread out, and round about the middle.
    assert total == pytest.approx(1.0, rel=0.03)
    assert (picture * u).sum() / total == pytest.approx(24, abs=0.1)
    assert (picture * v).sum() / total == pytest.approx(24, abs=0.1)
    radius = np.hypot(u - 24, v - 24)
    assert picture[radius > wanted / 2 + 1.5].max(initial=0) == 0
    flat = picture[radius < wanted / 2 - 1.5]
    assert flat.mean() == pytest.approx(1 / (np.pi * wanted**2 / 4), rel=0.1)


def test_what_lies_on_the_plane_in_focus_is_as_sharp_as_through_a_pinhole():
    camera = Camera(60, 60, 32, 24, 64, 48)
    sheet = glowing(Rectangle(0.4, 0.3), 1.0, place(0.013, 0.007, 1.5))
    scene = Scene((sheet,), ambient=DARK)
    sharp = render_linear(scene, camera, samples=16)
    through_lens = render_photograph(scene, camera, ThinLens(0.08), 1.5, samples=16, seed=9)
    np.testing.assert_allclose(through_lens, sharp, atol=1e-6)


def test_a_closed_aperture_is_a_pinhole():
    scene = bars_scene()
    photograph = render_photograph(scene, CAMERA, ThinLens(0.0), 0.7, samples=4)
    np.testing.assert_array_equal(photograph, render_linear(scene, CAMERA, samples=4))


def test_blur_moves_light_and_makes_none():
    lamps = tuple(glowing(Sphere(0.05), 30.0, place(x, 0, 1.2)) for x in (-0.2, 0.0, 0.25))
    scene = Scene(lamps, ambient=DARK)
    sharp = render_linear(scene, CAMERA, samples=64).sum()
    blurred = render_photograph(scene, CAMERA, ThinLens(0.05), 3.0, samples=64).sum()
    assert blurred == pytest.approx(sharp, rel=0.02)


def test_lamps_are_brighter_than_white():
    assert render_linear(room_scene(), CAMERA).max() > 5
    assert render_image(room_scene(), CAMERA).max() == 255


def test_light_falls_off_by_distance_and_angle():
    light = AreaLight((0, 0, 0), intensity=(2.0, 2.0, 2.0))
    wall = Surface(Rectangle(), Material(Plain((0.5, 0.5, 0.5))), place(0, 0, 2))
    picture = render_linear(Scene((wall,), (light,), DARK), CAMERA, samples=1)
    length_sq = 4 * (CAMERA.pixel_rays() ** 2).sum(-1)  # metres^2 to the wall at z = 2
    wanted = 0.5 * 2.0 * (2 / np.sqrt(length_sq)) / length_sq
    np.testing.assert_allclose(picture[..., 1], wanted, rtol=1e-5)


def test_a_shadow_is_where_the_light_is_hidden():
    # Light at the origin, a square of half-side 0.1 at z = 1: its shadow at z = 2 has half-side 0.2.
    # The camera stands 0.5 m to the right, so that it sees part of the shadow beside the square.
    scene = Scene(
        (
            Surface(Rectangle(0.2, 0.2), T_world_shape=place(0, 0, 1)),
            Surface(Rectangle(), T_world_shape=place(0, 0, 2)),
        ),
        (AreaLight((0, 0, 0)),),
        DARK,
    )
    pose = place(0.5, 0, 0)
    camera = Camera(60, 60, 32, 24, 64, 48)
    lit = render_linear(scene, camera, pose, samples=1)[..., 0] > 0
    z = render_depth(scene, camera, pose).values
    x, y = (camera.pixel_rays()[..., i] * z + (0.5, 0.0)[i] for i in (0, 1))
    shadow = (z > 1.5) & (np.maximum(np.abs(x), np.abs(y)) < 0.2)
    assert shadow.sum() > 20
    np.testing.assert_array_equal(lit, ~shadow)


def test_half_an_area_light_gives_half_the_light():
    # A blade covers the left half of the light, seen from the point straight ahead.
    blade = Surface(Rectangle(2.0, 4.0), T_world_shape=place(-1.0, 0, 0.6))
    wall = Surface(Rectangle(), T_world_shape=place(0, 0, 2))
    light = AreaLight((0, 0, 0.2), (0.2, 0, 0), (0, 0.2, 0), rays=16)
    narrow = Camera(4000, 4000, 4, 4, 8, 8)  # looks at 1 mm of the wall
    pose = place(1.0, 0, 0, yaw_deg=-np.degrees(np.arctan2(1, 2)))
    whole = render_linear(Scene((wall,), (light,), DARK), narrow, pose, samples=4)
    half = render_linear(Scene((wall, blade), (light,), DARK), narrow, pose, samples=4)
    assert (half / whole).mean() == pytest.approx(0.5, abs=0.02)


def test_creases_are_darker_than_open_surfaces():
    floor = Surface(Rectangle(), T_world_shape=place(0, 0.5, 0, pitch_deg=90))
    wall = Surface(Rectangle(), T_world_shape=place(0, 0, 3))
    even = (1.0, 1.0, 1.0)
    picture, plain = (
        render_linear(Scene((floor, wall), ambient=Ambient(even, even, reach_m=reach)), CAMERA, samples=1)
        for reach in (0.3, 0.0)
    )
    np.testing.assert_allclose(plain, 0.6, rtol=1e-6)
    column = picture[:, 32, 0]
    crease = int(np.argmin(column))
    z = render_depth(Scene((floor, wall)), CAMERA).values[:, 32]
    assert abs(crease - np.argmax(z < 3)) <= 1  # darkest where floor and wall meet
    assert column[crease] < 0.5
    np.testing.assert_allclose(column[[0, -1]], 0.6, rtol=1e-6)  # and open away from it


@pytest.mark.parametrize("maker", [bars_scene, lambda: random_scene(5), lambda: random_scene(6)])
def test_the_same_scene_gives_the_same_bytes(maker):
    one, other = (render_image(maker(), CAMERA, samples=2) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert one.std() > 5
    lens = ThinLens(0.02)
    a, b, c = (render_photograph(maker(), CAMERA, lens, 1.5, samples=2, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_the_block_size_does_not_matter(monkeypatch):
    whole = render_linear(bars_scene(), CAMERA, samples=2)
    monkeypatch.setattr("depth3d.synthetic.render._RAYS_A_BLOCK", 200)
    np.testing.assert_allclose(render_linear(bars_scene(), CAMERA, samples=2), whole, rtol=1e-6)


def test_random_scenes_differ_and_leave_the_camera_room():
    nearest, pictures = [], []
    for seed in range(24):
        scene = random_scene(seed)
        depth = render_depth(scene, default_camera(32, 24))
        assert depth.valid.mean() > 0.3
        nearest.append(np.nanmin(depth.values))
        pictures.append(np.nan_to_num(depth.values))
    assert min(nearest) > 0.3
    assert len({p.tobytes() for p in pictures}) == 24


def test_the_still_life_fills_the_picture_and_has_depth():
    camera = default_camera(80, 60, 50)
    depth = render_depth(still_life(), camera)
    assert depth.valid.all()
    assert 0.6 < depth.values.min() < 1.0
    assert 1.9 < depth.values.max() < 2.4
    image = render_image(still_life(), camera, samples=1)
    assert (image == 0).all(axis=-1).mean() < 0.01
    assert (image == 255).all(axis=-1).mean() < 0.01
    assert 60 < image.mean() < 150


@pytest.mark.parametrize(
    ("options", "words"),
    [({"samples": 0}, "samples"), ({"samples": 2.5}, "samples"), ({"focus_m": 0.0}, "focus_m")],
)
def test_wrong_settings_get_one_sentence(options, words):
    settings = {"focus_m": 1.0, "samples": 1} | options
    with pytest.raises(InputError, match=words):
        render_photograph(bars_scene(), CAMERA, ThinLens(0.01), **settings)
