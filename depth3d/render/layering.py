"""`Surface`, what light comes from, and `Layered`: its pixels sorted into layers by circle of confusion.

There is a layer for each radius of 0, 1 .. 8 pixels and on in equal ratios, on both sides of the focus. A
pixel's place among them is a number with a fraction, by which it belongs to the next layer too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from depth3d.core.color import to_linear
from depth3d.render.squares import SQUARE_PX, Squares, Window, squares_of

__all__ = ["PER_OCTAVE", "UNIT_STEPS", "Layered", "LayeredSpots", "Spots", "Surface", "radius_of"]

UNIT_STEPS = 8
"""Up to this radius there is a layer a pixel."""
PER_OCTAVE = 5
"""Layers an octave beyond that."""

_SHARP_PX = 0.5
"""A circle of confusion of less than this radius stays within its pixel, which is copied."""
_NOWHERE = -1000.0
"""Place of a pixel where there is no surface: farther than any layer."""
_MOST = 128
"""Layers on either side that can be listed: a radius of 2^27 pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """What the camera sees, or what is hidden behind it.

    Attributes:
        light: (3, H, W) linear; or uint8 sRGB, which is decoded where it is needed: large pictures take much
            memory.
        radius: (H, W) signed radius of the circle of confusion in pixels, positive in front of the focus.
        mask: (H, W) where the surface is: bool, or the share 0..1 of each pixel that it covers; None is
            everywhere.
        rims: Pixels whose light is another, and the share of each that the surface covers: four channels.
    """

    light: torch.Tensor
    radius: torch.Tensor
    mask: torch.Tensor | None = None
    rims: Squares | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Spots:
    """A surface that is only at some pixels of a picture.

    Attributes:
        at: (n,) int64 flat indices, each once.
        light: (3, n) linear.
        radius: (n,) as of a `Surface`.
        size: Height and width of the picture.
    """

    at: torch.Tensor
    light: torch.Tensor
    radius: torch.Tensor
    size: tuple[int, int]

    @classmethod
    def of(cls, surface: Surface) -> Spots:
        """Keep of a surface what its mask of bools tells."""
        assert surface.mask is not None
        height, width = surface.radius.shape
        at = torch.nonzero(surface.mask.reshape(-1))[:, 0]
        return cls(at, surface.light.reshape(3, -1)[:, at], surface.radius.reshape(-1)[at], (height, width))


def radius_of(number: int) -> float:
    """Give the signed radius of a layer: 0, 1 .. 8, and on in equal ratios."""
    size = abs(number)
    if size > UNIT_STEPS:
        return math.copysign(UNIT_STEPS * 2 ** ((size - UNIT_STEPS) / PER_OCTAVE), number)
    return float(number)


class _Listed:
    """Lists the layers of the pixels of squares.

    Attributes:
        size: Height and width of the picture.
        like: An empty tensor of its type, on its device.
    """

    size: tuple[int, int]
    like: torch.Tensor
    _listed: npt.NDArray[np.bool_]

    def numbers(self, rows: tuple[int, int] | None = None, cols: tuple[int, int] | None = None) -> list[int]:
        """List the layers of the pixels in a window, or a few more from beside it, in ascending order.

        Args:
            rows: First row and that after the last; what lies outside is left out. None is all.
            cols: The same of columns.
        """
        part = self._listed[tuple(slice(None) if side is None else squares_of(side) for side in (rows, cols))]
        return [int(n) - _MOST for n in np.flatnonzero(part.any(axis=(0, 1)))]


