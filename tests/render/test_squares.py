"""Squares: what is kept of a picture is the picture, in every window."""

import numpy as np
import pytest
import torch

from depth3d.render.squares import SQUARE_PX, Squares


def picture_and_squares(size=(75, 130), share=0.002, seed=0):
    rng = np.random.default_rng(seed)
    at = np.flatnonzero(rng.random(size) < share)
    values, fill = rng.normal(size=(2, len(at))).astype(np.float32), np.float32([7, -3])
    whole = np.broadcast_to(fill[:, None], (2, size[0] * size[1])).copy()
    whole[:, at] = values
    kept = Squares(torch.from_numpy(at), list(torch.from_numpy(values)), fill.tolist(), size)
    return whole.reshape(2, *size), kept


@pytest.mark.parametrize("seed", range(3))
def test_windows_are_those_of_the_picture(seed):
    whole, kept = picture_and_squares(seed=seed)
    rng = np.random.default_rng(seed)
    for _ in range(50):
        (top, bottom), (left, right) = (sorted(rng.choice(side + 1, 2, False)) for side in whole.shape[1:])
        found = kept.within((slice(top, bottom), slice(left, right)))
        expected = whole[:, top:bottom, left:right]
        if found is None:
            assert (expected == np.float32([7, -3])[:, None, None]).all()
        else:
            np.testing.assert_array_equal(found.numpy(), expected)


def test_rows_and_columns_may_be_mirrored():
    whole, kept = picture_and_squares()
    rows, columns = np.r_[3, 2, 1, 0, 0, 1, 2, 40], np.r_[129, 129, 100, 5, 5]
    found = kept.within((torch.from_numpy(rows)[:, None], torch.from_numpy(columns)[None, :]))
    assert found is not None
    np.testing.assert_array_equal(found.numpy(), whole[:, rows[:, None], columns[None, :]])


def test_only_squares_that_hold_something_are_kept():
    size, at = (100, 200), torch.tensor([0, 31, 32, 200 * 99 + 199])
    kept = Squares(at, [torch.ones(4)], [0], size)
    assert kept.values.shape == (1, 1 + 3, SQUARE_PX, SQUARE_PX)
    np.testing.assert_array_equal(np.argwhere(kept.there), [[0, 0], [0, 1], [3, 6]])
    assert kept.within((slice(32, 64), slice(0, 200))) is None
