"""Networks that were compiled, as files, and those of OpenVINO: loading them without PyTorch."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.accel.threads import asked_threads, usable_cpus
from depth3d.errors import ModelError

__all__ = [
    "FILE_VERSION",
    "INPUT_GROUP",
    "Blob",
    "BlobRunner",
    "abilities",
    "circumstances",
    "import_blob",
    "openvino_core",
    "settings_for",
    "size_name",
    "whole",
    "write_blob",
]

_log = logging.getLogger("depth3d")

INPUT_GROUP = 64
"""Channels of a token that share a scale in int8; more are as fast and less exact."""

FILE_VERSION = 2
"""Raised when files are written in another way."""

_LENGTH_BYTES = 8
"""At the end of a file: how long what is before them is, so that one that was cut off is known unread."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A compiled network.

    Attributes:
        path: The file.
        form: The number format that it computes in: `bf16`, `f16`, `f32` or `i8`.
        circumstances: What it depends on besides the network.
        program: What runs it: `openvino` or `onnx`.
        sized: Files of the same network for images of one size alone, by `size_name`.
    """

    path: Path
    form: str
    circumstances: Mapping[str, Any]
    program: str = "openvino"
    sized: Mapping[str, Path] = field(default_factory=dict)


class BlobRunner:
    """Runs a compiled network, in the form for the images' own size where there is one: a tenth faster.

    Each form is loaded when the first image asks for it: most runs need one.

    Args:
        path: The form for all sizes.
        form: The number format that it was made for.
        sized: Those for one size, by `size_name`.
        loaded: What `import_blob` gave for `path`, if that has been done.

    Raises:
        ModelError: On a call: the form for all sizes can't be loaded.
    """

    def __init__(self, path: Path, form: str, sized: Mapping[str, Path], loaded: Any = None) -> None:
        self._path, self._form = path, form
        self._sized = dict(sized)
        self._requests: dict[Path, Any] = {}
        if loaded is not None:
            self._requests[path] = loaded.create_infer_request()

    def __call__(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(n, 3, h, w) normalised colours to (n, h, w) depth; one call at a time."""
        size = size_name(*pixels.shape[2:])
        request = self._request_of(self._sized.get(size, self._path), size)
        depth: npt.NDArray[np.float32] = request.infer({0: pixels}, share_inputs=True, share_outputs=False)[0]
        return depth

    def _request_of(self, path: Path, size: str) -> Any:
        if path not in self._requests:
            try:
                self._requests[path] = import_blob(path, self._form).create_infer_request()
            except (OSError, RuntimeError) as error:
                reason = _reason(error)
                try:
                    path.unlink(missing_ok=True)
                    so = " and was removed; run this again, and it is made anew"
                except OSError:  # another's cache, to be read only
                    so = f"; remove {path}, or set DEPTH3D_CACHE_DIR"
                if path == self._path:
                    raise ModelError(
                        f"the compiled network {path.name} can't be loaded any more ({reason}){so}"
                    ) from error
                _log.info("taking the form for all sizes (%s)", reason)
                del self._sized[size]
                return self._request_of(self._path, size)
        return self._requests[path]


def _reason(error: Exception) -> str:
    """Give the last line of an error: those before it say where in OpenVINO's sources it came from."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].rstrip(".")


def size_name(height: int, width: int) -> str:
    """Name a size in pixels, as keys of `Blob.sized` do."""
    return f"{height}x{width}"


def openvino_core() -> Any:
    """Give the one `openvino.Core` of this process.

    Each that is opened for the CPU gives the thread's signals a stack of their own, and takes it away when it
    is closed. Of two that are not closed in reverse order the first one's stays in use after it is freed, and
    the next Ctrl-C ends Python by SIGSEGV. So there is one, and it is never closed.
    """
    with _OPENING:
        return _opened_core()


_OPENING = threading.Lock()


@cache
def _opened_core() -> Any:
    import openvino

    return openvino.Core()


def abilities() -> list[str]:
    """List the number formats that OpenVINO computes in natively on this processor, such as `BF16`."""
    return sorted(openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def circumstances() -> dict[str, Any]:
    """List what a compiled network depends on besides the network: OpenVINO and the processor."""
    import openvino

    return {
        "openvino": openvino.__version__,
        "cpu": openvino_core().get_property("CPU", "FULL_DEVICE_NAME"),
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


def write_blob(path: Path, model: Any) -> None:
    """Write a compiled network.

    Args:
        path: The file.
        model: What OpenVINO has compiled.
    """
    with path.open("wb") as file:
        length = file.write(model.export_model().getbuffer())
        file.write(length.to_bytes(_LENGTH_BYTES, "little"))


def whole(path: Path) -> Path:
    """See that a compiled network is all there, without reading it.

    Args:
        path: The file.

    Returns:
        The same.

    Raises:
        OSError: It is not there.
        RuntimeError: It was cut off.
    """
    length = path.stat().st_size - _LENGTH_BYTES
    with path.open("rb") as file:
        file.seek(max(length, 0))
        if int.from_bytes(file.read(), "little") != length:
            raise RuntimeError(f"{path.name} is cut off")
    return path


def import_blob(path: Path, form: str) -> Any:
    """Load a compiled network.

    Args:
        path: The file, of `write_blob`. It is mapped into memory, not read, where OpenVINO takes that: half
            the time, and the size of the file less memory.
        form: The number format that it was made for.

    Raises:
        OSError: It is not there.
        RuntimeError: It was cut off, or OpenVINO can't take it.
    """
    core, settings = openvino_core(), settings_for(form)
    try:
        state = whole(path).stat()
        return core.import_model(_mapped(path, state.st_ino, state.st_mtime_ns), "CPU", settings)
    except (TypeError, ValueError):  # an OpenVINO that takes bytes alone, or an empty network
        return core.import_model(path.read_bytes()[:-_LENGTH_BYTES], "CPU", settings)


@cache
def _mapped(path: Path, *version: int) -> Any:
    """Map a file as a tensor, for as long as the process lasts: OpenVINO uses the weights where they are."""
    import openvino

    return openvino.Tensor(np.memmap(path, np.uint8, mode="c")[:-_LENGTH_BYTES], shared_memory=True)
