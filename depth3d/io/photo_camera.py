"""The camera of a photo: every source of intrinsics in a stated order, and why each was or wasn't taken.

explicit   a focal length or field of view that the caller gives
file       a calibration file, or a camera that is known already
embedded   a camera matrix in the photo (HEIF, Apple's depth metadata)
exif       the 35-mm equivalent focal length by the diagonal rule, then the sensor's resolution
model      a field of view that a network estimated
assumed    60 degrees across the longer side
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from depth3d.core.camera import Camera
from depth3d.errors import CameraError, InputError
from depth3d.io.camera_files import fit_camera_to, load_camera
from depth3d.io.exif_camera import camera_from_equivalent, camera_from_sensor

if TYPE_CHECKING:
    from depth3d.io.images import PhotoInfo

__all__ = ["ASSUMED_FOV_DEG", "CameraCandidate", "PhotoSource", "camera_candidates", "camera_for"]

ASSUMED_FOV_DEG = 60.0
"""Field of view across the longer side that is assumed where nothing is known: a phone's 28 mm has 65."""

ASSUMED_SIGMA_REL = 0.25
EMBEDDED_SIGMA_REL = 0.005
MODEL_SIGMA_REL = 0.05

_WIDEST_BELIEVABLE_DEG = 140.0

PhotoSource: TypeAlias = "str | Path | PhotoInfo | tuple[int, int]"
"""A photo's path, what `read_photo_info` found in it, or only its (width, height), upright."""

_log = logging.getLogger("depth3d")


@dataclass(frozen=True, slots=True, eq=False)
class CameraCandidate:
    """One source of intrinsics, usable or not.

    Attributes:
        source: One of `depth3d.core.camera.CAMERA_SOURCES`.
        camera: The camera that it gives, or None if it gives none.
        note: What it says, or why it is not usable, or why it was not taken.
        warnings: What a user should hear if it is taken.
    """

    source: str
    camera: Camera | None
    note: str
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"CameraCandidate({self.source}, {self.camera!r}, {self.note!r})"


def camera_for(
    photo: PhotoSource,
    *,
    camera: Camera | None = None,
    camera_file: str | Path | None = None,
    focal_px: float | None = None,
    focal_35mm: float | None = None,
    fov_x_deg: float | Literal["auto"] | None = None,
    model_fov_x_deg: float | None = None,
) -> Camera:
    """Find the intrinsics of a photo from the best source there is.

    The order is: one of `focal_px`, `focal_35mm` and `fov_x_deg`; `camera_file`; `camera`; a matrix
    in the photo; its EXIF; `model_fov_x_deg`; 60 degrees across the longer side. What is doubtful
    about the source that is taken is logged as a warning.

    Args:
        photo: A path, a `PhotoInfo`, or (width, height) in pixels.
        camera: Intrinsics that are known already, such as those in a depth file.
        camera_file: A file for `load_camera`.
        focal_px: Focal length in pixels of the upright photo.
        focal_35mm: 35-mm equivalent focal length in millimetres.
        fov_x_deg: Horizontal field of view in degrees. `auto` is for those who see the pixels, such as
            `open_photo`; here it is refused.
        model_fov_x_deg: Horizontal field of view in degrees that a network estimated.

    Returns:
        A camera of the photo's size; `source` and `sigma_rel` say where it comes from and how far to
        trust it.

    Raises:
        InputError: More than one of the three explicit values, or an impossible one.
        CameraError: The file or the camera belongs to pictures of another aspect.
        FileError: The photo or the file can't be read.
    """
    candidates = camera_candidates(
        photo,
        camera=camera,
        camera_file=camera_file,
        focal_px=focal_px,
        focal_35mm=focal_35mm,
        fov_x_deg=fov_x_deg,
        model_fov_x_deg=model_fov_x_deg,
    )
    taken = next(c for c in candidates if c.camera is not None)  # the last one always has a camera
    for warning in taken.warnings:
        _log.warning("camera: %s", warning)
    assert taken.camera is not None
    return taken.camera


def camera_candidates(
    photo: PhotoSource,
    *,
    camera: Camera | None = None,
    camera_file: str | Path | None = None,
    focal_px: float | None = None,
    focal_35mm: float | None = None,
    fov_x_deg: float | Literal["auto"] | None = None,
    model_fov_x_deg: float | None = None,
) -> list[CameraCandidate]:
    """Ask every source of intrinsics, best first; `camera_for` takes the first that has a camera.

    Args:
        photo: As for `camera_for`, like all the others.
        camera: Intrinsics that are known already.
        camera_file: A file with intrinsics.
        focal_px: Focal length in pixels.
        focal_35mm: 35-mm equivalent in millimetres.
        fov_x_deg: Horizontal field of view in degrees.
        model_fov_x_deg: A network's estimate in degrees.

    Returns:
        All candidates with their notes. The last one, `assumed`, always has a camera.

    Raises:
        InputError: More than one of the three explicit values, or an impossible one.
        CameraError: The file or the camera belongs to pictures of another aspect.
        FileError: The photo or the file can't be read.
    """
    info = _info_of(photo)
    width, height = info.width, info.height
    candidates = [_explicit(info, focal_px, focal_35mm, fov_x_deg)]
    if camera_file is None:
        candidates.append(CameraCandidate("file", None, "no camera file given"))
    else:
        loaded = load_camera(camera_file, width=width, height=height)
        candidates.append(CameraCandidate("file", loaded, f"read from {camera_file}"))
    if camera is not None:
        fitted = fit_camera_to(camera, width, height)
        seen = camera.source == "vanishing points"
        note = f"from straight edges, +-{100 * camera.sigma_rel:.0f} %" if seen else "known already"
        candidates.append(CameraCandidate(camera.source, fitted, note))
    candidates += [
        _embedded(info),
        CameraCandidate("exif", *camera_from_equivalent(info)),
        CameraCandidate("exif", *camera_from_sensor(info)),
        _of_model(info, model_fov_x_deg),
        CameraCandidate("assumed", _assumed(info), f"{ASSUMED_FOV_DEG:g} degrees across the longer side"),
    ]
    return _with_the_rest_explained(candidates)


