"""Point clouds in files: PLY, PCD, XYZ and NPZ, with their frame and unit written beside them."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import frozen
from depth3d.core.cloud import PointCloud
from depth3d.core.stages import stage
from depth3d.errors import FileError, InputError, UnreadableFileError, UnsupportedFormatError
from depth3d.io.atomic import writing
from depth3d.io.frames import check_frame, check_unit, from_frame, header_lines, parse_header, to_frame
from depth3d.io.npy import read_member, texts_of
from depth3d.io.pcd import read_pcd, write_pcd
from depth3d.io.ply import PlyPoints, comment_lines, read_ply, write_ply, write_rows

__all__ = ["CLOUD_SUFFIXES", "CloudFile", "check_cloud_suffix", "load_cloud", "read_cloud", "save_cloud"]

CLOUD_SUFFIXES = (".ply", ".pcd", ".xyz", ".npz")
"""What `save_cloud` writes and `read_cloud` reads."""

_NPZ_FORMAT = "depth3d-cloud"
_NPZ_ARRAYS = ("points", "colors", "normals", "format", "frame", "unit", "comments")
_log = logging.getLogger("depth3d")


@dataclass(frozen=True, slots=True, eq=False)
class CloudFile:
    """A point cloud that was read, and what its file says about it.

    Attributes:
        cloud: In our camera frame and metres if the file states both its frame and its unit;
            as it is in the file otherwise.
        frame: What the file states, or `unknown`.
        unit: What the file states, or `unknown`.
        comments: The header's other comment lines.
    """

    cloud: PointCloud
    frame: str
    unit: str
    comments: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"CloudFile({self.cloud!r}, frame {self.frame}, unit {self.unit})"


def save_cloud(
    cloud: PointCloud,
    path: str | Path,
    *,
    frame: str = "opencv",
    unit: str = "m",
    ascii: bool = False,  # noqa: A002
    comments: Iterable[str] = (),
    overwrite: bool = True,
) -> None:
    """Write a point cloud in the format that the suffix names; it appears whole or not at all.

    `.ply`: float32 `x y z [nx ny nz]`, `uchar red green blue`, comments. `.pcd`: the same through
    Open3D. `.xyz`: text, `x y z [r g b]` a line and nothing else, so that neither normals, frame
    nor unit are kept. `.npz`: the arrays `points`, `colors`, `normals` and the strings.

    Args:
        cloud: Points in our camera frame, metres.
        path: Where to.
        frame: `opencv` (x right, y down, z forward), `opengl` (x right, y up, z backward) or
            `blender` (x right, y forward, z up).
        unit: `m`, `cm` or `mm`.
        ascii: Text instead of binary, for `.ply` and `.pcd`; no float32 loses a digit.
        comments: Lines for the header, such as the camera and the model.
        overwrite: Whether an existing file may be replaced.

    Raises:
        InputError: An unknown frame or unit, or `ascii` for `.npz`.
        UnsupportedFormatError: An unknown suffix.
        OutputExistsError: The file exists and `overwrite` is False.
        FileError: The file can't be written.
    """
    path = Path(path)
    suffix = check_cloud_suffix(path)
    if ascii and suffix == ".npz":
        raise InputError("an .npz file is always binary, got ascii=True; write .ply, .pcd or .xyz as text")
    placed = _placed(cloud, check_frame(frame), check_unit(unit))
    extra = tuple(comments)
    facts = header_lines(frame, unit)
    with writing(path, overwrite=overwrite) as partial:
        if suffix == ".ply":
            write_ply(placed, partial, ascii=ascii, comments=(*facts, *extra))
        elif suffix == ".pcd":
            write_pcd(placed, partial, ascii=ascii, comments=(*facts, *extra))
        elif suffix == ".xyz":
            _write_xyz(placed, partial)
        else:
            _write_npz(placed, partial, frame, unit, comment_lines(extra))


@stage("reading")
def read_cloud(path: str | Path) -> CloudFile:
    """Read a point cloud, or the vertices of a PLY mesh.

    Args:
        path: A `.ply`, `.pcd`, `.xyz` or `.npz` file, of ours or of anybody.

    Returns:
        The cloud, in our frame and metres if the file states its frame and its unit (ours do, save
        `.xyz`). Points that are not finite are left out, with a logged note.

    Raises:
        UnsupportedFormatError: An unknown suffix.
        UnreadableFileError: The file is damaged, or no point cloud.
        FileError: It is not there or can't be opened.
    """
    path = Path(path)
    read = {".ply": read_ply, ".pcd": read_pcd, ".xyz": _read_xyz, ".npz": _read_npz}[
        check_cloud_suffix(path)
    ]
    try:
        if path.is_dir():
            raise FileError(f"{path} is a directory; give the name of a file in it")
        found = read(path)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"can't read {path}: {error.strerror or error}; check the name") from None
    frame, unit, comments = parse_header(found.comments)
    return CloudFile(_ours(found, path, frame, unit), frame, unit, comments)


def load_cloud(path: str | Path) -> PointCloud:
    """Load a point cloud; `read_cloud` without what the file says about itself.

    Args:
        path: As for `read_cloud`.

    Raises:
        FileError: As for `read_cloud`.
    """
    return read_cloud(path).cloud


def check_cloud_suffix(path: Path) -> str:
    """Check that a path names a point cloud, and give its suffix in lower case.

    Raises:
        UnsupportedFormatError: An unknown suffix.
    """
    suffix = path.suffix.lower()
    if suffix not in CLOUD_SUFFIXES:
        raise UnsupportedFormatError(
            f"{path} has a suffix that is no point cloud's; use one of {', '.join(CLOUD_SUFFIXES)}"
        )
    return suffix


def _placed(cloud: PointCloud, frame: str, unit: str) -> PointCloud:
    """Turn a cloud into the frame and unit of a file; the type's promise of metres ends here."""
    if (frame, unit) == ("opencv", "m"):
        return cloud
    with np.errstate(over="ignore"):
        points = to_frame(cloud.points, frame, unit=unit)
    if not np.isfinite(points).all():
        far_m = float(np.abs(cloud.points).max())
        raise InputError(f"points {far_m:.1e} m away don't fit into float32 in {unit}; use unit='m'")
    normals = None if cloud.normals is None else to_frame(cloud.normals, frame)
    return PointCloud(points, cloud.colors, normals)


