"""`patched`: hidden pixels from visible ones of the same plane, moved as the rim says.

For every hidden pixel, each move is judged by how well it would have foretold the visible pixels around: the
mean squared difference, near pixels first. What several moves foretell is averaged by their trust, so that a
checkerboard comes out sharp and a texture that nobody can foretell comes near its mean; a share of the best
move's own detail is added back, because a surface without grain is seen to be mended.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.render.plane_patterns import PlaneFrame, recurrences, refined_moves
from depth3d.render.scattered import gathered

__all__ = ["patched"]

_Array: TypeAlias = npt.NDArray[np.float64]

_CELL_PX = 160
_FINE_PX = 80
_MARGIN_PX = 32
_MOST_MOVES = 40
_TRUST_POWER = 4.0
_LEVEL_SHARE = 0.7
"""How much of the difference in brightness at the rim is made up for."""
_DETAIL = 0.4
"""Share of the best move's own detail that is added to the average."""


def patched(
    light: FloatMap, smooth: FloatMap, own: BoolMap, wanted: BoolMap, law: _Array, *, seed: int = 0
) -> FloatMap:
    """Fill the hidden pixels of one plane.

    Args:
        light: (H, W, 3) float32; pixels that are no source hold colours of the nearest source.
        smooth: (H, W, 3) float32: what to expect where no move is to be trusted.
        own: (H, W) bool: visible pixels of the plane.
        wanted: (H, W) bool: hidden pixels of the plane.
        law: (3,) of the plane, inverse depth = law . (column, row, 1).
        seed: Chooses the pixels that moves are fitted to.

    Returns:
        (H, W, 3) float32: `smooth` but for the wanted pixels.
    """
    import cv2

    filled = smooth.copy()
    chance = np.random.default_rng(seed)
    blurred = cv2.blur(light, (3, 3))
    for top, left in _cells(wanted, _CELL_PX):
        cell = (slice(top, top + _CELL_PX), slice(left, left + _CELL_PX))
        moves, frame = _moves(light, blurred, own, wanted, law, top, left, chance)
        if len(moves):
            _fill_cell(filled, light, own, wanted, frame, moves, cell)
    return filled


