"""The TensorRT backend against a stand-in that records what it is asked and answers by PyTorch.

It shows that the sizes, the names and the memory are right; that TensorRT itself does what it says needs a
GPU, and is a test marked `gpu`.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from depth3d.errors import DeviceError, InputError, ModelError
from depth3d.estimate.alignment import aligned_error
from depth3d.estimate.backends.tensorrt_runtime import tensorrt_network
from depth3d.estimate.checkpoints import LoadedModel, load_checkpoint
from depth3d.estimate.export import formats
from depth3d.export_files import export_model

CUDA = torch.device("cuda")


@pytest.fixture
def loaded(tiny_folder: Path) -> LoadedModel:
    return load_checkpoint(tiny_folder)


class _Context:
    def __init__(self, network: torch.nn.Module) -> None:
        self._network = network
        self.batches: list[int] = []
        self._at: dict[str, int] = {}
        self.shape: tuple[int, ...] = ()

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert name == "pixel_values"
        self.shape = shape
        self.batches.append(shape[0])
        return shape[0] <= 8 and max(shape[2:]) <= 280

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        assert name == "predicted_depth"
        return (self.shape[0], *self.shape[2:])

    def set_tensor_address(self, name: str, address: int) -> None:
        self._at[name] = address

    def execute_async_v3(self, stream: int) -> bool:
        size = int(np.prod(self.shape))
        pixels = np.ctypeslib.as_array((ctypes.c_float * size).from_address(self._at["pixel_values"]))
        depth = self._network(torch.from_numpy(pixels.reshape(self.shape).copy())).predicted_depth
        result = np.ascontiguousarray(depth.detach().numpy())
        ctypes.memmove(self._at["predicted_depth"], result.ctypes.data, result.nbytes)
        return True


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, loaded: LoadedModel) -> SimpleNamespace:
    """A module `tensorrt` that notes what it is told."""
    pytest.importorskip("onnx")
    told = SimpleNamespace(shapes=[], flags=[], graphs=[], builds=0, engine=b"engine", reads=True, moves=[])
    told.allowed = []
    told.context = _Context(loaded.network)

    def logger(level: int) -> None:
        return None

    logger.ERROR = 1  # type: ignore[attr-defined]

    class Parser:
        def __init__(self, *_: Any) -> None: ...

        def parse(self, data: bytes) -> bool:
            told.graphs.append(data)
            return told.reads

        def get_error(self, number: int) -> str:
            return "unsupported node"

    class Builder:
        def __init__(self, *_: Any) -> None: ...

        def create_network(self, flags: int) -> object:
            told.flags.append(flags)
            return object()

        def create_optimization_profile(self) -> Any:
            return SimpleNamespace(set_shape=lambda *shapes: told.shapes.append(shapes))

        def create_builder_config(self) -> Any:
            allowed = {"TF32"}  # TensorRT's default
            return SimpleNamespace(
                add_optimization_profile=lambda p: None, clear_flag=allowed.discard, allowed=allowed
            )

        def build_serialized_network(self, _: Any, config: Any) -> bytes | None:
            told.builds += 1
            told.allowed.append(config.allowed)
            return told.engine

    def deserialize(data: bytes) -> Any:
        made = SimpleNamespace(create_execution_context=lambda: told.context)
        return made if data == b"engine" else None

    moved = torch.nn.Module.to

    def to(network: torch.nn.Module, where: Any, **options: Any) -> torch.nn.Module:
        if where != CUDA:
            return moved(network, where, **options)
        told.moves.append(where)
        return network

    module = SimpleNamespace(
        __version__="10.0",
        Logger=logger,
        Runtime=lambda log: SimpleNamespace(deserialize_cuda_engine=deserialize),
        Builder=Builder,
        BuilderFlag=SimpleNamespace(TF32="TF32"),
        OnnxParser=Parser,
        NetworkDefinitionCreationFlag=SimpleNamespace(STRONGLY_TYPED=3),
    )
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    monkeypatch.setenv("DEPTH3D_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    monkeypatch.setattr(torch.nn.Module, "to", to)
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=0))
    return told


def test_it_gives_the_networks_map_from_one_engine(stand_in: SimpleNamespace, loaded: LoadedModel) -> None:
    import onnx

    network = tensorrt_network(loaded.network, loaded.rule, CUDA, None)
    assert network.dtype is torch.float16
    for size in ((1, 3, 70, 84), (2, 3, 42, 112)):
        pixels = torch.randn(*size).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            depth = network(pixel_values=pixels).predicted_depth
            assert torch.equal(depth, loaded.network(pixels.contiguous()).predicted_depth)
    graph = onnx.load_from_string(stand_in.graphs[0]).graph
    assert [node.name for node in graph.input] == ["pixel_values"]
    ((name, least, usual, most),) = stand_in.shapes
    assert (name, stand_in.flags) == ("pixel_values", [1 << 3])
    assert all(a <= b <= c for a, b, c in zip(least, usual, most, strict=True))
    assert all(side % 14 == 0 for shape in (least, usual, most) for side in shape[2:])
    assert network.float() is loaded.network  # where float16 overflows
    assert stand_in.moves == [CUDA]


@pytest.mark.parametrize(("dtype", "onnx_type"), [(torch.float16, "FLOAT16"), (torch.float32, "FLOAT")])
def test_the_graph_says_what_is_computed_in(
    stand_in: SimpleNamespace, loaded: LoadedModel, dtype: torch.dtype, onnx_type: str
) -> None:
    import onnx

    runtime = pytest.importorskip("onnxruntime")
    tensorrt_network(loaded.network, loaded.rule, CUDA, dtype)
    assert stand_in.allowed == [set()]  # float32 is not TF32
    graph = onnx.load_from_string(stand_in.graphs[0]).graph
    outer = {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)}
    assert outer == {onnx.TensorProto.FLOAT}
    of_products = {node.input[1] for node in graph.node if node.op_type in ("Conv", "MatMul")}
    weights = [stored for stored in graph.initializer if stored.name in of_products]
    assert {stored.data_type for stored in weights} == {getattr(onnx.TensorProto, onnx_type)}
    pixels = torch.randn(2, 3, 70, 84, generator=torch.Generator().manual_seed(0))
    session = runtime.InferenceSession(stand_in.graphs[0], providers=["CPUExecutionProvider"])
    found = torch.from_numpy(session.run(None, {"pixel_values": pixels.numpy()})[0])
    with torch.inference_mode():
        expected = loaded.network(pixels).predicted_depth
    assert expected.dtype == next(loaded.network.parameters()).dtype == torch.float32
    assert aligned_error(found[0], expected[0]) < (1e-2 if dtype is torch.float16 else 1e-5)


def test_large_batches_pass_in_parts_that_the_engine_takes(
    stand_in: SimpleNamespace, loaded: LoadedModel
) -> None:
    network = tensorrt_network(loaded.network, loaded.rule, CUDA, None)
    pixels = torch.randn(19, 3, 42, 42)
    with torch.inference_mode():
        depth = network(pixel_values=pixels).predicted_depth
        for start in (0, 8, 16):
            part = pixels[start : start + 8]
            assert torch.equal(depth[start : start + 8], loaded.network(part).predicted_depth)
        assert stand_in.context.batches == [8, 8, 3]
        with pytest.raises(DeviceError, match="takes no 2 images of 14x294 pixels; use another input_size"):
            network(pixel_values=torch.randn(2, 3, 294, 14))


def test_engines_are_kept_by_format(stand_in: SimpleNamespace, loaded: LoadedModel, tmp_path: Path) -> None:
    for dtype in (None, torch.float16, torch.float32, torch.float32):
        tensorrt_network(loaded.network, loaded.rule, CUDA, dtype)
    assert stand_in.builds == 2
    for engine in (tmp_path / "cache" / "tensorrt").iterdir():
        engine.write_bytes(b"of another GPU")
    tensorrt_network(loaded.network, loaded.rule, CUDA, None)
    assert stand_in.builds == 3


def test_what_it_can_not_do_is_said(stand_in: SimpleNamespace, loaded: LoadedModel) -> None:
    with pytest.raises(DeviceError, match="runs on NVIDIA GPUs, not on cpu"):
        tensorrt_network(loaded.network, loaded.rule, torch.device("cpu"), None)
    with pytest.raises(InputError, match="float16 or float32"):
        tensorrt_network(loaded.network, loaded.rule, CUDA, torch.bfloat16)
    stand_in.engine = None
    with pytest.raises(DeviceError, match="no way to run the network"):
        tensorrt_network(loaded.network, loaded.rule, CUDA, None)
    stand_in.reads = False
    with pytest.raises(DeviceError, match=r"can't read the network .unsupported node."):
        tensorrt_network(loaded.network, loaded.rule, CUDA, None)


def test_exported_engines_are_run_and_compared(
    stand_in: SimpleNamespace,
    loaded: LoadedModel,
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(formats, "_GPU", torch.device("cpu"))
    made = export_model(tiny_folder, tmp_path / "net.engine", precision="float16")
    assert made.deviation == 0  # the stand-in answers in float32
    assert sorted(file.name for file in tmp_path.iterdir() if file.is_file()) == ["net.engine", "net.json"]
    with torch.no_grad():
        next(loaded.network.head.parameters()).mul_(2)
    with pytest.raises(ModelError, match=r"of the span; it was not kept: use --precision float32, or"):
        export_model(tiny_folder, tmp_path / "other.engine", precision="float16")
    assert not (tmp_path / "other.engine").exists()


@pytest.mark.gpu
def test_tensorrt_itself(tiny_folder: Path, load: Callable[..., Any], photo: Callable[..., Any]) -> None:
    pytest.importorskip("tensorrt")
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    image = photo(90, 120)
    result = load(tiny_folder, device="cuda", backend="tensorrt")(image).values
    expected = load(tiny_folder, device="cuda", backend="torch")(image).values
    assert np.abs(result - expected).max() <= 1e-3 * np.ptp(expected)
