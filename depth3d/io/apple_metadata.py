"""What iPhones write beside a picture: its camera matrix, and the frame that holds its depth.

A portrait JPEG is an MPO of several frames (CIPA DC-007); one of them holds disparity, and XMP that
describes it. In HEIC files the container has boxes for both.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.io.exif import matrix_upright
from depth3d.io.pictures import open_file
from depth3d.io.xmp import Properties, jpeg_segments, jpeg_xmp

__all__ = ["DEPTH_DATA_NS", "PIXEL_DATA_NS", "depth_frame", "embedded_matrix", "property_text"]

PIXEL_DATA_NS = "http://ns.apple.com/pixeldatainfo/1.0/"
DEPTH_DATA_NS = "http://ns.apple.com/depthData/1.0/"

_MP_ENTRIES = 0xB002


def property_text(properties: Properties, name: str) -> str | None:
    """Return the first value of an XMP property, or None."""
    values = properties.get(name)
    return values[0].strip() if values else None


def depth_frame(path: str | Path, opened: Any) -> tuple[bytes, Properties] | None:
    """Find the frame of an MPO that holds depth or disparity.

    Args:
        path: The file.
        opened: The same, opened by `open_picture`.

    Returns:
        The frame's JPEG data and XMP properties; None where there is none.
    """
    if opened.format != "MPO":
        return None
    with open_file(path) as file:
        data = file.read()
    # Offsets count from the byte-order mark that follows the name of the segment.
    base = next((at + 4 for _, at, payload in jpeg_segments(data) if payload.startswith(b"MPF\0")), 0)
    try:
        spans = [(base + entry["DataOffset"], entry["Size"]) for entry in opened.mpinfo[_MP_ENTRIES][1:]]
    except (KeyError, IndexError, TypeError):
        return None
    for start, size in spans:
        frame = data[start : start + size]
        if not frame.startswith(b"\xff\xd8"):
            continue
        properties = jpeg_xmp(frame)
        kind = property_text(properties, PIXEL_DATA_NS + "AuxiliaryImageType") or ""
        if kind.lower().rsplit(":", 1)[-1] in ("disparity", "depth"):
            return frame, properties
    return None


def embedded_matrix(
    path: str | Path, opened: Any, orientation: int, size_wh: tuple[int, int]
) -> tuple[float, ...] | None:
    """Read the camera matrix that a photo carries.

    Both sources put (0, 0) at the corner of the first pixel, as we do, so nothing is shifted: HEIF's
    `cmin` property (ISO/IEC 23008-12; a centred camera of 2560 pixels has its principal point at
    1280), and the intrinsic matrix of Apple's AVCameraCalibrationData, which is relative to the
    frame's top-left corner.

    Args:
        path: The file.
        opened: The same, opened by `open_picture`.
        orientation: EXIF's, as the file has it.
        size_wh: (width, height) in pixels of the upright picture.

    Returns:
        K row by row for the upright picture; None where there is none, or an impossible one.
    """
    matrix = None
    if opened.format == "HEIF":
        matrix = _from_heif(opened, orientation, size_wh)
    elif opened.format == "MPO":
        found = depth_frame(path, opened)
        matrix = _from_xmp(found[1], orientation, size_wh) if found else None
    if matrix is None or not np.isfinite(matrix).all() or min(matrix[0, 0], matrix[1, 1]) <= 0:
        return None
    return tuple(float(x) for x in matrix.ravel())


def _from_heif(opened: Any, orientation: int, size_wh: tuple[int, int]) -> npt.NDArray[np.float64] | None:
    fields: Any = (opened.info.get("heif") or {}).get("camera_intrinsic_matrix")
    try:
        fx, fy = float(fields["focal_length_x"]), float(fields["focal_length_y"])
        cx, cy = float(fields["principal_point_x"]), float(fields["principal_point_y"])
    except (KeyError, TypeError, ValueError):
        return None
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
    width, height = size_wh
    if orientation in (5, 6, 7, 8):
        # Readers differ in whether the matrix is that of the coded picture or of the turned one. Its
        # principal point tells: in the right one it is near the middle.
        turned = matrix_upright(matrix, height, width, orientation)
        if _off_centre(turned, size_wh) < _off_centre(matrix, size_wh):
            return turned
    return matrix


def _off_centre(matrix: npt.NDArray[np.float64], size_wh: tuple[int, int]) -> float:
    return math.hypot(matrix[0, 2] - size_wh[0] / 2, matrix[1, 2] - size_wh[1] / 2)


def _from_xmp(
    properties: Properties, orientation: int, size_wh: tuple[int, int]
) -> npt.NDArray[np.float64] | None:
    try:
        numbers = [float(x) for x in properties[DEPTH_DATA_NS + "IntrinsicMatrix"]]
        reference_w = float(properties[DEPTH_DATA_NS + "IntrinsicMatrixReferenceWidth"][0])
        reference_h = float(properties[DEPTH_DATA_NS + "IntrinsicMatrixReferenceHeight"][0])
    except (KeyError, IndexError, ValueError):
        return None
    if len(numbers) != 9 or not (reference_w > 0 and reference_h > 0):
        return None
    matrix = np.array(numbers).reshape(3, 3)
    if matrix[0, 2] == 0 and matrix[1, 2] == 0:  # column by column, as the simd type that it comes from
        matrix = matrix.T
    width, height = size_wh if orientation in (1, 2, 3, 4) else size_wh[::-1]
    stored = np.diag([width / reference_w, height / reference_h, 1.0]) @ matrix
    return matrix_upright(stored, width, height, orientation)
