"""Textures are colours, repeat as they say, and fade to their mean instead of aliasing."""

import numpy as np
import pytest

from depth3d.core.color import to_linear
from depth3d.errors import InputError
from depth3d.synthetic import Bricks, Checker, Marble, Plain, Stripes, Wood, linear_rgb

ALL = [Plain(), Checker(), Stripes(), Stripes(around=12), Bricks(), Wood(), Wood(plank_m=0.2), Marble()]


def on_a_sheet(n=4000, seed=0):
    points = np.random.default_rng(seed).uniform(-2, 2, (3, n))
    points[2] = np.random.default_rng(seed).choice([-1e-17, 0.0, 1e-17], n)  # rounding of a sheet at z = 0
    return points


@pytest.mark.parametrize("texture", ALL, ids=repr)
@pytest.mark.parametrize("footprint_m", [0.0, 0.003, 10.0])
def test_albedo_is_a_colour_that_reflects_no_more_than_it_gets(texture, footprint_m):
    points = on_a_sheet()
    color = texture(points, np.full(points.shape[1], footprint_m))
    assert color.shape == points.shape
    assert color.min() >= 0
    assert color.max() <= 1


@pytest.mark.parametrize("texture", [Checker(size_m=0.25), Stripes(width_m=0.25)], ids=repr)
def test_detail_fades_to_its_own_mean(texture):
    points = on_a_sheet()
    far = texture(points, np.full(points.shape[1], 200.0))
    np.testing.assert_allclose(far, np.full(far.shape, (0.75 + 0.08) / 2), atol=1e-3)


def test_a_filtered_checker_is_the_average_of_the_sharp_one():
    checker, width = Checker(size_m=0.25), 0.07
    x = np.linspace(-0.6, 0.6, 41)
    row = np.stack([x, np.full_like(x, 0.05), np.zeros_like(x)])
    steps = (np.arange(2000) + 0.5) / 2000 - 0.5
    sharp = [
        checker(row + np.array([[width * s], [0], [0]]), np.zeros_like(x)).mean(axis=0) for s in steps[::4]
    ]
    np.testing.assert_allclose(
        checker(row, np.full_like(x, width)).mean(axis=0), np.mean(sharp, 0), atol=2e-3
    )


def test_squares_of_a_checker_have_their_size_and_alternate():
    # One square is centred on the origin, and its neighbours along x and y are of the other colour.
    points = np.array([[0, 0.25, 0.25, 0.12, 0.13], [0, 0, 0.25, 0, 0], [0, 0, 0, 0, 0.0]])
    color = Checker((1, 1, 1), (0, 0, 0), 0.25)(points, np.zeros(5))
    np.testing.assert_allclose(color[0], [1, 0, 1, 1, 0], atol=1e-9)


@pytest.mark.parametrize("texture", ALL[1:], ids=repr)
def test_patterns_have_contrast(texture):
    points = np.random.default_rng(4).uniform(-2, 2, (3, 4000))
    color = texture(points, np.zeros(4000))
    assert color.std(axis=1).max() > 0.02


def test_hex_colours_are_decoded_to_linear_light():
    wanted = to_linear(np.array([0x12, 0xAB, 0xFF], dtype=np.uint8))
    np.testing.assert_allclose(linear_rgb("#12abff"), wanted, rtol=1e-6)


@pytest.mark.parametrize("code", ["", "#12", "#zzzzzz", "red", "#12345678"])
def test_other_words_are_no_colours(code):
    with pytest.raises(InputError, match="#rrggbb"):
        linear_rgb(code)
