"""`steep_pixels`: where inverse depth climbs, or falls, on both sides of a pixel alike.

Such pixels are few. Cells as wide as the step are passed over by the least and the largest value of those
beside them, which bound what any of their pixels climbs: a step twice as long takes a quarter of the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap

__all__ = ["steep_pixels"]

_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""(rows, columns) a step: across, down and both diagonals; each is looked at in both senses."""

_CELLS_PER_BLOCK = 1 << 17
"""Rows are looked at in blocks of about this many cells, which caches hold."""

_PIXELS_AT_ONCE = 1 << 18
"""The pixels of cells are looked at so many at a time, which bounds the memory where all is steep."""

_ROUNDED = 1 - 1e-6
"""Share of the sum of two steps that is left, at the least, when they and the sum have been rounded."""


def steep_pixels(
    q: FloatMap, pad: int, shape_hw: tuple[int, int], least: dict[int, float]
) -> Iterator[tuple[int, int, npt.NDArray[np.intp], npt.NDArray[np.float32]]]:
    """Find the pixels that are steep on both sides, in the same sense, over steps of some lengths.

    Args:
        q: (H + 2 pad or more, W + 2 pad) positive values, C-contiguous. Beside the columns of the picture
            they are unknown (NaN).
        pad: From the rim of `q` to the picture; twice the longest step or more.
        shape_hw: Height and width of the picture.
        least: For each length of a step in pixels, powers of two, what must be climbed or fallen over the
            step on either side, as a share of the pixel's value.

    Yields:
        For a step, in one of four directions:
        (the step, the offset of one pixel that way, the steep pixels, the gentler of each one's two slopes
        a pixel). Offset and pixels are indices in `q`, flattened. Pixels that are unknown, or a step away
        from one, are never steep.
    """
    flat, stride = q.reshape(-1), q.shape[1]
    end = (pad + shape_hw[0]) * stride
    longest = max(least)
    # Around the cells is one more on each side.
    rows, cols = ((-(-side // longest) + 2) * longest for side in shape_hw)
    low = high = q[pad - longest :, pad - longest :][:rows, :cols]
    cell = 1
    for step, share in sorted(least.items()):
        while cell < step:
            low, high, cell = _halved(low, np.fmin), _halved(high, np.fmax), 2 * cell
        inside = (np.arange(step)[:, None] * stride + np.arange(step)).reshape(-1)
        margin = longest // step
        n_cols = low.shape[1] - 2 * margin
        found = _climbing_cells(low, high, margin, share)
        at_once = max(1, _PIXELS_AT_ONCE // step**2)
        for (down, right), climbing in zip(_DIRECTIONS, found, strict=True):
            one = down * stride + right
            for start in range(0, len(climbing), at_once):
                cells = climbing[start : start + at_once]
                first = (cells // n_cols * step + pad) * stride + cells % n_cols * step + pad
                at = first[:, None] + inside
                here = flat[at]
                ahead, behind = flat[at + step * one] - here, here - flat[at - step * one]
                floor = here * np.float32(share)
                # NaN compares false. Both one-sided slopes have the same sign, and both are steep.
                steep = (np.minimum(ahead, behind) > floor) | (np.maximum(ahead, behind) < -floor)
                steep &= at < end
                ahead, behind = ahead[steep], behind[steep]
                slope: npt.NDArray[np.float32] = np.where(np.abs(ahead) < np.abs(behind), ahead, behind)
                slope /= np.float32(step)
                yield step, one, at[steep], slope


def _climbing_cells(low: FloatMap, high: FloatMap, margin: int, share: float) -> list[npt.NDArray[np.intp]]:
    """Find cells that may climb, or fall, twice a share of their value from the cell behind to the one ahead.

    Args:
        low: The least value of each cell.
        high: The largest value of each cell; the same array where cells are pixels.
        margin: How many cells around are not asked for.
        share: Of the least value.

    Returns:
        For each direction, indices of cells in reading order, those of the margin not counted.
    """

    def moved(values: FloatMap, top: int, down: int, right: int) -> FloatMap:
        row, col = top + margin + down, margin + right
        return values[row : min(row + n_rows, len(values) - margin + down), col : col + n_cols]

    n_cols = low.shape[1] - 2 * margin
    n_rows = max(1, _CELLS_PER_BLOCK // n_cols)
    found: list[list[npt.NDArray[np.intp]]] = [[] for _ in _DIRECTIONS]
    for top in range(0, len(low) - 2 * margin, n_rows):
        most = moved(low, top, 0, 0) * np.float32(2 * _ROUNDED * share)
        for cells, (down, right) in zip(found, _DIRECTIONS, strict=True):
            climb = moved(high, top, down, right) - moved(low, top, -down, -right)
            if low is high:
                np.abs(climb, out=climb)
            else:
                fall = moved(high, top, -down, -right) - moved(low, top, down, right)
                np.maximum(climb, fall, out=climb)
            cells.append(np.flatnonzero(climb > most) + top * n_cols)
    return [np.concatenate(cells) for cells in found]


def _halved(values: FloatMap, pick: Callable[[FloatMap, FloatMap], FloatMap]) -> FloatMap:
    """Pick one value of each square of four; NaN only where all are."""
    rows = pick(values[::2], values[1::2])
    return pick(rows[:, ::2], rows[:, 1::2])
