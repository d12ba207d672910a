"""Points of COLMAP models: text and binary, written here from a scene whose depth is known."""

import struct

import numpy as np
import pytest

from depth3d.core.camera import Camera
from depth3d.errors import InputError, UnreadableFileError
from depth3d.io.colmap_points import load_colmap_points

CAMERA = Camera(500, 510, 322, 238, 640, 480, distortion=(-0.1, 0.02))
TRACKS = np.array([2, 3, 5, 9, 4])  # images that show a point, by id modulo 5
ERRORS = np.array([0.4, 0.7, 1.1, 2.5, 0.9])


def turn(axis, angle):
    """(wxyz, R) of a rotation about an axis."""
    axis = np.asarray(axis) / np.linalg.norm(axis)
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    R = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return np.r_[np.cos(angle / 2), np.sin(angle / 2) * axis], R


@pytest.fixture(scope="module")
def scene():
    """50 points with ids that have gaps, and two images: name, quaternion, translation, observations."""
    rng = np.random.default_rng(0)
    points = rng.uniform([-1, -1, 3], [1, 1, 7], (50, 3))
    ids = np.sort(rng.choice(1000, 50, replace=False)) + 1
    images = []
    for name, axis, angle, t in (
        ("first room/a b.jpg", [1, 2, 3], 0.3, [0.1, -0.2, 0.4]),
        ("second/c.jpg", [0, 1, 0.2], -0.2, [-0.5, 0.1, 0.0]),
    ):
        wxyz, R = turn(axis, angle)
        seen = points @ R.T + t
        uv = CAMERA.project(seen)
        images.append((name, wxyz, np.array(t), uv, seen[:, 2]))
    return points, ids, images


def write_text(folder, scene):
    points, ids, images = scene
    camera = f"{CAMERA.fx} {CAMERA.fy} {CAMERA.cx} {CAMERA.cy} -0.1 0.02 0 0"
    (folder / "cameras.txt").write_text(f"# Camera list\n7 OPENCV 640 480 {camera}\n")
    lines = ["# Image list with two lines of data per image:"]
    for number, (name, wxyz, t, uv, _) in enumerate(images):
        lines.append(" ".join(map(repr, [number + 1, *wxyz.tolist(), *t.tolist(), 7])) + f" {name}")
        seen = [f"{u!r} {v!r} {i}" for (u, v), i in zip(uv.tolist(), ids.tolist(), strict=True)]
        lines.append(" ".join(["12.5 13.5 -1", *seen]))  # one feature that has no point
    lines += ["3 1 0 0 0 0 0 0 7 empty.jpg", ""]  # an image without any feature
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    rows = ["# 3D point list"]
    for i, xyz in zip(ids.tolist(), points.tolist(), strict=True):
        track = " ".join(f"{k + 1} {k}" for k in range(TRACKS[i % 5]))
        rows.append(f"{i} {xyz[0]!r} {xyz[1]!r} {xyz[2]!r} 10 20 30 {ERRORS[i % 5]} {track}")
    (folder / "points3D.txt").write_text("\n".join(rows[:1] + rows[:0:-1]) + "\n")  # in falling order


def write_binary(folder, scene):
    points, ids, images = scene
    parameters = (CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy, -0.1, 0.02, 0, 0)
    (folder / "cameras.bin").write_bytes(struct.pack("<QiiQQ8d", 1, 7, 4, 640, 480, *parameters))
    data = struct.pack("<Q", len(images))
    for number, (name, wxyz, t, uv, _) in enumerate(images):
        data += struct.pack("<i7di", number + 1, *wxyz, *t, 7) + name.encode() + b"\0"
        data += struct.pack("<Q", len(uv) + 1) + struct.pack("<ddq", 12.5, 13.5, -1)
        data += b"".join(struct.pack("<ddq", u, v, i) for (u, v), i in zip(uv, ids.tolist(), strict=True))
    (folder / "images.bin").write_bytes(data)
    data = struct.pack("<Q", len(points))
    for i, xyz in zip(ids.tolist(), points, strict=True):
        track = int(TRACKS[i % 5])
        data += struct.pack("<Q3d3BdQ", i, *xyz, 10, 20, 30, ERRORS[i % 5], track) + track * bytes(8)
    (folder / "points3D.bin").write_bytes(data)


