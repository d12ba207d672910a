"""A film's focus: what passes by does not take it along, and it does not jump."""

import cv2
import numpy as np
import pytest

from depth3d.errors import InputError, NeedsMetricError
from depth3d.render.followed_focus import FollowedFocus, PointTracker

W, H = 160, 120


def flat(value):
    return np.full((H, W), value, np.float32)


def picture(shift=(0, 0), seed=3):
    texture = np.random.default_rng(seed).integers(0, 256, (H + 60, W + 60, 3)).astype(np.uint8)
    texture = cv2.GaussianBlur(texture, (0, 0), 2)
    dx, dy = shift
    return np.ascontiguousarray(texture[30 - dy : 30 - dy + H, 30 - dx : 30 - dx + W])


def test_a_passer_by_does_not_count_and_a_step_is_followed_without_a_jump():
    image, focus = picture(), FollowedFocus(is_metric=False, point=(80, 60))
    at = [focus.follow(image, flat(9.0 if 20 <= k < 26 else 2.0), k / 30).disparity for k in range(60)]
    assert at == pytest.approx([2.0] * 60)
    later = [focus.follow(image, flat(5.0), k / 30).disparity for k in range(60, 120)]
    assert np.all(np.diff([2.0, *later]) >= 0)
    assert np.abs(np.diff([2.0, *later])).max() < 0.5
    assert later[-1] == pytest.approx(5, abs=0.02)
    assert focus.follow(image, flat(7.0), 4.0, new_scene=True).disparity == 7


def test_given_distances_and_errors():
    focus = FollowedFocus(is_metric=True, focus_m=2.0)
    assert focus.follow(picture(), flat(0.1), 0.0).disparity == 0.5
    with pytest.raises(NeedsMetricError, match="focus_m"):
        FollowedFocus(is_metric=False, focus_m=2.0).follow(picture(), flat(1), 0.0)
    with pytest.raises(InputError, match="outside"):
        FollowedFocus(is_metric=False, point=(500, 2)).follow(picture(), flat(1), 0.0)


def test_the_tracked_point_moves_with_its_thing():
    ways = [(3 * k, -2 * k) for k in range(9)]
    tracker = PointTracker(picture(ways[0]), (60, 80))
    for dx, dy in ways[1:]:
        u, v = tracker.follow(picture((dx, dy)))
        assert (u, v) == pytest.approx((60 + dx, 80 + dy), abs=0.3)
    # Nothing to hold on to: it stays.
    assert tracker.follow(np.full((H, W, 3), 90, np.uint8)) == (u, v)
    assert tracker.follow(picture((0, 0), seed=9)) == (u, v)


def test_focus_follows_the_tracked_thing_through_depth():
    right = np.broadcast_to(np.arange(W, dtype=np.float32) / W, (H, W))
    still = FollowedFocus(is_metric=False, point=(60, 60))
    tracked = FollowedFocus(is_metric=False, point=(60, 60), track=True)
    for k in range(10):
        image = picture((3 * k, 0))
        fixed = still.follow(image, right, k / 5)
        moved = tracked.follow(image, right, k / 5)
    assert fixed.disparity == pytest.approx(60 / W, abs=0.01)
    assert moved.point == pytest.approx((87, 60), abs=0.5)
    assert fixed.disparity + 0.1 < moved.disparity < 87 / W
