"""Clouds are written, then read back by Open3D, trimesh and ourselves, and the arrays compared."""

from __future__ import annotations

import struct

import numpy as np
import pytest

import depth3d.io.geometry_files as geometry_files
from depth3d.core.cloud import PointCloud
from depth3d.errors import FileError, InputError, OutputExistsError, UnsupportedFormatError
from depth3d.io.frames import FRAMES
from depth3d.io.geometry_files import read_cloud, save_cloud
from depth3d.io.ply import comment_lines


def open3d_reads(path):
    o3d = pytest.importorskip("open3d")
    with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
        pcd = o3d.io.read_point_cloud(str(path))
    return PointCloud(
        np.asarray(pcd.points, dtype=np.float32),
        np.rint(255 * np.asarray(pcd.colors)).astype(np.uint8) if pcd.has_colors() else None,
        np.asarray(pcd.normals, dtype=np.float32) if pcd.has_normals() else None,
    )


# -- what others read -----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize(("colors", "normals"), [(True, True), (True, False), (False, True), (False, False)])
def test_open3d_reads_every_bit_of_it(tmp_path, suffix, text, colors, normals, cloud_of, assert_same):
    cloud = cloud_of(colors=colors, normals=normals)
    path = tmp_path / f"cloud{suffix}"
    save_cloud(cloud, path, ascii=text, comments=["camera: some", "model: other"])
    assert_same(open3d_reads(path), cloud)


@pytest.mark.parametrize("text", [False, True])
def test_trimesh_reads_every_bit_of_it(tmp_path, text, cloud_of):
    trimesh = pytest.importorskip("trimesh")
    cloud = cloud_of()
    path = tmp_path / "cloud.ply"
    save_cloud(cloud, path, ascii=text)
    loaded = trimesh.load(path, process=False)
    np.testing.assert_array_equal(np.asarray(loaded.vertices, dtype=np.float32), cloud.points)
    np.testing.assert_array_equal(loaded.colors[:, :3], cloud.colors)


def test_trimesh_and_open3d_read_xyz(tmp_path, cloud_of):
    trimesh = pytest.importorskip("trimesh")
    cloud = cloud_of(normals=False)
    path = tmp_path / "cloud.xyz"
    save_cloud(cloud, path)
    loaded = trimesh.load(path, process=False)
    np.testing.assert_array_equal(np.asarray(loaded.vertices, dtype=np.float32), cloud.points)
    np.testing.assert_array_equal(loaded.colors[:, :3], cloud.colors)
    np.testing.assert_array_equal(open3d_reads(path).points, cloud.points)


def test_open3d_sees_the_frame_and_the_unit_that_were_asked_for(tmp_path, cloud_of):
    cloud = cloud_of()
    path = tmp_path / "cloud.ply"
    save_cloud(cloud, path, frame="opengl", unit="mm")
    seen = open3d_reads(path)
    np.testing.assert_array_equal(seen.points, cloud.points * np.float32([1000, -1000, -1000]))
    np.testing.assert_array_equal(seen.normals, cloud.normals * np.float32([1, -1, -1]))  # turned, not scaled


def test_the_bytes_of_a_small_binary_ply(tmp_path):
    path = tmp_path / "cloud.ply"
    save_cloud(PointCloud([[1.0, 2.0, 3.0]], [[7, 8, 9]]), path, comments=["camera: c"])
    head, body = path.read_bytes().split(b"end_header\n")
    lines = head.decode("ascii").splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    assert lines[3:6] == [
        "comment frame: opencv (x right, y down, z forward)",
        "comment unit: m",
        "comment camera: c",
    ]
    assert lines[6:] == [
        "element vertex 1",
        "property float x",
        "property float y",
        "property float z",
        "property uchar red",
        "property uchar green",
        "property uchar blue",
    ]
    assert body == struct.pack("<3f3B", 1, 2, 3, 7, 8, 9)


# -- what we read back -----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".npz"])
@pytest.mark.parametrize("frame", FRAMES)
def test_a_round_trip_comes_home_to_our_frame(tmp_path, suffix, frame, cloud_of, assert_same):
    cloud = cloud_of()
    path = tmp_path / f"cloud{suffix}"
    save_cloud(cloud, path, frame=frame, comments=["camera: c", "model: m"])
    file = read_cloud(path)
    assert_same(file.cloud, cloud)
    assert (file.frame, file.unit, file.comments) == (frame, "m", ("camera: c", "model: m"))


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".npz"])
def test_a_round_trip_in_millimetres_is_within_one_float32_step(tmp_path, suffix, cloud_of):
    cloud = cloud_of()
    path = tmp_path / f"cloud{suffix}"
    save_cloud(cloud, path, unit="mm", frame="blender")
    file = read_cloud(path)
    np.testing.assert_array_max_ulp(file.cloud.points, cloud.points, maxulp=1)
    np.testing.assert_array_equal(file.cloud.normals, cloud.normals)
    assert file.unit == "mm"


def test_ascii_and_binary_agree_to_the_last_bit_even_for_awkward_numbers(tmp_path):
    tiny = np.finfo(np.float32).tiny
    points = np.array([[1 / 3, -0.1, 1e30], [tiny, 16777217, 0], [np.pi, 1e-7, -1e-30]], dtype=np.float32)
    for text in (False, True):
        save_cloud(PointCloud(points), tmp_path / f"{text}.ply", ascii=text)
    np.testing.assert_array_equal(read_cloud(tmp_path / "False.ply").cloud.points, points)
    np.testing.assert_array_equal(read_cloud(tmp_path / "True.ply").cloud.points, points)


