"""ArUco and AprilTag markers of known side: where they are in a photo, and so how far away.

One marker is one reference for a calibration: its four corners span almost no depth, and their errors are one
error. What to take of it is its centre: `marker.anchor`.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.calibrate.marker_corners import sharp_corners
from depth3d.calibrate.marker_dictionaries import (
    FAMILIES,
    named_dictionary,
    read_dictionary,
    smallest_of_family,
)
from depth3d.calibrate.planar_pose import PlanarPose, poses_of_plane
from depth3d.calibrate.references import Anchor
from depth3d.core.arrays import ImageArray, as_image, frozen
from depth3d.core.camera import Camera
from depth3d.errors import CameraError, InputError

__all__ = ["Marker", "find_markers"]

_Array: TypeAlias = npt.NDArray[np.float64]

_SQUARE = np.array([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0.5, 0.5, 0], [-0.5, 0.5, 0]])
_LEAST_SIGMA_PX = 0.1
_SPREAD_PX = 0.1
"""How far ink and the tone curve of a camera may shift an edge, in pixels: all four outwards, or inwards."""
_SMALLEST_PICTURE_PX = 32
_FORESHORTENED = 0.8  # an outline is drawn inside the marker's edges, and up to a pixel off

_log = logging.getLogger("depth3d")


@dataclass(frozen=True, slots=True, eq=False)
class Marker:
    """A square marker in a photo.

    The frame of a marker has its origin at the centre, x along the upper edge to the right, y down and z into
    the paper, as boards have it: upright and straight ahead, its rotation is the identity. (OpenCV's has y up
    and z out of the paper.)

    Attributes:
        id: Its number in the dictionary.
        dictionary: As OpenCV names it, or the name of the file.
        side_m: Side of its black square in metres.
        corners_px: (4, 2) clockwise from the marker's own upper left, pixel centres at +0.5.
        corner_depths_m: (4,) z of the corners.
        T_camera_marker: (4, 4) metres.
        u_px, v_px: Where its centre is seen.
        depth_m: z of the centre.
        sigma_m: One standard deviation of `depth_m`: of the corners, the shift that all edges may share, and
            the stated errors of the camera's focal length and of the side.
        reprojection_px: Root mean square distance of the corners from where the pose has them.
        ambiguous: Whether a second, different tilt explains the corners about as well, as through long
            lenses and for small markers. The centre's z stays good, the rotation and the differences of the
            corners' z are doubtful.
    """

    id: int
    dictionary: str
    side_m: float
    corners_px: _Array
    corner_depths_m: _Array
    T_camera_marker: _Array
    u_px: float
    v_px: float
    depth_m: float
    sigma_m: float
    reprojection_px: float
    ambiguous: bool

    def __post_init__(self) -> None:
        for name, shape in (("corners_px", (4, 2)), ("corner_depths_m", (4,)), ("T_camera_marker", (4, 4))):
            value = frozen(getattr(self, name), name=name, dtype=np.float64, shape=shape)
            object.__setattr__(self, name, value)

    @property
    def anchor(self) -> Anchor:
        """The one reference that it is for a calibration: the z of its centre."""
        return Anchor(self.u_px, self.v_px, self.depth_m, self.sigma_m)

    def __repr__(self) -> str:
        return (
            f"Marker({self.id} of {self.dictionary} at ({self.u_px:.1f}, {self.v_px:.1f}), "
            f"z {self.depth_m:.4g} +-{self.sigma_m:.2g} m)"
        )


def find_markers(
    image: ImageArray,
    camera: Camera,
    *,
    side_m: float,
    side_sigma_m: float = 0.0,
    dictionary: str | Path = "auto",
    min_side_px: float = 16.0,
) -> tuple[Marker, ...]:
    """Find square markers in a photo and measure how far away they are.

    Args:
        image: (H, W, 3) uint8 sRGB.
        camera: Its intrinsics; distortion is honoured, fisheye too.
        side_m: Side of the markers' black squares in metres, measured on the print.
        side_sigma_m: One standard deviation of that measurement.
        dictionary: OpenCV's name such as `DICT_6X6_250`, the `Path` of a file with a custom dictionary, or
            `auto`: the dictionary most markers are of, the richer one in a tie. Of those with 16 bits it
            knows DICT_4X4_50 and DICT_APRILTAG_16h5, and wants two different markers of them: one alone
            is often chance.
        min_side_px: Markers with a shorter side are left out.

    Returns:
        The markers by id, those of one id from left to right; none where the photo shows none, which is
        for the caller to say.

    Raises:
        InputError: The image is not (H, W, 3) uint8, a length is not positive, or OpenCV knows no such
            dictionary.
        CameraError: The camera is of another size.
        UnreadableFileError: The dictionary's file is not there, or is none.
    """
    import cv2

    image = as_image(image)
    height, width = image.shape[:2]
    if camera.size_wh != (width, height):
        raise CameraError(
            f"the image has {width}x{height} pixels and the camera {camera.width}x{camera.height}; "
            "resize the camera with resized()"
        )
    for name, length, least in (("side_m", side_m, 1e-6), ("side_sigma_m", side_sigma_m, 0.0)):
        if not (math.isfinite(length) and length >= least):
            raise InputError(f"{name} must be a positive number of metres, got {length!r}")
    gray = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2GRAY)
    found, ids, modules, name = _detected(gray, dictionary, min_side_px)
    seen = []
    for identity, corners in zip(ids, found, strict=True):
        if np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1).min() < min_side_px:
            continue
        sharp = sharp_corners(image, corners, camera, modules)
        corners = corners if sharp is None else sharp
        poses = poses_of_plane(side_m * _SQUARE, corners, camera)
        if poses:
            seen.append((identity, corners, poses))
    # Two numbers remain of each marker's eight: too few to tell its noise, so all tell it together.
    left_over = sum(poses[0].cost for _, _, poses in seen) / max(1, 2 * len(seen))
    sigma_px = max(_LEAST_SIGMA_PX, math.sqrt(left_over))
    markers = [
        _marker(identity, name, side_m, corners, poses, camera, sigma_px, side_sigma_m)
        for identity, corners, poses in seen
    ]
    return tuple(sorted(markers, key=lambda marker: (marker.id, marker.u_px)))


def _marker(
    identity: int,
    name: str,
    side_m: float,
    corners: _Array,
    poses: tuple[PlanarPose, ...],
    camera: Camera,
    sigma_px: float,
    side_sigma_m: float,
) -> Marker:
    best, rivals = poses[0], poses[1:]
    T = best.T_camera_plane
    depth = float(T[2, 3])
    ambiguous = any(best.is_beaten_by_chance(other, sigma_px) for other in rivals)
    between = abs(float(rivals[0].T_camera_plane[2, 3]) - depth) if ambiguous else 0.0
    diagonal = float(np.linalg.norm(corners[:2] - corners[2:], axis=1).mean())
    shares = (
        float(best.depth_sigmas_m(np.zeros((1, 3)), sigma_px)[0]) / depth,
        2 * _SPREAD_PX / (diagonal / math.sqrt(2)),
        between / depth,
        camera.sigma_rel,
        side_sigma_m / side_m,
    )
    u, v = camera.project(T[:3, 3])
    return Marker(
        id=identity,
        dictionary=name,
        side_m=float(side_m),
        corners_px=corners,
        corner_depths_m=best.depths_m(side_m * _SQUARE),
        T_camera_marker=T,
        u_px=float(u),
        v_px=float(v),
        depth_m=depth,
        sigma_m=depth * math.hypot(*shares),
        reprojection_px=best.rms_px,
        ambiguous=ambiguous,
    )


def _detected(
    gray: Any, dictionary: str | Path, min_side_px: float
) -> tuple[list[_Array], list[int], int, str]:
    """Look for markers; their corners to a pixel or so, ids, modules along a side, name of the dictionary."""
    if min(gray.shape) < _SMALLEST_PICTURE_PX:
        return [], [], 0, ""
    if isinstance(dictionary, Path):
        custom = read_dictionary(dictionary)
        return (*_seen(gray, custom, min_side_px), custom.markerSize + 2, dictionary.name)
    name = _chosen(gray, min_side_px) if dictionary == "auto" else dictionary
    if name is None:
        return [], [], 0, ""
    known = named_dictionary(name)
    corners, ids = _seen(gray, known, min_side_px)
    if dictionary == "auto" and ids:
        name = smallest_of_family(name, max(ids))
    return corners, ids, known.markerSize + 2, name


def _chosen(gray: Any, min_side_px: float) -> str | None:
    """Find the dictionary that most markers are of, bit by bit."""
    best, most = None, 0
    for name, needed in FAMILIES:
        _, ids = _seen(gray, named_dictionary(name), min_side_px, exact=True)
        if 0 < len(set(ids)) < needed:
            _log.info(
                "what looks like one marker of %s may be chance: name the dictionary if it is one", name
            )
        elif len(ids) > most:
            best, most = name, len(ids)
    return best


def _seen(
    gray: Any, dictionary: Any, min_side_px: float, *, exact: bool = False
) -> tuple[list[_Array], list[int]]:
    import cv2

    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = (
        cv2.aruco.CORNER_REFINE_NONE if exact else cv2.aruco.CORNER_REFINE_SUBPIX
    )
    # Foliage has thousands of outlines that are too small: spare the time to read their bits.
    around = 4 * _FORESHORTENED * min_side_px / max(gray.shape)
    parameters.minMarkerPerimeterRate = min(max(parameters.minMarkerPerimeterRate, around), 1.0)
    if exact:
        parameters.errorCorrectionRate = 0.0
    corners, ids, _ = cv2.aruco.ArucoDetector(dictionary, parameters).detectMarkers(gray)
    if ids is None:
        return [], []
    # OpenCV counts from the centre of the first pixel.
    return [quad.reshape(4, 2).astype(np.float64) + 0.5 for quad in corners], [int(i) for i in np.ravel(ids)]
