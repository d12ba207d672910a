"""Meshes are written, then read by trimesh, Open3D, pygltflib and the standard library."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import trimesh
from PIL import Image

from depth3d.core.color import to_linear
from depth3d.core.mesh import Mesh
from depth3d.io.mesh_files import MESH_SUFFIXES, save_mesh

EXPECTED = {
    ".glb": [1, -1, -1],
    ".obj": [1, -1, -1],
    ".ply": [1, 1, 1],
    ".stl": [1000, -1000, -1000],
    ".3mf": [1000, -1000, -1000],
}
"""What each axis is multiplied with when nothing is asked for."""


def open3d_reads(path):
    o3d = pytest.importorskip("open3d")
    with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
        return o3d.io.read_triangle_mesh(str(path))


def only_part(path):
    """By trimesh, without joining parts, which would compute the normals anew."""
    (part,) = trimesh.load_scene(path, process=False, maintain_order=True).geometry.values()
    return part


def corners(vertices, faces):
    """Triangles as sets of corners, in an order that no reader's renumbering changes."""
    rows = np.asarray(vertices, dtype=np.float64)[np.asarray(faces)].reshape(-1, 9)
    return rows[np.lexsort(rows.T[::-1])]


def signed_volume(vertices, faces):
    """Six times the volume between the triangles and the origin: its sign tells front from back."""
    a, b, c = np.asarray(vertices, dtype=np.float64)[np.asarray(faces)].transpose(1, 0, 2)
    return np.einsum("ij,ij->", a, np.cross(b, c))


# -- the same triangles everywhere ----------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply", ".stl"])
def test_trimesh_and_open3d_read_the_same_triangles(tmp_path, suffix, mesh_of):
    mesh = mesh_of(texture=True, normals=True)
    path = tmp_path / f"sheet{suffix}"
    save_mesh(mesh, path)
    wanted = mesh.vertices * np.float32(EXPECTED[suffix])
    by_trimesh = trimesh.load_mesh(path, process=False)
    np.testing.assert_allclose(
        corners(by_trimesh.vertices, by_trimesh.faces), corners(wanted, mesh.faces), rtol=1e-7
    )
    scale = abs(EXPECTED[suffix][0])
    plain = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    np.testing.assert_allclose(by_trimesh.area, plain.area * scale**2, rtol=1e-6)
    assert np.sign(signed_volume(by_trimesh.vertices, by_trimesh.faces)) == np.sign(
        signed_volume(mesh.vertices, mesh.faces)
    )
    by_open3d = open3d_reads(path)
    np.testing.assert_allclose(
        corners(by_open3d.vertices, by_open3d.triangles), corners(wanted, mesh.faces), rtol=1e-7
    )


def test_the_front_of_each_triangle_looks_at_the_camera(tmp_path, mesh_of):
    """glTF's camera looks along -z, so what faces it has a normal with positive z."""
    save_mesh(mesh_of(), tmp_path / "sheet.glb")
    loaded = trimesh.load_mesh(tmp_path / "sheet.glb", process=False)
    towards = -loaded.triangles_center
    assert (np.einsum("ij,ij->i", loaded.face_normals, towards) > 0).all()
    assert (loaded.vertices[:, 2] < 0).all()


def test_stl_by_trimesh_carries_true_facet_normals(tmp_path, mesh_of):
    mesh = mesh_of()
    save_mesh(mesh, tmp_path / "sheet.stl", frame="opencv", unit="m")
    records = np.frombuffer(
        (tmp_path / "sheet.stl").read_bytes()[84:], dtype="<3f4, <9f4, <u2"
    )  # 50 bytes a triangle
    assert len(records) == len(mesh.faces)
    plain = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    np.testing.assert_allclose(records["f0"], plain.face_normals, atol=1e-6)
    np.testing.assert_array_equal(records["f1"].reshape(-1, 3, 3), mesh.vertices[mesh.faces])


