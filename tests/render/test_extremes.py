"""Extremes around pixels: the same as by looking at all of them."""

from __future__ import annotations

import numpy as np
import pytest

from depth3d.render.extremes import highest, lowest


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (23, 17), (40, 3)])
@pytest.mark.parametrize("reach", [0, 1, 4, 5, 8, 13, 16, 31, 90])
def test_they_are_those_of_the_square_around(shape, reach):
    values = np.random.default_rng(reach).normal(size=shape).astype(np.float32)
    least, most = lowest(values, reach), highest(values, reach)
    assert least.dtype == most.dtype == np.float32
    for row, col in np.ndindex(shape):
        square = values[max(row - reach, 0) : row + reach + 1, max(col - reach, 0) : col + reach + 1]
        assert least[row, col] == square.min()
        assert most[row, col] == square.max()


@pytest.mark.parametrize(("before", "reach"), [(0, 3), (1, 2), (2, 8), (4, 4), (5, 10), (8, 30)])
def test_they_go_on_from_those_of_a_smaller_square(before, reach):
    values = np.random.default_rng(1).normal(size=(60, 50)).astype(np.float32)
    for of in (lowest, highest):
        np.testing.assert_array_equal(of(of(values, before), reach, of_reach=before), of(values, reach))
