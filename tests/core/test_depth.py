"""A depth map knows what its numbers mean, and NaN is its only unknown."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from depth3d.core.depth import DepthKind, DepthMap
from depth3d.errors import InputError, NeedsMetricError

inf, nan = np.inf, np.nan


@pytest.mark.parametrize(
    ("kind", "given", "kept"),
    [
        ("metric", [[1.5, 0.0, nan, inf]], [[1.5, nan, nan, nan]]),  # 0 is a sensor's "no measurement"
        ("metric", [[-0.0, 2.0]], [[nan, 2.0]]),
        ("metric", [[1e300, 2.0]], [[nan, 2.0]]),  # too large for float32: infinite, so unknown
        ("metric", [[1e-39, 2e-38]], [[nan, 2e-38]]),  # 1/z must fit into float32 too
        ("relative", [[0.0, nan, -1.0, inf, -inf]], [[0.0, nan, -1.0, nan, nan]]),  # 0 is a disparity
        ("relative", np.array([[3, 0]], np.uint8), [[3.0, 0.0]]),  # byte disparities are fine
    ],
)
def test_what_becomes_unknown(kind, given, kept):
    depth = DepthMap(given, kind)
    np.testing.assert_array_equal(depth.values, np.array(kept, np.float32))
    np.testing.assert_array_equal(depth.valid, ~np.isnan(kept))
    assert depth.values.dtype == np.float32


def test_the_kind_is_taken_as_a_string_or_an_enum():
    assert DepthMap([[1.0]], "metric").kind is DepthKind.METRIC
    assert DepthMap([[1.0]], DepthKind.RELATIVE).kind is DepthKind.RELATIVE
    assert str(DepthKind.METRIC) == "metric"
    assert DepthMap([[1.0]], "metric").is_metric
    assert not DepthMap([[1.0]], "relative").is_metric


@pytest.mark.parametrize(
    ("values", "kind", "says"),
    [
        ([[1.0]], "disparity", "'relative' or 'metric', got 'disparity'"),
        ([[-0.5, 1.0]], "metric", "must not be negative, got -0.5 m"),
        ([[-inf, 1.0]], "metric", "must not be negative"),
        (np.ones((2, 2), np.uint16), "metric", "integers are mostly millimetres"),
        ([[1.0, 2.0], [3.0]], "metric", "depth must be an array of numbers"),
        (np.ones((2, 2, 1)), "metric", r"got \(2, 2, 1\)"),
        (np.ones(4), "relative", r"got \(4,\)"),
        (np.ones((0, 4)), "relative", "at least one pixel"),
        (np.ones((2, 2), complex), "relative", "got complex128"),
    ],
)
def test_refusals(values, kind, says):
    with pytest.raises(InputError, match=says):
        DepthMap(values, kind)


def test_sizes_are_named_in_their_order():
    depth = DepthMap(np.ones((2, 5)), "relative")
    assert (depth.width, depth.height, depth.size_wh) == (5, 2, (5, 2))


def test_nobody_can_change_it():
    mine = np.array([[1.0, 0.0]], np.float32)
    depth = DepthMap(mine, "metric")
    mine[:] = 9
    np.testing.assert_array_equal(depth.values, [[1.0, nan]])
    with pytest.raises(ValueError, match="read-only"):
        depth.values[0, 0] = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        depth.kind = DepthKind.RELATIVE


def test_a_relative_map_says_who_needs_metres_and_what_to_do():
    DepthMap([[1.0]], "metric").require_metric("mesh()")
    with pytest.raises(
        NeedsMetricError, match=r"mesh\(\) needs metric depth, got a relative map; .*metric-indoor"
    ):
        DepthMap([[1.0]], "relative").require_metric("mesh()")


@pytest.mark.parametrize(
    ("depth", "text"),
    [
        (DepthMap([[1.0, 2.5], [0.0, 4.0]], "metric"), "DepthMap(metric, 2x2, 1..4 m, 75 % known)"),
        (DepthMap([[1.0, 2.5]], "relative"), "DepthMap(relative, 2x1, 1..2.5, 100 % known)"),
        (DepthMap([[nan]], "metric"), "DepthMap(metric, 1x1, all unknown, 0 % known)"),
    ],
)
def test_repr(depth, text):
    assert repr(depth) == text
