"""`depth3d camera calibrate`: photos of a board in, a camera file out."""

import json

import cv2
import numpy as np
import pytest

import depth3d as d3

LENS = d3.Camera(300, 302, 162, 118, 320, 240, (-0.2, 0.05))


def drawn_board(T):
    """A 5x4-corner chessboard at a pose, through `LENS`, with soft edges."""
    rays = cv2.resize(LENS.pixel_rays(), (960, 720), interpolation=cv2.INTER_LINEAR)
    hit = rays * ((T[:3, 2] @ T[:3, 3]) / (rays @ T[:3, 2]))[..., None] - T[:3, 3]
    x, y = hit @ T[:3, 0] / 0.03, hit @ T[:3, 1] / 0.03
    dark = (np.abs(x - 2) < 3) & (np.abs(y - 1.5) < 2.5) & ((np.floor(x) + np.floor(y)) % 2 == 0)
    grey = np.where(dark, 30.0, 220.0).reshape(240, 3, 320, 3).mean(axis=(1, 3))
    return np.repeat(np.rint(cv2.GaussianBlur(grey, (0, 0), 0.7)).astype(np.uint8)[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def boards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("boards")
    for i in range(6):
        T = np.eye(4)
        T[:3, :3] = cv2.Rodrigues(0.6 * np.array([np.cos(i), np.sin(i), 0.2]))[0]
        T[:3, 3] = [0.02 * np.cos(2 * i), 0.015 * np.sin(2 * i), 0.25] - T[:3, :3] @ [0.06, 0.045, 0]
        d3.save(drawn_board(T), folder / f"{i}.png")
    d3.save(np.full((240, 320, 3), 90, np.uint8), folder / "wall.png")
    return folder


def test_a_camera_comes_out_of_photos(run, boards, tmp_path):
    photos = sorted(boards.glob("*.png"))
    done = run("camera", "calibrate", *photos, "-o", "camera.json", "--board", "5x4", "--json")
    assert done.exit_code == 0, done.output
    assert "wall.png shows no chessboard of 5x4: left out" in done.stderr
    report = json.loads(done.stdout)
    assert len(report["views"]) == 6
    assert report["without_board"] == [str(boards / "wall.png")]
    assert report["rms_px"] < 0.2
    camera = d3.load_camera(tmp_path / "camera.json")
    assert camera.size_wh == (320, 240)
    for name in ("fx", "fy", "cx", "cy"):
        assert abs(getattr(camera, name) - getattr(LENS, name)) < max(4 * report["sigma"][name], 1.0)
    assert camera.sigma_rel == pytest.approx(report["camera"]["sigma_rel"])


def test_the_table_has_a_line_for_each_photo_and_parameter(run, boards):
    photos = sorted(boards.glob("[0-3].png"))
    done = run("camera", "calibrate", *photos, "-o", "c.yaml", "--board", "5x4", "--square-pixels")
    assert done.exit_code == 0, done.output
    for word in ("0.png", "3.png", "fx", "k3", "4 of 4 views"):
        assert word in done.stdout
    assert "only 4 views" in done.stderr
    storage = cv2.FileStorage("c.yaml", cv2.FILE_STORAGE_READ)
    K = storage.getNode("camera_matrix").mat()
    assert K[0, 0] == K[1, 1]


def test_errors_are_one_line(run, boards, tmp_path):
    photos = sorted(boards.glob("*.png"))
    assert run("camera", "calibrate", *photos, "-o", "c.json", "--board", "9by6").exit_code == 2
    wrong_size = run("camera", "calibrate", boards / "wall.png", "-o", "c.json")
    assert wrong_size.exit_code == 1
    assert "found in 0 pictures" in wrong_size.stderr
    assert run("camera", "calibrate", *photos, "-o", "c.txt").exit_code == 1
    (tmp_path / "there.json").write_text("{}")
    assert "--overwrite" in run("camera", "calibrate", *photos, "-o", "there.json").stderr
