"""`Points`: the pixels of layers as one list, with their planes, their neighbours and their order."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch

from depth3d.accel.tensors import tensor_view
from depth3d.core.arrays import FloatArray
from depth3d.render.numbering import Numbering
from depth3d.render.point_lists import ALL, WHOLE, PointLists
from depth3d.render.sheets import Layers

__all__ = ["LINKS", "Points"]

LINKS = ((1, 0), (-1, 0), (0, 1), (0, -1))
"""Steps (across, down) to the four neighbours, which are the bits of `Points.links`."""

_CHUNK = 1 << 18
"""Points that are worked on together."""
_THICKNESS = 0.004
"""Share of its inverse depth by which a surface may differ from its local plane."""
_BEHIND_BIAS = 1e-5
"""The share of its inverse depth by which a hidden surface is put back where it doubles a visible one."""


class Points:
    """All pixels of the front sheet, then those of the back sheet where it has a surface.

    Args:
        layers: The layers.
        device: Where the lists live.

    Attributes:
        width, height: Of the sheets.
        count: n, how many there are; the first `width * height` are the front sheet's, row by row.
        q: (n,) inverse depth.
        plane: Three (n,): a, b and c of the local plane q = a u + b v + c, through the pixel itself.
        links: (n,) uint8: to which neighbours of the same sheet the surface goes on, and in bit 4 whether the
            square to the right and below, between four pixel centres, is whole.
        clear: (n,) uint8: how many pixels away the nearest end of a surface is, 0 at an end.
        rank: (n,) int32: place in the order from far to near, from 1 on; 0 for what can't be seen.
        order: (n + 1,) int32: the point of each place.
        back_pixel: Pixel of each point of the back sheet.
    """

    def __init__(self, layers: Layers, device: torch.device) -> None:
        self.height, self.width = layers.front.inverse_depth.shape
        front, back = layers.front, layers.back
        size = self.width * self.height
        at = np.flatnonzero(back.alpha.ravel() > 0)
        self.front_count, self.count = size, size + len(at)
        self.back_pixel = tensor_view(at.astype(np.int32)).to(device)
        self._behind = Numbering(at, size, device)
        self.device = device
        lists = PointLists(self.count)
        lists.fill(slice(0, size), front, None)
        # They are sorted as hidden ones count that double visible ones.
        np.multiply(back.inverse_depth.ravel()[at], np.float32(1 - _BEHIND_BIAS), out=lists.q[size:])
        self.nearest_q = float(lists.q.max())
        order, rank = _ordered(lists.q)
        rank[:size][front.alpha.ravel() <= 0] = 0
        self.rank, self.order = tensor_view(rank).to(device), tensor_view(order).to(device)
        lists.fill(slice(size, self.count), back, at)
        self.q, self.links, self.clear = (
            tensor_view(each).to(device) for each in (lists.q, lists.links, lists.clear)
        )
        self.plane = tuple(tensor_view(each).to(device) for each in (lists.right, lists.down, lists.offset))
        del lists
        self._paints = [
            (
                tensor_view(sheet.color).to(device).reshape(-1, 3),
                tensor_view(sheet.alpha).to(device).reshape(-1),
            )
            for sheet in (front, back)
        ]
        self._blocks: Blocks | None = None
        ends = torch.nonzero((self.links & ALL) != ALL)[:, 0]
        self._end = Numbering(ends.cpu().numpy(), self.count, device)
        self._beside_end = torch.stack([self._met(ends, k) for k in range(4)]).to(torch.int32)

    def blocks(self, side: int) -> Blocks:
        """Bound the slopes and depths of square blocks of pixels, whose number goes row by row."""
        if self._blocks is None:
            self._blocks = Blocks(self, side)
        return self._blocks

    def clearances(self) -> list[npt.NDArray[np.uint8]]:
        """Give `clear` as two (height, width) maps, of the front and the back sheet."""
        clear = self.clear.cpu().numpy()
        back = np.zeros(self.front_count, dtype=np.uint8)
        back[self.back_pixel.cpu().numpy()] = clear[self.front_count :]
        shape = self.height, self.width
        return [clear[: self.front_count].reshape(shape), back.reshape(shape)]

    def pixel(self, point: torch.Tensor) -> torch.Tensor:
        """Give the pixel of the sheets, row by row, at which points lie."""
        if not len(self.back_pixel):
            return point
        behind = self.back_pixel.index_select(0, (point - self.front_count).clamp(min=0))
        return torch.where(point < self.front_count, point, behind)

    def position(self, point: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Give u and v of points in the sheets."""
        pixel = self.pixel(point)
        return (pixel % self.width).float() + 0.5, (pixel // self.width).float() + 0.5

    def back_point(self, pixel: torch.Tensor) -> torch.Tensor:
        """Give the back sheet's point at pixels, -1 where it has none: int64."""
        number = self._behind.of(pixel)
        return torch.where(number >= 0, number + self.front_count, -1)

    def in_whole_square(self, point: torch.Tensor, du: torch.Tensor, dv: torch.Tensor) -> torch.Tensor:
        """Tell whether places beside points, up to a pixel away, lie between four pixels of their surfaces.

        Args:
            point: (k,) points.
            du: (k,) pixels to the right.
            dv: (k,) pixels down.
        """
        step = (du < 0).to(torch.int64) + self.width * (dv < 0).to(torch.int64)
        corner = (self.pixel(point).to(torch.int64) - step).clamp_(min=0)
        corner = torch.where(point < self.front_count, corner, self.back_point(corner))
        whole = (self.links.index_select(0, corner.clamp(min=0)) & WHOLE) > 0
        return whole & (corner >= 0) & (du.abs() <= 1) & (dv.abs() <= 1)

    def paint(self, point: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the sRGB colours (k, 3) and the alphas (k,) of points, both in 0..255, as floats."""
        front, back = self._paints
        color, alpha = (part.index_select(0, point.clamp(max=self.front_count - 1)) for part in front)
        behind = torch.nonzero(point >= self.front_count)[:, 0]
        if len(behind):
            pixel = self.back_pixel.index_select(0, point[behind] - self.front_count)
            color[behind], alpha[behind] = (part.index_select(0, pixel) for part in back)
        return color.float(), (255 * alpha.clamp_(0, 1)).round_()

    def thickness(self, point: torch.Tensor) -> torch.Tensor:
        """Tell by how much inverse depth may differ on the surface of points, a pixel or two beside them."""
        slope = torch.maximum(*(part.index_select(0, point).abs() for part in self.plane[:2]))
        return 2 * slope + _THICKNESS * self.q.index_select(0, point)

    def neighbor(self, point: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
        """Step to neighbours along surfaces, from one sheet to the other where they meet.

        Args:
            point: (k,) points, -1 for none.
            side: (k,) number of the step in `LINKS`.

        Returns:
            (k,) points, -1 where the surface ends.
        """
        start = point.clamp(min=0)
        step = torch.tensor([du + dv * self.width for du, dv in LINKS], device=self.device)[side]
        end = self._end.of(start)
        beside = start + step
        behind = start >= self.front_count
        if bool(behind.any()):
            pixel = (self.pixel(start) + step).clamp(0, self.front_count - 1)
            beside = torch.where(behind, self.back_point(pixel), beside)
        if self._beside_end.shape[1]:
            at = side * self._beside_end.shape[1] + end.clamp(min=0)
            there = self._beside_end.view(-1).index_select(0, at).to(torch.int64)
            beside = torch.where(end >= 0, there, beside)
        return torch.where(point >= 0, beside, -1)

    def diagonal(self, point: torch.Tensor, across: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
        """Step to diagonal neighbours of the same sheet in the surface, joined or not; -1 for none."""
        start = point.clamp(min=0)
        beside, within = self._pixel_beside(start, across, down)
        beside = torch.where(start < self.front_count, beside, self.back_point(beside))
        near = self._in_plane(start, beside, across, down)
        return torch.where(within & near & (point >= 0), beside, -1)

    def _met(self, point: torch.Tensor, side: int) -> torch.Tensor:
        """Find the neighbours of points that are the end of a surface: linked, or of the other sheet."""
        across, down = LINKS[side]
        beside, within = self._pixel_beside(point, across, down)
        behind = self.back_point(beside)
        in_front = point < self.front_count
        same, other = torch.where(in_front, beside, behind), torch.where(in_front, behind, beside)
        met = within & self._in_plane(point, other, across, down)
        linked = (self.links[point] & (1 << side)) > 0
        return torch.where(linked, same, torch.where(met, other, -1))

    def _pixel_beside(
        self, point: torch.Tensor, across: torch.Tensor | int, down: torch.Tensor | int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        pixel = self.pixel(point).to(torch.int64)
        u, v = pixel % self.width + across, pixel // self.width + down
        within = (u >= 0) & (u < self.width) & (v >= 0) & (v < self.height)
        return (v * self.width + u).clamp(0, self.front_count - 1), within

    def _in_plane(
        self,
        point: torch.Tensor,
        other: torch.Tensor,
        across: torch.Tensor | int,
        down: torch.Tensor | int,
    ) -> torch.Tensor:
        """Tell whether other points, -1 for none, lie in the planes of points."""
        there = other.clamp(min=0)
        expected = self.q[point] + self.plane[0][point] * across + self.plane[1][point] * down
        near = (self.q[there] - expected).abs() <= self.thickness(point)
        return near & (other >= 0) & (self.rank[there] > 0)


class Blocks:
    """What the points of square blocks of pixels have between them.

    Attributes:
        across: Blocks in a row.
        u, v, q, a, b: (2, k) least and most position, inverse depth, and slopes of it.
    """

    def __init__(self, points: Points, side: int) -> None:
        height, width = points.height, points.width
        self.across, down = -(-width // side), -(-height // side)
        # The front sheet has points everywhere: no block stays infinite.
        every = points.q, *points.plane[:2]
        shape = len(every), down * self.across
        low = torch.full(shape, math.inf, device=points.device)
        high = torch.full(shape, -math.inf, device=points.device)
        for start in range(0, points.count, _CHUNK):
            part = slice(start, min(start + _CHUNK, points.count))
            pixel = points.pixel(torch.arange(part.start, part.stop, device=points.device))
            block = (pixel // width // side * self.across + pixel % width // side).long()
            for number, values in enumerate(every):
                low[number].scatter_reduce_(0, block, values[part], "amin")
                high[number].scatter_reduce_(0, block, values[part], "amax")
        bounds = torch.stack([low, high], dim=1).cpu().numpy()
        self.q, self.a, self.b = (np.asarray(each, dtype=np.float64) for each in bounds)
        left = np.tile(np.arange(self.across) * side, down).astype(np.float64)
        top = np.repeat(np.arange(down) * side, self.across).astype(np.float64)
        self.u, self.v = (np.stack([low, low + side]) for low in (left, top))


def _ordered(q: FloatArray) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Sort points from far to near: `order` and `rank`, as of `Points`."""
    order, rank = np.empty(len(q) + 1, dtype=np.int32), np.empty(len(q), dtype=np.int32)
    order[1:] = np.argsort(q, kind="stable")
    order[0] = order[1]
    for start in range(0, len(q), _CHUNK):
        places = np.arange(start + 1, min(start + _CHUNK, len(q)) + 1, dtype=np.int32)
        rank[order[start + 1 : start + 1 + len(places)]] = places
    return order, rank
