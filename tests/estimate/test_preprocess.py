"""What the network sees: sizes, resampling, normalisation, against transformers and Pillow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from depth3d.errors import CheckpointError, InputError
from depth3d.estimate.preprocess import (
    check_input_size,
    input_rule,
    network_size,
    reflect_padding,
    to_network,
)

CPU = torch.device("cpu")
RULE = input_rule("depth_anything", {}, name="x")


@pytest.mark.parametrize(
    ("height", "width", "input_size", "expected"),
    [
        (480, 640, 518, (518, 686)),  # the reference size of the published values
        (640, 480, 518, (686, 518)),
        (1080, 1920, 518, (518, 924)),  # lower bound: transformers' own rule would give the same
        (360, 640, 518, (518, 924)),  # ... but not here: it runs 640x360 at 294x518
        (3000, 4000, 518, (518, 686)),
        (100, 100, 518, (518, 518)),  # small pictures are enlarged
        (1, 1, 518, (518, 518)),
        (480, 640, 384, (392, 518)),  # 384 is no multiple of 14: rounded up
        (480, 640, 14, (14, 14)),
        (518, 5180, 518, (280, 2828)),  # 10:1 is bounded: 4040 cells
        (10, 4000, 518, (42, 17920)),  # 400:1
        (4000, 1, 518, (56658, 14)),  # one column of cells
    ],
)
def test_network_sizes(height: int, width: int, input_size: int, expected: tuple[int, int]) -> None:
    assert network_size(RULE, height, width, input_size=input_size, max_tokens=4096) == expected


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (700, 700, (518, 518)),  # 37 x 37 = 1369 cells: untouched
        (480, 640, (448, 588)),  # 37 x 49, times 0.869: 32.1 x 42.6; 32 x 42 is 1.3125:1, 33 x 42 too many
        (1920, 1080, (686, 378)),  # 66 x 37, times 0.744: both sides shrink, 2.2 times the work at first
        (360, 640, (378, 686)),
        (500, 1000, (364, 728)),
        (1000, 1414, (434, 616)),  # 31.1 x 43.9 exactly; 31 x 44 fits, and is nearer to 1:1.414 than 31 x 43
        (2000, 3000, (420, 630)),  # 30 x 45 is 3:2 exactly, 1350 cells
    ],
)
def test_a_bound_on_tokens_shrinks_both_sides(height: int, width: int, expected: tuple[int, int]) -> None:
    assert network_size(RULE, height, width, input_size=518, max_tokens=1369) == expected


@example(height=1, width=1, input_size=141, max_tokens=16)  # 4 x 4 exactly, in floats 3.99... a side
@given(
    height=st.integers(1, 20_000),
    width=st.integers(1, 20_000),
    input_size=st.integers(14, 1200),
    max_tokens=st.integers(16, 20_000),
)
def test_sizes_are_multiples_within_the_bound(
    height: int, width: int, input_size: int, max_tokens: int
) -> None:
    h, w = network_size(RULE, height, width, input_size=input_size, max_tokens=max_tokens)
    assert h % 14 == w % 14 == 0
    assert min(h, w) >= 14
    assert (h // 14) * (w // 14) <= max_tokens
    unbounded = network_size(RULE, height, width, input_size=input_size, max_tokens=10**12)
    if unbounded[0] * unbounded[1] <= max_tokens * 196:
        assert (h, w) == unbounded
        assert input_size <= min(h, w) < input_size + 14
    elif min(h, w) > 14:
        assert (h // 14 + 1) * (w // 14 + 1) > max_tokens  # no more is given away than a row and a column


def _processor(side: int) -> Any:
    from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil

    return DPTImageProcessorPil(
        size={"height": side, "width": side},
        keep_aspect_ratio=True,
        ensure_multiple_of=14,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )


def test_an_image_of_the_right_size_equals_transformers(photo: Callable[..., np.ndarray]) -> None:
    image = photo(70, 98)
    ours = to_network(image, RULE, (70, 98), CPU)
    theirs = _processor(70)(images=image, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("height", "width"), [(480, 640), (75, 100), (300, 201)])
def test_resizing_agrees_with_pillow(photo: Callable[..., np.ndarray], height: int, width: int) -> None:
    image = photo(height, width) ^ np.random.default_rng(0).integers(0, 32, (height, width, 3), np.uint8)
    size = network_size(RULE, height, width, input_size=70, max_tokens=4096)
    ours = to_network(image, RULE, size, CPU)[0].permute(1, 2, 0).numpy()
    pillow = np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BICUBIC))
    levels = (ours * np.array(RULE.std) + np.array(RULE.mean)) * 255 - pillow
    # Both round between their two passes: that is all that is left, on noise.
    assert np.abs(levels).max() < 3.01
    assert np.mean(np.abs(levels) > 1.01) < 2e-3
    assert np.abs(levels).mean() < 0.3


def test_the_float_resize_of_gpus_agrees_with_the_8_bit_one(photo: Callable[..., np.ndarray]) -> None:
    from depth3d.estimate.preprocess import _resize

    pixels = torch.from_numpy(photo(120, 90)).permute(2, 0, 1)[None]
    in_bytes = _resize(pixels, (84, 70), "bicubic").float()
    in_floats = _resize(pixels.float(), (84, 70), "bicubic")
    assert float((in_bytes - in_floats).abs().max()) <= 2
    assert float((in_bytes - in_floats).abs().mean()) < 0.3
    assert in_floats.min() >= 0
    assert in_floats.max() <= 255


def test_flipping_mirrors_left_and_right(photo: Callable[..., np.ndarray]) -> None:
    image = photo(70, 84)
    plain = to_network(image, RULE, (70, 84), CPU)
    mirrored = to_network(np.ascontiguousarray(image[:, ::-1]), RULE, (70, 84), CPU)
    assert torch.equal(to_network(image, RULE, (70, 84), CPU, flip=True), mirrored)
    assert not torch.equal(plain, mirrored)


@pytest.mark.parametrize(
    ("model_type", "settings", "image_hw", "expected"),
    [
        ("dpt", {}, (480, 640), (384, 384)),  # MiDaS 3 stretches to a square
        (
            "dpt",
            {"size": {"height": 518, "width": 518}, "keep_aspect_ratio": True, "ensure_multiple_of": 14},
            (480, 640),
            (518, 686),
        ),
        ("depth_pro", {}, (480, 640), (1536, 1536)),
        ("zoedepth", {}, (480, 640), (384, 512)),
        ("glpn", {}, (481, 645), (480, 640)),  # rounded down to multiples of 32
        ("glpn", {}, (20, 20), (32, 32)),
        ("glpn", {}, (6400, 6400), (2048, 2048)),  # bounded: 64 x 64 cells
        ("dpt", {"size": 256}, (480, 640), (256, 256)),
        ("prompt_depth_anything", {}, (480, 640), (518, 686)),
    ],
)
def test_other_architectures(
    model_type: str, settings: dict[str, Any], image_hw: tuple[int, int], expected: tuple[int, int]
) -> None:
    rule = input_rule(model_type, settings, name="x")
    assert network_size(rule, *image_hw, input_size=518, max_tokens=4096) == expected


def test_the_checkpoint_has_the_last_word_on_normalisation() -> None:
    settings = {"image_mean": [0.1, 0.2, 0.3], "image_std": [1, 2, 4]}
    white = np.full((14, 14, 3), 255, np.uint8)
    seen = to_network(white, input_rule("depth_anything", settings, name="x"), (14, 14), CPU)
    torch.testing.assert_close(seen[0, :, 0, 0], torch.tensor([0.9, 0.4, 0.175]))
    plain = to_network(white, input_rule("dpt", {"do_normalize": False}, name="x"), (14, 14), CPU)
    assert torch.equal(plain, torch.ones(1, 3, 14, 14))


@pytest.mark.parametrize(
    "settings", [{"size": "big"}, {"image_mean": [1]}, {"image_std": [0, 0, 0]}, {"size": {}}]
)
def test_settings_that_make_no_sense(settings: dict[str, Any]) -> None:
    if settings == {"size": {}}:  # empty is the same as absent
        assert input_rule("dpt", settings, name="x").size_hw == (384, 384)
    else:
        with pytest.raises(CheckpointError, match="of x makes no sense"):
            input_rule("dpt", settings, name="x")


def test_reflected_borders_of_zoedepth(photo: Callable[..., np.ndarray]) -> None:
    assert reflect_padding(480, 640) == (46, 53)
    assert reflect_padding(2, 1) == (1, 0)
    rule = input_rule("zoedepth", {}, name="x")
    image = photo(50, 60)
    rows, columns = reflect_padding(50, 60)
    padded = np.pad(image, ((rows, rows), (columns, columns), (0, 0)), mode="reflect")
    seen = to_network(image, rule, padded.shape[:2], CPU)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(seen, padded / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize("bad", [0, -5, 13, 100.5, True, None])
def test_input_sizes_that_are_refused(bad: Any) -> None:
    with pytest.raises(InputError, match="input_size must be a whole number of at least 14"):
        check_input_size(bad, 4096)
    with pytest.raises(InputError, match="max_tokens"):
        check_input_size(518, 3)
