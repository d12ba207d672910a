"""Meshes come home; foreign and damaged files; refusals; writing several files as one."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import trimesh

import depth3d.io.mesh_files as mesh_files
from depth3d.core.mesh import Mesh
from depth3d.errors import (
    FileError,
    InputError,
    OutputExistsError,
    UnreadableFileError,
    UnsupportedFormatError,
)
from depth3d.io import texture_files
from depth3d.io.geometry_files import read_cloud
from depth3d.io.mesh_files import MESH_SUFFIXES, load_mesh, mesh_outputs, read_mesh, save_mesh

KEPT = {
    ".glb": ("uv", "texture", "normals"),
    ".obj": ("uv", "texture", "normals"),
    ".ply": ("normals",),
    ".3mf": (),
}


@pytest.mark.parametrize("suffix", KEPT)
def test_a_round_trip_comes_home(tmp_path, suffix, mesh_of):
    mesh = mesh_of(texture=True, normals=True)
    path = tmp_path / f"sheet{suffix}"
    save_mesh(mesh, path, texture_format="png", comments=["camera: c", "model: m"])
    file = read_mesh(path)
    np.testing.assert_allclose(file.mesh.vertices, mesh.vertices, rtol=2e-7)
    np.testing.assert_array_equal(file.mesh.faces, mesh.faces)
    for name in KEPT[suffix]:
        np.testing.assert_allclose(getattr(file.mesh, name), getattr(mesh, name), atol=1e-7, err_msg=name)
    assert file.comments == ("camera: c", "model: m")


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply"])
def test_vertex_colours_come_home_to_the_bit(tmp_path, suffix, mesh_of):
    mesh = mesh_of(colors=True)
    save_mesh(mesh, tmp_path / f"sheet{suffix}")
    np.testing.assert_array_equal(load_mesh(tmp_path / f"sheet{suffix}").colors, mesh.colors)


def test_normals_that_no_file_has_are_not_made_up(tmp_path, mesh_of):
    for suffix in (".glb", ".obj", ".ply"):
        save_mesh(mesh_of(), tmp_path / f"sheet{suffix}")
        assert load_mesh(tmp_path / f"sheet{suffix}").normals is None


def test_the_ply_is_a_cloud_too(tmp_path, mesh_of):
    mesh = mesh_of(colors=True)
    save_mesh(mesh, tmp_path / "sheet.ply", frame="blender", comments=["camera: c"])
    file = read_cloud(tmp_path / "sheet.ply")
    np.testing.assert_array_equal(file.cloud.points, mesh.vertices)
    np.testing.assert_array_equal(file.cloud.colors, mesh.colors)
    assert (file.frame, file.comments) == ("blender", ("camera: c",))


def test_foreign_files_stay_as_they_are_and_say_nothing(tmp_path):
    box = trimesh.creation.box()
    for suffix in (".ply", ".stl", ".obj"):
        box.export(tmp_path / f"box{suffix}")
        file = read_mesh(tmp_path / f"box{suffix}")
        assert (file.frame, file.unit) == ("unknown", "unknown")
        np.testing.assert_allclose(file.mesh.vertices[file.mesh.faces].min(axis=(0, 1)), [-0.5] * 3)
        assert len(file.mesh.faces) == 12


def test_parts_of_a_foreign_glb_are_put_in_their_places(tmp_path):
    def boxes(*places):
        scene = trimesh.Scene()
        for place in places:
            scene.add_geometry(
                trimesh.creation.box(), transform=trimesh.transformations.translation_matrix(place)
            )
        scene.export(tmp_path / "boxes.glb")
        return read_mesh(tmp_path / "boxes.glb")

    file = boxes([5, 0, 0], [0, 3, 0])
    assert (file.frame, file.unit) == ("opengl", "m")  # glTF's own, by definition
    np.testing.assert_allclose(file.mesh.vertices.min(axis=0), [-0.5, -3.5, -0.5], atol=1e-6)
    np.testing.assert_allclose(file.mesh.vertices.max(axis=0), [5.5, 0.5, 0.5], atol=1e-6)
    np.testing.assert_allclose(boxes([5, 0, 0]).mesh.vertices[:, 0].max(), 5.5, atol=1e-6)


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
def test_damaged_files_end_in_one_sentence(tmp_path, suffix, mesh_of):
    path = tmp_path / f"sheet{suffix}"
    save_mesh(mesh_of(), path)
    whole = path.read_bytes()
    for damaged in (b"", b"\0" * 200, b"no mesh at all", whole[: len(whole) // 3]):
        path.write_bytes(damaged)
        with pytest.raises(UnreadableFileError) as caught:
            read_mesh(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
def test_any_flipped_byte_is_read_or_refused(tmp_path, suffix, mesh_of):
    path = tmp_path / f"sheet{suffix}"
    save_mesh(mesh_of(colors=True), path)
    whole = path.read_bytes()
    draw = np.random.default_rng(1)
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[draw.integers(len(whole))] = draw.integers(256)
        path.write_bytes(damaged)
        with suppress(FileError):
            assert len(read_mesh(path).mesh.faces)


def test_a_cloud_is_no_mesh(tmp_path, cloud_of):
    from depth3d.io.geometry_files import save_cloud

    save_cloud(cloud_of(5), tmp_path / "cloud.ply")
    with pytest.raises(UnreadableFileError, match="no triangles"):
        read_mesh(tmp_path / "cloud.ply")


def test_nothing_there_and_a_directory(tmp_path):
    for suffix in MESH_SUFFIXES:
        with pytest.raises(FileError, match="can't read"):
            read_mesh(tmp_path / f"none{suffix}")
        (tmp_path / f"folder{suffix}").mkdir()
        with pytest.raises(FileError, match="directory"):
            read_mesh(tmp_path / f"folder{suffix}")


# -- refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "error", "says"),
    [
        ("sheet.xyz", {}, UnsupportedFormatError, ".glb, .obj, .ply, .stl, .3mf"),
        ("sheet", {}, UnsupportedFormatError, "suffix"),
        ("sheet.gltf", {}, UnsupportedFormatError, "write .glb or .usdz"),
        ("sheet.ply", {"frame": "unreal"}, InputError, "opencv, opengl, blender, got 'unreal'"),
        ("sheet.ply", {"unit": "inch"}, InputError, "m, cm, mm, got 'inch'"),
        ("sheet.glb", {"unit": "mm"}, InputError, "in metres with y up by definition, got opengl and mm"),
        ("sheet.glb", {"frame": "opencv"}, InputError, "leave the frame and the unit out"),
        ("sheet.glb", {"texture_format": "webp"}, InputError, "'jpeg' or 'png', got 'webp'"),
        ("none/sheet.ply", {}, FileError, "does not exist"),
    ],
)
def test_refusals_leave_nothing_behind(tmp_path, name, options, error, says, mesh_of):
    with pytest.raises(error, match=says):
        save_mesh(mesh_of(), tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
def test_a_mesh_without_triangles_or_with_nan_is_refused(tmp_path, suffix, mesh_of):
    with pytest.raises(InputError, match="no triangles"):
        save_mesh(Mesh(np.zeros((3, 3)), np.empty((0, 3), int)), tmp_path / f"none{suffix}")
    mesh = mesh_of(texture=True)
    with pytest.raises(InputError, match="uv of a mesh to save must be finite"):
        save_mesh(replace(mesh, uv=np.full_like(mesh.uv, np.nan)), tmp_path / f"nan{suffix}")
    with pytest.raises(InputError, match="don't fit into float32 in mm"):
        save_mesh(Mesh(np.eye(3) * 1e37, [[0, 1, 2]]), tmp_path / "far.stl")
    assert list(tmp_path.iterdir()) == []


def test_more_than_a_glb_can_hold(tmp_path, monkeypatch, mesh_of):
    monkeypatch.setattr("depth3d.io.glb_container._LARGEST", 1000)
    with pytest.raises(InputError, match="holds 4 GB"):
        save_mesh(mesh_of(), tmp_path / "sheet.glb")
    assert list(tmp_path.iterdir()) == []


# -- three files as one ---------------------------------------------------------------------------------


def test_an_obj_writes_three_files_that_name_each_other(tmp_path, mesh_of):
    path = tmp_path / "my old desk.obj"
    save_mesh(mesh_of(texture=True), path)
    names = {"my old desk.obj", "my_old_desk.mtl", "my_old_desk_texture.jpg"}
    assert {p.name for p in tmp_path.iterdir()} == names
    assert names == {p.name for p in mesh_outputs(path)}
    assert mesh_outputs(path, textured=False) == (path,)
    assert mesh_outputs("a.obj", texture_format="png")[2].name == "a_texture.png"
    assert [p.name for p in mesh_outputs("a.glb")] == ["a.glb"]
    assert "mtllib my_old_desk.mtl\n" in path.read_text()
    assert "map_Kd my_old_desk_texture.jpg\n" in (tmp_path / "my_old_desk.mtl").read_text()
    save_mesh(mesh_of(colors=True), tmp_path / "bare.obj")
    assert not (tmp_path / "bare.mtl").exists()


@pytest.mark.parametrize("taken", ["desk.obj", "desk.mtl", "desk_texture.jpg"])
def test_none_of_the_three_is_overwritten_unless_asked(tmp_path, taken, mesh_of):
    (tmp_path / taken).write_bytes(b"precious")
    with pytest.raises(OutputExistsError):
        save_mesh(mesh_of(texture=True), tmp_path / "desk.obj", overwrite=False)
    assert [p.name for p in tmp_path.iterdir()] == [taken]
    assert (tmp_path / taken).read_bytes() == b"precious"
    save_mesh(mesh_of(texture=True), tmp_path / "desk.obj", overwrite=True)
    assert load_mesh(tmp_path / "desk.obj").texture is not None


def test_a_failure_halfway_leaves_the_old_three(tmp_path, monkeypatch, mesh_of):
    save_mesh(mesh_of(texture=True), tmp_path / "desk.obj")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def fails(mesh, partial, **_):
        partial.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mesh_files, "write_obj", fails)
    with pytest.raises(FileError, match="No space left"):
        save_mesh(mesh_of(texture=True, normals=True), tmp_path / "desk.obj")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


# -- textures ----------------------------------------------------------------------------------------


def test_a_large_texture_is_averaged_in_linear_light(monkeypatch):
    from io import BytesIO

    from PIL import Image

    monkeypatch.setattr(texture_files, "MAX_TEXTURE_PX", 8)
    stripes = np.zeros((4, 16, 3), np.uint8)
    stripes[:, ::2] = 255
    small = np.asarray(Image.open(BytesIO(texture_files.encode_texture(stripes, "png"))))
    assert small.shape == (2, 8, 3)
    assert (small == 188).all()  # half the light, not half the byte


def test_saving_changes_nothing_in_the_mesh(tmp_path, mesh_of):
    mesh, twin = mesh_of(texture=True, normals=True), mesh_of(texture=True, normals=True)
    for suffix in MESH_SUFFIXES:
        save_mesh(mesh, tmp_path / f"sheet{suffix}")
    for name in ("vertices", "faces", "uv", "texture", "normals"):
        np.testing.assert_array_equal(getattr(mesh, name), getattr(twin, name))
