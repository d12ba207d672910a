"""`Pictures`: the colours of sheets, to be sampled between pixels without blur and without a shift."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import grid_sample, pad

from depth3d.accel.tensors import tensor_view
from depth3d.core.arrays import FloatArray, ImageArray

__all__ = ["Picture", "TiledPicture"]

_TAPS = (
    np.array([1, 1]) / 2,
    np.array([-1, 9, 9, -1]) / 16,
    np.array([1, -5, 20, 20, -5, 1]) / 32,
)
"""Weights of the pixels around the point midway between two; the longest as in ITU-T H.264, 8.4.2.2.1. All
keep gradients as they are."""
_ROW = 1024
_MOST_SIDE_PX = 32766
"""The largest side of pictures that OpenCV's remap takes."""
_TILE_PX = 256
_AROUND_PX = 3
"""Pixels beside others that the points midway between these are found from."""
_BLOCK_PX = 64, 256
"""Rows and columns that are doubled together: what is made on the way stays in the processor's cache."""


class Picture:
    """A sheet's colours at twice the size, between whose pixels it is enough to interpolate linearly.

    Bilinear samples of the picture itself blur it by how far they lie from pixel centres; OpenCV's bicubic
    ones (a = -0.75) shift gradients by up to 0.06 px. Here the points midway between pixels are found once,
    from up to six pixels, of which none lies beyond the end of a surface, and gradients are kept exactly.

    Args:
        color: (H, W, 3) uint8.
        clear: (H, W) uint8: how many pixels away the nearest end of a surface is.
        device: Where it is sampled.
    """

    def __init__(self, color: ImageArray, clear: npt.NDArray[np.uint8], device: torch.device) -> None:
        self._fine = _doubled(color, clear)
        self._map: torch.Tensor | None = None
        if device.type != "cpu" or max(self._fine.shape) > _MOST_SIDE_PX:
            self._map = tensor_view(self._fine).to(device).permute(2, 0, 1)[None].float().contiguous()

    def sample(self, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Sample it at pixels, (k,) or (h, w): (..., 3) uint8. Beyond the border the last pixels go on."""
        x, y = 2 * u - 1, 2 * v - 1
        if self._map is None:
            return torch.from_numpy(_remapped(self._fine, x, y))
        height, width = self._map.shape[-2:]
        grid = torch.stack([(x + 0.5) * (2 / width) - 1, (y + 0.5) * (2 / height) - 1], dim=-1)
        found = grid_sample(self._map, grid.view(1, -1, 1, 2), padding_mode="border", align_corners=False)
        return found[0, :, :, 0].T.round().to(torch.uint8).view(*u.shape, 3)


class TiledPicture:
    """The same picture, on the CPU, of which little is sampled: doubled by tiles, when they are asked for.

    Args:
        color: (H, W, 3) uint8.
        clear: (H, W) uint8, as for `Picture`.
    """

    def __init__(self, color: ImageArray, clear: npt.NDArray[np.uint8]) -> None:
        self._color, self._clear = color, clear
        self._tiles: dict[tuple[int, int], ImageArray] = {}

    def sample(self, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Sample it at pixels (k,): (k, 3) uint8. Beyond the border the last pixels go on."""
        x, y = (2 * u - 1).numpy(), (2 * v - 1).numpy()
        height, width = self._clear.shape
        row, col = (
            np.clip(at // (2 * _TILE_PX), 0, (side - 1) // _TILE_PX).astype(np.int64)
            for at, side in ((y, height), (x, width))
        )
        across = (width - 1) // _TILE_PX + 1
        number = row * across + col
        order = np.argsort(number, kind="stable")
        starts = np.flatnonzero(np.diff(number[order], prepend=-1))
        found = np.empty((len(x), 3), np.uint8)
        for some in np.split(order, starts[1:]):
            top, left = (int(part) * _TILE_PX for part in divmod(number[some[0]], across))
            # Whole numbers less: not a bit of the fractions is lost.
            tile_x, tile_y = torch.from_numpy(x[some] - 2 * left), torch.from_numpy(y[some] - 2 * top)
            found[some] = _remapped(self._tile(top, left), tile_x, tile_y)
        return torch.from_numpy(found)

    def _tile(self, top: int, left: int) -> ImageArray:
        tile = self._tiles.get((top, left))
        if tile is None:
            height, width = (
                min(side - at, _TILE_PX + 1) for side, at in zip(self._clear.shape, (top, left), strict=True)
            )
            fine = np.empty((2 * height, 2 * width, 3), np.uint8)
            _double(self._color, self._clear, (slice(top, top + height), slice(left, left + width)), fine)
            tile = self._tiles[top, left] = fine[:-1, :-1]
        return tile


def _remapped(picture: ImageArray, x: torch.Tensor, y: torch.Tensor) -> ImageArray:
    import cv2

    shape, count = x.shape, x.numel()
    if x.ndim == 1 or max(shape) > _MOST_SIDE_PX:
        x, y = x.reshape(-1), y.reshape(-1)
        x, y = (pad(each, (0, -count % _ROW)).view(-1, _ROW) for each in (x, y))
    found = cv2.remap(picture, x.numpy(), y.numpy(), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found.reshape(-1, 3)[:count].reshape(*shape, 3), dtype=np.uint8)


def _doubled(color: ImageArray, clear: npt.NDArray[np.uint8]) -> ImageArray:
    """Put points midway between all pixels: (2 H - 1, 2 W - 1, 3), the old ones at even places."""
    height, width = clear.shape
    fine = np.empty((2 * height, 2 * width, 3), dtype=np.uint8)
    for top in range(0, height, _BLOCK_PX[0]):
        for left in range(0, width, _BLOCK_PX[1]):
            rows, cols = (slice(at, at + side) for at, side in zip((top, left), _BLOCK_PX, strict=True))
            onto = fine[2 * rows.start : 2 * rows.stop, 2 * cols.start : 2 * cols.stop]
            _double(color, clear, (rows, cols), onto)
    return fine[:-1, :-1]


def _double(
    color: ImageArray, clear: npt.NDArray[np.uint8], window: tuple[slice, slice], onto: ImageArray
) -> None:
    """Give to each pixel of a window the points midway to the right, below, and between all four.

    Args:
        color: (H, W, 3) of the whole picture.
        clear: (H, W).
        window: Rows and columns; those beyond the picture do not count.
        onto: (2 h, 2 w, 3). What lies beyond the last pixels of the picture is not to be used.
    """
    import cv2

    (top, left), (height, width) = (side.start for side in window), clear[window].shape
    first = max(top - _AROUND_PX, 0), max(left - _AROUND_PX, 0)
    around = np.ascontiguousarray(
        color[first[0] : top + height + _AROUND_PX, first[1] : left + width + _AROUND_PX]
    )
    mine = slice(top - first[0], top - first[0] + height), slice(left - first[1], left - first[1] + width)
    room = clear[top : top + height + 1, left : left + width + 1]
    missing = height + 1 - room.shape[0], width + 1 - room.shape[1]
    room = cv2.copyMakeBorder(room, 0, missing[0], 0, missing[1], cv2.BORDER_CONSTANT, value=0)
    right, below = np.minimum(room[:, :-1], room[:, 1:]), np.minimum(room[:-1, :-1], room[1:, :-1])
    parts = [around[mine]]
    for down, across, room in ((0, 1, right[:-1]), (1, 0, below), (1, 1, np.minimum(right[:-1], right[1:]))):
        # Most blocks have one and the same room everywhere.
        least, most = (min(int(end), len(_TAPS) - 1) for end in (room.min(), room.max()))
        for number in range(least, most + 1):
            midway = _midway(around, _TAPS[number], down, across)[mine]
            if number == least:
                parts.append(np.ascontiguousarray(midway))
            else:
                cv2.copyTo(midway, (room >= number).view(np.uint8), parts[-1])
    for row in (0, 1):
        onto[row::2] = cv2.merge(parts[2 * row : 2 * row + 2]).reshape(height, 2 * width, 3)


def _midway(color: ImageArray, taps: FloatArray, down: int, across: int) -> ImageArray:
    """Find the points half a pixel down, or to the right, or both, of all pixels, from those around."""
    import cv2

    none = np.ones(1)
    anchor = (len(taps) // 2 - 1) * across, (len(taps) // 2 - 1) * down
    kernels = taps if across else none, taps if down else none
    found = cv2.sepFilter2D(color, -1, *kernels, anchor=anchor, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(found, dtype=np.uint8)
