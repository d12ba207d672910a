"""Meshes in USDZ: one file with triangles, texture and material, which phones and headsets show in a room.

Format: Pixar and Alliance for OpenUSD, "USDZ File Format Specification" and "UsdPreviewSurface
Specification". The library `usd-core` writes it; without that library all else works.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from depth3d.core.color import to_linear
from depth3d.core.mesh import Mesh
from depth3d.errors import FileError, UnsupportedFormatError
from depth3d.io.texture_files import TextureFormat, encode_texture

__all__ = ["check_usd_library", "write_usdz"]

_GRAY = 0.5
"""Linear albedo of a mesh without texture and colours, which the viewer lights."""

_NO_TIME_S = 315662400
"""2 January 1980, 12 h: the first day that archives know of in every time zone."""


def check_usd_library() -> None:
    """Check, before any long work, that the library is there which writes USDZ.

    Raises:
        UnsupportedFormatError: It is not installed.
    """
    if find_spec("pxr") is None:
        raise UnsupportedFormatError(
            "writing .usdz needs the library usd-core, which is not installed; "
            "pip install 'depth3d[usd]' (or usd-core), or write .glb"
        )


def write_usdz(mesh: Mesh, path: Path, *, texture_format: TextureFormat, comments: Iterable[str]) -> None:
    """Write a mesh that is in the frame and unit of the file already: x right, y up, metres.

    The surface is seen from both sides. A photo or colours are what it gives off, and it mirrors nothing,
    for their light is in them already. Without either it is gray and the viewer lights it.

    Args:
        mesh: What to write, with at least one triangle. Where there is a texture, colours are left out.
        path: Where to, with the suffix `.usdz`; replaced if it exists.
        texture_format: How the texture is encoded.
        comments: Lines for the comment of the file's layer.

    Raises:
        UnsupportedFormatError: The library `usd-core` is not installed.
        FileError: The library can't write the file.
        OSError: The file can't be written.
    """
    check_usd_library()
    from pxr import Sdf, Tf, Usd, UsdGeom

    with TemporaryDirectory(prefix="depth3d_usdz_") as name:
        # The first file in the package is what viewers open; they find the others by their names.
        layer, texture = Path(name) / "photo.usdc", None
        if mesh.texture is not None and mesh.uv is not None:
            texture = Path(name) / ("texture.jpg" if texture_format == "jpeg" else "texture.png")
            texture.write_bytes(encode_texture(mesh.texture, texture_format))
        try:
            stage = Usd.Stage.CreateNew(str(layer))
            UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
            UsdGeom.SetStageMetersPerUnit(stage, 1.0)
            stage.GetRootLayer().comment = "\n".join(str(line) for line in comments)
            photo = UsdGeom.Xform.Define(stage, "/photo")
            stage.SetDefaultPrim(photo.GetPrim())
            _add_mesh(stage, mesh, _add_material(stage, mesh, texture))
            stage.GetRootLayer().Save()
            del stage, photo
            # Its own packer puts each file on a multiple of 64 bytes, uncompressed, as the format asks for.
            package = Sdf.ZipFileWriter.CreateNew(str(path))
            for part in (layer, texture):
                if part is not None:
                    os.utime(part, (_NO_TIME_S, _NO_TIME_S))  # same mesh, same bytes
                    package.AddFile(str(part), part.name)
            saved = package.Save()
        except (Tf.ErrorException, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise FileError(f"can't write {path}: {reason}; free space or choose another place") from None
    if not saved or not path.is_file():
        raise FileError(f"can't write {path}: usd-core gave no package; free space or choose another place")


def _add_mesh(stage: Any, mesh: Mesh, material: Any) -> None:
    from pxr import Sdf, UsdGeom, UsdShade, Vt

    def vectors(array: Any) -> Any:
        rows = np.ascontiguousarray(array, dtype=np.float32)
        return (Vt.Vec2fArray if rows.shape[1] == 2 else Vt.Vec3fArray).FromNumpy(rows)

    surface = UsdGeom.Mesh.Define(stage, "/photo/surface")
    surface.CreatePointsAttr(vectors(mesh.vertices))
    surface.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(mesh.faces), 3, dtype=np.int32)))
    surface.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(np.ascontiguousarray(mesh.faces).reshape(-1)))
    surface.CreateExtentAttr(vectors(np.stack([mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)])))
    surface.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)  # triangles as they are, with our normals
    surface.CreateDoubleSidedAttr(True)
    if mesh.normals is not None:
        surface.CreateNormalsAttr(vectors(mesh.normals))
        surface.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    if mesh.texture is not None and mesh.uv is not None:
        st = np.stack([mesh.uv[:, 0], 1 - mesh.uv[:, 1]], axis=1)  # USD counts from the bottom
        UsdGeom.PrimvarsAPI(surface).CreatePrimvar(
            "st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.vertex
        ).Set(vectors(st))
    elif mesh.colors is not None:
        colors = surface.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)
        colors.Set(vectors(to_linear(mesh.colors)))
    UsdShade.MaterialBindingAPI.Apply(surface.GetPrim()).Bind(material)


def _add_material(stage: Any, mesh: Mesh, texture: Path | None) -> Any:
    from pxr import Sdf, UsdShade

    types = Sdf.ValueTypeNames
    material = UsdShade.Material.Define(stage, "/photo/material")

    def shader(kind: str, node: str, **inputs: tuple[Any, Any]) -> Any:
        made = UsdShade.Shader.Define(stage, f"/photo/material/{node}")
        made.CreateIdAttr(kind)
        for name, (value_type, value) in inputs.items():
            made.CreateInput(name, value_type).Set(value)
        return made

    preview = shader(
        "UsdPreviewSurface",
        "preview",
        diffuseColor=(types.Color3f, (_GRAY, _GRAY, _GRAY)),
        roughness=(types.Float, 1.0),
        metallic=(types.Float, 0.0),
    )
    material.CreateSurfaceOutput().ConnectToSource(preview.ConnectableAPI(), "surface")
    if texture is not None:
        reader = shader("UsdPrimvarReader_float2", "uv", varname=(types.String, "st"))
        source = shader(
            "UsdUVTexture",
            "texture",
            file=(types.Asset, Sdf.AssetPath(texture.name)),
            sourceColorSpace=(types.Token, "sRGB"),
            wrapS=(types.Token, "clamp"),
            wrapT=(types.Token, "clamp"),
        )
        source.CreateInput("st", types.Float2).ConnectToSource(reader.CreateOutput("result", types.Float2))
        color = source.CreateOutput("rgb", types.Float3)
    elif mesh.colors is not None:
        reader = shader("UsdPrimvarReader_float3", "color", varname=(types.String, "displayColor"))
        color = reader.CreateOutput("result", types.Float3)
    else:
        return material
    preview.GetInput("diffuseColor").Set((0.0, 0.0, 0.0))
    preview.CreateInput("ior", types.Float).Set(1.0)  # the index of air: no highlights on top
    preview.CreateInput("emissiveColor", types.Color3f).ConnectToSource(color)
    return material
