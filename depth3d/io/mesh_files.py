"""Meshes in files: GLB, OBJ, PLY, STL, 3MF, USDZ, each with the axes and the unit that its readers expect."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from depth3d.core.cloud import PointCloud
from depth3d.core.mesh import Mesh
from depth3d.core.stages import stage
from depth3d.core.texture import texture_colors
from depth3d.errors import FileError, InputError, UnreadableFileError, UnsupportedFormatError
from depth3d.io.atomic import writing
from depth3d.io.foreign_mesh import read_with_trimesh
from depth3d.io.frames import check_frame, check_unit, from_frame, header_lines, parse_header, to_frame
from depth3d.io.glb import write_glb
from depth3d.io.obj import write_mtl, write_obj
from depth3d.io.ply import comment_lines, write_ply
from depth3d.io.stl import write_stl
from depth3d.io.texture_files import TextureFormat, check_texture_format, encode_texture
from depth3d.io.threemf import read_threemf, write_threemf
from depth3d.io.usdz import check_usd_library, write_usdz

__all__ = [
    "MESH_SUFFIXES",
    "MeshFile",
    "check_mesh_format",
    "check_mesh_suffix",
    "load_mesh",
    "mesh_outputs",
    "read_mesh",
    "save_mesh",
]

_EXPECTED = {
    ".glb": ("opengl", "m"),
    ".obj": ("opengl", "m"),
    ".ply": ("opencv", "m"),
    ".stl": ("opengl", "mm"),
    ".3mf": ("opengl", "mm"),
    ".usdz": ("opengl", "m"),
}
"""Frame and unit that readers take for granted; `opengl` also lays a relief flat onto a printer's bed."""

MESH_SUFFIXES = tuple(suffix for suffix in _EXPECTED if suffix != ".usdz")
"""What `save_mesh` writes and `read_mesh` reads; `.usdz` is only written."""

_OF_ONE_FRAME_AND_UNIT = (".glb", ".usdz")

_LONGEST_HEAD = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class MeshFile:
    """A mesh that was read, and what its file says about it.

    Attributes:
        mesh: In our camera frame and metres if the file states both its frame and its unit; as it is in
            the file otherwise.
        frame: What the file or its format states, or `unknown`.
        unit: What the file or its format states, or `unknown`.
        comments: The file's other comment lines.
    """

    mesh: Mesh
    frame: str
    unit: str
    comments: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"MeshFile({self.mesh!r}, frame {self.frame}, unit {self.unit})"


def save_mesh(
    mesh: Mesh,
    path: str | Path,
    *,
    frame: str | None = None,
    unit: str | None = None,
    texture_format: TextureFormat = "jpeg",
    comments: Iterable[str] = (),
    overwrite: bool = True,
) -> None:
    """Write a mesh in the format that the suffix names; it appears whole or not at all.

    `.glb`: one file with the texture, or vertex colours in linear light, and a material that shows the
    photo as it is, from both sides. `.obj`: with `_texture.jpg` and `.mtl` beside it, or vertex colours.
    `.usdz`: as `.glb`, for phones and headsets; it takes the library `usd-core`. `.ply`: binary, each vertex
    in its colour, which a texture is asked for. `.stl` and `.3mf`: triangles alone, for printing.

    Args:
        mesh: Triangles in our camera frame, metres; at least one.
        path: Where to.
        frame: `opencv` (x right, y down, z forward), `opengl` (x right, y up, z backward) or `blender`
            (x right, y forward, z up). None is what the format's readers expect: `opencv` for `.ply`, as
            for clouds, `opengl` for the others. A `.glb` and a `.usdz` can have no other.
        unit: `m`, `cm` or `mm`. None is `mm` for `.stl` and `.3mf`, otherwise `m`; again the only one of
            `.glb` and `.usdz`.
        texture_format: `jpeg`, or `png`, which keeps each pixel as it is and takes several times the
            space. A texture of more than 8192 pixels a side is scaled down.
        comments: Lines for the file's header, such as the camera and the model; `.stl` has no room.
        overwrite: Whether existing files may be replaced.

    Raises:
        InputError: A mesh without triangles, an unknown frame, unit or texture format, or one that the
            format can't have.
        UnsupportedFormatError: An unknown suffix, or a `.usdz` without `usd-core`.
        OutputExistsError: A file exists and `overwrite` is False.
        FileError: A file can't be written.
    """
    path = Path(path)
    frame, unit = check_mesh_format(path, frame=frame, unit=unit)
    check_texture_format(texture_format)
    suffix = path.suffix.lower()
    if not len(mesh.faces):
        raise InputError("the mesh has no triangles, so there is nothing to save; check its depth first")
    for name in ("uv", "normals"):
        values = getattr(mesh, name)
        if values is not None and not np.isfinite(values).all():
            raise InputError(f"{name} of a mesh to save must be finite, got NaN or infinity")
    placed = _placed(mesh, frame, unit)
    facts = header_lines(frame, unit)
    lines = (*facts, *comment_lines(comments))
    if suffix == ".obj":
        _save_obj(placed, path, texture_format, lines, overwrite)
        return
    with writing(path, overwrite=overwrite) as partial:
        if suffix == ".glb":
            write_glb(placed, partial, texture_format=texture_format, comments=lines)
        elif suffix == ".usdz":
            write_usdz(placed, partial, texture_format=texture_format, comments=lines)
        elif suffix == ".ply":
            vertices = PointCloud(placed.vertices, _vertex_colors(placed), placed.normals)
            write_ply(vertices, partial, ascii=False, comments=lines, faces=placed.faces)
        elif suffix == ".stl":
            write_stl(placed, partial, header="; ".join(facts))
        else:
            write_threemf(placed, partial, unit=unit, comments=lines)


