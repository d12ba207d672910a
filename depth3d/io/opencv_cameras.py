"""Calibrations of OpenCV (YAML, XML, JSON) and of ROS (`camera_info` YAML).

Both put the centre of the first pixel at 0, so 0.5 is added to the principal point on the way in and
taken off on the way out.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from depth3d.core.camera import Camera
from depth3d.errors import CameraError, UnreadableFileError
from depth3d.io.foreign_camera import (
    FILE_SIGMA_REL,
    choose_camera,
    distortion_model,
    foreign_camera,
    number,
    picture_size,
)

__all__ = ["opencv_camera", "opencv_fields", "opencv_text"]

_MATRICES = {
    ("camera_matrix", "cameraMatrix", "Camera_Matrix", "cam_matrix", "mtx", "K", "k"): (
        "distortion_coefficients", "distCoeffs", "Distortion_Coefficients", "dist_coeffs", "dist_coeff",
        "dist", "D", "d",
    ),
    ("M1", "K1", "cameraMatrix1"): ("D1", "distCoeffs1"),
    ("M2", "K2", "cameraMatrix2"): ("D2", "distCoeffs2"),
}  # fmt: skip
"""Names of a camera matrix, and of the coefficients that go with it; 1 and 2 are a stereo pair."""
_SIZES = (("image_width", "image_height"), ("width", "height"), ("image_Width", "image_Height"))
_SKEW_TOLERANCE = 1e-6  # of the focal length: a hundredth of a pixel at the edge of any picture

_log = logging.getLogger("depth3d")


def opencv_fields(text: str) -> dict[str, Any]:
    """Parse a YAML or XML text as OpenCV does; plain YAML that it can't read goes to PyYAML.

    Args:
        text: The whole file. OpenCV's `%YAML:1.0` header is no valid YAML, and OpenCV in its turn
            fails on the lists over several lines that ROS 2 writes: hence two parsers.

    Returns:
        The fields, with matrices as `{"rows", "cols", "data"}`.

    Raises:
        UnreadableFileError: Neither parser understands it.
    """
    import cv2

    if text.strip():
        try:
            storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
            fields = _plain(storage.root())
            storage.release()
        except Exception:  # OpenCV raises cv2.error or SystemError, depending on its version
            fields = _plain_yaml(text)
        if isinstance(fields, dict) and fields:
            return fields
    raise UnreadableFileError("it is neither YAML, XML nor JSON with named fields; check what it is")


def _plain(node: Any) -> Any:
    """Turn a node of OpenCV's file storage into dictionaries, lists, strings and numbers."""
    if node.isMap():
        return {key: _plain(node.getNode(key)) for key in node.keys()}  # noqa: SIM118
    if node.isSeq():
        return [_plain(node.at(i)) for i in range(node.size())]
    if node.isString():
        return node.string()
    return node.real() if node.isReal() or node.isInt() else None


def _plain_yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise UnreadableFileError(
            "OpenCV can't parse it as YAML; install PyYAML, or put every list on one line"
        ) from None
    try:
        return next(iter(yaml.safe_load_all(text)), None)
    except (yaml.YAMLError, RecursionError, ValueError):
        return None


def opencv_camera(fields: Mapping[str, Any], size_wh: tuple[int, int] | None, name: str | None) -> Camera:
    """Read a camera matrix and its distortion out of parsed fields.

    Args:
        fields: With `camera_matrix`, `cameraMatrix`, `K`, or `M1` and `M2` for a stereo pair, and
            the coefficients under the name that belongs to it.
        size_wh: The size of the pictures, where the file is silent.
        name: Which matrix of a stereo pair, as the file names it. None takes the first, with a
            logged note.

    Returns:
        The camera; its `source` is `file`.

    Raises:
        CameraError: A field is missing, impossible, or of a lens model that we don't know.
    """
    cameras: dict[str, Camera] = {}
    for matrices, coefficients in _MATRICES.items():
        matrix = _first(fields, matrices)
        if matrix:
            cameras[matrix] = _camera(fields, matrix, _first(fields, coefficients), size_wh)
    if not cameras:
        raise CameraError(
            "no camera matrix is in it; give a file of depth3d, OpenCV, ROS, COLMAP, Open3D or nerfstudio"
        )
    if name is None and len(cameras) > 1:
        name, *others = cameras
        _log.warning("the file has several cameras: took %s; name= chooses %s", name, ", ".join(others))
    elif name == fields.get("camera_name"):
        name = None
    return choose_camera(cameras, name)


def opencv_text(camera: Camera, suffix: str) -> str:
    """Describe a camera as OpenCV's file storage does.

    Args:
        camera: Any camera.
        suffix: `.yaml`, `.yml` or `.xml`.

    Returns:
        The text; OpenCV reads it with `cv2.FileStorage`, and the principal point in it counts from
        the centre of the first pixel.
    """
    import cv2
    import numpy as np

    n = 4 if camera.distortion_model == "fisheye" else 5 if len(camera.distortion) <= 5 else 8
    matrix = camera.matrix
    matrix[:2, 2] -= 0.5
    storage = cv2.FileStorage(suffix, cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY)
    storage.write("image_width", camera.width)
    storage.write("image_height", camera.height)
    storage.write("camera_matrix", matrix)
    names = {4: "equidistant", 5: "plumb_bob", 8: "rational_polynomial"}
    storage.write("distortion_model", names[n])
    padded = (*camera.distortion, *[0.0] * (n - len(camera.distortion)))
    storage.write("distortion_coefficients", np.array([padded]))
    storage.write("focal_sigma_rel", camera.sigma_rel)
    text: str = storage.releaseAndGetString()
    return text


def _camera(
    fields: Mapping[str, Any], matrix: str, coefficients: str | None, size_wh: tuple[int, int] | None
) -> Camera:
    k = _numbers(fields[matrix], matrix)
    if len(k) != 9:
        raise CameraError(f"{matrix} must hold 3x3 numbers, got {len(k)}; correct it")
    if k[3] or k[6:] != [0, 0, 1] or abs(k[1]) > _SKEW_TOLERANCE * abs(k[0]):
        raise CameraError(f"{matrix} must be [fx 0 cx; 0 fy cy; 0 0 1], got {k}; skew is not supported")
    model = distortion_model(fields.get("distortion_model"))
    if fields.get("fisheye_model"):
        model = "fisheye"
    return foreign_camera(
        (k[0], k[4]),
        (k[2], k[5]),
        picture_size(fields, _SIZES, size_wh),
        center_of_first_pixel=0.0,
        distortion=[] if coefficients is None else _numbers(fields[coefficients], coefficients),
        model=model,
        sigma_rel=number(fields, "focal_sigma_rel", FILE_SIGMA_REL),
    )


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if fields.get(name) is not None), None)


def _numbers(value: Any, name: str) -> list[float]:
    """Flatten `{"data": [...]}`, a list, or a list of rows."""
    if isinstance(value, Mapping):
        value = value.get("data")
    rows = value if isinstance(value, list) else [value]
    flat = [x for row in rows for x in (row if isinstance(row, list) else [row])]
    try:
        return [float(x) for x in flat]
    except (TypeError, ValueError, OverflowError):
        raise CameraError(f"{name} must be a matrix of numbers, got {str(value)[:60]}; correct it") from None
