"""EXIF: which way up a photo is, and what it says about its camera."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from depth3d.io.pictures import quiet_pillow

__all__ = ["ExifFacts", "matrix_upright", "read_exif", "size_upright", "upright"]

_MAKE, _MODEL, _ORIENTATION, _EXIF_IFD = 0x010F, 0x0110, 0x0112, 0x8769
_FOCAL_MM, _WIDTH, _HEIGHT = 0x920A, 0xA002, 0xA003
_FOCAL_PLANE_X, _FOCAL_PLANE_UNIT = 0xA20E, 0xA210
_DIGITAL_ZOOM, _FOCAL_35MM = 0xA404, 0xA405
_UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
"""FocalPlaneResolutionUnit: inch and centimetre of EXIF 2.32, millimetre and micrometre of makers."""


@dataclass(frozen=True, slots=True)
class ExifFacts:
    """The few tags that depth and geometry need; None where absent, zero or nonsense.

    Attributes:
        orientation: 1..8; 1 where absent or out of range.
        make, model: Of the camera.
        focal_mm: FocalLength in millimetres.
        focal_35mm: FocalLengthIn35mmFilm in millimetres.
        digital_zoom: DigitalZoomRatio.
        size_wh: PixelXDimension and PixelYDimension, as stored, before turning upright.
        sensor_px_per_mm: FocalPlaneXResolution in pixels a millimetre of the sensor.
    """

    orientation: int = 1
    make: str | None = None
    model: str | None = None
    focal_mm: float | None = None
    focal_35mm: float | None = None
    digital_zoom: float | None = None
    size_wh: tuple[int, int] | None = None
    sensor_px_per_mm: float | None = None


def read_exif(image: Any) -> ExifFacts:
    """Read the EXIF of an opened Pillow image; damaged EXIF counts as none.

    Args:
        image: A Pillow image, not yet decoded.
    """
    with quiet_pillow():
        try:
            if image.format == "PNG" and "exif" not in image.info and not _png_has_exif(image.fp):
                return ExifFacts()  # asking Pillow for it would decode the whole picture
            tags = image.getexif()
            inner = tags.get_ifd(_EXIF_IFD)
        except Exception:  # a photo with broken EXIF is still a photo
            return ExifFacts()
    orientation = tags.get(_ORIENTATION)
    width, height = _number(inner.get(_WIDTH)), _number(inner.get(_HEIGHT))
    per_unit = _number(inner.get(_FOCAL_PLANE_X))
    unit_mm = _UNIT_MM.get(inner.get(_FOCAL_PLANE_UNIT, 2))
    return ExifFacts(
        orientation=orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1,
        make=_text(tags.get(_MAKE)),
        model=_text(tags.get(_MODEL)),
        focal_mm=_number(inner.get(_FOCAL_MM)),
        focal_35mm=_number(inner.get(_FOCAL_35MM)),
        digital_zoom=_number(inner.get(_DIGITAL_ZOOM)),
        size_wh=(int(width), int(height)) if width and height else None,
        sensor_px_per_mm=per_unit / unit_mm if per_unit and unit_mm else None,
    )


def upright(array: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Turn an (H, W, ...) array as EXIF's Orientation says (EXIF 2.32, tag 0x0112)."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array


def size_upright(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Give the (width, height) that `upright` makes of a stored picture's."""
    return (height, width) if orientation in (5, 6, 7, 8) else (width, height)


def matrix_upright(
    matrix: npt.NDArray[np.float64], width: int, height: int, orientation: int
) -> npt.NDArray[np.float64]:
    """Follow `upright` with a camera matrix.

    Args:
        matrix: (3, 3) K of the stored picture, with the picture's corner at (0, 0).
        width: Of the stored picture in pixels.
        height: Of the stored picture in pixels.
        orientation: EXIF's, 1..8.

    Returns:
        (3, 3) K of the upright picture. Mirrored pictures keep positive focal lengths.
    """
    fx, fy, cx, cy = matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]
    if orientation in (5, 6, 7, 8):
        fx, fy, cx, cy = fy, fx, cy, cx
    turned_width, turned_height = size_upright(width, height, orientation)
    if orientation in (2, 3, 6, 7):
        cx = turned_width - cx
    if orientation in (3, 4, 7, 8):
        cy = turned_height - cy
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


def _number(value: Any) -> float | None:
    if isinstance(value, tuple):
        value = value[0] if value else None
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) and number > 0 else None  # EXIF writes 0 for unknown


def _text(value: Any) -> str | None:
    return (value.replace("\0", " ").strip() or None) if isinstance(value, str) else None


def _png_has_exif(file: BinaryIO) -> bool:
    """Tell whether a PNG holds EXIF after its pixels, where some programs write it."""
    before = file.tell()
    try:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"eXIf":
                return True
            file.seek(length + 4, 1)
        return False
    finally:
        file.seek(before)
