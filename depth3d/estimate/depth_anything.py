"""Depth Anything (versions 1 and 2): a DINOv2 transformer and a DPT decoder, in the form that runs fastest.

The numbers are those of `transformers`, and so are the checkpoints; importing that library and building its
network takes longer than one photo does. What differs from the published form changes nothing but rounding:
query, key and value are one product, LayerScale is folded into the products before it, position
embeddings are interpolated once a size, and the decoder's 1 x 1 convolutions come before the upsamplings
(both are linear, and bilinear weights sum to one).

References:
    Yang et al., Depth Anything V2, NeurIPS 2024; Oquab et al., DINOv2, TMLR 2024; Ranftl et al., Vision
    Transformers for Dense Prediction, ICCV 2021, doi:10.1109/ICCV48922.2021.01196.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.functional import gelu, interpolate, relu, scaled_dot_product_attention

__all__ = ["Architecture", "DepthAnything", "DepthAnythingOutput"]

_REMEMBERED_SIZES = 16
"""Position embeddings of one size take a few megabytes; a folder of photos has few aspect ratios."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """The sizes that tell Small, Base and Large apart, under the names of `config.json`.

    Attributes:
        hidden_size: Width of the tokens.
        num_attention_heads: Heads of each block.
        mlp_size: Width inside the blocks' second half.
        num_hidden_layers: Blocks.
        out_indices: The four blocks, counted from 1, whose outputs the decoder reads.
        patch_size: Side in pixels of the square that becomes a token.
        grid_size: Side in tokens of the square for which position embeddings are stored.
        neck_hidden_sizes: Widths of the four feature maps.
        fusion_hidden_size: Width of the decoder.
        head_hidden_size: Width of the last feature map.
        is_metric: Whether the output is a share of `max_depth` (sigmoid) or disparity (ReLU).
        layer_norm_eps: What keeps the normalisation from dividing by zero.
    """

    hidden_size: int
    num_attention_heads: int
    mlp_size: int
    num_hidden_layers: int
    out_indices: tuple[int, ...]
    patch_size: int
    grid_size: int
    neck_hidden_sizes: tuple[int, ...]
    fusion_hidden_size: int
    head_hidden_size: int
    is_metric: bool
    layer_norm_eps: float = 1e-6


@dataclass(frozen=True, slots=True)
class DepthAnythingOutput:
    """What a pass gives, under the name that `transformers` uses.

    Attributes:
        predicted_depth: (n, h, w) disparity, larger is nearer; or z in metres.
    """

    predicted_depth: torch.Tensor


def _attended(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Let tokens look at each other: (n, heads, tokens, width) thrice to (n, tokens, heads * width)."""
    return scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


class _Block(nn.Module):
    """A pre-norm transformer block whose LayerScale is folded into `mix` and `fc2`."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        width = sizes.hidden_size
        # Both functions may be exchanged for others that do the same.
        self.attend: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor] = _attended
        self._heads = sizes.num_attention_heads
        self._head_width = width // sizes.num_attention_heads
        self.norm1 = nn.LayerNorm(width, eps=sizes.layer_norm_eps)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=sizes.layer_norm_eps)
        self.fc1 = nn.Linear(width, sizes.mlp_size)
        self.activate: Callable[[torch.Tensor], torch.Tensor] = gelu
        self.fc2 = nn.Linear(sizes.mlp_size, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, tokens, _ = x.shape
        split = self.query_key_value(self.norm1(x)).view(n, tokens, 3, self._heads, self._head_width)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind()
        x = x + self.mix(self.attend(query, key, value))
        thought: torch.Tensor = self.fc2(self.activate(self.fc1(self.norm2(x))))
        return x + thought


def _enlarged(x: torch.Tensor, size: Any) -> torch.Tensor:
    """Resize bilinearly with the corners kept."""
    return interpolate(x, size=size, mode="bilinear", align_corners=True)


class _Residual(nn.Module):
    """Two 3 x 3 convolutions, each after a ReLU, added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution1 = nn.Conv2d(width, width, 3, padding=1)
        self.convolution2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        filtered: torch.Tensor = self.convolution2(relu(self.convolution1(relu(x))))
        return x + filtered


class _Fusion(nn.Module):
    """Add a finer feature map to the coarser one, filter, and bring the sum to the next size."""

    def __init__(self, width: int, *, is_first: bool) -> None:
        super().__init__()
        self.residual_layer1 = None if is_first else _Residual(width)
        self.residual_layer2 = _Residual(width)
        self.projection = nn.Conv2d(width, width, 1)
        # May be exchanged.
        self.enlarge: Callable[[torch.Tensor, Any], torch.Tensor] = _enlarged

    def forward(self, x: torch.Tensor, feature: torch.Tensor | None, size: Any) -> torch.Tensor:
        if self.residual_layer1 is not None:
            x = x + self.residual_layer1(feature)
        return self.enlarge(self.projection(self.residual_layer2(x)), size)


