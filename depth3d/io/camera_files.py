"""Intrinsics in files: ours, OpenCV's, ROS's, COLMAP's, Open3D's and nerfstudio's.

Which of them a file is, its content tells, not its name.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from depth3d.core.camera import Camera
from depth3d.errors import CameraError, InputError, UnreadableFileError, UnsupportedFormatError
from depth3d.io.atomic import writing
from depth3d.io.camera_json import camera_from_dict, camera_to_dict
from depth3d.io.colmap_cameras import (
    colmap_cameras_of_bytes,
    colmap_cameras_of_text,
    is_colmap_bytes,
    is_colmap_text,
)
from depth3d.io.foreign_camera import choose_camera
from depth3d.io.json_cameras import is_nerfstudio, is_open3d, nerfstudio_camera, open3d_camera
from depth3d.io.opencv_cameras import opencv_camera, opencv_fields, opencv_text
from depth3d.io.pictures import open_file

__all__ = ["CAMERA_SUFFIXES", "check_camera_suffix", "fit_camera_to", "load_camera", "save_camera"]

CAMERA_SUFFIXES = (".json", ".yaml", ".yml", ".xml")
"""What `save_camera` writes."""

_LARGEST_FILE = 256 << 20  # a transforms.json of a long video has tens of megabytes

_log = logging.getLogger("depth3d")


def load_camera(
    path: str | Path,
    *,
    width: int | None = None,
    height: int | None = None,
    name: str | None = None,
) -> Camera:
    """Read intrinsics, in our convention: the first pixel's centre at 0.5.

    Read are our own JSON, OpenCV's YAML, XML and JSON, ROS's `camera_info` YAML, COLMAP's
    `cameras.txt` and `cameras.bin`, Open3D's JSON and nerfstudio's `transforms.json`.

    Args:
        path: The file.
        width: Width in pixels of the picture that the camera is wanted for; with `height`.
        height: Height in pixels. Both are needed for files that hold no size.
        name: Which camera, in a file of several: COLMAP's camera id, `M2` of an OpenCV stereo pair,
            the number of an Open3D view, nerfstudio's `file_path`.

    Returns:
        The camera, with `source` `file` and the stated or a usual `sigma_rel`, resized to
        `width` x `height` if they are given and have the same aspect.

    Raises:
        CameraError: Something in it is missing or impossible, there are several cameras and none
            was chosen, or its pictures have another aspect.
        UnreadableFileError: It is no camera file, is not there or can't be opened.
        InputError: Only one of `width` and `height` is given.
    """
    path = Path(path)
    if (width is None) != (height is None):
        raise InputError(f"width and height go together, got {width} and {height}; give both or none")
    size_wh = None if width is None or height is None else (width, height)
    data = _bytes_of(path)
    try:
        camera = _parsed(data, size_wh, name)
        return camera if size_wh is None else fit_camera_to(camera, *size_wh)
    except CameraError as error:
        raise CameraError(f"{path}: {error}") from None
    except UnreadableFileError as error:
        raise UnreadableFileError(f"{path} is no camera file: {error}") from None


def check_camera_suffix(path: Path) -> str:
    """Check, before any long work, that `save_camera` can write a file of this name.

    Returns:
        The suffix in lower case.

    Raises:
        UnsupportedFormatError: It is none of `CAMERA_SUFFIXES`.
    """
    suffix = path.suffix.lower()
    if suffix not in CAMERA_SUFFIXES:
        raise UnsupportedFormatError(
            f"{path} has a suffix that is no camera file's; use one of {', '.join(CAMERA_SUFFIXES)}"
        )
    return suffix


def save_camera(camera: Camera, path: str | Path, *, overwrite: bool = True) -> None:
    """Write intrinsics; the file appears whole or not at all.

    Args:
        camera: What to write.
        path: `.json` for our own format, which keeps everything; `.yaml`, `.yml` or `.xml` for
            OpenCV's, which `cv2.FileStorage` reads.
        overwrite: Whether an existing file may be replaced.

    Raises:
        UnsupportedFormatError: Another suffix.
        OutputExistsError: The file exists and `overwrite` is False.
        FileError: The file can't be written.
    """
    path = Path(path)
    suffix = check_camera_suffix(path)
    if suffix == ".json":
        text = json.dumps(camera_to_dict(camera), indent=2) + "\n"
    else:
        text = opencv_text(camera, suffix)
    with writing(path, overwrite=overwrite) as partial:
        partial.write_text(text, encoding="utf-8")


def fit_camera_to(camera: Camera, width: int, height: int) -> Camera:
    """Make a camera fit a picture that is a resized one of those it was calibrated on.

    Args:
        camera: Intrinsics of pictures of any size.
        width: Width in pixels of the picture at hand.
        height: Height in pixels.

    Returns:
        The camera itself, or one that is resized, with a logged note.

    Raises:
        CameraError: No single scale, rounded to whole pixels, leads from one size to the other: the
            picture is cropped, turned or from another camera.
    """
    if (width, height) == camera.size_wh:
        return camera
    # One scale must bring both sides within a pixel of what they are.
    low = max((width - 1) / camera.width, (height - 1) / camera.height)
    high = min((width + 1) / camera.width, (height + 1) / camera.height)
    if low > high:
        cure = "give the camera of this very picture"
        if (width > height) != (camera.width > camera.height):
            cure = "turn the picture upright as it was calibrated, or the camera with rotated_90()"
        raise CameraError(
            f"the camera belongs to pictures of {camera.width}x{camera.height} and this one has "
            f"{width}x{height}, another aspect; {cure}"
        )
    _log.info("resized the camera from %dx%d to %dx%d", *camera.size_wh, width, height)
    return camera.resized(width, height)


def _bytes_of(path: Path) -> bytes:
    with open_file(path) as file:
        data = file.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        raise UnreadableFileError(f"{path} is no camera file: it is too large; check the name")
    return data


def _parsed(data: bytes, size_wh: tuple[int, int] | None, name: str | None) -> Camera:
    if is_colmap_bytes(data):
        return choose_camera(colmap_cameras_of_bytes(data), name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableFileError("it is neither text nor COLMAP's cameras.bin; check what it is") from None
    if is_colmap_text(text):
        return choose_camera(colmap_cameras_of_text(text), name)
    if not text.lstrip().startswith("{"):
        return opencv_camera(opencv_fields(text), size_wh, name)
    try:
        fields: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableFileError(f"it is damaged JSON ({error}); correct it") from None
    if str(fields.get("format", "")).startswith("depth3d"):
        return _of_ours(fields)
    if is_nerfstudio(fields):
        return nerfstudio_camera(fields, size_wh, name)
    if is_open3d(fields):
        return open3d_camera(fields, size_wh, name)
    return opencv_camera(fields, size_wh, name)


def _of_ours(fields: dict[str, Any]) -> Camera:
    return camera_from_dict({**fields, "source": "file"})
