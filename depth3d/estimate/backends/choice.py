"""Which program runs a network: what was asked for, or what is the fastest here."""

from __future__ import annotations

import logging
import os

import torch

from depth3d.accel.devices import memory_format
from depth3d.accel.precision import preferred_dtype
from depth3d.accel.threads import bound_threads
from depth3d.errors import DeviceError, InputError
from depth3d.estimate import network as network_module
from depth3d.estimate.backends.graph import can_be_exported
from depth3d.estimate.backends.installed import int8_backend, missing_modules
from depth3d.estimate.backends.processor import fitted_to_processor
from depth3d.estimate.backends.trials import remembering
from depth3d.estimate.checkpoints import LoadedModel
from depth3d.estimate.network import settle_precision

__all__ = ["BACKENDS", "check_backend", "installed_backends", "runnable"]

_log = logging.getLogger("depth3d")

BACKENDS = ("auto", "torch", "compile", "onnx", "openvino", "tensorrt")
"""The names that `backend=` takes."""

_GRAPHS_SWITCH = "DEPTH3D_CUDA_GRAPHS"
"""The variable whose 0 keeps PyTorch on CUDA from recording graphs."""

_INT8 = ("onnx", "openvino")

_WORTH_COMPILING = 10_000_000
"""Weights. Compiling Small (25 million) takes 5 s, once, and halves its time; `mini` takes 30 ms anyway."""


def check_backend(backend: str, dtype: torch.dtype | None = None) -> str:
    """Check a backend's name, that what it needs is installed, and that it has int8 if that is wanted.

    Args:
        backend: One of `BACKENDS`.
        dtype: The number format, None for automatic.

    Returns:
        The name; for int8 never `auto`, but what `int8_backend` gives.

    Raises:
        InputError: Another name, a package is missing, or the backend has no int8.
    """
    if backend not in BACKENDS:
        raise InputError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}; try auto")
    if missing := missing_modules(backend):
        raise InputError(
            f"backend {backend!r} needs {' and '.join(missing)}; "
            f"pip install 'depth3d[{backend}]', or use auto"
        )
    return _with_int8(backend) if dtype is torch.int8 else backend


def _with_int8(backend: str) -> str:
    if backend == "auto":
        if found := int8_backend():
            return found
        raise InputError(
            "int8 needs ONNX Runtime or OpenVINO; pip install 'depth3d[onnx]', or leave --dtype (dtype) out"
        )
    if backend not in _INT8:
        raise InputError(
            f"backend {backend!r} does not compute in int8; use {' or '.join(_INT8)}, or leave --dtype "
            "(dtype) out"
        )
    return backend


def installed_backends() -> list[str]:
    """Name the backends whose packages are there, `auto` aside."""
    return [backend for backend in BACKENDS[1:] if not missing_modules(backend)]


def runnable(
    loaded: LoadedModel, *, name: str, device: torch.device, dtype: torch.dtype | None, backend: str
) -> tuple[torch.nn.Module, str]:
    """Bring a network onto its device, into its number format, and into the hands of a backend.

    Args:
        loaded: In float32 on the CPU.
        name: Of the network, for messages.
        device: Where it is to run.
        dtype: The format to compute in; None lets a trial decide whether the fastest is good enough.
        backend: One of `BACKENDS`. `auto` is `openvino` on a CPU where that is installed and the network is
            Depth Anything, else `torch`.

    Returns:
        The network, and the name of the backend.

    Raises:
        InputError: The backend can't run this network, or not in this format.
        DeviceError: It can't run on this device.
    """
    backend = check_backend(backend, dtype)
    if dtype is torch.int8 and device.type != "cpu":
        raise DeviceError(f"int8 is for processors, not for {device}; use device='cpu', or dtype='auto'")
    if device.type == "cpu":
        bound_threads()
    network = loaded.network
    if backend == "auto" and _openvino_pays(network, device):
        try:
            from depth3d.estimate.backends.openvino_runtime import openvino_network

            return openvino_network(network, loaded.rule, device, dtype), "openvino"
        except Exception as error:  # whatever a compiler may raise; nobody asked for this one
            reason = (str(error).splitlines() or [""])[0]
            _log.info("OpenVINO can't run %s (%s); using PyTorch", name, reason)
    if backend not in ("auto", "torch") and not can_be_exported(network):
        instead = "leave --dtype (dtype) out" if dtype is torch.int8 else "use 'torch'"
        raise InputError(
            f"backend {backend!r} runs Depth Anything and mini, and {name} is neither; {instead}"
        )
    if backend == "onnx":
        from depth3d.estimate.backends.onnx_runtime import onnx_network

        return onnx_network(network, loaded.rule, device, dtype), backend
    if backend == "openvino":
        from depth3d.estimate.backends.openvino_runtime import openvino_network

        if dtype is None and not loaded.halves_on_cpu:
            dtype = torch.float32
        return openvino_network(network, loaded.rule, device, dtype), backend
    if backend == "tensorrt":
        from depth3d.estimate.backends.tensorrt_runtime import tensorrt_network

        return tensorrt_network(network, loaded.rule, device, dtype), backend
    network = network.to(device, memory_format=memory_format(device))  # type: ignore[call-overload]
    fit = fitted_to_processor if device.type == "cpu" and backend != "compile" else None
    if dtype is not None:
        network = network.to(dtype)
        network = fit(network) if fit else network
    elif loaded.halves_on_cpu or device.type != "cpu":
        preferred = preferred_dtype(device)
        facts = {
            "torch": torch.__version__,
            "preferred": preferred,
            "fitted": fit is not None,
            "tolerance": network_module.HALF_PRECISION_TOLERANCE,
        }
        remembered = remembering(loaded.source, **facts) if device.type == "cpu" else None
        network = settle_precision(network, preferred, loaded.rule, device, fit, remembered)
    if backend == "compile":
        from depth3d.estimate.backends.compiled import compiled_network

        return compiled_network(network, device), backend
    if device.type == "cuda" and can_be_exported(network) and os.environ.get(_GRAPHS_SWITCH) != "0":
        from depth3d.estimate.backends.cuda_graphs import CapturedNetwork

        network = CapturedNetwork(network)
    return network, "torch"


def _openvino_pays(network: torch.nn.Module, device: torch.device) -> bool:
    size = sum(weight.numel() for weight in network.parameters())
    fits = device.type == "cpu" and can_be_exported(network) and size >= _WORTH_COMPILING
    return fits and not missing_modules("openvino")
