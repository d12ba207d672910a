"""Points in PCD files, the format of the Point Cloud Library.

Open3D writes them, and reads the compressed ones. The others NumPy reads: on damaged files Open3D
returns uninitialised memory, or ends the process.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from depth3d.core.cloud import PointCloud
from depth3d.errors import FileError, UnreadableFileError
from depth3d.io.ply import PlyPoints, comment_lines

__all__ = ["read_pcd", "write_pcd"]

_LONGEST_HEADER = 1 << 16
_TYPES = {
    ("F", "4"): "f4", ("F", "8"): "f8",
    ("U", "1"): "u1", ("U", "2"): "u2", ("U", "4"): "u4", ("U", "8"): "u8",
    ("I", "1"): "i1", ("I", "2"): "i2", ("I", "4"): "i4", ("I", "8"): "i8",
}  # fmt: skip
_LZF_BEST_RATIO = 100  # one byte of LZF can stand for at most 88


def write_pcd(cloud: PointCloud, path: Path, *, ascii: bool, comments: Iterable[str]) -> None:  # noqa: A002
    """Write points as they are: no axis is flipped and no unit scaled here.

    Args:
        cloud: What to write.
        path: Where to; replaced if it exists.
        ascii: Text instead of binary.
        comments: Lines for the header.

    Raises:
        FileError: Open3D could not write the file.
        OSError: The file can't be written.
    """
    head, rest = _open3d_bytes(cloud, path, ascii=ascii).split(b"\n", 1)
    lines = "".join(f"# {line}\n" for line in comment_lines(comments))
    with path.open("wb") as file:
        file.write(head + b"\n" + lines.encode("ascii"))
        file.write(rest)


def _open3d_bytes(cloud: PointCloud, path: Path, *, ascii: bool) -> bytes:  # noqa: A002
    if not len(cloud):  # Open3D refuses to write no points
        return (
            b"# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\n"
            b"COUNT 1 1 1\nWIDTH 0\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 0\nDATA "
            + (b"ascii\n" if ascii else b"binary\n")
        )
    import open3d as o3d

    vectors = o3d.utility.Vector3dVector
    pcd = o3d.geometry.PointCloud(vectors(cloud.points.astype(np.float64)))
    if cloud.colors is not None:
        pcd.colors = vectors(cloud.colors / 255.0)
    if cloud.normals is not None:
        pcd.normals = vectors(cloud.normals.astype(np.float64))
    with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
        if not o3d.io.write_point_cloud(str(path), pcd, write_ascii=ascii):
            raise FileError(f"Open3D can't write {path}; free space or choose another place")
    return path.read_bytes()


def read_pcd(path: Path) -> PlyPoints:
    """Read the points of a PCD file.

    Args:
        path: An ASCII, binary or compressed PCD.

    Returns:
        Points, colours and normals as they are in the file.

    Raises:
        UnreadableFileError: It is no PCD file, or it is damaged or cut short.
        OSError: The file can't be opened.
    """
    with path.open("rb") as file:
        header = _read_header(file, path)
        body = file.read()
    if header.data == "binary_compressed":
        _check_compressed(header, body, path)
        return _read_with_open3d(header, path)
    records = _records(header, body, path)
    columns = {name: records[key] for name, key in header.keys.items()}
    points, normals, colors = None, None, None
    with np.errstate(over="ignore"):
        points = np.stack([columns[name] for name in "xyz"], axis=-1).astype(np.float32)
    if {"normal_x", "normal_y", "normal_z"} <= set(columns):
        normals = np.stack([columns[f"normal_{axis}"] for axis in "xyz"], axis=-1).astype(np.float32)
    packed = next((columns[name] for name in ("rgb", "rgba") if name in columns), None)
    if packed is not None:
        colors = _unpacked(packed, as_float=header.kind_of("rgb", "rgba") == "F")
    return PlyPoints(points, colors, normals, header.comments)


@dataclass(frozen=True, slots=True, eq=False)
class _Header:
    fields: tuple[str, ...]
    types: tuple[str, ...]
    """NumPy's names, such as `f4` or `3u1`, one a field."""
    n_points: int
    data: str
    comments: tuple[str, ...]

    @property
    def keys(self) -> dict[str, str]:
        """Name of each field -> its key in the records; padding may repeat a name."""
        return {name: f"{i}" for i, name in enumerate(self.fields)}

    def kind_of(self, *names: str) -> str:
        """`F`, `U` or `I` of the first of these fields that there is."""
        return next(t[-2].upper() for f, t in zip(self.fields, self.types, strict=True) if f in names)

    def dtype(self, *, as_text: bool) -> np.dtype[Any]:
        types = [t[:-2] + "f8" if as_text else t[:-2] + "<" + t[-2:] for t in self.types]
        return np.dtype([(str(i), t) for i, t in enumerate(types)])


