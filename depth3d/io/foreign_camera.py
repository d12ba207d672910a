"""What the readers of other programs' camera files share: numbers, sizes, lenses, the choice of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from depth3d.core.camera import Camera
from depth3d.core.distortion import DistortionModel
from depth3d.errors import CameraError

__all__ = ["FILE_SIGMA_REL", "choose_camera", "distortion_model", "foreign_camera", "number", "picture_size"]

FILE_SIGMA_REL = 0.002
"""One standard deviation of a calibrated focal length, as a share: what a good calibration reaches."""

_OPENCV_MODELS = ("", "plumb_bob", "rational_polynomial", "radtan", "opencv", "pinhole", "simple_pinhole")
_FISHEYE_MODELS = ("equidistant", "fisheye", "opencv_fisheye", "kannala_brandt")
_MANY = 12


def number(fields: Mapping[str, Any], name: str, default: float | None = None) -> float:
    """Take a number from a parsed file.

    Raises:
        CameraError: It is missing and there is no default, or it is no number.
    """
    value = fields.get(name, default)
    if value is None:
        raise CameraError(f"the field {name!r} is missing; add it")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise CameraError(f"the field {name!r} must be a number, got {value!r:.60}; correct it") from None


def picture_size(
    fields: Mapping[str, Any],
    names: Iterable[tuple[str, str]],
    size_wh: tuple[int, int] | None,
) -> tuple[float, float]:
    """Find the size of the calibrated pictures.

    Args:
        fields: The parsed file.
        names: Pairs of names for width and height, best first.
        size_wh: What to take where the file is silent.

    Returns:
        (width, height) in pixels, not yet checked.

    Raises:
        CameraError: Neither the file nor the caller says it.
    """
    for width, height in names:
        if width in fields and height in fields:
            return number(fields, width), number(fields, height)
    if size_wh is None:
        raise CameraError(
            "the file does not say how large its pictures are; give width and height, "
            "or add image_width and image_height to it"
        )
    return size_wh


def distortion_model(name: object) -> DistortionModel:
    """Translate the names that programs give to lens models.

    Raises:
        CameraError: A model that is neither OpenCV's polynomial nor its fisheye.
    """
    word = str(name or "").lower()
    if word in _OPENCV_MODELS:
        return "opencv"
    if word in _FISHEYE_MODELS:
        return "fisheye"
    raise CameraError(
        f"the lens model {name!r} is not supported; calibrate with plumb_bob, rational_polynomial or "
        "equidistant, or undistort the picture first"
    )


def foreign_camera(
    focal: tuple[float, float],
    center: tuple[float, float],
    size_wh: tuple[float, float],
    *,
    center_of_first_pixel: float,
    distortion: Iterable[float] = (),
    model: DistortionModel = "opencv",
    sigma_rel: float = FILE_SIGMA_REL,
) -> Camera:
    """Build a camera from another program's numbers.

    Args:
        focal: (fx, fy) in pixels.
        center: (cx, cy) in pixels, in that program's convention.
        size_wh: (width, height) in pixels.
        center_of_first_pixel: Where that program puts the centre of the first pixel: 0 for OpenCV,
            ROS and Open3D, 0.5 for COLMAP, nerfstudio and us.
        distortion: Coefficients in OpenCV's order; zeros at the end say nothing and are dropped.
        model: Which polynomial they belong to.
        sigma_rel: Relative standard deviation of the focal length.

    Raises:
        CameraError: The numbers are impossible for a camera.
    """
    coefficients = [float(k) for k in distortion]
    while coefficients and coefficients[-1] == 0:
        coefficients.pop()
    shift = 0.5 - center_of_first_pixel
    return Camera(
        fx=focal[0],
        fy=focal[1],
        cx=center[0] + shift,
        cy=center[1] + shift,
        width=size_wh[0],  # type: ignore[arg-type]  # Camera refuses fractions
        height=size_wh[1],  # type: ignore[arg-type]
        distortion=tuple(coefficients),
        source="file",
        sigma_rel=sigma_rel,
        distortion_model=model,
    )


def choose_camera(cameras: Mapping[str, Camera], name: str | None) -> Camera:
    """Choose one camera of a file.

    Args:
        cameras: By name.
        name: Which; None will do where all of them are the same.

    Raises:
        CameraError: There is none, none of that name, or the choice is open.
    """
    if not cameras:
        raise CameraError("the file lists no camera; check what it is")
    names = list(cameras)
    listed = ", ".join(names[:_MANY]) + (f" and {len(names) - _MANY} more" if len(names) > _MANY else "")
    if name is not None:
        if name not in cameras:
            raise CameraError(f"there is no camera {name!r}; choose one of {listed}")
        return cameras[name]
    first = cameras[names[0]]
    if any(_numbers(camera) != _numbers(first) for camera in cameras.values()):
        raise CameraError(f"there are {len(names)} cameras; choose one with name=, of {listed}")
    return first


def _numbers(camera: Camera) -> tuple[object, ...]:
    lens = (camera.distortion_model, camera.distortion) if camera.distortion else ()
    return (camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height, *lens)
