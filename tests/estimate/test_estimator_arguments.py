"""Names, options and images that `DepthEstimator` takes or refuses."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depth3d.core.depth import DepthMap
from depth3d.errors import (
    CheckpointError,
    DeviceError,
    InputError,
    ModelUnavailableError,
    UnknownModelError,
)
from depth3d.estimate import estimator as estimator_module
from depth3d.estimate.estimator import DepthEstimator
from depth3d.estimate.registry import MODELS

Photo = Callable[..., np.ndarray]
Load = Callable[..., DepthEstimator]


def test_a_known_name_goes_through_the_hub_and_says_its_licence_once(
    load: Load, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []
    hub = sys.modules["depth3d.estimate.hub"]
    monkeypatch.setattr(hub, "fetch", lambda card: (asked.append(card.hub_id), tiny_folder)[1])
    estimator_module._say_once.cache_clear()
    with caplog.at_level(logging.WARNING, logger="depth3d"):
        for name in ("vitb", "base", "small", "someone/else"):
            load(name)  # type: ignore[arg-type]
    assert asked == [MODELS["base"].hub_id] * 2 + [MODELS["small"].hub_id, "someone/else"]
    assert caplog.messages == ["base is licensed CC-BY-NC-4.0: not for commercial use"]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("smal", UnknownModelError),
        ("./nowhere", UnknownModelError),
        ("nowhere/vits.pth", CheckpointError),
        (Path("nowhere"), CheckpointError),
        ("", UnknownModelError),
        ("x" * 5000, UnknownModelError),
        ("~nobody.of.this.name/network", UnknownModelError),
        (Path("x" * 5000), UnknownModelError),
    ],
)
def test_names_that_lead_nowhere(name: str | Path, error: type[Exception]) -> None:
    with pytest.raises(error):
        DepthEstimator.from_pretrained(name, device="cpu")


def test_without_weights_it_names_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    from depth3d.estimate import hub

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "cached_folder", lambda card: None)
    with pytest.raises(ModelUnavailableError, match="--depth FILE"):
        DepthEstimator.from_pretrained("small", device="cpu")


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"device": "gpu"}, DeviceError, "must be auto"),
        ({"dtype": "int4"}, InputError, "dtype must be one of"),
        ({"dtype": "int8", "backend": "torch"}, InputError, "does not compute in int8"),
        ({"input_size": 0}, InputError, "input_size"),
        ({"input_size": 518.5}, InputError, "input_size"),
        ({"batch_size": 0}, InputError, "batch_size must be a whole number"),
        ({"batch_size": 2.5}, InputError, "batch_size must be a whole number"),
        ({"batch_size": "many"}, InputError, "batch_size must be a whole number"),
        ({"tta": "rotate"}, InputError, "tta must be None or one of"),
        ({"refine": "bicubic"}, InputError, "refine must be 'auto', 'guided' or 'none'"),
        ({"max_tokens": 1}, InputError, "max_tokens"),
        ({"max_depth_m": 20}, InputError, "contradicts"),
    ],
)
def test_options_that_are_refused(
    load: Load, tiny_folder: Path, options: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        load(tiny_folder, **options)


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((4, 4), np.uint8), "shape"),
        (np.zeros((4, 4, 4), np.uint8), "shape"),
        (np.zeros((0, 4, 3), np.uint8), "shape"),
        (np.zeros((4, 4, 3), np.float32), "uint8"),
        ([np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8)], r"images\[1\]"),
        ("photo.jpg", "got str; open files with depth3d.load_image"),
        (None, "got NoneType"),
    ],
)
def test_images_that_are_refused(estimator: DepthEstimator, images: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        estimator(images)


def test_other_outputs_are_refused(estimator: DepthEstimator, photo: Photo) -> None:
    with pytest.raises(InputError, match="'depth' or 'torch', got 'pil'"):
        estimator(photo(4, 4), output="pil")  # type: ignore[call-overload]
    prompt = DepthMap(np.ones((3, 4), np.float32), "metric")
    with pytest.raises(InputError, match="takes no prompt"):
        estimator(photo(4, 4), prompt=prompt)
