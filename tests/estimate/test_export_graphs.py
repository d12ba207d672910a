"""Resampling as a product of matrices is PyTorch's own resampling."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import interpolate

from depth3d.estimate.export.graphs import resampling_matrix


@pytest.mark.parametrize("by", ["bicubic", "bilinear", "hat"])
@pytest.mark.parametrize("size", [(70, 84), (140, 210), (97, 143), (14, 300), (1, 1)])
def test_it_is_pytorchs(size: tuple[int, int], by: str) -> None:
    """Antialiased but for `hat`; both sides may shrink, grow or stay."""
    pixels = 255 * torch.rand(2, 3, 97, 143, generator=torch.Generator().manual_seed(0))
    down = resampling_matrix(torch.ones(97), torch.ones(size[0]), by)
    across = resampling_matrix(torch.ones(143), torch.ones(size[1]), by)
    expected = interpolate(
        pixels, size, mode="bicubic" if by == "bicubic" else "bilinear", antialias=by != "hat"
    )
    torch.testing.assert_close(down @ pixels @ across.transpose(0, 1), expected, rtol=0, atol=5e-3)


@pytest.mark.parametrize("by", ["bicubic", "bilinear", "hat"])
def test_the_same_size_is_the_identity(by: str) -> None:
    assert torch.equal(resampling_matrix(torch.ones(9), torch.ones(9), by), torch.eye(9))


@pytest.mark.parametrize(("before", "after"), [(4000, 518), (518, 4000), (3, 7), (1, 5), (5, 1)])
@pytest.mark.parametrize("by", ["bicubic", "bilinear", "hat"])
def test_a_constant_stays(before: int, after: int, by: str) -> None:
    rows = resampling_matrix(torch.ones(before), torch.ones(after), by)
    assert rows.shape == (after, before)
    torch.testing.assert_close(rows.sum(1), torch.ones(after), rtol=0, atol=1e-5)


@pytest.mark.parametrize("by", ["bilinear", "hat"])
def test_a_ramp_stays_a_ramp_away_from_the_borders(by: str) -> None:
    """Pixel centres are at +0.5 on both sides: an error of half a pixel would move the ramp."""
    ramp = torch.arange(40) + 0.5
    longer = resampling_matrix(torch.ones(40), torch.ones(100), by) @ ramp
    expected = (torch.arange(100) + 0.5) * 40 / 100
    torch.testing.assert_close(longer[2:-2], expected[2:-2], rtol=0, atol=1e-4)
