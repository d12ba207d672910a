"""Where each eye's pixels go in every layout; the order of quilts and swings."""

import numpy as np
import pytest

from depth3d.core.color import to_linear, to_srgb
from depth3d.errors import InputError
from depth3d.render.anaglyph import anaglyph
from depth3d.render.stereo_layouts import LAYOUTS, quilt, quilt_name, stereo_picture, swing

LEFT, RIGHT = np.random.default_rng(1).integers(0, 256, (2, 7, 9, 3), dtype=np.uint8)


def test_whole_pictures_side_by_side_and_above_one_another():
    picture = stereo_picture(LEFT, RIGHT)
    assert np.array_equal(picture[:, :9], LEFT)
    assert np.array_equal(picture[:, 9:], RIGHT)
    assert np.array_equal(stereo_picture(LEFT, RIGHT, "cross-eyed"), stereo_picture(RIGHT, LEFT))
    picture = stereo_picture(LEFT, RIGHT, "top-bottom")
    assert np.array_equal(picture[:7], LEFT)
    assert np.array_equal(picture[7:], RIGHT)


def test_half_pictures_are_means_of_light():
    picture = stereo_picture(LEFT, RIGHT, "half-side-by-side")
    assert picture.shape == (7, 10, 3)  # an odd column counts twice
    light = to_linear(LEFT)
    assert np.array_equal(picture[:, 0], to_srgb((light[:, 0] + light[:, 1]) / 2))
    assert np.array_equal(picture[:, 4], LEFT[:, 8])
    assert np.array_equal(picture[:, 9], RIGHT[:, 8])
    picture = stereo_picture(LEFT, RIGHT, "half-top-bottom")
    assert picture.shape == (8, 9, 3)
    light = to_linear(RIGHT)
    assert np.array_equal(picture[4], to_srgb((light[0] + light[1]) / 2))
    assert np.array_equal(picture[3], LEFT[6])
    assert np.array_equal(picture[7], RIGHT[6])


@pytest.mark.parametrize(
    ("layout", "is_left"),
    [
        ("rows", lambda row, column: row % 2 == 0),
        ("columns", lambda row, column: column % 2 == 0),
        ("checkerboard", lambda row, column: (row + column) % 2 == 0),
    ],
)
def test_interlacing_takes_every_pixel_from_its_eye(layout, is_left):
    picture = stereo_picture(LEFT, RIGHT, layout)
    for row in range(7):
        for column in range(9):
            eye = LEFT if is_left(row, column) else RIGHT
            assert (picture[row, column] == eye[row, column]).all()


def test_anaglyphs_of_a_kind():
    assert np.array_equal(
        stereo_picture(LEFT, RIGHT, "anaglyph", anaglyph="gray"), anaglyph(LEFT, RIGHT, "gray")
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_pixel(layout):
    one = np.full((1, 1, 3), 90, np.uint8)
    assert stereo_picture(one, one, layout).dtype == np.uint8


def test_layouts_that_are_none():
    with pytest.raises(InputError, match=r"layout must be one of side-by-side, .*, got 'sbs'"):
        stereo_picture(LEFT, RIGHT, "sbs")
    with pytest.raises(InputError, match="one size, got 9x7 and 8x7"):
        stereo_picture(LEFT, RIGHT[:, 1:])


def views(count, shape=(2, 3)):
    return [np.full((*shape, 3), number, np.uint8) for number in range(count)]


def test_a_quilt_starts_at_the_bottom_left():
    tiles = quilt(iter(views(6)), 3, 2)[::2, ::3, 0]
    assert tiles.tolist() == [[3, 4, 5], [0, 1, 2]]
    tiles = quilt(views(6), 2, 3)[::2, ::3, 0]
    assert tiles.tolist() == [[4, 5], [2, 3], [0, 1]]


@pytest.mark.parametrize("given", [views(5), views(7), [*views(5), *views(1, (2, 4))]])
def test_a_quilt_takes_as_many_views_as_it_has_tiles(given):
    with pytest.raises(InputError, match="a quilt of 3x2 takes 6 views"):
        quilt(given, 3, 2)


def test_a_quilt_has_a_name():
    assert quilt_name("vase", 8, 6, (420, 560)) == "vase_qs8x6a0.75"
    assert quilt_name("vase_qs8x6a0.75", 8, 6, (420, 560)) == "vase_qs8x6a0.75"
    assert quilt_name("vase", 5, 9, (1920, 1080)) == "vase_qs5x9a1.7778"


@pytest.mark.parametrize(
    ("count", "frames", "order"),
    [
        (2, None, [0, 1]),
        (3, None, [0, 1, 2, 1]),
        (4, None, [0, 1, 2, 3, 2, 1]),
        (3, 9, [0, 1, 2, 1, 0, 1, 2, 1]),
        (3, 1, [0, 1, 2, 1]),
    ],
)
def test_a_swing_goes_to_and_fro_without_a_seam(count, frames, order):
    assert [int(view[0, 0, 0]) for view in swing(views(count), frames)] == order
