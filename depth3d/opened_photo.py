"""`open_photo`: upright colours, metric depth and real intrinsics, brought together as one scene."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from depth3d.calibrate.assumed_range import assume_range
from depth3d.calibrate.calibration import Calibration
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.core.resample import resize_depth
from depth3d.core.scene import RGBD
from depth3d.errors import InputError, NeedsMetricError
from depth3d.lift.debanding import smooth_levels, step_of_levels
from depth3d.verbs import loaded_estimator

if TYPE_CHECKING:
    from depth3d.estimate.estimator import DepthEstimator
    from depth3d.io.depth_files import DepthFile

__all__ = ["OpenedPhoto", "fit_depth_to", "open_photo", "read_any_depth"]

_log = logging.getLogger("depth3d")

_ASPECT_TOLERANCE = 0.02
"""Sides of a depth map may be rounded to whole pixels; a larger difference is another crop."""

_CARRIERS_OF_DEPTH = (".heic", ".heif", ".hif", ".jpg", ".jpeg", ".mpo")
"""Photos that can hold a depth map of their own."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenedPhoto:
    """A photo made ready for geometry, and how that was done.

    Attributes:
        scene: The photo with metric depth and a camera.
        calibration: What turned relative depth into metres, or None where it was metric already.
        depth_source: Name of the network or of the file that the depth came from, and of the network that
            made the file where the file tells.
        notes: One sentence for each thing that was assumed; empty when nothing was.
        noise_per_m: Spacing in 1/m of the levels of 8-bit depth; 0 for continuous depth.
    """

    scene: RGBD
    calibration: Calibration | None
    depth_source: str
    notes: tuple[str, ...]
    noise_per_m: float = 0.0

    @property
    def comments(self) -> tuple[str, ...]:
        """Lines for the header of a file: camera, depth, and everything assumed."""
        return (f"camera: {self.scene.camera!r}", f"depth: {self.depth_source}", *self.notes)


def open_photo(
    photo: str | Path,
    *,
    depth: str | Path | DepthMap | None = None,
    depth_kind: str | None = None,
    png_scale: float | None = None,
    calibration: Calibration | None = None,
    assume_range_m: tuple[float, float] | None = None,
    camera: Camera | None = None,
    camera_file: str | Path | None = None,
    focal_px: float | None = None,
    focal_35mm: float | None = None,
    fov_x_deg: float | None = None,
    estimator: DepthEstimator | None = None,
) -> OpenedPhoto:
    """Open a photo as an `RGBD` scene: upright colours, metric depth, real intrinsics.

    Args:
        photo: Any photo file.
        depth: A depth file, a photo that carries depth (it may be `photo` itself), or a map. None
            asks the network. The terraces of an 8-bit file are smoothed within half a level.
        depth_kind: `relative` or `metric`, where the depth file does not say.
        png_scale: Units a metre of a 16-bit PNG: 1000, 256 (KITTI) or 5000 (TUM).
        calibration: Turns a relative map into metres; refused where the map has metres.
        assume_range_m: (near, far) in metres to assume for a relative map without calibration.
        camera: Intrinsics, if known.
        camera_file: A file with intrinsics.
        focal_px: Focal length in pixels of the upright photo.
        focal_35mm: 35-mm equivalent focal length in millimetres.
        fov_x_deg: Horizontal field of view in degrees.
        estimator: The network to ask; None loads `auto`: Depth Anything V2 Small, or
            `mini` where that can't be had.

    Returns:
        The scene and its history.

    Raises:
        NeedsMetricError: The map is relative, with neither calibration nor assumed range.
        InputError: The depth has another shape than the photo, or options contradict each other.
        FileError: A file can't be read.
        ModelError: The network can't be had.
    """
    from depth3d.io.images import load_photo
    from depth3d.io.photo_camera import camera_for

    opened = load_photo(photo)
    height, width = opened.image.shape[:2]
    notes: list[str] = []
    model_fov_x_deg, level_step = None, 0.0
    if (depth_kind or png_scale) and (depth is None or isinstance(depth, DepthMap)):
        raise InputError(
            "depth_kind and png_scale tell how to read a depth file; give the file as depth (--depth FILE), "
            "or leave them out"
        )
    if depth is None:
        estimator = estimator or loaded_estimator("auto")
        prediction = estimator.predict(opened.image)
        raw, model_fov_x_deg, depth_source = prediction.depth, prediction.fov_x_deg, estimator.name
    elif isinstance(depth, DepthMap):
        raw, depth_source = depth, "given"
    else:
        file = read_any_depth(depth, kind=depth_kind, png_scale=png_scale)
        made_by = file.provenance.get("depth")  # the network, in the files that depth3d writes
        depth_source = Path(depth).name + (f" of {made_by}" if made_by else "")
        raw = smooth_levels(file.depth)
        level_step = step_of_levels(file.depth) or 0.0
        if all(given is None for given in (camera, camera_file, focal_px, focal_35mm, fov_x_deg)):
            camera = file.camera
        accuracy = file.provenance.get("accuracy")
        if accuracy in ("relative", "unknown"):
            notes.append(
                f"{depth_source} carries the phone's own depth, of {accuracy} accuracy: metres may be off"
            )
    raw = fit_depth_to(raw, width, height)

    camera = camera_for(
        opened.info, camera=camera, camera_file=camera_file, focal_px=focal_px, focal_35mm=focal_35mm,
        fov_x_deg=fov_x_deg, model_fov_x_deg=model_fov_x_deg,
    )  # fmt: skip
    if camera.source == "assumed":
        notes.append(
            f"the photo does not tell its focal length: assumed {camera.fov_x_deg:.0f} degrees across; "
            "give --fov-x-deg, --focal-35mm or --camera"
        )
    if raw.is_metric:
        if calibration is not None:
            raise InputError(f"{depth_source} gives metres already; leave the calibration out")
        return OpenedPhoto(RGBD(opened.image, raw, camera), None, depth_source, tuple(notes), level_step)
    if calibration is None:
        if assume_range_m is None:
            raise NeedsMetricError(
                f"{depth_source} gives relative depth, which has no metres; pass a calibration, use a metric "
                "model (metric-indoor-small), or assume_range_m=(near, far)"
            )
        calibration = assume_range(raw, *assume_range_m)
        notes.append(
            f"depth is relative: assumed a range of {assume_range_m[0]:g} to {assume_range_m[1]:g} m, so "
            "distances are a guess; use a calibration or a metric model for real ones"
        )
    scene = RGBD(opened.image, calibration.apply(raw), camera)
    return OpenedPhoto(scene, calibration, depth_source, tuple(notes), calibration.scale * level_step)


def read_any_depth(path: str | Path, *, kind: str | None = None, png_scale: float | None = None) -> DepthFile:
    """Read a depth file, or the depth that a phone's photo carries.

    Raises:
        FileError: It can't be read, or the photo carries no depth.
    """
    from depth3d.io.depth_files import read_depth
    from depth3d.io.embedded_depth import read_embedded_depth

    if Path(path).suffix.lower() not in _CARRIERS_OF_DEPTH:
        return read_depth(path, kind=kind, png_scale=png_scale)
    carried = read_embedded_depth(path)
    if carried is None:
        raise InputError(
            f"{path} carries no depth map; give a depth file, or leave --depth out to use a network"
        )
    return carried


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
    _log.info("resized the depth from %dx%d to %dx%d", *depth.size_wh, width, height)
    return resize_depth(depth, width, height)
