"""A photo with the depth that a network or a file gives it, before anything is made of it in metres."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from depth3d.calibrate.vanishing_points import VanishingPoints, find_vanishing_points
from depth3d.core.arrays import ImageArray
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.core.resample import resize_depth
from depth3d.errors import InputError
from depth3d.lift.debanding import smooth_levels, step_of_levels
from depth3d.ready_photos import ready_photo
from depth3d.verbs import loaded_estimator

if TYPE_CHECKING:
    from depth3d.estimate.estimator import DepthEstimator
    from depth3d.io.depth_files import DepthFile

__all__ = [
    "CameraOptions",
    "PhotoDepth",
    "assumed_camera_note",
    "fit_depth_to",
    "input_size_of",
    "is_depth_file",
    "photo_sha256",
    "read_any_depth",
    "read_depth_alone",
    "read_photo_depth",
    "resized_note",
]

_ASPECT_TOLERANCE = 0.02
"""Sides of a depth map may be rounded to whole pixels; a larger difference is another crop."""

_CARRIERS_OF_DEPTH = (".heic", ".heif", ".hif", ".jpg", ".jpeg", ".mpo")
"""Photos that can hold a depth map of their own."""

_DEPTH_ONLY_SUFFIXES = (".npz", ".npy", ".pfm", ".exr")


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """What a user says about the camera, as `camera_for` takes it.

    Attributes:
        camera: Intrinsics, if known.
        camera_file: A file with intrinsics.
        focal_px: Focal length in pixels of the upright photo.
        focal_35mm: 35-mm equivalent focal length in millimetres.
        fov_x_deg: Horizontal field of view in degrees, or `auto`: measure it by the vanishing points of
            straight edges.
    """

    camera: Camera | None = None
    camera_file: str | Path | None = None
    focal_px: float | None = None
    focal_35mm: float | None = None
    fov_x_deg: float | Literal["auto"] | None = None

    @property
    def says_nothing(self) -> bool:
        """Whether none is given."""
        return all(getattr(self, name) is None for name in self.__dataclass_fields__)

    def measured_on(self, image: ImageArray) -> tuple[CameraOptions, VanishingPoints | None]:
        """Answer `fov_x_deg="auto"` with the camera that a photo's straight edges tell.

        Args:
            image: (H, W, 3) uint8 sRGB, upright.

        Returns:
            Options without `auto`, and what the camera rests on; None where it was not asked for, and the
            options stay as they are.

        Raises:
            CameraError: The photo does not tell its field of view.
            InputError: Something else about the camera is given too.
        """
        if self.fov_x_deg != "auto":
            return self, None
        if not replace(self, fov_x_deg=None).says_nothing:
            raise InputError(
                "fov_x_deg='auto' measures the camera; leave the other camera options out, or leave it out"
            )
        found = find_vanishing_points(image)
        return CameraOptions(camera=found.camera), found


@dataclass(frozen=True, slots=True, eq=False)
class PhotoDepth:
    """A photo and its depth as it came: relative or metric, not calibrated.

    Attributes:
        image: (H, W, 3) uint8 sRGB, upright; None where only a depth file was given.
        depth: Of the photo's size.
        camera: Of the photo's size.
        source: Name of the network or of the file that the depth came from, and of the network that made
            the file where the file tells.
        model: Name of the network that made the depth, or None where nobody tells.
        input_size: Side in pixels at which it saw the photo, or None where nobody tells.
        notes: One sentence for each thing that was assumed; empty when nothing was.
        level_step: Spacing of the levels of 8-bit depth; 0 for continuous depth.
    """

    image: ImageArray | None
    depth: DepthMap
    camera: Camera
    source: str
    model: str | None = None
    input_size: int | None = None
    notes: tuple[str, ...] = ()
    level_step: float = 0.0

    @property
    def sha256(self) -> str | None:
        """Hash of the photo's upright pixels; None without a photo."""
        return None if self.image is None else photo_sha256(self.image)


