"""`depth3d camera undistort`: a photo and its camera in, a straight photo and a pinhole out."""

import json

import cv2
import numpy as np
import pytest

import depth3d as d3

LENS = d3.Camera(40, 41, 24.5, 17.5, 48, 36, (-0.2, 0.05))


@pytest.fixture
def lens(tmp_path):
    d3.save(LENS, tmp_path / "lens.json")
    return tmp_path / "lens.json"


@pytest.mark.parametrize("flag", [[], ["--keep-all"]])
def test_it_does_what_the_function_does(run, photo, lens, tmp_path, flag):
    done = run("camera", "undistort", photo, "-o", "out.png", "--camera", lens, *flag,
               "--camera-output", "k.json", "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    image, pinhole = d3.undistort_image(d3.load_image(photo), LENS, keep_all=bool(flag))
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "out.png"))[..., ::-1], image)
    written = d3.load_camera(tmp_path / "k.json")
    np.testing.assert_array_equal(written.matrix, pinhole.matrix)
    assert (written.size_wh, written.distortion) == (image.shape[1::-1], ())
    report = json.loads(done.stdout)
    assert (report["output"], report["camera_output"]) == ("out.png", "k.json")
    assert report["camera"]["fx"] == 40


def test_a_camera_without_distortion_is_said(run, photo, tmp_path):
    done = run("camera", "undistort", photo, "-o", "out.png")
    assert done.exit_code == 0, done.output
    assert "no distortion" in done.stderr
    assert "--camera" in done.stderr
    np.testing.assert_array_equal(d3.load_image(tmp_path / "out.png"), d3.load_image(photo))


def test_nothing_is_overwritten_unasked(run, photo, lens, tmp_path):
    words = ("camera", "undistort", photo, "--camera", lens)
    assert run(*words, "-o", photo, "--overwrite").exit_code == 1
    assert "lens.json is the input itself" in run(
        *words, "-o", "out.png", "--camera-output", lens, "--overwrite"
    ).stderr  # fmt: skip
    (tmp_path / "k.json").write_text("{}")
    refused = run(*words, "-o", "out.png", "--camera-output", "k.json")
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr
    assert not (tmp_path / "out.png").exists()
    assert run(*words, "-o", "out.png", "--camera-output", "k.json", "--overwrite").exit_code == 0
    assert run(*words, "-o", "out.txt").exit_code == 1
    assert run(*words, "-o", "new.png", "--camera-output", "k.txt").exit_code == 1
    assert not (tmp_path / "new.png").exists()
