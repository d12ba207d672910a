"""Cameras that Open3D wrote: column by column, and half a pixel aside."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

from depth3d.core.camera import Camera
from depth3d.errors import CameraError
from depth3d.io.camera_files import load_camera


def test_open3d_writes_column_by_column_and_we_read_what_it_writes(tmp_path, numbers):
    o3d = pytest.importorskip("open3d")
    intrinsic = o3d.camera.PinholeCameraIntrinsic(640, 480, 500, 510, 319.5, 239.5)
    o3d.io.write_pinhole_camera_intrinsic(str(tmp_path / "intrinsic.json"), intrinsic)
    parameters = o3d.camera.PinholeCameraParameters()
    parameters.intrinsic, parameters.extrinsic = intrinsic, np.eye(4)
    o3d.io.write_pinhole_camera_parameters(str(tmp_path / "parameters.json"), parameters)
    trajectory = o3d.camera.PinholeCameraTrajectory()
    trajectory.parameters = [parameters, parameters]
    o3d.io.write_pinhole_camera_trajectory(str(tmp_path / "trajectory.json"), trajectory)
    want = Camera(500, 510, 320, 240, 640, 480, source="file")  # 319.5 is the middle of 640 pixels there
    for name in ("intrinsic", "parameters", "trajectory"):
        assert numbers(load_camera(tmp_path / f"{name}.json")) == numbers(want)


@pytest.mark.parametrize(
    ("name", "f"),
    [
        ("tum_rgbd/camera_primesense.json", 525.0),
        ("redwood_icl_nuim/camera_primesense.json", 525.0),
        ("open3d_depth_syn/depth_syn_camera.json", 415.69219381653068),
    ],
)
def test_real_open3d_files_are_centred_by_our_convention(shared_data, name, f, numbers):
    want = Camera(f, f, 320, 240, 640, 480, source="file")
    assert numbers(load_camera(shared_data / name)) == numbers(want)


def test_an_open3d_matrix_that_somebody_wrote_by_rows(tmp_path, caplog):
    fields = {"width": 640, "height": 480, "intrinsic_matrix": [500, 0, 319.5, 0, 510, 239.5, 0, 0, 1]}
    (tmp_path / "k.json").write_text(json.dumps(fields))
    with caplog.at_level(logging.WARNING, "depth3d"):
        camera = load_camera(tmp_path / "k.json")
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (500, 510, 320, 240)
    assert "row by row" in caplog.text


def test_open3d_views_that_differ(tmp_path):
    views = [
        {"intrinsic": {"width": 640, "height": 480, "intrinsic_matrix": [f, 0, 0, 0, f, 0, 319.5, 239.5, 1]}}
        for f in (500, 510)
    ]
    (tmp_path / "t.json").write_text(json.dumps({"parameters": views}))
    assert load_camera(tmp_path / "t.json", name="1").fx == 510
    with pytest.raises(CameraError, match="of 0, 1"):
        load_camera(tmp_path / "t.json")