@stage("reading")
def read_mesh(path: str | Path) -> MeshFile:
    """Read a mesh, of ours or of anybody.

    The parts of a scene are put together. Colours of vertices are read where there is no texture.

    Args:
        path: A `.glb`, `.obj`, `.ply`, `.stl` or `.3mf` file.

    Returns:
        The mesh, in our frame and metres if its file states its frame and its unit, as all of ours do.

    Raises:
        UnsupportedFormatError: An unknown suffix, or `.usdz`.
        UnreadableFileError: The file is damaged, or holds no triangles.
        FileError: It is not there or can't be opened.
    """
    path = Path(path)
    suffix = check_mesh_suffix(path)
    if suffix == ".usdz":
        raise UnsupportedFormatError(f".usdz is written but not read here, got {path}; read the mesh as .glb")
    try:
        if path.is_dir():
            raise FileError(f"{path} is a directory; give the name of a file in it")
        with path.open("rb") as file:
            head = file.read(_LONGEST_HEAD)
        if suffix == ".3mf":
            vertices, faces, stated_unit, lines = read_threemf(path)
            found = Mesh(vertices, faces)
        else:
            found = read_with_trimesh(path)
            stated_unit, lines = "unknown", _lines_in(head, suffix)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"can't read {path}: {error.strerror or error}; check the name") from None
    except InputError as error:
        raise UnreadableFileError(f"{path} is damaged: {error}") from None
    if not len(found.faces):
        raise UnreadableFileError(f"{path} holds no triangles; open a cloud with depth3d.load_cloud()")
    frame, unit, comments = parse_header(lines)
    if suffix == ".glb":
        frame, unit = _EXPECTED[suffix]
    elif unit == "unknown":
        unit = stated_unit
    if "unknown" not in (frame, unit):
        normals = None if found.normals is None else from_frame(found.normals, frame)
        found = replace(found, vertices=from_frame(found.vertices, frame, unit=unit), normals=normals)
    return MeshFile(found, frame, unit, comments)


def load_mesh(path: str | Path) -> Mesh:
    """Load a mesh; `read_mesh` without what the file says about itself.

    Args:
        path: As for `read_mesh`.

    Raises:
        FileError: As for `read_mesh`.
    """
    return read_mesh(path).mesh


def mesh_outputs(
    path: str | Path, *, textured: bool = True, texture_format: TextureFormat = "jpeg"
) -> tuple[Path, ...]:
    """Name the files that `save_mesh` writes for a path, itself first.

    A textured `.obj` has its material and its texture beside it, named after it; spaces, at which readers
    of `.obj` split names, become underscores there.

    Args:
        path: The mesh.
        textured: Whether it has a texture.
        texture_format: As for `save_mesh`.

    Raises:
        UnsupportedFormatError: An unknown suffix.
        InputError: An unknown texture format.
    """
    path = Path(path)
    check_texture_format(texture_format)
    if check_mesh_suffix(path) != ".obj" or not textured:
        return (path,)
    stem = "_".join(path.stem.split())
    tail = "_texture.jpg" if texture_format == "jpeg" else "_texture.png"
    return path, path.with_name(f"{stem}.mtl"), path.with_name(stem + tail)


