"""Single places of pictures: what is linear is read exactly, and borders go on."""

import numpy as np
import pytest

from depth3d.render.scattered import Places, gathered, sampled

SHAPE = (12, 17)


@pytest.mark.parametrize("channels", [1, 3, 5, 40])
def test_what_is_affine_is_read_exactly(channels):
    chance = np.random.default_rng(0)
    slopes = chance.normal(size=(3, channels))
    v, u = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    picture = (np.stack([u, v, np.ones_like(u)], axis=-1) @ slopes).astype(np.float32)
    across = chance.uniform(-3, SHAPE[1] + 2, 50).astype(np.float32)
    down = chance.uniform(-3, SHAPE[0] + 2, 50).astype(np.float32)
    inside = np.clip(across, 0, SHAPE[1] - 1), np.clip(down, 0, SHAPE[0] - 1)
    expected = np.stack([*inside, np.ones(50)], axis=-1) @ slopes
    np.testing.assert_allclose(Places.of(across, down, SHAPE).read(picture), expected, atol=1e-4)


def test_all_ways_to_read_agree():
    import cv2

    chance = np.random.default_rng(1)
    picture = chance.random((*SHAPE, 6)).astype(np.float32)
    # OpenCV knows places to 1/32 of a pixel.
    across = (chance.integers(0, 32 * (SHAPE[1] - 1), 40_000) / 32).astype(np.float32)
    down = (chance.integers(0, 32 * (SHAPE[0] - 1), 40_000) / 32).astype(np.float32)
    read = Places.of(across, down, SHAPE).read(picture)
    for count in (40_000, 50):  # more than a row of OpenCV's, and fewer
        few = sampled(picture, across[:count], down[:count], cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
        np.testing.assert_allclose(few, read[:count], atol=1e-5)


def test_channels_are_gathered_apart():
    values = np.random.default_rng(2).random((*SHAPE, 7)).astype(np.float32)
    apart = [gathered(np.ascontiguousarray(values[..., k : k + 1])) for k in range(7)]
    np.testing.assert_allclose(gathered(values), np.concatenate(apart, axis=-1), rtol=1e-5)
