"""The way without PyTorch gives PyTorch's maps, and is only taken where it would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depth3d import verbs
from depth3d.core.depth import DepthKind
from depth3d.errors import InputError
from depth3d.estimate import quick_estimator as module
from depth3d.estimate import settled_networks
from depth3d.estimate.backends import openvino_blobs
from depth3d.estimate.estimator import DepthEstimator
from depth3d.estimate.quick_estimator import QuickEstimator, quick_estimator

pytest.importorskip("openvino")
pytest.importorskip("onnx")

Photo = Callable[..., np.ndarray]
OPTIONS: dict[str, Any] = {
    "backend": "openvino", "device": "cpu", "dtype": "float32", "input_size": 70, "refine": "none",
}  # fmt: skip
SIZES = [(70, 98), (140, 196), (300, 211), (33, 47), (480, 640)]
"""As the network sees it, larger by two, larger, smaller, much larger."""


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEPTH3D_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield Path(os.environ["DEPTH3D_CACHE_DIR"])


@pytest.fixture(autouse=True)
def _nothing_loaded() -> Any:
    verbs._loaded.cache_clear()
    yield
    verbs._loaded.cache_clear()


@pytest.fixture
def fresh(tmp_path: Path, tiny_folder: Path) -> Path:
    """A network that has not run yet; what is compiled of it is that of `folder`."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "network"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path, cache: Path) -> Path:
    """A network that OpenVINO has run."""
    path = Path(shutil.copytree(tiny_folder, tmp_path_factory.mktemp("ran") / "network"))
    DepthEstimator.from_pretrained(path, **OPTIONS)
    return path


@pytest.fixture
def metric_folder(tmp_path: Path, tiny_network: Callable[..., Any]) -> Path:
    tiny_network(kind="metric", max_depth=20).save_pretrained(tmp_path / "metric")
    return tmp_path / "metric"


@pytest.mark.parametrize("kind", ["relative", "metric"])
def test_it_is_pytorchs_map(fresh: Path, metric_folder: Path, photo: Photo, kind: str) -> None:
    path = fresh if kind == "relative" else metric_folder
    exact = DepthEstimator.from_pretrained(path, **OPTIONS | {"backend": "torch"})
    assert quick_estimator(path, **OPTIONS) is None  # it has not run here yet
    slow = DepthEstimator.from_pretrained(path, **OPTIONS)
    quick = quick_estimator(path, **OPTIONS)
    assert isinstance(quick, QuickEstimator)
    assert (quick.name, quick.kind, quick.dtype) == (slow.name, DepthKind(kind), "float32")
    for height, width in SIZES:
        image = photo(height, width, seed=height)
        depth, expected = quick(image), exact(image)
        assert depth.size_wh == (width, height)
        assert depth.kind is expected.kind
        # Where nothing is resized it is the same computation; a resized photo may differ by a level of 255
        # in some values, which a network of random weights magnifies.
        tolerance = 1e-4 if (height, width) == (70, 98) else 1e-2
        span = float(np.ptp(expected.values))
        assert np.abs(depth.values - expected.values).max() < tolerance * span
        assert np.abs(depth.values - expected.values).mean() < 0.2 * tolerance * span


def test_what_the_network_sees_is_pillows_and_within_a_level_of_pytorchs(folder: Path, photo: Photo) -> None:
    import torch

    from depth3d.estimate.preprocess import to_network

    quick = quick_estimator(folder, **OPTIONS)
    assert quick is not None
    noise = np.random.default_rng(0).integers(0, 256, (301, 457, 3), np.uint8)
    for image in (noise, photo(301, 457), photo(70, 98)):
        seen = quick._seen(image, (70, 98))
        expected = to_network(image, quick._rule, (70, 98), torch.device("cpu")).numpy()
        levels = np.abs(seen - expected) * 255 * np.reshape(quick._rule.std, (1, 3, 1, 1))
        assert seen.shape == expected.shape == (1, 3, 70, 98)
        assert seen.flags.c_contiguous
        assert levels.max() < 1.01
        assert levels.mean() < 0.02
    assert np.array_equal(quick._seen(photo(70, 98), (70, 98)), expected)


def test_the_verb_takes_it_from_the_first_time_on(fresh: Path, photo: Photo) -> None:
    first = verbs.loaded_estimator(fresh, **OPTIONS)
    verbs._loaded.cache_clear()
    second = verbs.loaded_estimator(fresh, **OPTIONS)
    assert isinstance(first, QuickEstimator)
    assert isinstance(second, QuickEstimator)
    image = photo(90, 120)
    assert np.array_equal(first(image).values, second.predict(image).depth.values)
    assert np.array_equal(first([image, image])[1].values, next(iter(second.stream([image]))).values)
    with pytest.raises(InputError, match="uint8"):
        first(image.astype(float))


