"""Where tensors live: names of devices, what is there, and how much memory it has left."""

from __future__ import annotations

import re

import torch

from depth3d.accel.threads import share_threads
from depth3d.errors import DeviceError

__all__ = ["describe_device", "free_memory_bytes", "memory_format", "resolve_device"]

_NAME = re.compile(r"(?P<type>cpu|cuda|mps)(:(?P<index>\d+))?")


def resolve_device(name: str | torch.device = "auto") -> torch.device:
    """Turn a name into a device that is really there.

    Args:
        name: `auto` (CUDA, else Apple's MPS, else the CPU), `cpu`, `cuda`, `cuda:1` or `mps`.

    Returns:
        The device.

    Raises:
        DeviceError: The name is unknown, or there is no such device on this machine.
    """
    share_threads()
    text = str(name).strip().lower()
    if text == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu")
    match = _NAME.fullmatch(text)
    if match is None:
        raise DeviceError(f"device must be auto, cpu, cuda, cuda:1 or mps, got {str(name)!r}; try auto")
    kind, index = match["type"], int(match["index"] or 0)
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            why = "is built without CUDA" if torch.version.cuda is None else "finds no GPU or driver"
            raise DeviceError(
                f"device {text} is not there: PyTorch {torch.__version__} {why}; use cpu or auto"
            )
        if index >= count:
            raise DeviceError(
                f"device {text} is not there: this machine has cuda:0 to cuda:{count - 1}; use one of them"
            )
    elif index > 0:
        raise DeviceError(f"device {text} is not there: there is only one {kind}; use {kind}")
    if kind == "mps" and not _has_mps():
        raise DeviceError("device mps is not there: it needs a Mac with Apple silicon; use cpu or auto")
    return torch.device(text if kind == "cuda" else kind)


def describe_device(device: torch.device) -> str:
    """Describe a device in words, such as `cuda:0, NVIDIA H100, 79.1 GiB`.

    Args:
        device: From `resolve_device`.
    """
    if device.type == "cuda":
        facts = torch.cuda.get_device_properties(device)
        return f"{device}, {facts.name}, {facts.total_memory / 2**30:.1f} GiB"
    if device.type == "mps":
        return "mps, Apple GPU"
    return f"cpu, {torch.get_num_threads()} threads"


def memory_format(device: torch.device) -> torch.memory_format:
    """Tell how pictures and features had best lie in a device's memory.

    Args:
        device: From `resolve_device`.

    Returns:
        Channels last: that is how tokens lie that become features, and what tensor cores and oneDNN read.
        Not on MPS, which has taken views of such memory for others (PyTorch issues 174345 and 180984).
    """
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def free_memory_bytes(device: torch.device) -> int | None:
    """Tell how many bytes a GPU has free; None where PyTorch can't tell (CPU, MPS).

    Args:
        device: From `resolve_device`.
    """
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    # What PyTorch has reserved and does not use is ours too.
    return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))


def _has_mps() -> bool:
    return bool(torch.backends.mps.is_available())
