"""Upsampling: planes stay planes, steps don't ring, silhouettes follow the photo."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from depth3d.core.depth import DepthKind, DepthMap
from depth3d.core.resample import resize_depth
from depth3d.estimate.full_size import at_full_size, handed_over, own_memory
from depth3d.estimate.network import NetworkOutput
from depth3d.estimate.outputs import OutputMeaning, RawOutput
from depth3d.estimate.preprocess import InputRule
from depth3d.estimate.tta import View
from depth3d.estimate.upsample import upsample, upsample_guided


def _plane(height: int, width: int) -> torch.Tensor:
    """A field affine in the pixel coordinates, whatever the resolution."""
    v = (torch.arange(height) + 0.5)[:, None] / height
    u = (torch.arange(width) + 0.5)[None, :] / width
    return 0.2 + 0.7 * v + 0.4 * u


def _textured(colors: np.ndarray, strength: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.clip(colors + rng.normal(0, strength, colors.shape), 0, 255).astype(np.uint8)


def test_the_plane_survives_between_the_outermost_centres() -> None:
    small, large = _plane(12, 16), _plane(60, 96)
    inner = (slice(3, -3), slice(3, -3))
    torch.testing.assert_close(upsample(small, (60, 96))[inner], large[inner], rtol=0, atol=1e-6)


def test_it_is_the_ground_floors_resampling() -> None:
    values = torch.rand(9, 13, generator=torch.Generator().manual_seed(0))
    expected = resize_depth(DepthMap(values.numpy(), "relative"), 31, 20).values
    np.testing.assert_allclose(upsample(values, (20, 31)).numpy(), expected, atol=1e-6)


def test_a_step_does_not_ring() -> None:
    step = torch.full((20, 20), 0.02)
    step[:, 10:] = 5.0
    result = upsample(step, (90, 90))
    assert float(result.min()) == pytest.approx(0.02)
    assert float(result.max()) == pytest.approx(5.0)
    bicubic = interpolate(step[None, None], (90, 90), mode="bicubic")
    assert float(bicubic.min()) < -0.3  # what we stay clear of


@pytest.mark.parametrize("texture", [0, 8, 40])
def test_guided_leaves_planes_exactly_alone(texture: int) -> None:
    image = _textured(np.full((60, 96, 3), 128.0), texture)
    field = _plane(24, 32)
    assert torch.equal(upsample_guided(field, image), upsample(field, (60, 96)))


def _disc_scene(texture: float) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """A near disc before a far wall: true field, what a network makes of it, and the photo."""
    v, u = np.mgrid[0:120, 0:160] + 0.5
    inside = (u - 80) ** 2 + (v - 60) ** 2 < 35**2
    truth = torch.from_numpy(np.where(inside, 2.0, 0.5).astype(np.float32))
    coarse = interpolate(truth[None, None], (30, 40), mode="area")
    blurred = interpolate(coarse, (120, 160), mode="bilinear", align_corners=False)[0, 0]
    colors = np.where(inside[..., None], [200.0, 80, 60], [60.0, 120, 180])
    return truth, blurred, _textured(colors, texture)


@pytest.mark.parametrize(
    ("texture", "gain"),
    [(0, 40), (8, 40), (20, 10)],  # at least so many times smaller a mean error
)
def test_guided_sharpens_silhouettes(texture: float, gain: float) -> None:
    truth, blurred, image = _disc_scene(texture)
    before = (upsample(blurred, (120, 160)) - truth).abs()
    result = upsample_guided(blurred, image)
    after = (result - truth).abs()
    assert float(before.mean()) > 0.02
    assert float(after.mean()) < float(before.mean()) / gain
    between = ((result > 0.6) & (result < 1.9)).float().mean()
    assert float(between) < 0.1 * float(((blurred > 0.6) & (blurred < 1.9)).float().mean())
    assert result.min() >= blurred.min() - 1e-6
    assert result.max() <= blurred.max() + 1e-6


def test_guided_at_a_higher_resolution_than_the_network() -> None:
    truth, blurred, image = _disc_scene(8)
    half = interpolate(blurred[None, None], (60, 80), mode="area")[0, 0]
    before = (upsample(half, (120, 160)) - truth).abs().mean()
    after = (upsample_guided(half, image) - truth).abs().mean()
    assert float(after) < 0.15 * float(before)


def test_a_photo_that_does_not_show_the_edge_does_no_harm() -> None:
    truth, blurred, _ = _disc_scene(0)
    gray = np.full((120, 160, 3), 128, np.uint8)
    before = (blurred - truth).abs().mean()
    after = (upsample_guided(blurred, gray) - truth).abs().mean()
    assert float(after) < 1.2 * float(before)


@pytest.mark.parametrize("shape", [(1, 1), (2, 50), (50, 2), (3, 3)])
def test_guided_on_the_smallest_fields(shape: tuple[int, int], photo: Callable[..., np.ndarray]) -> None:
    field = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    result = upsample_guided(field, photo(20, 30))
    assert result.shape == (20, 30)
    assert bool(torch.isfinite(result).all())
    flat = upsample_guided(torch.ones(shape), photo(20, 30))
    torch.testing.assert_close(flat, torch.ones(20, 30))


@pytest.mark.parametrize("size", [(9, 14), (4, 6), (3, 3)])
def test_values_are_left_in_the_memory_that_is_given(size: tuple[int, int]) -> None:
    field = torch.rand(4, 6, generator=torch.Generator().manual_seed(1)) + 1
    image = np.zeros((*size, 3), np.uint8)
    rule = InputRule("shorter_side", (28, 28), 14)
    for raw, kind in ((RawOutput.DISPARITY, "relative"), (RawOutput.DEPTH_M, "metric")):
        meaning = OutputMeaning(raw, DepthKind(kind), None)
        output = NetworkOutput(meaning.to_field(field, None), None)
        for guided in (False, True):
            options = {"rule": rule, "meaning": meaning, "guided": guided}
            expected, _ = at_full_size(image, [output], [View()], **options)
            (memory,) = own_memory([image], torch.device("cpu"))
            assert memory is not None
            values, _ = at_full_size(image, [output], [View()], **options, into=memory)
            assert torch.equal(values, expected)
            assert np.array_equal(memory, expected.numpy())
            kept = DepthMap(handed_over(values.numpy(), memory), kind)
            assert kept.values is memory


def test_other_devices_keep_their_own_memory() -> None:
    values = np.ones((2, 3), np.float32)
    assert own_memory([np.zeros((2, 3, 3), np.uint8)], torch.device("meta")) == [None]
    assert handed_over(values, None) is values
