"""Every backend gives PyTorch's map, for images of any size."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from depth3d.errors import DeviceError, InputError
from depth3d.estimate.alignment import aligned_error
from depth3d.estimate.backends import choice, installed
from depth3d.estimate.backends.choice import BACKENDS
from depth3d.estimate.backends.runner import GraphNetwork
from depth3d.estimate.estimator import DepthEstimator
from depth3d.estimate.registry import MODELS

Photo = Callable[..., np.ndarray]
Load = Callable[..., DepthEstimator]

FLOAT32_TOLERANCE = 1e-4
"""Of the span; 5e-6 is usual."""


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEPTH3D_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def metric_folder(tmp_path_factory: pytest.TempPathFactory, tiny_network: Callable[..., Any]) -> Path:
    folder = tmp_path_factory.mktemp("metric")
    tiny_network(kind="metric", max_depth=20).save_pretrained(folder)
    return folder


def _needs(backend: str) -> None:
    for module in installed.MODULES.get(backend, ()):
        pytest.importorskip(module)


def _shares(results: list[Any], expected: list[Any]) -> list[float]:
    pairs = [(a.values, b.values) for a, b in zip(results, expected, strict=True)]
    assert all(a.shape == b.shape for a, b in pairs)
    assert all(np.ptp(b) > 0.01 for _, b in pairs)
    return [float(np.abs(a - b).max() / np.ptp(b)) for a, b in pairs]


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
@pytest.mark.parametrize("kind", ["relative", "metric"])
def test_float32_is_torch_at_every_size(
    load: Load, tiny_folder: Path, metric_folder: Path, photo: Photo, backend: str, kind: str
) -> None:
    _needs(backend)
    folder = tiny_folder if kind == "relative" else metric_folder
    images = [photo(70, 70), photo(90, 120, seed=1), photo(250, 60, seed=2), photo(90, 120, seed=3)]
    estimator = load(folder, backend=backend, batch_size=2)
    assert (estimator.backend, str(estimator.dtype)) == (backend, "torch.float32")
    assert f"cpu by {backend}, float32" in repr(estimator)
    assert max(_shares(estimator(images), load(folder, backend="torch")(images))) <= FLOAT32_TOLERANCE


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_mini_is_torch_too(photo: Photo, backend: str) -> None:
    _needs(backend)
    open_ = partial(
        DepthEstimator.from_pretrained, MODELS["mini"].shipped, device="cpu", dtype="float32", input_size=96
    )
    images = [photo(90, 120), photo(64, 96, seed=1)]
    assert max(_shares(open_(backend=backend)(images), open_(backend="torch")(images))) <= FLOAT32_TOLERANCE
    assert open_(backend=backend, dtype="auto").dtype is torch.float32


def test_openvino_in_bfloat16(load: Load, tiny_folder: Path, photo: Photo) -> None:
    pytest.importorskip("openvino")
    from depth3d.estimate.backends.openvino_runtime import openvino_computes

    if not openvino_computes(torch.bfloat16):
        with pytest.raises(DeviceError, match=r"does not compute in bfloat16; leave --dtype"):
            load(tiny_folder, backend="openvino", dtype="bfloat16")
        pytest.skip("this CPU has no bfloat16")
    image = photo(90, 120)
    estimator = load(tiny_folder, backend="openvino", dtype="bfloat16")
    assert estimator.dtype is torch.bfloat16
    halves, exact = (torch.from_numpy(e(image).values.copy()) for e in (estimator, load(tiny_folder)))
    assert 0 < aligned_error(halves, exact) < 2e-2


def test_openvino_settles_its_format_by_a_trial(
    load: Load, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    from depth3d.estimate import network as network_module
    from depth3d.estimate.backends import openvino_runtime

    monkeypatch.setattr(openvino_runtime, "openvino_computes", lambda dtype: True)
    monkeypatch.setattr(network_module, "HALF_PRECISION_TOLERANCE", -1.0)
    assert load(tiny_folder, backend="openvino", dtype="auto").dtype is torch.float32
    monkeypatch.setattr(openvino_runtime, "openvino_computes", lambda dtype: False)
    assert load(tiny_folder, backend="openvino", dtype="auto").dtype is torch.float32


@pytest.mark.parametrize("damage", [b"", b"Tr", b"\xff\xfe"])
def test_a_damaged_verdict_is_found_anew(
    load: Load, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes
) -> None:
    pytest.importorskip("openvino")
    from depth3d.estimate.backends.openvino_runtime import openvino_computes

    if not openvino_computes(torch.bfloat16):
        pytest.skip("this CPU has no bfloat16")
    monkeypatch.setenv("DEPTH3D_CACHE_DIR", str(tmp_path))
    for _ in range(2):
        assert load(tiny_folder, backend="openvino", dtype="auto").dtype is torch.bfloat16
        (verdict,) = tmp_path.rglob("*.trial")
        assert verdict.read_text() == "True"
        verdict.write_bytes(damage)


def test_compile_is_one_graph_for_all_sizes(
    load: Load, tiny_folder: Path, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the compiler's front end alone: its back end would take a minute."""
    graphs: list[Any] = []

    def keep(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=keep, fullgraph=True))
    images = [photo(70, 84), photo(90, 130, seed=1), photo(130, 90, seed=2)]
    estimator = load(tiny_folder, backend="compile")
    assert estimator.backend == "compile"
    assert max(_shares(estimator(images), load(tiny_folder)(images))) <= FLOAT32_TOLERANCE
    assert len(graphs) == 1


