"""`recurrences`: by which moves within its plane a surface looks like itself.

Bricks, checkers, stripes and planks come again at a few steps (He and Sun, "Statistics of patch offsets for
image completion", ECCV 2012). The steps are moves within the plane: P -> P + T for the points of a plane is,
in the picture, a homography that its inverse depth alone tells, without a camera. With w(u, v) the inverse
depth relative to a point (u0, v0), the coordinates X = (u - u0) / w, Y = (v - v0) / w are affine in the
plane, and a move adds a constant to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap

__all__ = ["PlaneFrame", "recurrences", "refined_moves", "rim_misfits"]

_Array: TypeAlias = npt.NDArray[np.float64]

_FARTHEST = 0.15
"""Smallest inverse depth relative to the middle of a piece that is looked at."""
_LEAST_OVERLAP = 0.3
_LEAST_COVER = 0.08
_COVER_FINE = 0.15
"""What it costs, in variances, to have nothing to say about any of the hidden pixels."""


@dataclass(frozen=True, slots=True)
class PlaneFrame:
    """Affine coordinates within a plane.

    Attributes:
        u0, v0: The pixel at their origin, where they are as large as pixels.
        along_u, along_v: Slope of the inverse depth relative to that at the origin.
    """

    u0: float
    v0: float
    along_u: float
    along_v: float

    @classmethod
    def at(cls, law: _Array, u0: float, v0: float) -> PlaneFrame:
        """Choose the origin; a plane at infinity, or of constant depth, has the picture's coordinates."""
        middle = float(law @ (u0, v0, 1.0))
        if not middle > 1e-9 * float(np.abs(law).max()):
            return cls(u0, v0, 0.0, 0.0)
        return cls(u0, v0, float(law[0]) / middle, float(law[1]) / middle)

    def coordinates(self, u: npt.ArrayLike, v: npt.ArrayLike) -> tuple[FloatMap, FloatMap]:
        """Turn pixels into coordinates; NaN at and beyond the horizon."""
        du, dv = np.asarray(u) - self.u0, np.asarray(v) - self.v0
        w = 1 + self.along_u * du + self.along_v * dv
        w = np.where(w > 0.02, w, np.nan)
        return (du / w).astype(np.float32), (dv / w).astype(np.float32)

    def moves_from(self, other: PlaneFrame, moves: _Array) -> _Array:
        """Express moves (n, 2) of another frame of the same plane in this one; NaN beyond the horizon."""
        u, v = other.pixels(moves[:, 0].astype(np.float32), moves[:, 1].astype(np.float32))
        ahead, start = self.coordinates(u, v), self.coordinates(other.u0, other.v0)
        return np.stack([ahead[0] - start[0], ahead[1] - start[1]], axis=1).astype(np.float64)

    def pixels(self, x: FloatMap, y: FloatMap, least: float = 0.02) -> tuple[FloatMap, FloatMap]:
        """Turn coordinates into pixels; -1e6 for what is behind the camera or too far away."""
        rest = 1 - np.float32(self.along_u) * x - np.float32(self.along_v) * y
        # The inverse depth there relative to the origin is 1 / rest.
        good = (rest > 0.02) & (rest < 1 / least)
        if good.all():
            u, v = np.float32(self.u0) + x / rest, np.float32(self.v0) + y / rest
            return np.asarray(u, dtype=np.float32), np.asarray(v, dtype=np.float32)
        rest = np.where(good, rest, 1)
        return (
            np.where(good, self.u0 + x / rest, -1e6).astype(np.float32),
            np.where(good, self.v0 + y / rest, -1e6).astype(np.float32),
        )


