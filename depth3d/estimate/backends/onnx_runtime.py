"""ONNX Runtime, on CPUs in float32 and int8, and on NVIDIA GPUs in float32."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch

from depth3d.accel.cpu_flags import multiplies_bytes
from depth3d.errors import DeviceError, InputError
from depth3d.estimate.backends.artefacts import GRAPH_VERSION, INT8_VERSION, artefact, fingerprint
from depth3d.estimate.backends.fused_attention import with_fused_attention
from depth3d.estimate.backends.graph import INPUT_NAME, OPSET, write_network
from depth3d.estimate.backends.int8 import check_int8, equalised, quantise_products
from depth3d.estimate.backends.onnx_sessions import (
    circumstances,
    open_session,
    optimise,
    silent_onnxruntime,
)
from depth3d.estimate.backends.openvino_blobs import Blob
from depth3d.estimate.backends.runner import GraphNetwork
from depth3d.estimate.preprocess import InputRule

__all__ = ["onnx_network"]

_NAMES = {torch.float32: "f32", torch.int8: "i8"}


def onnx_network(
    network: torch.nn.Module, rule: InputRule, device: torch.device, dtype: torch.dtype | None
) -> GraphNetwork:
    """Run a network by ONNX Runtime.

    Args:
        network: One that `can_be_exported`, in float32 on the CPU.
        rule: How it wants its images.
        device: CPU or CUDA; for CUDA the package `onnxruntime-gpu` must be there.
        dtype: float32, int8 on the CPU, or None for float32.

    Returns:
        The network, for images of any size.

    Raises:
        InputError: Another number format.
        DeviceError: ONNX Runtime has nothing to run it with on that device.
        ModelError: The network does not bear int8.
    """
    dtype = dtype or torch.float32
    if dtype not in _NAMES:
        raise InputError(
            f"the onnx backend computes in float32 or int8, got {str(dtype).removeprefix('torch.')}; "
            "leave --dtype (dtype) out"
        )
    if device.type == "cpu":
        return _on_cpu(network, rule, dtype)
    if device.type == "cuda":
        return _on_cuda(network, device)
    raise DeviceError(f"the onnx backend runs on cpu and cuda, not on {device}; use backend='torch'")


def _on_cpu(network: torch.nn.Module, rule: InputRule, dtype: torch.dtype) -> GraphNetwork:
    form = _NAMES[dtype]
    threads = torch.get_num_threads()

    def opened(path: Path) -> GraphNetwork:
        session = open_session(path, threads)

        def run(pixels: torch.Tensor) -> torch.Tensor:
            # In int8 a pass has one scale: pictures that shared it would change each other's maps.
            passes = torch.split(pixels, 1 if dtype is torch.int8 else len(pixels))
            maps = [torch.from_numpy(session.run(None, {INPUT_NAME: one.numpy()})[0]) for one in passes]
            return maps[0] if len(maps) == 1 else torch.cat(maps)

        made = GraphNetwork(run, network, dtype)
        made.blob = Blob(path, form, circumstances(), "onnx")
        return made

    def make(path: Path) -> None:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            graph = Path(folder) / "graph.onnx"
            whole = equalised(network, rule) if dtype is torch.int8 else network
            write_network(with_fused_attention(whole), graph)
            if dtype is torch.int8:
                quantise_products(graph, graph, narrow=not multiplies_bytes())
            optimise(graph, path)
        if dtype is torch.int8:
            check_int8(opened(path), network, rule)

    return artefact("onnx", ".onnx", make, opened, **_depends_on(network), form=form, **circumstances())


def _on_cuda(network: torch.nn.Module, device: torch.device) -> GraphNetwork:
    onnxruntime = silent_onnxruntime()
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise DeviceError(
            "this onnxruntime runs on the CPU only; pip install onnxruntime-gpu, or use backend='torch'"
        )
    providers = [("CUDAExecutionProvider", {"device_id": device.index or 0}), "CPUExecutionProvider"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = artefact(
        "onnx",
        ".onnx",
        make=lambda path: write_network(network, path),
        read=lambda path: onnxruntime.InferenceSession(str(path), options, providers=providers),
        **_depends_on(network),
    )

    def run(pixels: torch.Tensor) -> torch.Tensor:
        (depth,) = session.run(None, {INPUT_NAME: pixels.cpu().numpy()})
        return torch.from_numpy(depth).to(device)

    return GraphNetwork(run, network, torch.float32)


def _depends_on(network: torch.nn.Module) -> dict[str, Any]:
    versions = f"{GRAPH_VERSION}.{INT8_VERSION}"
    return {"network": fingerprint(network), "graph": versions, "opset": OPSET, "torch": torch.__version__}
