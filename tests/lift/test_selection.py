"""What a mask keeps, and that it needs no second copy."""

from __future__ import annotations

import numpy as np
import pytest

from depth3d.lift.selection import rows_where, selected


@pytest.mark.parametrize("shape", [(1, 1), (5, 0), (0, 7), (37, 53)])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_it_is_what_indexing_gives(shape, share, monkeypatch):
    monkeypatch.setattr("depth3d.lift.selection.PIXELS_PER_BLOCK", 100)
    chance = np.random.default_rng(0)
    keep = chance.random(shape) < share
    for values in (
        chance.random((*shape, 3)).astype(np.float32),
        chance.integers(0, 255, (*shape, 3), np.uint8),
    ):
        found = selected(values, keep)
        np.testing.assert_array_equal(found, values[keep])
        assert found.dtype == values.dtype
        assert not found.flags.writeable
        assert found.base is None


def test_rows_and_columns_may_be_left_out():
    values, keep = np.arange(180.0).reshape(6, 10, 3), np.arange(60).reshape(6, 10) % 7 > 2
    np.testing.assert_array_equal(
        selected(values[::2, ::3], keep[::2, ::3]), values[::2, ::3][keep[::2, ::3]]
    )


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_rows_are_those_that_indexing_gives(share):
    chance = np.random.default_rng(2)
    rows, keep = chance.integers(0, 99, (60, 3), dtype=np.int32), chance.random(60) < share
    np.testing.assert_array_equal(rows_where(rows, keep), rows[keep])
    assert rows_where(rows[:0], keep[:0]).shape == (0, 3)
