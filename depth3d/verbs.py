"""The verbs that span rooms: `estimate`, `open_photo`, `save`.

Verbs of one room (`point_cloud`, `camera_for`, `load_image` ...) live there and are re-exported by
`depth3d` under the same name.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from depth3d.calibrate.calibration import Calibration, assume_range
from depth3d.core.camera import Camera
from depth3d.core.cloud import PointCloud
from depth3d.core.depth import DepthMap
from depth3d.core.resample import resize_depth
from depth3d.core.scene import RGBD
from depth3d.errors import FileError, InputError, NeedsMetricError, UnreadableFileError
from depth3d.io.atomic import check_writable, writing
from depth3d.lift.debanding import smooth_levels, step_of_levels

if TYPE_CHECKING:
    from depth3d.core.arrays import ImageArray
    from depth3d.estimate.estimator import DepthEstimator
    from depth3d.io.depth_files import DepthFile

__all__ = [
    "OpenedPhoto",
    "check_output",
    "estimate",
    "fit_depth_to",
    "load_calibration",
    "open_photo",
    "read_any_depth",
    "save",
]

_log = logging.getLogger("depth3d")

_ASPECT_TOLERANCE = 0.02
"""Sides of a depth map may be rounded to whole pixels; a larger difference is another crop."""

_CARRIERS_OF_DEPTH = (".heic", ".heif", ".hif", ".jpg", ".jpeg", ".mpo")
"""Photos that can hold a depth map of their own."""


def estimate(
    image: ImageArray,
    *,
    model: str | Path = "small",
    device: str = "auto",
    dtype: str = "auto",
    input_size: int = 518,
) -> DepthMap:
    """Estimate the depth of one image.

    The network stays loaded for the next call with the same options. For folders, batches and
    videos use `DepthEstimator` itself.

    Args:
        image: (H, W, 3) uint8 sRGB, upright.
        model: A name of `depth3d models`, a hub id, a directory, or a `.pth` file.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        dtype: `auto`, `float32`, `float16` or `bfloat16`.
        input_size: Shorter side in pixels at which the network sees the image.

    Returns:
        A map of the image's own size: relative disparity, or metres from a metric model.

    Raises:
        InputError: The image is not (H, W, 3) uint8.
        ModelError: The network can't be had or can't be loaded.
        DeviceError: The device is not there.
    """
    return loaded_estimator(model, device=device, dtype=dtype, input_size=input_size)(image)


@lru_cache(maxsize=1)
def loaded_estimator(model: str | Path, **options: Any) -> DepthEstimator:
    """Load an estimator, or hand out the one that was loaded last with the same options."""
    from depth3d.estimate.estimator import DepthEstimator

    return DepthEstimator.from_pretrained(model, **options)


@dataclass(frozen=True, slots=True, eq=False)
class OpenedPhoto:
    """A photo made ready for geometry, and how that was done.

    Attributes:
        scene: The photo with metric depth and a camera.
        calibration: What turned relative depth into metres, or None where it was metric already.
        depth_source: Name of the network or of the file that the depth came from.
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
        estimator: The network to ask; None loads Depth Anything V2 Small.

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
        estimator = estimator or loaded_estimator("small")
        prediction = estimator.predict(opened.image)
        raw, model_fov_x_deg, depth_source = prediction.depth, prediction.fov_x_deg, estimator.name
    elif isinstance(depth, DepthMap):
        raw, depth_source = depth, "given"
    else:
        file = read_any_depth(depth, kind=depth_kind, png_scale=png_scale)
        raw, depth_source = smooth_levels(file.depth), Path(depth).name
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


def check_output(path: Path, source: Path, *, overwrite: bool) -> None:
    """Check, before any long work, that a file can be written and is not the one that is read.

    Args:
        path: The file to be written.
        source: The file that is read; it need not be there.
        overwrite: Whether an existing file may be replaced.

    Raises:
        FileError: It can't be written, or it exists and `overwrite` is False.
        InputError: Both are the same file.
    """
    check_writable(path, overwrite=overwrite)
    try:
        same = path.samefile(source)
    except OSError:  # one of them is not there
        return
    if same:
        raise InputError(f"{path} is the input itself; give another output")


def make_directory(path: str | Path) -> Path:
    """Create a directory, with its parents, if it is not there.

    Raises:
        FileError: It can't be created, or a file is in its place.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"can't create the directory {path}: {error.strerror}; choose another one") from None
    return path


def load_calibration(path: str | Path) -> Calibration:
    """Read a calibration that `save` wrote.

    Raises:
        FileError: The file can't be read.
        InputError: It is no calibration.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UnreadableFileError(f"can't read the calibration {path}: {reason}; check the path") from None
    return Calibration.from_json(text)


def save(
    thing: ImageArray | DepthMap | PointCloud | Camera | Calibration,
    path: str | Path,
    *,
    overwrite: bool = True,
    **options: Any,
) -> None:
    """Write anything that depth3d makes, in the format that the suffix names.

    The file appears whole or not at all.

    Args:
        thing: An image, a `DepthMap`, a `PointCloud`, a `Camera` or a `Calibration`.
        path: Where to.
        overwrite: Whether an existing file may be replaced.
        **options: Handed on: `quality` of images; `camera`, `provenance` and `png_scale` of depth;
            `frame`, `unit`, `ascii` and `comments` of clouds.

    Raises:
        InputError: A thing that has no file format.
        UnsupportedFormatError: A suffix that does not suit the thing.
        FileError: The file can't be written.
    """
    if isinstance(thing, DepthMap):
        from depth3d.io.depth_files import save_depth

        save_depth(thing, path, overwrite=overwrite, **options)
    elif isinstance(thing, PointCloud):
        from depth3d.io.geometry_files import save_cloud

        save_cloud(thing, path, overwrite=overwrite, **options)
    elif isinstance(thing, Camera):
        from depth3d.io.camera_files import save_camera

        save_camera(thing, path, overwrite=overwrite, **options)
    elif isinstance(thing, Calibration):
        with writing(path, overwrite=overwrite) as partial:
            partial.write_text(thing.to_json(), encoding="utf-8")
    elif isinstance(thing, np.ndarray):
        from depth3d.io.images import save_image

        save_image(thing, path, overwrite=overwrite, **options)
    else:
        raise InputError(
            f"can't save a {type(thing).__name__}; give an image, DepthMap, PointCloud, Camera or Calibration"
        )
