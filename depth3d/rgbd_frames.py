"""Frames of a recording: which depth map and which pose belong to which photo."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.errors import InputError, NeedsMetricError, UnreadableFileError
from depth3d.io.depth_files import DEPTH_SUFFIXES
from depth3d.io.frames import FRAMES, check_frame
from depth3d.io.inputs import PHOTO_SUFFIXES, natural_key
from depth3d.io.pairing import partners
from depth3d.io.trajectories import Trajectory
from depth3d.opened_photo import OpenedPhoto, open_photo

__all__ = ["POSE_MATCHES", "Frame", "PoseMatch", "find_frames", "open_frames", "pose_of_axes", "world_axes"]

PoseMatch: TypeAlias = Literal["auto", "order", "name", "number", "time"]
"""What tells the pose of a photo."""

POSE_MATCHES: tuple[PoseMatch, ...] = ("auto", "order", "name", "number", "time")

_PHOTO_FOLDERS = ("color", "colour", "rgb", "image", "images", "photos")
_DEPTH_FOLDERS = ("depth", "depths", "depth_maps")
_SLACK_S = 0.02
_CLEARLY_UP = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A photo with its depth file, or None for a network's depth, and its (4, 4) pose `T_world_camera`."""

    photo: Path
    depth: Path | None
    pose: npt.NDArray[np.float64]


def find_frames(
    photos: Sequence[Path],
    trajectory: Trajectory,
    *,
    depths: Path | None = None,
    match: PoseMatch = "auto",
) -> list[Frame]:
    """Bring photos, depth files and poses together.

    Args:
        photos: Photo files; or one folder of photos; or one folder that holds `color/` (or `rgb/`,
            `images/`) and `depth/`. Files of a folder come in the order of the numbers in their names.
        trajectory: The poses.
        depths: Folder of depth files. Each belongs to the photo of the same name (what says that it is a
            photo or a depth map does not count, such as a `_depth` at its end), or, if no name agrees and
            there are as many, to the photo at the same place.
        match: `order`: one pose for each photo in turn. `name`: the trajectory names its pictures. `number`:
            the last number in a photo's name counts poses from 0. `time`: a photo's name is its time in
            seconds, the nearest pose within 20 ms is taken. `auto`: the first of name, time and order that
            fits any of the photos.

    Returns:
        The frames in the order of the photos; poses may be left over, unless `order` matched them.

    Raises:
        InputError: Photos, depths and poses don't fit together.
        UnreadableFileError: A folder is empty or not there.
    """
    if match not in POSE_MATCHES:
        raise InputError(f"match must be one of {', '.join(POSE_MATCHES)}, got {match!r}")
    if len(photos) == 1 and photos[0].is_dir():
        folder = photos[0]
        inside = _subfolder(folder, _PHOTO_FOLDERS)
        if inside is not None:
            depths = depths or _subfolder(folder, _DEPTH_FOLDERS)
        photos = _files_in(inside or folder, PHOTO_SUFFIXES, "photos")
    if not photos:
        raise InputError("there are no photos; give photos, or a folder that holds color/ and depth/")
    missing = next((photo for photo in photos if not photo.is_file()), None)
    if missing is not None:
        raise UnreadableFileError(
            f"{missing} is no file; give photos, or one folder that holds color/ and depth/"
        )
    maps = _paired(photos, None if depths is None else _files_in(depths, DEPTH_SUFFIXES, "depth maps"))
    chosen = _matched(photos, trajectory, match)
    return [
        Frame(photo, depth, trajectory.poses[i]) for photo, depth, i in zip(photos, maps, chosen, strict=True)
    ]


def open_frames(frames: Sequence[Frame], **options: Any) -> Iterator[OpenedPhoto]:
    """Open each frame as a scene when it is asked for.

    Args:
        frames: From `find_frames`.
        **options: Of `open_photo`: `depth_kind`, `png_scale`, `estimator` and those of the camera.

    Yields:
        One opened photo a frame, in their order.

    Raises:
        NeedsMetricError: A depth is relative: frames need the same metres.
        InputError: As `open_photo` does.
        FileError: A file can't be read.
    """
    for frame in frames:
        try:
            yield open_photo(frame.photo, depth=frame.depth, **options)
        except NeedsMetricError:
            raise NeedsMetricError(
                f"{frame.depth or frame.photo} has relative depth, and photos can only be fused in the same "
                "metres; use a metric model (--model metric-indoor-small), or give depth maps in metres"
            ) from None


def world_axes(poses: npt.ArrayLike) -> str:
    """Tell a world's axes from how its cameras are held, which is upright on the whole.

    Args:
        poses: (n, 4, 4) `T_world_camera`.

    Returns:
        One of `depth3d.io.frames.FRAMES`: `opengl` where y points up, `blender` where z does, `opencv` where
        y points down or where no axis is clearly up.
    """
    up = -np.asarray(poses, dtype=np.float64)[:, :3, 1].mean(axis=0)
    heights = {"opencv": -up[1], "opengl": up[1], "blender": up[2]}
    best = max(heights, key=lambda name: heights[name])
    return best if heights[best] > _CLEARLY_UP else "opencv"


