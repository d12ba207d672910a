"""COLMAP's cameras, as text and binary: every model, one of several, and what cannot be used."""

from __future__ import annotations

import math
import struct

import pytest

from depth3d.core.camera import Camera
from depth3d.errors import CameraError
from depth3d.io.camera_files import load_camera

COLMAP_MODELS = [
    # id, name, parameters, fx, fy, lens model, coefficients
    (0, "SIMPLE_PINHOLE", [500, 320, 240], 500, 500, "opencv", ()),
    (1, "PINHOLE", [500, 510, 320, 240], 500, 510, "opencv", ()),
    (2, "SIMPLE_RADIAL", [500, 320, 240, 0.1], 500, 500, "opencv", (0.1,)),
    (3, "RADIAL", [500, 320, 240, 0.1, 0.2], 500, 500, "opencv", (0.1, 0.2)),
    (4, "OPENCV", [500, 510, 320, 240, 0.1, 0.2, 0.3, 0.4], 500, 510, "opencv", (0.1, 0.2, 0.3, 0.4)),
    (5, "OPENCV_FISHEYE", [500, 510, 320, 240, 1, 2, 3, 4], 500, 510, "fisheye", (1, 2, 3, 4)),
    (6, "FULL_OPENCV", [500, 510, 320, 240, *range(1, 9)], 500, 510, "opencv", tuple(range(1, 9))),
    (8, "SIMPLE_RADIAL_FISHEYE", [500, 320, 240, 0.1], 500, 500, "fisheye", (0.1,)),
    (9, "RADIAL_FISHEYE", [500, 320, 240, 0.1, 0.2], 500, 500, "fisheye", (0.1, 0.2)),
]  # fmt: skip


def colmap_bin(*cameras: tuple[int, int, int, int, list[float]]) -> bytes:
    records = [struct.pack(f"<iiQQ{len(p)}d", i, model, w, h, *p) for i, model, w, h, p in cameras]
    return struct.pack("<Q", len(cameras)) + b"".join(records)


@pytest.mark.parametrize(("model", "name", "parameters", "fx", "fy", "lens", "coefficients"), COLMAP_MODELS)
@pytest.mark.parametrize("binary", [False, True])
def test_colmap_models(tmp_path, binary, model, name, parameters, fx, fy, lens, coefficients, numbers):
    path = tmp_path / "cameras"
    if binary:
        path.write_bytes(colmap_bin((7, model, 640, 480, parameters)))
    else:
        path.write_text(f"7 {name} 640 480 {' '.join(map(str, parameters))}\n")
    want = Camera(fx, fy, 320, 240, 640, 480, coefficients, "file", distortion_model=lens)  # 0.5 already
    assert numbers(load_camera(path)) == numbers(want)


@pytest.mark.parametrize("binary", [False, True])
def test_one_of_several_colmap_cameras_is_chosen_by_its_id(tmp_path, binary):
    path = tmp_path / "cameras"
    if binary:
        path.write_bytes(colmap_bin((3, 0, 640, 480, [500, 320, 240]), (9, 0, 800, 600, [700, 400, 300])))
    else:
        path.write_text("3 SIMPLE_PINHOLE 640 480 500 320 240\n9 SIMPLE_PINHOLE 800 600 700 400 300\n")
    assert load_camera(path, name="9").fx == 700
    with pytest.raises(CameraError, match="2 cameras; choose one with name=, of 3, 9"):
        load_camera(path)
    with pytest.raises(CameraError, match="no camera '4'; choose one of 3, 9"):
        load_camera(path, name="4")


def test_many_equal_cameras_need_no_choice(tmp_path):
    path = tmp_path / "cameras.txt"
    path.write_text("".join(f"{i} SIMPLE_PINHOLE 640 480 500 320 240\n" for i in range(20)))
    assert load_camera(path).fx == 500
    path.write_text(path.read_text() + "99 SIMPLE_PINHOLE 640 480 501 320 240\n")
    with pytest.raises(CameraError, match="and 9 more"):
        load_camera(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"1 FOV 640 480 500 500 320 240 0.9\n", "FOV.*image_undistorter"),
        (b"1 SPHERICAL 640 480 1\n", "SPHERICAL"),
        (b"1 PINHOLE 640 480 500 320 240\n", "must have 4 parameters, got 3"),
        (b"1 PINHOLE 640 480 500 500 320 x\n", "is no camera"),
        (b"# Camera list with one line of data per camera:\n", "no camera"),
        (colmap_bin((1, 7, 640, 480, [500, 500, 320, 240, 0.9])), "FOV"),
        (colmap_bin((1, 44, 640, 480, [500])), "model number 44"),
        (colmap_bin((1, 1, 640, 480, [500, 500, 320, 240]))[:-8], "ends before"),
        (colmap_bin((1, 1, 640, 480, [500, 500, 320, 240])) + b"abc", "3 bytes follow"),
        (colmap_bin(), "no camera"),
        (colmap_bin((1, 1, 640, 480, [math.nan, 500, 320, 240])), "fx must be"),
        (b"1 PINHOLE 640 480 -500 500 320 240\n", "fx must be"),
    ],
)
def test_colmap_files_that_cannot_be_used(tmp_path, content, says):
    (tmp_path / "cameras.x").write_bytes(content)
    with pytest.raises(CameraError, match=says) as caught:
        load_camera(tmp_path / "cameras.x")
    assert "cameras.x" in str(caught.value)