WRITERS = pytest.mark.parametrize("write", [write_text, write_binary], ids=["text", "binary"])


@WRITERS
def test_pixels_and_depths_are_those_of_the_scene(write, scene, tmp_path):
    write(tmp_path, scene)
    _, ids, images = scene
    kept = (TRACKS[ids % 5] >= 3) & (ERRORS[ids % 5] < 2)
    assert 0 < kept.sum() < len(ids)
    for name, _, _, uv, z in images:
        points = load_colmap_points(tmp_path, name, (640, 480))
        np.testing.assert_allclose(points.uv_px, uv[kept], atol=1e-9)
        np.testing.assert_allclose(points.depth_m, z[kept], rtol=1e-12)
        np.testing.assert_array_equal(points.track_length, TRACKS[ids % 5][kept])
        np.testing.assert_array_equal(points.error_px, ERRORS[ids % 5][kept])


@WRITERS
def test_a_smaller_photo_other_limits_and_a_unit(write, scene, tmp_path):
    write(tmp_path, scene)
    _, _, images = scene
    points = load_colmap_points(
        tmp_path, "c.jpg", (320, 240), metres_per_unit=0.5, least_track=1, most_error_px=9
    )
    np.testing.assert_allclose(points.uv_px, images[1][3] / 2)
    np.testing.assert_allclose(points.depth_m, images[1][4] / 2)


def test_points_behind_the_camera_are_left_out(scene, tmp_path):
    points, ids, images = scene
    name, wxyz, t, uv, z = images[0]
    back = t - [0, 0, np.median(z)]
    write_binary(tmp_path, (points, ids, [(name, wxyz, back, uv, z)]))
    found = load_colmap_points(tmp_path, name, (640, 480), least_track=1, most_error_px=9)
    assert len(found.depth_m) == 25
    assert (found.depth_m > 0).all()


@WRITERS
def test_what_is_not_there_is_named(write, scene, tmp_path):
    with pytest.raises(UnreadableFileError, match="no COLMAP model"):
        load_colmap_points(tmp_path, "c.jpg", (640, 480))
    write(tmp_path, scene)
    with pytest.raises(InputError, match=r"no image 'd\.jpg'.*a b\.jpg"):
        load_colmap_points(tmp_path, "d.jpg", (640, 480))
    with pytest.raises(InputError, match="none is seen by 20"):
        load_colmap_points(tmp_path, "c.jpg", (640, 480), least_track=20)
    with pytest.raises(InputError, match="another shape"):
        load_colmap_points(tmp_path, "c.jpg", (480, 640))
    with pytest.raises(InputError, match="metres_per_unit"):
        load_colmap_points(tmp_path, "c.jpg", (640, 480), metres_per_unit=0)


@pytest.mark.parametrize("stem", ["images", "points3D"])
@WRITERS
def test_damaged_files_are_refused_by_name(write, stem, scene, tmp_path):
    write(tmp_path, scene)
    (path,) = tmp_path.glob(f"{stem}.*")
    data = path.read_bytes()
    path.write_bytes(data[: int(0.7 * len(data))] if path.suffix == ".bin" else b"1 2 nonsense\n")
    with pytest.raises(UnreadableFileError, match=stem):
        load_colmap_points(tmp_path, "c.jpg", (640, 480))


def test_an_image_without_features_says_so(scene, tmp_path):
    write_text(tmp_path, scene)
    with pytest.raises(InputError, match=r"of the 0 points that empty\.jpg shows"):
        load_colmap_points(tmp_path, "empty.jpg", (640, 480))
