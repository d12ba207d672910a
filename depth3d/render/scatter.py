"""`scatter`: spread each pixel's light over its circle of confusion, near things over far ones.

The picture is taken apart into layers by the signed radius of the circle of confusion, so that each layer has
one kernel. A pixel belongs to the two layers on either side of its radius, in proportion, and each layer is
convolved with the opening's image (so energy is conserved), from the nearest on; a layer's coverage adds to
that of the layers before it, up to 1. (With the usual "over", a solid surface that is split between two
layers would let a quarter of the background through.) Behind every silhouette there is a second surface, so
that a blurred foreground shows what it covers.

Large radii are handled at coarser resolution, an octave of radius at an octave of scale, so that time hardly
depends on the radius.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from depth3d.render.aperture import Aperture

__all__ = ["Surface", "scatter"]

_UNIT_STEPS = 8
"""Up to this radius there is a layer a pixel."""
_PER_OCTAVE = 5
"""Layers an octave beyond that."""
_FINE_LAYERS = _UNIT_STEPS + _PER_OCTAVE
"""Layers on each side of the focus that are handled at full resolution: up to a radius of 16 pixels."""
_SHARP_PX = 0.5
"""A circle of confusion of less than this radius stays within its pixel, which is copied."""
_TILE_PX = 284
_HALO_PX = 18
"""What the largest kernel reaches, at any scale. With a halo on both sides a tile has 320 = 2^6 5 pixels."""
_OUTSIDE_WEIGHT = 0.1
"""What the mirrored picture outside the border counts for beside what is inside."""
_LEAST_NUMBER = -200
"""Lower than any layer's number."""
_FAINTEST = 1e-5
"""Coverage that is nothing but rounding in the Fourier transform."""
_HIDDEN_WEIGHT = 0.1
"""What the guessed colour of hidden surfaces counts for beside a visible one of the same layer."""
_BAND_PX = 1 << 21
"""Pixels that are composed at a time."""

_FINE_VARIANCE = 1 / 12
"""Variance a kernel gains by being integrated over pixels, in pixels squared."""
_COARSE_VARIANCE = 1 / 12 + 1 / 12 + 1 / 6
"""The same at a coarser scale, with the averaging into large pixels and the interpolation back."""


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """What the camera sees, or what is hidden behind it.

    Attributes:
        light: (3, H, W) linear.
        radius: (H, W) signed radius of the circle of confusion in pixels, positive in front of the focus.
        mask: (H, W) bool, where the surface is; None is everywhere.
    """

    light: torch.Tensor
    radius: torch.Tensor
    mask: torch.Tensor | None = None


