"""Boards are where the ray-caster put them, and a real one agrees with the markers on it."""

import numpy as np
import pytest

from depth3d.calibrate.board_poses import locate_board
from depth3d.calibrate.boards import Board
from depth3d.calibrate.markers import find_markers
from depth3d.core.camera import Camera
from depth3d.errors import CameraError
from depth3d.io.camera_files import load_camera
from depth3d.io.images import load_image

LENS = Camera(350, 355, 211, 162, 426, 320, (-0.25, 0.06, 0.001, -0.0005, 0.01))
BOARDS = {
    "chessboard": (Board("chessboard", 9, 6, square_m=0.03), 0.5),
    "charuco": (Board("charuco", 7, 5, square_m=0.04, marker_m=0.03, dictionary="DICT_5X5_50"), 0.7),
}


@pytest.mark.parametrize("name", BOARDS)
def test_every_point_has_its_depth(name, photograph, poses):
    board, fill = BOARDS[name]
    for T in poses(board, LENS, 2, seed=1, tilt_deg=20, fill=fill):
        found = locate_board(photograph(board, LENS, T), LENS, board, name="a.jpg")
        assert found is not None
        # A chessboard may be found turned by half a turn: compare by pixel.
        expected = board.points_m @ T[:3, :3].T + T[:3, 3]
        away = np.linalg.norm(LENS.project(expected) - found.view.uv_px[:, None], axis=-1)
        truth = expected[away.argmin(axis=1), 2]
        np.testing.assert_allclose(found.depths_m, truth, rtol=0.003)
        assert (np.abs(found.depths_m - truth) < 4 * found.sigma_m).all()
        assert (found.sigma_m < 0.003 * truth).all()
        points = found.view.points_m @ found.T_camera_board[:3, :3].T + found.T_camera_board[:3, 3]
        np.testing.assert_allclose(points[:, 2], found.depths_m, rtol=1e-9)
        reached = np.linalg.norm(LENS.project(points) - found.view.uv_px, axis=1)
        assert found.reprojection_px == pytest.approx(np.sqrt((reached**2).mean()), rel=1e-6)
        assert found.reprojection_px < 0.2
        assert not found.ambiguous
        assert repr(found).startswith(f"BoardPose({len(truth)} points, z ")


def test_the_points_together_are_one_reference_worth_three_numbers(photograph, poses):
    board, fill = BOARDS["charuco"]
    (T,) = poses(board, LENS, 1, seed=1, tilt_deg=20, fill=fill)
    found = locate_board(photograph(board, LENS, T), LENS, board)
    samples = found.samples
    np.testing.assert_array_equal(samples.uv_px, found.view.uv_px)
    np.testing.assert_array_equal(samples.depth_m, found.depths_m)
    assert samples.independent == 3
    assert (found.sigma_m / found.depths_m).min() <= samples.sigma <= (found.sigma_m / found.depths_m).max()


def test_the_focal_lengths_error_is_in_the_sigma(photograph, poses):
    board, fill = BOARDS["charuco"]
    (T,) = poses(board, LENS, 1, seed=1, tilt_deg=20, fill=fill)
    image = photograph(board, LENS, T)
    rough = Camera(350, 355, 211, 162, 426, 320, LENS.distortion, sigma_rel=0.02)
    bare, full = locate_board(image, LENS, board), locate_board(image, rough, board)
    np.testing.assert_allclose(full.sigma_m, np.hypot(bare.sigma_m, 0.02 * bare.depths_m))


def test_no_board_is_none_and_a_foreign_camera_is_refused():
    board = BOARDS["chessboard"][0]
    image = np.full((120, 160, 3), 200, dtype=np.uint8)
    assert locate_board(image, Camera(100, 100, 80, 60, 160, 120), board) is None
    with pytest.raises(CameraError, match=r"resized\(\)"):
        locate_board(image, LENS, board)


def test_markers_and_the_real_board_around_them_agree_on_depth(shared_data):
    """The corners of the squares, which blur leaves in place, are the truth for markers of 25 pixels."""
    folder = shared_data / "opencv_aruco"
    image, camera = load_image(folder / "choriginal.jpg"), load_camera(folder / "tutorial_camera_charuco.yml")
    board = Board("charuco", 5, 7, square_m=0.04, marker_m=0.02)
    found = locate_board(image, camera, board)
    assert len(found.depths_m) == 24
    assert found.reprojection_px < 0.25
    markers = find_markers(image, camera, side_m=0.02)
    assert [marker.id for marker in markers] == list(range(17))
    normal, origin = found.T_camera_board[:3, 2], found.T_camera_board[:3, 3]
    scores = []
    for marker in markers:
        ray = camera.rays(np.array([marker.u_px, marker.v_px]))
        truth = (normal @ origin) / (normal @ ray)
        assert marker.depth_m == pytest.approx(truth, rel=0.025)
        scores.append((marker.depth_m - truth) / marker.sigma_m)
        tilt = np.degrees(np.arccos(normal @ marker.T_camera_marker[:3, 2]))
        assert marker.ambiguous or tilt < 6
    assert np.abs(scores).max() < 2.5
    assert np.sqrt(np.mean(np.square(scores))) < 1.5


def test_a_real_sheet_of_markers(shared_data):
    """Six markers of one size lie on one sheet; of their true side only the ratios of z are known."""
    folder = shared_data / "opencv_aruco"
    camera = load_camera(folder / "tutorial_camera_params.yml", width=640, height=480)
    markers = find_markers(load_image(folder / "singlemarkersoriginal.jpg"), camera, side_m=0.05)
    by_id = {marker.id: marker for marker in markers}
    assert sorted(by_id) == [23, 40, 62, 98, 124, 203]
    assert {marker.dictionary for marker in markers} == {"DICT_6X6_250"}
    assert max(marker.reprojection_px for marker in markers) < 0.3
    centres = np.array([marker.T_camera_marker[:3, 3] for marker in markers])
    middle = centres.mean(axis=0)
    normal = np.linalg.svd(centres - middle)[2][2]
    rays = camera.rays(camera.project(centres))
    off_plane = centres[:, 2] / ((normal @ middle) / (rays @ normal)) - 1
    assert np.abs(off_plane).max() < 0.015
    # OpenCV's own corners give these, on which its rounding of small markers costs one to two percent.
    opencv = {40: 0.676, 98: 0.735, 62: 0.751, 23: 0.848, 124: 0.882, 203: 0.878}
    ours = np.array([by_id[i].depth_m for i in opencv])
    theirs = np.array(list(opencv.values()))
    np.testing.assert_allclose(ours / ours[0], theirs / theirs[0], rtol=0.02)


def test_a_real_sheet_of_markers_of_a_custom_dictionary(shared_data):
    """35 markers in 7 rows of 5: by their own measure, a side is 5/6 of the pitch."""
    folder = shared_data / "opencv_aruco"
    camera = load_camera(folder / "tutorial_camera_params.yml", width=640, height=480)
    image = load_image(folder / "gboriginal.png")
    markers = find_markers(image, camera, side_m=0.04, dictionary=folder / "tutorial_dict.yml")
    assert [marker.id for marker in markers] == list(range(35))
    centres = np.array([marker.T_camera_marker[:3, 3] for marker in markers]).reshape(7, 5, 3)
    pitch = np.linalg.norm(np.diff(centres, axis=1), axis=-1)
    assert 0.04 / np.median(pitch) == pytest.approx(5 / 6, rel=0.01)
