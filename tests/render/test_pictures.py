"""Pictures of twice the size are the same in blocks, in tiles, and pixel by pixel by the formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from depth3d.render import pictures
from depth3d.render.pictures import Picture, TiledPicture

TAPS = {0: [1, 1], 1: [-1, 9, 9, -1], 2: [1, -5, 20, 20, -5, 1]}
SIZES = [(1, 1), (1, 9), (7, 1), (2, 3), (40, 50), (64, 256), (65, 257), (130, 300)]


def picture(shape, seed=0):
    """Colours, and the distances to ends of surfaces, short ones too."""
    rng = np.random.default_rng(seed)
    clear = np.minimum(rng.integers(0, 16, shape), rng.integers(0, 16, shape)).astype(np.uint8)
    clear[: shape[0] // 2, : shape[1] // 2] = 9
    return rng.integers(0, 256, (*shape, 3), dtype=np.uint8), clear


def places(shape, count, seed=1):
    rng = np.random.default_rng(seed)
    u, v = (rng.uniform(-3, side + 3, count).astype(np.float32) for side in (shape[1], shape[0]))
    return torch.from_numpy(u), torch.from_numpy(v)


@pytest.mark.parametrize("shape", SIZES)
def test_tiles_give_the_whole_picture(shape, monkeypatch):
    monkeypatch.setattr(pictures, "_TILE_PX", 32)
    color, clear = picture(shape)
    u, v = places(shape, 3000)
    whole = Picture(color, clear, torch.device("cpu")).sample(u, v)
    assert torch.equal(TiledPicture(color, clear).sample(u, v), whole)


@pytest.mark.parametrize("shape", SIZES)
def test_points_midway_come_from_as_many_pixels_as_there_is_room_for(shape):
    color, clear = picture(shape)
    height, width = shape
    double = Picture(color, clear, torch.device("cpu"))
    rows, cols = (np.random.default_rng(2).integers(0, side, 200) for side in shape)
    for across, down in ((0, 0), (1, 0), (0, 1), (1, 1)):
        some = (rows + down < height) & (cols + across < width)
        if not some.any():
            continue
        at = [torch.from_numpy(k[some] + 0.5 + d / 2).float() for k, d in ((cols, across), (rows, down))]
        found = double.sample(*at).numpy().astype(int)
        for row, col, value in zip(rows[some], cols[some], found, strict=True):
            room = min(int(clear[row : row + down + 1, col : col + across + 1].min()), 2)
            expected = color.astype(float)
            for axis, k, half in ((0, row, down), (1, col, across)):
                taps = np.array(TAPS[room] if half else [1])
                where = np.clip(
                    k + np.arange(len(taps)) - (len(taps) // 2 - 1) * half, 0, color.shape[axis] - 1
                )
                kernel = (taps / taps.sum()).reshape((-1, 1, 1) if axis == 0 else (-1, 1))
                line = expected.take(where, axis=0) if axis == 0 else expected[where]
                expected = (line * kernel).sum(axis=0)
            assert np.abs(value - np.clip(expected, 0, 255)).max() <= 0.51