class Layered(_Listed):
    """A surface with the place of each pixel among the layers.

    Args:
        surface: The surface.
        weight: What its colours count for beside those of other surfaces in a layer.
    """

    def __init__(self, surface: Surface, weight: float) -> None:
        self.weight = weight
        self._light, self._rims = surface.light, surface.rims
        self._cover: torch.Tensor | None = None
        radius, mask = surface.radius, surface.mask
        if mask is not None and mask.dtype != torch.bool:
            self._cover, mask = mask, mask > 0
        self._linear = radius.new_empty(0)
        if self._light.dtype == torch.uint8:
            self._linear = torch.from_numpy(to_linear(np.arange(256, dtype=np.uint8))).to(radius.device)
        self.size, self.like = (radius.shape[0], radius.shape[1]), radius.new_empty(0)
        height, width = self.size
        self._place = torch.empty_like(radius)
        counts = []
        across = -(-width // SQUARE_PX)
        columns = torch.arange(width, device=radius.device, dtype=torch.int32) // SQUARE_PX * (2 * _MOST)
        for top in range(0, height, SQUARE_PX):
            rows = slice(top, top + SQUARE_PX)
            place = _place(radius[rows])
            if mask is not None:
                place = torch.where(mask[rows], place, _NOWHERE)
            self._place[rows] = place
            # Both layers of each pixel, counted by square; those nowhere go to the first number.
            found = torch.zeros(across * 2 * _MOST, dtype=torch.bool, device=radius.device)
            for number in (place.floor(), place.ceil()):
                number = number.clamp(min=-_MOST, max=_MOST - 1).to(torch.int32)
                found[((number + _MOST) + columns).reshape(-1).long()] = True
            counts.append(found.view(across, 2 * _MOST))
        self._listed = torch.stack(counts).cpu().numpy()
        self._listed[..., 0] = False

    def part(self, number: int, window: Window) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the light of a window, and the share of each of its pixels that belongs to a layer."""
        light = self._light[:, window[0], window[1]]
        if light.dtype == torch.uint8:
            light = self._linear[light.int()]
        share = _share(self._place[window], number)
        if self._cover is not None:
            share.mul_(self._cover[window])
        rims = None if self._rims is None else self._rims.within(window)
        if rims is not None:
            light = torch.where(rims[:3].isnan(), light, rims[:3])
            share.mul_(rims[3])
        return light, share


class LayeredSpots(_Listed):
    """The same of spots.

    Args:
        spots: The surface.
        weight: As of `Layered`.
    """

    def __init__(self, spots: Spots, weight: float) -> None:
        self.weight, self.size, self.like = weight, spots.size, spots.radius.new_empty(0)
        self._squares = Squares(
            spots.at, [*spots.light, _place(spots.radius)], (0, 0, 0, _NOWHERE), spots.size
        )
        place = self._squares.values[3, 1:].reshape(-1, SQUARE_PX**2)
        found = torch.zeros((len(place), 2 * _MOST), dtype=torch.bool, device=place.device)
        for some in range(0, len(place), SQUARE_PX):
            for number in (place[some : some + SQUARE_PX].floor(), place[some : some + SQUARE_PX].ceil()):
                layer = number.clamp(min=-_MOST, max=_MOST - 1).long() + _MOST
                found[some : some + SQUARE_PX].scatter_(1, layer, True)
        self._listed = np.zeros((*self._squares.there.shape, 2 * _MOST), dtype=np.bool_)
        self._listed[self._squares.there] = found.cpu().numpy()
        self._listed[..., 0] = False

    def part(self, number: int, window: Window) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the light of a window, and the share of each of its pixels that belongs to a layer."""
        some = self._squares.within(window)
        if some is None:
            height, width = (
                side.stop - side.start if isinstance(side, slice) else side.numel() for side in window
            )
            nothing = self._squares.values.new_zeros((4, height, width))
            return nothing[:3], nothing[3]
        return some[:3], _share(some[3], number)


def _share(place: torch.Tensor, number: int) -> torch.Tensor:
    return (place - number).abs_().neg_().add_(1).clamp_(min=0)


def _place(radius: torch.Tensor) -> torch.Tensor:
    """Turn signed radii into places among the layers."""
    size = radius.abs()
    large = UNIT_STEPS + PER_OCTAVE * torch.log2(size.clamp(min=UNIT_STEPS) / UNIT_STEPS)
    # From where a pixel is copied up to the radius 1 the layers 0 and 1 are mixed.
    small = ((size - _SHARP_PX) / (1 - _SHARP_PX)).clamp(min=0)
    place = torch.where(size < 1, small, torch.where(size > UNIT_STEPS, large, size))
    return torch.where(radius < 0, -place, place)
