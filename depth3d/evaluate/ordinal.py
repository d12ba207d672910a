"""Ordinal pairs, as in DA-2K: of two points, which one is nearer?

Yang et al., "Depth Anything V2", NeurIPS 2024: two thousand pairs of points that people marked in a thousand
photos of eight kinds of scenes, many of them such that no sensor measures them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from depth3d.core.arrays import BoolMap
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError

__all__ = ["PointPair", "judge_pairs", "parse_da2k", "scene_of"]


@dataclass(frozen=True, slots=True)
class PointPair:
    """Two pixels of a photo, one nearer than the other.

    Attributes:
        nearer_row_col: Pixel of the nearer point, counted from 0.
        farther_row_col: Pixel of the other.
    """

    nearer_row_col: tuple[int, int]
    farther_row_col: tuple[int, int]


def judge_pairs(
    depth: DepthMap, pairs: Sequence[PointPair], *, photo_size_wh: tuple[int, int] | None = None
) -> BoolMap:
    """Tell for each pair whether a map has the nearer point nearer.

    Args:
        depth: A relative or metric map of the photo.
        pairs: Pixels of the photo.
        photo_size_wh: (width, height) of the photo, if the map has another size.

    Returns:
        (N,) bool. Two equal depths, and a point that the map does not know, are wrong: the question was which
        one is nearer.

    Raises:
        InputError: A point lies outside the photo.
    """
    size_wh = photo_size_wh or depth.size_wh
    nearness = -depth.values if depth.is_metric else depth.values

    def at(row_col: tuple[int, int]) -> float:
        row, col = row_col
        if not (0 <= row < size_wh[1] and 0 <= col < size_wh[0]):
            raise InputError(
                f"the point (row {row}, column {col}) lies outside a picture of {size_wh[0]}x{size_wh[1]}; "
                "give a map of the photo's own size, or the photo beside it"
            )
        # The map's pixel in which the centre of the photo's pixel lies.
        v, u = (row + 0.5) * depth.height / size_wh[1], (col + 0.5) * depth.width / size_wh[0]
        return float(nearness[min(int(v), depth.height - 1), min(int(u), depth.width - 1)])

    return np.array([at(one.nearer_row_col) > at(one.farther_row_col) for one in pairs], dtype=bool)


def parse_da2k(text: str, source: str) -> dict[str, tuple[PointPair, ...]]:
    """Read annotations in the format of DA-2K.

    Args:
        text: JSON: path of a photo -> list of `{"point1": [row, column], "point2": [row, column],
            "closer_point": "point1" or "point2"}`.
        source: What to call it in errors.

    Returns:
        Path of a photo -> its pairs.

    Raises:
        InputError: It is something else.
    """
    form = (
        'a JSON object such as {"images/indoor/a.jpg": [{"point1": [row, column], "point2": [row, column], '
        '"closer_point": "point1"}]}'
    )
    try:
        found: Any = json.loads(text)
    except ValueError as error:
        raise InputError(f"{source} is no JSON ({error}); give {form}") from None
    if not isinstance(found, Mapping) or not found:
        raise InputError(f"{source} holds no annotations of pairs; give {form}")
    pairs: dict[str, tuple[PointPair, ...]] = {}
    for photo, marks in found.items():
        try:
            pairs[photo] = tuple(_pair(mark) for mark in marks)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise InputError(
                f"{source}: the pairs of {photo} are not as they should be; give {form}"
            ) from None
    return pairs


def scene_of(photo: str) -> str:
    """Name the kind of scene: the folder in which a photo of DA-2K lies.

    Returns:
        `indoor` for `images/indoor/a.jpg`; `all` where there is no folder.
    """
    return PurePosixPath(photo.replace("\\", "/")).parent.name or "all"


def _pair(mark: Any) -> PointPair:
    points: dict[str, tuple[int, int]] = {}
    for name in ("point1", "point2"):
        row, col = mark[name]
        points[name] = (int(row), int(col))
    nearer = points.pop(mark["closer_point"])
    return PointPair(nearer, points.popitem()[1])
