"""Poses of flat points: exact points give the exact pose, noisy ones its true spread."""

import cv2
import numpy as np
import pytest

from depth3d.calibrate.planar_pose import poses_of_plane
from depth3d.core.camera import Camera

SQUARE = 0.1 * np.array([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0.5, 0.5, 0], [-0.5, 0.5, 0]])
CAMERAS = {
    "pinhole": Camera(600, 605, 318, 242, 640, 480),
    "opencv": Camera(520, 515, 318, 242, 640, 480, (-0.25, 0.06, 0.001, -0.0005, 0.01)),
    "fisheye": Camera(320, 322, 318, 242, 640, 480, (0.05, -0.01, 0.002, 0.0), distortion_model="fisheye"),
}


def placed(camera, u, v, z, turn):
    T = np.eye(4)
    T[:3, :3] = cv2.Rodrigues(np.array(turn, dtype=float))[0]
    T[:3, 3] = z * camera.rays(np.array([u, v], dtype=float))
    return T


def seen(camera, T, points=SQUARE):
    return camera.project(points @ T[:3, :3].T + T[:3, 3])


@pytest.mark.parametrize("name", CAMERAS)
def test_exact_pixels_give_the_exact_pose(name):
    camera, rng = CAMERAS[name], np.random.default_rng(0)
    for _ in range(5):
        turn = rng.normal(size=3) * [0.5, 0.5, 1.5]
        T = placed(camera, rng.uniform(150, 500), rng.uniform(120, 360), rng.uniform(0.4, 1.2), turn)
        best = poses_of_plane(SQUARE, seen(camera, T), camera)[0]
        np.testing.assert_allclose(best.T_camera_plane, T, atol=1e-6)
        assert best.rms_px < 1e-6
        np.testing.assert_allclose(best.depths_m(SQUARE), (SQUARE @ T[:3, :3].T + T[:3, 3])[:, 2], rtol=1e-6)


@pytest.mark.parametrize("name", CAMERAS)
def test_the_predicted_sigma_is_that_of_many_draws(name):
    camera, rng = CAMERAS[name], np.random.default_rng(1)
    T = placed(camera, 420, 170, 0.6, (0.6, 0.3, 0.4))
    exact, sigma_px, scores, costs = seen(camera, T), 0.2, [], []
    where = np.concatenate([np.zeros((1, 3)), SQUARE[:1]])
    truth = (where @ T[:3, :3].T + T[:3, 3])[:, 2]
    for _ in range(150):
        pose = poses_of_plane(SQUARE, exact + sigma_px * rng.normal(size=(4, 2)), camera)[0]
        scores.append((pose.depths_m(where) - truth) / pose.depth_sigmas_m(where, sigma_px))
        costs.append(pose.cost)
    # The sigma of a standard deviation from 150 draws is 6 %.
    np.testing.assert_allclose(np.std(scores, axis=0), 1, atol=0.2)
    assert np.abs(np.mean(scores, axis=0)).max() < 0.3
    assert np.mean(costs) / sigma_px**2 == pytest.approx(2, rel=0.35)  # eight numbers seen, six fitted


def test_the_sigma_of_a_square_straight_ahead_is_that_of_its_size():
    """Four corners tell the scale of their square to sigma / (sqrt(2) side), and z goes with 1 / scale."""
    camera = Camera(600, 600, 320, 240, 640, 480)
    T = placed(camera, 320, 240, 0.6, (0, 0, 0))
    pose = poses_of_plane(SQUARE, seen(camera, T), camera)[0]
    expected = 0.6 * 0.1 / (np.sqrt(2) * 100)
    np.testing.assert_allclose(pose.depth_sigmas_m(np.zeros((1, 3)), 0.1), expected, rtol=1e-3)


def test_of_two_poses_the_one_with_the_smaller_error_comes_first():
    camera = CAMERAS["pinhole"]
    T = placed(camera, 400, 200, 0.5, (0.7, 0.2, 0))
    best, other = poses_of_plane(SQUARE, seen(camera, T), camera)
    assert best.cost < other.cost
    assert not best.is_beaten_by_chance(other, sigma_px=0.1)
    assert best.is_beaten_by_chance(other, sigma_px=1.01 * np.sqrt(other.cost) / 3)
    assert not best.is_beaten_by_chance(other, sigma_px=0.99 * np.sqrt(other.cost) / 3)


def test_what_the_lens_cannot_have_seen_has_no_pose():
    camera = Camera(520, 515, 318, 242, 640, 480, (-0.25,))  # folds over 600 px from the axis
    beyond = np.add(seen(camera, placed(camera, 320, 240, 0.5, (0, 0, 0))), [9000, 0])
    assert poses_of_plane(SQUARE, beyond, camera) == ()
    assert poses_of_plane(SQUARE, np.full((4, 2), 100.0), camera) == ()


def test_poses_are_read_only():
    camera = CAMERAS["pinhole"]
    pose = poses_of_plane(SQUARE, seen(camera, placed(camera, 400, 200, 0.5, (0.7, 0.2, 0))), camera)[0]
    with pytest.raises(ValueError, match="read-only"):
        pose.T_camera_plane[0, 0] = 2
