"""Points in PCD files, the format of the Point Cloud Library, through Open3D.

Open3D returns uninitialised memory for a file that is cut short, so the header's promise is held
against the file's size before it is asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from depth3d.core.cloud import PointCloud
from depth3d.errors import FileError, UnreadableFileError
from depth3d.io.ply import PlyPoints, comment_lines

__all__ = ["read_pcd", "write_pcd"]

_LONGEST_HEADER = 1 << 16
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
        Points, colours and normals as they are in the file; rows with NaN are left out.

    Raises:
        UnreadableFileError: It is no PCD file, or it is damaged or cut short.
        OSError: The file can't be opened.
    """
    comments, n_points = _check_pcd(path)
    if n_points == 0:
        return PlyPoints(np.empty((0, 3), np.float32), None, None, comments)
    import open3d as o3d

    with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
        pcd: Any = o3d.io.read_point_cloud(
            str(path), format="pcd", remove_nan_points=True, remove_infinite_points=True
        )
    points = np.asarray(pcd.points, dtype=np.float32).reshape(-1, 3)
    if not len(points):
        raise UnreadableFileError(f"{path} holds no point that Open3D can read; write the file anew")
    colors = np.rint(255 * np.asarray(pcd.colors)).astype(np.uint8) if pcd.has_colors() else None
    normals = np.asarray(pcd.normals, dtype=np.float32) if pcd.has_normals() else None
    return PlyPoints(points, colors, normals, comments)


def _check_pcd(path: Path) -> tuple[tuple[str, ...], int]:
    """Hold the header's promise against the size of the file: (comments, number of points)."""
    fields: dict[str, list[str]] = {}
    comments: list[str] = []
    with path.open("rb") as file:
        while file.tell() < _LONGEST_HEADER and "DATA" not in fields:
            line = file.readline(_LONGEST_HEADER).decode("latin-1")
            if not line:
                break
            if line.startswith("#"):
                comments.append(line[1:].strip())
            elif line.strip():
                key, *values = line.split()
                fields[key.upper()] = values
        start = file.tell()
        body = file.read() if fields.get("DATA") == ["ascii"] else b""
        left = file.seek(0, 2) - start
    try:
        n_points = int(fields["POINTS"][0])
        counts = [int(n) for n in fields.get("COUNT", ["1"] * len(fields["SIZE"]))]
        n_bytes = n_points * sum(
            math.prod(pair) for pair in zip(map(int, fields["SIZE"]), counts, strict=True)
        )
        kind = fields["DATA"][0]
        has_xyz = {"x", "y", "z"} <= set(fields["FIELDS"])
    except (KeyError, IndexError, ValueError):
        raise UnreadableFileError(
            f"{path} is no PCD file, or its header is damaged; check what it is"
        ) from None
    if not has_xyz or n_points < 0:
        raise UnreadableFileError(f"{path} has no points with x, y and z; give a point cloud")
    got = {
        "ascii": body.count(b"\n") + (not body.endswith(b"\n")) >= n_points,
        "binary": left >= n_bytes,
        "binary_compressed": left * _LZF_BEST_RATIO >= n_bytes,
    }.get(kind)
    if got is None:
        raise UnreadableFileError(f"{path} holds {kind!r} data, which no PCD reader knows; write it anew")
    if not got:
        raise UnreadableFileError(
            f"{path} is cut short: its header promises {n_points:,} points; write or copy it anew"
        )
    return tuple(c for c in comments if not c.startswith(".PCD")), n_points
