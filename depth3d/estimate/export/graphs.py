"""What goes into an exported file: the network alone, or all the way from a photo to depth at its size.

Resizing is written as two products with matrices, one for the rows and one for the columns: every format and
program has products, where their own resizing differs in filters, borders and half pixels.
"""

from __future__ import annotations

import torch
from torch import nn

from depth3d.estimate.outputs import OutputMeaning
from depth3d.estimate.preprocess import InputRule

__all__ = ["FromPhoto", "InFormat", "resampling_matrix"]


class InFormat(nn.Module):
    """A network that computes in one number format between float32 images and float32 depth.

    Args:
        network: Takes `pixel_values`, gives `predicted_depth`.
        dtype: The format.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network.to(dtype)
        self._dtype = dtype

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(n, 3, h, w) normalised colours to (n, h, w) depth."""
        if self._dtype is not torch.float32:
            pixel_values = pixel_values.to(self._dtype)
        depth: torch.Tensor = self.network(pixel_values=pixel_values).predicted_depth
        return depth if self._dtype is torch.float32 else depth.float()


class FromPhoto(nn.Module):
    """Photo in, depth out: resize, normalise, estimate, and bring the depth to the photo's size if asked.

    Args:
        network: An `InFormat`.
        rule: How the network wants its images.
        meaning: Of its output.
        size_hw: (height, width) in pixels at which it sees them.
        at_input_size: Whether the depth is to have the photo's size, and not that of the network.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        network: InFormat,
        rule: InputRule,
        meaning: OutputMeaning,
        size_hw: tuple[int, int],
        *,
        at_input_size: bool,
    ) -> None:
        super().__init__()
        self.network = network
        self._rule, self._meaning = rule, meaning
        self._size_hw = size_hw
        self._at_input_size = at_input_size
        self.register_buffer("mean", torch.tensor(rule.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(rule.std).view(1, 3, 1, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(n, H, W, 3) uint8 sRGB to (n, H, W) or (n, h, w) disparity or metres."""
        pixels = image.permute(0, 3, 1, 2).float()
        # Ones, to count by: a length that is read from a shape would be a number of the example.
        of_rows, of_columns = torch.ones_like(pixels[0, 0, :, 0]), torch.ones_like(pixels[0, 0, 0, :])
        height, width = self._size_hw
        down, across = torch.ones(height), torch.ones(width)
        by = self._rule.filter
        pixels = (
            resampling_matrix(of_rows, down, by)
            @ pixels
            @ resampling_matrix(of_columns, across, by).transpose(0, 1)
        )
        pixels = pixels.round().clamp(0, 255)  # to the levels that the network is shown by depth3d
        depth: torch.Tensor = self.network((pixels / 255 - self.mean) / self.std)
        if not self._at_input_size:
            return depth
        field = self._meaning.to_field(depth, None)
        back = resampling_matrix(across, of_columns, "hat").transpose(0, 1)
        return self._meaning.from_field(resampling_matrix(down, of_rows, "hat") @ field @ back)


def resampling_matrix(of_input: torch.Tensor, of_output: torch.Tensor, by: str) -> torch.Tensor:
    """Make the matrix that resamples a line of pixels.

    Args:
        of_input: As many ones as the line has pixels.
        of_output: As many ones as it is to have.
        by: `bicubic` (Keys, IEEE TASSP 1981, doi:10.1109/TASSP.1981.1163711, a = -0.5) or `bilinear`, both
            widened where the line gets shorter, which is what PyTorch and Pillow do with `antialias`; or
            `hat`, bilinear that is never widened.

    Returns:
        (outputs, inputs) weights whose rows sum to 1; pixel centres are at +0.5.
    """
    scale = of_input.sum() / of_output.sum()
    sources = of_input.cumsum(0) - 0.5
    targets = (of_output.cumsum(0) - 0.5) * scale
    stretch = scale.clamp(min=1) if by != "hat" else torch.ones_like(scale)
    if by == "hat":  # beyond the outermost centres the line goes on as it ends
        targets = targets.clamp(min=0.5).minimum(of_input.sum() - 0.5)
    apart = (sources[None, :] - targets[:, None]).abs() / stretch
    if by == "bicubic":
        near = (1.5 * apart - 2.5) * apart * apart + 1
        far = ((-0.5 * apart + 2.5) * apart - 4) * apart + 2
        weights = torch.where(apart < 1, near, torch.where(apart < 2, far, torch.zeros_like(apart)))
    else:
        weights = (1 - apart).clamp(min=0)
    return weights / weights.sum(1, keepdim=True)
