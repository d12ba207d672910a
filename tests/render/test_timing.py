"""Easings and timings: ends, slopes, loops without a seam, rests."""

import numpy as np
import pytest

import depth3d as d3
from depth3d.render.easing import EASINGS, ease, is_smooth
from depth3d.render.timing import Timing

T = np.linspace(0, 1, 2001)


@pytest.mark.parametrize("name", EASINGS)
def test_easings_go_from_0_to_1_and_never_back(name):
    way = ease(name, T)
    assert (way[0], way[-1]) == (0, 1)
    assert (np.diff(way) >= 0).all()
    assert ease(name, -3) == 0
    assert ease(name, 7) == 1


@pytest.mark.parametrize("name", EASINGS)
def test_easings_start_and_end_as_fast_as_they_say(name):
    step = 1e-6
    first, last = ease(name, step) / step, (1 - ease(name, 1 - step)) / step
    assert is_smooth(name, there_and_back=False) == (abs(first - last) < 1e-3)
    assert is_smooth(name, there_and_back=True) == (max(first, last) < 1e-3)


@pytest.mark.parametrize("name", ["linear", "sine", "smooth", "smoother", "quadratic", "cubic"])
def test_easings_of_both_ends_are_symmetric(name):
    np.testing.assert_allclose(ease(name, T) + ease(name, 1 - T), 1, atol=1e-12)


def test_the_other_two_mirror_each_other():
    np.testing.assert_allclose(ease("in", T), 1 - ease("out", 1 - T), atol=1e-15)


@pytest.mark.parametrize("repeat", ["loop", "ping-pong"])
@pytest.mark.parametrize("easing", ["linear", "sine", "cubic"])
@pytest.mark.parametrize("frames", [1, 7, 90])
def test_a_repeated_film_begins_again_to_the_bit(repeat, easing, frames):
    timing = Timing(frames, repeat, easing, hold=0.25)
    one = timing.phases()
    np.testing.assert_array_equal(timing.phases(np.arange(frames) + 5 * frames), one)
    np.testing.assert_array_equal(timing.phases(np.arange(frames) - frames), one)


def test_a_loop_does_not_show_its_first_frame_twice():
    np.testing.assert_allclose(Timing(8).phases(), np.arange(8) / 8, rtol=0, atol=1e-15)


def test_there_and_back_shows_each_end_once():
    phases = Timing(8, "ping-pong", "linear").phases()
    np.testing.assert_allclose(phases, [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25], atol=1e-15)


def test_once_shows_both_ends():
    phases = Timing(5, "once", "linear").phases()
    np.testing.assert_allclose(phases, [0, 0.25, 0.5, 0.75, 1], atol=1e-15)
    # Moments before the first and after the last frame, as an open shutter asks for them, are at rest.
    np.testing.assert_array_equal(Timing(5, "once", "sine").phases([-0.5, 4.5]), [0, 1])
    assert Timing(1, "once").phases() == [0]


def test_rests():
    assert (Timing(100, "once", "sine", hold=0.4).phases()[60:] == 1).all()
    turns = Timing(100, "ping-pong", "sine", hold=0.4).phases()
    assert (turns[30:51] == 1).all()
    assert (turns[81:] == 0).all()
    assert (Timing(100, "loop", "sine", hold=0.4).phases()[:41] == 0).all()


@pytest.mark.parametrize("repeat", ["loop", "ping-pong"])
@pytest.mark.parametrize("hold", [0.0, 0.3])
def test_speed_is_continuous_all_round(repeat, hold):
    timing = Timing(100, repeat, "sine", hold=hold)
    step = 1e-3
    moments = np.arange(0, 100, step)
    angle = 2 * np.pi * timing.phases(moments)  # round the corner from 1 to 0, too
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    speed = np.diff(np.concatenate([points, points[:1]]), axis=0) / step
    bend = np.abs(np.diff(np.concatenate([speed, speed[:1]]), axis=0)).max()
    assert bend < 1e-3 * np.abs(speed).max()
    if repeat == "ping-pong" and not hold:  # a linear one turns round at once
        sharp = np.diff(Timing(100, repeat, "linear").phases(moments)) / step
        assert np.abs(np.diff(sharp)).max() > 0.9 * np.abs(sharp).max()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"frames": 0}, "frames must be"),
        ({"frames": 2.5}, "frames must be"),
        ({"frames": 5, "repeat": "never"}, "repeat must be one of"),
        ({"frames": 5, "easing": "bouncy"}, "easing must be one of"),
        ({"frames": 5, "hold": 1}, "hold must be"),
    ],
)
def test_bad_timings_are_refused(values, says):
    with pytest.raises(d3.Depth3DError, match=says):
        Timing(**values)
