"""Focal lengths from EXIF, with the doubts that crops, resizing and digital zoom cast on them.

The 35-mm equivalent goes by the diagonal (CIPA DCG-001): fx = f35 * diagonal_px / 43.2666.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from depth3d.core.camera import FULL_FRAME_DIAGONAL_MM, Camera

if TYPE_CHECKING:
    from depth3d.io.images import PhotoInfo

__all__ = ["EXIF_SIGMA_REL", "camera_from_equivalent", "camera_from_sensor"]

EXIF_SIGMA_REL = 0.02
"""Rounding to whole millimetres and focus breathing: 1.4 % at most on four cameras that were measured."""

_CROP_UNDONE_SIGMA = 0.03
_UNKNOWN_CROP_SIGMA = 0.1
_WORST_SIGMA = 0.25
_EQUIVALENTS_MM = (8.0, 1200.0)
_CROP_FACTORS = (0.5, 25.0)  # a back of medium format has 0.64, the smallest phone cameras about 20
_SENSOR_ASPECTS = {"1:1": 1.0, "4:3": 4 / 3, "3:2": 3 / 2, "16:9": 16 / 9}
_ASPECT_TOLERANCE = 0.01

Answer: TypeAlias = tuple[Camera | None, str, tuple[str, ...]]
"""The camera or None, a note on how it was come by or why not, and warnings."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """The picture as the camera exposed it, in pixels of the picture at hand."""

    diagonal_px: float
    scale: float
    """Pixels at hand for each pixel that EXIF counts."""
    sigma_rel: float
    warnings: tuple[str, ...]


def camera_from_equivalent(photo: PhotoInfo) -> Answer:
    """Turn EXIF's 35-mm equivalent focal length into a camera.

    A digital zoom is taken to be part of the equivalent already, as phones write it; since some
    cameras don't, half of the zoom's share goes into sigma.

    Args:
        photo: What its header tells.

    Returns:
        The camera, a note and warnings. None for the camera where the number is absent, where no
        lens has it, or where it contradicts the real focal length.
    """
    f35 = _known(photo.focal_35mm)
    if f35 is None:
        return None, "the photo tells no 35-mm equivalent focal length", ()
    low, high = _EQUIVALENTS_MM
    if not low <= f35 <= high:
        return None, f"a 35-mm equivalent of {f35:g} mm is out of {low:g} to {high:g} mm: no lens has it", ()
    zoom = _known(photo.digital_zoom) or 1.0
    focal_mm = _known(photo.focal_mm)
    if focal_mm is not None:
        factor = f35 / focal_mm
        if factor < _CROP_FACTORS[0] or factor / max(zoom, 1.0) > _CROP_FACTORS[1]:
            return None, f"a 35-mm equivalent of {f35:g} mm contradicts the real {focal_mm:g} mm", ()
    frame = _exposed_frame(photo)
    fx = f35 * frame.diagonal_px / FULL_FRAME_DIAGONAL_MM
    return _centred(photo, fx, zoom, frame, f"35-mm equivalent of {f35:g} mm by the diagonal rule")


def camera_from_sensor(photo: PhotoInfo) -> Answer:
    """Turn EXIF's real focal length and the sensor's resolution into a camera.

    Args:
        photo: What its header tells.

    Returns:
        The camera, a note and warnings. None for the camera where either number is absent, or where
        the field of view would be one that no lens has.
    """
    focal_mm, px_per_mm = _known(photo.focal_mm), _known(photo.sensor_px_per_mm)
    if focal_mm is None or px_per_mm is None:
        return None, "the photo tells no focal length together with the sensor's resolution", ()
    frame = _exposed_frame(photo)
    fx = focal_mm * px_per_mm * frame.scale
    f35 = fx * FULL_FRAME_DIAGONAL_MM / frame.diagonal_px
    low, high = _EQUIVALENTS_MM
    if not low <= f35 <= high:
        return None, f"{focal_mm:g} mm at {px_per_mm:g} pixels a millimetre is a view that no lens has", ()
    zoom = _known(photo.digital_zoom) or 1.0
    return _centred(
        photo, fx, zoom, frame, f"{focal_mm:g} mm on a sensor of {px_per_mm:.4g} pixels a millimetre"
    )


def _centred(photo: PhotoInfo, fx: float, zoom: float, frame: _Frame, note: str) -> Answer:
    warnings = frame.warnings
    zoom_sigma = 0.0
    if zoom > 1.01:
        zoom_sigma = (zoom - 1) / 2
        warnings += (
            f"digital zoom x{zoom:.3g}: the focal length was taken to include it; if distances across the "
            "picture look wrong, give the focal length",
        )
    sigma = min(_WORST_SIGMA, math.hypot(EXIF_SIGMA_REL, frame.sigma_rel, zoom_sigma))
    width, height = photo.width, photo.height
    camera = Camera(fx, fx, width / 2, height / 2, width, height, source="exif", sigma_rel=sigma)
    return camera, note, warnings


def _exposed_frame(photo: PhotoInfo) -> _Frame:
    width, height = photo.width, photo.height
    diagonal = math.hypot(width, height)
    stated = photo.exif_size_wh
    if stated is None or min(stated) < 1 or sorted(stated) == sorted((width, height)):
        return _judged(_Frame(diagonal, 1.0, 0.0, ()), width, height)
    told = f"the photo is {width}x{height} and its EXIF says {stated[0]}x{stated[1]}"
    for exif_w, exif_h in (stated, stated[::-1]):
        low = max((width - 1) / exif_w, (height - 1) / exif_h)
        high = min((width + 1) / exif_w, (height + 1) / exif_h)
        if low <= high:  # resized as a whole: the field of view is what it was
            return _judged(_Frame(diagonal, (low + high) / 2, 0.0, ()), width, height)
    for exif_w, exif_h in (stated, stated[::-1]):
        if width <= exif_w and height <= exif_h and (width == exif_w or height == exif_h):
            warning = f"{told}: took it as a crop of its middle"
            frame = _Frame(math.hypot(exif_w, exif_h), 1.0, _CROP_UNDONE_SIGMA, (warning,))
            return _judged(frame, exif_w, exif_h)
    warning = f"{told}: it is cropped, and the focal length may be off; give it, or use the original"
    return _Frame(diagonal, max(width, height) / max(stated), _UNKNOWN_CROP_SIGMA, (warning,))


def _judged(frame: _Frame, width: int, height: int) -> _Frame:
    """Doubt a frame of an aspect that no sensor has: it is a crop of one that has."""
    aspect = max(width, height) / min(width, height)
    if any(abs(aspect / known - 1) < _ASPECT_TOLERANCE for known in _SENSOR_ASPECTS.values()):
        return frame
    warning = (
        f"the photo's aspect of {aspect:.2f}:1 is none of {', '.join(_SENSOR_ASPECTS)}: it may be cropped, "
        "and the focal length be off by some ten percent; give it if you know it"
    )
    sigma = math.hypot(frame.sigma_rel, _UNKNOWN_CROP_SIGMA)
    return _Frame(frame.diagonal_px, frame.scale, sigma, (*frame.warnings, warning))


def _known(value: float | None) -> float | None:
    """Return a positive finite number, or None: EXIF writes 0 for unknown."""
    return value if value is not None and math.isfinite(value) and value > 0 else None
