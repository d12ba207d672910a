"""Clouds are written, then read back by Open3D, trimesh and ourselves, and the arrays compared."""

from __future__ import annotations

import logging
import struct

import numpy as np
import pytest

import depth3d.io.geometry_files as geometry_files
from depth3d.core.cloud import PointCloud
from depth3d.errors import (
    FileError,
    InputError,
    OutputExistsError,
    UnreadableFileError,
    UnsupportedFormatError,
)
from depth3d.io.frames import FRAMES, UNITS, from_frame, to_frame
from depth3d.io.geometry_files import read_cloud, save_cloud
from depth3d.io.ply import comment_lines


def cloud_of(n: int = 300, *, colors: bool = True, normals: bool = True, seed: int = 0) -> PointCloud:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, 3)).astype(np.float32) * np.float32(3.7)
    directions = rng.normal(size=(n, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return PointCloud(
        points,
        rng.integers(0, 256, size=(n, 3), dtype=np.uint8) if colors else None,
        directions.astype(np.float32) if normals else None,
    )


def assert_same(got: PointCloud, want: PointCloud) -> None:
    for name in ("points", "colors", "normals"):
        a, b = getattr(got, name), getattr(want, name)
        assert (a is None) == (b is None), name
        if a is not None:
            np.testing.assert_array_equal(a, b, err_msg=name)


def open3d_reads(path):
    o3d = pytest.importorskip("open3d")
    with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
        pcd = o3d.io.read_point_cloud(str(path))
    return PointCloud(
        np.asarray(pcd.points, dtype=np.float32),
        np.rint(255 * np.asarray(pcd.colors)).astype(np.uint8) if pcd.has_colors() else None,
        np.asarray(pcd.normals, dtype=np.float32) if pcd.has_normals() else None,
    )


# -- frames and units ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "want"),
    [
        ("opencv", (1, 2, 3)),
        ("opengl", (1, -2, -3)),  # y up, z backward
        ("blender", (1, 3, -2)),  # y forward, z up
    ],
)
def test_a_known_point_in_each_frame(frame, want):
    np.testing.assert_array_equal(to_frame(np.array([[1, 2, 3]], dtype=np.float32), frame), [want])


@pytest.mark.parametrize("frame", FRAMES)
def test_frames_are_rotations_so_that_nothing_is_mirrored(frame):
    rotation = np.array(FRAMES[frame])
    np.testing.assert_array_equal(rotation @ rotation.T, np.eye(3))
    assert np.linalg.det(rotation) == pytest.approx(1)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("unit", UNITS)
def test_to_frame_is_the_matrix_and_from_frame_undoes_it(frame, unit):
    vectors = cloud_of().points
    turned = to_frame(vectors, frame, unit=unit)
    np.testing.assert_allclose(turned, UNITS[unit] * vectors @ np.array(FRAMES[frame]).T, rtol=1e-6)
    back = from_frame(turned, frame, unit=unit)
    np.testing.assert_array_max_ulp(back, vectors, maxulp=0 if unit == "m" else 1)


def test_turning_makes_no_negative_zeros():
    assert not np.signbit(to_frame(np.zeros((1, 3), np.float32), "opengl")).any()


# -- what others read -----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize(("colors", "normals"), [(True, True), (True, False), (False, True), (False, False)])
def test_open3d_reads_every_bit_of_it(tmp_path, suffix, text, colors, normals):
    cloud = cloud_of(colors=colors, normals=normals)
    path = tmp_path / f"cloud{suffix}"
    save_cloud(cloud, path, ascii=text, comments=["camera: some", "model: other"])
    assert_same(open3d_reads(path), cloud)


@pytest.mark.parametrize("text", [False, True])
def test_trimesh_reads_every_bit_of_it(tmp_path, text):
    trimesh = pytest.importorskip("trimesh")
    cloud = cloud_of()
    path = tmp_path / "cloud.ply"
    save_cloud(cloud, path, ascii=text)
    loaded = trimesh.load(path, process=False)
    np.testing.assert_array_equal(np.asarray(loaded.vertices, dtype=np.float32), cloud.points)
    np.testing.assert_array_equal(loaded.colors[:, :3], cloud.colors)


def test_trimesh_and_open3d_read_xyz(tmp_path):
    trimesh = pytest.importorskip("trimesh")
    cloud = cloud_of(normals=False)
    path = tmp_path / "cloud.xyz"
    save_cloud(cloud, path)
    loaded = trimesh.load(path, process=False)
    np.testing.assert_array_equal(np.asarray(loaded.vertices, dtype=np.float32), cloud.points)
    np.testing.assert_array_equal(loaded.colors[:, :3], cloud.colors)
    np.testing.assert_array_equal(open3d_reads(path).points, cloud.points)


def test_open3d_sees_the_frame_and_the_unit_that_were_asked_for(tmp_path):
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
def test_a_round_trip_comes_home_to_our_frame(tmp_path, suffix, frame):
    cloud = cloud_of()
    path = tmp_path / f"cloud{suffix}"
    save_cloud(cloud, path, frame=frame, comments=["camera: c", "model: m"])
    file = read_cloud(path)
    assert_same(file.cloud, cloud)
    assert (file.frame, file.unit, file.comments) == (frame, "m", ("camera: c", "model: m"))


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".npz"])
def test_a_round_trip_in_millimetres_is_within_one_float32_step(tmp_path, suffix):
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


