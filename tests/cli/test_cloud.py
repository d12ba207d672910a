"""`depth3d cloud`: what it writes, what it says, what it refuses."""

import json
import re

import cv2
import numpy as np
import pytest
import trimesh


def vertices(path):
    return np.asarray(trimesh.load(path, process=False).vertices)


def test_points_are_the_unprojected_pixels_with_their_colours(run, photo, depth_mm, tmp_path):
    done = run("cloud", photo, "--depth", depth_mm, "--focal-px", 40, "-o", "cloud.ply")
    assert done.exit_code == 0, done.output
    z = cv2.imread(str(depth_mm), cv2.IMREAD_UNCHANGED) / 1000.0
    v, u = np.nonzero(z)  # row-major, as the cloud is
    z = z[v, u]
    expected = np.stack([(u + 0.5 - 24) * z / 40, (v + 0.5 - 18) * z / 40, z], axis=-1)
    loaded = trimesh.load(tmp_path / "cloud.ply", process=False)
    np.testing.assert_allclose(loaded.vertices, expected, atol=1e-5)
    np.testing.assert_array_equal(
        loaded.colors[:, :3], np.stack([u * 5, v * 7, (u + v) * 3], axis=-1).astype(np.uint8)
    )
    assert done.stdout.startswith("cloud.ply: PointCloud(1,727 points")
    assert done.stderr == ""


def test_frames_and_units_move_the_same_points(run, photo, depth_mm, tmp_path):
    words = ("cloud", photo, "--depth", depth_mm, "--focal-px", 40)
    assert run(*words, "-o", "cv.ply").exit_code == 0
    assert run(*words, "-o", "gl.ply", "--frame", "opengl", "--unit", "mm", "--ascii").exit_code == 0
    assert run(*words, "-o", "blender.ply", "--frame", "blender", "--unit", "cm").exit_code == 0
    cv = vertices(tmp_path / "cv.ply")
    np.testing.assert_allclose(vertices(tmp_path / "gl.ply"), 1000 * cv * [1, -1, -1], rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(
        vertices(tmp_path / "blender.ply"), 100 * cv[:, [0, 2, 1]] * [1, 1, -1], rtol=1e-5, atol=1e-3
    )


def test_relative_depth_is_put_into_an_assumed_range_and_says_so(run, photo, disparity, tmp_path):
    done = run(
        "cloud", photo, "--depth", disparity, "--assume-range-m", "2,8", "--fov-x-deg", 60, "-o", "c.ply"
    )
    assert done.exit_code == 0, done.output
    z = vertices(tmp_path / "c.ply")[:, 2]
    np.testing.assert_allclose([z.min(), z.max()], [2, 8], rtol=1e-5)
    assert done.stderr.count("\n") == 1
    assert "assumed a range of 2 to 8 m" in done.stderr
    header = (tmp_path / "c.ply").read_bytes().split(b"end_header")[0].decode()
    assert "assumed a range of 2 to 8 m" in header
    assert "frame" in header
    assert "unit" in header


def test_assumed_field_of_view_is_said(run, photo, depth_mm):
    done = run("cloud", photo, "--depth", depth_mm, "-o", "c.ply")
    assert done.exit_code == 0
    assert "assumed 60 degrees" in done.stderr


def test_calibration_gives_its_own_metres(run, photo, disparity, tmp_path):
    (tmp_path / "cal.json").write_text(
        json.dumps({"format": "depth3d-calibration", "version": 1, "scale": 0.002, "shift": 0.1})
    )
    done = run(
        "cloud", photo, "--depth", disparity, "--calibration", "cal.json", "--fov-x-deg", 60, "-o", "c.ply"
    )
    assert done.exit_code == 0, done.output
    levels = cv2.imread(str(disparity), cv2.IMREAD_UNCHANGED).ravel()
    z = vertices(tmp_path / "c.ply")[:, 2]
    # Smoothing may move each pixel by half a level.
    np.testing.assert_allclose(1 / z, 0.002 * levels + 0.1, atol=0.501 * 0.002)
    assert done.stderr == ""


def test_nothing_is_overwritten_unless_asked(run, photo, depth_mm, tmp_path):
    (tmp_path / "c.ply").write_bytes(b"precious")
    words = ("cloud", photo, "--depth", depth_mm, "-o", "c.ply")
    done = run(*words)
    assert done.exit_code == 1
    assert "already exists; use --overwrite" in done.stderr
    assert (tmp_path / "c.ply").read_bytes() == b"precious"
    assert run(*words, "--overwrite").exit_code == 0
    assert (tmp_path / "c.ply").read_bytes().startswith(b"ply\n")


def test_preview_and_json(run, photo, depth_mm, tmp_path):
    done = run("cloud", photo, "--depth", depth_mm, "-o", "c.npz", "--preview", "views.png", "--json", "-q")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert (facts["points"], facts["preview"], facts["depth"]) == (1727, "views.png", "depth.png")
    assert (facts["camera"]["width"], facts["camera"]["cx"], facts["camera"]["source"]) == (48, 24, "assumed")
    assert done.stderr == ""
    views = cv2.imread(str(tmp_path / "views.png"))
    assert views.std() > 5  # something is drawn


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-o", "c.stl"], r"\.stl.*\.ply"),  # clouds have no triangles
        (["-o", "no/such/c.ply"], "does not exist; create it first"),
        (["-o", "folder.ply"], "is a directory"),
        (["-o", "c.ply", "--focal-px", "-5"], "positive"),
        (["-o", "c.ply", "--fov-x-deg", "180"], "between 0 and 180"),
        (["-o", "c.ply", "--fov-x-deg", "60", "--focal-px", "50"], "one of"),
        (["-o", "c.ply", "--camera", "missing.json"], "missing.json"),
        (["-o", "c.ply", "--depth-range-m", "5,2"], "near.*far"),
        (["-o", "c.ply", "--voxel-m", "0"], "voxel_m"),
        (["-o", "c.ply", "--preview", "views.ply"], "no picture's name"),
        (["-o", "c.ply", "--preview", "photo.png", "--overwrite"], "the input itself"),
        (["-o", "c.npz", "--ascii", "--preview", "views.png"], "always binary"),
    ],
)
def test_bad_words_get_one_sentence_and_leave_nothing(run, photo, depth_mm, tmp_path, words, sentence):
    (tmp_path / "folder.ply").mkdir()
    before = sorted(tmp_path.iterdir())
    done = run("cloud", photo, "--depth", depth_mm, *words)
    assert done.exit_code == 1, done.output
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert re.search(sentence, errors[0]), errors
    assert sorted(tmp_path.iterdir()) == before


