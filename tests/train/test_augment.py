"""Crops, resizes and flips move picture and target together; colours change the picture only."""

import numpy as np
import pytest

from depth3d.train.augment import Augmentation, augmented, fitted
from depth3d.train.samples import Sample

PLAIN = Augmentation(colour=0, damage=0)


def ramp(height=48, width=60, axis=1):
    """A sample whose red says the column (or row), four levels a pixel; the target says it too."""
    position = np.broadcast_to(np.arange(width) if axis == 1 else np.arange(height)[:, None], (height, width))
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = 4 * position
    image[..., 2] = 255 - 4 * position
    image.flags.writeable = False
    return Sample(image, position.astype(np.float32), position >= 20)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("size_hw", [(48, 60), (24, 20), (30, 90), (130, 97), (7, 7)])
def test_picture_target_and_exactness_stay_together(size_hw, axis):
    sample = ramp(axis=axis)
    for seed in range(30):
        made = augmented(sample, size_hw, PLAIN, np.random.default_rng(seed))
        assert made.image.shape == (*size_hw, 3)
        assert made.target.shape == made.exact.shape == size_hw
        # The target is a pixel's own value, so half a source pixel from the place that the picture shows.
        shown = made.image[..., 0] / 4.0
        assert np.abs(shown - made.target).max() <= 0.5 + 0.13
        np.testing.assert_array_equal(made.exact, made.target >= 20)
        assert np.abs(made.image[..., 2] - (255.0 - made.image[..., 0])).max() <= 1


def test_flips_happen_half_of_the_time_and_only_if_wanted():
    sample = ramp()
    for flip, low, high in ((True, 70, 130), (False, 0, 0)):
        rules = Augmentation(flip=flip, colour=0, damage=0)
        made = [augmented(sample, (20, 25), rules, np.random.default_rng(s)).target for s in range(200)]
        assert low <= sum(one[0, 0] > one[0, -1] for one in made) <= high


@pytest.mark.parametrize(
    "rules",
    [
        Augmentation(1, False, 1, 0),
        Augmentation(1, False, 0, 1),
        Augmentation(1, False, 1, 1),
    ],
)
def test_colour_and_damage_leave_the_target_alone(rules):
    sample = ramp()
    changed = 0
    for seed in range(20):
        made = augmented(sample, (48, 60), rules, np.random.default_rng(seed))
        np.testing.assert_array_equal(made.target, sample.target)
        np.testing.assert_array_equal(made.exact, sample.exact)
        assert made.image.dtype == np.uint8
        changed += not np.array_equal(made.image, sample.image)
    assert changed == 20


def test_without_rules_nothing_changes():
    sample = ramp()
    made = augmented(sample, (48, 60), Augmentation(1, False, 0, 0), np.random.default_rng(0))
    np.testing.assert_array_equal(made.image, sample.image)
    np.testing.assert_array_equal(made.target, sample.target)


def test_colours_keep_the_order_of_grays_and_stay_near():
    gray = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(16, axis=0)
    sample = Sample(gray, np.zeros((16, 256), np.float32), np.zeros((16, 256), np.bool_))
    for seed in range(40):
        made = augmented(sample, (16, 256), Augmentation(1, False, 1, 0), np.random.default_rng(seed)).image
        assert np.diff(made[0].astype(int), axis=0).min() >= -1  # one level of rounding
        assert 60 < made.mean() < 195
        assert made.std() > 30


def test_the_same_chance_gives_the_same_sample_and_another_one_another():
    sample, rules = ramp(), Augmentation(damage=0.5)
    one, again, other = (augmented(sample, (32, 40), rules, np.random.default_rng(s)) for s in (5, 5, 6))
    np.testing.assert_array_equal(one.image, again.image)
    np.testing.assert_array_equal(one.target, again.target)
    assert not np.array_equal(one.image, other.image)


def test_crops_are_the_pixels_themselves_where_no_resize_is_needed():
    sample = ramp(40, 60)
    for place, rows, columns in (
        ((0, 0), slice(0, 20), slice(0, 30)),
        ((1, 1), slice(20, 40), slice(30, 60)),
        ((1, 0), slice(0, 20), slice(30, 60)),
    ):
        made = fitted(sample, (20, 30), share=0.5, place=place)
        np.testing.assert_array_equal(made.image, sample.image[rows, columns])
        np.testing.assert_array_equal(made.target, sample.target[rows, columns])
    np.testing.assert_array_equal(fitted(sample, (40, 40)).image, sample.image[:, 10:50])


def test_crops_cover_at_least_their_share():
    sample = ramp(40, 60)
    rules = Augmentation(0.6, False, 0, 0)
    widths = [
        float(np.ptp(augmented(sample, (40, 60), rules, np.random.default_rng(s)).target)) + 1
        for s in range(200)
    ]
    assert 0.6 * 60 - 1 <= min(widths) < 0.65 * 60
    assert 0.95 * 60 < max(widths) <= 60


@pytest.mark.parametrize("size_hw", [(96, 120), (17, 11)])
def test_no_target_is_invented_and_holes_stay_holes(size_hw):
    rng = np.random.default_rng(2)
    target = rng.choice(np.array([0.02, 5.0, np.nan], np.float32), (48, 60))
    sample = Sample(np.zeros((48, 60, 3), np.uint8), target, np.isnan(target))
    made = fitted(sample, size_hw)
    assert set(np.unique(made.target[~np.isnan(made.target)])) == {np.float32(0.02), np.float32(5.0)}
    np.testing.assert_array_equal(np.isnan(made.target), made.exact)


@pytest.mark.parametrize("size_hw", [(1, 1), (8, 6)])
def test_a_sample_of_one_pixel_is_spread(size_hw):
    sample = Sample(np.full((1, 1, 3), 77, np.uint8), np.full((1, 1), 2.5, np.float32), np.ones((1, 1), bool))
    made = augmented(sample, size_hw, PLAIN, np.random.default_rng(0))
    assert (made.image == 77).all()
    assert (made.target == 2.5).all()
    assert made.exact.all()
    assert made.target.shape == size_hw
