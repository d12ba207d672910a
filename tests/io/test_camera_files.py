"""Camera files of six programs: the principal point, the lens and the size must come out the same."""

from __future__ import annotations

import json
import logging
import math

import cv2
import numpy as np
import pytest

from depth3d.core.camera import Camera
from depth3d.errors import CameraError, FileError, OutputExistsError, UnsupportedFormatError
from depth3d.io.camera_files import fit_camera_to, load_camera, save_camera

LENS = (-0.21, 0.05, 0.001, -0.002, 0.03)
TRUTH = Camera(600.5, 601.25, 322.25, 238.5, 640, 480, LENS, "file", 0.002)
CX0, CY0 = 321.75, 238.0  # the same principal point, counted from the centre of the first pixel


def matrix_text(k: str, rows: int, cols: int, data: list[float], tag: str = "!!opencv-matrix") -> str:
    return f"{k}: {tag}\n   rows: {rows}\n   cols: {cols}\n   dt: d\n   data: {data}\n"


K0 = [600.5, 0.0, CX0, 0.0, 601.25, CY0, 0.0, 0.0, 1.0]
OPENCV = (
    "%YAML:1.0\n---\nimage_width: 640\nimage_height: 480\n"
    + matrix_text("camera_matrix", 3, 3, K0)
    + matrix_text("distortion_coefficients", 5, 1, list(LENS))
)
ROS = f"""image_width: 640
image_height: 480
camera_name: left
camera_matrix:
  rows: 3
  cols: 3
  data: {K0}
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: {list(LENS)}
"""
ROS_BLOCK = (
    "image_width: 640\nimage_height: 480\ncamera_matrix:\n  rows: 3\n  cols: 3\n  data:\n"
    + "".join(f"  - {x}\n" for x in K0)
    + "distortion_model: plumb_bob\ndistortion_coefficients:\n  data:\n"
    + "".join(f"  - {x}\n" for x in LENS)
)
ROS_TOPIC = f"height: 480\nwidth: 640\ndistortion_model: plumb_bob\nD: {list(LENS)}\nK: {K0}\n---\n"
COLMAP = (
    "# Camera list with one line of data per camera:\n#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]\n"
    "1 FULL_OPENCV 640 480 600.5 601.25 322.25 238.5 -0.21 0.05 0.001 -0.002 0.03 0 0 0\n"
)
NERFSTUDIO = {
    "camera_model": "OPENCV", "fl_x": 600.5, "fl_y": 601.25, "cx": 322.25, "cy": 238.5, "w": 640, "h": 480,
    "k1": -0.21, "k2": 0.05, "p1": 0.001, "p2": -0.002, "k3": 0.03, "frames": [{"file_path": "a.jpg"}],
}  # fmt: skip
XML = (
    '<?xml version="1.0"?><opencv_storage><image_width>640</image_width><image_height>480</image_height>'
    '<cameraMatrix type_id="opencv-matrix"><rows>3</rows><cols>3</cols><dt>d</dt><data>'
    + " ".join(map(str, K0))
    + '</data></cameraMatrix><distCoeffs type_id="opencv-matrix"><rows>1</rows><cols>5</cols><dt>d</dt><data>'
    + " ".join(map(str, LENS))
    + "</data></distCoeffs></opencv_storage>"
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(OPENCV, id="opencv-yaml"),
        pytest.param(XML, id="opencv-xml"),
        pytest.param(ROS, id="ros-calibration"),
        pytest.param(ROS.replace("\n", "\r\n"), id="windows-line-ends"),
        pytest.param("\ufeff" + ROS, id="byte-order-mark"),
        pytest.param(ROS_BLOCK, id="ros2-block-lists"),  # OpenCV's own parser gives up here
        pytest.param(ROS_TOPIC, id="ros-topic-echo"),
        pytest.param(COLMAP, id="colmap-text"),
        pytest.param(json.dumps(NERFSTUDIO), id="nerfstudio"),
        pytest.param(
            json.dumps({"w": 1, "width": 640, "height": 480, "K": [K0[:3], K0[3:6], K0[6:]], "D": LENS}),
            id="json-rows",
        ),
    ],
)
def test_every_format_tells_the_same_camera(tmp_path, text, numbers):
    (tmp_path / "camera").write_text(text, encoding="utf-8", newline="")
    camera = load_camera(tmp_path / "camera")
    assert numbers(camera) == numbers(TRUTH)
    assert camera.sigma_rel == 0.002