def test_3mf_by_the_standard_library(tmp_path, mesh_of):
    mesh = mesh_of()
    save_mesh(mesh, tmp_path / "sheet.3mf", comments=["a < b & c"])
    with zipfile.ZipFile(tmp_path / "sheet.3mf") as archive:
        assert archive.testzip() is None
        assert "3D/3dmodel.model" in archive.read("_rels/.rels").decode()
        assert 'Extension="model"' in archive.read("[Content_Types].xml").decode()
        model = ET.fromstring(archive.read("3D/3dmodel.model"))
    name = "{http://schemas.microsoft.com/3dmanufacturing/core/2015/02}"
    assert (model.tag, model.get("unit")) == (f"{name}model", "millimeter")
    vertices = [[float(v.get(axis)) for axis in "xyz"] for v in model.iter(f"{name}vertex")]
    faces = [[int(t.get(key)) for key in ("v1", "v2", "v3")] for t in model.iter(f"{name}triangle")]
    np.testing.assert_array_equal(np.float32(vertices), mesh.vertices * np.float32([1000, -1000, -1000]))
    np.testing.assert_array_equal(faces, mesh.faces)
    facts = {m.get("name"): m.text for m in model.iter(f"{name}metadata")}
    assert facts["Description"].endswith("\na < b & c")
    assert model.find(f"{name}build/{name}item").get("objectid") == model.find(f".//{name}object").get("id")


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".stl", ".3mf"])
def test_frames_and_units_move_the_same_points(tmp_path, suffix, mesh_of):
    from depth3d.io.mesh_files import read_mesh

    mesh = mesh_of()
    for frame, unit, of_ours in (
        ("opencv", "cm", lambda p: 100 * p),
        ("opengl", "m", lambda p: p * [1, -1, -1]),
        ("blender", "mm", lambda p: 1000 * p[:, [0, 2, 1]] * [1, 1, -1]),
    ):
        path = tmp_path / f"{frame}{suffix}"
        save_mesh(mesh, path, frame=frame, unit=unit)
        if suffix != ".3mf":
            loaded = trimesh.load_mesh(path, process=False)
            np.testing.assert_allclose(
                corners(loaded.vertices, loaded.faces),
                corners(of_ours(mesh.vertices), mesh.faces),
                rtol=1e-6,
            )
        file = read_mesh(path)
        assert (file.frame, file.unit) == (frame, unit)
        np.testing.assert_allclose(
            corners(file.mesh.vertices, file.mesh.faces), corners(mesh.vertices, mesh.faces), rtol=3e-7
        )


# -- textures and colours --------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_a_texture_keeps_its_pixels_and_lies_the_right_way_up(tmp_path, suffix, mesh_of):
    mesh = mesh_of(texture=True)
    path = tmp_path / f"sheet{suffix}"
    save_mesh(mesh, path, texture_format="png")
    visual = only_part(path).visual
    image = visual.material.baseColorTexture if suffix == ".glb" else visual.material.image
    np.testing.assert_array_equal(np.asarray(image.convert("RGB")), mesh.texture)
    # trimesh counts v from the bottom, whatever the file does.
    np.testing.assert_allclose(visual.uv, np.stack([mesh.uv[:, 0], 1 - mesh.uv[:, 1]], axis=1), atol=1e-7)


def test_open3d_finds_the_texture_of_an_obj(tmp_path, mesh_of):
    mesh = mesh_of(texture=True)
    save_mesh(mesh, tmp_path / "sheet.obj", texture_format="png")
    loaded = open3d_reads(tmp_path / "sheet.obj")
    uv = np.asarray(loaded.triangle_uvs)
    height, width = mesh.texture.shape[:2]
    pixels = np.asarray(loaded.textures[-1])[..., :3]
    by_vertex = np.empty((len(mesh.vertices), 3), np.uint8)
    order = [np.argmin(np.abs(mesh.vertices * [1, -1, -1] - v).sum(axis=1)) for v in loaded.vertices]
    # Open3D turns the picture over and keeps v from the bottom, so that v counts its rows.
    rows, cols = (uv[:, 1] * height).astype(int), (uv[:, 0] * width).astype(int)
    by_vertex[np.asarray(order)[np.asarray(loaded.triangles).ravel()]] = pixels[rows, cols]
    wanted = mesh.texture[(mesh.uv[:, 1] * height).astype(int), (mesh.uv[:, 0] * width).astype(int)]
    np.testing.assert_array_equal(by_vertex, wanted)