def scatter(
    visible: Surface,
    hidden: Surface | None,
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
    height, width = visible.radius.shape
    surfaces = [_Sorted(visible, 1.0)]
    if hidden is not None and hidden.mask is not None and bool(hidden.mask.any()):
        surfaces.append(_Sorted(hidden, _HIDDEN_WEIGHT))
    most = max(int(s.number[s.present].max()) for s in surfaces) + 1
    least = min(int(s.number[s.present].min()) for s in surfaces)
    canvas = _Canvas(height, width, visible.light)
    lens = _Lens(aperture, fringe_px, (height, width))
    for group in range(_group(most), 0, -1):
        _coarse_group(canvas, surfaces, lens, group, near=True)
    if least <= _FINE_LAYERS and most >= -_FINE_LAYERS:
        _fine_layers(canvas, surfaces, lens)
    for group in range(1, _group(least) + 1):
        _coarse_group(canvas, surfaces, lens, group, near=False)
    return canvas.result()


def _radius_of(number: int) -> float:
    """Give the signed radius of a layer: 0, 1 .. 8, and on in equal ratios."""
    size = abs(number)
    if size > _UNIT_STEPS:
        return math.copysign(_UNIT_STEPS * 2 ** ((size - _UNIT_STEPS) / _PER_OCTAVE), number)
    return float(number)


def _group(number: int) -> int:
    """Give the octave of a layer: 0 at full resolution, 1 at half of it ..."""
    return max(0, math.ceil((abs(number) - _FINE_LAYERS) / _PER_OCTAVE))


class _Sorted:
    """A surface with the layers of its pixels: `number` and, by the share `above`, the next nearer one."""

    def __init__(self, surface: Surface, weight: float) -> None:
        self.light, self.weight = surface.light, weight
        self.present = (
            torch.ones_like(surface.radius, dtype=torch.bool) if surface.mask is None else surface.mask
        )
        size = surface.radius.abs()
        # From where a pixel is copied up to the radius 1 the layers 0 and 1 are mixed.
        size = torch.where(size < 1, ((size - _SHARP_PX) / (1 - _SHARP_PX)).clamp(min=0), size)
        far = size > _UNIT_STEPS
        whole = torch.where(
            far,
            (_PER_OCTAVE * torch.log2(size.clamp(min=1) / _UNIT_STEPS)).floor() + _UNIT_STEPS,
            size.floor(),
        )
        low, high = (
            torch.where(k > _UNIT_STEPS, _UNIT_STEPS * 2 ** ((k - _UNIT_STEPS) / _PER_OCTAVE), k)
            for k in (whole, whole + 1)
        )
        share = ((size - low) / (high - low)).clamp(0, 1)
        near = surface.radius >= 0
        # Layers are numbered from far to near; on the far side the larger radius is the lower number.
        self.number = torch.where(near, whole, -whole - 1).to(torch.int16)
        self.above = torch.where(near, share, 1 - share)

    def numbers_in(self, window: tuple[torch.Tensor, torch.Tensor]) -> list[int]:
        """List the numbers of the pixels of a window."""
        counts = torch.bincount(self.number[window][self.present[window]].long() - _LEAST_NUMBER)
        return [int(n) + _LEAST_NUMBER for n in counts.nonzero()]

    def share_of(self, number: int, window: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Give the share of each pixel of a window that belongs to a layer."""
        at, above = self.number[window], self.above[window]
        zero = torch.zeros((), dtype=above.dtype, device=above.device)
        share = torch.where(at == number, 1 - above, torch.where(at == number - 1, above, zero))
        return share * self.present[window]


class _Lens:
    """Kernels by layer, as Fourier transforms are needed of them."""

    def __init__(
        self, aperture: Aperture, fringe_px: tuple[float, float, float], size: tuple[int, int]
    ) -> None:
        self.aperture, self.fringe_px, self.size = aperture, fringe_px, size
        self.fringed = any(fringe_px)

    def kernels(self, number: int, scale: int, shift: tuple[float, float] = (0.0, 0.0)) -> list[torch.Tensor]:
        """Give the kernels of red, green and blue, or one for all, at 1/scale of the resolution."""
        kernels = []
        for fringe in self.fringe_px if self.fringed else (0.0,):
            radius = _radius_of(number) + (fringe if number else 0.0)
            variance = _FINE_VARIANCE if scale == 1 else _COARSE_VARIANCE
            # A disc of radius r has the variance r^2 / 4 on each axis.
            size = math.sqrt(max((radius / scale) ** 2 - 4 * variance, 0.0))
            kernels.append(torch.from_numpy(self.aperture.kernel(size, inverted=number > 0, shift=shift)))
        return kernels

    def spread(self, layer: torch.Tensor, number: int, scale: int, corner: tuple[int, int]) -> torch.Tensor:
        """Convolve a layer (c, h, w) that has its halo around it; what wraps around stays in the halo.

        Args:
            layer: Premultiplied light, its weight, and coverage.
            number: Of the layer.
            scale: Full resolution over the layer's.
            corner: Row and column of the layer's first pixel in the picture at its scale.
        """
        if number == 0:
            return layer
        if not self.aperture.cats_eye:
            return self._convolved(layer, self.kernels(number, scale))
        total = None
        for window, shift in self._fields(layer.shape[-2:], scale, corner, layer.device):
            part = self._convolved(layer * window, self.kernels(number, scale, shift))
            total = part if total is None else total + part
        return torch.zeros_like(layer) if total is None else total

    def _convolved(self, layer: torch.Tensor, kernels: list[torch.Tensor]) -> torch.Tensor:
        height, width = layer.shape[-2:]
        spectrum = torch.fft.rfft2(layer)
        # Each channel with its own kernel where colours differ; the weight is then needed for each of them.
        if self.fringed:
            order = [0, 1, 2, 0, 1, 2, 1]
            spectrum = spectrum[[0, 1, 2, 3, 3, 3, 4]]
        else:
            order = [0] * len(layer)
        filters = []
        for kernel in kernels:
            side = kernel.shape[0]
            field = torch.zeros((height, width), device=layer.device)
            field[:side, :side] = kernel.to(layer.device)
            filters.append(torch.fft.rfft2(field.roll((-(side // 2), -(side // 2)), (0, 1))))
        spread: torch.Tensor = torch.fft.irfft2(
            spectrum * torch.stack([filters[k] for k in order]), s=(height, width)
        )
        return spread

    def _fields(
        self, shape: torch.Size, scale: int, corner: tuple[int, int], device: torch.device
    ) -> Iterator[tuple[torch.Tensor, tuple[float, float]]]:
        """Split a window of the picture smoothly into fields, each with the barrel's shift at its middle."""
        count = 5
        along = []
        for axis in (0, 1):
            at = (torch.arange(shape[axis], device=device) + corner[axis] + 0.5) * scale / self.size[axis]
            knots = torch.linspace(0, 1, count, device=device)
            tents = (1 - (at.clamp(0, 1)[None] - knots[:, None]).abs() * (count - 1)).clamp(min=0)
            along.append(tents)
        diagonal = math.hypot(*self.size)
        for i in range(count):
            for j in range(count):
                window = along[0][i][:, None] * along[1][j][None, :]
                if not bool(window.any()):
                    continue
                down = (i / (count - 1) - 0.5) * self.size[0] / (diagonal / 2)
                right = (j / (count - 1) - 0.5) * self.size[1] / (diagonal / 2)
                yield window, (-self.aperture.cats_eye * right, -self.aperture.cats_eye * down)


class _Canvas:
    """The picture as it is composed, from near to far."""

    def __init__(self, height: int, width: int, like: torch.Tensor) -> None:
        self.light = like.new_zeros((3, height, width))
        self.coverage = like.new_zeros((height, width))

    def put(
        self, window: tuple[slice, slice], light: torch.Tensor, weight: torch.Tensor, coverage: torch.Tensor
    ) -> None:
        """Add a layer behind what is there: premultiplied light, its weight, and coverage."""
        coverage = torch.where(coverage < _FAINTEST, 0.0, coverage)
        free = torch.minimum(coverage, 1 - self.coverage[window]).clamp(min=0)
        self.light[:, window[0], window[1]] += light * (free / weight.clamp(min=_FAINTEST / 10))
        self.coverage[window] += free

    def result(self) -> torch.Tensor:
        """Give the light where coverage is complete."""
        return self.light / self.coverage.clamp(min=_FAINTEST)


def _mirrored(start: int, stop: int, size: int, device: torch.device) -> torch.Tensor:
    """List the pixels from `start` to `stop` of a row that is mirrored at both ends, over and over."""
    at = torch.arange(start, stop, device=device) % (2 * size)
    return torch.minimum(at, 2 * size - 1 - at)


def _inside(
    top: int, left: int, shape: torch.Size, size: tuple[int, int], device: torch.device
) -> torch.Tensor:
    """Weigh the pixels of a window (top, left) of the given shape: less those outside the picture."""
    y = torch.arange(top, top + shape[-2], device=device)
    x = torch.arange(left, left + shape[-1], device=device)
    inside = ((y >= 0) & (y < size[0]))[:, None] & ((x >= 0) & (x < size[1]))[None, :]
    return torch.where(inside, 1.0, _OUTSIDE_WEIGHT)


def _parts(spread: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Take light, weight and coverage out of a layer of 5 channels, or of 7 where colours differ."""
    return spread[:3], spread[3:-1], spread[-1]


def _fine_layers(canvas: _Canvas, surfaces: list[_Sorted], lens: _Lens) -> None:
    """Compose the layers of small radii, tile by tile, at full resolution."""
    height, width = canvas.coverage.shape
    device = canvas.light.device
    for top in range(0, height, _TILE_PX):
        for left in range(0, width, _TILE_PX):
            # Outside the picture its border goes on.
            rows = torch.arange(top - _HALO_PX, top + _TILE_PX + _HALO_PX, device=device).clamp(0, height - 1)
            cols = torch.arange(left - _HALO_PX, left + _TILE_PX + _HALO_PX, device=device).clamp(
                0, width - 1
            )
            window = (rows[:, None], cols[None, :])
            bottom, right = min(top + _TILE_PX, height), min(left + _TILE_PX, width)
            there = (slice(top, bottom), slice(left, right))
            inner = (..., slice(_HALO_PX, _HALO_PX + bottom - top), slice(_HALO_PX, _HALO_PX + right - left))
            pieces = [(s, s.light[:, window[0], window[1]]) for s in surfaces]
            numbers = {n + k for s in surfaces for n in s.numbers_in(window) for k in (0, 1)}
            for number in sorted((n for n in numbers if abs(n) <= _FINE_LAYERS), reverse=True):
                layer = canvas.light.new_zeros((5, len(window[0]), window[1].shape[1]))
                for surface, light in pieces:
                    share = surface.share_of(number, window)
                    weight = share * surface.weight
                    layer += torch.cat([light * weight, weight[None], share[None]])
                layer[:4] *= _inside(
                    top - _HALO_PX, left - _HALO_PX, layer.shape, (height, width), layer.device
                )
                spread = lens.spread(layer, number, 1, (top - _HALO_PX, left - _HALO_PX))[inner]
                canvas.put(there, *_parts(spread))


def _coarse_group(canvas: _Canvas, surfaces: list[_Sorted], lens: _Lens, group: int, *, near: bool) -> None:
    """Compose the layers of an octave of radii at a coarser scale, and then the octave onto the picture."""
    scale = 2**group
    height, width = canvas.coverage.shape
    rows, cols = -(-height // scale), -(-width // scale)
    first = _FINE_LAYERS + _PER_OCTAVE * (group - 1) + 1
    numbers = [n if near else -n for n in range(first, first + _PER_OCTAVE)]
    volume = _splatted(surfaces, numbers, scale, rows, cols)
    if volume is None:
        return
    halo = _HALO_PX
    mirrored = [_mirrored(-halo, size + halo, size, canvas.light.device) for size in (rows, cols)]
    octave = _Canvas(rows, cols, canvas.light)
    whole = (slice(0, rows), slice(0, cols))
    for number in reversed(numbers) if near else numbers:
        layer = volume[numbers.index(number)]
        if not bool(layer[-1].any()):
            continue
        padded = layer[:, mirrored[0][:, None], mirrored[1][None, :]]
        padded[:4] *= _inside(-halo, -halo, padded.shape, (rows, cols), padded.device)
        spread = lens.spread(padded, number, scale, (-halo, -halo))[:, halo:-halo, halo:-halo]
        octave.put(whole, *_parts(spread))
    both = torch.cat([octave.light, octave.coverage[None]])[None]
    # Scaled up by bands of rows, each with a row more on either side, which it is interpolated from.
    band = max(1, _BAND_PX // (width * scale))
    for top in range(0, rows, band):
        bottom = min(top + band, rows)
        above, below = max(top - 1, 0), min(bottom + 1, rows)
        large = torch.nn.functional.interpolate(
            both[:, :, above:below], scale_factor=scale, mode="bilinear", align_corners=False
        )[0]
        start, stop = top * scale, min(bottom * scale, height)
        large = large[:, start - above * scale : stop - above * scale, :width]
        canvas.put((slice(start, stop), slice(0, width)), large[:3], large[3:], large[3])


def _splatted(
    surfaces: list[_Sorted], numbers: list[int], scale: int, rows: int, cols: int
) -> torch.Tensor | None:
    """Average the pixels of some layers into large pixels: (layers, 5, rows, cols), or None if none is."""
    low = min(numbers)
    volume = None
    for surface in surfaces:
        for above in (False, True):
            number = surface.number + int(above)
            inside = surface.present & (number >= low) & (number <= max(numbers))
            y, x = inside.nonzero(as_tuple=True)
            if not len(y):
                continue
            share = surface.above[y, x] if above else 1 - surface.above[y, x]
            layer = (number[y, x] - low).long() if numbers[0] > 0 else (max(numbers) - number[y, x]).long()
            if volume is None:
                volume = surface.light.new_zeros((len(numbers), 5, rows * cols))
            at = (y // scale) * cols + x // scale
            weight = share * surface.weight
            for channel in range(5):
                value = (
                    share
                    if channel == 4
                    else weight
                    if channel == 3
                    else surface.light[channel, y, x] * weight
                )
                volume.view(-1).index_add_(0, (layer * 5 + channel) * (rows * cols) + at, value)
    if volume is None:
        return None
    # The last row and column may be of fewer pixels.
    counts = [
        torch.tensor(
            [min(scale, size - k * scale) for k in range(few)], dtype=volume.dtype, device=volume.device
        )
        for size, few in ((surfaces[0].number.shape[0], rows), (surfaces[0].number.shape[1], cols))
    ]
    return volume.view(len(numbers), 5, rows, cols) / (counts[0][:, None] * counts[1][None, :])
