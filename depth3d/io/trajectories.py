"""`load_trajectory`: camera poses of the files that SLAM systems, data sets and COLMAP write."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import frozen
from depth3d.core.poses import as_pose
from depth3d.errors import InputError, UnreadableFileError
from depth3d.io.npy import read_numbers
from depth3d.io.pictures import open_file

__all__ = ["TRAJECTORY_FORMATS", "Trajectory", "TrajectoryFormat", "load_trajectory"]

TrajectoryFormat: TypeAlias = Literal[
    "auto", "redwood", "tum", "kitti", "nerfstudio", "open3d", "colmap", "npy"
]
"""Which program's file it is; `auto` looks at the content."""

TRAJECTORY_FORMATS: tuple[TrajectoryFormat, ...] = (
    "auto", "redwood", "tum", "kitti", "nerfstudio", "open3d", "colmap", "npy",
)  # fmt: skip

_LARGEST_FILE = 1 << 30
_ROUNDING = 0.01
"""How far R R^T may be from the identity by rounding in a file; beyond, R is no rotation."""

_FLIP_Y_AND_Z = np.diag([1.0, -1.0, -1.0, 1.0])
"""Between the camera axes of OpenGL (y up, z backward) and of OpenCV (y down, z forward): its own inverse."""

_Matrix = npt.NDArray[np.float64]
_Views: TypeAlias = "tuple[list[_Matrix], list[str] | None, list[float] | None]"


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """Where a camera was for each of its frames.

    Attributes:
        poses: (n, 4, 4) float64 `T_world_camera`, metres: camera points (x right, y down, z forward) to the
            world of the file. Read-only.
        names: The name of each frame's picture, where the file has them, else None.
        timestamps_s: (n,) float64 seconds, where the file has them, else None.

    Raises:
        InputError: A pose is not rigid, or the counts differ.
    """

    poses: npt.NDArray[np.float64]
    names: tuple[str, ...] | None = None
    timestamps_s: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        poses = frozen(self.poses, name="poses", dtype=np.float64, shape=(None, 4, 4))
        for i, pose in enumerate(poses):
            as_pose(pose, f"poses[{i}]")
        object.__setattr__(self, "poses", poses)
        if self.names is not None:
            object.__setattr__(self, "names", tuple(self.names))
            if len(self.names) != len(poses):
                raise InputError(f"names must be as many as poses, got {len(self.names)} and {len(poses)}")
        if self.timestamps_s is not None:
            times = frozen(self.timestamps_s, name="timestamps_s", dtype=np.float64, shape=(len(poses),))
            object.__setattr__(self, "timestamps_s", times)

    def __len__(self) -> int:
        return len(self.poses)

    def __repr__(self) -> str:
        named = ", names" if self.names is not None else ""
        timed = ", timestamps" if self.timestamps_s is not None else ""
        return f"Trajectory({len(self):,} poses{named}{timed})"


def load_trajectory(path: str | Path, *, format: TrajectoryFormat = "auto") -> Trajectory:  # noqa: A002
    """Read camera poses, all as camera-to-world with OpenCV axes.

    - `redwood`: Open3D's `.log`: a line of three numbers, then the 4x4 matrix, for each frame.
    - `tum`: `timestamp tx ty tz qx qy qz qw` a line (TUM RGB-D benchmark).
    - `kitti`: the first three rows of the matrix, 12 numbers a line (KITTI odometry).
    - `nerfstudio`: `transforms.json`, also of instant-ngp; its cameras look along -z, ours along +z.
    - `open3d`: the JSON of a `PinholeCameraTrajectory`: world-to-camera, column by column.
    - `colmap`: `images.txt`: world-to-camera, inverted here.
    - `npy`: (n, 4, 4) camera-to-world.

    The world's axes and its unit stay those of the file. Rotations with few digits are replaced by the
    nearest exact one (from the singular value decomposition; Schönemann, Psychometrika 1966).

    Args:
        path: The file.
        format: One of these; `auto` tells them apart by their content.

    Returns:
        The poses in the order of the file, with names and timestamps where it has them.

    Raises:
        UnreadableFileError: The file is missing, damaged, or of no such format.
        InputError: An unknown format, or a matrix that is no rotation with a translation.
    """
    if format not in TRAJECTORY_FORMATS:
        raise InputError(f"format must be one of {', '.join(TRAJECTORY_FORMATS)}, got {format!r}")
    with open_file(path) as file:
        data = file.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        raise UnreadableFileError(f"{path} is no trajectory: it is larger than 1 GB; check the name")
    try:
        matrices, names, times = _parsed(data, format)
        if not matrices:
            raise UnreadableFileError("it has no poses; check that its writer came to an end")
        poses = np.stack([_rigid(matrix, i) for i, matrix in enumerate(matrices)])
    except UnreadableFileError as error:
        raise UnreadableFileError(f"{path} is no trajectory that can be read: {error}") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return Trajectory(
        poses,
        None if names is None else tuple(names),
        None if times is None else np.asarray(times, dtype=np.float64),
    )


