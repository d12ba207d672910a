"""Board points are right if they are where the ray-caster put them, to hundredths of a pixel."""

import cv2
import numpy as np
import pytest

from depth3d.calibrate.boards import Board, BoardView, find_board
from depth3d.core.camera import Camera
from depth3d.errors import InputError

LENS = Camera(350, 355, 211, 162, 426, 320, (-0.25, 0.06, 0.001, -0.0005, 0.01))
BOARDS = {
    "chessboard": Board("chessboard", 9, 6),
    "circles": Board("circles", 4, 11, square_m=0.02),
    "charuco": Board("charuco", 7, 5, square_m=0.04, marker_m=0.03, dictionary="DICT_5X5_50"),
    "charuco with even rows": Board("charuco", 5, 6, square_m=0.04),
}
FILL = {"chessboard": 0.5, "circles": 0.35, "charuco": 0.7, "charuco with even rows": 0.5}
# Circles: the middle of a tilted circle's picture is not the picture of its middle.
WORST_PX = {"chessboard": 0.25, "circles": 0.1, "charuco": 0.25, "charuco with even rows": 0.25}


def truth(view: BoardView, camera: Camera, T: np.ndarray) -> np.ndarray:
    return camera.project(view.points_m @ T[:3, :3].T + T[:3, 3])


def same_way_up(view: BoardView, expected: np.ndarray) -> np.ndarray:
    """Turn a board by half a turn if it was found so: nothing in a chessboard tells."""
    turned = view.uv_px[::-1]
    return min(view.uv_px, turned, key=lambda uv: np.abs(uv - expected).max())


@pytest.mark.parametrize("name", BOARDS)
def test_points_are_found_where_they_are(name, photograph, poses):
    board, errors = BOARDS[name], []
    for T in poses(board, LENS, 2, seed=1, tilt_deg=20, fill=FILL[name]):
        view = find_board(photograph(board, LENS, T), board, name="a.jpg")
        assert view is not None
        assert (view.width, view.height, view.name) == (426, 320, "a.jpg")
        if board.kind == "charuco":
            assert len(view.points_m) >= 12  # the others may lie outside
        else:
            np.testing.assert_array_equal(view.points_m, board.points_m)
        expected = truth(view, LENS, T)
        found = view.uv_px if board.kind == "charuco" else same_way_up(view, expected)
        errors.append(found - expected)
    errors = np.concatenate(errors)
    assert np.abs(errors).max() < WORST_PX[name]
    assert np.abs(errors.mean(axis=0)).max() < 0.03  # half a pixel would show here


def test_a_large_picture_is_searched_small_and_measured_whole(photograph, poses):
    board = BOARDS["chessboard"]
    (T,) = poses(board, LENS, 1, tilt_deg=20, fill=0.5)
    image = cv2.resize(photograph(board, LENS, T), (4 * 426, 4 * 320), interpolation=cv2.INTER_CUBIC)
    view = find_board(image, board)
    assert (view.width, view.height) == (1704, 1280)
    expected = 4 * truth(view, LENS, T)
    assert np.abs(same_way_up(view, expected) - expected).max() < 4 * 0.2


@pytest.mark.parametrize("margin_px", [9, 14])
def test_corners_near_the_border_are_found_where_they_are(margin_px, photograph, poses):
    board = BOARDS["chessboard"]
    (T,) = poses(board, LENS, 1, tilt_deg=20, fill=0.5)
    expected = LENS.project(board.points_m @ T[:3, :3].T + T[:3, 3])
    cut = int(expected[:, 0].max() + margin_px)
    view = find_board(photograph(board, LENS, T)[:, :cut], board)
    assert np.abs(same_way_up(view, expected) - expected).max() < 0.35


def test_a_part_of_a_charuco_board_is_enough(photograph, poses):
    board = BOARDS["charuco"]
    (T,) = poses(board, LENS, 1, tilt_deg=20, fill=0.7)
    image = photograph(board, LENS, T)
    image[:, 320:] = 255
    view = find_board(image, board)
    assert 8 <= len(view.uv_px) < len(board.points_m)
    kept = view.uv_px[:, 0] < 310
    np.testing.assert_allclose(view.uv_px[kept], truth(view, LENS, T)[kept], atol=0.25)


@pytest.mark.parametrize("name", BOARDS)
def test_where_no_board_is_none_is_found(name):
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    assert find_board(noise, BOARDS[name]) is None
    assert find_board(np.full((1, 1, 3), 200, dtype=np.uint8), BOARDS[name]) is None


def test_the_points_of_an_asymmetric_grid_are_staggered():
    points = Board("circles", 2 + 1, 3, square_m=1.0).points_m
    np.testing.assert_array_equal(
        points[:, :2], [[0, 0], [2, 0], [4, 0], [1, 1], [3, 1], [5, 1], [0, 2], [2, 2], [4, 2]]
    )


def test_charuco_points_are_opencvs():
    board = BOARDS["charuco"]
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_50)
    layout = cv2.aruco.CharucoBoard((7, 5), 0.04, 0.03, dictionary)
    np.testing.assert_allclose(board.points_m, layout.getChessboardCorners(), atol=1e-8)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "dots"}, "kind must be one of"),
        ({"columns": 2}, "at least 3x3"),
        ({"square_m": 0}, "positive metres"),
        ({"kind": "charuco", "marker_m": 0.03}, "smaller than squares"),
    ],
)
def test_impossible_boards_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        Board(**{"kind": "chessboard", "columns": 9, "rows": 6} | fields)


def test_an_unknown_dictionary_is_refused():
    with pytest.raises(InputError, match="no dictionary 'DICT_9X9'"):
        find_board(np.zeros((50, 50, 3), np.uint8), Board("charuco", 5, 5, dictionary="DICT_9X9"))


def test_views_check_their_points():
    with pytest.raises(InputError, match="can't have 2 pixels"):
        BoardView(np.zeros((3, 3)), np.zeros((2, 2)), 10, 10)
    with pytest.raises(InputError, match="finite"):
        BoardView(np.zeros((1, 3)), np.full((1, 2), np.nan), 10, 10)


def test_real_charuco_board(shared_data):
    image = cv2.imread(str(shared_data / "opencv_aruco/choriginal.jpg"))[..., ::-1].copy()
    view = find_board(image, Board("charuco", 5, 7, square_m=0.04, marker_m=0.02))
    assert len(view.uv_px) == 24  # all inner corners of 5x7 squares
