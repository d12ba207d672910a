"""Meshes in Wavefront OBJ files, with the material and the texture that go beside them.

Format: Alias Wavefront, "Object Files (.obj)" and "Material Library File (.mtl)", 1995.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.mesh import Mesh
from depth3d.io.ply import comment_lines

__all__ = ["write_mtl", "write_obj"]

_MATERIAL = "photo"
_ROWS_AT_ONCE = 65536


def write_obj(mesh: Mesh, path: Path, *, material_name: str | None, comments: Iterable[str]) -> None:
    """Write a mesh as text: `v`, `vt`, `vn` and `f`; float32 keeps all its digits.

    Args:
        mesh: What to write. Where there is no texture, its colours follow the positions in 0..1, an
            extension that Blender, MeshLab, Open3D and trimesh read.
        path: Where to; replaced if it exists.
        material_name: The file that `write_mtl` writes, or None for a mesh without texture. Neither
            this name nor the texture's may hold spaces: readers split there.
        comments: Lines for the top of the file.

    Raises:
        OSError: The file can't be written.
    """
    textured = material_name is not None and mesh.uv is not None
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        file.writelines(f"# {line}\n" for line in comment_lines(comments))
        if textured:
            file.write(f"mtllib {material_name}\n")
        vertices: npt.NDArray[Any] = mesh.vertices
        tint = "" if mesh.colors is None or textured else " %.6g %.6g %.6g"
        if tint and mesh.colors is not None:
            vertices = np.hstack([mesh.vertices.astype(np.float64), mesh.colors / 255])
        file.writelines(_lines("v %.9g %.9g %.9g" + tint, vertices))
        if textured and mesh.uv is not None:
            from_the_bottom = np.stack([mesh.uv[:, 0], 1 - mesh.uv[:, 1]], axis=1)
            file.writelines(_lines("vt %.9g %.9g", from_the_bottom))
        if mesh.normals is not None:
            file.writelines(_lines("vn %.9g %.9g %.9g", mesh.normals))
        if textured:
            file.write(f"usemtl {_MATERIAL}\n")
        corner = "%d"
        if textured or mesh.normals is not None:
            corner += "/%d" if textured else "/"
            corner += "/%d" if mesh.normals is not None else ""
        numbers = np.repeat(mesh.faces.astype(np.int64) + 1, corner.count("%d"), axis=1)  # counted from 1
        file.writelines(_lines(f"f {corner} {corner} {corner}", numbers))


def write_mtl(path: Path, *, texture_name: str) -> None:
    """Write the material that shows a texture as it is, without any lighting.

    Args:
        path: Where to; replaced if it exists.
        texture_name: The picture beside it.

    Raises:
        OSError: The file can't be written.
    """
    path.write_text(
        f"newmtl {_MATERIAL}\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 0\nmap_Kd {texture_name}\n",
        encoding="utf-8",
        errors="surrogateescape",  # a name of bytes that are no text stays as it is
        newline="\n",
    )


def _lines(line: str, rows: npt.NDArray[Any]) -> Iterable[str]:
    """Format rows of numbers in blocks: one join a block is twice as fast as a write a row."""
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE].tolist()
        yield "".join([line % tuple(row) + "\n" for row in part])
