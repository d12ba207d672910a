"""The last layers of Depth Anything a band of rows at a time: where a pass takes and fills most memory.

At full resolution one feature map of Small takes 45 MB in float32, 23 MB in bfloat16, and a pass makes three.
Their pages are new to the process, which costs more than writing them, and they come back from memory for
every layer. Rows of a band stay in the cache, and PyTorch's bilinear filter, which gives one picture to one
thread, gets rows as pictures. One core of Zen 5, Small at 518 x 686: 30 ms instead of 52.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.nn.functional import interpolate

__all__ = ["BandedHead", "enlarged_rows"]

_BAND_PX = 1 << 16
"""Pixels of a band: of 32 features in bfloat16 4 MB, which the C library keeps for the next band. Twice that
it gives back and takes anew each time."""

_Rows: TypeAlias = Callable[[int, int], torch.Tensor]
"""Gives the rows from the first to before the last of a map that is not there as a whole: (n, c, rows, w)."""


class BandedHead(nn.Module):
    """`DepthAnything`'s head, and the enlargement before it, with the same weights.

    Args:
        head: Of the network, whose last `_Fusion` is to leave its map as small as it is.
    """

    def __init__(self, head: Any) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = head.conv1, head.conv2, head.conv3
        self.is_metric: bool = head.is_metric
        self.max_depth: float = head.max_depth

    def forward(self, x: torch.Tensor, size: Any) -> torch.Tensor:
        """Bring (n, c, h, w) features to (n, height, width) numbers, by way of twice their size."""
        n, _, rows, columns = x.shape
        height, width = size
        middle = enlarged_rows(lambda first, last: x[:, :, first:last], rows, (2 * rows, 2 * columns))
        narrow = _convolved_rows(middle, 2 * rows, self.conv1)
        full = _convolved_rows(enlarged_rows(narrow, 2 * rows, (height, width)), height, self.conv2)
        result = x.new_empty(n, height, width)
        band = max(1, _BAND_PX // (n * width))
        for top in range(0, height, band):
            bottom = min(top + band, height)
            result[:, top:bottom] = self.conv3(full(top, bottom).relu_())[:, 0]
        return (result.sigmoid_() if self.is_metric else result.relu_()).mul_(self.max_depth)


def enlarged_rows(rows_of: _Rows, height: int, size: tuple[int, int]) -> _Rows:
    """Resize a map bilinearly with its corners kept: first its height, then its width.

    Args:
        rows_of: Gives (n, c, rows, w) in channels last, or nearly so.
        height: Its rows.
        size: (height, width) wanted.

    Returns:
        The rows of the resized map, in channels last. Shares of rows are rounded to what the number format
        can hold next to 1, 256ths in bfloat16, so that the two shares of a pixel sum to one.
    """
    new_height, new_width = size
    places = torch.arange(new_height, dtype=torch.float64) * ((height - 1) / max(new_height - 1, 1))
    lower = places.long().clamp(max=height - 1)
    upper = (lower + 1).clamp(max=height - 1)

    def rows(first: int, last: int) -> torch.Tensor:
        low, high = lower[first:last], upper[first:last]
        top = int(low[0])
        source = rows_of(top, int(high[-1]) + 1).permute(0, 2, 3, 1)  # (n, rows, w, c)
        steps = 2 / torch.finfo(source.dtype).eps
        shares = ((places[first:last] - low) * steps).round().div(steps).to(source.dtype)
        between = torch.lerp(
            source.index_select(1, low - top), source.index_select(1, high - top), shares[:, None, None]
        )
        n, count, width, channels = between.shape
        pictures = between.view(n * count, 1, width, channels).permute(0, 3, 1, 2)
        wide = interpolate(pictures, size=(1, new_width), mode="bilinear", align_corners=True)
        return wide.permute(0, 2, 3, 1).view(n, count, new_width, channels).permute(0, 3, 1, 2)

    return rows


def _convolved_rows(rows_of: _Rows, height: int, convolution: nn.Module) -> _Rows:
    """Convolve by 3 x 3 with a border of zeros around the map, not around the rows that are asked for."""

    def rows(first: int, last: int) -> torch.Tensor:
        top = max(first - 1, 0)
        found: torch.Tensor = convolution(rows_of(top, min(last + 1, height)))
        return found[:, :, first - top : last - top]

    return rows
