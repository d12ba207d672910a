"""TensorRT on NVIDIA GPUs: one engine for all sizes of a range, in float16 or float32."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from depth3d.accel.devices import memory_format
from depth3d.errors import DeviceError, InputError
from depth3d.estimate.backends.artefacts import GRAPH_VERSION, artefact, fingerprint
from depth3d.estimate.backends.graph import INPUT_NAME, OUTPUT_NAME, write_network
from depth3d.estimate.backends.runner import GraphNetwork
from depth3d.estimate.preprocess import InputRule

__all__ = ["build_engine", "engine_runner", "open_engine", "tensorrt_network"]

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
            write_network(network, graph, dtype)
            path.write_bytes(build_engine(graph, INPUT_NAME, sizes))

    with torch.cuda.device(device):  # engines belong to the device that is the current one
        engine = artefact(
            "tensorrt",
            ".engine",
            make,
            open_engine,
            network=fingerprint(network),
            graph=GRAPH_VERSION,
            torch=torch.__version__,
            tensorrt=tensorrt.__version__,
            gpu=torch.cuda.get_device_name(device),
            tf32=False,
            sizes=sizes,
            dtype=dtype,
        )
    passed = engine_runner(engine, INPUT_NAME, device)

    def run(pixels: torch.Tensor) -> torch.Tensor:
        return torch.cat([passed(some) for some in torch.split(pixels, _LARGEST_BATCH)])

    def exact() -> torch.nn.Module:
        return network.to(device, memory_format=memory_format(device))  # type: ignore[call-overload,no-any-return]

    return GraphNetwork(run, network, dtype, exact if dtype is torch.float16 else None)


def open_engine(path: Path) -> Any:
    """Load an engine onto the current CUDA device.

    Args:
        path: The file.

    Raises:
        RuntimeError: It is damaged, or was made for another GPU or by another TensorRT.
    """
    import tensorrt

    runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR))
    engine = runtime.deserialize_cuda_engine(path.read_bytes())
    if engine is None:
        raise RuntimeError("the engine is damaged, or belongs to another GPU")
    return engine


def engine_runner(
    engine: Any, input_name: str, device: torch.device
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Make a function of tensors of an engine.

    Args:
        engine: From `open_engine`.
        input_name: Name of its input; its output is `OUTPUT_NAME`.
        device: Where it was loaded.

    Returns:
        A function of (n, 3, h, w) float32 on the device, in rows of pixels; it gives (n, h, w), is told to
        the current stream, and is called by one thread at a time.
    """
    with torch.cuda.device(device):
        context = engine.create_execution_context()

    def run(pixels: torch.Tensor) -> torch.Tensor:
        with torch.cuda.device(device):
            if not context.set_input_shape(input_name, tuple(pixels.shape)):
                n, _, height, width = pixels.shape
                raise DeviceError(
                    f"the engine of TensorRT takes no {n} images of {width}x{height} pixels; use another "
                    "input_size (--input-size), or backend='torch'"
                )
            depth = torch.empty(tuple(context.get_tensor_shape(OUTPUT_NAME)), device=pixels.device)
            context.set_tensor_address(input_name, pixels.data_ptr())
            context.set_tensor_address(OUTPUT_NAME, depth.data_ptr())
            stream = torch.cuda.current_stream(device)
            if not context.execute_async_v3(stream.cuda_stream):
                raise DeviceError("TensorRT could not run the network on this image; use backend='torch'")
        return depth

    return run


def build_engine(graph: Path, input_name: str, sizes: Sequence[tuple[int, ...]]) -> bytes:
    """Build an engine from an ONNX graph.

    Args:
        graph: The file. The engine computes in the number formats that it says; TensorRT 11 knows no other
            way, and TensorRT 10 is told to. Both would multiply in TF32, of 10 bits, where it says float32.
        input_name: Name of its input.
        sizes: The smallest, the usual and the largest input.

    Returns:
        The engine, for the GPU at hand.

    Raises:
        DeviceError: TensorRT can't read the graph, or finds no way to run it.
    """
    import tensorrt

    builder = tensorrt.Builder(tensorrt.Logger(tensorrt.Logger.ERROR))
    typed = 1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    definition = builder.create_network(typed)
    parser = tensorrt.OnnxParser(definition, tensorrt.Logger(tensorrt.Logger.ERROR))
    if not parser.parse(graph.read_bytes()):
        raise DeviceError(f"TensorRT can't read the network ({parser.get_error(0)}); use backend='torch'")
    profile = builder.create_optimization_profile()
    profile.set_shape(input_name, *sizes)
    config = builder.create_builder_config()
    config.add_optimization_profile(profile)
    config.clear_flag(tensorrt.BuilderFlag.TF32)
    engine = builder.build_serialized_network(definition, config)
    if engine is None:
        raise DeviceError("TensorRT found no way to run the network on this GPU; use backend='torch'")
    return bytes(engine)
