"""`DepthEstimator` in half precision, and where it goes back to float32."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from depth3d.estimate import network as network_module
from depth3d.estimate.alignment import aligned_error
from depth3d.estimate.backends import choice as choice_module
from depth3d.estimate.estimator import DepthEstimator

Photo = Callable[..., np.ndarray]
Load = Callable[..., DepthEstimator]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_close(load: Load, tiny_folder: Path, photo: Photo, dtype: str) -> None:
    image = photo(90, 120)
    reference = torch.from_numpy(load(tiny_folder)(image).values.copy())
    estimator = load(tiny_folder, dtype=dtype)
    assert str(estimator.dtype) == f"torch.{dtype}"
    result = torch.from_numpy(estimator(image).values.copy())
    assert 0 < aligned_error(result, reference) < 2e-2


def test_auto_falls_back_to_float32_where_half_precision_is_off(
    load: Load, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice_module, "preferred_dtype", lambda device: torch.bfloat16)
    monkeypatch.setattr(network_module, "HALF_PRECISION_TOLERANCE", 1.0)
    assert load(tiny_folder, dtype="auto").dtype is torch.bfloat16
    monkeypatch.setattr(network_module, "HALF_PRECISION_TOLERANCE", 1e-9)
    assert load(tiny_folder, dtype="auto").dtype is torch.float32
    monkeypatch.setattr(choice_module, "preferred_dtype", lambda device: torch.float32)
    assert load(tiny_folder, dtype="auto").dtype is torch.float32


def test_an_overflow_goes_on_in_float32(
    load: Load, tiny_folder: Path, photo: Photo, caplog: pytest.LogCaptureFixture
) -> None:
    estimator = load(tiny_folder, dtype="float16")
    estimator._network._network.head.max_depth = 60_000.0  # beyond half precision's 65,504
    with caplog.at_level(logging.WARNING, logger="depth3d"):
        depth = estimator(photo(60, 80))
    assert "overflowed" in caplog.text
    assert estimator.dtype is torch.float32
    assert depth.valid.all()
    assert depth.values.max() > 65_504


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_real_small_architecture_stays_within_1e_2(dtype: torch.dtype) -> None:
    """24.8 million random weights with a healthy range, at a size that two cores manage."""
    import math

    from transformers.models.depth_anything import DepthAnythingConfig, DepthAnythingForDepthEstimation

    with torch.device("meta"):
        network = DepthAnythingForDepthEstimation(DepthAnythingConfig())
    network = network.to_empty(device="cpu").eval()
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(24.8e6, rel=0.01)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith("lambda1"):
                weight.fill_(0.1)
            elif "norm" in name and name.endswith("weight"):
                weight.fill_(1.0)
            elif "embeddings" in name and "patch" not in name:
                weight.copy_(0.1 * torch.randn(weight.shape, generator=draw))
            elif weight.ndim >= 2:
                weight.normal_(0, 1 / math.sqrt(weight[0].numel()), generator=draw)
            else:
                weight.zero_()
        network.head.conv3.weight.abs_()
        network.head.conv3.bias.fill_(0.5)
        pixels = network_module.trial_image(8 * 14, 11 * 14)
        reference = network(pixels).predicted_depth
        result = network.to(dtype)(pixels.to(dtype)).predicted_depth.float()
    assert float(reference.std()) > 0.05
    assert 0 < aligned_error(result, reference) < 1e-2


@pytest.mark.gpu
def test_on_a_gpu_it_is_float16_and_agrees(load: Load, tiny_folder: Path, photo: Photo) -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    images = [photo(90, 120), photo(50, 200), photo(90, 120, seed=1)]
    estimator = load(tiny_folder, device="cuda", dtype="auto")
    assert estimator.dtype is torch.float16
    exact = load(tiny_folder, device="cuda")(images, output="torch")
    assert all(tensor.is_cuda for tensor in exact)
    for half, full, cpu in zip(
        estimator(images, output="torch"), exact, load(tiny_folder)(images, output="torch"), strict=True
    ):
        assert aligned_error(half, full) < 1e-2
        assert aligned_error(full.cpu(), cpu) < 1e-2
