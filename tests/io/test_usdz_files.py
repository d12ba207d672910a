"""USDZ files are read by Pixar's own library and by its validators, and as a plain ZIP archive."""

from __future__ import annotations

import zipfile
from importlib.util import find_spec
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from depth3d.core.color import to_linear
from depth3d.errors import FileError, InputError, OutputExistsError, UnsupportedFormatError
from depth3d.io import usdz
from depth3d.io.mesh_files import check_mesh_format, mesh_outputs, read_mesh, save_mesh

needs_usd = pytest.mark.skipif(find_spec("pxr") is None, reason="the library usd-core is not installed")


def stage_of(path):
    from pxr import Usd

    return Usd.Stage.Open(str(path))


def surface_of(stage):
    from pxr import UsdGeom

    return UsdGeom.Mesh(stage.GetPrimAtPath("/photo/surface"))


def preview_of(stage):
    """The shader that the mesh is bound to, as a renderer finds it."""
    from pxr import UsdShade

    binding = UsdShade.MaterialBindingAPI(surface_of(stage).GetPrim())
    material, _ = binding.ComputeBoundMaterial()
    shader, _, _ = material.ComputeSurfaceSource()
    return shader


def source_of(shader, name):
    from pxr import UsdShade

    source = shader.GetInput(name).GetConnectedSources()[0][0]
    return UsdShade.Shader(source.source.GetPrim())


@needs_usd
def test_pixars_library_reads_the_same_arrays(tmp_path, mesh_of):
    from pxr import UsdGeom

    mesh = mesh_of(texture=True, normals=True)
    save_mesh(mesh, tmp_path / "sheet.usdz", comments=["camera: 60 degrees"])
    stage = stage_of(tmp_path / "sheet.usdz")
    surface, flip = surface_of(stage), np.float32([1, -1, -1])
    np.testing.assert_array_equal(np.array(surface.GetPointsAttr().Get()), mesh.vertices * flip)
    np.testing.assert_array_equal(np.array(surface.GetNormalsAttr().Get()), mesh.normals * flip)
    np.testing.assert_array_equal(
        np.array(surface.GetFaceVertexIndicesAttr().Get()).reshape(-1, 3), mesh.faces
    )
    np.testing.assert_array_equal(np.array(surface.GetFaceVertexCountsAttr().Get()), [3] * len(mesh.faces))
    st = UsdGeom.PrimvarsAPI(surface).GetPrimvar("st")
    assert st.GetInterpolation() == surface.GetNormalsInterpolation() == "vertex"
    np.testing.assert_array_equal(np.array(st.Get()), mesh.uv * np.float32([1, -1]) + np.float32([0, 1]))
    low, high = np.array(surface.GetExtentAttr().Get())
    np.testing.assert_array_equal(low, (mesh.vertices * flip).min(axis=0))
    np.testing.assert_array_equal(high, (mesh.vertices * flip).max(axis=0))
    assert surface.GetSubdivisionSchemeAttr().Get() == "none"
    assert surface.GetDoubleSidedAttr().Get() is True
    assert surface.GetOrientationAttr().Get() == "rightHanded"
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert stage.GetDefaultPrim().GetPath() == "/photo"
    lines = stage.GetRootLayer().comment.splitlines()
    assert lines[-1] == "camera: 60 degrees"


@needs_usd
@pytest.mark.parametrize("paint", ["texture", "colors", "none"])
def test_the_validators_have_nothing_to_say(tmp_path, mesh_of, paint):
    from pxr import UsdValidation

    mesh = mesh_of(texture=paint == "texture", colors=paint == "colors", normals=True)
    save_mesh(mesh, tmp_path / "sheet.usdz")
    registry = UsdValidation.ValidationRegistry()
    validators = registry.GetOrLoadAllValidators()
    assert "UsdzPackageValidator" in " ".join(str(v.GetMetadata().name) for v in validators)
    findings = UsdValidation.ValidationContext(validators).Validate(stage_of(tmp_path / "sheet.usdz"))
    assert [finding.GetMessage() for finding in findings] == []


