"""A tiny estimator and pictures for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def estimator(tiny_folder: Path) -> Any:
    """A tiny estimator in float32 on the CPU that sees images 70 pixels wide."""
    from depth3d.estimate.estimator import DepthEstimator

    return DepthEstimator.from_pretrained(tiny_folder, device="cpu", dtype="float32", input_size=70)


@pytest.fixture(scope="session")
def load() -> Callable[..., Any]:
    """Open a folder as a tiny estimator, with any other options of `from_pretrained`."""
    from depth3d.estimate.estimator import DepthEstimator

    def load(folder: Path, **options: Any) -> DepthEstimator:
        return DepthEstimator.from_pretrained(
            folder, **({"device": "cpu", "dtype": "float32", "input_size": 70} | options)
        )

    return load


@pytest.fixture(scope="session")
def photo() -> Callable[..., np.ndarray]:
    """Make a smooth coloured picture of any size."""

    def make(height: int, width: int, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        v, u = np.mgrid[0:height, 0:width] / max(height, width)
        waves = [
            np.sin(2 * np.pi * (rng.uniform(1, 4) * u + rng.uniform(1, 4) * v + rng.uniform()))
            for _ in range(3)
        ]
        return np.clip(127.5 + 110 * np.stack(waves, -1), 0, 255).astype(np.uint8)

    return make
