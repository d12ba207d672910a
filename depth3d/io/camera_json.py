"""`Camera` to plain JSON and back, as our own camera files and depth files hold it."""

from __future__ import annotations

from typing import Any

from depth3d.core.camera import Camera
from depth3d.errors import CameraError

__all__ = ["camera_from_dict", "camera_to_dict"]

FORMAT = "depth3d-camera"
VERSION = 1


def camera_to_dict(camera: Camera) -> dict[str, Any]:
    """Describe a camera with JSON types; the pixel-centre convention is written beside K."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "pixel_center": 0.5,
        "width": camera.width,
        "height": camera.height,
        "fx": camera.fx,
        "fy": camera.fy,
        "cx": camera.cx,
        "cy": camera.cy,
        "distortion_model": camera.distortion_model,
        "distortion": list(camera.distortion),
        "source": camera.source,
        "sigma_rel": camera.sigma_rel,
    }


def camera_from_dict(fields: dict[str, Any]) -> Camera:
    """Rebuild what `camera_to_dict` described.

    Raises:
        CameraError: A field is missing or is no number, or a newer version wrote it.
    """
    if fields.get("format") != FORMAT:
        raise CameraError(f"this is no depth3d camera, its format is {fields.get('format')!r}; check it")
    if fields.get("version") != VERSION:
        raise CameraError(
            f"the camera was written in version {fields.get('version')!r} of its format, and this "
            f"depth3d reads version {VERSION}; update depth3d"
        )
    try:
        return Camera(
            fx=fields["fx"],
            fy=fields["fy"],
            cx=fields["cx"],
            cy=fields["cy"],
            width=fields["width"],
            height=fields["height"],
            distortion=tuple(fields.get("distortion", ())),
            source=fields.get("source", "file"),
            sigma_rel=fields.get("sigma_rel", 0.0),
            distortion_model=fields.get("distortion_model", "opencv"),
        )
    except KeyError as error:
        raise CameraError(f"the camera lacks the field {error.args[0]!r}; add it") from None
    except (TypeError, ValueError) as error:
        if isinstance(error, CameraError):
            raise
        raise CameraError(f"a field of the camera is no number ({error}); correct it") from None
