"""The head of Depth Anything in bands: the map that the whole gives, whatever the bands."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import interpolate

from depth3d.estimate.backends import banded_head
from depth3d.estimate.backends.banded_head import BandedHead, enlarged_rows
from depth3d.estimate.depth_anything import Architecture, _enlarged, _Head


def _drawn(*shape: int) -> torch.Tensor:
    made = torch.randn(*shape, generator=torch.Generator().manual_seed(3))
    return made.contiguous(memory_format=torch.channels_last)


def _head(*, is_metric: bool) -> _Head:
    sizes = Architecture(8, 1, 8, 4, (1, 2, 3, 4), 14, 2, (8, 8, 8, 8), 8, 4, is_metric)
    draw = torch.Generator().manual_seed(4)
    head = _Head(sizes)
    for weight in head.parameters():
        weight.data.normal_(0, 0.3, generator=draw)
    head.conv3.bias.data.fill_(0.5)
    return head


@pytest.mark.parametrize("size", [(9, 13), (10, 26), (31, 13), (1, 1), (5, 1)])
@pytest.mark.parametrize("count", [1, 3])
def test_rows_are_those_of_the_whole(size: tuple[int, int], count: int) -> None:
    x = _drawn(count, 8, 5, 13)
    rows = enlarged_rows(lambda first, last: x[:, :, first:last], 5, size)
    expected = interpolate(x, size=size, mode="bilinear", align_corners=True)
    for first, last in ((0, size[0]), (size[0] // 2, size[0]), (0, 1), (size[0] - 1, size[0])):
        torch.testing.assert_close(rows(first, last), expected[:, :, first:last], rtol=0, atol=2e-5)


def test_shares_sum_to_one_in_short_formats() -> None:
    """Else rows would be brighter and darker by turns: a constant stays that constant."""
    x = torch.full((1, 8, 37, 5), 1.171875, dtype=torch.bfloat16)
    rows = enlarged_rows(lambda first, last: x[:, :, first:last], 37, (101, 5))
    assert torch.equal(rows(0, 101), torch.full((1, 8, 101, 5), 1.171875, dtype=torch.bfloat16))


@pytest.mark.parametrize("is_metric", [False, True])
@pytest.mark.parametrize("band_px", [1, 100, 1 << 16])
def test_bands_leave_no_trace(is_metric: bool, band_px: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(banded_head, "_BAND_PX", band_px)
    head = _head(is_metric=is_metric)
    head.max_depth = 20.0 if is_metric else 1
    with torch.inference_mode():
        for n, rows, columns in ((1, 12, 16), (2, 8, 4)):
            x = _drawn(n, 8, rows, columns)
            size = (rows * 7 // 2, columns * 7 // 2)
            expected = head(_enlarged(x, (2 * rows, 2 * columns)), size)
            result = BandedHead(head)(x, size)
            assert float(expected.std()) > 0.05
            torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4)
