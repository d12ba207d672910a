"""`mini`: the network that ships in the package, small enough for any processor.

An EfficientNet-Lite encoder (Tan and Le, ICML 2019, in the form without squeeze-and-excitation and with
ReLU6), two transformer blocks over its coarsest cells, so that every part of the picture knows of every
other, and a decoder that adds the finer features level by level (Lin et al., CVPR 2017) up to full
resolution, where the pixels' own colours place the edges. Batch normalisation is folded into the
convolutions. The network is fully convolutional but for the attention, which has no positions either, so
an image may have any size whose sides are multiples of 32.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import interpolate, relu, relu6, scaled_dot_product_attention, softplus

from depth3d.estimate.preprocess import InputRule

__all__ = ["MINI_ARCHITECTURE", "MINI_RULE", "MiniDepth", "MiniEncoder", "MiniOutput", "save_mini"]

MINI_RULE = InputRule(
    "longer_side", (384, 384), 32, (0.498, 0.498, 0.498), (0.502, 0.502, 0.502), filter="bilinear"
)
"""How `mini` wants its images: colours from -1 to 1 as EfficientNet-Lite has them."""

MINI_ARCHITECTURE = "depth3d-mini"
"""What the metadata of its files say under `architecture`."""


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expansion: int
    width: int
    ends_level: bool


_STEM_WIDTH = 32
_STAGES = (
    _Stage(1, 3, 1, 1, 16, True),
    _Stage(2, 3, 2, 6, 24, True),
    _Stage(2, 5, 2, 6, 40, True),
    _Stage(3, 3, 2, 6, 80, False),
    _Stage(3, 5, 1, 6, 112, True),
    _Stage(4, 5, 2, 6, 192, False),
    _Stage(1, 3, 1, 6, 320, True),
)
"""EfficientNet-Lite0. A level ends where the next stage halves the resolution: 1/2, 1/4, 1/8, 1/16, 1/32."""

_LEVEL_WIDTHS = tuple(stage.width for stage in _STAGES if stage.ends_level)
_DECODER_WIDTHS = (24, 48, 80, 128, 192)
"""Channels of the decoder at 1/2, 1/4, 1/8, 1/16, 1/32."""
_EDGE_WIDTH = 12
_HEADS = 6


@dataclass(frozen=True, slots=True)
class MiniOutput:
    """What a pass gives, under the name that `transformers` uses.

    Attributes:
        predicted_depth: (n, h, w) relative disparity, larger is nearer, positive.
    """

    predicted_depth: torch.Tensor


class _InvertedResidual(nn.Module):
    """Expand, filter each channel by itself, project; add the input where the shapes agree."""

    def __init__(self, width_in: int, stage: _Stage, stride: int) -> None:
        super().__init__()
        wide = width_in * stage.expansion
        self.expand = nn.Conv2d(width_in, wide, 1) if stage.expansion != 1 else None
        self.depthwise = nn.Conv2d(wide, wide, stage.kernel, stride, stage.kernel // 2, groups=wide)
        self.project = nn.Conv2d(wide, stage.width, 1)
        self.adds = stride == 1 and width_in == stage.width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x if self.expand is None else relu6(self.expand(x))
        y = relu6(self.depthwise(y))
        projected: torch.Tensor = self.project(y)
        return x + projected if self.adds else projected


class MiniEncoder(nn.Module):
    """EfficientNet-Lite0 without its classifier; gives the features of five resolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, _STEM_WIDTH, 3, 2, 1)
        self.blocks = nn.ModuleList()
        self._level_ends: list[int] = []
        width = _STEM_WIDTH
        for stage in _STAGES:
            for repeat in range(stage.repeats):
                self.blocks.append(_InvertedResidual(width, stage, stage.stride if repeat == 0 else 1))
                width = stage.width
            if stage.ends_level:
                self._level_ends.append(len(self.blocks) - 1)

    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Give five feature maps, at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input."""
        x = relu6(self.stem(pixels))
        levels: list[torch.Tensor] = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self._level_ends:
                levels.append(x)
        return levels


class _Attention(nn.Module):
    """A pre-norm transformer block over the cells of a feature map (Vaswani et al., NeurIPS 2017)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_mix = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.norm_think = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 3 * width)
        self.narrow = nn.Linear(3 * width, width)
        for last in (self.mix, self.narrow):  # starts as the identity
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, width, height, across = x.shape
        cells = x.flatten(2).transpose(1, 2)
        split = self.query_key_value(self.norm_mix(cells)).view(n, -1, 3, _HEADS, width // _HEADS)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        seen = scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(cells.shape)
        cells = cells + self.mix(seen)
        cells = cells + self.narrow(relu(self.widen(self.norm_think(cells))))
        mixed: torch.Tensor = cells.transpose(1, 2).reshape(n, width, height, across)
        return mixed


class _Refine(nn.Module):
    """Bring a coarser map up by two, add the encoder's features, and filter the sum."""

    def __init__(self, width_in: int, width_level: int, width: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(width_in, width, 1)
        self.lateral = nn.Conv2d(width_level, width, 1)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, coarse: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        x: torch.Tensor = _doubled(self.narrow(coarse)) + self.lateral(level)
        filtered: torch.Tensor = self.second(relu(self.first(relu(x))))
        return x + filtered


class MiniDepth(nn.Module):
    """Photo in, relative disparity out; takes and gives what `transformers` depth networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = MiniEncoder()
        widths = _DECODER_WIDTHS
        self.gather = nn.Conv2d(_LEVEL_WIDTHS[-1], widths[-1], 1)
        self.attend = nn.Sequential(_Attention(widths[-1]), _Attention(widths[-1]))
        self.refine = nn.ModuleList(
            _Refine(coarse, level, fine)
            for coarse, level, fine in zip(widths[1:], _LEVEL_WIDTHS[:-1], widths[:-1], strict=True)
        )
        self.spread = nn.Conv2d(widths[0], _EDGE_WIDTH, 1)
        self.edges = nn.Conv2d(_EDGE_WIDTH + 3, _EDGE_WIDTH, 3, padding=1)
        self.disparity = nn.Conv2d(_EDGE_WIDTH, 1, 3, padding=1)

    def forward(self, pixel_values: torch.Tensor) -> MiniOutput:
        """Estimate the disparity of a batch.

        Args:
            pixel_values: (n, 3, h, w) normalised colours; h and w are multiples of 32.

        Returns:
            (n, h, w) relative disparity.
        """
        levels = self.encoder(pixel_values)
        x = self.attend(self.gather(levels[-1]))
        for refine, level in zip(reversed(self.refine), reversed(levels[:-1]), strict=True):
            x = refine(x, level)
        x = torch.cat([_doubled(self.spread(relu(x))), pixel_values], dim=1)
        x = relu(self.edges(x))
        # The eight bits of a bfloat16 would be steps in the map: the last sum is not rounded to them.
        with torch.autocast(x.device.type, enabled=False):
            x = self.disparity(x.to(self.disparity.weight.dtype))
        return MiniOutput(softplus(x.float())[:, 0])


def save_mini(network: MiniDepth, path: Path) -> None:
    """Write the weights in half precision, in a file that says what it is.

    Args:
        network: The network.
        path: A `.safetensors` file; it appears whole or not at all.
    """
    from safetensors.torch import save_file

    halves = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    partial = path.with_suffix(".partial")
    save_file(halves, partial, metadata={"format": "pt", "architecture": MINI_ARCHITECTURE})
    partial.replace(path)


def _doubled(x: torch.Tensor) -> torch.Tensor:
    return interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