def test_jpeg_textures_are_small_and_close(tmp_path, mesh_of):
    ramp = np.linspace(0, 255, 64)
    smooth = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], 128), axis=-1).astype(np.uint8)
    mesh = replace(mesh_of(texture=True), texture=smooth)
    save_mesh(mesh, tmp_path / "sheet.glb")
    image = only_part(tmp_path / "sheet.glb").visual.material.baseColorTexture
    assert b"image/jpeg" in (tmp_path / "sheet.glb").read_bytes()
    assert np.abs(np.asarray(image.convert("RGB")).astype(int) - smooth).max() <= 4


@pytest.mark.parametrize("suffix", [".ply", ".obj"])
def test_vertex_colours_survive_to_the_bit(tmp_path, suffix, mesh_of):
    mesh = mesh_of(colors=True)
    save_mesh(mesh, tmp_path / f"sheet{suffix}")
    loaded = trimesh.load_mesh(tmp_path / f"sheet{suffix}", process=False, maintain_order=True)
    np.testing.assert_array_equal(loaded.visual.vertex_colors[:, :3], mesh.colors)
    by_open3d = np.rint(255 * np.asarray(open3d_reads(tmp_path / f"sheet{suffix}").vertex_colors))
    assert {tuple(c) for c in by_open3d.astype(int)} == {tuple(c) for c in mesh.colors.astype(int)}


def test_a_ply_takes_its_colours_from_the_texture(tmp_path, mesh_of):
    mesh = mesh_of(texture=True, colors=True)
    save_mesh(mesh, tmp_path / "sheet.ply")
    loaded = trimesh.load_mesh(tmp_path / "sheet.ply", process=False)
    # The vertices lie at the centres of the middle ones of 3 x 3 pixels.
    np.testing.assert_array_equal(loaded.visual.vertex_colors[:, :3], mesh.texture[1::3, 1::3].reshape(-1, 3))


def test_normals_are_turned_and_never_scaled(tmp_path, mesh_of):
    mesh = mesh_of(normals=True)
    for suffix in (".glb", ".obj", ".ply"):
        options = {} if suffix == ".glb" else {"frame": "opengl", "unit": "m" if suffix == ".obj" else "mm"}
        save_mesh(mesh, tmp_path / f"sheet{suffix}", **options)
        loaded = only_part(tmp_path / f"sheet{suffix}")
        np.testing.assert_allclose(loaded.vertex_normals, mesh.normals * [1, -1, -1], atol=2e-7)


# -- glTF in detail --------------------------------------------------------------------------------


def gltf_of(path):
    pygltflib = pytest.importorskip("pygltflib")
    return pygltflib.GLTF2().load(str(path))


def accessor(gltf, index):
    found = gltf.accessors[index]
    view = gltf.bufferViews[found.bufferView]
    dtype = {5126: "<f4", 5123: "<u2", 5125: "<u4"}[found.componentType]
    columns = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}[found.type]
    assert view.byteOffset % 4 == 0
    raw = np.frombuffer(gltf.binary_blob(), dtype, found.count * columns, view.byteOffset)
    assert raw.nbytes == view.byteLength
    return raw.reshape(found.count, columns)


