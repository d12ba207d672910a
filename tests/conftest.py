"""Fixtures that every test may use: real data where it is, and tiny networks of the real architecture."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Factory = Callable[..., Any]

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # for tests that import ONNX Runtime themselves


def _give_life(network: Any, seed: int) -> None:
    """Draw weights that keep signals alive.

    The default initialisation gives exactly 0 everywhere (a dead ReLU at the very end), and every
    comparison of outputs would hold for the wrong reason.
    """
    import torch

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


@pytest.fixture(autouse=True, scope="session")
def _empty_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Begin with nothing that backends compiled and trials found in an earlier run, and leave nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEPTH3D_CACHE_DIR", str(tmp_path_factory.mktemp("backends")))
        yield


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
    folder = tmp_path_factory.mktemp("tiny")
    tiny_network().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    return folder


SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real photos, depth maps and cameras beside the repository; skips where it is not."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the folder shared/data is not here: {SHARED_DATA}")
    return SHARED_DATA
