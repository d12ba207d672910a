"""Which number format the network runs in.

Half precision is only worth having where the hardware multiplies in it. On x86 CPUs without
AVX512-BF16 or AMX-BF16 PyTorch emulates bfloat16 and is three to nine times slower than float32, and
neither `torch.backends.cpu.get_cpu_capability()` nor PyTorch's own oneDNN check tells the difference:
the CPU's flags do.
"""

from __future__ import annotations

from pathlib import Path

import torch

from depth3d.accel.cpu_flags import cpu_flags
from depth3d.errors import InputError

__all__ = ["DTYPE_NAMES", "cpu_flags", "cpu_has_native_bfloat16", "preferred_dtype", "resolve_dtype"]

_DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "int8": torch.int8,
}

DTYPE_NAMES = ("auto", *_DTYPES)
"""The names that `dtype=` takes."""

_NATIVE_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""x86 with AVX-512, x86 with AMX, and ARMv8.6 in the kernel's spelling."""


def resolve_dtype(name: str) -> torch.dtype | None:
    """Turn a name into a number format.

    Args:
        name: `auto`, `float32`, `float16`, `bfloat16` or `int8`.

    Returns:
        The format, or None for `auto`.

    Raises:
        InputError: Another name.
    """
    text = str(name).removeprefix("torch.")
    if text not in DTYPE_NAMES:
        raise InputError(f"dtype must be one of {', '.join(DTYPE_NAMES)}, got {str(name)!r}; try auto")
    return _DTYPES.get(text)


def preferred_dtype(device: torch.device, *, cpu_bfloat16: bool | None = None) -> torch.dtype:
    """Choose the fastest format that a device computes in natively.

    Args:
        device: Where the network runs.
        cpu_bfloat16: Whether the CPU has bfloat16; None looks.

    Returns:
        float16 on CUDA, bfloat16 on a CPU that has it, float32 elsewhere.
    """
    if device.type == "cuda":
        return torch.float16
    if device.type == "cpu":
        native = cpu_has_native_bfloat16() if cpu_bfloat16 is None else cpu_bfloat16
        return torch.bfloat16 if native else torch.float32
    return torch.float32


def cpu_has_native_bfloat16(cpuinfo: str | Path = "/proc/cpuinfo") -> bool:
    """Tell whether the CPU multiplies bfloat16 in hardware.

    Args:
        cpuinfo: The kernel's description of the CPU.

    Returns:
        False where there is no such file: float32 is always right, only slower.
    """
    return not _NATIVE_FLAGS.isdisjoint(cpu_flags(cpuinfo))
