"""Networks whose products by weights are of bytes: how they are prepared, written, and judged.

Only the transformer's products by weights become int8; convolutions, attention and all else stay in float32
(OpenVINO takes bfloat16 for them on processors that compute in it): with convolutions in int8 Small's maps
move by twenty times as much, and `mini`'s are of no use. Weights have
a scale for each output; the scales of the inputs are found anew (by ONNX Runtime for each pass, by OpenVINO
for each token), so nothing depends on which pictures were looked at before.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from depth3d.errors import ModelError
from depth3d.estimate.alignment import aligned_error
from depth3d.estimate.depth_anything import DepthAnything
from depth3d.estimate.network import trial_image
from depth3d.estimate.preprocess import InputRule

__all__ = ["INT8_TOLERANCE", "check_int8", "equalised", "pack_weights", "quantise_products"]

INT8_TOLERANCE = 3e-2
"""Largest root mean square deviation from float32 after affine alignment, as a share of the span.

0.2e-2 is usual. Beyond this, some part of the network does not bear it.
"""


def equalised(network: torch.nn.Module, rule: InputRule) -> torch.nn.Module:
    """Make the channels that enter products about equally large, without changing what the network gives.

    Transformers have a few channels that are many times larger than the others. They would take all of the
    256 levels that a scale common to all channels has. What comes before a product (a normalisation, or the
    values of attention) is divided by a factor for each channel, and the weights are multiplied by it: the
    root of the ratio of the largest input to the largest weight, of a trial image.

    Args:
        network: In float32 on the CPU.
        rule: How it wants its images.

    Returns:
        A copy; `network` itself if it is not Depth Anything.

    References:
        Xiao et al., SmoothQuant, ICML 2023, with alpha = 0.5.
    """
    if not isinstance(network, DepthAnything):
        return network
    network = copy.deepcopy(network)
    products: list[tuple[Any, str, Any]] = [
        (getattr(block, name), name, block)
        for block in network.blocks
        for name in ("query_key_value", "mix", "fc1")
    ]
    peaks: dict[torch.nn.Module, torch.Tensor] = {}

    def keep(product: torch.nn.Module, given: tuple[torch.Tensor]) -> None:
        peaks[product] = given[0].detach().abs().flatten(0, -2).amax(0)

    hooks = [product.register_forward_pre_hook(keep) for product, _, _ in products]
    with torch.no_grad():
        network(pixel_values=trial_image(10 * rule.multiple, 13 * rule.multiple))
        for hook in hooks:
            hook.remove()
        for product, name, block in products:
            largest = product.weight.abs().amax(0).clamp_min(1e-5)
            factors = (peaks[product].clamp_min(1e-5) / largest).sqrt()
            factors /= factors.log().mean().exp()
            product.weight *= factors
            if name == "mix":
                values = block.query_key_value
                values.weight[-len(factors) :] /= factors[:, None]
                values.bias[-len(factors) :] /= factors
            else:
                norm = block.norm1 if name == "query_key_value" else block.norm2
                norm.weight /= factors
                norm.bias /= factors
    return network


def quantise_products(source: Path, path: Path, *, narrow: bool) -> None:
    """Write an ONNX graph with products of bytes, for ONNX Runtime.

    Args:
        source: The graph in float32.
        path: The file to write, in operators of the standard alone.
        narrow: Whether weights keep to 7 bits, so that sums of two products fit into 16: for CPUs that have
            nothing better (see `multiplies_bytes`), and files that may meet one.
    """
    import onnx

    helper = onnx.helper
    model = onnx.load(str(source))
    nodes: list[Any] = []
    quantised = _quantised(model, 63 if narrow else 127)
    for node in model.graph.node:
        stored = quantised.get(node.input[1]) if node.op_type == "MatMul" else None
        if stored is None:
            nodes.append(node)
            continue
        given, name = node.input[0], f"{node.output[0]}.int8"
        levels, scale, sums, share, steps = (
            f"{name}.{part}" for part in ("x", "by", "sums", "float", "scale")
        )
        nodes += [
            helper.make_node("DynamicQuantizeLinear", [given], [levels, scale, f"{name}.zero"]),
            helper.make_node("MatMulInteger", [levels, stored[0], f"{name}.zero", stored[2]], [sums]),
            helper.make_node("Cast", [sums], [share], to=onnx.TensorProto.FLOAT),
            helper.make_node("Mul", [scale, stored[1]], [steps]),
            helper.make_node("Mul", [share, steps], [node.output[0]]),
        ]
    _save_with(model, nodes, path)


def pack_weights(source: Path, path: Path) -> None:
    """Write an ONNX graph whose weights are bytes, for OpenVINO, which quantises their inputs by itself.

    Args:
        source: The graph in float32.
        path: The file to write.
    """
    import onnx

    model = onnx.load(str(source))
    quantised = _quantised(model, 127)
    nodes = [
        onnx.helper.make_node("DequantizeLinear", list(stored), [f"{name}.float"], axis=1)
        for name, stored in quantised.items()
    ]
    for node in model.graph.node:
        if node.op_type == "MatMul" and node.input[1] in quantised:
            node.input[1] += ".float"
        nodes.append(node)
    _save_with(model, nodes, path)


def check_int8(faster: torch.nn.Module, network: torch.nn.Module, rule: InputRule) -> None:
    """Check that a network bears int8.

    Args:
        faster: The network in int8.
        network: In float32.
        rule: How both want their images.

    Raises:
        ModelError: On a trial image they differ by more than `INT8_TOLERANCE`.
    """
    pixels = trial_image(8 * rule.multiple, 11 * rule.multiple)
    with torch.inference_mode():
        off = aligned_error(
            faster(pixel_values=pixels).predicted_depth, network(pixel_values=pixels).predicted_depth
        )
    if off > INT8_TOLERANCE:
        raise ModelError(
            f"in int8 this network's map of a trial image is off by {100 * off:.2g} % of its span; "
            "leave --dtype (dtype) out"
        )


def _quantised(model: Any, most: int) -> dict[str, tuple[str, str, str]]:
    """Add bytes, scales and zeros of all products' weights to a graph; give their names by the weights'."""
    from onnx import numpy_helper

    added: dict[str, tuple[str, str, str]] = {}
    for name, weights in _product_weights(model):
        scale = np.maximum(np.abs(weights).max(0), np.float32(1e-30)) / np.float32(most)
        names = (f"{name}.int8", f"{name}.scale", f"{name}.zero")
        levels = np.rint(weights / scale).astype(np.int8)
        for part, values in zip(names, (levels, scale, np.zeros(len(scale), np.int8)), strict=True):
            model.graph.initializer.append(numpy_helper.from_array(values, part))
        added[name] = names
    return added


def _product_weights(model: Any) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    from onnx import numpy_helper

    used = {node.input[1] for node in model.graph.node if node.op_type == "MatMul"}
    for stored in list(model.graph.initializer):
        if stored.name in used and len(stored.dims) == 2:
            yield stored.name, numpy_helper.to_array(stored)


def _save_with(model: Any, nodes: list[Any], path: Path) -> None:
    """Save a graph with other nodes, without what none of them reads."""
    import onnx

    del model.graph.node[:]
    model.graph.node.extend(nodes)
    read = {name for node in nodes for name in node.input}
    kept = [stored for stored in model.graph.initializer if stored.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    onnx.save(model, str(path))
