"""`Splat`: the points of the layers sent to a view, the nearest at every pixel, and those behind it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from depth3d.render.points import Points
from depth3d.render.projection import Projection
from depth3d.render.stretches import stretched_points

__all__ = ["Behind", "Splat"]

_CHUNK = {"cpu": 1 << 17}
_CHUNK_ELSEWHERE = 1 << 24
_RING = 2
"""Pixels around the view, at which what lies outside is counted."""


class Splat:
    """Points on the pixels of a view.

    Each point touches the 2 x 2 pixels whose centres lie around it. Their order needs no depth: on a ray
    through the view's centre it is the order of depth in the photo, whatever the pose, so that the places in
    it, found once, make a z-buffer of whole numbers, the same on every device.

    Args:
        points: The points.
        projection: To the view.
        pose: (4, 4) `T_world_camera`.
        size_wh: Of the view.
    """

    def __init__(
        self,
        points: Points,
        projection: Projection,
        pose: npt.NDArray[np.float64],
        size_wh: tuple[int, int],
    ) -> None:
        self.points, self.projection = points, projection
        self.width, self.height = size_wh
        self.stride = self.width + 2 * _RING
        self._size = self.stride * (self.height + 2 * _RING)
        # Pixel centres at whole numbers, counted from the ring.
        self._grid = projection.moved(_RING - 0.5)
        self._corners = (0, 1, self.stride, self.stride + 1)
        self.nearest = torch.zeros(self._size + self.stride + 1, dtype=torch.int32, device=points.device)
        # What the camera has passed is not seen: its order would be the reverse.
        ahead = float(pose[2, 3])
        self._most_q = 1 / ahead if ahead * points.nearest_q >= 1 else None
        self._at = torch.empty(points.count, dtype=torch.int32, device=points.device)
        self._extra: list[tuple[torch.Tensor, torch.Tensor]] = []
        chunk = self._chunk = _CHUNK.get(points.device.type, _CHUNK_ELSEWHERE)
        rows = max(1, chunk // points.width)
        column = torch.arange(points.width, device=points.device, dtype=torch.float32) + 0.5
        line = torch.arange(points.height, device=points.device, dtype=torch.float32)[:, None] + 0.5
        for top in range(0, points.height, rows):
            v = line[top : top + rows]
            part = slice(top * points.width, (top + len(v)) * points.width)
            self._send(part, column, v, points.q[part].view(len(v), points.width))
        for start in range(points.front_count, points.count, chunk):
            part = slice(start, min(start + chunk, points.count))
            pixel = points.back_pixel[part.start - points.front_count : part.stop - points.front_count]
            u, v = (pixel % points.width).float() + 0.5, (pixel // points.width).float() + 0.5
            self._send(part, u, v, points.q[part])
        for point, u, v, q in stretched_points(points, projection, size_wh, chunk):
            at, rank = self._places(u, v, q, points.rank[point])
            self._extra.append((point, at))
            self._count(at, rank)

    def winner(self, rows: slice) -> torch.Tensor:
        """Give the (h, w) int32 ranks of the nearest points of some rows; 0 where there is none."""
        grid = self.nearest[: self._size].view(-1, self.stride)
        return grid[rows.start + _RING : rows.stop + _RING, _RING : _RING + self.width].contiguous()

    def place(self, at: torch.Tensor) -> torch.Tensor:
        """Give the places in `nearest` of pixels of the view, counted row by row."""
        return at + (at // self.width) * (2 * _RING) + _RING * (self.stride + 1)

    def behind(self, at: torch.Tensor, some: torch.Tensor, limit: torch.Tensor) -> Behind:
        """List the points that touch some pixels of the view behind a limit.

        This is the last question: it's worked out where the nearest points were noted, and these are
        forgotten, as large views take much memory.

        Args:
            at: (n,) pixels of the view, counted row by row.
            some: (k,) which of them are asked for, from 0 on.
            limit: (k,) inverse depths in the photo.
        """
        asked = self.place(at[some])
        bound = self.nearest.view(torch.float32).fill_(-1.0)
        bound[asked] = limit
        for step in (1, self.stride):  # in place: each becomes the most of itself and a later one
            for start in range(0, len(bound) - step, self._chunk):
                part = slice(start, min(start + self._chunk, len(bound) - step))
                bound[part] = torch.maximum(bound[part], bound[part.start + step : part.stop + step])
        points, found = self.points, []
        for start in range(0, points.count, self._chunk):
            part = slice(start, min(start + self._chunk, points.count))
            behind = points.q[part] < bound.index_select(0, self._at[part])
            found.append(torch.nonzero(behind)[:, 0] + start)
        point = [torch.cat(found)]
        place = [self._at.index_select(0, point[0]).long()]
        for more, where in self._extra:
            hits = torch.nonzero(points.q.index_select(0, more) < bound.index_select(0, where))[:, 0]
            point.append(more[hits])
            place.append(where[hits])
        number = bound.view(torch.int32).zero_()
        number[asked] = some.to(torch.int32) + 1
        first = torch.cat(place)
        touched = torch.stack([number[step:].index_select(0, first) for step in self._corners])
        return Behind(points, torch.cat(point), touched, len(at))

    def _send(self, part: slice, u: torch.Tensor, v: torch.Tensor, q: torch.Tensor) -> None:
        at, rank = self._places(u, v, q, self.points.rank[part])
        self._at[part] = at
        self._count(at, rank)

    def _count(self, at: torch.Tensor, rank: torch.Tensor) -> None:
        for step in self._corners:
            self.nearest[step:].scatter_reduce_(0, at, rank, "amax")

    def _places(
        self, u: torch.Tensor, v: torch.Tensor, q: torch.Tensor, rank: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        x, y, _ = self._grid.forward(u, v, q)
        x, y = x.floor_().clamp_(0, self.width + _RING), y.floor_().clamp_(0, self.height + _RING)
        if self._size < 1 << 24:  # so that a float counts them
            at = x.add_(y, alpha=self.stride).to(torch.int64).view(-1)
        else:
            at = y.to(torch.int64).mul_(self.stride).add_(x.to(torch.int64)).view(-1)
        if self._most_q is not None:
            passed = q.reshape(-1) >= self._most_q
            at, rank = torch.where(passed, 0, at), torch.where(passed, 0, rank)
        return at, rank


class Behind:
    """Points that touch some pixels of a view behind a limit.

    Args:
        points: All points.
        point: (m,) those that do.
        touched: (4, m) int32: the pixels that each touches, counted from 1 on; 0 for those not asked for.
        count: How many pixels there are.
    """

    def __init__(self, points: Points, point: torch.Tensor, touched: torch.Tensor, count: int) -> None:
        self._order, self._touched, self._count = points.order, touched, count
        self._q, self._rank = points.q.index_select(0, point), points.rank.index_select(0, point)

    def nearest(self, some: torch.Tensor, limit: torch.Tensor) -> torch.Tensor:
        """Find the nearest of them behind a limit.

        Args:
            some: (k,) pixels that were asked for, from 0 on.
            limit: (k,) inverse depths in the photo, none larger than that with which they were listed.

        Returns:
            (k,) points, -1 where there is none.
        """
        bound = limit.new_full((self._count + 1,), -1.0)  # behind it lies nothing
        bound[some + 1] = limit
        best = torch.zeros(len(bound), dtype=torch.int32, device=limit.device)
        for touched in self._touched:
            rank = torch.where(self._q < bound.index_select(0, touched), self._rank, 0)
            best.scatter_reduce_(0, touched.long(), rank, "amax")
        best = best[some + 1]
        return torch.where(best > 0, self._order.index_select(0, best), -1)