def _read_header(file: BinaryIO, path: Path) -> _Header:
    words: dict[str, list[str]] = {}
    comments: list[str] = []
    while file.tell() < _LONGEST_HEADER and "DATA" not in words:
        line = file.readline(_LONGEST_HEADER).decode("latin-1").strip()
        if line.startswith("#"):
            comments.append(line[1:].strip())
        elif line:
            key, *values = line.split()
            words[key.upper()] = values
        elif file.tell() == os.fstat(file.fileno()).st_size:
            break
    try:
        fields = tuple(words["FIELDS"])
        counts = words.get("COUNT", ["1"] * len(fields))
        types = tuple(
            ("" if int(count) == 1 else str(int(count))) + _TYPES[kind, size]
            for kind, size, count in zip(words["TYPE"], words["SIZE"], counts, strict=True)
        )
        n_points, data = int(words["POINTS"][0]), words["DATA"][0]
        sound = len(types) == len(fields) and n_points >= 0 and all(int(count) > 0 for count in counts)
    except (KeyError, IndexError, ValueError):
        sound = False
    if not sound:
        raise UnreadableFileError(f"{path} is no PCD file, or its header is damaged; check what it is")
    header = _Header(fields, types, n_points, data, tuple(c for c in comments if not c.startswith(".PCD")))
    single = [name for name, kind in zip(fields, types, strict=True) if len(kind) == 2]
    used = ("x", "y", "z", "normal_x", "normal_y", "normal_z", "rgb", "rgba")
    if not {"x", "y", "z"} <= set(single) or any(
        fields.count(n) > 1 or n not in single for n in used if n in fields
    ):
        raise UnreadableFileError(f"{path} has no points with x, y and z; give a point cloud")
    if data not in ("ascii", "binary", "binary_compressed"):
        raise UnreadableFileError(f"{path} holds {data!r} data, which no PCD reader knows; write it anew")
    return header


def _records(header: _Header, body: bytes, path: Path) -> npt.NDArray[Any]:
    dtype = header.dtype(as_text=header.data == "ascii")
    if header.data == "binary":
        if len(body) < header.n_points * dtype.itemsize:
            raise _cut_short(header, path)
        return np.frombuffer(body, dtype=dtype, count=header.n_points)
    lines = body.decode("latin-1").split("\n", header.n_points)[: header.n_points]
    lines = [line for line in lines if line.strip()]
    if len(lines) < header.n_points:
        raise _cut_short(header, path)
    if not lines:
        return np.empty(0, dtype=dtype)
    try:
        rows: npt.NDArray[Any] = np.loadtxt(lines, dtype=dtype, comments=None, ndmin=1)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise UnreadableFileError(f"{path} holds a line that is no point ({reason}); correct it") from None
    return rows


def _unpacked(packed: npt.NDArray[Any], *, as_float: bool) -> npt.NDArray[np.uint8]:
    """Take red, green and blue out of 32 bits, which PCD likes to call a float."""
    if as_float:
        bits = np.ascontiguousarray(packed, dtype=np.float32).view(np.uint32)
    else:
        bits = np.clip(np.nan_to_num(packed), -(2**31), 2**32 - 1).astype(np.int64).astype(np.uint32)
    return np.stack([(bits >> shift) & 255 for shift in (16, 8, 0)], axis=-1).astype(np.uint8)


def _check_compressed(header: _Header, body: bytes, path: Path) -> None:
    sizes = struct.unpack_from("<II", body) if len(body) >= 8 else (0, 0)
    expected = header.n_points * header.dtype(as_text=False).itemsize
    if len(body) < 8 + sizes[0] or sizes[1] != expected or sizes[0] * _LZF_BEST_RATIO < expected:
        raise _cut_short(header, path)


def _read_with_open3d(header: _Header, path: Path) -> PlyPoints:
    import open3d as o3d

    with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
        pcd: Any = o3d.io.read_point_cloud(str(path), format="pcd", remove_nan_points=False)
    points = np.asarray(pcd.points, dtype=np.float32).reshape(-1, 3)
    if len(points) != header.n_points:
        raise UnreadableFileError(f"{path} holds compressed data that are damaged; write the file anew")
    colors = np.rint(255 * np.asarray(pcd.colors)).astype(np.uint8) if pcd.has_colors() else None
    normals = np.asarray(pcd.normals, dtype=np.float32) if pcd.has_normals() else None
    return PlyPoints(points, colors, normals, header.comments)


def _cut_short(header: _Header, path: Path) -> UnreadableFileError:
    return UnreadableFileError(
        f"{path} is cut short: its header promises {header.n_points:,} points; write or copy it anew"
    )
