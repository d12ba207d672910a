"""`selected`: what a mask keeps of a picture, without an index for every pixel."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap

__all__ = ["PIXELS_PER_BLOCK", "as_items", "rows_where", "selected"]

_Number = TypeVar("_Number", bound=np.generic)

PIXELS_PER_BLOCK = 1 << 17
"""Rows are worked on in blocks of about this many pixels, which bounds the memory."""


def selected(values: npt.NDArray[Any], keep: BoolMap) -> npt.NDArray[Any]:
    """Give `values[keep]`, which NumPy would look up by 16 bytes of indices a pixel.

    Args:
        values: (H, W, k), the k numbers of a pixel side by side in memory.
        keep: (H, W) bool.

    Returns:
        (n, k) in reading order, locked: nobody else holds it, so that the public types need no copy.
    """
    found = np.empty((np.count_nonzero(keep), values.shape[2]), dtype=values.dtype)
    pixels, places = as_items(values), as_items(found)
    rows, start = max(1, PIXELS_PER_BLOCK // max(1, keep.shape[1])), 0
    for top in range(0, len(keep), rows):
        part = pixels[top : top + rows][keep[top : top + rows]]
        places[start : start + len(part)] = part
        start += len(part)
    found.flags.writeable = False
    return found


def as_items(values: npt.NDArray[Any]) -> npt.NDArray[np.void]:
    """View the numbers along the last axis as one item: a mask copies runs of items, but rows one by one.

    Args:
        values: (..., k), the k numbers side by side in memory.

    Returns:
        (...) of k numbers' bytes, in the same memory.
    """
    return values.view(np.dtype((np.void, values.itemsize * values.shape[-1])))[..., 0]


def rows_where(rows: npt.NDArray[_Number], keep: BoolMap) -> npt.NDArray[_Number]:
    """Give `rows[keep]`, faster.

    Args:
        rows: (n, k), the k numbers of a row side by side in memory.
        keep: (n,) bool.

    Returns:
        (m, k), in order.
    """
    return as_items(rows)[keep].view(rows.dtype).reshape(-1, rows.shape[1])