class _Head(nn.Module):
    """From the decoder's features to one number a pixel."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        width = sizes.fusion_hidden_size
        self.conv1 = nn.Conv2d(width, width // 2, 3, padding=1)
        self.conv2 = nn.Conv2d(width // 2, sizes.head_hidden_size, 3, padding=1)
        self.conv3 = nn.Conv2d(sizes.head_hidden_size, 1, 1)
        self.is_metric = sizes.is_metric
        self.max_depth: float = 1

    def forward(self, x: torch.Tensor, size: Any) -> torch.Tensor:
        x = _enlarged(self.conv1(x), size)
        x = self.conv3(relu(self.conv2(x))).squeeze(1)
        return (x.sigmoid() if self.is_metric else relu(x)) * self.max_depth


class DepthAnything(nn.Module):
    """Photo in, disparity or metres out; takes and gives what `transformers`' network does.

    Nothing in it depends on numbers that were taken out of shapes, so it can be traced and exported for any
    size. The weights are taken to be final: position embeddings that were interpolated are kept.

    Args:
        sizes: Of the architecture; see `depth3d.estimate.depth_anything_weights`.
    """

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        self.config = sizes
        hidden, fusion = sizes.hidden_size, sizes.fusion_hidden_size
        self.cls_token = nn.Parameter(torch.zeros(1, 1, hidden))
        self.position_embeddings = nn.Parameter(torch.zeros(1, 1 + sizes.grid_size**2, hidden))
        self.patch = nn.Conv2d(3, hidden, sizes.patch_size, sizes.patch_size)
        self.blocks = nn.ModuleList(_Block(sizes) for _ in range(sizes.num_hidden_layers))
        self.norm = nn.LayerNorm(hidden, eps=sizes.layer_norm_eps)
        a, b, c, d = sizes.neck_hidden_sizes
        self.project = nn.ModuleList(nn.Conv2d(hidden, width, 1) for width in sizes.neck_hidden_sizes)
        self.resize = nn.ModuleList(
            (
                nn.ConvTranspose2d(a, a, 4, 4),
                nn.ConvTranspose2d(b, b, 2, 2),
                nn.Identity(),
                nn.Conv2d(d, d, 3, 2, padding=1),
            )
        )
        self.narrow = nn.ModuleList(nn.Conv2d(w, fusion, 3, padding=1, bias=False) for w in (a, b, c, d))
        self.fuse = nn.ModuleList(_Fusion(fusion, is_first=i == 0) for i in range(4))
        self.head = _Head(sizes)
        self._positions: OrderedDict[Any, torch.Tensor] = OrderedDict()

    def forward(self, pixel_values: torch.Tensor) -> DepthAnythingOutput:
        """Estimate the depth of a batch.

        Args:
            pixel_values: (n, 3, h, w) normalised colours; what exceeds a multiple of the patch size is cut.

        Returns:
            (n, h, w) disparity, or z in metres.
        """
        n, _, height, width = pixel_values.shape
        patch = self.config.patch_size
        rows, columns = height // patch, width // patch
        x = self.patch(pixel_values).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(n, -1, -1), x], dim=1) + self._positions_for(rows, columns)
        maps: list[torch.Tensor] = []
        for index, block in enumerate(self.blocks, 1):
            x = block(x)
            if index in self.config.out_indices:
                tokens = self.norm(x)[:, 1:]
                cells = tokens.reshape(n, rows, columns, self.config.hidden_size).permute(0, 3, 1, 2)
                if cells.is_mps:  # see `memory_format`
                    cells = cells.contiguous()
                level = len(maps)
                maps.append(self.narrow[level](self.resize[level](self.project[level](cells))))
        fine, *_ = maps
        sizes = [m.shape[2:] for m in maps[2::-1]] + [(2 * fine.shape[2], 2 * fine.shape[3])]
        y = maps[3]
        for fuse, feature, size in zip(self.fuse, reversed(maps), sizes, strict=True):
            y = fuse(y, feature, size)
        return DepthAnythingOutput(self.head(y, (rows * patch, columns * patch)))

    def _positions_for(self, rows: Any, columns: Any) -> torch.Tensor:
        """Give (1, 1 + rows * columns, width) embeddings, from memory where no graph is being recorded.

        Not of CUDA either: it would go on reading where they were when they are forgotten here.
        """
        if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined,no-untyped-call]
            return self._interpolated(rows, columns)
        stored = self.position_embeddings
        if stored.is_cuda and torch.cuda.is_current_stream_capturing():
            return self._interpolated(rows, columns)
        key = (rows, columns, stored.dtype, stored.device)
        found = self._positions.get(key)  # which another thread may forget at any time
        if found is None:
            found = self._positions[key] = self._interpolated(rows, columns).detach()
            while len(self._positions) > _REMEMBERED_SIZES:
                self._positions.popitem(last=False)
        return found

    def _interpolated(self, rows: Any, columns: Any) -> torch.Tensor:
        side = self.config.grid_size
        stored = self.position_embeddings
        grid = stored[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
        # In float32, as `transformers` does: bicubic weights in half precision shift the embeddings.
        if stored.is_mps:  # which had no bicubic filter for long
            grid = grid.cpu()
        grid = interpolate(grid.float(), size=(rows, columns), mode="bicubic", align_corners=False)
        if stored.is_mps:
            grid = grid.to(stored.device)
        return torch.cat([stored[:, :1], grid.flatten(2).transpose(1, 2).to(stored.dtype)], dim=1)
