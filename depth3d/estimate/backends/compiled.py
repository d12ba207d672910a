"""`torch.compile`: PyTorch's own compiler, for any size of image in one graph."""

from __future__ import annotations

import shutil

import torch

from depth3d.errors import DeviceError
from depth3d.estimate.backends.graph import PlainDepth
from depth3d.estimate.backends.runner import GraphNetwork

__all__ = ["compiled_network"]


def compiled_network(network: torch.nn.Module, device: torch.device) -> GraphNetwork:
    """Compile a network; the first image of each kind of size takes a minute or more.

    PyTorch keeps what it compiled between runs (`TORCHINDUCTOR_CACHE_DIR`).

    Args:
        network: One that `can_be_exported`, in the format that it is to compute in, on its device.
        device: Where it is.

    Returns:
        The network.

    Raises:
        DeviceError: There is no compiler for C++ on the machine, which the CPU needs.
    """
    if device.type == "cpu" and not any(map(shutil.which, ("g++", "clang++", "c++", "cl"))):
        raise DeviceError(
            "backend='compile' needs a C++ compiler (g++, clang++ or cl) for the CPU and finds none; install "
            "one, or use backend='torch'"
        )
    dtype = next(network.parameters()).dtype
    # Not for each size anew: photos have many shapes, and each would take its minute.
    run = torch.compile(PlainDepth(network), dynamic=True)

    def passed(pixels: torch.Tensor) -> torch.Tensor:
        depth: torch.Tensor = run(pixels.to(dtype).contiguous(memory_format=torch.channels_last))
        return depth

    return GraphNetwork(passed, network, dtype, network.float if dtype is torch.float16 else None)
