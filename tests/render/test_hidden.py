"""What is behind the foreground: planes go on as planes, patterns as patterns, never what is in front."""

import numpy as np
import pytest

from depth3d.render.hidden import hidden_layer
from depth3d.render.hidden_colors import _smooth, hidden_colors


def card_before(color, radius, at=(slice(30, 70), slice(50, 70)), level=12.0):
    """Put a red card in front of a wall."""
    color, radius = color.astype(np.float32).copy(), radius.astype(np.float32).copy()
    color[at], radius[at] = (0.9, 0.0, 0.0), level
    return color, radius


def striped(shape=(100, 120), period=10):
    """A wall with level stripes, blue and green."""
    light = (np.arange(shape[0]) // (period // 2)) % 2
    color = np.where(light[:, None, None] > 0, (0.0, 0.7, 0.1), (0.0, 0.1, 0.6))
    return np.broadcast_to(color, (*shape, 3))


def test_a_leaning_wall_goes_on_as_the_plane_that_it_is():
    v, u = np.mgrid[:100, :120]
    plane = 0.04 * u - 0.03 * v
    color, radius = card_before(np.full((100, 120, 3), 0.3), plane)
    layer = hidden_layer(color, radius, gain=1.0)
    assert layer.mask[30:70, 50:70].all()
    assert not layer.mask[radius != 12].any()
    np.testing.assert_allclose(layer.disparity[layer.mask], plane[layer.mask], atol=0.05)
    np.testing.assert_array_equal(layer.disparity[~layer.mask], radius[~layer.mask])


def test_stripes_go_on_behind_a_card():
    wall = striped()
    color, radius = card_before(wall, np.zeros((100, 120)))
    layer = hidden_layer(color, radius, gain=1.0)
    error = np.abs(layer.color - wall)[layer.mask]
    assert error.mean() < 0.02
    assert (error.max(axis=1) < 0.1).mean() > 0.95


@pytest.mark.parametrize("seed", [0, 1])
def test_nothing_comes_from_in_front(seed):
    chance = np.random.default_rng(seed)
    wall = np.zeros((100, 120, 3))
    wall[..., 1:] = chance.random((100, 120, 2))
    color, radius = card_before(wall, np.zeros((100, 120)))
    assert hidden_layer(color, radius, gain=1.0).color[30:70, 50:70, 0].max() < 1e-4


def test_what_nobody_can_know_is_smooth_and_what_repeats_is_not():
    chance = np.random.default_rng(0)
    hole = np.zeros((100, 120), bool)
    hole[30:70, 50:70] = True
    flat = np.ones((100, 120), np.float32)
    spread = []
    for wall in (striped(), chance.random((100, 120, 3))):
        color = np.where(hole[..., None], 0, wall).astype(np.float32)
        filled = hidden_colors(color, flat, ~hole, hole, flat)
        spread.append(filled[hole].std(axis=0)[1] / wall[hole].std(axis=0)[1])
    assert spread[0] > 0.9
    assert spread[1] < 0.8


def test_a_plane_hides_nothing_and_a_gain_of_nothing_neither():
    v, u = np.mgrid[:60, :80].astype(np.float32)
    layer = hidden_layer(np.full((60, 80, 3), 0.5, np.float32), 0.9 * u + 0.3 * v, gain=1.0)
    assert not layer.mask.any()
    color, radius = card_before(np.full((100, 120, 3), 0.5), np.zeros((100, 120)))
    assert not hidden_layer(color, radius, gain=0.1).mask.any()


def test_large_pictures_are_filled_at_a_smaller_size():
    # 1.5 megapixels: the mask and the plane are those of the full size to a pixel or two.
    radius = np.zeros((1000, 1500), np.float32)
    color = np.full((1000, 1500, 3), 0.25, np.float32)
    color, radius = card_before(color, radius, (slice(300, 600), slice(500, 800)), 20)
    layer = hidden_layer(color, radius, gain=1.0)
    assert layer.mask[302:598, 502:516].all()
    assert not layer.mask[radius == 0].any()
    np.testing.assert_allclose(layer.color[layer.mask], 0.25, atol=0.01)
    np.testing.assert_allclose(layer.disparity[layer.mask], 0, atol=0.01)


def test_a_picture_of_one_row_is_filled_as_any_of_equal_rows():
    rng = np.random.default_rng(0)
    for seed in range(5):
        row = np.random.default_rng(seed).random((1, 300, 3)).astype(np.float32)
        source = np.random.default_rng(seed + 9).random((1, 300)) < 0.7
        junk = [np.full(3000, rng.random() * 1e9, np.float32) for _ in range(20)]
        del junk  # what lies beyond the row
        alone = _smooth(row, source, ~source)
        among = _smooth(*(np.repeat(rows, 3, axis=0) for rows in (row, source, ~source)))
        np.testing.assert_array_equal(alone, among[1:2])
        assert alone.min() >= -1e-3
        assert alone.max() <= 1 + 1e-3