def pose_of_axes(axes: str) -> npt.NDArray[np.float64]:
    """Make the (4, 4) rotation from a world of such axes to one of OpenCV's, as `save` expects.

    Raises:
        InputError: `axes` is none of `depth3d.io.frames.FRAMES`.
    """
    pose = np.eye(4)
    pose[:3, :3] = np.array(FRAMES[check_frame(axes)]).T
    return pose


def _subfolder(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _files_in(folder: Path, suffixes: Sequence[str], what: str) -> list[Path]:
    try:
        found = [path for path in folder.iterdir() if path.suffix.lower() in suffixes and path.is_file()]
    except OSError as error:
        raise UnreadableFileError(
            f"can't list the folder {folder}: {error.strerror}; check the path"
        ) from None
    if not found:
        raise UnreadableFileError(f"there are no {what} in {folder}; give a folder of {', '.join(suffixes)}")
    return sorted(found, key=lambda path: natural_key(path.name))


def _paired(photos: Sequence[Path], maps: Sequence[Path] | None) -> Sequence[Path | None]:
    """Find the depth map of each photo by its name, or else, if there are as many, by its place."""
    if maps is None:
        return [None] * len(photos)
    folder = maps[0].parent
    found = partners([PurePath(photo.name) for photo in photos], maps, folder)
    paths = [one for one in found if isinstance(one, Path)]
    if len(paths) == len(photos):
        return paths
    if paths:
        raise next(one for one in found if isinstance(one, InputError))
    if len(maps) != len(photos):
        raise InputError(
            f"there are {len(photos)} photos and {len(maps)} depth maps in {folder}, and no names "
            "agree; name each depth map like its photo (of TUM's recordings, link the pairs that its "
            "associate.py finds)"
        )
    return maps


def _matched(photos: Sequence[Path], trajectory: Trajectory, match: PoseMatch) -> list[int]:
    """Find the index of each photo's pose."""
    if match == "auto":
        for attempt in (_by_name, _by_time):
            # What fits one photo must fit all: by order, the others would get each other's poses.
            if any(_fits(attempt, photo, trajectory) for photo in photos):
                return attempt(photos, trajectory)
    by: Mapping[str, Callable[[Sequence[Path], Trajectory], list[int]]] = {
        "name": _by_name,
        "time": _by_time,
        "number": _by_number,
    }
    return by.get(match, _by_order)(photos, trajectory)


def _fits(
    attempt: Callable[[Sequence[Path], Trajectory], list[int]], photo: Path, trajectory: Trajectory
) -> bool:
    try:
        attempt([photo], trajectory)
    except InputError:
        return False
    return True


def _by_order(photos: Sequence[Path], trajectory: Trajectory) -> list[int]:
    if len(photos) != len(trajectory):
        raise InputError(
            f"there are {len(photos)} photos and {len(trajectory)} poses; give all photos, or --match number "
            "if the numbers in their names count the poses from 0"
        )
    return list(range(len(photos)))


def _by_name(photos: Sequence[Path], trajectory: Trajectory) -> list[int]:
    if trajectory.names is None:
        raise InputError("the trajectory has no names of pictures; give --match order or number")
    whole = {PurePosixPath(name.replace("\\", "/")).name: i for i, name in enumerate(trajectory.names)}
    stems = {PurePosixPath(name).stem: i for name, i in whole.items()}
    found = [whole.get(photo.name, stems.get(photo.stem)) for photo in photos]
    return _all_found(found, photos, "has no picture of the name")


def _by_number(photos: Sequence[Path], trajectory: Trajectory) -> list[int]:
    numbers = [re.findall(r"\d+", photo.stem) for photo in photos]
    found = [int(all_of[-1]) if all_of and int(all_of[-1]) < len(trajectory) else None for all_of in numbers]
    return _all_found(found, photos, f"has {len(trajectory)} poses, counted from 0, and none for")


def _by_time(photos: Sequence[Path], trajectory: Trajectory) -> list[int]:
    if trajectory.timestamps_s is None:
        raise InputError("the trajectory has no timestamps; give --match order or number")
    found: list[int | None] = []
    for photo in photos:
        try:
            gaps = np.abs(trajectory.timestamps_s - float(photo.stem))
        except ValueError:
            raise InputError(
                f"{photo.name} is not named after its time in seconds; give --match order or number"
            ) from None
        found.append(int(gaps.argmin()) if gaps.min() <= _SLACK_S else None)
    return _all_found(found, photos, "has no pose within 20 ms of")


def _all_found(found: Sequence[int | None], photos: Sequence[Path], complaint: str) -> list[int]:
    indices = [i for i in found if i is not None]
    if len(indices) != len(photos):
        lonely = next(photo for photo, i in zip(photos, found, strict=True) if i is None)
        raise InputError(f"the trajectory {complaint} {lonely.name}; leave that photo out, or give --match")
    return indices