def test_pygltflib_reads_geometry_texture_and_material(tmp_path, mesh_of):
    mesh = mesh_of(texture=True, colors=True, normals=True)
    save_mesh(mesh, tmp_path / "sheet.glb", texture_format="png", comments=["camera: c"])
    gltf = gltf_of(tmp_path / "sheet.glb")
    primitive = gltf.meshes[0].primitives[0]
    positions = accessor(gltf, primitive.attributes.POSITION)
    np.testing.assert_array_equal(positions, mesh.vertices * np.float32([1, -1, -1]))
    assert gltf.accessors[primitive.attributes.POSITION].min == positions.min(axis=0).tolist()
    assert gltf.accessors[primitive.attributes.POSITION].max == positions.max(axis=0).tolist()
    np.testing.assert_array_equal(accessor(gltf, primitive.indices).reshape(-1, 3), mesh.faces)
    np.testing.assert_array_equal(accessor(gltf, primitive.attributes.TEXCOORD_0), mesh.uv)
    length = np.linalg.norm(accessor(gltf, primitive.attributes.NORMAL), axis=1)
    np.testing.assert_allclose(length, 1, atol=1e-6)
    assert primitive.attributes.COLOR_0 is None  # it would be multiplied with the texture

    material = gltf.materials[primitive.material]
    assert material.doubleSided
    assert material.extensions == {"KHR_materials_unlit": {}}
    assert gltf.extensionsUsed == ["KHR_materials_unlit"]
    texture = gltf.textures[material.pbrMetallicRoughness.baseColorTexture.index]
    image = gltf.images[texture.source]
    view = gltf.bufferViews[image.bufferView]
    data = gltf.binary_blob()[view.byteOffset : view.byteOffset + view.byteLength]
    assert image.mimeType == "image/png"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), mesh.texture)
    assert gltf.asset.version == "2.0"
    assert gltf.asset.extras["comments"][1:] == [
        "frame: opengl (x right, y up, z backward)",
        "unit: m",
        "camera: c",
    ]


def test_vertex_colours_of_a_glb_are_linear_light(tmp_path, mesh_of):
    mesh = replace(mesh_of(colors=True), colors=np.arange(105, dtype=np.uint8).reshape(35, 3))
    save_mesh(mesh, tmp_path / "sheet.glb")
    gltf = gltf_of(tmp_path / "sheet.glb")
    colors = accessor(gltf, gltf.meshes[0].primitives[0].attributes.COLOR_0)
    np.testing.assert_allclose(colors[:, :3] / 65535, to_linear(mesh.colors), atol=0.5 / 65535 + 1e-7)
    assert (colors[:, 3] == 65535).all()
    assert len(np.unique(colors[:, :3])) == 105  # no two steps of sRGB fall together


def test_a_bare_mesh_is_gray_and_lit(tmp_path, mesh_of):
    save_mesh(mesh_of(), tmp_path / "sheet.glb")
    material = gltf_of(tmp_path / "sheet.glb").materials[0]
    assert material.doubleSided
    assert not material.extensions
    assert material.pbrMetallicRoughness.baseColorFactor == [0.5, 0.5, 0.5, 1.0]


def test_the_chunks_of_a_glb_add_up(tmp_path, mesh_of):
    save_mesh(mesh_of(texture=True), tmp_path / "sheet.glb")
    data = (tmp_path / "sheet.glb").read_bytes()
    magic, version, total, json_length = np.frombuffer(data[:16], "<u4")
    assert (data[:4], version, total) == (b"glTF", 2, len(data))
    assert magic == 0x46546C67
    document = json.loads(data[20 : 20 + json_length])
    binary_length = int.from_bytes(data[20 + json_length : 24 + json_length], "little")
    assert document["buffers"] == [{"byteLength": binary_length}]
    assert 28 + json_length + binary_length == total
    assert json_length % 4 == binary_length % 4 == 0


def test_normals_without_length_look_at_the_camera_in_a_glb(tmp_path):
    mesh = Mesh([[0, 0, 1], [0, 1, 1], [1, 0, 1]], [[0, 1, 2]], normals=[[0, 0, 0], [0, 0, -2], [3, 0, 0]])
    save_mesh(mesh, tmp_path / "one.glb")
    gltf = gltf_of(tmp_path / "one.glb")
    normals = accessor(gltf, gltf.meshes[0].primitives[0].attributes.NORMAL)
    np.testing.assert_array_equal(normals, [[0, 0, 1], [0, 0, 1], [1, 0, 0]])


def test_every_suffix_was_tested_for_its_axes():
    assert set(EXPECTED) == set(MESH_SUFFIXES)
