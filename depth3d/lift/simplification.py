"""`Simplifier`: the same surface with fewer triangles, large where it is flat, and no crack between them.

The triangles are those of a hierarchy: the picture is halved into two right triangles, and each triangle is
halved at the middle of its longest side, over and over, down to single pixels. A triangle is halved
together with its neighbour across that side, so that all edges meet in vertices. Where a vertex is left
out, the surface runs straight through its place; the inverse depth being affine on planes, what this
changes there is exactly the error. (Lindstrom et al., "Real-time, continuous level of detail rendering of
height fields", SIGGRAPH 1996; Evans, Kirkpatrick and Townsend, "Right-triangulated irregular networks",
Algorithmica 30, 2001.)

The hierarchy wants a square lattice with 2^k steps a side. It is laid over the picture with steps of one
pixel or none, so that its borders are the picture's. Where steps are none a triangle may have no area in the
picture: it closes what would be a crack between unequal neighbours, until it is flipped away in the end.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.lift.flat_triangles import without_flat_triangles
from depth3d.lift.selection import rows_where
from depth3d.lift.triangulation import GridFaces

__all__ = ["Simplifier"]

_MOST_TRIALS = 12
_AIM, _ENOUGH = 0.99, 0.98
"""Shares of the budget: what trials aim for, and what ends them."""

_TRIANGLES_PER_BLOCK = 1 << 18
"""Triangles are turned into pixels in blocks of so many, which bounds the memory."""


class Simplifier:
    """Chooses triangles of the hierarchy over the grid triangles of one picture.

    Args:
        q: (H, W) inverse depth in 1/m, NaN where unknown.
        faces: Grid triangles, as `triangulate` gives them. Squares of two triangles may be merged; where
            there is one or none, the border of the surface, all stays as it is.
        focal_px: Focal length of the grid in pixels, the geometric mean of across and down.
        rays_xy: (H, W, 2) rays of a lens with distortion, which bends what runs straight in the picture;
            None for a pinhole.
        relative: Whether errors are shares of the inverse depth. Heights seen from straight above, given
            as `q`, have none: False leaves their errors as they are, times `focal_px`.
    """

    def __init__(
        self,
        q: FloatMap,
        faces: GridFaces,
        *,
        focal_px: float,
        rays_xy: FloatMap | None = None,
        relative: bool = True,
    ) -> None:
        height, width = q.shape
        self._width = width
        # How many triangles each square has; in blocks, for there may be millions.
        blocks = [slice(k, k + _TRIANGLES_PER_BLOCK) for k in range(0, len(faces), _TRIANGLES_PER_BLOCK)]
        of_square = np.zeros(height * width, dtype=np.uint8)
        for block in blocks:
            np.add.at(of_square, self._squares(faces[block]), np.uint8(1))
        count = of_square.reshape(height, width)[:-1, :-1]
        self._whole: BoolMap = count == 2
        alone = (faces[block][of_square[self._squares(faces[block])] == 1] for block in blocks)
        self._border_faces: GridFaces = np.concatenate([faces[:0], *alone])
        self._levels = max(max(width, height) - 2, 0).bit_length()
        steps = 1 << self._levels
        self._cols = (np.arange(steps + 1) * (width - 1) // steps).astype(np.int32)
        self._rows = (np.arange(steps + 1) * (height - 1) // steps).astype(np.int32)
        self._error_px = self._at_border(count)
        self._add_errors(q, focal_px, relative=relative)
        if rays_xy is not None:
            for axis in (0, 1):
                self._add_errors(rays_xy[..., axis], focal_px, relative=False)
        self._pass_on_to_ancestors()

    def _squares(self, faces: GridFaces) -> npt.NDArray[np.int32]:
        """Number each triangle's square by its first row and column."""
        width = np.int32(self._width)
        a, b, c = (np.ascontiguousarray(corner) for corner in faces.T)
        row = np.minimum(np.minimum(a, b), c) // width
        return np.asarray(row * width + np.minimum(np.minimum(a % width, b % width), c % width))

    def within(self, max_error_px: float) -> GridFaces:
        """Leave out all vertices that change the surface by no more than an error.

        Args:
            max_error_px: Largest change at the vertex, along the line of sight, in units of what a pixel
                covers there, z / f.

        Returns:
            (F, 3) triangles of pixels, in no particular order.
        """
        return without_flat_triangles(self._chosen(max_error_px), self._width)

    def _chosen(self, max_error_px: float) -> GridFaces:
        """Choose triangles of the hierarchy, some of which may have no area in the picture."""
        # Infinite errors, at the border, are never allowed.
        allowed = min(max_error_px, float(np.finfo(np.float32).max))
        side = len(self._cols)
        last = side * side - 1
        # Each triangle is (a, b, c), counter-clockwise as the camera sees it, a-b its longest side.
        triangles = np.array([[last, 0, last - side + 1], [0, last, side - 1]], dtype=np.int32)
        error = self._error_px.reshape(-1)
        done = []
        for _ in range(2 * self._levels):
            middle = (triangles[:, 0] + triangles[:, 1]) // 2
            split = error[middle] > allowed
            done.append(rows_where(triangles, ~split))
            (a, b, c), middle = rows_where(triangles, split).T, middle[split]
            triangles = np.empty((2 * len(middle), 3), dtype=np.int32)
            for half, corners in zip(np.split(triangles, 2), ((c, a, middle), (b, c, middle)), strict=True):
                for i, corner in enumerate(corners):
                    half[:, i] = corner
        done.append(triangles)
        blocks = [
            self._faces_of(triangles[start : start + _TRIANGLES_PER_BLOCK])
            for triangles in done
            for start in range(0, len(triangles), _TRIANGLES_PER_BLOCK)
        ]
        return np.concatenate([*blocks, self._border_faces])

    def _faces_of(self, triangles: npt.NDArray[np.int32]) -> GridFaces:
        """Turn triangles of the lattice into those of pixels, without those in holes and of no area."""
        faces = np.empty_like(triangles)
        row_sum, col_sum = np.zeros((2, len(triangles)), dtype=np.int32)
        for i in range(3):
            row, col = np.divmod(triangles[:, i], np.int32(len(self._cols)))
            row, col = self._rows[row], self._cols[col]
            row_sum += row
            col_sum += col
            faces[:, i] = row * np.int32(self._width) + col
        keep = self._whole[
            np.minimum(row_sum // 3, self._whole.shape[0] - 1),
            np.minimum(col_sum // 3, self._whole.shape[1] - 1),
        ]
        for i in range(3):  # steps of no pixel
            keep &= faces[:, i] != faces[:, i - 1]
        return rows_where(faces, keep)

    def at_most(self, max_faces: int, least_error_px: float = 0.0) -> GridFaces | None:
        """Leave out the vertices that change the surface least, until there are few enough triangles.

        Args:
            max_faces: Most triangles to return.
            least_error_px: Leave out at least what `within` this would.

        Returns:
            (F, 3) triangles of pixels, or None where the border of the surface alone needs more.
        """
        fewest = self.within(np.inf)
        if len(fewest) > max_faces:
            return None
        errors = self._error_px[np.isfinite(self._error_px) & (self._error_px > least_error_px)]
        errors = np.sort(errors)[::-1]
        # Between the first `low` errors, which give few enough triangles, and the first `high`. The number of
        # triangles grows nearly evenly with that of errors, so the next trial is where a straight line leads;
        # halfway every third time, in case it does not.
        low, high, best, rate, too_many = 0, len(errors), fewest, 2.0, 0
        for turn in range(_MOST_TRIALS):
            if high - low <= 1:
                break
            if turn % 3 == 2:
                trial = (low + high) // 2
            else:
                if too_many:
                    rate = (too_many - len(best)) / (high - low)
                trial = low + round((_AIM * max_faces - len(best)) / rate)
            trial = min(max(trial, low + 1), high - 1)
            faces = self._chosen(float(errors[trial]))
            if len(faces) <= max_faces:
                rate = max((len(faces) - len(best)) / (trial - low), 1e-3)
                low, best = trial, faces
                if len(best) > _ENOUGH * max_faces:
                    break
            else:
                high, too_many = trial, len(faces)
        if not too_many and len(best) <= _ENOUGH * max_faces:
            most = self._chosen(least_error_px)
            best = most if len(most) <= max_faces else best
        return without_flat_triangles(best, self._width)

    def _at_border(self, count: npt.NDArray[np.uint8]) -> FloatMap:
        """Start with infinite errors around squares that lack triangles, so that these stay as they are."""
        import cv2

        # Far inside a hole it does not matter.
        hole = np.asarray(cv2.erode((count == 0).astype(np.uint8), np.ones((3, 3), np.uint8))).astype(
            np.bool_
        )
        square = ~self._whole & ~hole
        pixel = np.zeros((count.shape[0] + 1, count.shape[1] + 1), dtype=np.bool_)
        for down in (slice(None, -1), slice(1, None)):
            for right in (slice(None, -1), slice(1, None)):
                pixel[down, right] |= square
        border = pixel[self._rows[:, None], self._cols[None, :]]
        return np.where(border, np.float32(np.inf), np.float32(0))

    def _add_errors(self, values: FloatMap, scale: float, *, relative: bool) -> None:
        """Raise each vertex's error to what leaving it out does to some values."""
        v = values[self._rows[:, None], self._cols[None, :]]

        def add(at: tuple[slice, slice], expected: FloatMap) -> None:
            off = np.abs(v[at] - expected) * np.float32(scale)
            if relative:
                off /= v[at]
            # NaN is passed over: beside unknown pixels the error is infinite already.
            np.fmax(self._error_px[at], off, out=self._error_px[at])

        s = 1
        while 2 * s < len(v):
            even, odd = slice(0, None, 2 * s), slice(s, None, 2 * s)
            across, down = self._shares(self._cols, s)[None, :], self._shares(self._rows, s)[:, None]
            corners = v[even, even]
            add((even, odd), corners[:, :-1] + across * np.diff(corners, axis=1))
            add((odd, even), corners[:-1] + down * np.diff(corners, axis=0))
            a, b, c, d = corners[:-1, :-1], corners[:-1, 1:], corners[1:, :-1], corners[1:, 1:]
            # Along a-d or b-c, in turns; where the place is not quite halfway, by the plane.
            falling = a + (across + down) / 2 * (d - a) + (across - down) / 2 * (b - c)
            rising = b + (1 - across + down) / 2 * (c - b) + (1 - across - down) / 2 * (a - d)
            turn = np.add.outer(np.arange(a.shape[0]), np.arange(a.shape[1])) % 2 == 0
            add((odd, odd), np.where(turn, falling, rising))
            s *= 2

    @staticmethod
    def _shares(places: npt.NDArray[np.int32], s: int) -> FloatMap:
        """Tell how far along the way between its neighbours s steps off each odd place is."""
        start, end = places[: -2 * s : 2 * s], places[2 * s :: 2 * s]
        length = end - start
        share = np.where(length > 0, (places[s :: 2 * s] - start) / np.maximum(length, 1), 0.5)
        return share.astype(np.float32)

    def _pass_on_to_ancestors(self) -> None:
        """Raise errors so that a vertex stays only if the vertices stay that its triangles hang on."""
        error, s = self._error_px, 1
        while 2 * s < len(error):
            even, odd = slice(0, None, 2 * s), slice(s, None, 2 * s)
            middles = error[odd, odd]
            for side in (
                error[even, odd][:-1],
                error[even, odd][1:],
                error[odd, even][:, :-1],
                error[odd, even][:, 1:],
            ):
                np.maximum(middles, side, out=middles)
            corners = error[even, even]
            above = np.zeros_like(corners)
            for down in (slice(None, -1), slice(1, None)):
                for right in (slice(None, -1), slice(1, None)):
                    np.maximum(above[down, right], middles, out=above[down, right])
            # A middle's ancestors are the two corners that its longest side does not join.
            turn = np.add.outer(np.arange(len(corners)), np.arange(len(corners))) % 2 == 1
            np.maximum(corners, above, out=corners, where=turn)
            s *= 2
