"""Weights on disk that are damaged, unsafe or of another kind: one sentence each, and nothing is run."""

from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from depth3d.errors import CheckpointError, InputError
from depth3d.estimate.checkpoints import load_checkpoint


@pytest.fixture
def folder(tmp_path: Path, tiny_folder: Path) -> Path:
    """A copy to be spoiled."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "net"))


def _configure(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_directory_is_the_network_that_was_saved(
    folder: Path, tiny_network: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    loaded = load_checkpoint(folder, trainable=True)
    assert capfd.readouterr() == ("", "")  # no bar, no table
    saved = tiny_network().state_dict()
    for key, tensor in loaded.network.state_dict().items():
        assert torch.equal(tensor, saved[key]), key
    assert loaded.model_type == "depth_anything"
    assert loaded.rule.size_hw == (70, 70)
    assert not loaded.network.training


def test_its_safetensors_file_means_the_directory(folder: Path) -> None:
    assert load_checkpoint(folder / "model.safetensors").rule.size_hw == (70, 70)


def test_the_preprocessor_may_be_missing(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink()
    assert load_checkpoint(folder).rule.size_hw == (518, 518)


@pytest.mark.parametrize("max_depth", [20, 20.0, 12.5])
def test_the_range_comes_from_the_configuration(folder: Path, max_depth: float) -> None:
    _configure(folder, depth_estimation_type="metric", max_depth=max_depth)
    loaded = load_checkpoint(folder)
    assert loaded.meaning.max_depth_m == max_depth
    assert loaded.network.head.max_depth == max_depth
    with pytest.raises(InputError, match="contradicts"):
        load_checkpoint(folder, max_depth_m=3)


def test_a_range_that_is_null_must_be_given(folder: Path) -> None:
    _configure(folder, depth_estimation_type="metric", max_depth=None)
    with pytest.raises(CheckpointError, match="give max_depth_m"):
        load_checkpoint(folder)
    assert load_checkpoint(folder, max_depth_m=80).network.head.max_depth == 80


def test_a_relative_network_with_a_null_range_runs(folder: Path) -> None:
    _configure(folder, max_depth=None)
    network = load_checkpoint(folder).network
    assert float(network(torch.zeros(1, 3, 28, 28)).predicted_depth.std()) > 0


def _spoil(folder: Path, how: str) -> None:
    weights = folder / "model.safetensors"
    data = weights.read_bytes()
    if how == "no config":
        (folder / "config.json").unlink()
    elif how == "no weights":
        weights.unlink()
    elif how == "truncated":
        weights.write_bytes(data[: len(data) // 2])
    elif how == "empty":
        weights.write_bytes(b"")
    elif how == "huge header":
        weights.write_bytes(b"\xff" * 8 + data[8:])
    elif how == "config is text":
        (folder / "config.json").write_text("hello")
    elif how == "config is a list":
        (folder / "config.json").write_text("[]")
    elif how == "config is deep":
        (folder / "config.json").write_text("[" * 100_000)
    elif how == "config of something else":
        _configure(folder, model_type="bert")
    elif how == "settings of nonsense":
        _configure(folder, neck_hidden_sizes="many")
    elif how == "a tensor is missing":
        from safetensors.torch import load_file, save_file

        tensors = load_file(weights)
        del tensors["head.conv3.bias"]
        save_file(tensors, weights, {"format": "pt"})
    elif how == "another size":
        _configure(folder, fusion_hidden_size=16)
    elif how == "code to be run":
        _configure(folder, model_type="evil", auto_map={"AutoModelForDepthEstimation": "evil.Net"})
        (folder / "evil.py").write_text("raise SystemExit(3)")


@pytest.mark.parametrize(
    "how",
    [
        "no config",
        "no weights",
        "truncated",
        "empty",
        "huge header",
        "config is text",
        "config is a list",
        "config is deep",
        "config of something else",
        "settings of nonsense",
        "a tensor is missing",
        "another size",
        "code to be run",
    ],
)
def test_spoiled_directories(folder: Path, how: str) -> None:
    _spoil(folder, how)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder, name="net")
    assert "\n" not in str(caught.value)
    assert "net" in str(caught.value)


class _Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("layout", ["pickle", "torch", "directory"])
def test_code_in_a_pickle_is_never_run(tmp_path: Path, folder: Path, layout: str) -> None:
    trace = tmp_path / "executed"
    path = tmp_path / "vits.pth"
    if layout == "pickle":
        path.write_bytes(pickle.dumps({"pretrained.x": _Evil(trace)}))
    else:
        torch.save({"pretrained.x": _Evil(trace)}, path)
    if layout == "directory":
        (folder / "model.safetensors").unlink()
        path = Path(shutil.move(path, folder / "pytorch_model.bin")).parent
    with pytest.raises(CheckpointError):
        load_checkpoint(path)
    assert not trace.exists()


def test_the_trap_works(tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    pickle.loads(pickle.dumps(_Evil(trace)))
    assert trace.exists()


def _write(path: Path, how: str) -> None:
    if how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("hello")
    elif how == "noise":
        path.write_bytes(bytes(range(256)) * 40)
    elif how == "truncated":
        torch.save({"pretrained.a": torch.zeros(999)}, path)
        path.write_bytes(path.read_bytes()[:2000])
    elif how == "not by name":
        torch.save([torch.zeros(3)], path)
    elif how == "no tensors":
        torch.save({}, path)
    elif how == "numbers":
        torch.save({"pretrained.a": 3, "depth_head.b": 4}, path)
    elif how == "bomb of shapes":  # one number that claims to be a billion
        torch.save(
            {"pretrained.a": torch.zeros(1).expand(1000, 1000, 1000), "depth_head.b": torch.ones(1)}, path
        )
    elif how == "bomb of zip":
        torch.save({"pretrained.a": torch.zeros(1 << 20), "depth_head.b": torch.ones(1)}, path)
        with zipfile.ZipFile(path) as stored:
            entries = {name: stored.read(name) for name in stored.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in entries.items():
                archive.writestr(name, data)
    elif how == "layout of transformers":
        torch.save({"backbone.x": torch.zeros(1), "head.y": torch.zeros(1)}, path)
    elif how == "something else":
        torch.save({"layer1.weight": torch.zeros(1)}, path)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("empty", "is empty"),
        ("text", "damaged or no checkpoint .KeyError"),
        ("noise", "was not run"),
        ("truncated", "damaged"),
        ("not by name", "holds no tensors by name"),
        ("no tensors", "holds no tensors by name"),
        ("numbers", "something other than weights under 'pretrained.a'"),
        ("bomb of shapes", "claims .1000, 1000, 1000. numbers"),
        ("bomb of zip", "would unpack to 4,1.* bytes"),
        ("layout of transformers", "give the directory with its config.json"),
        ("something else", "does not have the tensors of the original"),
    ],
)
def test_spoiled_files(tmp_path: Path, how: str, sentence: str) -> None:
    path = tmp_path / "vits.pth"
    _write(path, how)
    with pytest.raises(CheckpointError, match=sentence) as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert "vits.pth" in str(caught.value)


@pytest.mark.parametrize("name", ["absent.pth", "absent", "weights.onnx"])
def test_nothing_to_load(tmp_path: Path, name: str) -> None:
    if name.endswith("onnx"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"give a directory"):
        load_checkpoint(tmp_path / name)


@pytest.mark.parametrize("bad", [0, -1, float("inf"), float("nan")])
def test_impossible_ranges(folder: Path, bad: float) -> None:
    with pytest.raises(InputError, match="max_depth_m must be positive metres"):
        load_checkpoint(folder, max_depth_m=bad)
