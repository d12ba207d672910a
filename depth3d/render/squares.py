"""`Squares`: numbers at some pixels of a picture, kept as the small squares in which there are any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["SQUARE_PX", "Squares", "Window", "squares_of"]

SQUARE_PX = 32
"""Side of a square."""

Window: TypeAlias = tuple[slice | torch.Tensor, slice | torch.Tensor]
"""Rows and columns: slices, or (h, 1) and (1, w) indices."""


class Squares:
    """Several numbers a pixel at some pixels; everywhere else hold those of a filling.

    What is known beside silhouettes only takes a tenth of the memory that it takes as a picture.

    Args:
        at: (n,) int64 flat indices of the pixels, each once.
        values: k times (n,) float32.
        fill: k numbers.
        size: Height and width of the picture.

    Attributes:
        values: (k, m, 32, 32) float32; the first of the m squares is nothing but the filling.
        there: (rows, columns) bool of all squares of the picture: which of them are kept, in reading order.
    """

    def __init__(
        self,
        at: torch.Tensor,
        values: Sequence[torch.Tensor],
        fill: Sequence[float],
        size: tuple[int, int],
    ) -> None:
        rows, columns = (-(-side // SQUARE_PX) for side in size)
        row, column = torch.div(at, size[1], rounding_mode="floor"), at % size[1]
        square = torch.div(row, SQUARE_PX, rounding_mode="floor") * columns
        square += torch.div(column, SQUARE_PX, rounding_mode="floor")
        kept = torch.zeros(rows * columns, dtype=torch.bool, device=at.device)
        kept[square] = True
        number = torch.where(kept, torch.cumsum(kept, 0), 0)
        place = (number[square] * SQUARE_PX + row % SQUARE_PX) * SQUARE_PX + column % SQUARE_PX
        count = int(kept.sum()) + 1
        flat = torch.empty((len(fill), count * SQUARE_PX**2), dtype=torch.float32, device=at.device)
        for channel, of, elsewhere in zip(flat, values, fill, strict=True):
            channel.fill_(elsewhere)
            channel[place] = of
        self.values = flat.view(len(fill), count, SQUARE_PX, SQUARE_PX)
        self._number = number.view(rows, columns)
        self.there: npt.NDArray[np.bool_] = kept.view(rows, columns).cpu().numpy()

    def within(self, window: Window) -> torch.Tensor | None:
        """Give (k, h, w) of a window; None where there is nothing but the filling."""
        rows, columns = window
        if isinstance(rows, slice) and isinstance(columns, slice):
            return self._cut(rows, columns)
        y, x = (
            torch.arange(side.start, side.stop, device=self.values.device)
            if isinstance(side, slice)
            else side.reshape(-1)
            for side in window
        )
        top, left = int(y.min()), int(x.min())
        cut = self._cut(slice(top, int(y.max()) + 1), slice(left, int(x.max()) + 1))
        return None if cut is None else cut[:, (y - top)[:, None], (x - left)[None, :]]

    def _cut(self, rows: slice, columns: slice) -> torch.Tensor | None:
        down, right = squares_of((rows.start, rows.stop)), squares_of((columns.start, columns.stop))
        if not self.there[down, right].any():
            return None
        some = self.values[:, self._number[down, right]]  # (k, rows, columns, 32, 32)
        joined = some.transpose(2, 3).reshape(len(some), some.shape[1] * SQUARE_PX, some.shape[2] * SQUARE_PX)
        top, left = down.start * SQUARE_PX, right.start * SQUARE_PX
        return joined[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def squares_of(pixels: tuple[int, int]) -> slice:
    """Tell which squares hold the pixels from one up to before another; those before 0 do not count."""
    return slice(max(0, pixels[0]) // SQUARE_PX, -(-max(0, pixels[1]) // SQUARE_PX))