def _with_the_rest_explained(candidates: Sequence[CameraCandidate]) -> list[CameraCandidate]:
    taken: CameraCandidate | None = None
    explained = []
    for candidate in candidates:
        if candidate.camera is not None and taken is not None:
            note = f"{candidate.note}; not taken, since {taken.source} goes first"
            candidate = replace(candidate, note=note)
        elif candidate.camera is not None:
            taken = candidate
        explained.append(candidate)
    return explained


def _info_of(photo: PhotoSource) -> PhotoInfo:
    from depth3d.io.images import PhotoInfo, read_photo_info

    if isinstance(photo, (str, Path)):
        return read_photo_info(photo)
    if not isinstance(photo, tuple):
        return photo
    width, height = photo
    if width < 1 or height < 1:
        raise InputError(f"the photo's size must be positive pixels, got {width}x{height}")
    return PhotoInfo(Path(), "", int(width), int(height))


def _explicit(
    info: PhotoInfo,
    focal_px: float | None,
    focal_35mm: float | None,
    fov_x_deg: float | Literal["auto"] | None,
) -> CameraCandidate:
    if fov_x_deg == "auto":
        raise InputError(
            "a field of view of 'auto' takes the pixels of one photo; give degrees, or the camera that "
            "camera_from_vanishing_points(image) or depth3d camera show --fov auto finds"
        )
    given = {"focal_px": focal_px, "focal_35mm": focal_35mm, "fov_x_deg": fov_x_deg}
    chosen = {name: value for name, value in given.items() if value is not None}
    if len(chosen) > 1:
        raise InputError(f"{' and '.join(chosen)} contradict each other; give only one of them")
    if not chosen:
        return CameraCandidate("explicit", None, "neither focal length nor field of view given")
    ((name, value),) = chosen.items()
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{name} must be positive, got {value!r}; leave it out if it is not known")
    width, height = info.width, info.height
    if name == "focal_px":
        camera = Camera(value, value, width / 2, height / 2, width, height, source="explicit")
    elif name == "focal_35mm":
        camera = Camera.from_focal_35mm(width, height, value, source="explicit")
    else:
        camera = Camera.from_fov(width, height, value, source="explicit")
    doubts: tuple[str, ...] = ()
    if name != "fov_x_deg" and camera.fov_x_deg > _WIDEST_BELIEVABLE_DEG:
        cure = "is it millimetres? then give focal_35mm" if name == "focal_px" else "check it"
        doubts = (f"{name}={value:g} means {camera.fov_x_deg:.0f} degrees across; {cure}",)
    return CameraCandidate("explicit", camera, f"{name}={value:g}", doubts)


def _embedded(info: PhotoInfo) -> CameraCandidate:
    matrix = info.embedded_matrix
    if matrix is None:
        return CameraCandidate("embedded", None, "the photo carries no camera matrix")
    try:
        fx, _, cx, _, fy, cy, *_ = matrix
        camera = Camera(
            fx,
            fy,
            cx,
            cy,
            info.width,
            info.height,
            source="embedded",
            sigma_rel=EMBEDDED_SIGMA_REL,
        )
    except (CameraError, ValueError) as error:
        return CameraCandidate("embedded", None, f"the photo's camera matrix is unusable: {error}")
    if not (0 < camera.cx < camera.width and 0 < camera.cy < camera.height):
        return CameraCandidate(
            "embedded", None, f"the photo's camera matrix has its centre outside, at {cx:.0f}, {cy:.0f}"
        )
    return CameraCandidate("embedded", camera, "the photo's own camera matrix")


def _of_model(info: PhotoInfo, fov_x_deg: float | None) -> CameraCandidate:
    if fov_x_deg is None:
        return CameraCandidate("model", None, "no model estimated a field of view")
    try:
        camera = Camera.from_fov(
            info.width, info.height, fov_x_deg, source="model", sigma_rel=MODEL_SIGMA_REL
        )
    except CameraError as error:
        return CameraCandidate("model", None, f"the model's field of view is unusable: {error}")
    return CameraCandidate("model", camera, f"the model estimated {fov_x_deg:.1f} degrees across")


def _assumed(info: PhotoInfo) -> Camera:
    # The longer side, so that a photo turned upright keeps its focal length.
    focal_px = max(info.width, info.height) / (2 * math.tan(math.radians(ASSUMED_FOV_DEG) / 2))
    return Camera(
        focal_px,
        focal_px,
        info.width / 2,
        info.height / 2,
        info.width,
        info.height,
        source="assumed",
        sigma_rel=ASSUMED_SIGMA_REL,
    )
