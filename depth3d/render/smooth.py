"""`SmoothSurfaces`: pixels of a view that show the inside of a surface, sampled from whole sheets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from depth3d.render.pictures import Picture, TiledPicture
from depth3d.render.points import Points
from depth3d.render.projection import Projection
from depth3d.render.splatting import Splat

__all__ = ["Rest", "SmoothSurfaces"]

_LEAST_FACING = 0.05
"""A surface of which a pixel is seen on less than this share of its area is sampled as edges are."""


class Rest(NamedTuple):
    """Pixels of a view that do not show the inside of the front sheet, or not surely.

    Attributes:
        at: (k,) their numbers, row by row.
        point: (k,) points that are the nearest there.
        u, v: (k,) where their planes are met.
        facing: (k,) bool: whether a surface is there, and faces the camera.
        clear: (k,) bool: whether it goes on all around.
    """

    at: torch.Tensor
    point: torch.Tensor
    u: torch.Tensor
    v: torch.Tensor
    facing: torch.Tensor
    clear: torch.Tensor

    @classmethod
    def joined(cls, parts: Sequence[Rest]) -> Rest:
        """Put those of several bands into one list."""
        return cls(*(torch.cat(each) for each in zip(*parts, strict=True)))


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

    def sample(self, rows: slice) -> tuple[torch.Tensor, torch.Tensor, Rest]:
        """Sample the front sheet in some rows of the view.

        Returns:
            (k, 3) uint8 colours, (k,) inverse depths, and the pixels that do not show its inside, whose
            colours mean nothing.
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
        inside = clear & (point < points.front_count).view(shape)
        color = self.pictures[0].sample(torch.where(inside, u, 0.5), torch.where(inside, v, 0.5)).view(-1, 3)
        rest = torch.nonzero(~inside.view(-1))[:, 0]
        about = (each.view(-1).index_select(0, rest) for each in (point, u, v, facing, clear))
        return color, (q / ratio).clamp_(min=0).view(-1), Rest(rest + rows.start * width, *about)

    def sample_rest(self, rest: Rest) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Sample pixels one by one: those of the back sheet, and those near the end of a surface.

        Returns:
            (k,) bool: whether a pixel shows the inside of a surface; (k, 3) uint8 colours of those that do;
            (k,) bool: which of them are from behind.
        """
        points = self.points
        some = torch.nonzero(rest.facing & ~rest.clear)[:, 0]
        u, v = points.position(rest.point[some])
        inside = rest.clear.clone()
        inside[some] = points.in_whole_square(rest.point[some], rest.u[some] - u, rest.v[some] - v)
        hidden = inside & (rest.point >= points.front_count)
        color = torch.empty((len(inside), 3), dtype=torch.uint8, device=points.device)
        for picture, shown in zip(self.pictures, (inside & ~hidden, hidden), strict=True):
            at = torch.nonzero(shown)[:, 0]
            if len(at):
                color[at] = picture.sample(rest.u[at], rest.v[at])
        return inside, color, hidden


def _clear_px(projection: Projection) -> int:
    """Tell how many pixels from its end a surface is surely all around a sample.

    A point is sampled up to a pixel of the view away from where it comes to lie, between four pixels of the
    sheet, of which the last may be an end itself.
    """
    # Pixels of the sheet for one of the view, at its middle and as if far away.
    scale = np.abs(projection.back[:2, :2] / projection.back[2, 2]).sum(axis=1).max()
    return min(15, 1 + math.ceil(min(float(scale), 14.0) - 1e-3))
