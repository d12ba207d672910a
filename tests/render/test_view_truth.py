"""The parts of a view that benchmarks compare it in: against closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from depth3d import synthetic as syn

NEAR_M, FAR_M, SHIFT_M = 1.0, 4.0, 0.1


@pytest.fixture
def truths(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    import view_truth

    return view_truth


@pytest.fixture
def camera():
    return syn.default_camera(160, 40, 60)


def half_planes(truths, camera, x_m):
    """Look from the side at a near sheet on the left half before a far plane on the right one."""
    scene = syn.step_scene(near_m=NEAR_M, far_m=FAR_M)
    pose = np.eye(4)
    pose[0, 3] = x_m
    there = truths.inverse_depth(scene, camera, pose)
    return there, truths.seen_from_photo(scene, camera, pose, there)


def test_what_a_half_plane_hides_is_as_wide_as_the_parallax(truths, camera):
    _, (outside, uncovered) = half_planes(truths, camera, SHIFT_M)
    _, (_, covered) = half_planes(truths, camera, -SHIFT_M)
    parallax_px = camera.fx * SHIFT_M * (1 / NEAR_M - 1 / FAR_M)
    assert np.ptp(uncovered.sum(axis=1)) == 0
    assert abs(uncovered[0].sum() - parallax_px) <= 1
    assert not covered.any()
    assert not (outside & uncovered).any()


def test_what_lies_outside_is_as_wide_as_the_shift_of_the_border(truths, camera):
    there, (outside, _) = half_planes(truths, camera, SHIFT_M)
    expected_px = camera.fx * SHIFT_M * there[0, -1]
    assert abs(outside[0].sum() - expected_px) <= 1
    assert outside[0, -1]
    assert not outside[0, 0]


def test_a_silhouette_is_seven_pixels_wide_and_lies_three_beyond_the_nearer_side(truths, camera):
    there, _ = half_planes(truths, camera, 0.0)
    band = truths.silhouette_band(there, parallax_px=10.0)
    nearer = there[0] > 0.5 / NEAR_M
    assert (band.sum(axis=1) == 7).all()
    assert (band[0] & ~nearer).sum() == 3


def test_a_plane_has_no_silhouette_and_hides_nothing(truths, camera):
    scene = syn.floor_scene(1.0, 60)
    pose = np.eye(4)
    pose[:3, 3] = 0.05, -0.03, 0.1
    there = truths.inverse_depth(scene, camera, pose)
    outside, hidden = truths.seen_from_photo(scene, camera, pose, there)
    assert not hidden.any()
    assert not truths.silhouette_band(there, parallax_px=20.0).any()
    assert outside.any()


@pytest.mark.parametrize("motion", ["sideways", "upwards", "dolly in", "dolly out", "free"])
def test_poses_move_the_nearest_things_as_far_as_they_say(truths, camera, motion):
    near = truths.inverse_depth(syn.room_scene(), camera)
    pose, shift_px = truths.pose_for(motion, np.random.default_rng(4), near, camera)
    low, high = (share * camera.width for share in truths.SHIFT_SHARE)
    assert 0.95 * low <= shift_px <= 1.05 * high
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
    if motion != "free":
        assert np.count_nonzero(pose[:3, 3]) == 1
        assert truths.shift_px(near, camera, pose) == pytest.approx(shift_px)


def test_depth_as_from_a_network_is_soft_but_near_the_exact_one(truths, camera):
    near = truths.inverse_depth(syn.step_scene(near_m=NEAR_M, far_m=FAR_M), camera.resized(320, 240))
    soft = truths.as_network(near, 1)
    steepest = [float(np.abs(np.diff(a, axis=1)).max()) for a in (near, soft)]
    assert steepest[1] < 0.6 * steepest[0]
    assert 0.005 < np.abs(soft - near)[:, 10:60].mean() / np.ptp(near) < 0.03
    np.testing.assert_array_equal(soft, truths.as_network(near, 1))
