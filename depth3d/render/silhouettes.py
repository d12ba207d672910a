"""`blend_edges`: pixels of a view in which surfaces end, and what shows beside and behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from depth3d.accel.tensors import tensor_view
from depth3d.core.color import to_linear
from depth3d.render.points import Points
from depth3d.render.projection import Projection
from depth3d.render.sheets import Sheet
from depth3d.render.splatting import Behind, Splat

__all__ = ["Backdrop", "Blended", "blend_edges"]

_SURFACES = 4
"""How many surfaces are looked for in a pixel, from the nearest on."""
_OPAQUE = 1 / 512
"""Share of a pixel that is left to what is behind, below which nothing is looked for."""
_SEARCHES = 8
"""Steps in which a ray finds the backdrop, which is smooth."""
_SHARE = 1 << 13
"""Numbers that PyTorch does not share out among threads."""


@dataclass(frozen=True, slots=True, eq=False)
class Blended:
    """Some pixels of a view.

    Attributes:
        color: (k, 3) uint8 sRGB.
        inverse_depth: (k,) of the surface that covers most of the pixel, in the view.
        from_hidden: (k,) bool: whether most of it comes from the back sheet or the backdrop.
    """

    color: torch.Tensor
    inverse_depth: torch.Tensor
    from_hidden: torch.Tensor


class Backdrop:
    """The sheet that is everywhere.

    Args:
        sheet: The backdrop of the layers.
        device: Where it lives.
    """

    def __init__(self, sheet: Sheet, device: torch.device) -> None:
        q = tensor_view(sheet.inverse_depth).to(device)
        self._q = q[None, None]
        # Decoded where it is seen, as large pictures take much memory.
        self._color = tensor_view(sheet.color).to(device).reshape(-1, 3)
        self._linear = tensor_view(to_linear(np.arange(256, dtype=np.uint8))).to(device)
        self._middle = float(np.mean(sheet.inverse_depth, dtype=np.float64))
        self.height, self.width = q.shape

    def hit(
        self, projection: Projection, x: torch.Tensor, y: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Find what the rays of view pixels meet.

        Returns:
            (k, 3) linear light, and (k,) inverse depth in the view.
        """
        q = torch.full_like(x, self._middle)
        for _ in range(_SEARCHES):
            u, v = projection.backward(x, y, q)
            u, v = u.clamp(0, self.width), v.clamp(0, self.height)
            q = _sampled(self._q, u, v)[0]
        ratio = projection.ratio(u, v, q).clamp(min=1e-4)
        return self._light(u, v), q / ratio

    def _light(self, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Interpolate linear light at pixels (k,), with the border going on: (k, 3)."""
        x, y = (_from_first(at, side) for at, side in ((u, self.width), (v, self.height)))
        left, top = x.long(), y.long()
        right, below = (left + 1).clamp(max=self.width - 1), (top + 1).clamp(max=self.height - 1)
        x, y = (x - left)[:, None], (y - top)[:, None]

        def lit(col: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
            return self._linear[self._color.index_select(0, row * self.width + col).long()]

        light = lit(left, top) * ((1 - x) * (1 - y))
        light.addcmul_(lit(right, top), x * (1 - y)).addcmul_(lit(left, below), (1 - x) * y)
        return light.addcmul_(lit(right, below), x * y)


def blend_edges(
    points: Points, projection: Projection, splat: Splat, backdrop: Backdrop, at: torch.Tensor
) -> Blended:
    """Blend surfaces from the nearest to the farthest, in linear light.

    Args:
        points: The points.
        projection: To the view.
        splat: Where they come to lie.
        backdrop: For what is left.
        at: (k,) pixels of the view, counted row by row.

    Returns:
        The pixels.
    """
    x = (at % splat.width).float() + 0.5
    y = (at // splat.width).float() + 0.5
    place = splat.nearest[splat.place(at)]
    point = torch.where(place > 0, points.order[place], -1)
    light = torch.zeros((len(at), 3), device=at.device)
    left = torch.ones(len(at), device=at.device)
    hidden, most, depth = torch.zeros_like(left), torch.zeros_like(left), torch.zeros_like(left)

    def add(some: torch.Tensor, cover: torch.Tensor, lit: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        share = left[some] * cover
        light[some] += share[:, None] * lit
        left[some] -= share
        nearer = share > most[some]
        depth[some] = torch.where(nearer, q, depth[some])
        most[some] = torch.maximum(most[some], share)
        return share

    some = torch.nonzero(point >= 0)[:, 0]
    behind: Behind | None = None
    for number in range(_SURFACES):
        if not len(some):
            break
        here = point[some].long()
        cover, lit, q = _surface(points, projection, here, x[some], y[some])
        share = add(some, cover, lit, q)
        hidden[some] += share * (here >= points.front_count)
        more = left[some] > _OPAQUE
        some, here = some[more], here[more]
        if number == _SURFACES - 1 or not len(some):
            break
        limit = points.q.index_select(0, here) - points.thickness(here)
        if behind is None:
            behind = splat.behind(at, some, limit)
        found = behind.nearest(some, limit)
        point[some] = found
        some = some[found >= 0]
    rest = torch.nonzero(left > _OPAQUE)[:, 0]
    if len(rest):
        lit, q = backdrop.hit(projection, x[rest], y[rest])
        hidden[rest] += add(rest, torch.ones_like(q), lit, q)
    light /= (1 - left).clamp(min=_OPAQUE)[:, None]
    return Blended(_srgb(light), depth, hidden > 0.5)


def _surface(
    points: Points, projection: Projection, point: torch.Tensor, x: torch.Tensor, y: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sample the surface of a point where rays meet it.

    Returns:
        Cover 0..1, (k, 3) linear light, and inverse depth in the view.
    """
    a, b, c = (part.index_select(0, point) for part in points.plane)
    u, v, det = projection.on_planes(x, y, (a, b, c))
    at_u, at_v = points.position(point)
    du = (u - at_u).nan_to_num_(9.0).clamp_(-1, 1)
    dv = (v - at_v).nan_to_num_(9.0).clamp_(-1, 1)
    q = (points.q.index_select(0, point) + a * du + b * dv).clamp_(min=0)
    ratio = projection.ratio(at_u + du, at_v + dv, q)
    right, below = (du < 0).to(torch.int64), 2 + (dv < 0).to(torch.int64)
    beside, under = points.neighbor(point, right), points.neighbor(point, below)
    corner = points.neighbor(beside, below)
    corner = torch.where(corner >= 0, corner, points.neighbor(under, right))
    apart = torch.nonzero(corner < 0)[:, 0]
    if len(apart):
        corner[apart] = points.diagonal(point[apart], 1 - 2 * right[apart], 5 - 2 * below[apart])
    du, dv = du.abs(), dv.abs()
    cover = torch.zeros_like(du)
    color = torch.zeros((len(point), 3), device=point.device)
    for tap, weight in (
        (point, (1 - du) * (1 - dv)),
        (beside, du * (1 - dv)),
        (under, (1 - du) * dv),
        (corner, du * dv),
    ):
        paint, alpha = points.paint(tap.clamp(min=0))
        weight = torch.where(tap >= 0, weight * alpha / 255, 0)
        cover += weight
        color.addcmul_(paint, weight[:, None])
    color /= cover.clamp(min=1e-6)[:, None]
    # A pulled-apart pixel does not blur the end of its surface.
    pulled = (det / ratio.square()).clamp(min=1).sqrt()
    cover = torch.where(cover < 0.999, ((cover - 0.5) * pulled + 0.5).clamp(0, 1), 1.0)
    return cover, _linear(color), q / ratio.clamp(min=1e-4)


def _sampled(maps: torch.Tensor, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Interpolate (1, c, h, w) maps at pixels (k,), with the border going on; (c, k)."""
    height, width = maps.shape[-2:]
    grid = torch.stack([u * (2 / width) - 1, v * (2 / height) - 1], dim=-1)[None, None]
    found = torch.nn.functional.grid_sample(maps, grid, padding_mode="border", align_corners=False)
    return found[0, :, 0]


def _from_first(at: torch.Tensor, side: int) -> torch.Tensor:
    """Count pixels from the centre of the first one, within the picture, rounded as `grid_sample` does."""
    whole = at * (2 / side)  # -1, and + 1 again
    whole = torch.addcmul(torch.full_like(at, -1.0), whole - 1 + 1, torch.full_like(at, float(side)))
    return (whole / 2).clamp_(0, side - 1)


def _linear(color: torch.Tensor) -> torch.Tensor:
    """Decode sRGB in 0..255, fractions too, to linear light."""
    s = color / 255
    return torch.where(s <= 0.04045, s / 12.92, _power((s + 0.055) / 1.055, 2.4))


def _srgb(light: torch.Tensor) -> torch.Tensor:
    """Encode linear light as sRGB bytes."""
    x = light.clamp(0, 1)
    curve = torch.where(x <= 0.0031308, 12.92 * x, 1.055 * _power(x, 1 / 2.4) - 0.055)
    return (255 * curve).round_().to(torch.uint8)


def _power(base: torch.Tensor, exponent: float) -> torch.Tensor:
    """Raise to a power, to the same bits with any number of threads.

    On the CPU PyTorch rounds the last few numbers of each thread's share in another way than all others: none
    are last here, and no share is large enough to be split.
    """
    if base.device.type != "cpu":
        return base.pow(exponent)
    flat = torch.nn.functional.pad(base.reshape(-1), (0, -base.numel() % _SHARE), value=1.0)
    for start in range(0, len(flat), _SHARE):
        flat[start : start + _SHARE].pow_(exponent)
    return flat[: base.numel()].view(base.shape)
