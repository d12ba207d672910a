"""`Surface`, what light comes from, and `Layered`: its pixels sorted into layers by circle of confusion.

There is a layer for each radius of 0, 1 .. 8 pixels and on in equal ratios, on both sides of the focus. A
pixel's place among them is a number with a fraction, by which it belongs to the next layer too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["PER_OCTAVE", "UNIT_STEPS", "Layered", "Surface", "Window", "radius_of"]

UNIT_STEPS = 8
"""Up to this radius there is a layer a pixel."""
PER_OCTAVE = 5
"""Layers an octave beyond that."""

_SHARP_PX = 0.5
"""A circle of confusion of less than this radius stays within its pixel, which is copied."""
_NOWHERE = -1000.0
"""Place of a pixel where there is no surface: farther than any layer."""
_BLOCK_PX = 32
"""Side of the squares whose layers are listed."""
_MOST = 128
"""Layers on either side that can be listed: a radius of 2^27 pixels."""

Window: TypeAlias = tuple[slice | torch.Tensor, slice | torch.Tensor]
"""Rows and columns: slices, or (h, 1) and (1, w) indices."""


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """What the camera sees, or what is hidden behind it.

    Attributes:
        light: (3, H, W) linear.
        radius: (H, W) signed radius of the circle of confusion in pixels, positive in front of the focus.
        mask: (H, W) where the surface is: bool, or the share 0..1 of each pixel that it covers; None is
            everywhere.
    """

    light: torch.Tensor
    radius: torch.Tensor
    mask: torch.Tensor | None = None


def radius_of(number: int) -> float:
    """Give the signed radius of a layer: 0, 1 .. 8, and on in equal ratios."""
    size = abs(number)
    if size > UNIT_STEPS:
        return math.copysign(UNIT_STEPS * 2 ** ((size - UNIT_STEPS) / PER_OCTAVE), number)
    return float(number)


class Layered:
    """A surface with the place of each pixel among the layers.

    Args:
        surface: The surface.
        weight: What its colours count for beside those of other surfaces in a layer.
    """

    def __init__(self, surface: Surface, weight: float) -> None:
        self.light, self.weight = surface.light, weight
        self.cover: torch.Tensor | None = None
        radius, mask = surface.radius, surface.mask
        if mask is not None and mask.dtype != torch.bool:
            self.cover, mask = mask, mask > 0
        height, width = radius.shape
        self.place = torch.empty_like(radius)
        blocks = (-(-height // _BLOCK_PX), -(-width // _BLOCK_PX))
        counts = []
        columns = torch.arange(width, device=radius.device, dtype=torch.int32) // _BLOCK_PX * (2 * _MOST)
        for top in range(0, height, _BLOCK_PX):
            rows = slice(top, top + _BLOCK_PX)
            place = _place(radius[rows])
            if mask is not None:
                place = torch.where(mask[rows], place, _NOWHERE)
            self.place[rows] = place
            # Both layers of each pixel, counted by block; those nowhere go to the first number.
            found = torch.zeros(blocks[1] * 2 * _MOST, dtype=torch.bool, device=radius.device)
            for number in (place.floor(), place.ceil()):
                number = number.clamp(min=-_MOST, max=_MOST - 1).to(torch.int32)
                found[((number + _MOST) + columns).reshape(-1).long()] = True
            counts.append(found.view(blocks[1], 2 * _MOST))
        self._listed: npt.NDArray[np.bool_] = torch.stack(counts).cpu().numpy()
        self._listed[..., 0] = False

    def numbers(self, rows: tuple[int, int] | None = None, cols: tuple[int, int] | None = None) -> list[int]:
        """List the layers of the pixels in a window, or a few more from beside it, in ascending order.

        Args:
            rows: First row and that after the last; what lies outside is left out. None is all.
            cols: The same of columns.
        """
        part = self._listed[_blocks(rows), _blocks(cols)]
        return [int(n) - _MOST for n in np.flatnonzero(part.any(axis=(0, 1)))]

    def share(self, number: int, window: Window) -> torch.Tensor:
        """Give the share of each pixel of a window that belongs to a layer."""
        share = (self.place[window] - number).abs_().neg_().add_(1).clamp_(min=0)
        return share if self.cover is None else share.mul_(self.cover[window])


def _blocks(pixels: tuple[int, int] | None) -> slice:
    if pixels is None:
        return slice(None)
    return slice(max(0, pixels[0]) // _BLOCK_PX, -(-max(0, pixels[1]) // _BLOCK_PX))


def _place(radius: torch.Tensor) -> torch.Tensor:
    """Turn signed radii into places among the layers."""
    size = radius.abs()
    large = UNIT_STEPS + PER_OCTAVE * torch.log2(size.clamp(min=UNIT_STEPS) / UNIT_STEPS)
    # From where a pixel is copied up to the radius 1 the layers 0 and 1 are mixed.
    small = ((size - _SHARP_PX) / (1 - _SHARP_PX)).clamp(min=0)
    place = torch.where(size < 1, small, torch.where(size > UNIT_STEPS, large, size))
    return torch.where(radius < 0, -place, place)
