"""Anaglyphs against where their numbers come from, and against closed forms."""

import numpy as np
import pytest

from depth3d.core.color import to_linear, to_srgb
from depth3d.errors import InputError
from depth3d.render.anaglyph import ANAGLYPHS, anaglyph

COLORS = np.random.default_rng(5).integers(0, 256, (2, 24, 32, 3), dtype=np.uint8)


def test_red_and_cyan_follow_from_glasses_and_screen():
    """W. R. Sanders, D. F. McAllister 2003: what both glasses let through, and the light of a CRT, in XYZ."""
    left = [
        [5.42327, 0.807004, 0.047325],
        [2.70972, 0.50201, 0.0250529],
        [5.50941e-5, 4.11221e-4, 2.40686e-3],
    ]
    right = [[0.180431, 1.6395, 2.00309], [0.448214, 6.31551, 1.35757], [0.289201, 2.3925, 11.062]]
    screen = np.array([[11.6638, 8.3959, 4.65843], [7.10807, 16.6845, 2.45008], [0.527874, 3.79124, 24.0604]])
    glasses = np.concatenate([left, right])
    seen = np.kron(np.eye(2), screen)
    matrix = np.linalg.lstsq(glasses, seen, rcond=None)[0]
    matrix /= matrix.sum(axis=1, keepdims=True)  # white stays white
    np.testing.assert_allclose(ANAGLYPHS["dubois"], matrix, atol=6e-6)


@pytest.mark.parametrize("kind", ANAGLYPHS)
def test_light_is_mixed_linearly_and_clipped(kind):
    left, right = COLORS
    both = np.concatenate([to_linear(left), to_linear(right)], axis=-1).astype(np.float64)
    expected = to_srgb(np.einsum("ij,hwj->hwi", ANAGLYPHS[kind].astype(np.float64), both))
    got = anaglyph(left, right, kind)
    assert np.abs(got.astype(int) - expected).max() <= 1
    assert (got == expected).mean() > 0.99


@pytest.mark.parametrize("kind", ANAGLYPHS)
@pytest.mark.parametrize("level", [0, 60, 255])
def test_gray_stays_gray_where_both_eyes_agree(kind, level):
    image = np.full((2, 300, 3), level, np.uint8)
    expected = [level, 0 if kind == "true" else level, level]
    tolerance = 6 if "-" in kind and kind.startswith("dubois") else 1  # published with three decimals
    assert np.abs(anaglyph(image, image, kind).astype(int) - expected).max() <= tolerance


def test_each_glass_sees_its_own_picture():
    black, white = np.zeros((1, 1, 3), np.uint8), np.full((1, 1, 3), 255, np.uint8)
    for kind, left in (("gray", (255, 0, 0)), ("color", (255, 0, 0)), ("true", (255, 0, 0))):
        assert tuple(anaglyph(white, black, kind)[0, 0]) == left
        right = (0, 0 if kind == "true" else 255, 255)
        assert tuple(anaglyph(black, white, kind)[0, 0]) == right
    red, green, _ = anaglyph(white, black, "dubois-green-magenta")[0, 0]
    assert green > 240 > 10 >= red
    red, green, blue = anaglyph(white, black, "dubois-amber-blue")[0, 0]
    assert min(red, green) > 240 > 10 >= blue


def test_color_takes_channels_as_they_are():
    left, right = COLORS
    assert np.array_equal(anaglyph(left, right, "color"), np.dstack([left[..., 0], right[..., 1:]]))


def test_tall_pictures_go_by_bands():
    left = np.random.default_rng(0).integers(0, 256, (600, 3, 3), dtype=np.uint8)
    whole = anaglyph(left, left[::-1], "dubois")
    rows = [anaglyph(left[k : k + 1], left[::-1][k : k + 1], "dubois") for k in (0, 255, 256, 511, 599)]
    assert np.array_equal(whole[[0, 255, 256, 511, 599]], np.concatenate(rows))


def test_refusals():
    with pytest.raises(InputError, match=r"an anaglyph is one of dubois, .*, got 'red'"):
        anaglyph(COLORS[0], COLORS[1], "red")
    with pytest.raises(InputError, match="pictures of one size, got 32x24 and 32x23"):
        anaglyph(COLORS[0], COLORS[1][:-1])
