"""Closed bodies over a grid of pixels: a front, a flat back, and walls wherever the front ends.

Front and back are triangulations of the same squares of the grid, and along the outline, of which every
pixel stays, they have the same vertices. So each edge has exactly two triangles: inside the front or the
back those of a grid or of a hierarchy without cracks, at the outline one of these and one of the wall.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.lift.simplification import Simplifier
from depth3d.lift.triangulation import GridFaces

__all__ = ["BodyFaces", "body_faces", "sound_squares"]

_BENT_BACK_PX = 0.5
"""How far a lens with distortion may bend the back's triangles, in pixels, before they are halved."""


@dataclass(frozen=True, slots=True, eq=False)
class BodyFaces:
    """The triangles of a closed body, made of pixels that each stand for two vertices.

    Attributes:
        front: (F, 3) int32 pixels in reading order, counter-clockwise as the camera sees them.
        back: (B, 3) int32 pixels, the same way round: seen from behind they run clockwise.
        rim: (R, 2) int32 pixels, the sides of the front that only one triangle has, the way it runs.
    """

    front: GridFaces
    back: GridFaces
    rim: GridFaces

    @property
    def count(self) -> int:
        """How many triangles the body has: two for each piece of wall."""
        return len(self.front) + len(self.back) + 2 * len(self.rim)

    def numbered(self) -> tuple[GridFaces, npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Give each pixel in use a vertex at the front, at the back, or both.

        Returns:
            (`count`, 3) int32 triangles, counter-clockwise as seen from outside; the pixels of the first
            vertices, which are the front's; and the pixels of the rest, which are the back's.
        """
        fronts, number_in_front = _numbering(self.front)
        backs, number_behind = _numbering(self.back)
        number_behind += np.int32(len(fronts))
        (a, b), (c, d) = number_in_front[self.rim].T, number_behind[self.rim].T  # c behind a, d behind b
        faces = np.concatenate(
            [
                number_in_front[self.front],
                number_behind[self.back[:, ::-1]],
                np.stack([b, a, c], axis=1),
                np.stack([b, c, d], axis=1),
            ]
        )
        return faces, fronts, backs


def sound_squares(keep: BoolMap, least_squares: int = 0) -> BoolMap:
    """Find the squares of four kept pixels of which a body can be made.

    Where two squares touch at a corner alone, one is left out: the wall between front and back at that
    corner would belong to both, and four triangles would share its edge.

    Args:
        keep: (H, W), which pixels may be vertices.
        least_squares: Drop connected parts of fewer squares.

    Returns:
        (H - 1, W - 1) bool: true for squares to build on, at the place of their first pixel.
    """
    squares: BoolMap = keep[:-1, :-1] & keep[:-1, 1:] & keep[1:, :-1] & keep[1:, 1:]
    while True:
        a, b, c, d = squares[:-1, :-1], squares[:-1, 1:], squares[1:, :-1], squares[1:, 1:]
        falling, rising = a & d & ~(b | c), b & c & ~(a | d)
        if not (falling.any() or rising.any()):
            break
        d[falling] = False
        c[rising] = False
    if least_squares > 1 and squares.any():
        import cv2

        _, labels, stats, _ = cv2.connectedComponentsWithStats(squares.view(np.uint8), connectivity=4)
        large = stats[:, cv2.CC_STAT_AREA] >= least_squares
        squares &= large[labels]
    return squares


def body_faces(
    values: FloatMap,
    squares: BoolMap,
    *,
    focal_px: float,
    relative: bool,
    rays_xy: FloatMap | None = None,
    max_error_px: float | None,
    max_faces: int | None,
) -> BodyFaces | None:
    """Triangulate the front and the back of a body, merging triangles as far as asked for.

    Args:
        values: (H, W) of the front: inverse depth, or heights over a plane.
        squares: (H - 1, W - 1), what to build on, as `sound_squares` gives it; at least one.
        focal_px: What errors are multiplied with, as `Simplifier` has it.
        relative: Whether errors are shares of the values: true of inverse depth.
        rays_xy: (H, W, 2) rays of a lens with distortion, or None.
        max_error_px: Merge the front's triangles within this error; None merges none.
        max_faces: Most triangles of the body; None sets no limit.

    Returns:
        The triangles, or None where the outline alone needs more than `max_faces`.
    """
    height, width = values.shape
    # On a lattice of 2^k steps a side, all of one pixel, the hierarchy has no triangle without area. A
    # margin makes the picture's border an outline like any other.
    side = (1 << max(height, width).bit_length()) + 1
    inside = (slice(1, height + 1), slice(1, width + 1))
    padded = np.full((side, side), np.nan, dtype=np.float32)
    padded[inside] = values
    wide_squares = np.zeros((side - 1, side - 1), dtype=np.bool_)
    wide_squares[1:height, 1:width] = squares
    wide_rays = None
    if rays_xy is not None:
        wide_rays = np.full((side, side, 2), np.nan, dtype=np.float32)
        wide_rays[inside] = rays_xy

    front, rim = _grid_faces(wide_squares, padded), _rim(wide_squares)
    back = Simplifier(np.ones_like(padded), front, focal_px=focal_px, rays_xy=wide_rays).within(_BENT_BACK_PX)
    most_in_front = None if max_faces is None else max_faces - len(back) - 2 * len(rim)
    if max_error_px is not None or (most_in_front is not None and len(front) > most_in_front):
        simplifier = Simplifier(padded, front, focal_px=focal_px, rays_xy=wide_rays, relative=relative)
        fewer = (
            simplifier.within(max_error_px or 0.0)
            if most_in_front is None
            else simplifier.at_most(most_in_front, max_error_px or 0.0)
        )
        if fewer is None:
            return None
        front = fewer

    def narrow(pixels: npt.NDArray[np.int32]) -> npt.NDArray[Any]:
        rows, cols = np.divmod(pixels, np.int32(side))
        return np.asarray((rows - np.int32(1)) * np.int32(width) + cols - np.int32(1))

    return BodyFaces(narrow(front), narrow(back), narrow(rim))


def _grid_faces(squares: BoolMap, values: FloatMap) -> GridFaces:
    """Halve each square along the diagonal on which the values change less."""
    width = values.shape[1]
    rows, cols = np.nonzero(squares)
    a = (rows * width + cols).astype(np.int32)
    b, c, d = a + np.int32(1), a + np.int32(width), a + np.int32(width + 1)
    v = values.reshape(-1)
    falls = np.abs(v[d] - v[a]) <= np.abs(v[c] - v[b])
    faces = np.empty((len(a), 2, 3), dtype=np.int32)
    # a c d and d b a, or b a c and c d b.
    for corner, (falling, rising) in enumerate(((a, b), (c, a), (d, c))):
        faces[:, 0, corner] = np.where(falls, falling, rising)
    for corner, (falling, rising) in enumerate(((d, c), (b, d), (a, b))):
        faces[:, 1, corner] = np.where(falls, falling, rising)
    return faces.reshape(-1, 3)


def _rim(squares: BoolMap) -> GridFaces:
    """Find the sides of squares that have no neighbour there; the outermost squares must be none."""
    width = squares.shape[1] + 1
    parts = []
    # Where the neighbour lies, and the side's start and end as offsets from the square's first pixel.
    for (down, right), start, end in (
        ((0, -1), 0, width),
        ((1, 0), width, width + 1),
        ((0, 1), width + 1, 1),
        ((-1, 0), 1, 0),
    ):
        ends = squares & ~np.roll(squares, (-down, -right), axis=(0, 1))
        rows, cols = np.nonzero(ends)
        first = rows * width + cols
        parts.append(np.stack([first + start, first + end], axis=1).astype(np.int32))
    return np.concatenate(parts)


def _numbering(faces: GridFaces) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int32]]:
    """List the pixels that triangles use, and give each its place in the list."""
    used = np.zeros(int(faces.max()) + 1, dtype=np.bool_)
    used[faces] = True
    return np.flatnonzero(used), np.cumsum(used, dtype=np.int32) - np.int32(1)
