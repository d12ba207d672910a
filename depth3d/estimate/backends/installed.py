"""Which programs are installed, and which of them is for int8; told without PyTorch."""

from __future__ import annotations

from importlib.util import find_spec

from depth3d.accel.cpu_flags import multiplies_bytes

__all__ = ["MODULES", "int8_backend", "missing_modules"]

MODULES = {
    "onnx": ("onnxruntime", "onnx"),
    "openvino": ("openvino", "onnx"),
    "tensorrt": ("tensorrt", "onnx"),
}
"""Backend -> the modules that it needs; the extras of the package have the backends' names."""


def missing_modules(backend: str) -> list[str]:
    """Name the modules that a backend needs and that are not installed."""
    return [module for module in MODULES.get(backend, ()) if find_spec(module) is None]


def int8_backend() -> str | None:
    """Name what int8 is computed with where no backend is asked for.

    Returns:
        OpenVINO where it is installed and the processor has what makes it faster there, else ONNX Runtime;
        None where neither is installed.
    """
    there = [name for name in ("onnx", "openvino") if not missing_modules(name)]
    if not there:
        return None
    return there[-1] if multiplies_bytes() else there[0]
