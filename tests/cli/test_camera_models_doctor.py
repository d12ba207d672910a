"""The small commands: `camera`, `models`, `doctor`."""

import json
import os
import sys

import numpy as np

import depth3d as d3
from depth3d.accel.threads import usable_cpus
from depth3d.estimate.registry import MODELS


def test_camera_show_names_the_source(run, photo):
    done = run("camera", "show", photo, "--focal-35mm", 28, "--json")
    assert done.exit_code == 0, done.output
    fields = json.loads(done.stdout)
    assert fields["source"] == "explicit"
    np.testing.assert_allclose(fields["fx"], 28 * np.hypot(48, 36) / 43.26661530556787)
    shown = run("camera", "show", photo)
    assert "assumed" in shown.stdout
    assert "fov 60.0 deg" in shown.stdout


def test_camera_convert_round_trip(run, tmp_path):
    camera = d3.Camera(fx=50, fy=51, cx=24.5, cy=17.5, width=48, height=36, distortion=(0.1, -0.02))
    d3.save(camera, tmp_path / "ours.json")
    assert run("camera", "convert", "ours.json", "-o", "cv.yaml").exit_code == 0
    assert run("camera", "convert", "cv.yaml", "-o", "back.json").exit_code == 0
    back = d3.load_camera(tmp_path / "back.json")
    np.testing.assert_allclose(back.matrix, camera.matrix, rtol=1e-12)
    assert back.distortion[:2] == camera.distortion


def test_models_lists_every_name_with_its_licence(run, monkeypatch, tmp_path):
    done = run("models", "--json")
    assert done.exit_code == 0, done.output
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert set(rows) == set(MODELS)
    assert rows["small"]["licence"] == "Apache-2.0"
    assert rows["large"]["licence"] == "CC-BY-NC-4.0"
    table = run("models").stdout
    assert all(name in table for name in MODELS)


def test_download_of_an_unknown_name(run):
    done = run("models", "download", "enormous")
    assert done.exit_code == 1
    assert "enormous" in done.stderr
    assert "small" in done.stderr


def test_mini_needs_no_download(run):
    done = run("models", "download", "mini")
    assert done.exit_code == 0, done.output
    assert "nothing to fetch" in done.stderr
    assert done.stdout.strip() == f"mini: {MODELS['mini'].shipped}"


def test_auto_is_no_download(run):
    done = run("models", "download", "auto")
    assert done.exit_code == 1
    assert "'small' or 'mini'" in done.stderr


def test_doctor_checks_what_is_there(run):
    done = run("doctor", "--json")
    assert done.exit_code == 0, done.output
    checks = {row["name"]: row for row in json.loads(done.stdout)}
    for name in ("torch", "numpy", "open3d", "pillow-heif", "device"):
        assert checks[name]["ok"], checks[name]
    assert checks["numpy"]["detail"].startswith(np.__version__)


def test_doctor_tells_where_compiled_networks_are_kept(run, monkeypatch, tmp_path):
    monkeypatch.setenv("DEPTH3D_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "cache" / "onnx").mkdir(parents=True)
    (tmp_path / "cache" / "onnx" / "a.onnx").write_bytes(bytes(20_000_000))
    rows = {row["name"]: row for row in json.loads(run("doctor", "--json").stdout)}
    assert rows["cache"]["detail"] == f"{tmp_path / 'cache'}, 0.02 GB of compiled networks"
    assert rows["memory"]["detail"].endswith(f"{usable_cpus()} of {os.cpu_count()} cores")
    monkeypatch.setenv("DEPTH3D_CACHE_DIR", str(tmp_path / "cache" / "onnx" / "a.onnx"))
    line = next(line for line in run("doctor").stdout.splitlines() if " cache " in line)
    assert line.startswith("missing")
    assert line.endswith("can't be written: each start compiles anew; set DEPTH3D_CACHE_DIR")


def test_doctor_says_what_is_broken_and_what_to_type(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "open3d", None)  # importing it fails
    done = run("doctor")
    assert done.exit_code == 0, done.output
    line = next(line for line in done.stdout.splitlines() if "open3d" in line)
    assert line.startswith("missing")
    assert line.endswith("pip install open3d")


def test_usage_errors_exit_with_2_and_bugs_with_1(run, monkeypatch):
    assert run("cloud").exit_code == 2
    assert run("nonsense").exit_code == 2

    def broken():
        raise KeyError("boom")

    monkeypatch.setattr("depth3d.diagnosis.doctor", broken)
    done = run("doctor")
    assert done.exit_code == 1
    assert "a bug in depth3d (KeyError: 'boom')" in done.stderr
    assert "Traceback" not in done.stderr
