"""`Spreader`: convolves layers with the image of the opening, by Fourier transform."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from depth3d.render.aperture import Aperture
from depth3d.render.layering import radius_of

__all__ = ["Spreader"]

_FINE_VARIANCE = 1 / 12
"""Variance a kernel gains by being integrated over pixels, in pixels squared."""
_COARSE_VARIANCE = 1 / 12 + 1 / 12 + 1 / 6
"""The same at a coarser scale, with the averaging into large pixels and the interpolation back."""
_FIELDS = 5
"""Fields on each axis, each of which has one cat's eye."""


class Spreader:
    """Kernels by layer, kept as the Fourier transforms that are needed of them, until `forget`.

    Args:
        aperture: The opening.
        fringe_px: What red, green and blue add to the signed radius.
        size: Height and width of the picture.
    """

    def __init__(
        self, aperture: Aperture, fringe_px: tuple[float, float, float], size: tuple[int, int]
    ) -> None:
        self.aperture, self.fringe_px, self.size = aperture, fringe_px, size
        self.fringed = any(fringe_px)
        self._kept: dict[tuple[object, ...], torch.Tensor] = {}

    def spread(self, layer: torch.Tensor, number: int, scale: int, corner: tuple[int, int]) -> torch.Tensor:
        """Convolve a layer that has its halo around it; what wraps around stays in the halo.

        Args:
            layer: (4 or 5, h, w) premultiplied light, its weight, and coverage if that is not the weight.
            number: Of the layer.
            scale: Full resolution over the layer's.
            corner: Row and column of the layer's first pixel in the picture at its scale.

        Returns:
            The same, or with colour fringes 7 channels: the weights of red, green and blue, and coverage.
        """
        if number == 0:
            return layer
        if not self.aperture.cats_eye:
            return self._convolved(layer, number, scale, (0.0, 0.0))
        total = None
        for window, shift in self._fields(layer.shape[-2:], scale, corner, layer.device):
            part = self._convolved(layer * window, number, scale, shift)
            total = part if total is None else total + part
        return torch.zeros_like(layer) if total is None else total

    def forget(self) -> None:
        """Let go of the kernels: those of small pictures' layers take more than the pictures."""
        self._kept.clear()

    def _convolved(
        self, layer: torch.Tensor, number: int, scale: int, shift: tuple[float, float]
    ) -> torch.Tensor:
        height, width = layer.shape[-2:]
        filters = self._filters(number, scale, shift, layer)
        spectrum = torch.fft.rfft2(layer)
        if self.fringed:
            # Each channel has its own kernel, and the weight is needed for each of them.
            spectrum = spectrum[[0, 1, 2, 3, 3, 3, -1]] * filters[[0, 1, 2, 0, 1, 2, 1]]
        else:
            spectrum *= filters
        spread: torch.Tensor = torch.fft.irfft2(spectrum, s=(height, width))
        return spread

    def _filters(
        self, number: int, scale: int, shift: tuple[float, float], like: torch.Tensor
    ) -> torch.Tensor:
        """Transform the kernels of red, green and blue, or one for all: (3 or 1, h, w // 2 + 1)."""
        shape = like.shape[-2:]
        key = (number, scale, shift, shape)
        if key not in self._kept:
            kernels = []
            for fringe in self.fringe_px if self.fringed else (0.0,):
                radius = radius_of(number) + fringe
                variance = _FINE_VARIANCE if scale == 1 else _COARSE_VARIANCE
                # A disc of radius r has the variance r^2 / 4 on each axis.
                size = math.sqrt(max((radius / scale) ** 2 - 4 * variance, 0.0))
                kernel = torch.from_numpy(self.aperture.kernel(size, inverted=number > 0, shift=shift))
                side = kernel.shape[0]
                field = like.new_zeros(shape)
                field[:side, :side] = kernel.to(like)
                kernels.append(torch.fft.rfft2(field.roll((-(side // 2), -(side // 2)), (0, 1))))
            self._kept[key] = torch.stack(kernels)
        return self._kept[key]

    def _fields(
        self, shape: torch.Size, scale: int, corner: tuple[int, int], device: torch.device
    ) -> Iterator[tuple[torch.Tensor, tuple[float, float]]]:
        """Split a window of the picture smoothly into fields, each with the barrel's shift at its middle."""
        along = []
        for axis in (0, 1):
            at = (torch.arange(shape[axis], device=device) + corner[axis] + 0.5) * scale / self.size[axis]
            knots = torch.linspace(0, 1, _FIELDS, device=device)
            along.append((1 - (at.clamp(0, 1)[None] - knots[:, None]).abs() * (_FIELDS - 1)).clamp(min=0))
        diagonal = math.hypot(*self.size)
        for i in range(_FIELDS):
            for j in range(_FIELDS):
                window = along[0][i][:, None] * along[1][j][None, :]
                if not bool(window.any()):
                    continue
                down = (i / (_FIELDS - 1) - 0.5) * self.size[0] / (diagonal / 2)
                right = (j / (_FIELDS - 1) - 0.5) * self.size[1] / (diagonal / 2)
                yield window, (-self.aperture.cats_eye * right, -self.aperture.cats_eye * down)
