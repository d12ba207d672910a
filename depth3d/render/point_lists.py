"""`PointLists`: the pixels of a sheet as points: depth, planes, and where their surface ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.render.sheets import Sheet

__all__ = ["ALL", "WHOLE", "PointLists"]

ALL, WHOLE = 15, 16
"""Bits of links: to all four neighbours, and to the pixels of the square to the right and below."""
_ROWS = 128
"""Rows that are worked on together."""
_CLEAR_MOST = 15
"""Ends of surfaces that are farther away are not told from one another."""


class PointLists:
    """Arrays of n points, as in `depth3d.render.points`.

    Args:
        count: n.

    Attributes:
        q: (n,) float32 inverse depth.
        right, down: (n,) float32, its slopes.
        offset: (n,) float32: what the plane of the slopes through the point has at (0, 0).
        links: (n,) uint8.
        clear: (n,) uint8.
    """

    def __init__(self, count: int) -> None:
        self.q, self.right, self.down, self.offset = (np.empty(count, np.float32) for _ in range(4))
        self.links, self.clear = np.empty(count, np.uint8), np.empty(count, np.uint8)

    def fill(self, part: slice, sheet: Sheet, at: npt.NDArray[np.intp] | None) -> None:
        """List a part of the points, band by band, which bounds the memory.

        Args:
            part: Which points.
            sheet: The sheet of which they are pixels.
            at: Which pixels, as rising flat indices; None is all.
        """
        height, width = sheet.inverse_depth.shape
        good = np.empty((height, width), dtype=np.bool_)
        u = np.arange(width, dtype=np.float32) + 0.5

        def put(onto: npt.NDArray[Any], rows: slice, values: npt.NDArray[Any]) -> None:
            start, stop = rows.start * width, rows.stop * width
            if at is None:
                onto[part.start + start : part.start + stop] = values.reshape(-1)
                return
            first, last = np.searchsorted(at, (start, stop))
            flat = values.reshape(-1)
            onto[part.start + first : part.start + last] = flat[at[first:last] - start]

        bands = [slice(top, min(top + _ROWS, height)) for top in range(0, height, _ROWS)]
        for rows in bands:
            good[rows], links, right, down = _band(sheet, rows)
            q = sheet.inverse_depth[rows]
            v = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + 0.5
            offset = q - right * u - down * v
            lists: list[npt.NDArray[Any]] = [self.q, self.links, self.right, self.down, self.offset]
            found: list[npt.NDArray[Any]] = [q, links, right, down, offset]
            for onto, values in zip(lists, found, strict=True):
                put(onto, rows, values)
        for rows in bands:
            put(self.clear, rows, _clearance(good, rows))


def _band(sheet: Sheet, rows: slice) -> tuple[BoolMap, npt.NDArray[np.uint8], FloatMap, FloatMap]:
    """Give links and slopes of some rows of a sheet, and where it goes on to all sides and covers all."""
    # A row more on either side feeds the differences.
    first, last = max(rows.start - 1, 0), min(rows.stop + 1, len(sheet.alpha))
    some, mine = slice(first, last), slice(rows.start - first, rows.stop - first)
    q, alpha = sheet.inverse_depth[some], sheet.alpha[some]
    seen = alpha > 0
    right, down = sheet.joined_right[some].copy(), sheet.joined_down[some].copy()
    right[:, -1:] = False
    down[-1:] = False
    right[:, :-1] &= seen[:, :-1] & seen[:, 1:]
    down[:-1] &= seen[:-1] & seen[1:]
    left, up = np.zeros_like(right), np.zeros_like(down)
    left[:, 1:], up[1:] = right[:, :-1], down[:-1]
    links = np.zeros(q.shape, dtype=np.uint8)
    for k, link in enumerate((right, left, down, up)):
        links |= link.view(np.uint8) << np.uint8(k)
    good = (links == ALL) & (np.rint(255 * np.clip(alpha, 0, 1)) == 255)
    opaque = alpha == 1
    whole = right[:-1, :-1] & right[1:, :-1] & down[:-1, :-1] & down[:-1, 1:]
    whole &= opaque[:-1, :-1] & opaque[:-1, 1:] & opaque[1:, :-1] & opaque[1:, 1:]
    links[:-1, :-1] |= whole * np.uint8(WHOLE)
    a = _slope(q[mine], right[mine], left[mine], axis=1)
    b = _slope(q, down, up, axis=0)[mine]
    return good[mine], links[mine], a, b


def _slope(q: FloatMap, ahead: BoolMap, behind: BoolMap, axis: int) -> FloatMap:
    """Differentiate along an axis between joined neighbours: central, else to one side, else 0."""
    step = np.diff(q, axis=axis)
    shape = list(q.shape)
    shape[axis] = 1
    nothing = np.zeros(shape, dtype=np.float32)
    forward = np.where(ahead, np.concatenate([step, nothing], axis), 0)
    back = np.where(behind, np.concatenate([nothing, step], axis), 0)
    sides = ahead.astype(np.float32) + behind
    return np.asarray((forward + back) / np.maximum(sides, 1), dtype=np.float32)


def _clearance(good: BoolMap, rows: slice) -> npt.NDArray[np.uint8]:
    """Count pixels, in some rows, to the nearest end of a surface, along rows, columns and diagonals."""
    import cv2

    first, last = max(rows.start - _CLEAR_MOST, 0), min(rows.stop + _CLEAR_MOST, len(good))
    borders = int(first == 0), int(last == len(good)), 1, 1
    within = cv2.copyMakeBorder(good[first:last].view(np.uint8), *borders, cv2.BORDER_CONSTANT, value=0)
    far = cv2.distanceTransform(within, cv2.DIST_C, 3)[:, 1:-1]
    start = rows.start - first + borders[0]
    far = np.minimum(far[start : start + rows.stop - rows.start], _CLEAR_MOST)
    return np.asarray(far, dtype=np.uint8)