@needs_usd
@pytest.mark.parametrize(("texture_format", "suffix"), [("jpeg", "jpg"), ("png", "png")])
def test_the_photo_gives_off_its_own_light(tmp_path, mesh_of, texture_format, suffix):
    mesh = mesh_of(texture=True)
    save_mesh(mesh, tmp_path / "sheet.usdz", texture_format=texture_format)
    stage = stage_of(tmp_path / "sheet.usdz")
    preview = preview_of(stage)
    assert preview.GetShaderId() == "UsdPreviewSurface"
    assert tuple(preview.GetInput("diffuseColor").Get()) == (0, 0, 0)
    assert preview.GetInput("ior").Get() == 1  # ((1 - ior) / (1 + ior))^2 of the light is mirrored
    texture = source_of(preview, "emissiveColor")
    assert texture.GetShaderId() == "UsdUVTexture"
    assert texture.GetInput("sourceColorSpace").Get() == "sRGB"
    assert source_of(texture, "st").GetInput("varname").Get() == "st"
    assert texture.GetInput("file").Get().resolvedPath.endswith(f"sheet.usdz[texture.{suffix}]")
    with zipfile.ZipFile(tmp_path / "sheet.usdz") as archive:
        assert archive.testzip() is None
        entries = archive.infolist()
        picture = np.asarray(Image.open(BytesIO(archive.read(f"texture.{suffix}"))))
    assert [entry.filename for entry in entries] == ["photo.usdc", f"texture.{suffix}"]
    assert all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    assert picture.shape == mesh.texture.shape
    if texture_format == "png":
        np.testing.assert_array_equal(picture, mesh.texture)


@needs_usd
def test_each_file_in_the_package_starts_at_a_multiple_of_64_bytes(tmp_path, mesh_of):
    save_mesh(mesh_of(texture=True), tmp_path / "sheet.usdz")
    data = (tmp_path / "sheet.usdz").read_bytes()
    with zipfile.ZipFile(tmp_path / "sheet.usdz") as archive:
        for entry in archive.infolist():
            head = data[entry.header_offset :]
            name, extra = (int.from_bytes(head[i : i + 2], "little") for i in (26, 28))
            assert (entry.header_offset + 30 + name + extra) % 64 == 0


@needs_usd
def test_colors_are_linear_and_a_bare_mesh_is_gray(tmp_path, mesh_of):
    mesh = mesh_of(colors=True)
    save_mesh(mesh, tmp_path / "painted.usdz")
    stage = stage_of(tmp_path / "painted.usdz")
    shown = surface_of(stage).GetDisplayColorPrimvar()
    assert shown.GetInterpolation() == "vertex"
    np.testing.assert_array_equal(np.array(shown.Get()), to_linear(mesh.colors).astype(np.float32))
    reader = source_of(preview_of(stage), "emissiveColor")
    assert reader.GetInput("varname").Get() == "displayColor"
    save_mesh(mesh_of(), tmp_path / "bare.usdz")
    stage = stage_of(tmp_path / "bare.usdz")
    bare = preview_of(stage)
    assert bare.GetInput("diffuseColor").Get()[0] == 0.5
    assert not bare.GetInput("emissiveColor")


@needs_usd
def test_it_appears_whole_or_not_at_all(tmp_path, monkeypatch, mesh_of):
    path = tmp_path / "sheet.usdz"
    assert mesh_outputs(path) == (path,)
    save_mesh(mesh_of(texture=True), path)
    whole = path.read_bytes()
    with pytest.raises(OutputExistsError):
        save_mesh(mesh_of(), path, overwrite=False)
    with pytest.raises(InputError, match=r"a \.usdz is in metres with y up by definition"):
        save_mesh(mesh_of(), path, unit="mm")
    with pytest.raises(UnsupportedFormatError, match=r"written but not read.*as \.glb"):
        read_mesh(path)

    def broken(*_):
        raise RuntimeError("the disk\nis full")

    monkeypatch.setattr(usdz, "_add_mesh", broken)
    with pytest.raises(FileError, match=r"can't write .*the disk is full; free space"):
        save_mesh(mesh_of(), path)
    assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]


def test_without_the_library_it_says_what_to_install_before_any_work(tmp_path, monkeypatch, mesh_of):
    import sys

    monkeypatch.setitem(sys.modules, "pxr", None)
    for call in (
        lambda: check_mesh_format(tmp_path / "sheet.usdz", frame=None, unit=None),
        lambda: save_mesh(mesh_of(), tmp_path / "sheet.usdz"),
    ):
        with pytest.raises(UnsupportedFormatError, match=r"pip install 'depth3d\[usd\]'.*or write \.glb"):
            call()
    assert list(tmp_path.iterdir()) == []
