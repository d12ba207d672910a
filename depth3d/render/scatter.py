"""`scatter`: spread each pixel's light over its circle of confusion, near things over far ones.

The picture is taken apart into layers by the signed radius of the circle of confusion, so that each layer has
one kernel. A pixel belongs to the two layers on either side of its radius, in proportion, and each layer is
convolved with the opening's image (so energy is conserved), from the nearest on; a layer's coverage adds to
that of the layers before it, up to 1. (With the usual "over", a solid surface that is split between two
layers would let a quarter of the background through.) Behind every silhouette there is a second surface, so
that a blurred foreground shows what it covers.

Large radii are handled at coarser resolution, an octave of radius at an octave of scale, so that time hardly
depends on the radius. All is done in tiles, and a tile has only the layers of its own pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import torch

from depth3d.render.aperture import Aperture
from depth3d.render.convolution import Spreader
from depth3d.render.layering import PER_OCTAVE, UNIT_STEPS, Layered, LayeredSpots, Spots, Surface
from depth3d.render.squares import Window

__all__ = ["Spots", "Surface", "composed", "layered", "scatter"]

Surfaces: TypeAlias = Sequence[Layered | LayeredSpots]
"""The visible one, and what is behind it."""

_FINE_LAYERS = UNIT_STEPS + PER_OCTAVE
"""Layers on each side of the focus that are handled at full resolution: up to a radius of 16 pixels."""
_TILE_PX = 284
_HALO_PX = 18
"""What the largest kernel reaches, at any scale. With a halo on both sides a tile has 320 = 2^6 5 pixels."""
_BLOCK_PX = 256
"""Side of the squares that are averaged, or scaled up, at a time."""
_OUTSIDE_WEIGHT = 0.1
"""What the mirrored picture outside the border counts for beside what is inside."""
_FAINTEST = 1e-5
"""Coverage that is nothing but rounding in the Fourier transform."""
_FULL = 1 - 4e-6
"""Coverage behind which nothing shows."""
_HIDDEN_WEIGHT = 0.5
"""What the guessed colour of hidden surfaces counts for beside a visible one of the same layer."""


def scatter(
    visible: Surface,
    hidden: Surface | Spots | None,
    aperture: Aperture,
    *,
    fringe_px: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> torch.Tensor:
    """Spread the light of a picture.

    Args:
        visible: The picture.
        hidden: What is behind it, or None.
        aperture: The opening.
        fringe_px: What red, green and blue add to the signed radius: longitudinal chromatic aberration.

    Returns:
        (3, H, W) linear light on the same device. Where the radius is below half a pixel and nothing nearer
        spreads over it, the picture's own values.
    """
    return composed(layered(visible, hidden), aperture, fringe_px=fringe_px)


def layered(visible: Surface, hidden: Surface | Spots | None) -> Surfaces:
    """Sort the pixels of surfaces into layers; the surfaces themselves are not needed any more."""
    surfaces: list[Layered | LayeredSpots] = [Layered(visible, 1.0)]
    if isinstance(hidden, Spots):
        surfaces.append(LayeredSpots(hidden, _HIDDEN_WEIGHT))
    elif hidden is not None and (hidden.mask is None or bool(hidden.mask.any())):
        surfaces.append(Layered(hidden, _HIDDEN_WEIGHT))
    return surfaces


def composed(
    surfaces: Surfaces, aperture: Aperture, *, fringe_px: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> torch.Tensor:
    """Spread the light of what `layered` gives: as `scatter`."""
    numbers = sorted({n for s in surfaces for n in s.numbers()}, reverse=True)
    height, width = surfaces[0].size
    canvas = _Canvas(height, width, surfaces[0].like)
    spreader = Spreader(aperture, fringe_px, (height, width))
    groups = {(n > 0, _group(n)) for n in numbers}
    for near, group in sorted(groups, reverse=True):
        if near and group:
            _coarse_group(canvas, surfaces, spreader, [n for n in numbers if n > 0 and _group(n) == group])
    if any(not group for _, group in groups):
        _fine_layers(canvas, surfaces, spreader)
    for near, group in sorted(groups):
        if not near and group:
            _coarse_group(canvas, surfaces, spreader, [n for n in numbers if n < 0 and _group(n) == group])
    return canvas.result()


def _group(number: int) -> int:
    """Give the octave of a layer: 0 at full resolution, 1 at half of it ..."""
    return max(0, math.ceil((abs(number) - _FINE_LAYERS) / PER_OCTAVE))


class _Canvas:
    """The picture as it is composed, from near to far."""

    def __init__(self, height: int, width: int, like: torch.Tensor) -> None:
        self.light = like.new_zeros((3, height, width))
        self.coverage = like.new_zeros((height, width))

    def put(self, window: tuple[slice, slice], layer: torch.Tensor) -> None:
        """Add a layer behind what is there.

        Args:
            window: Where.
            layer: (4, 5 or 7, h, w) premultiplied light, its weight or weights, and coverage if that is not
                the weight.
        """
        coverage, weight = layer[-1], layer[3] if len(layer) < 7 else layer[3:6]
        before = self.coverage[window]
        free = torch.minimum(torch.where(coverage < _FAINTEST, 0.0, coverage), 1 - before).clamp_(min=0)
        self.light[:, window[0], window[1]].add_(layer[:3] * (free / weight.clamp(min=_FAINTEST / 10)))
        before.add_(free)

    def is_full(self, window: tuple[slice, slice]) -> bool:
        """Tell whether nothing behind would show."""
        return bool(self.coverage[window].min() >= _FULL)

    def result(self) -> torch.Tensor:
        """Give the light where coverage is complete."""
        return self.light.div_(self.coverage.clamp_(min=_FAINTEST))


def _fine_layers(canvas: _Canvas, surfaces: Surfaces, spreader: Spreader) -> None:
    """Compose the layers of small radii, tile by tile, at full resolution."""
    height, width = canvas.coverage.shape
    for there, corner, window, inner in _tiles((height, width), canvas.light.device):
        if canvas.is_full(there):
            continue
        rows, cols = ((start, start + _TILE_PX + 2 * _HALO_PX) for start in corner)
        listed = [s.numbers(rows, cols) for s in surfaces]
        outside = _outside(corner, (height, width), canvas.light)
        for number in sorted({n for some in listed for n in some if _group(n) == 0}, reverse=True):
            shown = [s for s, some in zip(surfaces, listed, strict=True) if number in some]
            layer = _layer(shown, number, window)
            if outside is not None:
                layer = _weighed(layer, outside)
            canvas.put(there, spreader.spread(layer, number, 1, corner)[inner])
            if canvas.is_full(there):
                break
    spreader.forget()


def _coarse_group(canvas: _Canvas, surfaces: Surfaces, spreader: Spreader, numbers: list[int]) -> None:
    """Compose the layers of an octave of radii at a coarser scale, and then the octave onto the picture."""
    scale = 2 ** _group(numbers[0])
    height, width = canvas.coverage.shape
    rows, cols = -(-height // scale), -(-width // scale)
    octave = _Canvas(rows, cols, canvas.light)
    for number in numbers:
        plane = _averaged(surfaces, number, scale, (height, width), canvas.light)
        for there, corner, window, inner in _tiles((rows, cols), canvas.light.device):
            layer = plane[:, window[0], window[1]]
            if bool(layer[-1].any()):
                outside = _outside(corner, (rows, cols), canvas.light)
                if outside is not None:
                    layer = _weighed(layer, outside)
                octave.put(there, spreader.spread(layer, number, scale, corner)[inner])
        del plane, layer  # before the next one is made
        spreader.forget()
    _enlarge(canvas, octave, scale)


def _enlarge(canvas: _Canvas, octave: _Canvas, scale: int) -> None:
    """Compose an octave onto the picture, by blocks, each with a pixel more around it to interpolate from."""
    height, width = canvas.coverage.shape
    rows, cols = octave.coverage.shape
    side = max(1, _BLOCK_PX // scale)
    for top in range(0, rows, side):
        for left in range(0, cols, side):
            bottom, right = min(top + side, rows), min(left + side, cols)
            there = (
                slice(top * scale, min(bottom * scale, height)),
                slice(left * scale, min(right * scale, width)),
            )
            part = (slice(max(top - 1, 0), bottom + 1), slice(max(left - 1, 0), right + 1))
            if not bool(octave.coverage[part].any()) or canvas.is_full(there):
                continue
            both = torch.cat([octave.light[:, part[0], part[1]], octave.coverage[part][None]])[None]
            large = torch.nn.functional.interpolate(
                both, scale_factor=scale, mode="bilinear", align_corners=False
            )[0]
            inner = tuple(
                slice(pixels.start - piece.start * scale, pixels.stop - piece.start * scale)
                for pixels, piece in zip(there, part, strict=True)
            )
            canvas.put(there, large[:, inner[0], inner[1]])


def _layer(surfaces: Surfaces, number: int, window: Window) -> torch.Tensor:
    """Take a layer out of surfaces: premultiplied light, weight, and coverage where it is not the weight."""
    parts = [(s.weight, *s.part(number, window)) for s in surfaces]
    if len(parts) == 1 and parts[0][0] == 1:
        _, light, share = parts[0]
        layer = share.new_empty((4, *share.shape))
        torch.mul(light, share, out=layer[:3])
        layer[3] = share
        return layer
    layer = parts[0][2].new_zeros((5, *parts[0][2].shape))
    for weight, light, share in parts:
        weighed = share * weight
        layer[:3] += light * weighed
        layer[3] += weighed
        layer[4] += share
    return layer


def _weighed(layer: torch.Tensor, outside: torch.Tensor) -> torch.Tensor:
    """Let colours outside the border count for less."""
    layer = torch.cat([layer, layer[3:]]) if len(layer) == 4 else layer.clone()
    layer[:4] *= outside
    return layer


def _averaged(
    surfaces: Surfaces, number: int, scale: int, size: tuple[int, int], like: torch.Tensor
) -> torch.Tensor:
    """Average the pixels of a layer into large pixels: (5, rows, columns)."""
    height, width = size
    plane = like.new_zeros((5, -(-height // scale), -(-width // scale)))
    side = max(_BLOCK_PX, scale)
    for top in range(0, height, side):
        for left in range(0, width, side):
            ends = (min(top + side, height), min(left + side, width))
            shown = [s for s in surfaces if number in s.numbers((top, ends[0]), (left, ends[1]))]
            if not shown:
                continue
            layer = _layer(shown, number, (slice(top, ends[0]), slice(left, ends[1])))
            if len(layer) == 4:
                layer = torch.cat([layer, layer[3:]])
            # The last row and column may be of fewer pixels.
            mean = torch.nn.functional.avg_pool2d(layer, scale, ceil_mode=True, count_include_pad=False)
            plane[:, top // scale : -(-ends[0] // scale), left // scale : -(-ends[1] // scale)] = mean
    return plane


def _tiles(
    size: tuple[int, int], device: torch.device
) -> Iterator[tuple[tuple[slice, slice], tuple[int, int], Window, tuple[slice, slice, slice]]]:
    """Cut a picture into tiles.

    Yields:
        The tile; row and column at which it starts with its halo; the pixels of tile and halo, mirrored at
        the picture's border; and the tile within these.
    """
    for top in range(0, size[0], _TILE_PX):
        for left in range(0, size[1], _TILE_PX):
            bottom, right = min(top + _TILE_PX, size[0]), min(left + _TILE_PX, size[1])
            corner = (top - _HALO_PX, left - _HALO_PX)
            halo = _TILE_PX + 2 * _HALO_PX
            window: Window
            if min(corner) >= 0 and corner[0] + halo <= size[0] and corner[1] + halo <= size[1]:
                window = (slice(corner[0], corner[0] + halo), slice(corner[1], corner[1] + halo))
            else:
                # A small picture needs no full tile.
                sides = (min(halo, bottom + _HALO_PX - corner[0]), min(halo, right + _HALO_PX - corner[1]))
                window = (
                    _mirrored(corner[0], corner[0] + sides[0], size[0], device)[:, None],
                    _mirrored(corner[1], corner[1] + sides[1], size[1], device)[None, :],
                )
            inner = (slice(_HALO_PX, _HALO_PX + bottom - top), slice(_HALO_PX, _HALO_PX + right - left))
            yield (slice(top, bottom), slice(left, right)), corner, window, (slice(None), *inner)


def _mirrored(start: int, stop: int, size: int, device: torch.device) -> torch.Tensor:
    """List the pixels from `start` to `stop` of a row that is mirrored at both ends, over and over."""
    at = torch.arange(start, stop, device=device) % (2 * size)
    return torch.minimum(at, 2 * size - 1 - at)


def _outside(corner: tuple[int, int], size: tuple[int, int], like: torch.Tensor) -> torch.Tensor | None:
    """Weigh the pixels of a tile and its halo: less those outside the picture; None where all are inside."""
    sides = [
        min(start + _TILE_PX + 2 * _HALO_PX, end + _HALO_PX) for start, end in zip(corner, size, strict=True)
    ]
    if min(corner) >= 0 and sides[0] <= size[0] and sides[1] <= size[1]:
        return None
    y = torch.arange(corner[0], sides[0], device=like.device)
    x = torch.arange(corner[1], sides[1], device=like.device)
    inside = ((y >= 0) & (y < size[0]))[:, None] & ((x >= 0) & (x < size[1]))[None, :]
    return torch.where(inside, 1.0, _OUTSIDE_WEIGHT).to(like.dtype)
