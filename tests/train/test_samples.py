"""Synthetic samples: exact, endless, the same for the same seed."""

import numpy as np
import pytest

from depth3d.train.samples import SyntheticSamples

SIZE_WH = (48, 36)


@pytest.fixture(scope="module")
def scenes():
    disparity, metres = SyntheticSamples(SIZE_WH), SyntheticSamples(SIZE_WH, metric=True)
    return [(disparity.load(i), metres.load(i)) for i in range(12)]


def test_disparity_is_the_inverse_of_metres_and_the_sky_is_at_0(scenes):
    skies = 0
    for disparity, metres in scenes:
        assert disparity.image.shape == (36, 48, 3)
        assert disparity.target.dtype == metres.target.dtype == np.float32
        assert disparity.exact.all()
        np.testing.assert_array_equal(disparity.image, metres.image)
        sky = np.isnan(metres.target)
        np.testing.assert_array_equal(disparity.target == 0, sky)
        np.testing.assert_allclose(disparity.target[~sky], 1 / metres.target[~sky], rtol=1e-6)
        assert np.nanmin(metres.target) > 0.3
        skies += bool(sky.any())
    assert 0 < skies < 12


def test_no_two_scenes_are_alike_and_seeds_count_on(scenes):
    assert len({sample.target.tobytes() for sample, _ in scenes}) == 12
    later = SyntheticSamples(SIZE_WH, first_seed=10)
    np.testing.assert_array_equal(later.load(1).target, scenes[11][0].target)
    np.testing.assert_array_equal(later.load(1).image, scenes[11][0].image)


def test_photos_cover_surfaces_and_leave_the_geometry(scenes):
    photo = np.zeros((8, 8, 3), np.uint8)
    photo[..., 0] = 250
    reds = 0
    covered = SyntheticSamples(SIZE_WH, photos=[photo])
    for index, (plain, _) in enumerate(scenes[:6]):
        made = covered.load(index)
        np.testing.assert_array_equal(made.target, plain.target)
        reds += ((made.image[..., 0] > 60) & (made.image[..., 1:] < 25).all(axis=2)).mean() > 0.1
    assert reds >= 5


def test_there_is_no_end_to_them_unless_one_is_set():
    assert len(SyntheticSamples()) > 10**9
    assert len(SyntheticSamples(count=7)) == 7
    assert SyntheticSamples(SIZE_WH).load(10**9).target.shape == (36, 48)
