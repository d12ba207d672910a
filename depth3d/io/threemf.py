"""Meshes in 3MF files: a ZIP archive with the triangles in XML, and the unit that they are in.

Format: 3MF Consortium, "3D Manufacturing Format: Core Specification", version 1.3.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree.ElementTree import iterparse
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

from depth3d.core.mesh import Mesh
from depth3d.errors import UnreadableFileError
from depth3d.io.ply import comment_lines

__all__ = ["ThreemfMesh", "read_threemf", "write_threemf"]

ThreemfMesh = tuple[npt.NDArray[np.float32], npt.NDArray[np.int32], str, tuple[str, ...]]
"""Vertices, faces, unit (`m`, `cm`, `mm` or `unknown`) and the description's lines."""

_UNITS = {"m": "meter", "cm": "centimeter", "mm": "millimeter"}
_CORE = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
_MODEL = "3D/3dmodel.model"
_ROWS_AT_ONCE = 65536
_CONTENT_TYPES = """<?xml version="1.0" encoding="UTF-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/>
</Types>
"""
_RELATIONSHIPS = f"""<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Target="/{_MODEL}" Id="rel0" Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/>
</Relationships>
"""


def write_threemf(mesh: Mesh, path: Path, *, unit: str, comments: Iterable[str]) -> None:
    """Write triangles as they are; no colour, no texture and no normals.

    Args:
        mesh: What to write.
        path: Where to; replaced if it exists.
        unit: What the numbers are in: `m`, `cm` or `mm`.
        comments: Lines for the file's description.

    Raises:
        OSError: The file can't be written.
    """
    description = escape("\n".join(comment_lines(comments)))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as archive:
        for name, text in (("[Content_Types].xml", _CONTENT_TYPES), ("_rels/.rels", _RELATIONSHIPS)):
            with archive.open(name, "w") as file:  # unlike writestr it tells no time: same mesh, same bytes
                file.write(text.encode())
        with archive.open(_MODEL, "w", force_zip64=True) as file:
            file.write(
                f'<?xml version="1.0" encoding="UTF-8"?>\n<model unit="{_UNITS[unit]}" xml:lang="en-US" '
                f'xmlns="{_CORE}">\n<metadata name="Application">depth3d</metadata>\n'
                f'<metadata name="Description">{description}</metadata>\n'
                '<resources><object id="1" type="model"><mesh>\n<vertices>\n'.encode("ascii")
            )
            _write_rows(file, '<vertex x="%.9g" y="%.9g" z="%.9g"/>\n', mesh.vertices)
            file.write(b"</vertices>\n<triangles>\n")
            _write_rows(file, '<triangle v1="%d" v2="%d" v3="%d"/>\n', mesh.faces)
            file.write(
                b'</triangles>\n</mesh></object></resources>\n<build><item objectid="1"/></build>\n</model>\n'
            )


def read_threemf(path: Path) -> ThreemfMesh:
    """Read the triangles of a 3MF file, those of all its objects one after the other.

    Placements of objects are left out: what we and slicers write for one part has none.

    Raises:
        UnreadableFileError: It is no 3MF file, or it is damaged.
        OSError: The file can't be opened.
    """
    vertices: list[tuple[float, ...]] = []
    faces: list[tuple[int, ...]] = []
    unit, comments, first = "unknown", (), 0
    try:
        with zipfile.ZipFile(path) as archive, archive.open(_MODEL) as file:
            for event, element in iterparse(file, events=("start", "end")):
                tag = element.tag.rpartition("}")[2]
                if event == "start":
                    if tag == "model":
                        wanted = element.get("unit", "millimeter")
                        unit = next((name for name, long in _UNITS.items() if long == wanted), "unknown")
                    elif tag == "mesh":
                        first = len(vertices)
                elif tag == "vertex":
                    vertices.append(tuple(float(element.attrib[axis]) for axis in "xyz"))
                    element.clear()
                elif tag == "triangle":
                    faces.append(tuple(first + int(element.attrib[f"v{i}"]) for i in (1, 2, 3)))
                    element.clear()
                elif tag == "metadata" and element.get("name") == "Description":
                    comments = tuple((element.text or "").splitlines())
    except OSError:
        raise
    except Exception as error:  # zipfile, zlib and expat each raise their own
        reason = " ".join(str(error).split())
        raise UnreadableFileError(f"{path} is no 3MF file or damaged ({reason}); write it anew") from None
    rows: Any = np.array(vertices, np.float64).reshape(-1, 3)
    return rows.astype(np.float32), np.array(faces, np.int32).reshape(-1, 3), unit, comments


def _write_rows(file: BinaryIO | Any, line: str, rows: npt.NDArray[Any]) -> None:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE].tolist()
        file.write("".join([line % tuple(row) for row in part]).encode("ascii"))
