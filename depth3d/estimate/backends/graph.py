"""A network as an ONNX graph that takes images of any size."""

from __future__ import annotations

import copy
import warnings
from inspect import signature
from pathlib import Path
from typing import Any

import torch

from depth3d.estimate.depth_anything import DepthAnything
from depth3d.estimate.export.graphs import InFormat
from depth3d.estimate.mini import MiniDepth

__all__ = [
    "INPUT_NAME",
    "OPSET",
    "OUTPUT_NAME",
    "PlainDepth",
    "can_be_exported",
    "write_onnx",
]

OPSET = 18
INPUT_NAME, OUTPUT_NAME = "pixel_values", "predicted_depth"


class PlainDepth(torch.nn.Module):
    """Tensor in, tensor out, which is what graphs are made of.

    Args:
        network: Takes `pixel_values`, gives `predicted_depth`.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(n, 3, h, w) normalised colours to (n, h, w) depth."""
        depth: torch.Tensor = self.network(pixel_values=pixel_values).predicted_depth
        return depth


def can_be_exported(network: torch.nn.Module) -> bool:
    """Tell whether a network is one of ours, in whose graph no size is baked.

    Args:
        network: From `load_checkpoint`. Those of `transformers` are traced without a word, and then give
            the size that they were traced at, whatever they are shown.
    """
    return isinstance(network, (DepthAnything, MiniDepth))


def write_network(network: torch.nn.Module, path: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write a network as ONNX, for batches and images of any size.

    Args:
        network: One that `can_be_exported`, in evaluation mode, in float32 on the CPU.
        path: The file.
        dtype: What the graph computes in; it takes and gives float32.
    """
    dynamic = {
        INPUT_NAME: {0: "n", 2: "height", 3: "width"},
        OUTPUT_NAME: {0: "n", 1: "height", 2: "width"},
    }
    # The trace runs the network once: few whole patches, of Depth Anything's or of mini's, take least time.
    patch = network.config.patch_size if isinstance(network, DepthAnything) else 32
    module = PlainDepth(network) if dtype is torch.float32 else InFormat(copy.deepcopy(network), dtype)
    write_onnx(module, torch.zeros(2, 3, 4 * patch, 8 * patch), path, dynamic=dynamic)


def write_onnx(
    module: torch.nn.Module,
    example: torch.Tensor,
    path: Path,
    *,
    dynamic: dict[str, dict[int, str]],
    input_name: str = INPUT_NAME,
) -> None:
    """Write a module of one input and one output as ONNX.

    PyTorch's older exporter is used, which traces: it takes 3 s for Small where the newer one takes 16, needs
    one package less, and the graphs run equally fast.

    Args:
        module: In evaluation mode, on the CPU.
        example: An input.
        path: The file.
        dynamic: Axes of any length, by tensor and number.
        input_name: Name of the input.
    """
    options: dict[str, Any] = {}
    if "dynamo" in signature(torch.onnx.export).parameters:  # since PyTorch 2.5
        options["dynamo"] = False
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # about the older exporter, and about checks that a trace leaves out
        torch.onnx.export(
            module.eval(),
            (example,),
            str(path),
            opset_version=OPSET,
            input_names=[input_name],
            output_names=[OUTPUT_NAME],
            dynamic_axes=dynamic,
            **options,
        )
