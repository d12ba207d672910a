"""`patched`: hidden pixels from visible ones of the same plane, moved as the rim says.

For every hidden pixel, each move is judged by how well it would have foretold the visible pixels around: the
mean squared difference, near pixels first. What several moves foretell is averaged by their trust, so that a
checkerboard comes out sharp and a texture that nobody can foretell comes near its mean; a share of the best
move's own detail is added back, because a surface without grain is seen to be mended.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.render.plane_patterns import PlaneFrame, recurrences, refined_moves, rim_misfits
from depth3d.render.scattered import Places, gathered, sampled

__all__ = ["Canvas", "Piece", "patched", "pieces_of"]

_Array: TypeAlias = npt.NDArray[np.float64]
_Index: TypeAlias = npt.NDArray[np.intp]

_Cell: TypeAlias = tuple[slice, slice]

_THREADS = 4
_CELL_PX = 160
"""A plane's hidden part is filled in cells of this size."""
_FINE_PX = 80
"""Moves are looked for, over short ways, for smaller pieces of it."""
_LEAST_PX = 40
"""A cell with fewer hidden pixels gets the mean of its surroundings."""
_SMALL_PX = 600
"""A cell with fewer is searched once, at a middle distance."""
_MARGIN_PX = 32
"""How far around a cell moves are judged."""
_MOST_MOVES = 28
_LEAST_MOVE_PX = 2.0
_RIM_PX = 16
"""How far around a cell they are chosen and fitted, on at most `_SAMPLES` pixels."""
_SAMPLES = 800
_POOL = 100
"""How many moves of a plane are tried in all its cells."""
_FALLOFF = 0.4
_TRUST_POWER = 4.0
"""A move counts for 1 / misfit to this power."""
_LEAST_MISFIT = 1e-5
"""Mean squared difference that is as good as none."""
_DOUBT = 0.15
"""Share of the rim that must be compared before a move's misfit is believed rather than the texture's own."""
_BATCH_PX = 1 << 16
"""So many pixels, over all moves, are judged at once: they stay in the cache."""
_MOST_TOGETHER = 16
"""Moves that are judged at once, at most."""
_DETAIL = 0.2
"""Share of the best move's own detail that is added to the average."""


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """The picture that is filled, which may be larger than the one that moves are judged on.

    Attributes:
        picture: (H, W, 3) float32; pixels that are no source hold colours of the nearest source.
        hole: (H, W) bool.
        at: (n,) flat indices of the hole's pixels, row by row.
        filled: (n, 3) float32: what to expect there where no move is to be trusted; written to.
        scale: (across, down): sizes of the smaller picture relative to this one.
    """

    picture: FloatMap
    hole: BoolMap
    at: _Index
    filled: FloatMap
    scale: tuple[float, float] = (1.0, 1.0)

    def pixels(self, wanted: BoolMap, cell: _Cell) -> tuple[_Index, _Index]:
        """List rows and columns here of the wanted pixels of a cell of the smaller picture."""
        across, down = self.scale
        spans = [
            slice(max(int(span.start / by) - 1, 0), int(np.ceil(span.stop / by)) + 1)
            for span, by in zip(cell, (down, across), strict=True)
        ]
        rows, cols = np.nonzero(self.hole[spans[0], spans[1]])
        rows, cols = rows + spans[0].start, cols + spans[1].start
        small_rows = np.minimum(((rows + 0.5) * down).astype(np.intp), wanted.shape[0] - 1)
        small_cols = np.minimum(((cols + 0.5) * across).astype(np.intp), wanted.shape[1] - 1)
        mine = wanted[small_rows, small_cols]
        for at, span in ((small_rows, cell[0]), (small_cols, cell[1])):
            mine &= (at >= span.start) & (at < span.stop)
        return rows[mine], cols[mine]

    def to_small(self, rows: _Index, cols: _Index) -> tuple[FloatMap, FloatMap]:
        """Give (u, v) in the smaller picture of pixels here."""
        across, down = self.scale
        u, v = (cols + 0.5) * across - 0.5, (rows + 0.5) * down - 0.5
        return u.astype(np.float32), v.astype(np.float32)

    def look(self, u: FloatMap, v: FloatMap) -> FloatMap:
        """Sample the picture (n, 3) at (u, v) of the smaller one."""
        import cv2

        across, down = np.float32(self.scale[0]), np.float32(self.scale[1])
        u = (u + np.float32(0.5)) / across - np.float32(0.5)
        v = (v + np.float32(0.5)) / down - np.float32(0.5)
        return sampled(self.picture, u, v, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A part of a plane's hidden pixels, and the moves that foretell what is seen around it.

    Attributes:
        cell: The part, as a box.
        frame: Coordinates of the plane.
        moves: (n, 2) in them, the best first.
    """

    cell: _Cell
    frame: PlaneFrame
    moves: _Array


def pieces_of(light: FloatMap, own: BoolMap, wanted: BoolMap, law: _Array, *, seed: int = 0) -> list[Piece]:
    """Cut the hidden pixels of one plane into pieces, and find moves for each of them.

    Args:
        light: (h, w, 3) float32; pixels that are no source hold colours of the nearest source.
        own: (h, w) bool: visible pixels of the plane.
        wanted: (h, w) bool: hidden pixels of the plane.
        law: (3,) of the plane, inverse depth = law . (column, row, 1).
        seed: Chooses the pixels that moves are fitted to.

    Returns:
        The pieces for which there are moves.
    """
    import cv2

    cells = _cells(wanted, _CELL_PX)
    if not cells:
        return []
    blurred = cv2.blur(light, (3, 3))
    with ThreadPoolExecutor(_THREADS) as threads:
        found = list(threads.map(lambda cell: _found(light, blurred, own, wanted, law, cell), cells))
    # What holds in one part of the plane may hold in another.
    rows, cols = np.nonzero(wanted)
    common = PlaneFrame.at(law, float(cols.mean()), float(rows.mean()))
    pool = np.concatenate([common.moves_from(frame, moves) for frame, moves in found])
    pool = _distinct(pool[np.isfinite(pool).all(axis=1)], _POOL)

    def choose(number: int) -> Piece:
        cell, (frame, moves) = cells[number], found[number]
        more = frame.moves_from(common, pool)
        every = np.concatenate([moves, more[np.isfinite(more).all(axis=1)]])
        chance = np.random.default_rng((seed, number))
        return Piece(cell, frame, _chosen(light, own, wanted, frame, every, cell, chance))

    with ThreadPoolExecutor(_THREADS) as threads:
        return [piece for piece in threads.map(choose, range(len(cells))) if len(piece.moves)]


def patched(canvas: Canvas, light: FloatMap, own: BoolMap, wanted: BoolMap, pieces: list[Piece]) -> None:
    """Fill the hidden pixels of one plane on a canvas.

    Args:
        canvas: What is filled.
        light: (h, w, 3) float32: the canvas's picture, at the size at which moves are judged.
        own: (h, w) bool: visible pixels of the plane.
        wanted: (h, w) bool: hidden pixels of the plane.
        pieces: `pieces_of` the plane.
    """
    with ThreadPoolExecutor(_THREADS) as threads:  # each writes to its own pixels
        list(threads.map(lambda piece: _fill_piece(canvas, light, own, wanted, piece), pieces))


def _cells(wanted: BoolMap, side: int) -> list[_Cell]:
    """Find the cells that have something worth while to fill, as boxes just around it."""
    rows, cols = np.nonzero(wanted)
    columns = wanted.shape[1] // side + 1
    number = rows // side * columns + cols // side
    order = np.argsort(number, kind="stable")
    starts = np.flatnonzero(np.diff(number[order], prepend=-1))
    cells = []
    for part in np.split(order, starts[1:]):
        if len(part) >= _LEAST_PX:
            y, x = rows[part], cols[part]
            cells.append((slice(int(y.min()), int(y.max()) + 1), slice(int(x.min()), int(x.max()) + 1)))
    return cells


def _found(
    light: FloatMap, blurred: FloatMap, own: BoolMap, wanted: BoolMap, law: _Array, cell: _Cell
) -> tuple[PlaneFrame, _Array]:
    """Find moves for a cell, over long and short ways, the most promising first."""
    part = wanted[cell]
    rows, cols = np.nonzero(part)
    frame = PlaneFrame.at(law, float(cols.mean()) + cell[1].start, float(rows.mean()) + cell[0].start)
    if len(rows) < _SMALL_PX:
        return frame, recurrences(blurred, own, _only(wanted, cell), frame, side=128, step=3, most=12)[0]
    moves, misfit = recurrences(blurred, own, _only(wanted, cell), frame, side=192, step=4, most=12)
    for inner in _cells(part, _FINE_PX):
        piece = (_shifted(inner[0], cell[0].start), _shifted(inner[1], cell[1].start))
        rows, cols = np.nonzero(wanted[piece])
        middle = PlaneFrame.at(law, float(cols.mean()) + piece[1].start, float(rows.mean()) + piece[0].start)
        near, off = recurrences(light, own, _only(wanted, piece), middle, side=160, step=1, most=8)
        moves = np.concatenate([moves, frame.moves_from(middle, near)])
        misfit = np.concatenate([misfit, off])
    order = np.argsort(misfit, kind="stable")
    return frame, moves[order][np.isfinite(moves[order]).all(axis=1)]


def _chosen(
    light: FloatMap,
    own: BoolMap,
    wanted: BoolMap,
    frame: PlaneFrame,
    moves: _Array,
    cell: _Cell,
    chance: np.random.Generator,
) -> _Array:
    """Choose the moves that foretell a cell's rim best, and fit them to it."""
    box = _grown(cell, _RIM_PX, own.shape)
    rim = _some(own, box, chance)
    moves = _distinct(moves, len(moves))
    if not len(moves) or len(rim[0]) < 12:
        return np.empty((0, 2))
    misfit = rim_misfits(light, own, frame, moves, rim, _some(wanted, cell, chance))
    order = np.argsort(misfit, kind="stable")
    moves = moves[order][np.isfinite(misfit[order])][:_MOST_MOVES]
    return refined_moves(light, frame, moves, *rim) if len(moves) else moves


def _some(mask: BoolMap, box: _Cell, chance: np.random.Generator) -> tuple[_Index, _Index]:
    """List rows and columns of some of the pixels set in a box."""
    rows, cols = np.nonzero(mask[box])
    if len(rows) > _SAMPLES:
        some = np.sort(chance.choice(len(rows), _SAMPLES, replace=False))
        rows, cols = rows[some], cols[some]
    return rows + box[0].start, cols + box[1].start


def _only(mask: BoolMap, cell: _Cell) -> BoolMap:
    part = np.zeros_like(mask)
    part[cell] = mask[cell]
    return part


def _shifted(span: slice, by: int) -> slice:
    return slice(span.start + by, span.stop + by)


def _grown(cell: _Cell, by: int, shape: tuple[int, ...]) -> _Cell:
    """Widen a box on all sides, within the picture."""
    rows, cols = cell
    return (
        slice(max(rows.start - by, 0), min(rows.stop + by, shape[0])),
        slice(max(cols.start - by, 0), min(cols.stop + by, shape[1])),
    )


def _distinct(moves: _Array, most: int) -> _Array:
    """Leave out moves that are all but the same as an earlier one, and those that lead nowhere."""
    moves = moves[(moves**2).sum(axis=1) >= _LEAST_MOVE_PX**2]
    left = np.ones(len(moves), dtype=np.bool_)
    kept: list[int] = []
    while len(kept) < most and left.any():
        kept.append(int(left.argmax()))
        away = moves - moves[kept[-1]]
        left &= np.einsum("ij,ij->i", away, away) > 1
    return moves[kept]


def _fill_piece(canvas: Canvas, light: FloatMap, own: BoolMap, wanted: BoolMap, piece: Piece) -> None:
    """Fill the wanted pixels of a piece from the moves that foretell its rim."""
    import cv2

    cell, frame, moves = piece.cell, piece.frame, piece.moves
    rows, cols = canvas.pixels(wanted, cell)
    if not len(rows):
        return
    columns, lines = canvas.to_small(rows, cols)
    # Moves are judged on every other pixel seen in a box around, and applied to every wanted one.
    box = _grown(cell, _MARGIN_PX, own.shape)
    picture = np.ascontiguousarray(light[box][::2, ::2])
    seen = own[box][::2, ::2].astype(np.float32)
    spots = np.flatnonzero(seen)
    if not len(spots):
        return
    v, u = np.divmod(spots, seen.shape[1])
    x, y = frame.coordinates(2 * u + box[1].start, 2 * v + box[0].start)
    x, y = (np.nan_to_num(a, nan=1e9)[:, None] for a in (x, y))
    wanted_x, wanted_y = (np.nan_to_num(a, nan=1e9)[:, None] for a in frame.coordinates(columns, lines))
    members = own.view(np.uint8)
    at = Places.of((columns - box[1].start) / 2, (lines - box[0].start) / 2, seen.shape)
    weight = cv2.GaussianBlur(seen, (0, 0), 5)[..., None]
    mean = cv2.GaussianBlur(picture * seen[..., None], (0, 0), 5) / np.maximum(weight, 1e-6)
    off = picture - mean
    here = picture.reshape(-1, 3)[spots]
    # Sums over the visible neighbours of each wanted pixel.
    sums = at.read(gathered(np.dstack([np.einsum("ijc,ijc->ij", off, off) * seen, seen]), falloff=_FALLOFF))
    count = np.maximum(sums[:, 1:], 1e-20)
    plain = sums[:, :1] / count + _LEAST_MISFIT
    places = np.searchsorted(canvas.at, rows * canvas.hole.shape[1] + cols)
    base = canvas.filled[places]
    trusted = plain[:, 0] ** -_TRUST_POWER
    total = trusted[:, None] * base
    best, least = base.copy(), np.full(len(base), np.inf, dtype=np.float32)
    together = min(max(_BATCH_PX // max(seen.size, len(rows)), 1), _MOST_TOGETHER)
    for few in np.split(moves.astype(np.float32), range(together, len(moves), together)):
        # Arrays of the box are (spots, moves, ...), those of wanted pixels (pixels, moves, ...).
        u, v = frame.pixels(wanted_x + few[:, 0], wanted_y + few[:, 1])
        offered = sampled(members, u.ravel(), v.ravel(), cv2.INTER_NEAREST, cv2.BORDER_CONSTANT) > 0
        offered = offered.reshape(u.shape)
        offer = offered.any(axis=0)
        if not offer.any():
            continue
        few, u, v, offered = few[offer], u[:, offer], v[:, offer], offered[:, offer]
        says = canvas.look(u.ravel(), v.ravel()).reshape(*u.shape, 3)
        to_u, to_v = frame.pixels(x + few[:, 0], y + few[:, 1])
        both = cv2.remap(members, to_u, to_v, cv2.INTER_NEAREST, borderValue=0).astype(np.float32)
        rest = cv2.remap(light, to_u, to_v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        # Three differences of each move come first, then what is compared, and their squares; long rows are
        # worked on faster than triples.
        values, many = np.zeros((seen.size, 5 * len(few)), np.float32), len(few)
        rest = np.subtract(np.tile(here, many), rest.reshape(len(spots), -1))
        rest *= np.repeat(both, 3, axis=1)
        triples = rest.reshape(len(spots), many, 3)
        values[spots] = np.hstack([rest, both, np.einsum("...c,...c->...", triples, triples)])
        sums = at.read(gathered(values.reshape(*seen.shape, -1), falloff=_FALLOFF))
        shift, both, squares = np.split(sums, (3 * many, 4 * many), axis=1)
        doubt = _DOUBT * count
        compared = both + doubt
        # What the rim says about brightness, as of a wall that grows darker, is made up for.
        level = shift.reshape(*u.shape, 3) / compared[..., None]
        misfit = (squares + doubt * 2 * plain) / compared
        unlike = misfit - 0.5 * np.einsum("...c,...c->...", level, level)
        misfit = np.maximum(unlike, 0.1 * misfit) + _LEAST_MISFIT
        misfit[~offered] = np.inf
        says += level
        trust = misfit**-_TRUST_POWER
        total += np.einsum("nm,nmc->nc", trust, says)
        trusted += trust.sum(axis=1)
        first = misfit.argmin(axis=1)
        smallest = np.take_along_axis(misfit, first[:, None], axis=1)[:, 0]
        better = np.flatnonzero(smallest < least)
        least[better] = smallest[better]
        best[better] = says[better, first[better]]
    average = total / trusted[:, None]
    canvas.filled[places] = average + _DETAIL * (best - average)
