"""The sRGB curve."""

from __future__ import annotations

import numpy as np
import pytest

from depth3d.core import color
from depth3d.core.color import to_linear, to_srgb

BYTES = np.arange(256, dtype=np.uint8)


def test_every_byte_comes_back():
    np.testing.assert_array_equal(to_srgb(to_linear(BYTES)), BYTES)


def test_light_grows_with_the_byte_from_black_to_white():
    light = to_linear(BYTES)
    assert (light[0], light[255]) == (0, 1)
    assert (np.diff(light) > 0).all()
    assert light.dtype == np.float32


@pytest.mark.parametrize(
    ("byte", "light"),
    [
        (10, 10 / 255 / 12.92),  # the straight part
        (11, ((11 / 255 + 0.055) / 1.055) ** 2.4),  # the first byte above 0.04045
        (188, 0.5),  # half the light of white is far above half its byte
        (119, 0.184),  # about 18 % grey
    ],
)
def test_values_of_the_standard(byte, light):
    assert to_linear(np.uint8([byte]))[0] == pytest.approx(light, abs=4e-3 if byte > 11 else 1e-7)


def test_encoding_rounds_and_clips_and_never_wraps():
    np.testing.assert_array_equal(to_srgb(np.array([-1.0, 0.0, 1.0, 7.0])), [0, 0, 255, 255])
    x = np.linspace(0, 1, 2001)
    exact = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055) * 255
    assert np.abs(to_srgb(x) - exact).max() <= 0.5 + 1e-9


def test_shape_is_kept():
    assert to_linear(np.zeros((2, 3, 3), np.uint8)).shape == (2, 3, 3)
    assert to_srgb(np.zeros((2, 3, 3))).shape == (2, 3, 3)


def test_blocks_do_not_show():
    light = np.random.default_rng(0).uniform(-0.1, 1.2, (3, 300, 500)).astype(np.float32).transpose(1, 2, 0)
    assert light.size > 3 * color._BLOCK
    image = to_srgb(light)
    by_row = np.stack([to_srgb(row) for row in light])
    np.testing.assert_array_equal(image, by_row)
    np.testing.assert_array_equal(to_srgb(light[::2, ::3]), image[::2, ::3])
    assert to_srgb(np.zeros((0, 3))).shape == (0, 3)
