"""`SmoothSurfaces`: pixels of a view that show the inside of a surface, sampled from whole sheets."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from depth3d.render.pictures import Picture, TiledPicture
from depth3d.render.points import Points
from depth3d.render.projection import Projection
from depth3d.render.splatting import Splat

__all__ = ["SmoothSurfaces"]

_LEAST_FACING = 0.05
"""A surface of which a pixel is seen on less than this share of its area is sampled as edges are."""


class SmoothSurfaces:
    """Samples surfaces where nothing ends.

    Args:
        points: The points.
        pictures: Of the front and the back sheet.
        projection: To the view.
        splat: Where they come to lie.
    """

    def __init__(
        self, points: Points, pictures: Sequence[Picture | TiledPicture], projection: Projection, splat: Splat
    ) -> None:
        self.points, self.pictures = points, pictures
        self.projection, self.splat = projection, splat
        self._clear = _clear_px(projection)

    def sample(self, rows: slice) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Sample some rows of the view.

        Returns:
            (k, 3) uint8 colours, (k,) inverse depths, (k,) bool from behind, and the numbers of the pixels
            for which none of them holds, since a surface ends there.
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
        facing = (winner > 0) & (det > _LEAST_FACING * ratio * ratio)
        clear = facing & (torch.index_select(points.clear, 0, point).view(shape) >= self._clear)
        color = self.pictures[0].sample(torch.where(clear, u, 0.5), torch.where(clear, v, 0.5)).view(-1, 3)
        u, v, facing, clear = (each.view(-1) for each in (u, v, facing, clear))
        # Near the end of a surface, one by one.
        some = torch.nonzero(facing & ~clear)[:, 0]
        at_u, at_v = points.position(point[some])
        some = some[points.in_whole_square(point[some], u[some] - at_u, v[some] - at_v)]
        clear[some] = True
        hidden = (point >= points.front_count) & clear
        for picture, at in zip(
            self.pictures, (some[~hidden[some]], torch.nonzero(hidden)[:, 0]), strict=True
        ):
            if len(at):
                color[at] = picture.sample(u[at], v[at])
        depth = (q / ratio).clamp_(min=0).view(-1)
        return color, depth, hidden, torch.nonzero(~clear)[:, 0]


def _clear_px(projection: Projection) -> int:
    """Tell how many pixels from its end a surface is surely all around a sample.

    A point is sampled up to a pixel of the view away from where it comes to lie, between four pixels of the
    sheet, of which the last may be an end itself.
    """
    # Pixels of the sheet for one of the view, at its middle and as if far away.
    scale = np.abs(projection.back[:2, :2] / projection.back[2, 2]).sum(axis=1).max()
    return min(15, 1 + math.ceil(min(float(scale), 14.0) - 1e-3))