def recurrences(
    light: FloatMap, own: BoolMap, wanted: BoolMap, frame: PlaneFrame, *, side: int, step: int, most: int
) -> tuple[_Array, _Array]:
    """Find moves that carry what is seen around the wanted pixels onto what looks alike.

    The plane is rectified around the frame's origin; the mean squared difference of the rim of the wanted
    part from every place of the piece comes from a dozen Fourier transforms.

    Args:
        light: (H, W, 3) float32 picture, without foreign colours.
        own: (H, W) bool: visible pixels of the plane.
        wanted: (H, W) bool: hidden pixels of the plane.
        frame: Coordinates of the plane, in the middle of the wanted part.
        side: Number of grid points along a side of the rectified piece, even.
        step: Grid step in pixels at the origin.
        most: How many moves to return at most.

    Returns:
        Moves (n, 2) in the frame's coordinates, best first, and their mean squared difference (n,).
    """
    import cv2
    from scipy import fft

    line = (np.arange(side, dtype=np.float32) - side // 2) * step
    x, y = np.meshgrid(line, line)
    u, v = frame.pixels(x, y, _FARTHEST)
    none = np.empty((0, 2)), np.empty(0)
    holes = cv2.remap(wanted.view(np.uint8), u, v, cv2.INTER_NEAREST, borderValue=0)
    if not holes.any():
        return none
    seen = cv2.remap(own.view(np.uint8), u, v, cv2.INTER_NEAREST, borderValue=0)
    if cv2.countNonZero(seen) < 64:
        return none
    reach = cv2.distanceTransform(1 - holes, cv2.DIST_L2, 5)
    rim = np.where((seen > 0) & (reach < 40), 1 / (1 + (reach / 10) ** 2), 0).astype(np.float32)
    if rim.sum() < 8:
        return none
    picture = cv2.remap(light, u, v, cv2.INTER_LINEAR)
    mask = seen.astype(np.float32)
    mean = np.einsum("ijc,ij->c", picture, rim) / rim.sum()
    picture = (picture - mean) * mask[..., None]
    power = np.einsum("ijc,ijc->ij", picture, picture)
    size = fft.next_fast_len(side * 3 // 2, real=True)
    here, there = np.empty((6, side, side), np.float32), np.empty((5, side, side), np.float32)
    here[0], there[0] = rim, mask
    np.multiply(rim, power, out=here[1])
    there[1] = power
    np.multiply(np.float32(-2) * rim, picture.transpose(2, 0, 1), out=here[2:5])
    there[2:] = picture.transpose(2, 0, 1)
    here[5] = holes
    of_here, of_there = np.conj(fft.rfft2(here, (size, size))), fft.rfft2(there, (size, size))

    def back(values: npt.NDArray[Any]) -> FloatMap:
        """Lay out differences of place, from minus to plus half a side, around none."""
        half = side // 2
        whole = fft.irfft2(values, (size, size))
        around = np.empty((side + 1, side + 1), np.float32)
        around[:half, :half], around[half:, half:] = whole[-half:, -half:], whole[: half + 1, : half + 1]
        around[:half, half:], around[half:, :half] = whole[-half:, : half + 1], whole[: half + 1, -half:]
        return around

    terms = of_here[1] * of_there[0]
    for one, other in ((0, 1), (2, 2), (3, 3), (4, 4)):
        terms += of_here[one] * of_there[other]
    overlap = back(of_here[0] * of_there[0])
    cover = back(of_here[5] * of_there[0]) / holes.sum()
    difference = np.maximum(back(terms), 0) / np.maximum(overlap, 1e-3 * rim.sum())
    spread = float((rim * power).sum() / rim.sum()) + 1e-6
    usable = (overlap > _LEAST_OVERLAP * rim.sum()) & (cover > _LEAST_COVER)
    score = np.where(usable, difference / spread + _COVER_FINE * (1 - cover), np.inf).astype(np.float32)
    return _best(score, difference, step, most)


def _best(score: FloatMap, difference: FloatMap, step: int, most: int) -> tuple[_Array, _Array]:
    """Pick local minima, apart from one another, to a fraction of a step."""
    import cv2

    lowest = cv2.erode(score, np.ones((5, 5), np.uint8))
    rows, cols = np.nonzero((score <= lowest) & np.isfinite(score))
    inside = (rows > 0) & (cols > 0) & (rows < score.shape[0] - 1) & (cols < score.shape[1] - 1)
    rows, cols = rows[inside], cols[inside]
    order = np.argsort(score[rows, cols], kind="stable")[:most]
    rows, cols = rows[order], cols[order]

    def vertex(before: FloatMap, here: FloatMap, after: FloatMap) -> _Array:
        bend = before + after - 2 * here
        with np.errstate(divide="ignore", invalid="ignore"):
            shift = np.where(bend > 1e-9, (before - after) / (2 * bend), 0)
        return np.clip(np.nan_to_num(shift), -0.5, 0.5).astype(np.float64)

    here = difference[rows, cols]
    dx = vertex(difference[rows, cols - 1], here, difference[rows, cols + 1])
    dy = vertex(difference[rows - 1, cols], here, difference[rows + 1, cols])
    half = score.shape[0] // 2
    moves = np.stack([cols - half + dx, rows - half + dy], axis=1) * step
    return moves, here.astype(np.float64)


def refined_moves(
    light: FloatMap, frame: PlaneFrame, moves: _Array, rows: npt.NDArray[np.intp], cols: npt.NDArray[np.intp]
) -> _Array:
    """Shift moves by fractions of a pixel so that they fit the pixels given best (Lucas and Kanade, 1981).

    Args:
        light: (H, W, 3) float32.
        frame: Coordinates of the plane.
        moves: (n, 2).
        rows: (m,) rows of visible pixels of the plane.
        cols: (m,) their columns.

    Returns:
        (n, 2) moves.
    """
    import cv2

    x, y = frame.coordinates(cols, rows)
    here = light[rows, cols]
    height, width = light.shape[:2]

    def places(shifts: _Array) -> tuple[FloatMap, FloatMap]:
        return frame.pixels(x + shifts[:, :1].astype(np.float32), y + shifts[:, 1:].astype(np.float32))

    def looks(u: FloatMap, v: FloatMap) -> FloatMap:
        return np.asarray(cv2.remap(light, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))

    moves = moves.copy()
    best: _Array | None = None
    kept = moves.copy()
    for turn in range(4):
        u, v = places(moves)
        inside = (u >= 0) & (v >= 0) & (u <= width - 1) & (v <= height - 1)
        rest = (here - looks(u, v)) * inside[..., None]
        error = np.einsum("nkc,nkc->n", rest, rest) / np.maximum(inside.sum(axis=1), 1)
        if best is None:
            best = error
        else:
            better = error < best
            kept[better] = moves[better]
            best = np.minimum(best, error)
        if turn == 3:
            break
        slope = [
            (looks(*places(moves + shift)) - looks(*places(moves - shift))) * inside[..., None]
            for shift in (np.array([0.5, 0.0]), np.array([0.0, 0.5]))
        ]
        form = np.array([[np.einsum("nkc,nkc->n", a, b) for b in slope] for a in slope]).transpose(2, 0, 1)
        form = form + 1e-6 * np.eye(2) + 1e-3 * np.trace(form, axis1=1, axis2=2)[:, None, None] * np.eye(2)
        right = np.stack([np.einsum("nkc,nkc->n", a, rest) for a in slope], axis=1)
        moves = moves + np.clip(np.linalg.solve(form, right[..., None])[..., 0], -1, 1)
    return kept


def rim_misfits(
    light: FloatMap,
    own: BoolMap,
    frame: PlaneFrame,
    moves: _Array,
    rim: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]],
    wanted: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]],
) -> _Array:
    """Tell how well moves foretell visible pixels, with a fine for hidden ones that they have nothing for.

    Args:
        light: (H, W, 3) float32.
        own: (H, W) bool: visible pixels of the plane.
        frame: Coordinates of the plane.
        moves: (n, 2).
        rim: Rows and columns of visible pixels of the plane.
        wanted: Rows and columns of hidden ones.

    Returns:
        (n,) mean squared differences; infinite for moves that say nothing.
    """
    import cv2

    members = own.view(np.uint8)

    def targets(at: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]) -> tuple[FloatMap, FloatMap, BoolMap]:
        x, y = frame.coordinates(at[1], at[0])
        u, v = frame.pixels(x + moves[:, :1].astype(np.float32), y + moves[:, 1:].astype(np.float32))
        return u, v, np.asarray(cv2.remap(members, u, v, cv2.INTER_NEAREST, borderValue=0) > 0)

    u, v, seen = targets(rim)
    here = light[rim[0], rim[1]]
    rest = (cv2.remap(light, u, v, cv2.INTER_LINEAR) - here) * seen[..., None]
    overlap = seen.mean(axis=1)
    misfit = np.einsum("nkc,nkc->n", rest, rest) / np.maximum(seen.sum(axis=1), 1)
    cover = targets(wanted)[2].mean(axis=1)
    fine = _COVER_FINE * float(here.var(axis=0).sum()) * (1 - cover)
    good = (overlap > _LEAST_OVERLAP) & (cover > _LEAST_COVER)
    return np.where(good, misfit + fine, np.inf).astype(np.float64)
