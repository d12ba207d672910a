"""Smoothing of 8-bit depth: slopes come back, edges and everything continuous stay."""

import numpy as np
import pytest

from depth3d.core.depth import DepthMap
from depth3d.lift.debanding import smooth_levels, step_of_levels

HEIGHT, WIDTH = 120, 160


def slope():
    """A slanted plane with 60 levels across, so each terrace is about 3 pixels wide, plus a bowl."""
    v, u = np.mgrid[:HEIGHT, :WIDTH] / WIDTH
    return (0.2 + 0.25 * u + 0.12 * v + 0.1 * (u - 0.5) ** 2).astype(np.float32)


def quantised(disparity):
    return (np.rint(disparity * 255) / 255).astype(np.float32)


@pytest.mark.parametrize("kind", ["relative", "metric"])
def test_a_slope_comes_back_within_a_fraction_of_a_level(kind):
    true, stored = slope(), quantised(slope())
    depth = DepthMap(stored if kind == "relative" else 1 / stored, kind)
    smooth = smooth_levels(depth)
    back = smooth.values if kind == "relative" else 1 / smooth.values
    assert smooth.kind == kind
    assert np.abs(back - stored).max() <= 0.5 / 255 + 1e-6  # never leaves the level
    error, before = np.abs(back - true), np.abs(stored - true)
    assert np.sqrt((error**2).mean()) < 0.35 * np.sqrt((before**2).mean())
    # The terraces are gone: the gradient no longer alternates between 0 and a whole step.
    assert np.abs(np.diff(back[:, 20:-20], axis=1)).max() < 0.75 / 255


def test_a_map_that_flickers_loses_its_noise_and_keeps_its_edges():
    true = slope()
    true[:, 80:] += 0.3
    noisy = true + np.random.default_rng(0).normal(0, 0.3 / 255, true.shape).astype(np.float32)
    stored = quantised(noisy)
    back = smooth_levels(DepthMap(stored, "relative")).values
    assert np.abs(back - stored).max() <= 1 / 255 + 1e-6
    calm = np.abs(np.arange(WIDTH) - 79.5) > 8
    rms = [float(np.sqrt(((found - true)[:, calm] ** 2).mean())) for found in (back, stored)]
    assert rms[0] < 0.32 * rms[1]
    np.testing.assert_allclose(back[:, 80] - back[:, 79], 0.3, atol=3 / 255)


def test_edges_stay_where_they_are():
    true = slope()
    true[:, 80:] += 0.3
    stored = quantised(true)
    back = smooth_levels(DepthMap(stored, "relative")).values
    jump = back[:, 80] - back[:, 79]
    np.testing.assert_allclose(jump, 0.3, atol=1.5 / 255)


def test_the_farthest_level_stays_this_side_of_infinity():
    stored = ((np.rint(slope() * 255) - np.rint(slope() * 255).min() + 0.2) / 255).astype(np.float32)
    depth = DepthMap(1 / stored, "metric")
    smooth = smooth_levels(depth)
    assert smooth is not depth
    assert smooth.valid.all()  # 0.2 levels less half a level is beyond infinity
    assert smooth.values.max() <= depth.values.max() * (1 + 1e-5)


def test_unknown_pixels_take_no_part():
    # The slope runs along the rim of the hole, so one-sided means are as good as any.
    true = np.tile(0.2 + 0.25 * np.arange(HEIGHT)[:, None] / HEIGHT, (1, WIDTH)).astype(np.float32)
    stored = quantised(true)
    whole = smooth_levels(DepthMap(stored, "relative")).values
    stored[:, :60] = np.nan
    beside = smooth_levels(DepthMap(stored, "relative")).values[:, 60:]
    np.testing.assert_allclose(beside, whole[:, 60:], atol=0.02 / 255)


def test_unknown_stays_unknown_and_does_not_spread():
    stored = quantised(slope())
    stored[40:60, 40:60] = np.nan
    back = smooth_levels(DepthMap(stored, "relative")).values
    np.testing.assert_array_equal(np.isnan(back), np.isnan(stored))
    assert np.nanmax(np.abs(back - stored)) <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(
    "values",
    [
        slope(),  # continuous
        np.where(slope() > 0.3, 1.0, 0.5),  # two planes: flat, not quantised
        np.rint(slope() * 4000) / 4000,  # a sensor with more than 256 levels
        np.full((4, 4), np.nan),  # nothing known
        np.ones((1, 1)),  # one pixel
    ],
)
def test_what_is_not_quantised_is_returned_as_it_is(values):
    depth = DepthMap(values, "relative")
    assert smooth_levels(depth) is depth


def test_the_step_is_found():
    np.testing.assert_allclose(step_of_levels(DepthMap(quantised(slope()), "relative")), 1 / 255, rtol=1e-4)