def _parsed(data: bytes, kind: TrajectoryFormat) -> _Views:
    if kind == "npy" or (kind == "auto" and data.startswith(b"\x93NUMPY")):
        return _of_npy(data), None, None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableFileError(
            "it is not text; give .log, .txt, .json or .npy, and of a COLMAP model images.txt (its "
            "model_converter writes it)"
        ) from None
    if kind in ("nerfstudio", "open3d") or (kind == "auto" and text.lstrip().startswith("{")):
        return _of_json(text, kind)
    if kind == "colmap" or (kind == "auto" and _is_colmap(text)):
        return _of_colmap(text)
    rows = [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if kind == "auto":
        kind = _kind_of_rows(rows)
    return _ROW_READERS[kind](rows)


def _kind_of_rows(rows: Sequence[Sequence[str]]) -> TrajectoryFormat:
    widths = [len(row) for row in rows[:5]]
    if widths == [3, 4, 4, 4, 4]:
        return "redwood"
    by_width: dict[int, TrajectoryFormat] = {8: "tum", 12: "kitti"}
    if not widths or widths[0] not in by_width:
        raise UnreadableFileError(
            "its lines are those of no format that is known: Redwood (3, then 4 times 4 numbers), TUM (8), "
            "KITTI (12) or COLMAP's images.txt; convert it to one of these"
        )
    return by_width[widths[0]]


def _of_redwood(rows: Sequence[Sequence[str]]) -> _Views:
    matrices = []
    for i in range(0, len(rows), 5):
        block = rows[i : i + 5]
        if [len(row) for row in block] != [3, 4, 4, 4, 4]:
            raise UnreadableFileError(
                f"pose {i // 5} must be a line of 3 numbers and four of 4, got lines of "
                f"{', '.join(str(len(row)) for row in block)}; copy the file anew"
            )
        matrices.append(np.array([_numbers(row) for row in block[1:]]))
    return matrices, None, None


def _of_tum(rows: Sequence[Sequence[str]]) -> _Views:
    table = _table(rows, 8, "timestamp tx ty tz qx qy qz qw")
    matrices = [_of_quaternion(row[[7, 4, 5, 6]], row[1:4], i) for i, row in enumerate(table)]
    return matrices, None, [float(time) for time in table[:, 0]]


def _of_kitti(rows: Sequence[Sequence[str]]) -> _Views:
    table = _table(rows, 12, "the first three rows of a 4x4 matrix")
    last = np.array([[0.0, 0, 0, 1]])
    return [np.concatenate([row.reshape(3, 4), last]) for row in table], None, None


_ROW_READERS: Mapping[str, Callable[[Sequence[Sequence[str]]], _Views]] = {
    "redwood": _of_redwood,
    "tum": _of_tum,
    "kitti": _of_kitti,
}


def _of_npy(data: bytes) -> list[_Matrix]:
    array = read_numbers(BytesIO(data), "the array")
    if array.ndim != 3 or array.shape[1:] != (4, 4):
        raise UnreadableFileError(f"it must hold an array of shape (n, 4, 4), got {np.shape(array)}")
    if array.dtype.kind not in "iuf":
        raise UnreadableFileError(f"its numbers must be floats, got {array.dtype}; save them as float64")
    return list(array.astype(np.float64))


def _of_json(text: str, kind: TrajectoryFormat) -> _Views:
    try:
        fields: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableFileError(f"it is damaged JSON ({error}); correct it") from None
    views = fields.get("parameters") if isinstance(fields, dict) else None
    if kind == "open3d" or (kind == "auto" and isinstance(views, list)):
        matrices = []
        for i, view in enumerate(views if isinstance(views, list) else []):
            matrix = _matrix(
                view.get("extrinsic") if isinstance(view, dict) else None, f"parameters[{i}]", 16
            )
            matrices.append(_inverse(_rigid(matrix.reshape(4, 4).T, i)))
        return matrices, None, None
    frames = fields.get("frames") if isinstance(fields, dict) else None
    if not isinstance(frames, list):
        raise UnreadableFileError(
            "its JSON has neither frames (nerfstudio, instant-ngp) nor parameters (Open3D); give a file "
            "with poses"
        )
    matrices, names = [], []
    for i, frame in enumerate(frames):
        given = frame.get("transform_matrix") if isinstance(frame, dict) else None
        matrices.append(_matrix(given, f"frames[{i}]", 16).reshape(4, 4) @ _FLIP_Y_AND_Z)
        names.append(str(frame.get("file_path", i)))
    return matrices, names, None


def _is_colmap(text: str) -> bool:
    if "Image list with two lines of data per image" in text:
        return True
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return _COLMAP_IMAGE.match(next(lines, "")) is not None


_NUMBER = r"[-+]?[\d.]+(?:[eE][-+]?\d+)?"
_COLMAP_IMAGE = re.compile(rf"\s*\d+\s+(?:{_NUMBER}\s+){{7}}\d+\s+(?!{_NUMBER}(?:\s|$))(\S.*)$")
"""IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME; of a line of 2D points, the name would be a number."""


def _of_colmap(text: str) -> _Views:
    """Take every line that names an image: those between hold its 2D points, or nothing."""
    matrices: list[_Matrix] = []
    names: list[str] = []
    for line in text.splitlines():
        found = None if line.lstrip().startswith("#") else _COLMAP_IMAGE.match(line)
        if found:
            q_t = np.array(_numbers(line.split()[1:8]))
            matrices.append(_inverse(_rigid(_of_quaternion(q_t[:4], q_t[4:], len(names)), len(names))))
            names.append(found.group(1).strip())
    stated = re.search(r"Number of images:\s*(\d+)", text)
    if stated and int(stated.group(1)) != len(names):
        raise UnreadableFileError(
            f"it states {stated.group(1)} images and {len(names)} can be read; copy the file anew, and give "
            "the pictures names that are no numbers"
        )
    return matrices, names, None


def _table(rows: Sequence[Sequence[str]], columns: int, meaning: str) -> _Matrix:
    for i, row in enumerate(rows):
        if len(row) != columns:
            raise UnreadableFileError(
                f"pose {i} must be {columns} numbers, {meaning}, got {len(row)}; copy the file anew"
            )
    return np.array([_numbers(row) for row in rows]).reshape(-1, columns)


def _numbers(words: Sequence[str]) -> list[float]:
    try:
        return [float(word) for word in words]
    except ValueError:
        raise UnreadableFileError(f"{' '.join(words)[:60]!r} must be numbers; correct the line") from None


def _matrix(given: object, where: str, count: int) -> _Matrix:
    try:
        flat = np.asarray(given, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError, OverflowError):  # the last over integers of 400 digits
        flat = np.empty(0)
    if flat.size != count:
        raise UnreadableFileError(f"{where} must have a 4x4 matrix of numbers; add it")
    return flat


def _of_quaternion(wxyz: _Matrix, translation: _Matrix, i: int) -> _Matrix:
    """Make the matrix of a rotation and a translation: X -> R X + t, R = I + 2 w [v] + 2 [v]^2."""
    length = float(np.linalg.norm(wxyz))
    if not abs(length - 1) <= _ROUNDING:  # NaN compares false
        raise InputError(f"the quaternion of pose {i} must have length 1, got {length:.4g}; correct it")
    w, x, y, z = wxyz / length
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    pose = np.eye(4)
    pose[:3, :3] += 2 * w * cross + 2 * cross @ cross
    pose[:3, 3] = translation
    return pose


def _inverse(pose: _Matrix) -> _Matrix:
    inverse = np.eye(4)
    inverse[:3, :3] = pose[:3, :3].T
    inverse[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return inverse


def _rigid(matrix: _Matrix, i: int) -> _Matrix:
    """Replace a rotation that lost digits by the nearest one, and refuse what is none."""
    R = matrix[:3, :3]
    sound = bool(np.isfinite(matrix).all()) and np.allclose(matrix[3], [0, 0, 0, 1], rtol=0, atol=1e-6)
    if not sound or np.abs(R @ R.T - np.eye(3)).max() > _ROUNDING or np.linalg.det(R) < 0:
        raise InputError(
            f"pose {i} must be a rotation and a translation over 0 0 0 1, got "
            f"{np.round(matrix, 4).tolist()}; take scale and mirroring out of the file"
        )
    u, _, vt = np.linalg.svd(R)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = u @ vt, matrix[:3, 3]
    return pose
