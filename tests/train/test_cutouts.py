"""Cut-outs are nearer than what they cover, exact around their outlines, and change nothing else.

The picture that they are cut from is of one colour and lies over black: how much of a pixel is covered
can be read off the result.
"""

import cv2
import numpy as np
import pytest

from depth3d.train.cutouts import with_cutouts
from depth3d.train.samples import Sample

HEIGHT, WIDTH, LIGHT, RIM_PX = 96, 128, 240, 6
PICTURES = [np.full((50, 70, 3), LIGHT, np.uint8)]
ROWS, COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
SEEDS = range(60)


def black(target):
    return Sample(
        np.zeros((*target.shape, 3), np.uint8),
        np.asarray(target, np.float32),
        np.zeros(target.shape, np.bool_),
    )


def flat(value=0.5):
    return np.full((HEIGHT, WIDTH), value, np.float32)


def floor():
    return ROWS / HEIGHT


def cluttered():
    rng = np.random.default_rng(0)
    return (0.5 * floor() + rng.random((12, 16), np.float32).repeat(8, 0).repeat(8, 1)).astype(np.float32)


def cut(target, seed, most=1):
    made = with_cutouts(black(target), PICTURES, np.random.default_rng(seed), most=most)
    return made, made.image[..., 0] / LIGHT


@pytest.mark.parametrize("target", [flat(), floor(), cluttered()], ids=["flat", "floor", "cluttered"])
def test_what_covers_half_a_pixel_takes_it_over_and_nothing_else_changes(target):
    for seed in SEEDS:
        made, cover = cut(target, seed)
        changed = made.target != target
        clear = np.abs(cover - 0.5) > 0.01
        np.testing.assert_array_equal(changed[clear], (cover > 0.5)[clear])
        around = cv2.dilate(changed.astype(np.uint8), np.ones((2 * RIM_PX + 1,) * 2, np.uint8)) > 0
        np.testing.assert_array_equal(made.exact, around)
        assert (made.image[..., 0] == made.image[..., 1]).all()
        assert made.target.dtype == np.float32
        assert made.image.dtype == np.uint8


@pytest.mark.parametrize("target", [flat(), floor(), cluttered()], ids=["flat", "floor", "cluttered"])
def test_they_are_nearer_than_what_they_cover(target):
    for seed in SEEDS:
        made, _ = cut(target, seed)
        changed = made.target != target
        nearer = (made.target > target)[changed]
        assert nearer.mean() > 0.97  # a tilted sheet may dip below the very nearest twentieth
        assert np.median(made.target[changed]) > np.percentile(target[changed], 95)


def test_before_a_wall_they_are_nearer_everywhere():
    for seed in SEEDS:
        made, _ = cut(flat(), seed, most=4)
        assert made.target.min() == 0.5


def test_each_is_a_plane():
    for seed in SEEDS:
        made, _ = cut(floor(), seed)
        changed = made.target != floor()
        columns = np.stack([COLUMNS[changed], ROWS[changed], np.ones(changed.sum())], axis=1)
        fit, *_ = np.linalg.lstsq(columns, made.target[changed].astype(np.float64), rcond=None)
        np.testing.assert_allclose(columns @ fit, made.target[changed], atol=1e-6)


def test_outlines_are_smooth_like_a_photo():
    partly = [((cover > 0.02) & (cover < 0.98)).sum() for _, cover in (cut(flat(), seed) for seed in SEEDS)]
    assert np.median(partly) > 20


def test_up_to_as_many_as_asked_for():
    one, four = (np.mean([cut(flat(), s, most)[1].mean() for s in SEEDS]) for most in (1, 4))
    assert 1.5 * one < four < 4 * one


def test_they_fill_holes_that_they_cover_and_leave_the_others():
    target = floor()
    target[:, ::2] = np.nan
    for seed in SEEDS:
        made, cover = cut(target, seed)
        covered = cover > 0.51
        assert np.isfinite(made.target[covered]).all()
        np.testing.assert_array_equal(np.isnan(made.target)[cover < 0.49], np.isnan(target)[cover < 0.49])


def test_a_sample_of_which_nothing_is_known_stays_as_it_is():
    sample = black(flat(np.nan))
    assert with_cutouts(sample, PICTURES, np.random.default_rng(0)) is sample


def test_the_given_sample_is_not_written_to_and_chance_decides():
    sample = black(floor())
    for array in (sample.image, sample.target, sample.exact):
        array.flags.writeable = False
    one, again, other = (with_cutouts(sample, PICTURES, np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.target, again.target)
    np.testing.assert_array_equal(one.image, again.image)
    assert not np.array_equal(one.target, other.target)


def test_textures_come_from_the_pictures():
    rng = np.random.default_rng(5)
    picture = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    picture[..., 1] = 0
    picture[..., 2] = np.maximum(picture[..., 2], 60)
    for seed in range(10):
        made = with_cutouts(black(flat()), [picture], np.random.default_rng(seed), most=1)
        inside = cv2.erode((made.target != 0.5).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        assert (made.image[..., 1] == 0).all()
        assert inside.sum() == 0 or made.image[inside][:, 2].min() >= 59
