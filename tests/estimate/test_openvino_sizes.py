"""Forms of a network for one size: what the form for all sizes gives, by whatever way they are loaded."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from depth3d.errors import ModelError
from depth3d.estimate.backends import openvino_blobs, openvino_sizes
from depth3d.estimate.backends.openvino_blobs import BlobRunner, size_name, whole
from depth3d.estimate.backends.openvino_sizes import usual_sizes
from depth3d.estimate.checkpoints import load_checkpoint
from depth3d.estimate.estimator import DepthEstimator
from depth3d.estimate.preprocess import InputRule
from depth3d.estimate.quick_estimator import QuickEstimator, quick_estimator

pytest.importorskip("openvino")
pytest.importorskip("onnx")

Photo = Callable[..., np.ndarray]
OPTIONS: dict[str, Any] = {
    "backend": "openvino", "device": "cpu", "dtype": "float32", "refine": "none",
}  # fmt: skip
RULE = InputRule("shorter_side", (70, 70), 14)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Any:
    """A network of side 70 that OpenVINO has run, and that counts as large enough; its cache is beside it."""
    path = Path(shutil.copytree(tiny_folder, tmp_path_factory.mktemp("sized") / "network"))
    settings = path / "preprocessor_config.json"
    settings.write_text('{"size": {"height": 70, "width": 70}, "keep_aspect_ratio": true}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEPTH3D_CACHE_DIR", str(path.parent / "cache"))
        patch.setattr(openvino_sizes, "_WORTH_WEIGHTS", range(1, 10**6))
        DepthEstimator.from_pretrained(path, **OPTIONS)
        yield path


def _quick(folder: Path) -> tuple[QuickEstimator, BlobRunner]:
    quick = quick_estimator(folder, **OPTIONS)
    assert quick is not None
    assert isinstance(quick._run, BlobRunner)
    return quick, quick._run


def _loaded(runner: BlobRunner) -> list[str]:
    return sorted(path.suffix for path in runner._requests)


def test_the_sizes_are_those_of_photos_of_4_to_3(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = load_checkpoint(folder).network
    assert usual_sizes(network, RULE) == [(70, 98), (98, 70)]
    assert usual_sizes(network, InputRule("shorter_side", (518, 518), 14)) == [(518, 686), (686, 518)]
    assert usual_sizes(torch.nn.Linear(9, 9), RULE) == []
    monkeypatch.undo()
    monkeypatch.setattr(openvino_sizes, "_WORTH_WEIGHTS", range(10**6, 10**7))
    assert usual_sizes(network, RULE) == []


@pytest.mark.parametrize("size_hw", [(70, 98), (98, 70)])
def test_they_give_what_the_form_for_all_sizes_does(
    folder: Path, photo: Photo, size_hw: tuple[int, int]
) -> None:
    quick, runner = _quick(folder)
    assert set(runner._sized) == {size_name(70, 98), size_name(98, 70)}
    image = photo(*size_hw)
    found = quick(image).values
    assert _loaded(runner) == [".sized"]  # and nothing else was read
    runner._sized.clear()
    general = quick(image).values
    exact = DepthEstimator.from_pretrained(folder, **OPTIONS | {"backend": "torch"})(image).values
    for other in (general, exact):
        assert np.abs(found - other).max() < 1e-4 * np.ptp(exact)


def test_other_sizes_take_the_form_for_all(folder: Path, photo: Photo) -> None:
    quick, runner = _quick(folder)
    quick(photo(70, 70))
    assert _loaded(runner) == [".blob"]
    quick(photo(210, 280))
    assert _loaded(runner) == [".blob", ".sized"]


def test_the_form_for_all_sizes_is_loaded_when_it_is_needed(
    folder: Path, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    load = openvino_blobs.import_blob

    def noted(path: Path, form: str) -> Any:
        loaded.append(path.suffix)
        return load(path, form)

    monkeypatch.setattr(openvino_blobs, "import_blob", noted)
    estimator = DepthEstimator.from_pretrained(folder, **OPTIONS)
    assert loaded == []
    for image, expected in (((210, 280), [".sized"]), ((70, 70), [".sized", ".blob"])):
        estimator(photo(*image))
        assert loaded == expected


def test_batches_take_it_too(folder: Path, photo: Photo) -> None:
    images = [photo(70, 98, seed=seed) for seed in range(3)]
    estimator = DepthEstimator.from_pretrained(folder, batch_size=3, **OPTIONS)
    exact = DepthEstimator.from_pretrained(folder, **OPTIONS | {"backend": "torch"})(images)
    for depth, expected in zip(estimator(images), exact, strict=True):
        assert np.abs(depth.values - expected.values).max() < 1e-4 * np.ptp(expected.values)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:100])])
def test_a_damaged_one_is_done_without(
    folder: Path, tmp_path: Path, photo: Photo, damage: Callable[[Path], Any]
) -> None:
    _, whole = _quick(folder)
    sized = {size: Path(shutil.copy(path, tmp_path / f"{size}.sized")) for size, path in whole._sized.items()}
    for path in sized.values():
        damage(path)
    runner = BlobRunner(whole._path, "f32", sized)
    pixels = np.random.default_rng(0).normal(size=(1, 3, 70, 98)).astype(np.float32)
    for _ in range(2):
        np.testing.assert_allclose(runner(pixels), whole(pixels), rtol=0, atol=1e-4)
    assert _loaded(runner) == [".blob"]
    assert not sized[size_name(70, 98)].exists()  # so that it is made anew


def test_one_for_all_sizes_that_was_cut_off_is_made_again(
    folder: Path, tmp_path: Path, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, runner = _quick(folder)
    cache = shutil.copytree(folder.parent / "cache", tmp_path / "cache")
    blob = cache / "openvino" / runner._path.name
    for length in (0, 4, 100, blob.stat().st_size - 1):
        blob.write_bytes(runner._path.read_bytes()[:length])
        with pytest.raises(RuntimeError, match="cut off"):
            whole(blob)
    monkeypatch.setenv("DEPTH3D_CACHE_DIR", str(cache))
    DepthEstimator.from_pretrained(folder, **OPTIONS)(photo(70, 70))
    assert whole(blob) == blob


@pytest.fixture
def damaged(folder: Path, tmp_path: Path) -> Path:
    """One for all sizes, of the right length, with nothing but zeros in it."""
    _, runner = _quick(folder)
    blob = Path(shutil.copy(runner._path, tmp_path / "network.blob"))
    data = blob.read_bytes()
    blob.write_bytes(bytes(len(data) - 8) + data[-8:])
    return blob


def test_one_for_all_sizes_that_is_damaged_inside_says_why_and_goes(damaged: Path) -> None:
    said = r"network\.blob can't be loaded any more \((?!Exception from).+\) and was removed; run this again"
    with pytest.raises(ModelError, match=said):
        BlobRunner(damaged, "f32", {})(np.zeros((1, 3, 70, 70), np.float32))
    assert not damaged.exists()


def test_a_damaged_one_that_can_not_be_removed_is_not_said_to_be(
    damaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", denied)
    with pytest.raises(ModelError, match=r"; remove .*network\.blob, or set DEPTH3D_CACHE_DIR$"):
        BlobRunner(damaged, "f32", {})(np.zeros((1, 3, 70, 70), np.float32))
    assert damaged.exists()


def test_what_is_kept_is_opened_without_a_temporary_folder(
    folder: Path, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    assert DepthEstimator.from_pretrained(folder, **OPTIONS)(photo(70, 98)).values.shape == (70, 98)
