"""Files of measured depth as references: LiDAR pictures, the maps of phones and networks, COLMAP models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np

from depth3d.calibrate.network_prior import reference_network
from depth3d.calibrate.references import DepthErrorModel, DepthSamples
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthKind, DepthMap
from depth3d.errors import InputError
from depth3d.photo_depth import read_any_depth

__all__ = ["Sensor", "samples_from_colmap", "samples_from_file"]

Sensor: TypeAlias = Literal["auto", "lidar", "depth-camera", "phone", "network"]
"""What measured the depth; `auto` tells by the file."""


@dataclass(frozen=True, slots=True)
class _Errors:
    """What to expect of a sensor.

    Attributes:
        model: How its error grows with z.
        sigma: Its size: metres, 1/m or a share of z.
        independent: How many measurements all its pixels are worth, or None for each.
    """

    model: DepthErrorModel
    sigma: float
    independent: float | None


_ERRORS: dict[str, _Errors] = {
    # Time of flight: centimetres at any distance, each point for itself.
    "lidar": _Errors("constant", 0.03, None),
    # Structured light: 1.4 to 2.9 mm at 1 m, with z squared (Khoshelham and Oude Elberink, "Accuracy and
    # Resolution of Kinect Depth Data", Sensors 2012), smoothed over patches.
    "depth-camera": _Errors("stereo", 0.003, 200.0),
    # Two lenses a centimetre apart, 700 pixels of focal length: a fifth of a pixel of disparity is 0.03 1/m,
    # and the shift of the whole map is no better known.
    "phone": _Errors("stereo", 0.03, 5.0),
}
_SPARSE = 0.3
"""A map that knows a smaller share of its pixels is a LiDAR's, projected into a picture."""
_SIGMA_OF_POINTS_REL = 0.01
"""Of 1/z of a COLMAP point that several images show, as a share of the median 1/z."""


def samples_from_file(
    path: str | Path,
    size_wh: tuple[int, int],
    *,
    sensor: Sensor = "auto",
    camera: Camera | None = None,
    kind: str | None = None,
    png_scale: float | None = None,
) -> DepthSamples:
    """Read measured depth as a reference, with the errors that its sensor has.

    Args:
        path: A metric depth file, sparse or dense, of any size, or a photo that carries depth. It must show
            the same picture.
        size_wh: (width, height) of the photo.
        sensor: What measured it. `auto` knows the maps of phones and networks where the file says so, takes
            maps that know little of the picture for a LiDAR's, and others for a depth camera's.
        camera: Intrinsics of the photo: needed for the phones that store ranges instead of z.
        kind: `metric` where the file does not say so.
        png_scale: Integers a metre: 1000 unless given, 256 for KITTI, 5000 for TUM RGB-D.

    Returns:
        At most 50,000 samples, evenly spaced.

    Raises:
        InputError: The depth is relative, of another shape than the photo, without a known pixel, or holds
            ranges and there is no camera.
        FileError: It can't be read.
    """
    if sensor not in get_args(Sensor):
        raise InputError(f"sensor must be one of {', '.join(get_args(Sensor))}, got {sensor!r}")
    file = read_any_depth(path, kind=kind, png_scale=png_scale)
    name, depth, origin = Path(path).name, file.depth, file.provenance
    if not depth.is_metric:
        raise InputError(
            f"{name} holds relative depth, which knows no metres; give measured depth, or say that its "
            "numbers are metres with kind='metric'"
        )
    width, height = size_wh
    if abs((width / height) / (depth.width / depth.height) - 1) > 0.02 + 0.5 / min(depth.size_wh):
        raise InputError(
            f"{name} has {depth.width}x{depth.height} pixels and the photo {width}x{height}, which is "
            "another shape; give the depth of this very picture"
        )
    if origin.get("measure") == "OpticRay":
        depth = _from_ranges(depth, camera, name)
    if sensor == "auto":
        if "depth" in origin:
            sensor = "network"
        elif "accuracy" in origin or "measure" in origin:
            sensor = "phone"
        else:
            sensor = "lidar" if depth.valid.mean() < _SPARSE else "depth-camera"
    if sensor == "network":
        return reference_network(depth, size_wh, label=f"the network's map {name}")
    errors = _ERRORS[sensor]
    return DepthSamples.from_map(
        depth, size_wh, error=errors.model, sigma=errors.sigma, independent=errors.independent, label=name
    )


def samples_from_colmap(
    model_dir: str | Path, image_name: str, size_wh: tuple[int, int], *, metres_per_unit: float = 1.0
) -> DepthSamples:
    """Read the points of a COLMAP model that one image shows, as a reference.

    Their errors are constant in 1/z, as those of all that is triangulated.

    Args:
        model_dir: Folder with `cameras`, `images` and `points3D`.
        image_name: Name of the photo in the model.
        size_wh: (width, height) of the photo.
        metres_per_unit: What a unit of the model is in metres: a model that was not georeferenced or scaled
            has a unit of its own, and so will the calibration.

    Returns:
        The points with a track of 3 images or more and a reprojection error below 2 pixels.

    Raises:
        InputError: No such image, or none of its points is good.
        FileError: The model can't be read.
    """
    from depth3d.io.colmap_points import load_colmap_points

    points = load_colmap_points(model_dir, image_name, size_wh, metres_per_unit=metres_per_unit)
    sigma = _SIGMA_OF_POINTS_REL * float(np.median(1 / points.depth_m))
    return DepthSamples(
        points.uv_px, points.depth_m, "stereo", sigma, label=f"COLMAP's points of {image_name}"
    )


def _from_ranges(depth: DepthMap, camera: Camera | None, name: str) -> DepthMap:
    """Turn lengths of rays into z."""
    if camera is None:
        raise InputError(
            f"{name} holds distances from the lens, which need the camera to become z; give --fov-x-deg, "
            "--focal-35mm or --camera"
        )
    rays = camera.resized(*depth.size_wh).pixel_rays()
    z = depth.values / np.linalg.norm(rays, axis=-1)
    return DepthMap(z.astype(np.float32), DepthKind.METRIC)
