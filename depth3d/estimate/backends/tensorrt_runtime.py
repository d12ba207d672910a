"""TensorRT on NVIDIA GPUs: one engine for all sizes of a range, in float16 or float32."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from depth3d.errors import DeviceError, InputError
from depth3d.estimate.backends.artefacts import GRAPH_VERSION, artefact, fingerprint
from depth3d.estimate.backends.graph import INPUT_NAME, OUTPUT_NAME, write_network
from depth3d.estimate.backends.runner import GraphNetwork
from depth3d.estimate.preprocess import InputRule

__all__ = ["build_engine", "tensorrt_network"]

_LARGEST_BATCH = 8
_LONGEST_SIDE = 4
"""Times the network's own side."""


def tensorrt_network(
    network: torch.nn.Module, rule: InputRule, device: torch.device, dtype: torch.dtype | None
) -> GraphNetwork:
    """Run a network by TensorRT; building its engine takes minutes, once for each kind of GPU.

    Args:
        network: One that `can_be_exported`, in float32 on the CPU.
        rule: How it wants its images.
        device: A CUDA device.
        dtype: float16, float32, or None for float16.

    Returns:
        The network, for sides from three patches to four times its own side.

    Raises:
        DeviceError: The device is no NVIDIA GPU, or TensorRT can't build an engine for it.
        InputError: Another number format.
    """
    if device.type != "cuda":
        raise DeviceError(f"the tensorrt backend runs on NVIDIA GPUs, not on {device}; use backend='auto'")
    if dtype is torch.bfloat16:
        raise InputError("the tensorrt backend computes in float16 or float32; leave --dtype (dtype) out")
    import tensorrt

    dtype = dtype or torch.float16
    own, m = rule.own_input_size, rule.multiple
    sizes = [(1, 3, 3 * m, 3 * m), (1, 3, own, own * 4 // 3 // m * m)]
    sizes.append((_LARGEST_BATCH, 3, own * _LONGEST_SIDE, own * _LONGEST_SIDE))

    def make(path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            graph = Path(folder) / "network.onnx"
            write_network(network, graph)
            path.write_bytes(build_engine(graph, INPUT_NAME, sizes, dtype))

    def read(path: Path) -> Any:
        engine = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR)).deserialize_cuda_engine(
            path.read_bytes()
        )
        if engine is None:
            raise RuntimeError("the engine is damaged, or belongs to another GPU")
        return engine

    engine = artefact(
        "tensorrt",
        ".engine",
        make,
        read,
        network=fingerprint(network),
        graph=GRAPH_VERSION,
        torch=torch.__version__,
        tensorrt=tensorrt.__version__,
        gpu=torch.cuda.get_device_name(device),
        sizes=sizes,
        dtype=dtype,
    )
    context = engine.create_execution_context()

    def run(pixels: torch.Tensor) -> torch.Tensor:
        context.set_input_shape(INPUT_NAME, tuple(pixels.shape))
        depth = torch.empty(tuple(context.get_tensor_shape(OUTPUT_NAME)), device=pixels.device)
        context.set_tensor_address(INPUT_NAME, pixels.data_ptr())
        context.set_tensor_address(OUTPUT_NAME, depth.data_ptr())
        stream = torch.cuda.current_stream(pixels.device)
        if not context.execute_async_v3(stream.cuda_stream):
            raise DeviceError("TensorRT could not run the network on this image; use backend='torch'")
        return depth

    return GraphNetwork(run, network, dtype, network if dtype is torch.float16 else None)


def build_engine(graph: Path, input_name: str, sizes: Sequence[tuple[int, ...]], dtype: torch.dtype) -> bytes:
    """Build an engine from an ONNX graph.

    Args:
        graph: The file.
        input_name: Name of its input.
        sizes: The smallest, the usual and the largest input.
        dtype: float16 or float32; the input and the output are float32.

    Returns:
        The engine, for the GPU at hand.

    Raises:
        DeviceError: TensorRT can't read the graph, or finds no way to run it.
    """
    import tensorrt

    builder = tensorrt.Builder(tensorrt.Logger(tensorrt.Logger.ERROR))
    definition = builder.create_network(0)
    parser = tensorrt.OnnxParser(definition, tensorrt.Logger(tensorrt.Logger.ERROR))
    if not parser.parse(graph.read_bytes()):
        raise DeviceError(f"TensorRT can't read the network ({parser.get_error(0)}); use backend='torch'")
    profile = builder.create_optimization_profile()
    profile.set_shape(input_name, *sizes)
    config = builder.create_builder_config()
    config.add_optimization_profile(profile)
    if dtype is torch.float16:
        config.set_flag(tensorrt.BuilderFlag.FP16)
    engine = builder.build_serialized_network(definition, config)
    if engine is None:
        raise DeviceError("TensorRT found no way to run the network on this GPU; use backend='torch'")
    return bytes(engine)
