"""The TensorRT backend against a stand-in that records what it is asked and answers by PyTorch.

It shows that the sizes, the names and the memory are right; that TensorRT itself does what it says needs a
GPU, and is a test marked `gpu`.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from depth3d.errors import DeviceError, InputError
from depth3d.estimate.backends.tensorrt_runtime import tensorrt_network
from depth3d.estimate.checkpoints import LoadedModel, load_checkpoint

CUDA = torch.device("cuda")


@pytest.fixture
def loaded(tiny_folder: Path) -> LoadedModel:
    return load_checkpoint(tiny_folder)


class _Context:
    def __init__(self, network: torch.nn.Module) -> None:
        self._network = network
        self._at: dict[str, int] = {}
        self.shape: tuple[int, ...] = ()

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        assert name == "pixel_values"
        self.shape = shape

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
    told = SimpleNamespace(shapes=[], flags=[], graphs=[], builds=0, engine=b"engine", reads=True)

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
            return object()

        def create_optimization_profile(self) -> Any:
            return SimpleNamespace(set_shape=lambda *shapes: told.shapes.append(shapes))

        def create_builder_config(self) -> Any:
            return SimpleNamespace(add_optimization_profile=lambda p: None, set_flag=told.flags.append)

        def build_serialized_network(self, *_: Any) -> bytes | None:
            told.builds += 1
            return told.engine

    def deserialize(data: bytes) -> Any:
        context = _Context(loaded.network)
        return SimpleNamespace(create_execution_context=lambda: context) if data == b"engine" else None

    module = SimpleNamespace(
        __version__="10.0",
        Logger=logger,
        Runtime=lambda log: SimpleNamespace(deserialize_cuda_engine=deserialize),
        Builder=Builder,
        OnnxParser=Parser,
        BuilderFlag=SimpleNamespace(FP16="fp16"),
    )
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    monkeypatch.setenv("DEPTH3D_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
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
    assert (name, stand_in.flags) == ("pixel_values", ["fp16"])
    assert all(a <= b <= c for a, b, c in zip(least, usual, most, strict=True))
    assert all(side % 14 == 0 for shape in (least, usual, most) for side in shape[2:])
    assert network.float() is loaded.network  # where float16 overflows


def test_engines_are_kept_by_format(stand_in: SimpleNamespace, loaded: LoadedModel, tmp_path: Path) -> None:
    for dtype in (None, torch.float16, torch.float32, torch.float32):
        tensorrt_network(loaded.network, loaded.rule, CUDA, dtype)
    assert stand_in.builds == 2
    assert stand_in.flags == ["fp16"]
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


@pytest.mark.gpu
def test_tensorrt_itself(tiny_folder: Path, load: Callable[..., Any], photo: Callable[..., Any]) -> None:
    pytest.importorskip("tensorrt")
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    image = photo(90, 120)
    result = load(tiny_folder, device="cuda", backend="tensorrt")(image).values
    expected = load(tiny_folder, device="cuda", backend="torch")(image).values
    assert np.abs(result - expected).max() <= 1e-3 * np.ptp(expected)
