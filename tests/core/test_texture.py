"""Looking colours up in a texture."""

from __future__ import annotations

import numpy as np

from depth3d.core.texture import texture_colors

TEXTURE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


def test_pixel_centres_and_corners():
    v, u = np.mgrid[:2, :3] + 0.5
    centres = np.stack([u / 3, v / 2], axis=-1).reshape(-1, 2)
    np.testing.assert_array_equal(texture_colors(TEXTURE, centres), TEXTURE.reshape(-1, 3))
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)
    np.testing.assert_array_equal(texture_colors(TEXTURE, corners), TEXTURE[[0, 0, 1, 1], [0, 2, 0, 2]])


def test_beyond_the_border_the_nearest_pixel_counts():
    outside = np.array([[-0.5, -3], [1.5, 0.1], [0.4, 9]])
    np.testing.assert_array_equal(texture_colors(TEXTURE, outside), TEXTURE[[0, 0, 1], [0, 2, 1]])


def test_nothing_to_look_up():
    assert texture_colors(TEXTURE, np.empty((0, 2))).shape == (0, 3)
