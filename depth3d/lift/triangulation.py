"""`triangulate`: the pixels of a depth map as a grid of triangles, cut where the surface ends.

The test works in inverse depth q = 1/z, in which a plane is affine in the pixel coordinates. So the step
from a pixel to the next equals the steps before and after it on every plane, however slanted, and lies
between the two where planes meet in a crease. Only where a surface ends is the step unlike both. A side
counts only as far as it goes on, for two edges a pixel apart do not explain each other, nor do networks'
maps that flare up in the outermost rows. (Cuts by `|grad z|` or `(max - min) / z` take a distant floor for
one edge after the other.)
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.lift.selection import as_items

__all__ = ["GridFaces", "large_islands", "triangulate"]

GridFaces = npt.NDArray[np.int32]
"""(F, 3) int32: each triangle as the indices of its pixels in reading order, `row * width + column`. The
middle one is at the right angle. Seen by the camera they run counter-clockwise."""

_MOST_STEEPENING = 2
"""How many times the step before it a step may be to explain the next one."""

_TIMES_THE_NOISE = 5
"""How many times the noise a jump must exceed."""

_QUADS_PER_BLOCK = _FACES_PER_BLOCK = 1 << 16
_PIXELS_PER_BAND = 1 << 18
"""Rows are triangulated, and islands gathered, in blocks of about so many, which bounds the memory."""


def triangulate(q: FloatMap, keep: BoolMap, *, tolerance: float, noise_per_m: float = 0.0) -> GridFaces:
    """Span each square of four pixels by up to two triangles, none of which crosses an edge.

    Of the two diagonals that one is taken which leaves more triangles; if both leave as many, the one
    along which the inverse depth changes less.

    Args:
        q: (H, W) inverse depth in 1/m, NaN where unknown.
        keep: (H, W), which pixels may be vertices. The others still tell how surfaces go on.
        tolerance: Largest step in q that is no edge though the surface on neither side explains it, as a
            share of the larger q of the two pixels.
        noise_per_m: What q may be off by; steps of up to five times that are no edge either.

    Returns:
        The triangles, row by row.
    """
    height, width = q.shape
    # As many as there could be at the most: memory that is not written to takes none.
    faces, count = np.empty((2 * max(height - 1, 0) * max(width - 1, 0), 3), dtype=np.int32), 0
    rows_per_block = max(1, _QUADS_PER_BLOCK // max(width, 1))
    for top in range(0, height - 1, rows_per_block):
        bottom = min(top + rows_per_block, height - 1)
        # Three rows more on either side: what the steps in the block are compared with.
        padded = np.full((bottom - top + 7, width + 6), np.nan, dtype=np.float32)
        first, last = max(top - 3, 0), min(bottom + 4, height)
        padded[first - top + 3 : last - top + 3, 3:-3] = q[first:last]
        block = _faces_of_rows(padded, keep[top : bottom + 1], top, tolerance, noise_per_m)
        faces[count : count + len(block)] = block
        count += len(block)
    return faces[:count]


def _faces_of_rows(
    padded: FloatMap, keep: BoolMap, top: int, tolerance: float, noise_per_m: float
) -> GridFaces:
    rows, width = keep.shape

    def joined(down: int, right: int) -> BoolMap:
        """Tell for each pixel and the one below or beside it whether one surface holds both."""
        n_rows, n_cols = rows - down, width - right

        def at(step: int, array: npt.NDArray[Any] = padded, margin: int = 3) -> npt.NDArray[Any]:
            r, c = margin + step * down, margin + step * right
            return array[r : r + n_rows, c : c + n_cols]

        jump = at(1) - at(0)
        last, next_ = at(0) - at(-1), at(2) - at(1)
        before, after = _going_on(last, at(-1) - at(-2)), _going_on(next_, at(3) - at(2))
        # A side of two pixels, up to the border, counts only where the other one is no better known.
        neither = np.isnan(before) & np.isnan(after)
        before, after = np.where(neither, last, before), np.where(neither, next_, after)
        # fmin and fmax pass over an unknown side, and in the end over two.
        low, high = np.fmin(before, after), np.fmax(before, after)
        unexplained = np.fmin(np.maximum(low - jump, jump - high), np.abs(jump))
        allowed = np.float32(tolerance) * np.maximum(at(0), at(1))
        np.maximum(allowed, np.float32(_TIMES_THE_NOISE * noise_per_m), out=allowed)
        # NaN compares false: unknown pixels hang on to nothing.
        return np.asarray((unexplained <= allowed) & at(0, keep, 0) & at(1, keep, 0))

    across, along = joined(0, 1), joined(1, 0)
    above, below, left, right = across[:-1], across[1:], along[:, :-1], along[:, 1:]
    # Of the square a b / c d: what explains a-c and c-d explains a-d.
    values = padded[3:-3, 3:-3]
    fall = np.abs(values[1:, 1:] - values[:-1, :-1])
    rise = np.abs(values[1:, :-1] - values[:-1, 1:])
    by_falling = (left & below, right & above)
    by_rising = (left & above, right & below)
    surplus = by_falling[0].astype(np.int8) + by_falling[1] - by_rising[0] - by_rising[1]
    # NaN compares false, but with a corner unknown only the diagonal past it leaves anything.
    falls = (surplus > 0) | ((surplus == 0) & (fall <= rise))

    first, second = (np.where(falls, *pair) for pair in zip(by_falling, by_rising, strict=True))
    square = np.flatnonzero(first | second)
    falls, exists = falls.ravel()[square], np.stack([first.ravel()[square], second.ravel()[square]], axis=1)
    row, col = np.divmod(square.astype(np.int32), np.int32(width - 1))
    a = (row + np.int32(top)) * np.int32(width) + col
    b, c, d = a + np.int32(1), a + np.int32(width), a + np.int32(width + 1)
    faces = np.empty((len(square), 2, 3), dtype=np.int32)
    # a c d and d b a, or b a c and c d b.
    for corner, falling, rising in zip(range(6), (a, c, d, d, b, a), (b, a, c, c, d, b), strict=True):
        faces[:, corner // 3, corner % 3] = np.where(falls, falling, rising)
    return np.asarray(as_items(faces)[exists].view(np.int32).reshape(-1, 3))


def _going_on(step: FloatMap, farther: FloatMap) -> FloatMap:
    """Limit a step to a multiple of the one beyond it, and to 0 if it turns back; unknown if either is."""
    most = np.float32(_MOST_STEEPENING) * farther
    limited: FloatMap = np.minimum(np.maximum(step, np.minimum(most, 0)), np.maximum(most, 0))
    return limited


def large_islands(faces: GridFaces, shape_hw: tuple[int, ...], least_vertices: int) -> BoolMap:
    """Find the triangles of islands that are no smaller than a given size.

    Args:
        faces: Triangles of a grid, as `triangulate` gives them.
        shape_hw: Height and width of the grid.
        least_vertices: Vertices that an island must have.

    Returns:
        (F,) bool: true for triangles to keep.
    """
    if least_vertices <= 3 or not len(faces):
        return np.ones(len(faces), dtype=np.bool_)
    height, width = shape_hw
    # Bands share a row, in which the parts of islands meet.
    island = np.zeros((height, width), dtype=np.int32)
    sizes: list[npt.NDArray[np.intp]] = [np.zeros(1, dtype=np.intp)]
    meetings = []
    rows_per_band, start, count = max(1, _PIXELS_PER_BAND // width), 0, 0
    for top in range(0, height - 1, rows_per_band):
        bottom = min(top + rows_per_band, height - 1)
        stop = bisect_left(range(len(faces)), bottom, start, key=lambda i: int(faces[i].min()) // width)
        part = _parts(faces[start:stop] - np.int32(top * width), (bottom - top + 1, width))
        above = island[top] > 0
        size = np.bincount(part.reshape(-1))
        size -= np.bincount(part[0, above], minlength=len(size))  # these were counted before
        sizes.append(size[1:])
        np.add(part, count, out=part, where=part > 0)
        met = above & (part[0] > 0)
        pairs = np.stack([island[top, met], part[0, met]])
        # They meet in runs of pixels, of which one each will do.
        meetings.append(pairs[:, np.diff(pairs, axis=1, prepend=0).any(axis=0)])
        np.copyto(island[top], part[0], where=part[0] > 0)
        island[top + 1 : bottom + 1] = part[1:]
        start, count = stop, count + len(size) - 1
    whole = _united(count + 1, np.unique(np.concatenate(meetings, axis=1), axis=1))
    is_large = (np.bincount(whole, np.concatenate(sizes)) >= least_vertices)[whole]
    large = np.empty(len(faces), dtype=np.bool_)
    for start in range(0, len(faces), _FACES_PER_BLOCK):
        block = slice(start, start + _FACES_PER_BLOCK)
        large[block] = is_large[island.reshape(-1)[faces[block, 1]]]
    return large


def _parts(faces: GridFaces, shape_hw: tuple[int, int]) -> npt.NDArray[np.int32]:
    """Number the connected parts of a grid from 1 on, at each vertex; 0 where there is no triangle."""
    import cv2

    height, width = shape_hw
    # On a grid of double density every edge has a cell of its own, between those of its pixels. The two
    # edges at a triangle's right angle join all of its vertices.
    fine = np.zeros((2 * height - 1, 2 * width), dtype=np.uint8)
    flat = fine.reshape(-1)
    for start in range(0, len(faces), _FACES_PER_BLOCK):
        block = faces[start : start + _FACES_PER_BLOCK]
        cells = block + block // np.int32(width) * np.int32(width)  # half of the vertices' cells
        flat[2 * cells[:, 1]] = 1
        flat[2 * cells[:, 0]] = flat[2 * cells[:, 2]] = 1
        flat[cells[:, 0] + cells[:, 1]] = flat[cells[:, 1] + cells[:, 2]] = 1
    _, labels = cv2.connectedComponents(fine, connectivity=4, ltype=cv2.CV_32S)
    return np.ascontiguousarray(labels[::2, ::2], dtype=np.int32)


def _united(count: int, pairs: npt.NDArray[np.int32]) -> npt.NDArray[np.intp]:
    """Give each of the numbers below `count` that of the set it is in, where pairs are in the same one."""
    parent = np.arange(count)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    for a, b in pairs.T.tolist():
        a, b = root(a), root(b)
        parent[max(a, b)] = min(a, b)
    # Parents have smaller numbers, so that each jump at least halves the way that is left.
    while not np.array_equal(parent, above := parent[parent]):
        parent = above
    return parent
