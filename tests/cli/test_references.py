"""References that `depth3d calibrate` finds by itself: markers, boards, COLMAP models, networks, floors."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

import depth3d as d3
from depth3d import verbs

WIDTH, HEIGHT, F = 640, 480, 500.0
CAMERA = d3.Camera(F, F, 320, 240, WIDTH, HEIGHT)
Z, FACTOR = 1.6, 0.8
"""True z of what the photo shows, and what it is of the map's."""


@pytest.fixture
def files(tmp_path):
    """A metric map that is off by a factor, and the camera."""
    d3.save(d3.DepthMap(np.full((HEIGHT, WIDTH), Z / FACTOR), "metric"), tmp_path / "depth.npz")
    d3.save(CAMERA, tmp_path / "k.json")
    return tmp_path


def calibrated(run, *words):
    result = run("calibrate", "photo.png", "--camera", "k.json", *words, "-o", "c.json", "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout), result.stderr


def save_photo(picture, side_px):
    """Put a gray picture into the middle of a white photo, at a whole number of pixels."""
    photo = np.full((HEIGHT, WIDTH), 255, np.uint8)
    height, width = round(side_px * picture.shape[0] / picture.shape[1]), side_px
    top, left = (HEIGHT - height) // 2, (WIDTH - width) // 2
    scaled = cv2.resize(picture, (width, height), interpolation=cv2.INTER_NEAREST)
    photo[top : top + height, left : left + width] = scaled
    d3.save(np.repeat(photo[..., None], 3, axis=2), "photo.png")


def test_a_marker_is_found_and_scales_the_map(run, files):
    known = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_6X6_250)
    save_photo(cv2.aruco.generateImageMarker(known, 23, 160), 160)
    side = 160 / F * Z
    found, said = calibrated(run, "--depth", "depth.npz", "--marker-m", side)
    assert found["scale"] == pytest.approx(FACTOR, rel=5e-3)
    assert "found Marker(23 of DICT_6X6_50" in said
    named, _ = calibrated(
        run, "--depth", "depth.npz", "--marker-m", side, "--marker-dictionary", "DICT_6X6_250", "--overwrite"
    )
    assert named["scale"] == pytest.approx(found["scale"])
    wrong = ["--marker-m", side, "--marker-dictionary", "none.yml"]
    result = run("calibrate", "photo.png", "--depth", "depth.npz", *wrong, "-o", "d.json")
    assert result.exit_code == 1
    assert "none.yml" in result.stderr
    assert "is assumed here" in result.stderr  # the focal length


def test_a_board_is_found_and_scales_the_map(run, files):
    squares = np.indices((7, 10)).sum(axis=0) % 2
    save_photo((255 * squares).astype(np.uint8), 400)
    square_mm = 1000 * 40 / F * Z
    words = ["--board", "9x6", "--square-mm", square_mm]
    found, _ = calibrated(run, "--depth", "depth.npz", *words)
    assert found["scale"] == pytest.approx(FACTOR, rel=5e-3)
    assert [known["pixels"] for known in found["references"]] == [54]
    words += ["--depth", "depth.npz", "--camera", "k.json", "--form", "spline"]
    bent = run("calibrate", "photo.png", *words, "-o", "d.json")
    assert bent.exit_code == 1
    assert re.search("can't tell .* much nearer or much farther", bent.stderr)


def test_points_of_a_colmap_model_fix_scale_and_shift(run, files):
    """Eight points seen by three images; the model's unit is half a metre, and it saw a smaller photo."""
    rng = np.random.default_rng(0)
    q = (0.3 + 0.6 * np.arange(WIDTH) / WIDTH)[None].repeat(HEIGHT, axis=0)
    d3.save(d3.DepthMap(2 * q - 0.5, "relative"), "relative.npz")
    d3.save(rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8), "photo.png")
    Path("model").mkdir()
    Path("model/cameras.txt").write_text(f"1 PINHOLE {WIDTH // 2} {HEIGHT // 2} {F / 2} {F / 2} 160 120\n")
    uv = np.stack([np.linspace(30, 610, 8), rng.uniform(50, 430, 8)], axis=1)
    z = 1 / (0.3 + 0.6 * (uv[:, 0] - 0.5) / WIDTH)
    points = CAMERA.rays(uv) * z[:, None] / 0.5
    seen = " ".join(f"{u / 2} {v / 2} {i + 1}" for i, (u, v) in enumerate(uv))
    images = [
        f"{n} 1 0 0 0 0 0 0 1 {name}\n{seen}" for n, name in ((1, "photo.png"), (2, "b.png"), (3, "c.png"))
    ]
    Path("model/images.txt").write_text("\n".join(images) + "\n")
    lines = [f"{i + 1} {x} {y} {w} 9 9 9 0.3 1 {i} 2 {i} 3 {i}" for i, (x, y, w) in enumerate(points)]
    Path("model/points3D.txt").write_text("\n".join(lines) + "\n")
    found, _ = calibrated(run, "--depth", "relative.npz", "--colmap", "model", "--colmap-unit-m", 0.5)
    assert found["scale"] == pytest.approx(0.5, rel=1e-3)
    assert found["shift"] == pytest.approx(0.25, rel=1e-3)
    assert found["references"][0]["pixels"] == 8


def test_a_metric_network_counts_as_a_rough_reference(run, files, monkeypatch):
    save_photo(np.zeros((9, 9), np.uint8), 90)
    v, u = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    q = 0.4 + 0.0005 * u + 0.0004 * v
    d3.save(d3.DepthMap((q - 0.1) / 0.5, "relative"), "relative.npz")
    asked = []

    def network(kind):
        def load(model, **options):
            asked.append((model, options["device"]))
            made = lambda image: d3.DepthMap(1 / q if kind == "metric" else q, kind)  # noqa: E731
            made.name = model
            return made

        return load

    monkeypatch.setattr(verbs, "loaded_estimator", network("metric"))
    words = ["--depth", "relative.npz", "--reference-model", "metric-indoor-small", "--device", "cpu"]
    found, _ = calibrated(run, *words)
    assert asked == [("metric-indoor-small", "cpu")]
    assert (found["scale"], found["shift"]) == pytest.approx((0.5, 0.1), rel=1e-2)
    assert found["references"][0]["label"] == "the network metric-indoor-small"
    monkeypatch.setattr(verbs, "loaded_estimator", network("relative"))
    result = run("calibrate", "photo.png", *words, "-o", "d.json")
    assert result.exit_code == 1
    assert "name a metric model" in result.stderr


def test_the_height_of_the_camera_fixes_both_numbers(run, files):
    """A floor 1.5 m below a camera that looks 20 degrees down, and what is above it without depth."""
    pitch, height = np.radians(20), 1.5
    rays = CAMERA.pixel_rays()
    q = (np.cos(pitch) * rays[..., 1] + np.sin(pitch)) / height
    values = np.where(q > 0.05, (q - 0.02) / 0.5, np.nan)
    d3.save(d3.DepthMap(values, "relative"), "floor.npz")
    save_photo(np.zeros((9, 9), np.uint8), 90)
    words = [
        "--depth",
        "floor.npz",
        "--camera-height-m",
        height,
        "--pitch-deg",
        20,
        "--floor",
        "0,240,640,480",
    ]
    found, _ = calibrated(run, *words)
    assert found["scale"] == pytest.approx(0.5, rel=5e-3)
    assert found["shift"] == pytest.approx(0.02, abs=2e-3)
