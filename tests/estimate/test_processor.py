"""The form in which PyTorch runs Depth Anything on x86: the same numbers, from other products."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch

from depth3d.accel.precision import cpu_flags
from depth3d.estimate.backends import processor
from depth3d.estimate.backends.processor import blockwise_attention, fitted_to_processor
from depth3d.estimate.checkpoints import load_checkpoint
from depth3d.estimate.depth_anything import DepthAnything
from depth3d.estimate.network import settle_precision, trial_image
from depth3d.estimate.preprocess import InputRule

Factory = Callable[..., Any]

RULE = InputRule("shorter_side", (70, 70), 14)
CPU = torch.device("cpu")
AVX512 = frozenset({"avx512f"})

needs_avx512 = pytest.mark.skipif("avx512f" not in cpu_flags(), reason="this processor has no AVX-512")


@pytest.fixture
def network(tiny_network: Factory, tmp_path: Any) -> DepthAnything:
    """Depth Anything of widths that are multiples of 32."""
    tiny_network(hidden=128).save_pretrained(tmp_path)
    loaded = load_checkpoint(tmp_path).network
    assert isinstance(loaded, DepthAnything)
    return loaded


def _exact(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Attention by its definition, in float64."""
    q, k, v = query.double(), key.double(), value.double()
    seen = (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).softmax(-1) @ v
    return seen.transpose(1, 2).flatten(2)


def _drawn(n: int, heads: int, tokens: int, width: int, dtype: torch.dtype) -> Any:
    """Query, key and value as they lie in one product."""
    draw = torch.Generator().manual_seed(5)
    one = torch.randn(n, tokens, 3, heads, width, generator=draw).to(dtype)
    return one.permute(2, 0, 3, 1, 4).unbind()


def _off(result: torch.Tensor, expected: torch.Tensor) -> float:
    return float((result.double() - expected).square().mean().sqrt() / expected.square().mean().sqrt())


@pytest.mark.parametrize("shape", [(1, 1, 1, 8), (2, 3, 700, 32), (1, 6, 256, 64), (3, 2, 257, 16)])
def test_attention_in_blocks_is_attention(shape: tuple[int, int, int, int]) -> None:
    drawn = _drawn(*shape, torch.float32)
    result = blockwise_attention(*drawn)
    assert result.shape == (shape[0], shape[2], shape[1] * shape[3])
    assert _off(result, _exact(*drawn)) < 1e-6


@pytest.mark.parametrize("size", [0.1, 2.0, 8.0, 14.0, 100.0])
def test_scores_of_any_size(size: float) -> None:
    """Small ones are exponentiated as they are, whatever their bound; of hundreds one key is left."""
    query, key, value = _drawn(2, 2, 300, 32, torch.float32)
    query = torch.cat([query[:, :1], size * query[:, 1:]], 1)  # heads of different size
    result = blockwise_attention(query, key, value)
    assert torch.isfinite(result).all()
    assert _off(result, _exact(query, key, value)) < 1e-4


def test_what_all_keys_share_costs_no_precision() -> None:
    """In bfloat16 scores of 60 are rounded to a quarter; what is common to them must be gone before that."""
    query, key, value = _drawn(1, 2, 500, 64, torch.bfloat16)
    usual = _off(blockwise_attention(query, key, value), _exact(query, key, value))
    shared = key + 10 * torch.randn(64, generator=torch.Generator().manual_seed(1)).bfloat16()
    plain = (query @ shared.transpose(2, 3) / 8).softmax(-1) @ value
    expected = _exact(query, shared, value)
    assert usual < 1e-2
    assert _off(blockwise_attention(query, shared, value), expected) < 1.5 * usual
    assert _off(plain.transpose(1, 2).flatten(2), expected) > 3 * usual


def test_with_many_threads_it_is_pytorchs(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = _drawn(1, 2, 60, 16, torch.float32)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    assert _off(blockwise_attention(*drawn), _exact(*drawn)) < 1e-6


@needs_avx512
@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_the_fitted_network_gives_the_same_map(
    network: DepthAnything, dtype: torch.dtype, most: float
) -> None:
    network = network.to(dtype)
    fitted = fitted_to_processor(network, AVX512 | {"avx512_bf16"})
    assert type(fitted.blocks[0].fc1).__name__ == "_PackedLinear"
    assert (fitted.blocks[0].attend is blockwise_attention) is (dtype is torch.bfloat16)
    for n, height, width in ((1, 70, 70), (2, 42, 98), (1, 280, 140)):
        pixels = trial_image(height, width).expand(n, -1, -1, -1).to(dtype)
        with torch.inference_mode():
            expected, result = (one(pixels).predicted_depth.float() for one in (network, fitted))
        span = float(expected.max() - expected.min())
        assert span > 0.01
        assert float((result - expected).square().mean().sqrt()) < most * span


@needs_avx512
def test_the_original_stays_whole_and_what_is_not_packed_is_shared(network: DepthAnything) -> None:
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    fitted = fitted_to_processor(network, AVX512)
    assert fitted is not network
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())
    assert fitted.head.conv1.weight is network.head.conv1.weight


@needs_avx512
def test_several_threads_get_the_same_bits(network: DepthAnything) -> None:
    fitted = fitted_to_processor(network, AVX512)
    pixels = [trial_image(70, 14 * side) for side in range(5, 9)]
    results: list[torch.Tensor | None] = [None] * 16

    def run(number: int) -> None:
        with torch.inference_mode():
            results[number] = fitted(pixels[number % 4]).predicted_depth

    threads = [threading.Thread(target=run, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, result in enumerate(results):
        with torch.inference_mode():
            expected = fitted(pixels[number % 4]).predicted_depth
        assert result is not None
        assert torch.equal(result, expected)


def test_others_stay_as_they_are(network: DepthAnything) -> None:
    assert fitted_to_processor(network, frozenset({"avx2", "fma"})) is network
    assert fitted_to_processor(network.to(torch.float16), AVX512) is network
    other = torch.nn.Linear(64, 64)
    assert fitted_to_processor(other, AVX512) is other


@needs_avx512
def test_matrix_units_keep_pytorchs_attention(network: DepthAnything) -> None:
    flags = AVX512 | {"avx512_bf16", "amx_bf16"}
    fitted = fitted_to_processor(network.bfloat16(), flags)
    assert fitted.blocks[0].attend is not blockwise_attention


def test_a_pytorch_without_the_operators(network: DepthAnything, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(block: Any) -> None:
        raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute '_reorder_linear_weight'")

    monkeypatch.setattr(processor, "_pack", missing)
    assert fitted_to_processor(network, AVX512) is network


def test_a_fitted_form_that_disagrees_is_left(network: DepthAnything) -> None:
    def fit(one: torch.nn.Module) -> torch.nn.Module:
        tried.append(DepthAnything(network.config).bfloat16())  # all zeros
        return tried[0]

    tried: list[torch.nn.Module] = []
    settled = settle_precision(network, torch.bfloat16, RULE, CPU, fit)
    assert len(tried) == 1
    assert settled is not tried[0]
    assert next(settled.parameters()).dtype is torch.bfloat16