def test_xyz_keeps_points_and_colours_and_knows_neither_frame_nor_unit(tmp_path):
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


def test_more_rows_than_one_block_of_text(tmp_path, monkeypatch):
    monkeypatch.setattr("depth3d.io.ply._ROWS_AT_ONCE", 7)
    cloud = cloud_of(50)
    save_cloud(cloud, tmp_path / "cloud.ply", ascii=True)
    assert_same(read_cloud(tmp_path / "cloud.ply").cloud, cloud)


# -- comments ----------------------------------------------------------------------------------------


def test_comments_cannot_break_the_header(tmp_path):
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


# -- files of others ------------------------------------------------------------------------------


def test_a_ply_of_open3d(tmp_path):
    o3d = pytest.importorskip("open3d")
    cloud = cloud_of()
    pcd = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(cloud.points.astype(float)))
    pcd.colors = o3d.utility.Vector3dVector(cloud.colors / 255)
    pcd.normals = o3d.utility.Vector3dVector(cloud.normals.astype(float))
    for text in (True, False):
        o3d.io.write_point_cloud(str(tmp_path / "cloud.ply"), pcd, write_ascii=text)
        file = read_cloud(tmp_path / "cloud.ply")  # doubles
        np.testing.assert_allclose(file.cloud.points, cloud.points, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(file.cloud.colors, cloud.colors)
        assert (file.frame, file.unit) == ("unknown", "unknown")


def test_a_compressed_pcd_of_open3d(tmp_path):
    o3d = pytest.importorskip("open3d")
    cloud = cloud_of(colors=False, normals=False)
    pcd = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(cloud.points.astype(float)))
    path = tmp_path / "cloud.pcd"
    o3d.io.write_point_cloud(str(path), pcd, compressed=True)
    assert b"binary_compressed" in path.read_bytes()[:400]
    assert_same(read_cloud(path).cloud, cloud)


PCL_FIELDS = """VERSION .7
FIELDS x y z _ normal_x normal_y normal_z _ curvature rgb
SIZE 8 8 8 1 4 4 4 1 4 4
TYPE F F F U F F F U F U
COUNT 1 1 1 4 1 1 1 2 1 1
WIDTH 2
HEIGHT 1
POINTS 2
DATA """


