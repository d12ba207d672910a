"""Cutouts and backgrounds: exact mixtures come apart again, nothing of the old background stays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import depth3d as d3
from depth3d.core.color import to_linear, to_srgb
from depth3d.errors import InputError


def scene_of(image):
    height, width = image.shape[:2]
    camera = d3.Camera.from_fov(width, height, 60)
    return d3.RGBD(image, d3.DepthMap(np.ones((height, width), np.float32), "relative"), camera)


def soft_edge(shape=(50, 160), width=8.0):
    """A matte that falls from 1 to 0 over some columns in the middle."""
    ramp = np.clip(0.5 - (np.arange(shape[1]) + 0.5 - shape[1] / 2) / width, 0, 1)
    return np.broadcast_to(ramp, shape).astype(np.float32).copy()


def mixed(subject, background, alpha):
    """A photo of two surfaces of one colour each."""
    light = alpha[..., None] * np.array(subject) + (1 - alpha[..., None]) * np.array(background)
    return scene_of(to_srgb(light))


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_subject_and_background_give_the_photo_again(seed):
    rng = np.random.default_rng(seed)
    photo = scene_of(rng.integers(0, 256, (20, 30, 3)).astype(np.uint8))
    alpha = rng.random((20, 30)).astype(np.float32)
    subject, background = d3.unmix(photo, alpha)
    inside = ((subject > 0) & (subject < 1) & (background > 0) & (background < 1)).all(axis=2)
    again = alpha[..., None] * subject + (1 - alpha[..., None]) * background
    np.testing.assert_allclose(again[inside], to_linear(photo.image)[inside], atol=1e-5)


def test_exact_mixtures_come_apart():
    alpha, red, blue = soft_edge(), (0.7, 0.1, 0.05), (0.02, 0.1, 0.6)
    subject, background = d3.unmix(mixed(red, blue, alpha), alpha)
    partly = (alpha > 0.1) & (alpha < 0.9)
    assert np.abs(subject[partly] - red).mean() < 0.03
    assert np.abs(background[partly] - blue).mean() < 0.03
    # The photo itself, taken for the subject, is off by half the way between the two.
    assert np.abs(to_linear(mixed(red, blue, alpha).image)[partly] - red).mean() > 0.15


def test_another_background_takes_the_place_of_the_old_one():
    alpha, red, blue, green = soft_edge(), (0.7, 0.1, 0.05), (0.02, 0.1, 0.6), "#00b140"
    out = to_linear(d3.replace_background(mixed(red, blue, alpha), alpha, green))
    wanted = alpha[..., None] * np.array(red) + (1 - alpha[..., None]) * to_linear(
        np.array([0, 0xB1, 0x40], np.uint8)
    )
    assert np.abs(out - wanted).max() < 0.05
    np.testing.assert_array_equal(out[:, -20:], wanted[:, -20:].astype(np.float32))


def test_its_own_background_gives_the_photo_again():
    rng = np.random.default_rng(3)
    photo = scene_of(rng.integers(60, 200, (40, 60, 3)).astype(np.uint8))
    alpha = soft_edge((40, 60), 20)
    _, background = d3.unmix(photo, alpha)
    own = d3.replace_background(photo, alpha, to_srgb(background))
    assert np.abs(own.astype(int) - photo.image).mean() < 0.5
    np.testing.assert_array_equal(d3.replace_background(photo, np.ones((40, 60)), "#123456"), photo.image)
    np.testing.assert_array_equal(d3.replace_background(photo, np.zeros((40, 60)), photo.image), photo.image)


@pytest.mark.parametrize("size", [(20, 30), (400, 100), (50, 80), (51, 80)])
def test_backgrounds_of_any_size_cover_the_photo(size):
    photo = scene_of(np.zeros((50, 80, 3), np.uint8))
    even = np.full((*size, 3), (200, 30, 90), np.uint8)
    out = d3.replace_background(photo, np.zeros((50, 80)), even)
    np.testing.assert_array_equal(out, np.broadcast_to(even[0, 0], (50, 80, 3)))


def test_a_background_is_cut_at_its_longer_side_only():
    photo = scene_of(np.zeros((40, 40, 3), np.uint8))
    columns = np.zeros((40, 100, 3), np.uint8)
    columns[:, :30, 0], columns[:, 30:70, 1], columns[:, 70:, 2] = 255, 255, 255
    out = d3.replace_background(photo, np.zeros((40, 40)), columns)
    np.testing.assert_array_equal(out, columns[:, 30:70])


def test_a_cutout_holds_alpha_and_nothing_of_the_background(tmp_path):
    alpha = soft_edge((60, 240))
    photo = mixed((0.7, 0.1, 0.05), (0.02, 0.1, 0.6), alpha)
    d3.save(d3.cutout(photo, alpha), tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as file:
        assert file.mode == "RGBA"
        rgba = np.asarray(file)
    np.testing.assert_array_equal(rgba[..., 3], np.rint(255 * alpha))
    np.testing.assert_array_equal(rgba[:, :100, :3], photo.image[:, :100])
    blue = rgba[..., 2].astype(int) - rgba[..., 0]
    # Where there is any colour, transparent or not, it is the subject's: far more red than blue.
    colored = (rgba[..., :3] > 0).any(axis=2)
    assert blue[colored].max() < -60
    assert not colored[:, 160:].any()


@pytest.mark.parametrize(
    ("matte", "sentence"),
    [
        (np.ones((3, 4)), "the photo's size 6x5, got 4x3"),
        (np.full((5, 6), 255.0), r"0\.\.1, got 255\.\.255; divide"),
        (np.full((5, 6), np.nan), r"0\.\.1"),
        (np.ones((5, 6, 1)), "must have shape"),
    ],
)
@pytest.mark.filterwarnings("ignore:All-NaN")
def test_bad_mattes_are_refused(matte, sentence):
    with pytest.raises(InputError, match=sentence):
        d3.cutout(scene_of(np.zeros((5, 6, 3), np.uint8)), matte)


def test_bad_colours_are_refused():
    photo = scene_of(np.zeros((5, 6, 3), np.uint8))
    with pytest.raises(InputError, match="#rrggbb"):
        d3.replace_background(photo, np.ones((5, 6)), "green")