def test_the_half_pixel_against_opencv_itself(tmp_path):
    """OpenCV projects to (u, v) counted from the first pixel's centre: ours is half a pixel more."""
    (tmp_path / "camera.yml").write_text(OPENCV)
    points = np.random.default_rng(0).uniform([-0.4, -0.3, 0.9], [0.4, 0.3, 2.0], size=(50, 3))
    theirs, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), np.reshape(K0, (3, 3)), np.array(LENS))
    ours = load_camera(tmp_path / "camera.yml").project(points)
    np.testing.assert_allclose(ours, theirs[:, 0] + 0.5, rtol=0, atol=1e-9)


# -- OpenCV and ROS ------------------------------------------------------------------------------------


def test_real_opencv_files(shared_data):
    left = load_camera(shared_data / "chessboard_left/left_intrinsics.yml")
    assert (left.fx, left.cx, left.cy) == pytest.approx((535.9157, 342.7832, 236.0708), abs=1e-4)
    assert left.distortion == pytest.approx((-0.26637, -0.03859, 0.00178, -0.00028, 0.23839), abs=1e-5)
    charuco = load_camera(shared_data / "opencv_aruco/tutorial_camera_charuco.yml")
    assert (charuco.fx, charuco.fy) == pytest.approx((452.51072, 456.76708), abs=1e-5)
    sizeless = shared_data / "opencv_aruco/tutorial_camera_params.yml"
    assert load_camera(sizeless, width=640, height=480).cx == pytest.approx(324.599)
    with pytest.raises(CameraError, match="give width and height"):
        load_camera(sizeless)
    with pytest.raises(CameraError, match="no camera matrix"):
        load_camera(shared_data / "opencv_aruco/tutorial_dict.yml")


def test_a_stereo_pair(tmp_path, caplog):
    text = "%YAML:1.0\n---\nimage_width: 640\nimage_height: 480\n"
    for i, f in ((1, 500.0), (2, 510.0)):
        text += matrix_text(f"M{i}", 3, 3, [f, 0.0, 320.0, 0.0, f, 240.0, 0.0, 0.0, 1.0])
        text += matrix_text(f"D{i}", 1, 5, [0.1 * i, 0.0, 0.0, 0.0, 0.0])
    (tmp_path / "stereo.yml").write_text(text)
    with caplog.at_level(logging.WARNING, "depth3d"):
        first = load_camera(tmp_path / "stereo.yml")
    assert "took M1; name= chooses M2" in caplog.text
    second = load_camera(tmp_path / "stereo.yml", name="M2")
    assert (first.fx, first.distortion) == (500, (0.1,))
    assert (second.fx, second.distortion) == (510, (0.2,))
    with pytest.raises(CameraError, match="choose one of M1, M2"):
        load_camera(tmp_path / "stereo.yml", name="M3")


def test_the_ros_name_of_the_camera_is_a_name(tmp_path):
    (tmp_path / "ros.yaml").write_text(ROS)
    assert load_camera(tmp_path / "ros.yaml", name="left").fx == 600.5


