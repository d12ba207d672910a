"""Exported files, read by their own programs in processes that have never heard of depth3d or PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from depth3d.errors import DeviceError, InputError, ModelError, OutputExistsError
from depth3d.estimate.alignment import aligned_abs_rel
from depth3d.estimate.checkpoints import load_checkpoint
from depth3d.estimate.estimator import DepthEstimator
from depth3d.estimate.export import formats
from depth3d.export_files import export_model

RUN = {
    "onnx": """
import onnxruntime
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
said = session.get_modelmeta().custom_metadata_map
facts = {key.removeprefix("depth3d."): value for key, value in said.items()}
(given,) = session.get_inputs()
result = session.run(None, {given.name: values})[0]
""",
    "openvino": """
import openvino
model = openvino.Core().read_model(path)
facts = {key: model.get_rt_info(["depth3d", key]).astype(str) for key in ("kind", "max_depth", "mean", "std")}
hint = {"INFERENCE_PRECISION_HINT": "f32"}
result = openvino.Core().compile_model(model, "CPU", hint)(values)[0]
""",
}


def _alone(program: str, path: Path, values: np.ndarray) -> tuple[np.ndarray, dict[str, str]]:
    """Run a file by one program and nothing else."""
    np.save(path.with_suffix(".in.npy"), values)
    code = (
        f"import sys, json, numpy as np\npath = {str(path)!r}\n"
        f"values = np.load({str(path.with_suffix('.in.npy'))!r})\n{RUN[program]}\n"
        "assert not {'torch', 'depth3d'} & sys.modules.keys()\n"
        f"np.save({str(path.with_suffix('.out.npy'))!r}, result)\nprint(json.dumps(facts))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return np.load(path.with_suffix(".out.npy")), json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def metric_folder(tmp_path_factory: pytest.TempPathFactory, tiny_network: Callable[..., Any]) -> Path:
    folder = tmp_path_factory.mktemp("metric")
    tiny_network(kind="metric", max_depth=20).save_pretrained(folder)
    return folder


def _photo(height: int, width: int) -> np.ndarray:
    v, u = np.mgrid[0:height, 0:width] / max(height, width)
    waves = [np.sin(2 * np.pi * (a * u + b * v)) for a, b in ((1.5, 1), (1, 2.5), (3, 2))]
    return np.clip(127.5 + 110 * np.stack(waves, -1), 0, 255).astype(np.uint8)


def _largest_share(result: np.ndarray, expected: np.ndarray) -> float:
    assert result.shape == expected.shape
    assert np.ptp(expected) > 0.01
    return float(np.abs(result - expected).max() / np.ptp(expected))


@pytest.mark.parametrize(("program", "suffix"), [("onnx", ".onnx"), ("openvino", ".xml")])
def test_the_network_alone_at_any_size(tiny_folder: Path, tmp_path: Path, program: str, suffix: str) -> None:
    pytest.importorskip({"onnx": "onnxruntime", "openvino": "openvino"}[program])
    made = export_model(tiny_folder, tmp_path / f"net{suffix}")
    assert made.deviation is not None
    assert made.deviation <= 1e-4
    network = load_checkpoint(tiny_folder).network
    values = np.random.default_rng(0).normal(size=(3, 3, 56, 140)).astype(np.float32)
    result, facts = _alone(program, made.path, values)
    with torch.inference_mode():
        expected = network(torch.from_numpy(values)).predicted_depth.numpy()
    assert _largest_share(result, expected) <= 1e-4
    assert (facts["kind"], facts["max_depth"]) == ("relative", "")
    assert facts["mean"] == "0.485 0.456 0.406"
    assert facts["std"] == "0.229 0.224 0.225"
    assert {file.suffix for file in made.files} == ({".onnx"} if program == "onnx" else {".xml", ".bin"})
    assert all(file.is_file() for file in made.files)


@pytest.mark.parametrize(("program", "suffix"), [("onnx", ".onnx"), ("openvino", ".xml")])
@pytest.mark.parametrize("kind", ["relative", "metric"])
def test_from_the_photo_to_depth_at_its_size(
    tiny_folder: Path, metric_folder: Path, tmp_path: Path, program: str, suffix: str, kind: str
) -> None:
    """The file does what `DepthEstimator` does; eight bits of the resized photo may round otherwise."""
    pytest.importorskip({"onnx": "onnxruntime", "openvino": "openvino"}[program])
    folder = tiny_folder if kind == "relative" else metric_folder
    made = export_model(
        folder, tmp_path / f"photo{suffix}", size_wh=(98, 70), with_preprocessing=True, at_input_size=True
    )
    estimator = DepthEstimator.from_pretrained(
        folder, device="cpu", dtype="float32", backend="torch", input_size=70
    )
    for height, width in ((90, 126), (270, 378), (45, 63)):  # smaller, larger; all 7:5
        image = _photo(height, width)
        result, facts = _alone(program, made.path, image[None])
        expected = estimator(image).values
        assert _largest_share(result[0], expected) <= 2e-2
        assert np.abs(result[0] - expected).mean() <= 2e-3 * np.ptp(expected)
        assert (facts["kind"], facts["max_depth"]) == (kind, "20" if kind == "metric" else "")


def test_torchscript_keeps_what_is_known(tiny_folder: Path, tmp_path: Path) -> None:
    made = export_model(tiny_folder, tmp_path / "net.pt", size_wh=70, with_preprocessing=True)
    extra = {"depth3d.json": ""}
    with pytest.warns(DeprecationWarning, match="torch.jit.load"):
        module = torch.jit.load(str(made.path), _extra_files=extra)
    facts = json.loads(extra["depth3d.json"])
    assert facts == dict(made.facts)
    assert facts["takes"] == "(n, H, W, 3) uint8 sRGB, upright"
    depth = module(torch.from_numpy(_photo(50, 80))[None])
    assert tuple(depth.shape) == (1, 70, 70)  # at the size of the network
    assert float(depth.std()) > 0.01


@pytest.mark.parametrize(
    ("name", "precision", "largest"),
    [("net.onnx", "float16", 0.6), ("net.xml", "float16", 0.6), ("net.pt", "bfloat16", 0.6)],
)
def test_half_precision_takes_half_the_space(
    tiny_network: Callable[..., Any], tmp_path: Path, name: str, precision: str, largest: float
) -> None:
    tiny_network(hidden=64).save_pretrained(tmp_path / "folder")

    def weights(made: Any) -> int:
        return max(file.stat().st_size for file in made.files if file.suffix != ".xml")

    whole = export_model(tmp_path / "folder", tmp_path / name, size_wh=70)
    half = export_model(tmp_path / "folder", tmp_path / f"half-{name}", size_wh=70, precision=precision)
    assert weights(half) < largest * weights(whole)
    assert half.deviation is not None
    assert 0 < half.deviation < 5e-2


@pytest.mark.parametrize(("program", "suffix"), [("onnx", ".onnx"), ("openvino", ".xml")])
@pytest.mark.parametrize("options", [{}, {"size_wh": (98, 70), "with_preprocessing": True}])
def test_int8_says_what_is_lost(
    tiny_network: Callable[..., Any], tmp_path: Path, program: str, suffix: str, options: dict[str, Any]
) -> None:
    pytest.importorskip({"onnx": "onnxruntime", "openvino": "openvino"}[program])
    tiny_network(hidden=128).save_pretrained(tmp_path / "folder")
    whole = export_model(tmp_path / "folder", tmp_path / f"whole{suffix}", **options)
    made = export_model(tmp_path / "folder", tmp_path / f"net{suffix}", precision="int8", **options)
    sizes = [sum(file.stat().st_size for file in one.files) for one in (made, whole)]
    assert sizes[0] < 0.7 * sizes[1]
    assert made.facts["precision"] == "int8"
    assert made.abs_rel is not None
    assert whole.abs_rel is not None
    assert 1e-4 < made.abs_rel < 3e-2
    assert whole.abs_rel < 1e-5
    assert f"AbsRel {100 * made.abs_rel:.2g} %" in repr(made)
    assert "AbsRel" not in repr(whole)
    values = _photo(140, 196)[None]
    if not options:
        values = np.random.default_rng(0).normal(size=(1, 3, 56, 140)).astype(np.float32)
    pair = [torch.from_numpy(_alone(program, one.path, values)[0][0]) for one in (made, whole)]
    assert 0 < aligned_abs_rel(*pair) < 3e-2


def test_nothing_is_replaced_or_left_half(tiny_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    path.write_text("mine")
    with pytest.raises(OutputExistsError):
        export_model(tiny_folder, path, size_wh=70)
    export_model(tiny_folder, path, size_wh=70, overwrite=True)
    assert path.stat().st_size > 10_000
    assert [file.name for file in tmp_path.iterdir()] == ["net.pt"]


def test_a_file_that_gives_something_else_is_not_kept(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = formats.FORMATS["torchscript"]

    def open_(path: Path) -> Any:
        run = right.open(path)
        assert run is not None
        return lambda values: run(values) * 1.001

    monkeypatch.setitem(formats.FORMATS, "torchscript", replace(right, open=open_))
    with pytest.raises(ModelError, match=r"off by 0\.\d+ % of the span; it was not kept; report it$"):
        export_model(tiny_folder, tmp_path / "net.pt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("net.tflite", {}, r"the suffix '.tflite' is no format to export to; use one of onnx \(.onnx\)"),
        ("net.pt", {"format": "onnx"}, "net.pt must end in .onnx"),
        ("net.pt", {"format": "caffe"}, "format 'caffe' is no format"),
        ("net.pt", {"size_wh": (100, 70)}, "sees multiples of 14 pixels, got 100x70; use 98x70"),
        ("net.pt", {"size_wh": 0}, "use 14x14"),
        ("net.pt", {"size_wh": 14_000}, "sides of at most 4096 pixels, got 14000x14000; .* was made for 70"),
        ("net.pt", {"at_input_size": True}, "add --with-preprocessing"),
        ("net.onnx", {"precision": "bfloat16"}, "onnx holds float32 or float16 or int8, not bfloat16"),
    ],
)
def test_what_does_not_go_together(
    tiny_folder: Path, tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        export_model(tiny_folder, tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_here_is_named(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"onnx needs onnx and onnxruntime; pip install 'depth3d\[onnx\]'"):
        export_model(tiny_folder, tmp_path / "net.onnx")
    monkeypatch.setattr(formats, "find_spec", lambda name: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="made on the NVIDIA GPU that is to run it"):
        export_model(tiny_folder, tmp_path / "net.engine")
    assert list(tmp_path.iterdir()) == []


def test_core_ml_gets_one_size_and_its_facts(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the converter, which does not run here: what it is asked is right."""
    asked: dict[str, Any] = {}
    metadata: dict[str, str] = {}

    def convert(traced: Any, **options: Any) -> Any:
        asked.update(options, depth=traced(torch.zeros(1, 3, 70, 84)))
        return SimpleNamespace(user_defined_metadata=metadata, save=lambda path: Path(path).mkdir())

    stand_in = SimpleNamespace(
        precision=SimpleNamespace(FLOAT16="half", FLOAT32="whole"),
        target=SimpleNamespace(iOS16="iOS16"),
        TensorType=lambda **options: options,
        convert=convert,
    )
    monkeypatch.setitem(sys.modules, "coremltools", stand_in)
    monkeypatch.setattr(formats, "find_spec", lambda name: True)
    monkeypatch.setattr(formats.platform, "system", lambda: "Linux")
    made = export_model(tiny_folder, tmp_path / "net.mlpackage", size_wh=(84, 70), precision="float16")
    assert asked["inputs"] == [{"name": "pixel_values", "shape": (1, 3, 70, 84)}]
    assert asked["compute_precision"] == "half"
    assert tuple(asked["depth"].shape) == (1, 70, 84)
    assert metadata["depth3d.kind"] == "relative"
    assert (made.deviation, made.path.is_dir()) == (None, True)
    with pytest.raises(OutputExistsError):
        export_model(tiny_folder, made.path)
    with pytest.raises(InputError, match="preprocessing can't go into coreml"):
        export_model(tiny_folder, tmp_path / "b.mlpackage", with_preprocessing=True)