def test_depth_of_another_aspect_is_refused(run, photo, tmp_path):
    cv2.imwrite(str(tmp_path / "d.png"), np.full((48, 36), 1000, np.uint16))
    done = run("cloud", photo, "--depth", "d.png", "-o", "c.ply")
    assert done.exit_code == 1
    assert "another aspect" in done.stderr


def test_depth_of_a_photo_that_carries_none(run, photo, tmp_path):
    cv2.imwrite(str(tmp_path / "plain.jpg"), np.zeros((8, 8, 3), np.uint8))
    done = run("cloud", photo, "--depth", "plain.jpg", "-o", "c.ply")
    assert done.exit_code == 1
    assert "carries no depth map" in done.stderr


def test_a_cloud_without_points_is_an_error_and_no_file(run, photo, depth_mm, tmp_path):
    done = run("cloud", photo, "--depth", depth_mm, "--depth-range-m", "100,200", "-o", "c.ply")
    assert done.exit_code == 1
    assert "no point is left" in done.stderr
    assert not (tmp_path / "c.ply").exists()


def test_the_network_is_asked_with_every_option_that_estimate_has(run, photo, tiny_folder, tmp_path):
    words = ("cloud", photo, "--model", tiny_folder, "--input-size", 28, "--fov-x-deg", 60)
    assert run(*words, "-o", "plain.ply").exit_code == 0
    done = run(*words, "--tta", "flip", "--refine", "guided", "-o", "averaged.ply")
    assert done.exit_code == 0, done.output
    plain, averaged = vertices(tmp_path / "plain.ply"), vertices(tmp_path / "averaged.ply")
    assert len(plain)
    assert len(averaged)
    assert plain.shape != averaged.shape or np.abs(plain - averaged).max() > 1e-4


def test_depth_without_a_known_pixel_is_told_apart(run, photo, tmp_path):
    np.save(tmp_path / "nan.npy", np.full((36, 48), np.nan, np.float32))
    done = run("cloud", photo, "--depth", "nan.npy", "--depth-kind", "metric", "-o", "c.ply")
    assert done.exit_code == 1
    assert "knows no pixel" in done.stderr
