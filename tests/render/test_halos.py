"""Tiles with what is around them: they cover a picture once, and results don't tell of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from depth3d.render import crisp, depth_edges, halos
from depth3d.render.halos import tiles, with_halo


@pytest.mark.parametrize("shape", [(1, 1), (128, 129), (300, 1000)])
@pytest.mark.parametrize("reach", [0, 1, 40])
def test_tiles_cover_each_pixel_once(shape, reach):
    times = np.zeros(shape, int)
    for tile in tiles(shape, reach):
        times[tile] += 1
    np.testing.assert_array_equal(times, 1)


@pytest.mark.parametrize("halo", [0, 3, 500])
def test_a_halo_is_cut_at_the_border_and_holds_its_tile(halo):
    picture = np.arange(300 * 280).reshape(300, 280)
    for tile in tiles(picture.shape, 1):
        around, core = with_halo(tile, halo, picture.shape)
        np.testing.assert_array_equal(picture[around][core], picture[tile])
        for at, wide, side in zip(tile, around, picture.shape, strict=True):
            assert (wide.start, wide.stop) == (max(at.start - halo, 0), min(at.stop + halo, side))


def soft_blocks(seed: int) -> np.ndarray:
    """Make plateaus, with exact steps on the left and ramps of several widths on the right."""
    levels = np.random.default_rng(seed).normal(size=(9, 13)).astype(np.float32)
    steps = cv2.resize(levels, (390, 270), interpolation=cv2.INTER_NEAREST)
    steps[:, 140:260] = cv2.GaussianBlur(steps, (0, 0), 1.5)[:, 140:260]
    steps[:, 260:] = cv2.GaussianBlur(steps, (0, 0), 4.0)[:, 260:]
    return steps


@pytest.mark.parametrize("level", [None, 0.2])
def test_silhouettes_are_the_same_in_tiles_of_any_size(monkeypatch, level):
    disparity = soft_blocks(0)
    found = []
    for side in (33, 100_000):
        monkeypatch.setattr(halos, "_LEAST_PX", side)
        monkeypatch.setattr(halos, "_REACHES", 0)
        found.append(depth_edges.edge_band(disparity, level))
    assert len(np.unique(found[0].width_px)) > 2
    for field in ("mask", "low", "high", "width_px"):
        np.testing.assert_array_equal(getattr(found[0], field), getattr(found[1], field))


def test_ramps_are_the_same_in_tiles_of_any_size(monkeypatch):
    disparity = soft_blocks(1)
    found = []
    for side in (33, 100_000):
        monkeypatch.setattr(halos, "_LEAST_PX", side)
        monkeypatch.setattr(halos, "_REACHES", 0)
        found.append(crisp._ramps(disparity, 12))
    assert len(np.unique(found[0][0])) > 2
    for tiled, whole in zip(*found, strict=True):
        np.testing.assert_array_equal(tiled, whole)
