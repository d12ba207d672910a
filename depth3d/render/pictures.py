"""`Pictures`: the colours of sheets, to be sampled between pixels without blur and without a shift."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import grid_sample, pad

from depth3d.accel.tensors import tensor_view
from depth3d.core.arrays import ImageArray

__all__ = ["Picture", "TiledPicture"]

_TAPS = {
    2: np.array([1, 1]) / 2,
    4: np.array([-1, 9, 9, -1]) / 16,
    6: np.array([1, -5, 20, 20, -5, 1]) / 32,
}
"""Weights of the pixels around the point midway between two; the longest as in ITU-T H.264, 8.4.2.2.1. All
keep gradients as they are."""
_ROW = 1024
_MOST_SIDE_PX = 32766
"""The largest side of pictures that OpenCV's remap takes."""
_TILE_PX = 256
_AROUND_PX = 3
"""Pixels beside a tile that the points midway between its own are found from."""


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
            first = max(top - _AROUND_PX, 0), max(left - _AROUND_PX, 0)
            part = tuple(
                slice(at, end + _TILE_PX + 1 + _AROUND_PX) for at, end in zip(first, (top, left), strict=True)
            )
            fine = _doubled(self._color[part], self._clear[part])
            rows, cols = (
                slice(2 * (end - at), 2 * (end - at + _TILE_PX) + 1)
                for at, end in zip(first, (top, left), strict=True)
            )
            tile = self._tiles[top, left] = np.ascontiguousarray(fine[rows, cols])
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
    import cv2

    color = np.ascontiguousarray(color)
    height, width = clear.shape
    fine = np.empty((2 * height - 1, 2 * width - 1, 3), dtype=np.uint8)
    fine[::2, ::2] = color
    right = np.minimum(clear[:, :-1], clear[:, 1:])
    below = np.minimum(clear[:-1], clear[1:])
    both = np.minimum(right[:-1], right[1:])
    for rows, cols, room in ((0, 1, right), (1, 0, below), (1, 1, both)):
        taken: npt.NDArray[Any] | None = None
        for least, taps in enumerate(_TAPS.values()):
            if least and not (room >= least).any():
                break
            across, down = taps if cols else np.ones(1), taps if rows else np.ones(1)
            anchor = (len(across) // 2 - cols, len(down) // 2 - rows)
            midway = cv2.sepFilter2D(color, -1, across, down, anchor=anchor, borderType=cv2.BORDER_REPLICATE)
            midway = midway[: room.shape[0], : room.shape[1]]
            if taken is None:
                taken = np.ascontiguousarray(midway)
            else:
                cv2.copyTo(midway, (room >= least).view(np.uint8), taken)
        assert taken is not None
        fine[rows::2, cols::2] = taken
    return fine