@pytest.mark.parametrize(
    ("model", "coefficients", "want"),
    [
        ("equidistant", [0.1, 0.2, 0.3, 0.4], ("fisheye", (0.1, 0.2, 0.3, 0.4))),
        ("rational_polynomial", [1, 2, 3, 4, 5, 6, 7, 8], ("opencv", (1, 2, 3, 4, 5, 6, 7, 8))),
        ("plumb_bob", [0, 0, 0, 0, 0], ("opencv", ())),
        ("rational_polynomial", [0.1] + [0] * 13, ("opencv", (0.1,))),  # unused thin-prism terms
        ("''", [0.1], ("opencv", (0.1,))),
    ],
)
def test_ros_lens_models(tmp_path, model, coefficients, want):
    text = ROS.replace("plumb_bob", model).replace(str(list(LENS)), str(coefficients))
    (tmp_path / "ros.yaml").write_text(text)
    camera = load_camera(tmp_path / "ros.yaml")
    assert (camera.distortion_model, camera.distortion) == want


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("plumb_bob", "omnidirectional", "'omnidirectional' is not supported"),
        (str(list(LENS)), str([0.1] * 12), "thin-prism"),
        (str(K0), str(K0[:6]), "3x3 numbers, got 6"),
        (str(K0), str([600.5, 3.0, *K0[2:]]), "skew"),
        (str(K0), str([*K0[:8], 2.0]), "0 0 1"),
        (str(K0), str([0.0, *K0[1:]]), "focal lengths must be positive"),
        (str(K0), '["a", "b"]', "matrix of numbers"),
        ("image_width: 640", "image_width: 640.5", "whole number of pixels"),
        ("image_width: 640", "image_width: wide", "must be a number, got 'wide'"),
        ("image_width: 640", "", "give width and height"),
        ("camera_matrix", "cramera_matrix", "no camera matrix"),
    ],
)
def test_calibrations_that_cannot_be_used(tmp_path, old, new, says):
    (tmp_path / "ros.yaml").write_text(ROS.replace(old, new))
    with pytest.raises(CameraError, match=says):
        load_camera(tmp_path / "ros.yaml")


# -- nerfstudio -------------------------------------------------------------------------------------


def test_nerf_gives_an_angle_and_no_size(tmp_path):
    (tmp_path / "t.json").write_text(json.dumps({"camera_angle_x": math.pi / 2, "frames": [{}]}))
    camera = load_camera(tmp_path / "t.json", width=800, height=600)
    want = Camera(400, 400, 400, 300, 800, 600, source="file")
    assert camera.fx == camera.fy == pytest.approx(want.fx)
    assert (camera.cx, camera.cy, *camera.size_wh) == (want.cx, want.cy, 800, 600)
    with pytest.raises(CameraError, match="give width and height"):
        load_camera(tmp_path / "t.json")


def test_nerfstudio_frame_by_frame(tmp_path):
    frames = [
        {"file_path": f"images/{i}.jpg", "fl_x": 500 + i, "w": 640, "h": 480, "cx": 320, "cy": 240}
        for i in (1, 2)
    ]
    (tmp_path / "t.json").write_text(json.dumps({"frames": frames}))
    for name in ("images/2.jpg", "2.jpg", "2"):
        camera = load_camera(tmp_path / "t.json", name=name)
        assert (camera.fx, camera.fy) == (502, 502)
    with pytest.raises(CameraError, match=r"of images/1\.jpg, images/2\.jpg"):
        load_camera(tmp_path / "t.json")
    with pytest.raises(CameraError, match="no frame '3'"):
        load_camera(tmp_path / "t.json", name="3")


def test_nerfstudio_fisheye(tmp_path):
    fields = {**NERFSTUDIO, "camera_model": "OPENCV_FISHEYE", "k4": 0.5}
    (tmp_path / "t.json").write_text(json.dumps(fields))
    camera = load_camera(tmp_path / "t.json")
    assert (camera.distortion_model, camera.distortion) == ("fisheye", (-0.21, 0.05, 0.03, 0.5))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"camera_model": "EQUIRECTANGULAR"}, "EQUIRECTANGULAR"),
        ({"k4": 0.1}, "k4"),
        ({"fl_x": None}, "'fl_x' is missing"),
        ({"fl_x": "long"}, "must be a number, got 'long'"),
        ({"w": 1e999}, "width must be a whole number"),  # infinity
    ],
)
def test_nerfstudio_files_that_cannot_be_used(tmp_path, change, says):
    (tmp_path / "t.json").write_text(json.dumps({**NERFSTUDIO, **change}))
    with pytest.raises(CameraError, match=says):
        load_camera(tmp_path / "t.json")


def test_no_focal_length_at_all(tmp_path):
    (tmp_path / "t.json").write_text(json.dumps({"frames": [{"file_path": "a"}]}))
    with pytest.raises(CameraError, match="add fl_x"):
        load_camera(tmp_path / "t.json")


# -- what we write ------------------------------------------------------------------------------------

