"""The formats that networks are exported to: how each is written, and run again to see that it is right."""

from __future__ import annotations

import json
import platform
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from depth3d.errors import DeviceError, InputError
from depth3d.estimate.backends.graph import INPUT_NAME, OUTPUT_NAME, write_onnx
from depth3d.estimate.backends.int8 import pack_weights, quantise_products
from depth3d.estimate.backends.onnx_sessions import silent_onnxruntime
from depth3d.estimate.backends.openvino_blobs import INPUT_GROUP, openvino_core

__all__ = ["FORMATS", "ExportFormat", "Graph", "export_format"]


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """What is to be written.

    Attributes:
        module: Of one input and one output, on the CPU.
        example: An input.
        input_name: Its name.
        dynamic: Axes of any length, by tensor and number.
        sizes: The smallest, the usual and the largest shape of the input.
        dtype: The format of numbers inside.
        facts: What is kept in the file about the network, as text.
    """

    module: torch.nn.Module
    example: torch.Tensor
    input_name: str
    dynamic: dict[str, dict[int, str]]
    sizes: list[tuple[int, ...]]
    dtype: torch.dtype
    facts: Mapping[str, str]


_Run = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]

_GPU = torch.device("cuda")
"""Where engines are made and run."""


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A kind of file.

    Attributes:
        name: As in `--format`.
        suffix: Of the file.
        dtypes: Formats of numbers that it can hold.
        modules: What must be installed to write it and to run it.
        install: What to type to have them.
        takes_photos: Whether preprocessing can be put into it, and any size of image.
        write: Writes a graph; gives all files that it wrote, the one with the name asked for last.
        open: Opens such a file with nothing but its own program; None where it can't run here.
    """

    name: str
    suffix: str
    dtypes: tuple[str, ...]
    modules: tuple[str, ...]
    install: str
    takes_photos: bool
    write: Callable[[Graph, Path], list[Path]]
    open: Callable[[Path], _Run | None]


def export_format(name: str | None, path: Path) -> ExportFormat:
    """Find a format by its name or by a file's suffix, and check that it can be written here.

    Args:
        name: A key of `FORMATS`; None goes by the suffix.
        path: The file.

    Returns:
        The format.

    Raises:
        InputError: The name or the suffix means nothing, they disagree, or a package is missing.
    """
    by_suffix = {one.suffix: one for one in FORMATS.values()}
    known = ", ".join(f"{one.name} ({one.suffix})" for one in FORMATS.values())
    found = by_suffix.get(path.suffix.lower()) if name is None else FORMATS.get(name)
    if found is None:
        what = f"the suffix {path.suffix!r}" if name is None else f"format {name!r}"
        raise InputError(f"{what} is no format to export to; use one of {known}")
    if path.suffix.lower() != found.suffix:
        raise InputError(f"{path.name} must end in {found.suffix} to hold {found.name}; rename it")
    missing = [module for module in found.modules if find_spec(module) is None]
    if missing:
        raise InputError(f"format {found.name} needs {' and '.join(missing)}; {found.install}")
    return found


def _write_onnx(graph: Graph, path: Path) -> list[Path]:
    import onnx

    write_onnx(graph.module, graph.example, path, dynamic=graph.dynamic, input_name=graph.input_name)
    if graph.dtype is torch.int8:
        quantise_products(path, path, narrow=True)  # who knows which processor it meets
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {f"depth3d.{key}": value for key, value in graph.facts.items()})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return [path]


def _open_onnx(path: Path) -> _Run:
    session = silent_onnxruntime().InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda values: session.run(None, {name: values})[0]


def _write_openvino(graph: Graph, path: Path) -> list[Path]:
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        onnx_path = Path(folder) / "network.onnx"
        write_onnx(graph.module, graph.example, onnx_path, dynamic=graph.dynamic, input_name=graph.input_name)
        if graph.dtype is torch.int8:
            pack_weights(onnx_path, onnx_path)
        model = openvino_core().read_model(str(onnx_path))  # the converter proper reports home
        if graph.dtype is torch.int8:
            model.set_rt_info(str(INPUT_GROUP), ["runtime_options", "DYNAMIC_QUANTIZATION_GROUP_SIZE"])
        for key, value in graph.facts.items():
            model.set_rt_info(value, ["depth3d", key])
        openvino.save_model(model, str(path), compress_to_fp16=graph.dtype is torch.float16)
    return [path.with_suffix(".bin"), path]


def _open_openvino(path: Path) -> _Run:
    # In float32: what the hardware would round to is the choice of those who run it.
    model = openvino_core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda values: np.array(model(values)[0])


def _traced(graph: Graph) -> Any:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # about numbers that a trace takes for constants: they are
        trace: Any = torch.jit.trace
        return trace(graph.module.eval(), graph.example, check_trace=False)


def _write_torchscript(graph: Graph, path: Path) -> list[Path]:
    facts = {"depth3d.json": json.dumps(dict(graph.facts), indent=2)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save: Any = torch.jit.save
        save(_traced(graph), str(path), _extra_files=facts)
    return [path]


def _open_torchscript(path: Path) -> _Run:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load: Any = torch.jit.load
        module = load(str(path), map_location="cpu")

    def run(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        with torch.no_grad():
            result: np.ndarray[Any, Any] = module(torch.from_numpy(values)).numpy()
        return result

    return run


def _write_tensorrt(graph: Graph, path: Path) -> list[Path]:
    if not torch.cuda.is_available():
        raise DeviceError(
            "an engine of TensorRT is made on the NVIDIA GPU that is to run it, and there is none here; "
            "export onnx and build it there"
        )
    from depth3d.estimate.backends.tensorrt_runtime import build_engine

    with tempfile.TemporaryDirectory() as folder:
        onnx_path = Path(folder) / "network.onnx"
        write_onnx(graph.module, graph.example, onnx_path, dynamic=graph.dynamic, input_name=graph.input_name)
        path.write_bytes(build_engine(onnx_path, graph.input_name, graph.sizes))
    beside = path.with_suffix(".json")
    beside.write_text(json.dumps(dict(graph.facts), indent=2) + "\n", encoding="utf-8")
    return [beside, path]


def _open_tensorrt(path: Path) -> _Run:
    from depth3d.estimate.backends.tensorrt_runtime import engine_runner, open_engine

    run = engine_runner(open_engine(path), INPUT_NAME, _GPU)
    return lambda values: run(torch.from_numpy(values).to(_GPU)).cpu().numpy()


def _write_coreml(graph: Graph, path: Path) -> list[Path]:
    import coremltools

    precision = coremltools.precision
    model = coremltools.convert(
        _traced(graph),
        inputs=[coremltools.TensorType(name=graph.input_name, shape=tuple(graph.example.shape))],
        outputs=[coremltools.TensorType(name=OUTPUT_NAME)],
        compute_precision=precision.FLOAT16 if graph.dtype is torch.float16 else precision.FLOAT32,
        minimum_deployment_target=coremltools.target.iOS16,
    )
    model.user_defined_metadata.update({f"depth3d.{key}": value for key, value in graph.facts.items()})
    model.save(str(path))
    return [path]


def _open_coreml(path: Path) -> _Run | None:
    if platform.system() != "Darwin":
        return None
    import coremltools

    model = coremltools.models.MLModel(str(path))
    name = model.get_spec().description.input[0].name
    return lambda values: np.asarray(model.predict({name: values})[OUTPUT_NAME])


FORMATS = {
    one.name: one
    for one in (
        ExportFormat(
            "onnx",
            ".onnx",
            ("float32", "float16", "int8"),
            ("onnx", "onnxruntime"),
            "pip install 'depth3d[onnx]'",
            True,
            _write_onnx,
            _open_onnx,
        ),
        ExportFormat(
            "openvino",
            ".xml",
            ("float32", "float16", "int8"),
            ("openvino", "onnx"),
            "pip install 'depth3d[openvino]'",
            True,
            _write_openvino,
            _open_openvino,
        ),
        ExportFormat(
            "tensorrt",
            ".engine",
            ("float32", "float16"),
            ("tensorrt", "onnx"),
            "pip install 'depth3d[tensorrt]'",
            False,
            _write_tensorrt,
            _open_tensorrt,
        ),
        ExportFormat(
            "coreml",
            ".mlpackage",
            ("float32", "float16"),
            ("coremltools",),
            "pip install coremltools",
            False,
            _write_coreml,
            _open_coreml,
        ),
        ExportFormat(
            "torchscript",
            ".pt",
            ("float32", "float16", "bfloat16"),
            (),
            "",
            True,
            _write_torchscript,
            _open_torchscript,
        ),
    )
}
"""Name -> format."""
