"""Clouds that other programs wrote, and damaged ones."""

from __future__ import annotations

import logging
import struct

import numpy as np
import pytest

from depth3d.core.cloud import PointCloud
from depth3d.errors import UnreadableFileError, UnsupportedFormatError
from depth3d.io.geometry_files import read_cloud, save_cloud


def test_a_ply_of_open3d(tmp_path, cloud_of):
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


def test_a_compressed_pcd_of_open3d(tmp_path, cloud_of, assert_same):
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


def test_a_pcd_with_part_of_a_normal_is_read_without(tmp_path, cloud_of):
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
        ({"points": np.array([None])}, "holds Python objects, which could run code"),  # not run
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
    with pytest.raises(UnreadableFileError, match="is damaged or cut short; copy it again"):
        read_cloud(tmp_path / "cloud.npz")


def test_a_foreign_npz_with_unknown_points_and_one_comment(tmp_path, caplog, assert_same):
    points = np.array([[1, 2, 3], [np.nan, 0, 0], [4, 5, 1e300]])
    np.savez(tmp_path / "cloud.npz", points=points, comments=np.array("one"))
    found = read_cloud(tmp_path / "cloud.npz")
    assert_same(found.cloud, PointCloud(np.float32([[1, 2, 3]])))
    assert found.comments == ("one",)
    assert "left out 2 points that are not finite" in caplog.text
