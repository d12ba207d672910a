"""The way without PyTorch through ONNX Runtime: PyTorch's maps, from what an earlier run left."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from depth3d import verbs
from depth3d.estimate.backends import installed, onnx_sessions
from depth3d.estimate.backends.fused_attention import with_fused_attention
from depth3d.estimate.backends.graph import write_network
from depth3d.estimate.checkpoints import load_checkpoint
from depth3d.estimate.estimator import DepthEstimator
from depth3d.estimate.quick_estimator import QuickEstimator, quick_estimator

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

Photo = Callable[..., np.ndarray]
OPTIONS: dict[str, Any] = {
    "backend": "onnx", "device": "cpu", "dtype": "float32", "input_size": 70, "refine": "none",
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEPTH3D_CACHE_DIR", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def _nothing_loaded() -> Any:
    verbs._loaded.cache_clear()
    yield
    verbs._loaded.cache_clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path, cache: Path) -> Path:
    """A network that ONNX Runtime has run in both formats."""
    path = Path(shutil.copytree(tiny_folder, tmp_path_factory.mktemp("ran") / "network"))
    for dtype in ("float32", "int8"):
        assert quick_estimator(path, **OPTIONS | {"dtype": dtype}) is None
        DepthEstimator.from_pretrained(path, **OPTIONS | {"dtype": dtype})
    return path


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_it_is_the_long_ways_map(folder: Path, photo: Photo, dtype: str) -> None:
    quick = quick_estimator(folder, **OPTIONS | {"dtype": dtype})
    slow = DepthEstimator.from_pretrained(folder, **OPTIONS | {"dtype": dtype})
    assert isinstance(quick, QuickEstimator)
    assert (quick.backend, quick.dtype) == ("onnx", dtype)
    assert repr(quick).endswith(f"cpu, {dtype}, onnx)")
    for height, width, tolerance in (
        (70, 98, 1e-5),
        (300, 211, 2e-2),
    ):  # a resized photo may differ by a level
        depth, expected = quick(photo(height, width)), slow(photo(height, width))
        assert depth.size_wh == (width, height)
        assert np.abs(depth.values - expected.values).max() < tolerance * np.ptp(expected.values)


def test_the_verb_takes_it_from_the_first_time_on(tiny_folder: Path, tmp_path: Path, photo: Photo) -> None:
    fresh = Path(shutil.copytree(tiny_folder, tmp_path / "network"))
    first = verbs.loaded_estimator(fresh, **OPTIONS)
    verbs._loaded.cache_clear()
    second = verbs.loaded_estimator(fresh, **OPTIONS)
    assert isinstance(first, QuickEstimator)
    assert isinstance(second, QuickEstimator)
    assert np.array_equal(first(photo(90, 120)).values, second(photo(90, 120)).values)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_a_fresh_process_imports_no_pytorch(folder: Path, tmp_path: Path, photo: Photo, dtype: str) -> None:
    np.save(tmp_path / "photo.npy", photo(90, 120))
    code = (
        "import sys, numpy as np\n"
        "from depth3d.verbs import loaded_estimator\n"
        f"image = np.load({str(tmp_path / 'photo.npy')!r})\n"
        f"estimator = loaded_estimator({str(folder)!r}, **{OPTIONS | {'dtype': dtype}!r})\n"
        "assert estimator(image).size_wh == (120, 90)\n"
        "assert 'onnxruntime' in sys.modules\n"
        "assert 'torch' not in sys.modules\n"
        "print(sorted({'transformers', 'onnx', 'openvino', 'huggingface_hub', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_of_itself_it_is_only_taken_for_int8(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from depth3d.estimate import quick_estimator as module
    from depth3d.estimate.backends.choice import check_backend

    asked: list[str] = []
    monkeypatch.setattr(module, "recall", lambda path, options, program: asked.append(program))
    monkeypatch.setattr(module, "find_spec", lambda name: name)
    monkeypatch.setattr(installed, "find_spec", lambda name: name)
    for has_bytes in (True, False):
        monkeypatch.setattr(installed, "multiplies_bytes", lambda has_bytes=has_bytes: has_bytes)
        for dtype in ("auto", "int8"):
            quick_estimator(folder, **OPTIONS | {"backend": "auto", "dtype": dtype})
        assert asked[-1] == check_backend("auto", torch.int8)  # as the long way chooses
    assert asked == ["openvino", "openvino", "openvino", "onnx"]


def test_the_program_that_is_asked_for_runs_not_the_one_that_ran_last(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records of `auto` that each program left: the newer one is not what this processor takes."""
    pytest.importorskip("openvino")
    asked = OPTIONS | {"backend": "auto", "dtype": "int8"}
    for has_bytes in (True, False):
        monkeypatch.setattr(installed, "multiplies_bytes", lambda has_bytes=has_bytes: has_bytes)
        DepthEstimator.from_pretrained(folder, **asked)
    for has_bytes, backend in ((True, "openvino"), (False, "onnx")):
        monkeypatch.setattr(installed, "multiplies_bytes", lambda has_bytes=has_bytes: has_bytes)
        quick = quick_estimator(folder, **asked)
        assert quick is not None
        assert quick.backend == backend


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_the_command_takes_it(folder: Path, tmp_path: Path, photo: Photo, dtype: str) -> None:
    from PIL import Image

    Image.fromarray(photo(90, 120)).save(tmp_path / "photo.png")
    code = (
        "import sys\n"
        "from depth3d_cli.main import cli\n"
        f"words = ['estimate', {str(tmp_path / 'photo.png')!r}, '-o', {str(tmp_path / 'depth.npy')!r},"
        f" '--model', {str(folder)!r}, '--backend', 'onnx', '--device', 'cpu', '--dtype', {dtype!r},"
        " '--input-size', '70', '-q']\n"
        "cli(words, standalone_mode=False)\n"
        "print(sorted({'torch', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "['onnxruntime']"
    assert np.load(tmp_path / "depth.npy").shape == (90, 120)


def test_another_version_or_processor_goes_the_long_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = onnx_sessions.circumstances()
    for key in here:
        monkeypatch.setattr(onnx_sessions, "circumstances", lambda key=key: here | {key: "another one"})
        assert quick_estimator(folder, **OPTIONS) is None
    monkeypatch.undo()


def test_records_name_their_format(folder: Path, cache: Path) -> None:
    records = [json.loads(file.read_text()) for file in (cache / "onnx").glob("*.json")]
    assert {"f32", "i8"} <= {record["form"] for record in records}
    blobs = {record["form"]: record["blob"] for record in records}
    assert blobs["f32"] != blobs["i8"]


def test_attention_is_one_operator(tiny_network: Callable[..., Any], tmp_path: Path) -> None:
    """And gives, at a size that the graph was not traced at, what PyTorch does; with two heads."""
    tiny_network(hidden=128).save_pretrained(tmp_path / "network")
    network = load_checkpoint(tmp_path / "network").network
    assert network.config.num_attention_heads == 2
    write_network(with_fused_attention(network), tmp_path / "fused.onnx")
    nodes = [node.op_type for node in onnx.load(str(tmp_path / "fused.onnx")).graph.node]
    assert nodes.count("MultiHeadAttention") == len(network.blocks)
    assert "Softmax" not in nodes
    pixels = torch.randn(2, 3, 56, 126, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = network(pixel_values=pixels).predicted_depth.numpy()
    onnx_sessions.optimise(tmp_path / "fused.onnx", tmp_path / "optimised.onnx")
    session = onnx_sessions.open_session(tmp_path / "optimised.onnx", 1)
    (result,) = session.run(None, {session.get_inputs()[0].name: pixels.numpy()})
    assert np.abs(result - expected).max() < 1e-5 * np.ptp(expected)