def test_xyz_keeps_points_and_colours_and_knows_neither_frame_nor_unit(tmp_path, cloud_of, assert_same):
    cloud = cloud_of()
    save_cloud(cloud, tmp_path / "cloud.xyz", frame="opengl")
    file = read_cloud(tmp_path / "cloud.xyz")
    assert_same(file.cloud, PointCloud(cloud.points * np.float32([1, -1, -1]), cloud.colors))
    assert (file.frame, file.unit) == ("unknown", "unknown")


@pytest.mark.parametrize("name", ["a.ply", "b.ply", "c.pcd", "d.pcd", "e.xyz", "f.npz"])
def test_an_empty_cloud_is_a_file_too(tmp_path, name):
    text = name[0] in "bd"
    save_cloud(PointCloud(np.empty((0, 3), np.float32)), tmp_path / name, ascii=text)
    assert len(read_cloud(tmp_path / name).cloud) == 0


def test_more_rows_than_one_block_of_text(tmp_path, monkeypatch, cloud_of, assert_same):
    monkeypatch.setattr("depth3d.io.ply._ROWS_AT_ONCE", 7)
    cloud = cloud_of(50)
    save_cloud(cloud, tmp_path / "cloud.ply", ascii=True)
    assert_same(read_cloud(tmp_path / "cloud.ply").cloud, cloud)


# -- comments ----------------------------------------------------------------------------------------


def test_comments_cannot_break_the_header(tmp_path, cloud_of, assert_same):
    trimesh = pytest.importorskip("trimesh")
    cloud = cloud_of(20)
    nasty = [
        "two\nlines",
        "element vertex 9",
        "end_header",
        "frame: opengl",
        "caf\u00e9 50\u00b0",
        "x" * 3000,
        "\0\r\x1b",
    ]
    path = tmp_path / "cloud.ply"
    save_cloud(cloud, path, comments=nasty)
    assert_same(open3d_reads(path), cloud)
    np.testing.assert_array_equal(np.float32(trimesh.load(path, process=False).vertices), cloud.points)
    file = read_cloud(path)
    assert_same(file.cloud, cloud)
    assert file.frame == "opencv"
    assert file.comments[:4] == ("two", "lines", "element vertex 9", "end-header")
    assert "".join(file.comments).count("x") >= 3000


def test_comment_lines_are_short_printable_ascii():
    lines = comment_lines(["a\tb\n\nc", "\u00e9" * 500])
    assert lines[0] == "a b"
    assert all(line.isascii() and line.isprintable() and 0 < len(line) <= 200 for line in lines)


# -- what is refused, safe writing -----------------------------------------------------------------


@pytest.mark.parametrize("suffix", geometry_files.CLOUD_SUFFIXES)
def test_no_such_file_and_a_directory(tmp_path, suffix, cloud_of):
    for name in ("nothing", "n" * 300):
        with pytest.raises(FileError, match="can't read"):
            read_cloud(tmp_path / f"{name}{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(FileError, match="directory"):
        read_cloud(tmp_path / f"folder{suffix}")
    with pytest.raises(FileError, match="directory"):
        save_cloud(cloud_of(3), tmp_path / f"folder{suffix}")


@pytest.mark.parametrize(
    ("name", "options", "error", "says"),
    [
        ("cloud.obj", {}, UnsupportedFormatError, ".ply, .pcd, .xyz, .npz"),
        ("cloud", {}, UnsupportedFormatError, "suffix"),
        ("cloud.ply", {"frame": "unreal"}, InputError, "opencv, opengl, blender, got 'unreal'"),
        ("cloud.ply", {"unit": "inch"}, InputError, "m, cm, mm, got 'inch'"),
        ("cloud.npz", {"ascii": True}, InputError, "binary"),
        ("none/cloud.ply", {}, FileError, "does not exist"),
    ],
)
def test_refusals_leave_nothing_behind(tmp_path, name, options, error, says, cloud_of):
    with pytest.raises(error, match=says):
        save_cloud(cloud_of(3), tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


def test_points_that_overflow_in_millimetres(tmp_path):
    with pytest.raises(InputError, match="don't fit"):
        save_cloud(PointCloud(np.float32([[1e37, 0, 0]])), tmp_path / "cloud.ply", unit="mm")


def test_an_existing_file_is_kept_unless_asked(tmp_path, cloud_of):
    path = tmp_path / "cloud.ply"
    save_cloud(cloud_of(3), path)
    before = path.read_bytes()
    with pytest.raises(OutputExistsError):
        save_cloud(cloud_of(4), path, overwrite=False)
    assert path.read_bytes() == before
    save_cloud(cloud_of(4), path)
    assert len(read_cloud(path).cloud) == 4


def test_a_failure_halfway_leaves_the_old_file_and_no_half_file(tmp_path, monkeypatch, cloud_of):
    path = tmp_path / "cloud.ply"
    save_cloud(cloud_of(3), path)
    before = path.read_bytes()

    def fails(cloud, partial, **_):
        partial.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(geometry_files, "write_ply", fails)
    with pytest.raises(FileError, match="No space left"):
        save_cloud(cloud_of(4), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["cloud.ply"]


def test_saving_changes_nothing_in_the_cloud(tmp_path, cloud_of, assert_same):
    cloud, twin = cloud_of(), cloud_of()
    save_cloud(cloud, tmp_path / "cloud.ply", frame="blender", unit="mm")
    assert_same(cloud, twin)
