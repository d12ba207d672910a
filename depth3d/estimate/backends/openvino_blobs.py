"""Networks that were compiled, as files, and those of OpenVINO: loading them without PyTorch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from depth3d.accel.threads import asked_threads, usable_cpus

__all__ = ["INPUT_GROUP", "Blob", "abilities", "circumstances", "import_blob", "settings_for"]

INPUT_GROUP = 64
"""Channels of a token that share a scale in int8; more are as fast and less exact."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A compiled network.

    Attributes:
        path: The file.
        form: The number format that it computes in: `bf16`, `f16`, `f32` or `i8`.
        circumstances: What it depends on besides the network.
        program: What runs it: `openvino` or `onnx`.
    """

    path: Path
    form: str
    circumstances: Mapping[str, Any]
    program: str = "openvino"


def abilities() -> list[str]:
    """List the number formats that OpenVINO computes in natively on this processor, such as `BF16`."""
    import openvino

    return sorted(openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def circumstances() -> dict[str, Any]:
    """List what a compiled network depends on besides the network: OpenVINO and the processor."""
    import openvino

    return {
        "openvino": openvino.__version__,
        "cpu": openvino.Core().get_property("CPU", "FULL_DEVICE_NAME"),
        "abilities": abilities(),
    }


def settings_for(form: str) -> dict[str, Any]:
    """Give OpenVINO's settings for a number format.

    Args:
        form: `bf16`, `f16`, `f32`, or `i8`: weights of bytes, whose inputs are made bytes in groups, and all
            else in bfloat16 where the processor computes in it, or in float32.

    Returns:
        With the number of threads where someone asked for one, or where this process may not use the whole
        machine; else OpenVINO chooses, by the kinds of cores that there are.
    """
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": form}
    if form == "i8":
        rest = "bf16" if "BF16" in abilities() else "f32"
        settings |= {"INFERENCE_PRECISION_HINT": rest, "DYNAMIC_QUANTIZATION_GROUP_SIZE": INPUT_GROUP}
    threads = asked_threads() or usable_cpus()
    if threads != os.cpu_count():
        settings["INFERENCE_NUM_THREADS"] = threads
    return settings


def import_blob(path: Path, form: str) -> Any:
    """Load a compiled network.

    Args:
        path: The file. It is mapped into memory, not read, where OpenVINO takes that: half the time, and the
            size of the file less memory.
        form: The number format that it was made for.

    Raises:
        RuntimeError: OpenVINO can't take the file.
    """
    import openvino

    core, settings = openvino.Core(), settings_for(form)
    try:
        state = path.stat()
        return core.import_model(_mapped(path, state.st_ino, state.st_mtime_ns), "CPU", settings)
    except (TypeError, ValueError):  # an OpenVINO that takes bytes alone, or an empty file
        return core.import_model(path.read_bytes(), "CPU", settings)


@cache
def _mapped(path: Path, *version: int) -> Any:
    """Map a file as a tensor, for as long as the process lasts: OpenVINO uses the weights where they are."""
    import openvino

    return openvino.Tensor(np.memmap(path, np.uint8, mode="c"), shared_memory=True)