def check_mesh_suffix(path: Path) -> str:
    """Check that a path names a mesh, and give its suffix in lower case.

    Raises:
        UnsupportedFormatError: An unknown suffix.
    """
    suffix = path.suffix.lower()
    if suffix in (".usd", ".usdc", ".usda", ".gltf", ".fbx"):
        raise UnsupportedFormatError(
            f"{suffix} is not written here, got {path}; write .glb or .usdz, or convert one with Blender"
        )
    if suffix not in _EXPECTED:
        raise UnsupportedFormatError(
            f"{path} has a suffix that is no mesh's; use one of {', '.join(_EXPECTED)}"
        )
    return suffix


def check_mesh_format(path: Path, *, frame: str | None, unit: str | None) -> tuple[str, str]:
    """Check that a file's format can have a frame and a unit, and put what it expects in the place of None.

    Returns:
        (frame, unit).

    Raises:
        UnsupportedFormatError: An unknown suffix, or one whose library is not installed.
        InputError: An unknown frame or unit, or one that the format can't have.
    """
    suffix = check_mesh_suffix(path)
    if suffix == ".usdz":
        check_usd_library()
    expected = _EXPECTED[suffix]
    wanted = (check_frame(frame or expected[0]), check_unit(unit or expected[1]))
    if suffix in _OF_ONE_FRAME_AND_UNIT and wanted != expected:
        raise InputError(
            f"a {suffix} is in metres with y up by definition, got {wanted[0]} and {wanted[1]}; leave the "
            "frame and the unit out, or write another format"
        )
    return wanted


def _save_obj(
    mesh: Mesh, path: Path, texture_format: TextureFormat, lines: Iterable[str], overwrite: bool
) -> None:
    """Write three files; the last to get its name is the .obj, when what it names is there."""
    outputs = mesh_outputs(path, textured=mesh.texture is not None, texture_format=texture_format)
    with ExitStack() as files:
        partials = [files.enter_context(writing(output, overwrite=overwrite)) for output in outputs]
        if mesh.texture is None:
            write_obj(mesh, partials[0], material_name=None, comments=lines)
            return
        _, material, texture = outputs
        partials[2].write_bytes(encode_texture(mesh.texture, texture_format))
        write_mtl(partials[1], texture_name=texture.name)
        write_obj(mesh, partials[0], material_name=material.name, comments=lines)


def _placed(mesh: Mesh, frame: str, unit: str) -> Mesh:
    """Turn a mesh into the frame and unit of a file; all frames are right-handed, so fronts stay fronts."""
    if (frame, unit) == ("opencv", "m"):
        return mesh
    with np.errstate(over="ignore"):
        vertices = to_frame(mesh.vertices, frame, unit=unit)
    if not np.isfinite(vertices).all():
        far_m = float(np.abs(mesh.vertices).max())
        raise InputError(f"vertices {far_m:.1e} m away don't fit into float32 in {unit}; use unit='m'")
    normals = None if mesh.normals is None else to_frame(mesh.normals, frame)
    return replace(mesh, vertices=vertices, normals=normals)


def _vertex_colors(mesh: Mesh) -> Any:
    if mesh.texture is not None and mesh.uv is not None:
        return texture_colors(mesh.texture, mesh.uv)
    return mesh.colors


def _lines_in(head: bytes, suffix: str) -> tuple[str, ...]:
    """Find the comment lines at the top of a file."""
    if suffix == ".glb":
        return _lines_of_glb(head)
    if suffix == ".stl":
        return tuple(part.strip() for part in head[:80].decode("latin-1").split(";"))
    mark = "comment " if suffix == ".ply" else "# "
    text = head.partition(b"end_header")[0].decode("utf-8", "replace")
    return tuple(line.removeprefix(mark).strip() for line in text.splitlines() if line.startswith(mark))


def _lines_of_glb(head: bytes) -> tuple[str, ...]:
    try:
        length = int.from_bytes(head[12:16], "little")
        lines = json.loads(head[20 : 20 + length])["asset"]["extras"]["comments"]
        return tuple(line for line in lines if isinstance(line, str))
    except (ValueError, KeyError, TypeError):  # none of ours, and nobody else's are comments
        return ()
