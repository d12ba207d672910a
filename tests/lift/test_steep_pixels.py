"""Steep pixels: those that a look at every single pixel finds, over steps of any length."""

from __future__ import annotations

import numpy as np
import pytest

from depth3d.lift.steep_pixels import steep_pixels

PAD = 40
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))


def padded(q):
    return np.pad(q.astype(np.float32), PAD, constant_values=np.nan)


def plainly(q, step, share):
    """(direction, pixel): slope, by the definition."""
    around, found = padded(q), {}
    height, width = q.shape
    for down, right in DIRECTIONS:
        here, ahead, behind = (
            around[PAD + k * down : PAD + k * down + height, PAD + k * right : PAD + k * right + width]
            for k in (0, step, -step)
        )
        first, second, floor = ahead - here, here - behind, here * np.float32(share)
        steep = ((first > floor) & (second > floor)) | ((first < -floor) & (second < -floor))
        gentler = np.where(np.abs(first) < np.abs(second), first, second) / np.float32(step)
        found |= {(down, right, *at): gentler[tuple(at)] for at in np.argwhere(steep).tolist()}
    return found


def picture(kind, shape, seed=0):
    chance = np.random.default_rng(seed)
    rows, cols = np.indices(shape)
    if kind == "noise":
        return chance.uniform(0.2, 2.0, shape)
    smooth = 1.0 + 0.3 * np.sin(cols / 9) + 0.3 * np.cos(rows / 7 + cols / 30)
    if kind == "ramps":
        return smooth + np.clip(cols - shape[1] // 3, 0, 10) / 10
    unknown = chance.random(shape) < 0.03
    return np.where(unknown, np.nan, smooth * chance.choice([1.0, 1.5], shape, p=[0.95, 0.05]))


@pytest.mark.parametrize("kind", ["noise", "ramps", "holes"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (50, 3), (33, 47), (64, 64)])
@pytest.mark.parametrize("size", [None, 5])
def test_they_are_those_of_the_definition(kind, shape, size, monkeypatch):
    if size is not None:
        monkeypatch.setattr("depth3d.lift.steep_pixels._CELLS_PER_BLOCK", size)
        monkeypatch.setattr("depth3d.lift.steep_pixels._PIXELS_AT_ONCE", size)
    q = picture(kind, shape)
    around = padded(q)
    least = {1: 0.03, 2: 0.05, 4: 0.07, 8: 0.1, 16: 0.2}
    found = {step: {} for step in least}
    for step, one, at, slope in steep_pixels(around, PAD, shape, least):
        down, right = {k * around.shape[1] + j: (k, j) for k, j in DIRECTIONS}[one]
        places = zip(
            (at // around.shape[1] - PAD).tolist(), (at % around.shape[1] - PAD).tolist(), strict=True
        )
        these = {(down, right, *place): value for place, value in zip(places, slope, strict=True)}
        assert not these.keys() & found[step].keys()
        found[step] |= these
    assert found == {step: plainly(q, step, share) for step, share in least.items()}
    assert min(shape) < 10 or all(found.values())


def test_on_the_very_limit_rounding_decides():
    # Ramps of one slope each: the two steps' sum, rounded, may fall short of twice the rounded limit.
    for share in np.random.default_rng(1).uniform(0.001, 0.01, 40):
        for step in (1, 2, 4):
            q = (1.0 + np.arange(25) * share * np.linspace(0.999999, 1.000001, 41)[:, None]).astype(
                np.float32
            )
            expected = plainly(q, step, step * share)
            count = sum(at.size for *_, at, _ in steep_pixels(padded(q), PAD, q.shape, {step: step * share}))
            assert count == len(expected)


def test_rows_below_the_picture_are_not_looked_at():
    around = padded(picture("noise", (40, 30)))
    for _, _, at, _ in steep_pixels(around, PAD, (21, 30), {1: 0.01, 8: 0.01}):
        assert at.size
        assert at.max() // around.shape[1] < PAD + 21
