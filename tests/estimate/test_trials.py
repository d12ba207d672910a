"""What a trial of a number format found is found again, and only where nothing has changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from depth3d.estimate import network as network_module
from depth3d.estimate.backends import choice, trials
from depth3d.estimate.backends.trials import TrialForm, remembering
from depth3d.estimate.checkpoint_identity import checkpoint_identity
from depth3d.estimate.estimator import DepthEstimator

Photo = Callable[..., np.ndarray]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEPTH3D_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "trials"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"weights")
    return path


def outcome_of(checkpoint: Path, outcome: TrialForm, **facts: Any) -> tuple[TrialForm, bool]:
    """Give what is remembered, or else the outcome; and whether it was tried."""
    tried: list[bool] = []

    def trial() -> TrialForm:
        tried.append(True)
        return outcome

    remembered = remembering(checkpoint, **facts)
    assert remembered is not None
    return remembered(trial), bool(tried)


@pytest.mark.parametrize("good", ["fitted", "plain"])
def test_what_came_out_well_is_not_tried_again(weights: Path, good: TrialForm) -> None:
    assert outcome_of(weights, good, torch="1") == (good, True)
    assert outcome_of(weights, "float32", torch="1") == (good, False)


def test_what_failed_is_tried_again(weights: Path, cache: Path) -> None:
    assert outcome_of(weights, "float32") == ("float32", True)
    assert [*cache.iterdir()] == []
    assert outcome_of(weights, "fitted") == ("fitted", True)


@pytest.mark.parametrize("changes", ["weights", "torch", "flags", "depth3d", "version", "record"])
def test_it_is_tried_again_where_something_has_changed(
    weights: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, changes: str
) -> None:
    assert outcome_of(weights, "fitted", torch="1") == ("fitted", True)
    if changes == "weights":  # of the same size, at the same time
        times = weights.stat()
        weights.unlink()
        weights.write_bytes(b"heavier")
        os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))
    elif changes == "flags":
        monkeypatch.setattr(trials, "cpu_flags", lambda: frozenset({"abacus"}))
    elif changes == "depth3d":
        monkeypatch.setattr(trials, "__version__", "0")
    elif changes == "version":
        monkeypatch.setattr(trials, "_VERSION", -1)
    elif changes == "record":
        for path in cache.iterdir():
            path.write_text("fit")
    facts = {"torch": "2" if changes == "torch" else "1"}
    assert outcome_of(weights, "plain", **facts) == ("plain", True)
    assert outcome_of(weights, "fitted", **facts) == ("plain", False)


@pytest.mark.parametrize("outcome", ["fitted", "float32"])
def test_where_nothing_can_be_kept_it_is_tried_once(
    weights: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, outcome: TrialForm
) -> None:
    def full(self: Path, text: str) -> int:
        raise OSError(28, "No space left on device")

    remembered = remembering(weights)
    assert remembered is not None
    tried: list[bool] = []
    monkeypatch.setattr(Path, "write_text", full)
    assert remembered(lambda: tried.append(True) or outcome) == outcome
    assert tried == [True]
    assert [*cache.iterdir()] == []


def test_weights_that_are_not_all_there_are_not_known(tmp_path: Path, weights: Path) -> None:
    assert remembering(None) is None
    assert remembering(tmp_path / "none.pth") is None
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert checkpoint_identity(folder) is None
    weights.rename(folder / "model.safetensors")
    known = checkpoint_identity(folder)
    assert known is not None
    assert [Path(facts[0]).name for facts in known] == ["config.json", "model.safetensors"]
    (folder / "preprocessor_config.json").write_text("{}")
    assert checkpoint_identity(folder) != known


@pytest.mark.parametrize("disagrees", ["none", "fitted"])
def test_the_network_is_the_same_to_the_bit(
    tiny_folder: Path, tmp_path: Path, photo: Photo, monkeypatch: pytest.MonkeyPatch, disagrees: str
) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "network"))
    monkeypatch.setattr(choice, "preferred_dtype", lambda device: torch.bfloat16)
    asked: list[bool] = []

    def agrees(*args: Any) -> bool:
        asked.append(True)
        return len(asked) > (disagrees == "fitted")

    if disagrees == "fitted":  # a form of its own, as wide networks have on processors with AVX-512
        monkeypatch.setattr(choice, "fitted_to_processor", lambda network: torch.nn.Sequential(network))
    monkeypatch.setattr(network_module, "agrees", agrees)
    options: dict[str, Any] = {"device": "cpu", "backend": "torch", "input_size": 70}
    first = DepthEstimator.from_pretrained(folder, **options)
    tries = len(asked)
    assert tries == (2 if disagrees == "fitted" else 1)
    second = DepthEstimator.from_pretrained(folder, **options)
    assert len(asked) == tries
    assert first.dtype is second.dtype is torch.bfloat16
    assert type(first._network._network) is type(second._network._network)
    image = photo(90, 120)
    assert np.array_equal(first(image).values, second(image).values)
