"""Forms of a network for one size of image, which OpenVINO runs a tenth faster than the one for all sizes.

Its attention, above all, is faster where the number of tokens is known. Such a form takes half a second to
make and as much room as the weights, so it is made together with the one for all sizes, and only for photos
of 4:3, upright and not, which is what phones and most cameras take.
"""

from __future__ import annotations

from typing import Any

import torch

from depth3d.estimate.depth_anything import DepthAnything
from depth3d.estimate.preprocess import DEFAULT_MAX_TOKENS, InputRule, network_size

__all__ = ["fix_size", "usual_sizes"]

_SHAPES_HW = ((3, 4), (4, 3))

_WORTH_WEIGHTS = range(10_000_000, 50_000_000)
"""Of Small: tiny networks gain nothing, and each form of Base or Large would be a file of 0.4 to 1.3 GB."""


def usual_sizes(network: torch.nn.Module, rule: InputRule) -> list[tuple[int, int]]:
    """List the sizes for which forms of their own are made.

    Args:
        network: On the CPU.
        rule: How it wants its images.

    Returns:
        (height, width) in pixels; none for networks that gain little by it.
    """
    weights = sum(weight.numel() for weight in network.parameters())
    if not isinstance(network, DepthAnything) or weights not in _WORTH_WEIGHTS:
        return []
    side = rule.own_input_size
    return [
        network_size(rule, side * height, side * width, input_size=side, max_tokens=DEFAULT_MAX_TOKENS)
        for height, width in _SHAPES_HW
    ]


def fix_size(model: Any, network: torch.nn.Module, size_hw: tuple[int, int]) -> None:
    """Fix the size of the images that a graph takes, in any number.

    The position embeddings are put in as they are at that size: OpenVINO would compute them when it
    compiles, too, but take ten seconds for their bicubic filter.

    Args:
        model: The graph of the network as OpenVINO has read it; it is changed.
        network: Depth Anything, in float32 on the CPU.
        size_hw: (height, width) in pixels.
    """
    from openvino import opset13

    height, width = size_hw
    if isinstance(network, DepthAnything):
        patch = network.config.patch_size
        rows, columns = height // patch, width // patch
        with torch.no_grad():
            cells = network._interpolated(rows, columns)[:, 1:].transpose(1, 2)
        found = opset13.constant(cells.reshape(1, -1, rows, columns).numpy())
        for node in model.get_ops():
            if node.get_type_name() == "Interpolate" and node.get_attributes()["mode"] == "cubic":
                node.output(0).replace(found.output(0))
    model.reshape([-1, 3, height, width])
