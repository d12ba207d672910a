"""Cameras in the JSON files of Open3D and nerfstudio."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from depth3d.core.camera import Camera
from depth3d.errors import CameraError
from depth3d.io.foreign_camera import (
    choose_camera,
    distortion_model,
    foreign_camera,
    number,
    picture_size,
)

__all__ = ["is_nerfstudio", "is_open3d", "nerfstudio_camera", "open3d_camera"]

_log = logging.getLogger("depth3d")


def is_open3d(fields: Mapping[str, Any]) -> bool:
    """Tell whether these are a `PinholeCameraIntrinsic`, `...Parameters` or `...Trajectory`."""
    return any(name in fields for name in ("intrinsic_matrix", "intrinsic", "parameters"))


def open3d_camera(fields: Mapping[str, Any], size_wh: tuple[int, int] | None, name: str | None) -> Camera:
    """Read Open3D's intrinsics: a column-major matrix, the centre of the first pixel at 0.

    Args:
        fields: The parsed file.
        size_wh: The size of the pictures, where the file is silent.
        name: Which view of a trajectory, counted from `0`.

    Raises:
        CameraError: A field is missing or impossible, or the views differ and none was chosen.
    """
    if isinstance(fields.get("parameters"), list):
        views = [view for view in fields["parameters"] if isinstance(view, Mapping)]
        return choose_camera({str(i): _of_open3d(view, size_wh) for i, view in enumerate(views)}, name)
    return _of_open3d(fields, size_wh)


def _of_open3d(fields: Mapping[str, Any], size_wh: tuple[int, int] | None) -> Camera:
    inner = fields.get("intrinsic", fields)
    matrix = inner.get("intrinsic_matrix") if isinstance(inner, Mapping) else None
    if not isinstance(matrix, list) or len(matrix) != 9:
        raise CameraError("intrinsic_matrix must be a list of 9 numbers, column by column; correct it")
    numbered = {f"intrinsic_matrix[{i}]": value for i, value in enumerate(matrix)}
    k = [number(numbered, key) for key in numbered]
    if (k[2] or k[5]) and not (k[6] or k[7]):
        _log.warning("intrinsic_matrix is row by row, where Open3D writes column by column: read it so")
        k = [k[0], k[3], k[6], k[1], k[4], k[7], k[2], k[5], k[8]]
    if any((k[1], k[2], k[3], k[5])) or k[8] != 1:
        raise CameraError(f"intrinsic_matrix must be [fx 0 0 0 fy 0 cx cy 1], got {k}; skew is not supported")
    size = picture_size(inner, [("width", "height")], size_wh)
    return foreign_camera((k[0], k[4]), (k[6], k[7]), size, center_of_first_pixel=0.0)


def is_nerfstudio(fields: Mapping[str, Any]) -> bool:
    """Tell whether these are the fields of a `transforms.json`."""
    return any(name in fields for name in ("fl_x", "camera_angle_x", "frames"))


def nerfstudio_camera(fields: Mapping[str, Any], size_wh: tuple[int, int] | None, name: str | None) -> Camera:
    """Read the intrinsics of a `transforms.json`; the centre of the first pixel is at 0.5.

    Args:
        fields: The parsed file: `fl_x`, or `camera_angle_x` in radians as in the first NeRF data;
            for all frames at once, or frame by frame.
        size_wh: The size of the pictures, where the file is silent.
        name: The `file_path` of a frame, or its last part.

    Raises:
        CameraError: A field is missing or impossible, or the frames differ and none was chosen.
    """
    frames = fields.get("frames")
    views: dict[str, Mapping[str, Any]] = {}
    for i, frame in enumerate(frames if isinstance(frames, list) else []):
        if isinstance(frame, Mapping):
            views[str(frame.get("file_path", i))] = frame
    if name is not None and name not in views:
        matches = [view for view in views if name in (PurePosixPath(view).name, PurePosixPath(view).stem)]
        name = matches[0] if len(matches) == 1 else name
    if name is None and _has_focal(fields):
        return _of_nerfstudio(fields, size_wh)
    if name is not None and name not in views:
        raise CameraError(
            f"there is no frame {name!r}; the file has {len(views)}, such as {next(iter(views), '')!r}"
        )
    # What a frame says of its own goes before what the file says of all.
    cameras = {
        view: _of_nerfstudio({**fields, **own}, size_wh)
        for view, own in views.items()
        if name in (None, view) and _has_focal({**fields, **own})
    }
    if not cameras:
        raise CameraError("the file gives no focal length; add fl_x, in pixels")
    return choose_camera(cameras, name)


def _has_focal(fields: Mapping[str, Any]) -> bool:
    return "fl_x" in fields or "camera_angle_x" in fields


def _of_nerfstudio(fields: Mapping[str, Any], size_wh: tuple[int, int] | None) -> Camera:
    width, height = picture_size(fields, [("w", "h")], size_wh)
    fx = number(fields, "fl_x") if "fl_x" in fields else _focal(fields, "camera_angle_x", width)
    if "fl_y" in fields:
        fy = number(fields, "fl_y")
    elif "camera_angle_y" in fields and "fl_x" not in fields:
        fy = _focal(fields, "camera_angle_y", height)
    else:
        fy = fx
    model = "fisheye" if fields.get("is_fisheye") else distortion_model(fields.get("camera_model"))
    if model == "fisheye":
        coefficients = [number(fields, k, 0.0) for k in ("k1", "k2", "k3", "k4")]
    else:
        if number(fields, "k4", 0.0):
            raise CameraError(
                "k4 is the coefficient of r^8 there, which is not supported; calibrate without it"
            )
        coefficients = [number(fields, k, 0.0) for k in ("k1", "k2", "p1", "p2", "k3")]
    return foreign_camera(
        (fx, fy),
        (number(fields, "cx", width / 2), number(fields, "cy", height / 2)),
        (width, height),
        center_of_first_pixel=0.5,
        distortion=coefficients,
        model=model,
    )


def _focal(fields: Mapping[str, Any], name: str, side_px: float) -> float:
    angle = number(fields, name)
    if not 0 < angle < math.pi:
        raise CameraError(f"{name} must lie between 0 and pi radians, got {angle!r}; correct it")
    return side_px / (2 * math.tan(angle / 2))