def _cells(wanted: BoolMap, side: int) -> list[tuple[int, int]]:
    """Find the corners of the cells that have something to fill."""
    rows, cols = np.nonzero(wanted)
    columns = wanted.shape[1] // side + 1
    numbers, counts = np.unique(rows // side * columns + cols // side, return_counts=True)
    return [(int(n) // columns * side, int(n) % columns * side) for n in numbers[counts >= 12]]


def _moves(
    light: FloatMap,
    blurred: FloatMap,
    own: BoolMap,
    wanted: BoolMap,
    law: _Array,
    top: int,
    left: int,
    chance: np.random.Generator,
) -> tuple[_Array, PlaneFrame]:
    """Find moves for a cell, over long and short ways."""
    part = _only(wanted, top, left, _CELL_PX)
    rows, cols = np.nonzero(part)
    frame = PlaneFrame.at(law, float(cols.mean()), float(rows.mean()))
    found, misfit = [], []
    moves, off = recurrences(blurred, own, part, frame, step=3, most=14)
    found.append(moves)
    misfit.append(off)
    for fine_top, fine_left in _cells(part, _FINE_PX):
        piece = _only(part, fine_top, fine_left, _FINE_PX)
        y, x = (a.mean() for a in np.nonzero(piece))
        inner = PlaneFrame.at(law, float(x), float(y))
        moves, off = recurrences(light, own, piece, inner, step=1, most=10)
        if len(moves):
            # The same move, in the cell's coordinates.
            u, v = inner.pixels(moves[:, 0].astype(np.float32), moves[:, 1].astype(np.float32))
            ahead, start = frame.coordinates(u, v), frame.coordinates(x, y)
            moves = np.stack([ahead[0] - start[0], ahead[1] - start[1]], axis=1).astype(np.float64)
            good = np.isfinite(moves).all(axis=1)
            found.append(moves[good])
            misfit.append(off[good])
    moves = np.concatenate(found)
    y, x = np.nonzero(_around(own, part))
    if not len(moves) or len(y) < 12:
        return np.empty((0, 2)), frame
    if len(y) > 1200:
        some = np.sort(chance.choice(len(y), 1200, replace=False))
        y, x = y[some], x[some]
    moves = refined_moves(light, frame, moves, y, x)
    return _distinct(moves, np.concatenate(misfit)), frame


def _only(mask: BoolMap, top: int, left: int, side: int) -> BoolMap:
    part = np.zeros_like(mask)
    part[top : top + side, left : left + side] = mask[top : top + side, left : left + side]
    return part


def _around(own: BoolMap, part: BoolMap) -> BoolMap:
    """Find the visible pixels of the plane beside a part of the hole."""
    import cv2

    box = np.ones((_MARGIN_PX + 1, _MARGIN_PX + 1), np.uint8)
    return own & (cv2.dilate(part.view(np.uint8), box) > 0)


def _distinct(moves: _Array, misfit: _Array) -> _Array:
    """Leave out moves that are all but the same, and those that lead nowhere."""
    kept: list[_Array] = []
    for i in np.argsort(misfit, kind="stable"):
        if np.hypot(*moves[i]) < 2:
            continue
        if all(np.hypot(*(moves[i] - other)) > 1 for other in kept):
            kept.append(moves[i])
        if len(kept) == _MOST_MOVES:
            break
    return np.array(kept).reshape(-1, 2)


def _fill_cell(
    filled: FloatMap,
    light: FloatMap,
    own: BoolMap,
    wanted: BoolMap,
    frame: PlaneFrame,
    moves: _Array,
    cell: tuple[slice, slice],
) -> None:
    """Fill the wanted pixels of a cell from the moves that foretell its rim."""
    import cv2

    height, width = own.shape
    top, left = max(cell[0].start - _MARGIN_PX, 0), max(cell[1].start - _MARGIN_PX, 0)
    bottom, right = min(cell[0].stop + _MARGIN_PX, height), min(cell[1].stop + _MARGIN_PX, width)
    box = (slice(top, bottom), slice(left, right))
    inside = np.zeros((bottom - top, right - left), dtype=np.bool_)
    inside[cell[0].start - top : cell[0].stop - top, cell[1].start - left : cell[1].stop - left] = True
    inside &= wanted[box]
    seen = own[box].astype(np.float32)
    picture = light[box]
    u, v = np.meshgrid(np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32))
    x, y = frame.coordinates(u, v)
    x, y = np.nan_to_num(x, nan=1e9), np.nan_to_num(y, nan=1e9)
    members = own.view(np.uint8)

    def spread(values: FloatMap, falloff: float) -> FloatMap:
        sums = cv2.resize(gathered(_halved(values), falloff=falloff), (right - left, bottom - top))
        return np.asarray(sums.reshape(bottom - top, right - left, -1)[inside])

    base = filled[box][inside]
    mean = (
        cv2.GaussianBlur(picture * seen[..., None], (0, 0), 10)
        / np.maximum(cv2.GaussianBlur(seen, (0, 0), 10), 1e-6)[..., None]
    )
    off = ((picture - mean) ** 2).sum(axis=2) * seen
    sums = spread(np.dstack([off, seen]), 0.3)
    spread_sq = sums[:, 0] / np.maximum(sums[:, 1], 1e-20) + 1e-5
    trust = spread_sq**-_TRUST_POWER
    total = trust[:, None] * base
    weight = trust.copy()
    best = base.copy()
    least = np.full(len(base), np.inf, dtype=np.float32)
    for move in moves.astype(np.float32):
        mu, mv = frame.pixels(x + move[0], y + move[1])
        there = cv2.remap(members, mu, mv, cv2.INTER_NEAREST, borderValue=0) > 0
        offered = there[inside]
        if not offered.any():
            continue
        moved = cv2.remap(light, mu, mv, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        both = seen * there
        rest = (picture - moved) * both[..., None]
        square = (rest**2).sum(axis=2)
        local = spread(np.dstack([square, both]), 0.3)
        broad = spread(np.dstack([rest, both, seen]), 0.6)
        level = broad[:, :3] / np.maximum(broad[:, 3:4] + 0.1 * broad[:, 4:], 1e-20)
        cost = (local[:, 0] + 0.1 * sums[:, 1] * 2 * spread_sq) / (local[:, 1] + 0.1 * sums[:, 1] + 1e-20)
        cost = np.maximum(cost - 0.5 * (level**2).sum(axis=1), 0.1 * cost) + 1e-5
        cost = np.where(offered, cost, np.inf)
        says = moved[inside] + _LEVEL_SHARE * level
        trust = np.where(offered, cost**-_TRUST_POWER, 0)
        total += trust[:, None] * says
        weight += trust
        better = cost < least
        least[better] = cost[better]
        best[better] = says[better]
    average = total / weight[:, None]
    filled[box][inside] = average + _DETAIL * (best - average)


def _halved(values: FloatMap) -> FloatMap:
    """Average 2 x 2 pixels; there is nothing beyond the border."""
    height, width, channels = values.shape
    even = np.zeros((height + height % 2, width + width % 2, channels), dtype=np.float32)
    even[:height, :width] = values
    return np.asarray(even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2, channels).mean(axis=(1, 3)))
