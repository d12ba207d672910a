"""ONNX Runtime, on CPUs and NVIDIA GPUs, in float32."""

from __future__ import annotations

from typing import Any

import torch

from depth3d.errors import DeviceError, InputError
from depth3d.estimate.backends.artefacts import artefact, fingerprint
from depth3d.estimate.backends.graph import GRAPH_VERSION, INPUT_NAME, OPSET, write_network
from depth3d.estimate.backends.runner import GraphNetwork

__all__ = ["onnx_network"]


def onnx_network(network: torch.nn.Module, device: torch.device, dtype: torch.dtype | None) -> GraphNetwork:
    """Run a network by ONNX Runtime.

    Args:
        network: One that `can_be_exported`, in float32 on the CPU.
        device: CPU or CUDA; for CUDA the package `onnxruntime-gpu` must be there.
        dtype: float32, or None.

    Returns:
        The network, for images of any size.

    Raises:
        InputError: Another number format.
        DeviceError: ONNX Runtime has nothing to run it with on that device.
    """
    import onnxruntime

    if dtype not in (None, torch.float32):
        raise InputError(f"the onnx backend computes in float32, got {dtype}; leave --dtype (dtype) out")
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.type == "cuda":
        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            raise DeviceError(
                "this onnxruntime runs on the CPU only; pip install onnxruntime-gpu, or use backend='torch'"
            )
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": device.index or 0}))
    elif device.type != "cpu":
        raise DeviceError(f"the onnx backend runs on cpu and cuda, not on {device}; use backend='torch'")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = artefact(
        "onnx",
        ".onnx",
        make=lambda path: write_network(network, path),
        read=lambda path: onnxruntime.InferenceSession(str(path), options, providers=providers),
        network=fingerprint(network),
        graph=GRAPH_VERSION,
        opset=OPSET,
        torch=torch.__version__,
    )

    def run(pixels: torch.Tensor) -> torch.Tensor:
        (depth,) = session.run(None, {INPUT_NAME: pixels.cpu().numpy()})
        return torch.from_numpy(depth).to(device)

    return GraphNetwork(run, network, torch.float32)
