"""`without_flat_triangles`: triangles of no area in the picture are flipped away, and no crack opens.

Such a triangle a-b-m has its corner m on its side a-b. The neighbour across that side, with the corner c
beyond, gets m as a corner of its own: a-b-m and b-a-c become b-m-c and m-a-c.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap
from depth3d.lift.selection import rows_where
from depth3d.lift.triangulation import GridFaces

__all__ = ["without_flat_triangles"]

_FACES_PER_BLOCK = 1 << 18
"""Areas are computed in blocks of about this many triangles, which bounds the memory."""


def without_flat_triangles(faces: GridFaces, width: int) -> GridFaces:
    """Remove the triangles whose three pixels lie on a line.

    Args:
        faces: (F, 3) triangles of pixels as indices in reading order, counter-clockwise as the camera sees
            them. Two that share a side run along it in opposite directions.
        width: Pixels in a row.

    Returns:
        Triangles of the same pixels with an area in the picture, which cover the same part of it, at most as
        many as before and in no particular order.
    """
    flat = _are_flat(faces, width)
    if not flat.any():
        return faces
    lines = _middle_last(rows_where(faces, flat))
    # Where a chain of flat triangles ends there is one with an area, across the longest side.
    beside = ~flat & _have_side(faces, lines[:, [1, 0]])
    rest, near = rows_where(faces, ~flat & ~beside), np.concatenate([lines, rows_where(faces, beside)])
    while True:
        flat = _are_flat(near, width)
        if not flat.any():
            return np.concatenate([rest, near])
        near = np.concatenate([_middle_last(near[flat]), near[~flat]])
        near = _flipped(near, int(flat.sum()))


def _flipped(near: GridFaces, n_flat: int) -> GridFaces:
    """Flip each of the first n triangles, which are flat, that has its neighbour for itself."""
    keys = _keys(near, near[:, [1, 2, 0]]).reshape(-1)
    order = np.argsort(keys, kind="stable")
    a, b, m = near[:n_flat].T
    wanted = _keys(b, a)
    place = np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)
    found = keys[order[place]] == wanted
    neighbor, side = np.divmod(order[place], 3)
    # Of two flat ones that share their longest side the first is flipped; with any other it must wait.
    number = np.arange(n_flat)
    ready = found & ((neighbor >= n_flat) | ((side == 0) & (neighbor > number)))
    _, first = np.unique(neighbor[ready], return_index=True)
    chosen = number[ready][first]
    neighbor, side = neighbor[chosen], side[chosen]
    a, b, m, c = a[chosen], b[chosen], m[chosen], near[neighbor, (side + 2) % 3]
    result = near.copy()
    result[chosen] = np.stack([b, m, c], axis=1)
    result[neighbor] = np.stack([m, a, c], axis=1)
    keep = np.ones(len(near), dtype=np.bool_)
    keep[:n_flat] = found  # with none beyond, the border runs through m as well
    keep[chosen] = keep[neighbor] = m != c  # two of the same three pixels fold up
    return result[keep]


def _have_side(faces: GridFaces, sides: npt.NDArray[np.int32]) -> BoolMap:
    """Tell which triangles have one of some sides, in its direction."""
    wanted = np.sort(_keys(sides[:, 0], sides[:, 1]))
    # Only sides that begin and end where one of those does are looked up.
    begins, ends = np.zeros((2, int(faces.max()) + 1), dtype=np.bool_)
    begins[sides[:, 0]], ends[sides[:, 1]] = True, True
    result = np.zeros(len(faces), dtype=np.bool_)
    for i in range(3):
        start, end = faces[:, i], faces[:, (i + 1) % 3]
        some = np.flatnonzero(begins[start] & ends[end])
        keys = _keys(start[some], end[some])
        place = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
        result[some] |= wanted[place] == keys
    return result


def _keys(start: npt.NDArray[np.int32], end: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    return np.asarray((start.astype(np.int64) << 32) | end)


def _middle_last(lines: GridFaces) -> GridFaces:
    """Turn flat triangles so that their longest side comes first: on a line, reading order is its order."""
    middle = np.argsort(lines, axis=1)[:, 1:2]
    return np.take_along_axis(lines, (middle + np.array([1, 2, 0])) % 3, axis=1)


def _are_flat(faces: GridFaces, width: int) -> BoolMap:
    result = np.empty(len(faces), dtype=np.bool_)
    for start in range(0, len(faces), _FACES_PER_BLOCK):
        block = slice(start, start + _FACES_PER_BLOCK)
        (r0, c0), (r1, c1), (r2, c2) = (
            np.divmod(corner, width) for corner in faces[block].astype(np.int64).T
        )
        result[block] = (c1 - c0) * (r2 - r1) == (r1 - r0) * (c2 - c1)
    return result
