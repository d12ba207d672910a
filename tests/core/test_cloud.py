"""Point clouds: arrays that belong together."""

from __future__ import annotations

import numpy as np
import pytest

from depth3d.core.cloud import PointCloud
from depth3d.errors import InputError

POINTS = np.arange(12, dtype=np.float32).reshape(4, 3)
COLORS = np.arange(12, dtype=np.uint8).reshape(4, 3)
NORMALS = np.tile(np.float32([0, 0, -1]), (4, 1))


@pytest.mark.parametrize(
    "keep",
    [np.array([True, False, True, False]), np.array([3, 0, 0]), slice(1, 3), np.array([], dtype=int)],
    ids=["mask", "indices", "slice", "none"],
)
def test_selecting_takes_the_same_rows_of_everything(keep):
    part = PointCloud(POINTS, COLORS, NORMALS)[keep]
    np.testing.assert_array_equal(part.points, POINTS[keep])
    np.testing.assert_array_equal(part.colors, COLORS[keep])
    np.testing.assert_array_equal(part.normals, NORMALS[keep])
    assert len(part) == len(POINTS[keep])


def test_what_is_not_there_stays_away():
    part = PointCloud(POINTS)[:2]
    assert part.colors is None
    assert part.normals is None


def test_arrays_are_owned_and_locked():
    mine = POINTS.copy()
    cloud = PointCloud(mine, COLORS, NORMALS)
    mine[:] = 9
    np.testing.assert_array_equal(cloud.points, POINTS)
    for array in (cloud.points, cloud.colors, cloud.normals):
        assert not array.flags.writeable


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ((np.ones((4, 2)),), r"points must have shape \(_, 3\), got \(4, 2\)"),
        ((np.full((1, 3), np.nan),), "must be finite"),
        ((np.full((1, 3), np.inf),), "must be finite"),
        ((POINTS, COLORS[:3]), r"colors must have shape \(4, 3\), got \(3, 3\)"),
        ((POINTS, COLORS / 255), "colors must be uint8, got float"),
        ((POINTS, None, NORMALS[:, :2]), r"normals must have shape \(4, 3\)"),
    ],
)
def test_refusals(fields, says):
    with pytest.raises(InputError, match=says):
        PointCloud(*fields)


@pytest.mark.parametrize(
    ("cloud", "text"),
    [
        (PointCloud(POINTS, COLORS), "PointCloud(4 points, 0..9 x 1..10 x 2..11 m, colors)"),
        (PointCloud(np.empty((0, 3))), "PointCloud(0 points)"),
        (PointCloud(np.empty((0, 3)), np.empty((0, 3), np.uint8)), "PointCloud(0 points, colors)"),
    ],
)
def test_repr(cloud, text):
    assert repr(cloud) == text
