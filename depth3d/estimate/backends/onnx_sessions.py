"""Graphs that ONNX Runtime has optimised, as files: what they depend on; loading them without PyTorch."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from depth3d.accel.cpu_flags import cpu_flags
from depth3d.accel.threads import asked_threads, usable_cpus

__all__ = ["circumstances", "open_session", "optimise", "silent_onnxruntime"]


def silent_onnxruntime() -> Any:
    """Import ONNX Runtime, which from 1.29 on tells its makers of what it runs unless it is told not to.

    Returns:
        The module. `ORT_DISABLE_TELEMETRY`, which it reads when it is imported, is 1 then, unless it was set;
        where somebody has imported it before, it stays as they have it.
    """
    is_new = "onnxruntime" not in sys.modules
    is_silent = is_new and os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1") == "1"
    import onnxruntime

    if is_silent:
        onnxruntime.disable_telemetry_events()  # Windows has no such variable
    return onnxruntime


def circumstances() -> dict[str, Any]:
    """List what an optimised graph depends on besides the network: ONNX Runtime and the processor."""
    onnxruntime = silent_onnxruntime()
    abilities = " ".join([platform.machine(), *sorted(cpu_flags())])
    return {
        "onnxruntime": onnxruntime.__version__,
        "abilities": hashlib.sha256(abilities.encode()).hexdigest()[:16],
    }


def optimise(graph: Path, path: Path) -> None:
    """Let ONNX Runtime bring a graph into the form in which this processor runs it.

    Args:
        graph: The graph.
        path: The file to write: it opens in a third of the time.

    Raises:
        OSError: The disk is full.
    """
    onnxruntime = silent_onnxruntime()
    options = _options(1)
    options.optimized_model_filepath = str(path)
    try:
        onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of a full disk it says that "serialization failed"
        if shutil.disk_usage(path.parent).free < graph.stat().st_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise


def open_session(path: Path, threads: int | None = None) -> Any:
    """Load a graph that was optimised.

    Args:
        path: The file.
        threads: How many to compute with; None takes what someone asked for, or what this process may use
            where that is not the whole machine, and else leaves it to ONNX Runtime.
    """
    onnxruntime = silent_onnxruntime()
    if threads is None:
        usable = usable_cpus()
        threads = asked_threads() or (usable if usable != os.cpu_count() else 0)
    options = _options(threads)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _options(threads: int) -> Any:
    onnxruntime = silent_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors
    return options
