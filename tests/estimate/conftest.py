"""Tiny networks with the real architecture: about 20,000 weights drawn at random."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

Factory = Callable[..., Any]


def _give_life(network: Any, seed: int) -> None:
    """Draw weights that keep signals alive.

    The default initialisation gives exactly 0 everywhere (a dead ReLU at the very end), and every
    comparison of outputs would hold for the wrong reason.
    """
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith("lambda1"):
                weight.fill_(1.0)
            elif "embeddings" in name and "patch" not in name:
                weight.copy_(0.5 * torch.randn(weight.shape, generator=draw))
            elif weight.ndim >= 2:
                spread = 1 / math.sqrt(weight[0].numel())
                weight.copy_(spread * torch.randn(weight.shape, generator=draw))
            elif name.endswith("bias"):
                weight.copy_(0.1 * torch.randn(weight.shape, generator=draw))
        network.head.conv3.weight.abs_()
        network.head.conv3.bias.fill_(0.5 if network.config.depth_estimation_type == "relative" else -2.0)


@pytest.fixture(scope="session")
def tiny_network() -> Factory:
    """Make a tiny `DepthAnythingForDepthEstimation`: 4 blocks, patch 14."""

    def make(*, seed: int = 0, hidden: int = 8, kind: str = "relative", max_depth: int = 1) -> Any:
        from transformers.models.depth_anything import DepthAnythingConfig, DepthAnythingForDepthEstimation

        config = DepthAnythingConfig(
            backbone_config={
                "model_type": "dinov2",
                "image_size": 70,
                "patch_size": 14,
                "hidden_size": hidden,
                "num_hidden_layers": 4,
                "num_attention_heads": max(1, hidden // 64),
                "out_indices": [1, 2, 3, 4],
                "apply_layernorm": True,
                "reshape_hidden_states": False,
            },
            reassemble_hidden_size=hidden,
            neck_hidden_sizes=[8, 8, 8, 8],
            fusion_hidden_size=8,
            head_hidden_size=8,
            depth_estimation_type=kind,
            max_depth=max_depth,
        )
        network = DepthAnythingForDepthEstimation(config).eval()
        _give_life(network, seed)
        return network

    return make


PREPROCESSOR = {
    "image_processor_type": "DPTImageProcessor",
    "do_resize": True,
    "size": {"height": 70, "width": 70},
    "keep_aspect_ratio": True,
    "ensure_multiple_of": 14,
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory, tiny_network: Factory) -> Path:
    """A directory that `save_pretrained` wrote: a tiny relative network."""
    import json

    folder = tmp_path_factory.mktemp("tiny")
    tiny_network().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    return folder


@pytest.fixture
def estimator(tiny_folder: Path) -> Any:
    """A tiny estimator in float32 on the CPU that sees images 70 pixels wide."""
    from depth3d.estimate.estimator import DepthEstimator

    return DepthEstimator.from_pretrained(tiny_folder, device="cpu", dtype="float32", input_size=70)


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
