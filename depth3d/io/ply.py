"""Points and triangles in PLY files: a header of text, then one record a vertex, then one a face.

Format: Greg Turk, "The PLY Polygon File Format", 1994.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from depth3d.core.cloud import PointCloud
from depth3d.errors import UnreadableFileError, UnsupportedFormatError

__all__ = ["PlyPoints", "comment_lines", "read_ply", "write_ply", "write_rows"]

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1",
    "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
_BYTE_ORDER = {"binary_little_endian": "<", "binary_big_endian": ">"}
_LONGEST_LINE = 200  # readers built on RPly give up at 1024 characters
_ROWS_AT_ONCE = 65536
_LONGEST_HEADER = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class PlyPoints:
    """The vertices of a PLY file, as they are written there.

    Attributes:
        points: (N, 3) float32, in the file's own frame and unit; may hold NaN.
        colors: (N, 3) uint8 sRGB, or None.
        normals: (N, 3) float32, or None.
        comments: The header's comment lines.
    """

    points: npt.NDArray[np.float32]
    colors: npt.NDArray[np.uint8] | None
    normals: npt.NDArray[np.float32] | None
    comments: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Header:
    encoding: str
    n_vertices: int
    fields: tuple[tuple[str, str], ...]
    comments: tuple[str, ...]


def comment_lines(comments: Iterable[str]) -> list[str]:
    """Make lines that are safe in a text header out of any strings.

    Args:
        comments: Any text; line breaks start new lines.

    Returns:
        Printable ASCII lines of at most 200 characters. The word that ends a PLY header is
        spelt with a hyphen, because some readers look for it inside comments too.
    """
    lines: list[str] = []
    for comment in comments:
        for line in str(comment).splitlines():
            ascii_only = line.encode("ascii", "backslashreplace").decode("ascii")
            printable = "".join(c if c.isprintable() else " " for c in ascii_only)
            safe = printable.replace("end_header", "end-header")
            lines += textwrap.wrap(safe, _LONGEST_LINE)
    return lines


def write_ply(
    cloud: PointCloud,
    path: Path,
    *,
    ascii: bool,  # noqa: A002
    comments: Iterable[str],
    faces: npt.NDArray[np.int32] | None = None,
) -> None:
    """Write points, or a mesh's vertices and triangles, as they are: no axis is flipped, no unit scaled.

    Args:
        cloud: What to write; `float x y z [nx ny nz]`, `uchar red green blue`.
        path: Where to; replaced if it exists.
        ascii: Text instead of little-endian binary. Nine digits keep every float32 exactly.
        comments: Lines for the header.
        faces: (F, 3) indices into the points, as `list uchar int vertex_indices`; None writes none.

    Raises:
        OSError: The file can't be written.
    """
    columns: list[tuple[str, npt.NDArray[Any]]] = [
        (name, cloud.points[:, i]) for i, name in enumerate(("x", "y", "z"))
    ]
    if cloud.normals is not None:
        columns += [(name, cloud.normals[:, i]) for i, name in enumerate(("nx", "ny", "nz"))]
    if cloud.colors is not None:
        columns += [(name, cloud.colors[:, i]) for i, name in enumerate(("red", "green", "blue"))]
    header = [
        "ply",
        f"format {'ascii' if ascii else 'binary_little_endian'} 1.0",
        *(f"comment {line}" for line in comment_lines(comments)),
        f"element vertex {len(cloud)}",
        *(f"property {'uchar' if data.dtype == np.uint8 else 'float'} {name}" for name, data in columns),
        *([] if faces is None else [f"element face {len(faces)}", "property list uchar int vertex_indices"]),
        "end_header",
    ]
    tables = [columns]
    if faces is not None:
        three = np.broadcast_to(np.uint8(3), len(faces))
        tables.append([("corners", three), *((name, faces[:, i]) for i, name in enumerate("abc"))])
    with path.open("wb") as file:
        file.write(("\n".join(header) + "\n").encode("ascii"))
        for table in tables:
            for records in _records(table):
                if ascii:
                    write_rows(file, records)
                else:
                    file.write(records.data)


def _records(columns: list[tuple[str, npt.NDArray[Any]]]) -> Iterator[npt.NDArray[Any]]:
    """Put columns side by side, some rows at a time: large clouds take much memory."""
    dtype = [(name, data.dtype.newbyteorder("<")) for name, data in columns]
    for start in range(0, len(columns[0][1]), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        records = np.empty(len(columns[0][1][rows]), dtype=dtype)
        for name, data in columns:
            records[name] = data[rows]
        yield records


def write_rows(file: BinaryIO, records: npt.NDArray[Any]) -> None:
    """Write a structured array as text, one record a line, floats with nine digits."""
    names = records.dtype.names or ()
    line = " ".join("%d" if records.dtype[name].kind in "iu" else "%.9g" for name in names) + "\n"
    for start in range(0, len(records), _ROWS_AT_ONCE):
        part = records[start : start + _ROWS_AT_ONCE]
        file.write("".join([line % row for row in part.tolist()]).encode("ascii"))


def read_ply(path: Path) -> PlyPoints:
    """Read the vertices of any PLY file that lists them first, as all common writers do.

    Args:
        path: An ASCII or binary PLY of either byte order; faces and other elements are left out.

    Returns:
        Points, colours (8 bit, or floats in 0..1) and normals, as they are in the file.

    Raises:
        UnreadableFileError: It is no PLY file, or it is damaged or cut short.
        UnsupportedFormatError: Vertices with lists, or after other elements.
        OSError: The file can't be opened.
    """
    with path.open("rb") as file:
        header = _read_header(file, path)
        names = [name for name, _ in header.fields]
        if not {"x", "y", "z"} <= set(names) or len(set(names)) != len(names):
            raise UnreadableFileError(
                f"{path} has no vertices with x, y and z, its fields are {', '.join(names) or 'none'}; "
                "give a point cloud or a mesh"
            )
        records = _read_records(file, header, path)
    points = np.stack([records[name] for name in ("x", "y", "z")], axis=-1)
    normals = None
    if {"nx", "ny", "nz"} <= set(names):
        normals = np.stack([records[name] for name in ("nx", "ny", "nz")], axis=-1).astype(np.float32)
    colors = None
    if {"red", "green", "blue"} <= set(names):
        raw = np.stack([records[name] for name in ("red", "green", "blue")], axis=-1)
        if dict(header.fields)["red"][0] == "f":
            raw = np.rint(255 * np.clip(raw, 0, 1))
        colors = np.clip(np.nan_to_num(raw), 0, 255).astype(np.uint8)
    with np.errstate(over="ignore"):
        return PlyPoints(points.astype(np.float32), colors, normals, header.comments)


def _read_header(file: BinaryIO, path: Path) -> _Header:
    if file.readline(16).strip() != b"ply":
        raise UnreadableFileError(f"{path} is no PLY file: it does not begin with 'ply'; check what it is")
    encoding, n_vertices, element = "", -1, ""
    fields: list[tuple[str, str]] = []
    comments: list[str] = []
    while file.tell() < _LONGEST_HEADER:
        raw = file.readline(_LONGEST_HEADER)
        words = raw.decode("utf-8", "replace").split()
        match words:
            case ["end_header"] if encoding and n_vertices >= 0:
                return _Header(encoding, n_vertices, tuple(fields), tuple(comments))
            case ["format", name, _] if name == "ascii" or name in _BYTE_ORDER:
                encoding = name
            case ["comment" | "obj_info", *_]:
                comments.append(raw.decode("utf-8", "replace").strip().partition(" ")[2])
            case ["element", "vertex", count] if count.isdecimal() and not element:
                element, n_vertices = "vertex", int(count)
            case ["element", name, count] if count.isdecimal():
                if n_vertices < 0 and int(count) > 0:
                    raise UnsupportedFormatError(
                        f"{path} lists its {name} before its vertices; save it anew with MeshLab or Open3D"
                    )
                element = name if n_vertices >= 0 else ""
            case ["property", "list", *_]:
                if element == "vertex":
                    raise UnsupportedFormatError(
                        f"{path} has lists in its vertices; save it anew with MeshLab or Open3D"
                    )
            case ["property", kind, name] if kind in _TYPES:
                if element == "vertex":
                    fields.append((name, _TYPES[kind]))
            case [] if raw:
                continue
            case _:
                break
    raise UnreadableFileError(f"the header of {path} is damaged or cut short; write the file anew")


def _read_records(file: BinaryIO, header: _Header, path: Path) -> npt.NDArray[Any]:
    text = header.encoding == "ascii"
    order = _BYTE_ORDER.get(header.encoding, "=")
    dtype = np.dtype([(name, order + ("f8" if text else kind)) for name, kind in header.fields])
    start = file.tell()
    left = file.seek(0, 2) - start
    file.seek(start)
    # A text record has at least one digit and one separator a field, but for the file's last one.
    smallest = (
        header.n_vertices * (2 * len(header.fields)) - 1 if text else header.n_vertices * dtype.itemsize
    )
    if left < smallest:
        raise _cut_short(path, header.n_vertices, f"{left:,} bytes follow")
    if header.n_vertices == 0:
        return np.empty(0, dtype=dtype)
    if not text:
        return np.frombuffer(file.read(header.n_vertices * dtype.itemsize), dtype=dtype)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # NumPy's own way to say: no data
            rows: npt.NDArray[Any] = np.loadtxt(
                file, dtype=dtype, max_rows=header.n_vertices, comments=None, encoding="latin-1", ndmin=1
            )
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise UnreadableFileError(f"{path} holds a line that is no point ({reason}); correct it") from None
    if len(rows) < header.n_vertices:
        raise _cut_short(path, header.n_vertices, f"{len(rows):,} follow")
    return rows


def _cut_short(path: Path, promised: int, got: str) -> UnreadableFileError:
    return UnreadableFileError(
        f"{path} is cut short: its header promises {promised:,} points and {got}; write or copy it anew"
    )
