"""Meshes in binary STL files: triangles alone, as printers take them.

Format: 3D Systems, "StereoLithography Interface Specification", 1989.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from depth3d.core.mesh import Mesh

__all__ = ["write_stl"]

_HEADER_BYTES = 80
_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def write_stl(mesh: Mesh, path: Path, *, header: str) -> None:
    """Write triangles as they are, each with its own normal; no colour and no texture.

    Args:
        mesh: What to write.
        path: Where to; replaced if it exists.
        header: Printable ASCII that does not begin with "solid", which marks text files; cut to 80 bytes.

    Raises:
        OSError: The file can't be written.
    """
    records = np.zeros(len(mesh.faces), dtype=_TRIANGLE)
    records["corners"] = corners = mesh.vertices[mesh.faces]
    # In float64, as the squares of small triangles' sides would lose their digits.
    across = (corners[:, 1:] - corners[:, :1]).astype(np.float64)
    normals = np.cross(across[:, 0], across[:, 1])
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    np.divide(normals, length, out=normals, where=length > 0)
    records["normal"] = normals
    with path.open("wb") as file:
        file.write(header.encode("ascii")[:_HEADER_BYTES].ljust(_HEADER_BYTES))
        file.write(np.uint32(len(records)).astype("<u4").tobytes())
        file.write(records.data)