@pytest.mark.parametrize("data", ["ascii", "binary"])
def test_a_pcd_as_pcl_pads_it(tmp_path, data):
    rows = [
        (1, 2, 3, (0, 0, 0, 0), 0, 0, -1, (0, 0), 5, 0x010203),
        (4, 5, 6, (0, 0, 0, 0), 1, 0, 0, (0, 0), 5, 0xFFFEFD),
    ]
    path = tmp_path / "cloud.pcd"
    if data == "ascii":
        flat = [[y for x in row for y in (x if isinstance(x, tuple) else (x,))] for row in rows]
        body = "\n".join(" ".join(map(str, row)) for row in flat).encode()
    else:
        body = np.array(rows, dtype="<f8,<f8,<f8,4u1,<f4,<f4,<f4,2u1,<f4,<u4").tobytes()
    path.write_bytes(PCL_FIELDS.encode() + data.encode() + b"\n" + body)
    cloud = read_cloud(path).cloud
    np.testing.assert_array_equal(cloud.points, [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(cloud.normals, [[0, 0, -1], [1, 0, 0]])
    np.testing.assert_array_equal(cloud.colors, [[1, 2, 3], [255, 254, 253]])


def test_a_pcd_with_part_of_a_normal_is_read_without(tmp_path):
    """Open3D ends the process on such a file."""
    path = tmp_path / "cloud.pcd"
    save_cloud(cloud_of(5), path, ascii=True)
    path.write_text(path.read_text().replace("normal_y", "norm5l_y"))
    file = read_cloud(path)
    assert file.cloud.normals is None
    assert len(file.cloud) == 5


def test_damaged_compressed_data(tmp_path):
    o3d = pytest.importorskip("open3d")
    path = tmp_path / "cloud.pcd"
    pcd = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(np.zeros((500, 3))))
    o3d.io.write_point_cloud(str(path), pcd, compressed=True)
    whole = path.read_bytes()
    for damaged in (whole[:-20], whole.replace(b"POINTS 500", b"POINTS 501")):
        path.write_bytes(damaged)
        with pytest.raises(UnreadableFileError, match="cut short"):
            read_cloud(path)


def test_the_vertices_of_a_mesh_of_trimesh(tmp_path):
    trimesh = pytest.importorskip("trimesh")
    box = trimesh.creation.box()
    for encoding in ("ascii", "binary"):
        box.export(tmp_path / "box.ply", encoding=encoding)
        np.testing.assert_array_equal(read_cloud(tmp_path / "box.ply").cloud.points, np.float32(box.vertices))


def ply(fields: str, n: int, body: bytes, encoding: str = "binary_little_endian") -> bytes:
    properties = "".join(f"property {field}\n" for field in fields.split(","))
    return f"ply\nformat {encoding} 1.0\nelement vertex {n}\n{properties}end_header\n".encode() + body


XYZ = "float x,float y,float z"


def test_big_endian_doubles_and_float_colours(tmp_path):
    path = tmp_path / "cloud.ply"
    fields = "double x,double y,double z,float red,float green,float blue,int quality"
    path.write_bytes(ply(fields, 1, struct.pack(">3d3fi", 1, 2, 3, 0, 0.5, 7, 4), "binary_big_endian"))
    cloud = read_cloud(path).cloud
    np.testing.assert_array_equal(cloud.points, [[1, 2, 3]])
    np.testing.assert_array_equal(cloud.colors, [[0, 128, 255]])


def test_points_that_are_not_finite_are_left_out_with_a_note(tmp_path, caplog):
    path = tmp_path / "cloud.ply"
    path.write_bytes(ply(XYZ, 2, struct.pack("<6f", np.nan, 0, 0, 1, 2, 3)))
    with caplog.at_level(logging.WARNING, "depth3d"):
        np.testing.assert_array_equal(read_cloud(path).cloud.points, [[1, 2, 3]])
    assert "left out 1 points" in caplog.text


def test_xyz_with_normals_or_commas_or_comments(tmp_path):
    path = tmp_path / "cloud.xyz"
    path.write_text("# made by hand\n1,2,3\n\n4, 5, 6\n")
    file = read_cloud(path)
    np.testing.assert_array_equal(file.cloud.points, [[1, 2, 3], [4, 5, 6]])
    assert file.comments == ("made by hand",)
    path.write_text("1 2 3 0.6 0 -0.8\n")  # normals, not colours
    assert read_cloud(path).cloud.colors is None


PCD = (
    b"# .PCD v0.7\nVERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 9\nHEIGHT 1\n"
    b"VIEWPOINT 0 0 0 1 0 0 0\nPOINTS 9\nDATA "
)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("text.ply", b"hello\n", "no PLY file"),
        ("void.ply", b"", "no PLY file"),
        ("header.ply", ply(XYZ, 3, b"")[:60], "header"),  # ends inside the header
        ("short.ply", ply(XYZ, 5, bytes(30)), "cut short"),  # Open3D returns garbage here
        ("huge.ply", ply(XYZ, 10**15, bytes(30)), "cut short"),  # must not allocate
        ("words.ply", ply(XYZ, 2, b"1 2 3\n4 five 6\n", "ascii"), "no point"),
        ("lines.ply", ply(XYZ, 2, b"1 2 3            \n", "ascii"), "cut short"),
        ("blank.ply", ply(XYZ, 2, b" " * 99, "ascii"), "cut short"),
        ("flat.ply", ply("float x,float y", 1, bytes(8)), "x, y and z"),
        ("twice.ply", ply(XYZ + ",float x", 1, bytes(16)), "x, y and z"),
        ("kind.ply", ply("quad x,float y,float z", 1, bytes(12)), "header"),
        ("text.pcd", b"hello\n", "no PCD file"),
        ("void.pcd", b"", "no PCD file"),
        ("short.pcd", PCD + b"binary\n" + bytes(50), "cut short"),
        ("lines.pcd", PCD + b"ascii\n1 2 3\n", "cut short"),
        ("packed.pcd", PCD + b"binary_compressed\n", "cut short"),
        ("odd.pcd", PCD + b"zipped\n" + bytes(200), "zipped"),
        ("flat.pcd", PCD.replace(b"x y z", b"a b c") + b"binary\n" + bytes(200), "x, y and z"),
        ("words.xyz", b"1 2 3\n4 five 6\n", "no point"),
        ("ragged.xyz", b"1 2 3\n4 5\n", "no point"),
        ("flat.xyz", b"1 2\n3 4\n", "three or more"),
        ("text.npz", b"hello", "no point cloud"),
        ("void.npz", b"", "no point cloud"),
    ],
)
def test_damaged_files_get_one_sentence(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnreadableFileError, match=says) as caught:
        read_cloud(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_vertices_that_come_late_or_with_lists_are_refused(tmp_path):
    path = tmp_path / "cloud.ply"
    path.write_bytes(
        ply(XYZ, 1, bytes(16)).replace(b"element v", b"element camera 1\nproperty float f\nelement v")
    )
    with pytest.raises(UnsupportedFormatError, match="before its vertices"):
        read_cloud(path)
    path.write_bytes(ply(XYZ + ",list uchar int n", 1, bytes(16)))
    with pytest.raises(UnsupportedFormatError, match="lists"):
        read_cloud(path)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"values": np.ones((3, 3))}, "no array called points"),  # a depth file
        ({"points": np.ones((3, 2))}, r"\(3, 2\)"),
        ({"points": np.ones((3, 3)), "colors": np.ones((2, 3), np.uint8)}, "colors"),
        ({"points": np.array(["a"])}, "no point cloud"),
        ({"points": np.array([None])}, "no point cloud"),  # a pickle: refused, not run
    ],
)
def test_npz_that_hold_no_cloud(tmp_path, arrays, says):
    np.savez(tmp_path / "cloud.npz", **arrays)
    with pytest.raises(UnreadableFileError, match=says):
        read_cloud(tmp_path / "cloud.npz")


