"""Cameras of COLMAP: `cameras.txt` and `cameras.bin`.

COLMAP puts the centre of the first pixel at 0.5, as we do. Format and models: COLMAP documentation,
"Output Format" and "Camera Models".
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from depth3d.core.camera import Camera
from depth3d.core.distortion import DistortionModel
from depth3d.errors import CameraError
from depth3d.io.foreign_camera import foreign_camera

__all__ = ["colmap_cameras_of_bytes", "colmap_cameras_of_text", "is_colmap_bytes", "is_colmap_text"]


@dataclass(frozen=True, slots=True)
class _Model:
    name: str
    n_focal: int
    """1 where one focal length serves both axes; 0 for a model that we can't express."""
    n_parameters: int
    lens: DistortionModel = "opencv"
    """The parameters after the principal point are the first coefficients of this polynomial."""


_MODELS = {
    0: _Model("SIMPLE_PINHOLE", 1, 3),
    1: _Model("PINHOLE", 2, 4),
    2: _Model("SIMPLE_RADIAL", 1, 4),
    3: _Model("RADIAL", 1, 5),
    4: _Model("OPENCV", 2, 8),
    5: _Model("OPENCV_FISHEYE", 2, 8, "fisheye"),
    6: _Model("FULL_OPENCV", 2, 12),
    7: _Model("FOV", 0, 5),
    8: _Model("SIMPLE_RADIAL_FISHEYE", 1, 4, "fisheye"),
    9: _Model("RADIAL_FISHEYE", 1, 5, "fisheye"),
    10: _Model("THIN_PRISM_FISHEYE", 0, 12),
    11: _Model("RAD_TAN_THIN_PRISM_FISHEYE", 0, 16),
}
_BY_NAME = {model.name: model for model in _MODELS.values()}
_TEXT_LINE = re.compile(r"\d+\s+[A-Z][A-Z_]+\s+\d+\s+\d+\s+\S")
_RECORD = struct.Struct("<iiQQ")
_MOST_CAMERAS = 10_000_000


def is_colmap_text(text: str) -> bool:
    """Tell whether the first line that is no comment looks like one of `cameras.txt`."""
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line and not line.startswith("#")), "")
    return bool(_TEXT_LINE.match(first)) or (not first and "Camera list with one line" in text)


def is_colmap_bytes(data: bytes) -> bool:
    """Tell whether a file begins as `cameras.bin` does: a 64-bit count, then a first record."""
    if len(data) < 8 or b"\0" not in data[:8]:
        return False
    count: int = struct.unpack_from("<Q", data)[0]
    return count < _MOST_CAMERAS and len(data) >= 8 + count * _RECORD.size


def colmap_cameras_of_text(text: str) -> dict[str, Camera]:
    """Parse `cameras.txt`.

    Returns:
        Cameras by their id.

    Raises:
        CameraError: A line that is no camera, or a model that we can't express.
    """
    cameras: dict[str, Camera] = {}
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            name, model, width, height = words[0], words[1], int(words[2]), int(words[3])
            parameters = [float(word) for word in words[4:]]
        except (IndexError, ValueError):
            raise CameraError(
                f"the line {line.strip()[:60]!r} is no camera; COLMAP writes ID MODEL WIDTH HEIGHT PARAMETERS"
            ) from None
        cameras[name] = _camera(_model_named(model, name), name, width, height, parameters)
    return cameras


def colmap_cameras_of_bytes(data: bytes) -> dict[str, Camera]:
    """Parse `cameras.bin`.

    Returns:
        Cameras by their id.

    Raises:
        CameraError: It is cut short, or a model is unknown or can't be expressed.
    """
    (count,) = struct.unpack_from("<Q", data)
    cameras: dict[str, Camera] = {}
    at = 8
    try:
        for _ in range(count):
            number, model_id, width, height = _RECORD.unpack_from(data, at)
            at += _RECORD.size
            model = _MODELS.get(model_id)
            if model is None:
                raise CameraError(
                    f"camera {number} is of the model number {model_id}, which is not supported; run "
                    "COLMAP's image_undistorter and use its cameras"
                )
            parameters = struct.unpack_from(f"<{model.n_parameters}d", data, at)
            at += 8 * model.n_parameters
            cameras[str(number)] = _camera(model, str(number), width, height, list(parameters))
    except struct.error:
        raise CameraError(f"the file ends before its {count} cameras do; copy it anew") from None
    if at != len(data):
        raise CameraError(f"{len(data) - at} bytes follow the last camera; is this COLMAP's cameras.bin?")
    return cameras


def _model_named(name: str, camera: str) -> _Model:
    if name not in _BY_NAME:
        raise CameraError(_cannot_express(camera, name))
    return _BY_NAME[name]


def _camera(model: _Model, name: str, width: int, height: int, parameters: list[float]) -> Camera:
    if model.n_focal == 0:
        raise CameraError(_cannot_express(name, model.name))
    if len(parameters) != model.n_parameters:
        raise CameraError(
            f"camera {name} of the model {model.name} must have {model.n_parameters} parameters, "
            f"got {len(parameters)}; copy the file anew"
        )
    fx, fy = parameters[0], parameters[model.n_focal - 1]
    cx, cy, *distortion = parameters[model.n_focal :]
    return foreign_camera(
        (fx, fy),
        (cx, cy),
        (width, height),
        center_of_first_pixel=0.5,
        distortion=distortion,
        model=model.lens,
    )


def _cannot_express(camera: str, model: str) -> str:
    return (
        f"camera {camera} is of the model {model}, which is not supported; run COLMAP's image_undistorter "
        "and use its cameras"
    )