LENSES = [
    ((), "opencv"),
    ((0.1, 0.2), "opencv"),
    (LENS, "opencv"),
    ((0.1, 0.2, 0.3, 0.4, 0.5, 0.6), "opencv"),
    ((0.1, 0.2, 0.3, 0.4), "fisheye"),
]


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".yml", ".xml", ".YML"])
@pytest.mark.parametrize(("lens", "model"), LENSES)
def test_what_we_write_we_read_to_the_last_bit(tmp_path, suffix, lens, model, numbers):
    camera = Camera(600 / 7, 1000 / 3, 321.7, 239.1, 640, 480, lens, "exif", 0.0123, model)
    save_camera(camera, tmp_path / f"camera{suffix}")
    back = load_camera(tmp_path / f"camera{suffix}")
    assert numbers(back)[:-1] == numbers(camera)[:-1]
    assert (back.source, back.sigma_rel) == ("file", 0.0123)


@pytest.mark.parametrize("suffix", [".yaml", ".xml"])
def test_opencv_reads_what_we_write(tmp_path, suffix):
    save_camera(TRUTH, tmp_path / f"camera{suffix}")
    storage = cv2.FileStorage(str(tmp_path / f"camera{suffix}"), cv2.FILE_STORAGE_READ)
    np.testing.assert_array_equal(storage.getNode("camera_matrix").mat(), np.reshape(K0, (3, 3)))
    np.testing.assert_array_equal(storage.getNode("distortion_coefficients").mat(), [LENS])
    size = [storage.getNode(name).real() for name in ("image_width", "image_height")]
    assert size == [640, 480]
    assert storage.getNode("distortion_model").string() == "plumb_bob"
    storage.release()


def test_our_json_is_plain(tmp_path):
    save_camera(TRUTH, tmp_path / "camera.json")
    fields = json.loads((tmp_path / "camera.json").read_text())
    assert (fields["format"], fields["pixel_center"], fields["cx"]) == ("depth3d-camera", 0.5, 322.25)


def test_saving_refuses(tmp_path):
    with pytest.raises(UnsupportedFormatError, match=r"\.json, \.yaml, \.yml, \.xml"):
        save_camera(TRUTH, tmp_path / "camera.txt")
    save_camera(TRUTH, tmp_path / "camera.json")
    with pytest.raises(OutputExistsError):
        save_camera(TRUTH, tmp_path / "camera.json", overwrite=False)
    with pytest.raises(FileError, match="does not exist"):
        save_camera(TRUTH, tmp_path / "none/camera.json")


# -- fitting to a picture ------------------------------------------------------------------------------


def test_a_camera_follows_its_picture_to_another_size(tmp_path, caplog):
    (tmp_path / "camera.yml").write_text(OPENCV)
    with caplog.at_level(logging.INFO, "depth3d"):
        half = load_camera(tmp_path / "camera.yml", width=320, height=240)
    assert "resized the camera from 640x480 to 320x240" in caplog.text
    assert (half.fx, half.fy, half.cx, half.cy) == (300.25, 300.625, 161.125, 119.25)
    assert half.distortion == LENS  # normalised coordinates do not know about pixels


def test_the_same_size_is_the_same_camera():
    assert fit_camera_to(TRUTH, 640, 480) is TRUTH


@pytest.mark.parametrize(
    ("size", "to"),
    [
        ((4032, 3024), (1000, 750)),
        ((4032, 3024), (101, 76)),  # 75.75 rounded up
        ((4032, 3024), (101, 75)),  # and down
        ((1920, 1080), (1366, 768)),  # 768.4
        ((640, 480), (1, 1)),
    ],
)
def test_whole_pixels_may_bend_the_aspect(size, to):
    camera = fit_camera_to(Camera.from_fov(*size, 60), *to)
    assert camera.size_wh == to
    assert camera.fov_x_deg == pytest.approx(60)


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ((480, 640), "rotated_90"),
        ((640, 360), "640x360, another aspect; give the camera of this very picture"),
        ((1280, 970), "another aspect"),
    ],
)
def test_another_aspect_is_another_picture(to, says):
    with pytest.raises(CameraError, match=says):
        fit_camera_to(TRUTH, *to)