def _ours(found: PlyPoints, path: Path, frame: str, unit: str) -> PointCloud:
    points, normals, colors = found.points, found.normals, found.colors
    finite = np.isfinite(points).all(axis=1)
    if not finite.all():
        _log.warning("%s: left out %d points that are not finite", path, np.count_nonzero(~finite))
        points = points[finite]
        normals = None if normals is None else normals[finite]
        colors = None if colors is None else colors[finite]
    if frame != "unknown" and unit != "unknown":
        points = from_frame(points, frame, unit=unit)
        with np.errstate(invalid="ignore"):  # damaged normals are not worth a refusal
            normals = None if normals is None else from_frame(normals, frame)
    return PointCloud(points, colors, normals)


def _write_xyz(cloud: PointCloud, path: Path) -> None:
    dtype = [(name, "f4") for name in "xyz"]
    columns: list[npt.NDArray[np.generic]] = [*cloud.points.T]
    if cloud.colors is not None:
        dtype += [(name, "u1") for name in "rgb"]
        columns += [*cloud.colors.T]
    records = np.empty(len(cloud), dtype=dtype)
    for (name, _), column in zip(dtype, columns, strict=True):
        records[name] = column
    with path.open("wb") as file:
        write_rows(file, records)


def _read_xyz(path: Path) -> PlyPoints:
    text = path.read_text(encoding="latin-1")
    comments = tuple(line[1:].strip() for line in text.splitlines() if line.startswith("#"))
    lines = [line.replace(",", " ") for line in text.splitlines() if line.strip() and line[0] != "#"]
    if not lines:
        return PlyPoints(np.empty((0, 3), np.float32), None, None, comments)
    try:
        rows = np.loadtxt(lines, dtype=np.float64, ndmin=2, comments=None)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise UnreadableFileError(f"{path} holds a line that is no point ({reason}); correct it") from None
    if rows.shape[1] < 3:
        raise UnreadableFileError(f"{path} has {rows.shape[1]} numbers a line; x y z needs three or more")
    colors = None
    extra = rows[:, 3:6]
    # Three more columns are colours by custom, but some tools put normals there.
    if extra.shape[1] == 3 and np.all((extra >= 0) & (extra <= 255) & (extra == np.rint(extra))):
        colors = extra.astype(np.uint8)
    with np.errstate(over="ignore"):
        return PlyPoints(rows[:, :3].astype(np.float32), colors, None, comments)


def _write_npz(cloud: PointCloud, path: Path, frame: str, unit: str, comments: list[str]) -> None:
    arrays: dict[str, npt.NDArray[np.generic]] = {"points": cloud.points}
    if cloud.colors is not None:
        arrays["colors"] = cloud.colors
    if cloud.normals is not None:
        arrays["normals"] = cloud.normals
    strings = {"format": _NPZ_FORMAT, "frame": frame, "unit": unit, "comments": np.array(comments, dtype=str)}
    with path.open("wb") as file:
        np.savez(file, **arrays, **{name: np.asarray(value) for name, value in strings.items()})  # type: ignore[arg-type]


def _read_npz(path: Path) -> PlyPoints:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.namelist() if entry.removesuffix(".npy") in _NPZ_ARRAYS]
            fields = {entry.removesuffix(".npy"): read_member(archive, entry, str(path)) for entry in entries}
        points = frozen(fields["points"], name="points", dtype=np.float32, shape=(None, 3))
        checked = PointCloud(np.nan_to_num(points), fields.get("colors"), fields.get("normals"))
    except KeyError:
        raise UnreadableFileError(
            f"{path} holds no array called points; is it a depth map? open that with depth3d.load_depth()"
        ) from None
    except OSError:
        raise
    except Exception as error:  # zipfile and zlib each raise their own, and so does PointCloud
        raise UnreadableFileError(
            f"{path} is no point cloud in .npz ({error}); write the file anew"
        ) from None
    comments, *facts = (
        texts_of(fields.get(field, np.array([])), str(path))
        for field in ("comments", "format", "frame", "unit")
    )
    if facts[0] == [_NPZ_FORMAT]:
        comments = [
            "depth3d cloud",
            f"frame: {' '.join(facts[1])}",
            f"unit: {' '.join(facts[2])}",
            *comments,
        ]
    return PlyPoints(points, checked.colors, checked.normals, tuple(comments))