def photo_sha256(image: ImageArray) -> str:
    """Hash the pixels of a photo, and its shape: the same for every lossless file of it.

    Args:
        image: (H, W, 3) uint8.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def read_photo_depth(
    photo: str | Path,
    *,
    depth: str | Path | DepthMap | None = None,
    depth_kind: str | None = None,
    png_scale: float | None = None,
    camera: CameraOptions | None = None,
    estimator: DepthEstimator | None = None,
) -> PhotoDepth:
    """Open a photo and get its depth and its camera.

    Args:
        photo: Any photo file.
        depth: A depth file, a photo that carries depth (it may be `photo` itself), or a map. None
            asks the network. The terraces of an 8-bit file are smoothed within half a level, of a noisy
            one within a level.
        depth_kind: `relative` or `metric`, where the depth file does not say.
        png_scale: Units a metre of a 16-bit PNG: 1000, 256 (KITTI) or 5000 (TUM).
        camera: What is known about the camera.
        estimator: The network to ask; None loads `auto`.

    Raises:
        InputError: The depth has another shape than the photo, or options contradict each other.
        FileError: A file can't be read.
        ModelError: The network can't be had.
    """
    from depth3d.io.images import load_photo
    from depth3d.io.photo_camera import camera_for

    ready = ready_photo(photo) if depth is None else None
    opened = load_photo(photo) if ready is None else ready.photo
    height, width = opened.image.shape[:2]
    options, measured = (camera or CameraOptions()).measured_on(opened.image)
    notes = [] if measured is None else [measured.note]
    model: str | None = None
    input_size: int | None = None
    model_fov_x_deg, known_camera, level_step = None, options.camera, 0.0
    if (depth_kind or png_scale) and (depth is None or isinstance(depth, DepthMap)):
        raise InputError(
            "depth_kind and png_scale tell how to read a depth file; give the file as depth (--depth FILE), "
            "or leave them out"
        )
    if depth is None:
        estimator = estimator or loaded_estimator("auto")
        prediction = estimator.predict(opened.image) if ready is None else ready.prediction
        raw, model_fov_x_deg = prediction.depth, prediction.fov_x_deg
        source = model = estimator.name
        input_size = getattr(estimator, "input_size", None)
    elif isinstance(depth, DepthMap):
        raw, source = depth, "given"
    else:
        file = read_any_depth(depth, kind=depth_kind, png_scale=png_scale)
        model, input_size = file.provenance.get("depth"), input_size_of(file)
        source = _name_of(depth, model)
        raw = smooth_levels(file.depth)
        level_step = step_of_levels(file.depth) or 0.0
        if options.says_nothing:
            known_camera = file.camera
        accuracy = file.provenance.get("accuracy")
        if accuracy in ("relative", "unknown"):
            notes.append(f"{source} carries the phone's own depth, of {accuracy} accuracy: metres may be off")
    notes += resized_note(raw, width, height)
    raw = fit_depth_to(raw, width, height)
    found = camera_for(
        opened.info,
        camera=known_camera,
        camera_file=options.camera_file,
        focal_px=options.focal_px,
        focal_35mm=options.focal_35mm,
        fov_x_deg=options.fov_x_deg,
        model_fov_x_deg=model_fov_x_deg,
    )
    if found.source == "assumed":
        notes.append(assumed_camera_note(found))
    return PhotoDepth(opened.image, raw, found, source, model, input_size, tuple(notes), level_step)


def read_depth_alone(
    path: str | Path,
    *,
    depth_kind: str | None = None,
    png_scale: float | None = None,
    camera: CameraOptions | None = None,
) -> PhotoDepth:
    """Read a depth file for which there is no photo; its pixels take the photo's place.

    Args:
        path: A depth file.
        depth_kind: `relative` or `metric`, where it does not say.
        png_scale: Units a metre of a 16-bit PNG.
        camera: What is known about the camera.

    Raises:
        FileError: It can't be read.
        CameraError: The camera belongs to pictures of another shape.
    """
    from depth3d.io.photo_camera import camera_for

    options = camera or CameraOptions()
    file = read_any_depth(path, kind=depth_kind, png_scale=png_scale)
    raw = smooth_levels(file.depth)
    found = camera_for(
        raw.size_wh,
        camera=file.camera if options.says_nothing else options.camera,
        camera_file=options.camera_file,
        focal_px=options.focal_px,
        focal_35mm=options.focal_35mm,
        fov_x_deg=options.fov_x_deg,
    )
    model = file.provenance.get("depth")
    notes = (assumed_camera_note(found, "depth file"),) if found.source == "assumed" else ()
    step = step_of_levels(file.depth) or 0.0
    return PhotoDepth(None, raw, found, _name_of(path, model), model, input_size_of(file), notes, step)


def is_depth_file(path: str | Path) -> bool:
    """Tell a depth file from a photo, by its suffix or as a gray picture of 16 bits or floats."""
    from PIL import Image, UnidentifiedImageError

    if Path(path).suffix.lower() in _DEPTH_ONLY_SUFFIXES:
        return True
    try:
        with Image.open(path) as picture:
            return (
                picture.mode.startswith("I")
                or picture.mode == "F"
                or "depth3d" in "".join(map(str, picture.info))
            )
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False  # the reader of photos says what is wrong with it


def input_size_of(file: DepthFile) -> int | None:
    """Tell at which side in pixels the network saw the photo, where a depth file says so."""
    written = file.provenance.get("input_size", "")
    return int(written) if written.isdecimal() else None


def read_any_depth(path: str | Path, *, kind: str | None = None, png_scale: float | None = None) -> DepthFile:
    """Read a depth file, or the depth that a phone's photo carries.

    Raises:
        FileError: It can't be read.
        InputError: The photo carries no depth, or the map knows no pixel.
    """
    from depth3d.io.depth_files import read_depth
    from depth3d.io.embedded_depth import read_embedded_depth

    found: DepthFile | None
    if Path(path).suffix.lower() in _CARRIERS_OF_DEPTH:
        found = read_embedded_depth(path)
    else:
        found = read_depth(path, kind=kind, png_scale=png_scale)
    if found is None:
        raise InputError(
            f"{path} carries no depth map; give a depth file, or leave --depth out to use a network"
        )
    if not found.depth.valid.any():
        zero = ", infinite or 0" if found.depth.is_metric else " or infinite"
        raise InputError(
            f"{path} knows no pixel, as all its {found.depth.width}x{found.depth.height} values are "
            f"NaN{zero}; give another depth, or leave --depth out to use a network"
        )
    return found


def resized_note(depth: DepthMap, width: int, height: int) -> list[str]:
    """Say that a map is resized to its photo, if it is: nothing, or one sentence."""
    if depth.size_wh == (width, height):
        return []
    return [f"resized the depth from {depth.width}x{depth.height} to the photo's {width}x{height}"]


def fit_depth_to(depth: DepthMap, width: int, height: int) -> DepthMap:
    """Resize a map to its photo's size, if it shows the same crop.

    Raises:
        InputError: The aspect ratios differ, so that the map can't belong to the photo as it is.
    """
    if depth.size_wh == (width, height):
        return depth
    stretch = (width / height) / (depth.width / depth.height)
    # Rounding to whole pixels can change the aspect of small maps by half a pixel a side.
    slack = _ASPECT_TOLERANCE + 0.5 / min(depth.size_wh)
    if not 1 - slack <= stretch <= 1 + slack:
        raise InputError(
            f"the depth is {depth.width}x{depth.height} and the photo {width}x{height}: another aspect, so "
            "another crop or rotation; give the depth of this very picture"
        )
    return resize_depth(depth, width, height)


def _name_of(path: str | Path, model: str | None) -> str:
    return Path(path).name + (f" of {model}" if model else "")


def assumed_camera_note(camera: Camera, what: str = "photo") -> str:
    """Say that the focal length was assumed, and how to give it."""
    return (
        f"the {what} does not tell its focal length: assumed {camera.fov_x_deg:.0f} degrees across; "
        "give --fov-x-deg, --focal-35mm or --camera"
    )