def test_it_keeps_to_the_bound_on_tokens(folder: Path, photo: Photo) -> None:
    bounded = OPTIONS | {"max_tokens": 20}
    quick = quick_estimator(folder, **bounded)
    assert quick is not None
    seen: list[tuple[int, int]] = []
    look = quick._seen
    quick._seen = lambda image, size_hw: (seen.append(size_hw), look(image, size_hw))[1]  # type: ignore[method-assign]
    assert quick(photo(90, 160)).size_wh == (160, 90)
    assert seen == [(42, 84)]
    with pytest.raises(InputError, match="max_tokens"):
        quick_estimator(folder, **OPTIONS | {"max_tokens": 3})


@pytest.mark.parametrize(
    "other",
    [
        {"backend": "torch"}, {"backend": "onnx"}, {"device": "cuda"}, {"dtype": "auto"}, {"tta": "flip"},
        {"refine": "guided"}, {"batch_size": 2}, {"batch_size": True}, {"max_depth_m": 3.0},
    ],
)  # fmt: skip
def test_other_options_go_the_long_way(folder: Path, other: dict[str, Any]) -> None:
    assert quick_estimator(folder, **OPTIONS) is not None
    for one_by_one in (None, 1):
        assert quick_estimator(folder, **OPTIONS, batch_size=one_by_one) is not None
    assert quick_estimator(folder, **OPTIONS | other) is None


def test_a_gpu_that_may_be_there_goes_the_long_way(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = OPTIONS | {"device": "auto"}
    monkeypatch.setattr(module, "_GPU_TRACES", ())
    assert (quick_estimator(folder, **options) is not None) == (sys.platform == "linux")
    monkeypatch.setattr(module, "_GPU_TRACES", (os.devnull,))
    assert quick_estimator(folder, **options) is None


def _touch(folder: Path, cache: Path) -> None:
    weights = folder / "model.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[:-4] + bytes(4))


def _cut_record(folder: Path, cache: Path) -> None:
    (record,) = (cache / "openvino").glob("*.json")
    record.write_text(record.read_text()[:-40])


def _odd_record(folder: Path, cache: Path) -> None:
    (record,) = (cache / "openvino").glob("*.json")
    record.write_text(json.dumps(json.loads(record.read_text()) | {"rule": {"policy": "none"}}))


def _lost_blob(folder: Path, cache: Path) -> None:
    for blob in (cache / "openvino").glob("*.blob"):
        blob.unlink()


def _cut_blob(folder: Path, cache: Path) -> None:
    for blob in (cache / "openvino").glob("*.blob"):
        data = blob.read_bytes()
        blob.unlink()
        blob.write_bytes(data[:100])


@pytest.mark.parametrize("change", [_touch, _cut_record, _odd_record, _lost_blob, _cut_blob])
def test_what_has_changed_goes_the_long_way_and_is_remembered_anew(
    cache: Path,
    folder: Path,  # whose compiled form is there
    fresh: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    photo: Photo,
    change: Callable[[Path, Path], None],
) -> None:
    shutil.copytree(cache, tmp_path / "cache", ignore=shutil.ignore_patterns("*.json"))
    monkeypatch.setenv("DEPTH3D_CACHE_DIR", str(tmp_path / "cache"))
    verbs.loaded_estimator(fresh, **OPTIONS)
    verbs._loaded.cache_clear()
    change(fresh, tmp_path / "cache")
    assert quick_estimator(fresh, **OPTIONS) is None
    again = verbs.loaded_estimator(fresh, **OPTIONS)
    assert isinstance(again, QuickEstimator)
    image = photo(70, 98)
    expected = DepthEstimator.from_pretrained(fresh, **OPTIONS | {"backend": "torch"})(image).values
    assert np.abs(again(image).values - expected).max() < 1e-4 * np.ptp(expected)


def test_another_processor_goes_the_long_way(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = openvino_blobs.circumstances()
    monkeypatch.setattr(openvino_blobs, "circumstances", lambda: here | {"cpu": "another one"})
    assert quick_estimator(folder, **OPTIONS) is None


def test_a_format_that_may_overflow_goes_the_long_way(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def recall(*about: Any) -> Any:
        settled = settled_networks.recall(*about)
        assert settled is not None
        return replace(settled, form="f16")

    assert quick_estimator(folder, **OPTIONS) is not None
    monkeypatch.setattr(module, "recall", recall)
    assert quick_estimator(folder, **OPTIONS) is None


def test_a_fresh_process_imports_no_pytorch(folder: Path, tmp_path: Path, photo: Photo) -> None:
    np.save(tmp_path / "photo.npy", photo(90, 120))
    code = (
        "import sys, numpy as np\n"
        "from depth3d.verbs import loaded_estimator\n"
        f"image = np.load({str(tmp_path / 'photo.npy')!r})\n"
        f"depth = loaded_estimator({str(folder)!r}, **{OPTIONS!r})(image)\n"
        "assert depth.size_wh == (120, 90)\n"
        "print(sorted({'torch', 'transformers', 'onnx', 'huggingface_hub', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
