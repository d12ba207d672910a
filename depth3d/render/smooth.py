"""`SmoothSurfaces`: pixels of a view that show the inside of a surface, sampled from the sheets as a whole."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn.functional import grid_sample

from depth3d.accel.tensors import tensor_view
from depth3d.core.arrays import ImageArray
from depth3d.render.points import Points
from depth3d.render.projection import Projection
from depth3d.render.sheets import Layers
from depth3d.render.splatting import Splat

__all__ = ["Pictures", "SmoothSurfaces"]

_LEAST_FACING = 0.05
"""A surface of which a pixel is seen on less than this share of its area is sampled as edges are."""
_ROW = 1024


class Pictures:
    """The colours of the front and the back sheet, to be sampled anywhere.

    Bicubic, which keeps a shifted picture as sharp as it is (Keys, IEEE Trans. ASSP 29, 1981, with a = -0.75,
    the one that OpenCV and PyTorch share).

    Args:
        layers: The layers.
        device: Where they live.
    """

    def __init__(self, layers: Layers, device: torch.device) -> None:
        self._sheets = [np.ascontiguousarray(sheet.color) for sheet in (layers.front, layers.back)]
        self._maps = []
        if device.type != "cpu":
            views = [tensor_view(sheet).to(device).permute(2, 0, 1)[None] for sheet in self._sheets]
            self._maps = [view.contiguous() for view in views]

    def sample(self, number: int, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Sample a sheet, 0 in front and 1 at the back, at pixels (k,) or (h, w): (..., 3) uint8."""
        if not self._maps:
            return torch.from_numpy(_remapped(self._sheets[number], u, v))
        picture = self._maps[number]
        height, width = picture.shape[-2:]
        grid = torch.stack([u * (2 / width) - 1, v * (2 / height) - 1], dim=-1)
        found = grid_sample(
            picture.float(), grid.view(1, -1, 1, 2), mode="bicubic", padding_mode="border", align_corners=False
        )
        return found[0, :, :, 0].T.round().clamp(0, 255).to(torch.uint8).view(*u.shape, 3)


class SmoothSurfaces:
    """Samples surfaces where nothing ends.

    Args:
        points: The points.
        pictures: Their colours.
        projection: To the view.
        splat: Where they come to lie.
    """

    def __init__(self, points: Points, pictures: Pictures, projection: Projection, splat: Splat) -> None:
        self.points, self.pictures = points, pictures
        self.projection, self.splat = projection, splat
        self._clear = _clear_px(projection)

    def sample(self, rows: slice) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Sample some rows of the view.

        Returns:
            (k, 3) uint8 colours, (k,) inverse depths, (k,) bool from behind, and the numbers of the pixels for
            which none of them holds, since a surface ends there.
        """
        points, width = self.points, self.splat.width
        winner = self.splat.winner(rows)
        shape = winner.shape
        point = torch.index_select(points.order, 0, winner.view(-1))
        a, b, c = (torch.index_select(part, 0, point).view(shape) for part in points.plane)
        x = torch.arange(width, device=points.device, dtype=torch.float32) + 0.5
        y = torch.arange(rows.start, rows.stop, device=points.device, dtype=torch.float32)[:, None] + 0.5
        u, v, det = self.projection.on_planes(x, y, (a, b, c))
        q = torch.addcmul(torch.addcmul(c, a, u), b, v)
        ratio = self.projection.ratio(u, v, q)
        clear = torch.index_select(points.clear, 0, point).view(shape) >= self._clear
        clear &= (winner > 0) & (det > _LEAST_FACING * ratio * ratio)
        left = torch.nonzero(~clear.view(-1))[:, 0]
        color = self.pictures.sample(0, torch.where(clear, u, 0.5), torch.where(clear, v, 0.5)).view(-1, 3)
        hidden = (point >= points.front_count) & clear.view(-1)
        behind = torch.nonzero(hidden)[:, 0]
        if len(behind):
            color[behind] = self.pictures.sample(1, u.view(-1)[behind], v.view(-1)[behind])
        depth = (q / ratio).clamp_(min=0).view(-1)
        return color, depth, hidden, left


def _clear_px(projection: Projection) -> int:
    """Tell how many pixels from its end a surface is surely all around a sample.

    A point is sampled up to a pixel of the view away from where it comes to lie, and the filter takes two more
    pixels of the sheet, of which the last may be an end itself.
    """
    # Pixels of the sheet for one of the view, at its middle and as if far away.
    scale = np.abs(projection.back[:2, :2] / projection.back[2, 2]).sum(axis=1).max()
    return min(15, 1 + math.ceil(min(scale, 14) - 1e-3))


def _remapped(picture: ImageArray, u: torch.Tensor, v: torch.Tensor) -> ImageArray:
    import cv2

    shape, count = u.shape, u.numel()
    if u.ndim == 1:  # OpenCV takes pictures of up to 32767 pixels a side
        pad = -count % _ROW
        u, v = (torch.nn.functional.pad(each, (0, pad), value=0.5).view(-1, _ROW) for each in (u, v))
    found = cv2.remap(
        picture,
        (u - 0.5).numpy(),
        (v - 0.5).numpy(),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(found.reshape(-1, 3)[:count].reshape(*shape, 3), dtype=np.uint8)
