"""A film's range of depth: its first frame's, opening quickly and closing slowly."""

import math

import numpy as np
import pytest

import depth3d as d3
from depth3d.errors import InputError
from depth3d.render.film_range import FilmRange


def ramp(far, near, kind="relative", shape=(40, 60)):
    return d3.DepthMap(np.linspace(far, near, shape[0] * shape[1], dtype=np.float32).reshape(shape), kind)


def own(far, near):
    """Its 0.5th and 99.5th percentile."""
    return far + 0.005 * (near - far), far + 0.995 * (near - far)


def test_a_scene_starts_with_its_first_frame_and_headroom():
    far, near = own(2, 12)
    room = 0.08 * (near - far)
    assert FilmRange().follow(ramp(2, 12), 0.0) == pytest.approx((far - room, near + room), rel=1e-3)
    # No disparity of a map that has none below 0 is below 0.
    assert FilmRange().follow(ramp(0, 12), 0.0)[0] == 0
    assert FilmRange().follow(ramp(-3, 12), 0.0)[0] < -3


def test_it_opens_and_closes_by_the_exponential_laws():
    follower = FilmRange()
    _, near = follower.follow(ramp(2, 12), 0.0)
    _, outside = own(2, 40)
    _, after = follower.follow(ramp(2, 40), 0.5)
    assert after == pytest.approx(near + (outside - near) * (1 - math.exp(-0.5 / 1.5)), rel=1e-3)
    _, inside = own(2, 6)
    _, closing = follower.follow(ramp(2, 6), 1.5)
    assert closing == pytest.approx(after + (inside - after) * (1 - math.exp(-1 / 30)), rel=1e-3)
    # The same way in one step and in many.
    many, one = FilmRange(), FilmRange()
    one.follow(ramp(2, 12), 0.0)
    many.follow(ramp(2, 12), 0.0)
    for number in range(1, 101):
        steps = many.follow(ramp(2, 40), number / 100)
    assert steps == pytest.approx(one.follow(ramp(2, 40), 1.0), rel=1e-4)


def test_what_comes_and_goes_does_not_pump():
    """Something near swings through the picture every second; the background's brightness hardly moves."""
    follower, levels, own_levels = FilmRange(), [], []
    for number in range(30 * 60):
        time_s = number / 30
        near = 10 + 5 * math.sin(2 * math.pi * time_s)
        depth = ramp(2, near)
        low, high = follower.follow(depth, time_s)
        levels.append(255 * (4 - low) / (high - low))
        low, high = own(2, near)
        own_levels.append(255 * (4 - low) / (high - low))
    swings = np.array(levels[30 * 10 :]).reshape(-1, 30)
    assert np.ptp(own_levels) > 60
    assert np.ptp(swings, axis=1).max() < 1
    assert np.abs(np.diff(swings.mean(axis=1))).max() < 0.5  # a drift of half a level a second
    assert np.abs(np.diff(levels)).max() < 0.7


def test_cuts_given_ranges_and_maps_without_relief():
    follower = FilmRange()
    follower.follow(ramp(2, 12), 0.0)
    assert follower.follow(ramp(50, 90), 1.0, new_scene=True) == FilmRange().follow(ramp(50, 90), 0.0)
    assert FilmRange((1.0, 3.0)).follow(ramp(50, 90), 0.0) == (1.0, 3.0)
    z = d3.DepthMap(1 / ramp(0.5, 2).values, "metric")
    assert FilmRange().follow(z, 0.0) == pytest.approx(FilmRange().follow(ramp(0.5, 2), 0.0), rel=1e-3)
    low, high = FilmRange().follow(ramp(7, 7), 0.0)
    assert low < 7 < high
    nothing = d3.DepthMap(np.full((4, 5), np.nan, np.float32), "relative")
    assert FilmRange().follow(nothing, 0.0) == (0.0, 1.0)
    one = np.full((900, 900), np.nan, np.float32)
    one[1, 1] = 3
    low, high = FilmRange().follow(d3.DepthMap(one, "relative"), 0.0)
    assert low < 3 < high
    for wrong in ((3.0, 1.0), (0.0, math.inf), (1.0, 1.0)):
        with pytest.raises(InputError, match="farthest to a larger"):
            FilmRange(wrong)
