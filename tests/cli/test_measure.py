"""`depth3d measure`: true lengths with a sigma, guesses that say so, and the known board of a real photo."""

import json
import re

import numpy as np
import pytest

import depth3d as d3

WIDTH, HEIGHT = 120, 90
CAMERA = d3.Camera.from_fov(WIDTH, HEIGHT, 60)


def points_at(uv):
    u, v = np.transpose(uv)
    z = 1 / (0.3 + 0.001 * u + 0.002 * v)
    return np.stack([(u - CAMERA.cx) / CAMERA.fx * z, (v - CAMERA.cy) / CAMERA.fy * z, z], axis=1)


@pytest.fixture
def files(tmp_path):
    v, u = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    q = 0.3 + 0.001 * u + 0.002 * v
    d3.save(np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8), tmp_path / "photo.png")
    d3.save(d3.DepthMap(2 * q - 0.4, "relative"), tmp_path / "depth.npz", camera=CAMERA)
    d3.save(d3.DepthMap(1 / q, "metric"), tmp_path / "metres.npz", camera=CAMERA)
    return tmp_path


UV = [(20, 30), (100, 35), (60, 80)]
WORDS = [f"{u},{v}" for u, v in UV]
ANCHORS = [
    word
    for (u, v), (_, _, z) in zip(
        ((10, 10), (110, 80), (60, 45)), points_at([(10, 10), (110, 80), (60, 45)]), strict=True
    )
    for word in ("--anchor", f"{u},{v},{z}")
]


def test_lengths_are_true_and_have_a_sigma(run, files):
    result = run("measure", "photo.png", *WORDS, "--depth", "depth.npz", *ANCHORS, "--json")
    assert result.exit_code == 0, result.stderr
    found, true = json.loads(result.stdout), points_at(UV)
    np.testing.assert_allclose([point["xyz_m"] for point in found["points"]], true, rtol=1e-3)
    lengths = np.linalg.norm(np.diff(true, axis=0), axis=1)
    np.testing.assert_allclose(found["lengths_m"], lengths, rtol=1e-3)
    assert found["total_m"] == pytest.approx(lengths.sum(), rel=1e-3)
    assert 0 < found["total_sigma_m"] < 0.2 * found["total_m"]
    assert "metres from 3 of 3 references" in found["notes"][0]


def test_the_words_say_what_json_says(run, files):
    words = ["measure", "photo.png", *WORDS, "--depth", "depth.npz", *ANCHORS]
    found = json.loads(run(*words, "--json").stdout)
    lines = run(*words).stdout.splitlines()
    assert len(lines) == 3 + 2 + 1
    assert re.match(r"^\(20, 30\) +z 2.632 \+- ", lines[0])
    assert re.match(
        rf"^1 to 2 +{found['lengths_m'][0]:.4g} \+- {found['length_sigma_m'][0]:.2g} m$", lines[3]
    )
    assert lines[-1].startswith("total")


def test_one_point_has_z_and_range(run, files):
    result = run("measure", "photo.png", "20,30", "--depth", "depth.npz", *ANCHORS)
    away = np.linalg.norm(points_at([(20, 30)]))
    assert re.match(rf"^\(20, 30\)  z 2.632 \+- [\d.]+ m  range {away:.4g} \+- [\d.]+ m\n$", result.stdout)


def test_a_guess_is_called_one(run, files):
    result = run("measure", "photo.png", *WORDS, "--depth", "depth.npz")
    assert result.exit_code == 0
    assert "guess" in result.stderr
    assert "of unknown accuracy" in result.stdout
    assert "+-" not in result.stdout
    metric = run("measure", "photo.png", "20,30", "--depth", "metres.npz")
    assert "how sure these figures are is unknown" in metric.stderr
    assert "2.63 m (of unknown accuracy)" in metric.stdout


@pytest.mark.parametrize(
    ("words", "code", "match"),
    [
        (["20"], 2, "'20' must be numbers X,Y, such as 320,410"),
        ([], 2, "Missing argument"),
        (["500,3"], 1, r"the point \(500, 3\) lies outside the picture of 120x90"),
        (["5,3", "--calibration", "none.json"], 1, "none.json"),
    ],
)
def test_bad_words_get_one_sentence(run, files, words, code, match):
    result = run("measure", "photo.png", *words, "--depth", "depth.npz")
    assert result.exit_code == code
    assert re.search(match, result.stderr)
    assert result.stdout == ""


def test_markers_of_a_real_photo_measure_the_sheet_that_they_lie_on(run, shared_data):
    """Six markers of one sheet calibrate `mini`; the lengths between two, by their poses, must come out.

    The side is not documented, so 50 mm is assumed: all lengths share that factor.
    """
    folder = shared_data / "opencv_aruco"
    photo, camera_file = folder / "singlemarkersoriginal.jpg", folder / "tutorial_camera_params.yml"
    common = [photo, "--model", "mini", "--camera", camera_file]
    made = run("calibrate", *common, "--marker-m", 0.05, "-o", "c.json", "--report", "r.html")
    assert made.exit_code == 0, made.stderr
    assert made.stderr.count("found Marker") == 6
    camera = d3.camera_for(photo, camera_file=camera_file)
    markers = {m.id: m for m in d3.find_markers(d3.load_image(photo), camera, side_m=0.05)}
    seen = [markers[number] for number in (40, 203, 62, 98)]
    true = np.linalg.norm(np.diff([m.T_camera_marker[:3, 3] for m in seen], axis=0), axis=1)
    pixels = [f"{m.u_px},{m.v_px}" for m in seen]
    result = run("measure", *common[:1], *pixels, *common[1:], "--calibration", "c.json", "--json")
    found = json.loads(result.stdout)
    np.testing.assert_array_less(np.abs(found["lengths_m"] - true), 2 * np.array(found["length_sigma_m"]))
    np.testing.assert_allclose(found["lengths_m"], true, rtol=0.1)