def test_an_npz_whose_compressed_bytes_are_damaged(tmp_path):
    np.savez_compressed(tmp_path / "cloud.npz", points=np.zeros((5000, 3), np.float32))
    data = bytearray((tmp_path / "cloud.npz").read_bytes())
    data[99:108] = b"\xff" * 9
    (tmp_path / "cloud.npz").write_bytes(data)
    with pytest.raises(UnreadableFileError, match=r"is no point cloud in \.npz \(.*\); write the file anew"):
        read_cloud(tmp_path / "cloud.npz")


def test_a_foreign_npz_with_unknown_points_and_one_comment(tmp_path, caplog):
    points = np.array([[1, 2, 3], [np.nan, 0, 0], [4, 5, 1e300]])
    np.savez(tmp_path / "cloud.npz", points=points, comments=np.array("one"))
    found = read_cloud(tmp_path / "cloud.npz")
    assert_same(found.cloud, PointCloud(np.float32([[1, 2, 3]])))
    assert found.comments == ("one",)
    assert "left out 2 points that are not finite" in caplog.text


@pytest.mark.parametrize("suffix", geometry_files.CLOUD_SUFFIXES)
def test_no_such_file_and_a_directory(tmp_path, suffix):
    for name in ("nothing", "n" * 300):
        with pytest.raises(FileError, match="can't read"):
            read_cloud(tmp_path / f"{name}{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(FileError, match="directory"):
        read_cloud(tmp_path / f"folder{suffix}")
    with pytest.raises(FileError, match="directory"):
        save_cloud(cloud_of(3), tmp_path / f"folder{suffix}")


# -- writing safely --------------------------------------------------------------------------------


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
def test_refusals_leave_nothing_behind(tmp_path, name, options, error, says):
    with pytest.raises(error, match=says):
        save_cloud(cloud_of(3), tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


def test_points_that_overflow_in_millimetres(tmp_path):
    with pytest.raises(InputError, match="don't fit"):
        save_cloud(PointCloud(np.float32([[1e37, 0, 0]])), tmp_path / "cloud.ply", unit="mm")


def test_an_existing_file_is_kept_unless_asked(tmp_path):
    path = tmp_path / "cloud.ply"
    save_cloud(cloud_of(3), path)
    before = path.read_bytes()
    with pytest.raises(OutputExistsError):
        save_cloud(cloud_of(4), path, overwrite=False)
    assert path.read_bytes() == before
    save_cloud(cloud_of(4), path)
    assert len(read_cloud(path).cloud) == 4


def test_a_failure_halfway_leaves_the_old_file_and_no_half_file(tmp_path, monkeypatch):
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


def test_saving_changes_nothing_in_the_cloud(tmp_path):
    cloud, twin = cloud_of(), cloud_of()
    save_cloud(cloud, tmp_path / "cloud.ply", frame="blender", unit="mm")
    assert_same(cloud, twin)
