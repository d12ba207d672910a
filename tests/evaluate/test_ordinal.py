"""Ordinal pairs: which point is nearer, in either kind of map and at any size, and the format of DA-2K."""

from __future__ import annotations

import json

import numpy as np
import pytest

from depth3d import DepthMap
from depth3d.errors import InputError
from depth3d.evaluate import PointPair, judge_pairs, parse_da2k, scene_of

Z = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, np.nan]])
PAIRS = [
    (PointPair((0, 0), (0, 1)), True),
    (PointPair((0, 1), (0, 0)), False),
    (PointPair((0, 2), (1, 0)), True),  # one row down is farther: rows and columns are not swapped
    (PointPair((0, 0), (0, 0)), False),  # equal
    (PointPair((0, 0), (1, 2)), False),  # unknown
    (PointPair((1, 2), (0, 0)), False),
]


@pytest.mark.parametrize("depth", [DepthMap(Z, "metric"), DepthMap(1 / Z, "relative")])
def test_either_kind(depth):
    found = judge_pairs(depth, [pair for pair, _ in PAIRS])
    assert found.tolist() == [right for _, right in PAIRS]
    assert judge_pairs(depth, []).shape == (0,)


@pytest.mark.parametrize("times", [2, 3])
def test_a_map_of_another_size(times):
    small = DepthMap(Z[:, :2], "metric")
    # Each pixel of the map is a block of the photo's; its corners must fall into it.
    for row in range(2 * times):
        for col in range(2 * times):
            pair = PointPair((0, 0), (row, col))
            right = bool(Z[row // times, col // times] > 1)
            assert judge_pairs(small, [pair], photo_size_wh=(2 * times, 2 * times)).tolist() == [right]


@pytest.mark.parametrize("point", [(2, 0), (0, 3), (-1, 0)])
def test_points_outside(point):
    with pytest.raises(InputError, match=r"outside a picture of 3x2.*the photo beside it"):
        judge_pairs(DepthMap(Z, "metric"), [PointPair(point, (0, 0))])


def test_format():
    text = json.dumps(
        {
            "images/indoor/a.jpg": [
                {"point1": [3, 4], "point2": [5, 6], "closer_point": "point1"},
                {"point1": [3, 4], "point2": [5, 6], "closer_point": "point2"},
            ],
            "b.jpg": [],
        }
    )
    assert parse_da2k(text, "x.json") == {
        "images/indoor/a.jpg": (PointPair((3, 4), (5, 6)), PointPair((5, 6), (3, 4))),
        "b.jpg": (),
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "x.json is no JSON"),
        ("[]", "holds no annotations"),
        ("{}", "holds no annotations"),
        ('{"a": [{"point1": [1, 2]}]}', "the pairs of a are not"),
        ('{"a": 5}', "the pairs of a are not"),
        ('{"a": [{"point1": [1], "point2": [1, 2], "closer_point": "point1"}]}', "the pairs of a are not"),
        ('{"a": [{"point1": [1, 2], "point2": [1, 2], "closer_point": "left"}]}', "the pairs of a are not"),
        ('{"a": [{"point1": [1e999, 2], "point2": [1, 2], "closer_point": "point1"}]}', "the pairs of a are"),
    ],
)
def test_annotations_that_are_none(text, sentence):
    with pytest.raises(InputError, match=rf"{sentence}.*closer_point"):
        parse_da2k(text, "x.json")


@pytest.mark.parametrize(
    ("photo", "scene"),
    [("images/indoor/a.jpg", "indoor"), ("a.jpg", "all"), (r"images\aerial\a.jpg", "aerial")],
)
def test_scenes(photo, scene):
    assert scene_of(photo) == scene