def test_what_is_compiled_goes_on_in_float32_where_halves_overflow(
    load: Load, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", lambda network, dynamic: network)
    compiled = load(tiny_folder, backend="compile", dtype="float16")._network._network
    assert (compiled.dtype, {p.dtype for p in compiled.float().parameters()}) == (
        torch.float16,
        {torch.float32},
    )


def test_compile_needs_a_compiler(load: Load, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(DeviceError, match=r"needs a C\+\+ compiler .* or use backend='torch'"):
        load(tiny_folder, backend="compile")


# -- the choice ---------------------------------------------------------------------------------


def test_auto_is_openvino_where_it_pays(
    load: Load, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    assert load(tiny_folder).backend == "torch"  # too small to be worth compiling
    monkeypatch.setattr(choice, "_WORTH_COMPILING", 1)
    assert load(tiny_folder).backend == "openvino"
    monkeypatch.setattr(installed, "find_spec", lambda module: None)
    assert load(tiny_folder).backend == "torch"


def test_auto_goes_on_without_what_fails(
    load: Load, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    from depth3d.estimate.backends import openvino_runtime

    def fail(*_: Any) -> None:
        raise RuntimeError("no such operation")

    monkeypatch.setattr(choice, "_WORTH_COMPILING", 1)
    monkeypatch.setattr(openvino_runtime, "_compiled", fail)
    assert load(tiny_folder).backend == "torch"
    with pytest.raises(RuntimeError, match="no such operation"):
        load(tiny_folder, backend="openvino")


@pytest.mark.parametrize("backend", ["cuda", "", None, "ONNX"])
def test_unknown_names(load: Load, backend: Any) -> None:
    with pytest.raises(InputError, match="backend must be one of auto, torch, compile, onnx, openvino"):
        load(Path("nowhere"), backend=backend)


def test_what_is_not_installed_is_named(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "find_spec", lambda module: None)
    with pytest.raises(InputError, match=r"needs onnxruntime and onnx; pip install 'depth3d\[onnx\]'"):
        load(Path("nowhere"), backend="onnx")


def test_networks_of_others_are_refused(load: Load, tiny_folder: Path, tmp_path: Path) -> None:
    """Traced, they would give the size of the example for every image."""
    pytest.importorskip("onnxruntime")
    shutil.copytree(tiny_folder, tmp_path / "net")
    config = json.loads((tmp_path / "net" / "config.json").read_text())
    config["backbone_config"]["hidden_act"] = "relu"
    (tmp_path / "net" / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"runs Depth Anything and mini, and .* is neither; use 'torch'"):
        load(tmp_path / "net", backend="onnx")
    assert load(tmp_path / "net", backend="auto").backend == "torch"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_onnx_computes_in_float32(load: Load, tiny_folder: Path, dtype: str) -> None:
    _needs("onnx")
    with pytest.raises(InputError, match=r"onnx backend computes in float32"):
        load(tiny_folder, backend="onnx", dtype=dtype)


def test_the_command_line_knows_the_same_names() -> None:
    from depth3d_cli.commands.estimate import command

    option = next(option for option in command.params if option.name == "backend")
    assert tuple(option.type.choices) == BACKENDS


def test_an_overflow_goes_on_with_the_exact_network(
    load: Load, tiny_folder: Path, photo: Photo, caplog: pytest.LogCaptureFixture
) -> None:
    estimator = load(tiny_folder)
    exact = estimator._network._network
    image = photo(60, 80)
    expected = estimator(image).values
    estimator._network._network = GraphNetwork(
        lambda pixels: torch.full_like(pixels[:, 0], torch.inf), exact, torch.float16, exact.float
    )
    np.testing.assert_array_equal(estimator(image).values, expected)
    assert "overflowed" in caplog.text
