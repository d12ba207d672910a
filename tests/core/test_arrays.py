"""`frozen` is the gate: it checks, owns and locks."""

from __future__ import annotations

import numpy as np
import pytest

from depth3d.core.arrays import all_finite, as_image, frozen, seen_image
from depth3d.errors import InputError


def freeze(values, dtype=np.float32, shape=(None, 3)):
    return frozen(values, name="points", dtype=dtype, shape=shape)


def test_it_owns_so_that_the_giver_cannot_change_it():
    mine = np.ones((2, 3), np.float32)
    theirs = freeze(mine)
    mine[:] = 7
    np.testing.assert_array_equal(theirs, 1)
    assert not np.shares_memory(mine, theirs)


def test_it_locks():
    with pytest.raises(ValueError, match="read-only"):
        freeze(np.ones((2, 3)))[0, 0] = 1


def test_it_leaves_the_givers_array_writable():
    mine = np.ones((2, 3), np.float32)
    freeze(mine)
    assert mine.flags.writeable


def test_what_nobody_can_write_is_not_copied():
    once = freeze(np.ones((2, 3)))
    assert freeze(once) is once
    part = once[:1]
    assert freeze(part) is part


def test_a_read_only_view_of_something_writable_is_copied():
    mine = np.ones((2, 3), np.float32)
    view = mine[:]
    view.flags.writeable = False
    theirs = freeze(view)
    mine[:] = 7
    np.testing.assert_array_equal(theirs, 1)


@pytest.mark.parametrize(
    "values",
    [
        [[1, 2, 3], [4, 5, 6]],
        np.array([[1, 2, 3], [4, 5, 6]], dtype=np.int16),
        np.array([[1, 4], [2, 5], [3, 6]], dtype=np.float64).T,  # Fortran order
        np.array([[1, 2, 3], [4, 5, 6]], dtype=">f4"),
        np.repeat(np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32), 2, axis=1)[:, ::2],  # strided
    ],
)
def test_anything_numeric_comes_out_as_plain_contiguous_float32(values):
    out = freeze(values)
    assert out.dtype == np.float32
    assert out.dtype.isnative
    assert out.flags.c_contiguous
    np.testing.assert_array_equal(out, [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("values", "dtype", "shape", "says"),
    [
        (np.ones((2, 4)), np.float32, (None, 3), r"points must have shape \(_, 3\), got \(2, 4\)"),
        (np.ones(3), np.float32, (None, 3), r"got \(3,\)"),
        (np.ones((2, 3)), np.float32, (5, 3), r"\(5, 3\), got \(2, 3\)"),
        (np.ones((2, 3), complex), np.float32, (None, 3), "must be float32, got complex128"),
        (np.array([["a", "b", "c"]]), np.float32, (None, 3), "must be float32, got str"),
        (np.array([[None, 1, 2]]), np.float32, (None, 3), "got object"),
        ([[1, 2, 3], [4, 5]], np.float32, (None, 3), "points must be an array of numbers; .*inhomogeneous"),
        (np.ones((2, 3)), np.uint8, (None, 3), "must be uint8, got float64"),  # never a silent cast
        (np.full((1, 3), 256), np.uint8, (None, 3), "must fit into uint8, got 256..256"),  # never a wrap
        (np.full((1, 3), -1), np.uint8, (None, 3), "got -1..-1"),
        (np.full((1, 3), 2**31), np.int32, (None, 3), "must fit into int32"),
    ],
)
def test_refusals(values, dtype, shape, says):
    with pytest.raises(InputError, match=says):
        freeze(values, dtype, shape)


def test_what_is_too_large_for_float32_is_infinite():
    np.testing.assert_array_equal(freeze([[1e300, -1e300, 1]]), [[np.inf, -np.inf, 1]])


def test_integers_that_fit_are_taken():
    out = freeze(np.array([[0, 128, 255]]), np.uint8)
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(out, [[0, 128, 255]])
    assert freeze(np.empty((0, 3), np.int64), np.uint8).shape == (0, 3)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.zeros((2, 3, 3)), "uint8 sRGB in 0..255, got float64"),
        (np.zeros((2, 3), np.uint8), r"\(H, W, 3\), got \(2, 3\)"),
        (np.zeros((2, 3, 4), np.uint8), "convert gray or RGBA to RGB"),
        ([[1, 2], [3]], "image must be an array of numbers"),
        (np.zeros((0, 3, 3), np.uint8), r"got \(0, 3, 3\)"),
    ],
)
def test_images_are_bytes_in_three_channels(image, says):
    for taken in (as_image, seen_image):
        with pytest.raises(InputError, match=says):
            taken(image)


def test_an_image_is_owned_and_locked():
    mine = np.zeros((2, 3, 3), np.uint8)
    image = as_image(mine)
    mine[:] = 9
    assert image.max() == 0
    assert not image.flags.writeable


def test_an_image_to_look_at_is_locked_where_it_is():
    mine = np.arange(36, dtype=np.uint8).reshape(2, 6, 3)
    seen = seen_image(mine)
    assert np.shares_memory(seen, mine)
    assert not seen.flags.writeable
    assert mine.flags.writeable
    turned = seen_image(mine[:, ::-2])
    np.testing.assert_array_equal(turned, mine[:, ::-2])
    assert turned.flags.c_contiguous


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_number_in_any_block_is_not_finite(bad, monkeypatch):
    monkeypatch.setattr("depth3d.core.arrays._BLOCK", 4)
    rows = np.zeros((11, 3), np.float32)
    assert all_finite(rows)
    assert all_finite(rows[:0])
    for i in (0, 3, 4, 10):
        rows[:] = 0
        rows[i, 2] = bad
        assert not all_finite(rows)
