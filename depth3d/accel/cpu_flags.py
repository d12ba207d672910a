"""What the CPU can do, as the kernel spells it; read without PyTorch."""

from __future__ import annotations

import platform
import re
from pathlib import Path

__all__ = ["cpu_flags", "multiplies_bytes"]

_BYTE_PRODUCTS = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"}
"""x86 with AVX-512 or without, x86 with AMX, and ARMv8.2."""


def cpu_flags(cpuinfo: str | Path = "/proc/cpuinfo") -> frozenset[str]:
    """List what the CPU can do, in the kernel's spelling.

    Args:
        cpuinfo: The kernel's description of the CPU.

    Returns:
        Nothing where there is no such file (macOS, Windows).
    """
    try:
        text = Path(cpuinfo).read_text(errors="replace")
    except OSError:
        return frozenset()
    line = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return frozenset(line[1].split() if line else ())


def multiplies_bytes(cpuinfo: str | Path = "/proc/cpuinfo", machine: str | None = None) -> bool:
    """Tell whether the CPU sums products of bytes in 32 bits, which int8 networks want.

    Args:
        cpuinfo: The kernel's description of the CPU.
        machine: What Python calls the architecture; None asks.

    Returns:
        False for x86 without VNNI, whose instruction for bytes sums pairs in 16 bits that may overflow, and
        for x86 that does not tell; ARM's, of any age, has no such limit.
    """
    machine = platform.machine() if machine is None else machine
    is_arm = machine.lower() in ("arm64", "aarch64")
    return is_arm or not _BYTE_PRODUCTS.isdisjoint(cpu_flags(cpuinfo))
