"""Pictures of point clouds without a window: `render_points` and `contact_sheet`."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap, ImageArray
from depth3d.core.camera import Camera
from depth3d.core.cloud import PointCloud
from depth3d.core.poses import as_pose
from depth3d.core.stages import stage
from depth3d.errors import InputError

__all__ = ["contact_sheet", "render_points"]

_NO_COLOR = (96, 96, 96)
"""sRGB of points that have no colour."""

_MAX_RADIUS_PX = 16

_MOST_POINTS_DRAWN = 2_000_000
"""More than ten a pixel of a contact sheet only take time."""

_ROBUST_PERCENTILES = (2.0, 98.0)
"""What counts as the cloud's extent: a few far strays must not shrink the rest to a dot."""


def render_points(
    cloud: PointCloud,
    camera: Camera,
    T_world_camera: npt.ArrayLike | None = None,
    *,
    background: tuple[int, int, int] = (255, 255, 255),
    radius_px: int | None = None,
) -> ImageArray:
    """Draw a cloud as small squares, the nearest in front.

    Args:
        cloud: The cloud, in world coordinates (those of the camera that took the photo).
        camera: Intrinsics of the picture to draw.
        T_world_camera: (4, 4) pose of the camera to draw from, taking its coordinates to the world's;
            None draws from where the photo was taken.
        background: sRGB where no point falls.
        radius_px: Half the side of a square, less half a pixel: 0 is one pixel, 1 is 3 x 3. None picks
            the size at which the points of an even surface just touch.

    Returns:
        (H, W, 3) uint8 sRGB.

    Raises:
        InputError: The pose is no rigid (4, 4) transform, the radius is not within 0..16, or the
            background is not three values in 0..255.
    """
    pose = as_pose(T_world_camera)
    paper = np.asarray(background)
    if paper.shape != (3,) or paper.dtype.kind not in "iu" or paper.min() < 0 or paper.max() > 255:
        raise InputError(f"background must be three whole numbers in 0..255, got {background!r}")
    if radius_px is not None and not 0 <= radius_px <= _MAX_RADIUS_PX:
        raise InputError(f"radius_px must lie within 0..{_MAX_RADIUS_PX}, got {radius_px!r}")

    points = (cloud.points - pose[:3, 3]) @ pose[:3, :3]  # the inverse of a rigid pose
    uv = camera.project(points)
    with np.errstate(invalid="ignore"):
        inside = (uv >= 0).all(axis=1) & (uv[:, 0] < camera.width) & (uv[:, 1] < camera.height)
    shown = np.flatnonzero(inside)
    if radius_px is None:
        radius_px = _touching_radius(len(shown), camera)
    order = shown[np.argsort(-points[shown, 2], kind="stable")]  # painter's algorithm: far to near
    cols, rows = (uv[order, axis].astype(np.intp) for axis in (0, 1))

    # The last write to a pixel wins, so each holds the nearest point whose centre falls into it.
    nearest: npt.NDArray[np.int32] = np.full((camera.height, camera.width), -1, dtype=np.int32)
    nearest.reshape(-1)[rows * camera.width + cols] = np.arange(len(order), dtype=np.int32)
    if radius_px:
        import cv2

        # Ranks grow towards the viewer, so a maximum over a square is the z-test of splats. They are
        # exact in float32 up to 16.7 million points; beyond that neighbours in rank may swap.
        side = np.ones((2 * int(radius_px) + 1,) * 2, dtype=np.uint8)
        nearest = np.asarray(cv2.dilate(nearest.astype(np.float32), side)).astype(np.int32)
    picture = np.empty((camera.height, camera.width, 3), dtype=np.uint8)
    picture[:] = paper
    drawn = nearest >= 0
    if cloud.colors is None:
        picture[drawn] = _NO_COLOR
    else:
        picture[drawn] = cloud.colors[order[nearest[drawn]]]
    return picture


@stage("preview")
def contact_sheet(
    cloud: PointCloud, camera: Camera | None = None, *, width_px: int = 480, height_px: int = 400
) -> ImageArray:
    """Draw a cloud three times side by side: as photographed, from the side, and from above.

    The first view has its eye at the origin and shows what the photo shows. The other two stand off at
    right angles, framed on the bulk of the points, and show what a photo hides: layers, gaps, strays.

    Args:
        cloud: The cloud, in the camera frame.
        camera: The photo's intrinsics; None frames the cloud from the origin.
        width_px: Width of one view.
        height_px: Height of the sheet.

    Returns:
        (height_px, 3 * width_px, 3) uint8 sRGB; blank for a cloud without points.

    Raises:
        InputError: A size that is not positive.
    """
    if width_px < 1 or height_px < 1:
        raise InputError(f"a view must be at least 1x1 pixels, got {width_px}x{height_px}")
    if not len(cloud):
        return np.full((height_px, 3 * width_px, 3), 255, dtype=np.uint8)
    if len(cloud) > _MOST_POINTS_DRAWN:
        # At random, not every n-th: rows and columns of the photo would show up as stripes.
        share = _MOST_POINTS_DRAWN / len(cloud)
        cloud = cloud[np.random.default_rng(0).random(len(cloud), dtype=np.float32) < share]
    low, high = np.percentile(cloud.points, _ROBUST_PERCENTILES, axis=0)
    center, half = (low + high) / 2, np.maximum((high - low) / 2, 1e-3 * max(abs(high[2]), 1e-6))
    front = _front_camera(cloud.points, camera, width_px, height_px)
    # Columns of each rotation are where the drawing camera's x, y and z point.
    from_the_left = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    from_above = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    views = [render_points(cloud, front)]
    for rotation in (from_the_left, from_above):
        eye, lens = _framed(center, half, rotation, width_px, height_px)
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, eye
        views.append(render_points(cloud, lens, pose))
    sheet = np.concatenate(views, axis=1)
    sheet[:, [width_px, 2 * width_px]] = 200  # a thin line between the views
    return sheet


def _framed(
    center: npt.NDArray[np.float64],
    half: npt.NDArray[np.float64],
    rotation: npt.NDArray[np.float64],
    width_px: int,
    height_px: int,
) -> tuple[npt.NDArray[np.float64], Camera]:
    """Place a camera of long focal length so that a box fills its picture, with a margin."""
    half_x, half_y, half_z = np.abs(rotation.T) @ half
    distance = half_z + 8 * max(half_x, half_y)  # far off: little perspective
    f = 0.46 * min(width_px / half_x, height_px / half_y) * (distance - half_z)
    eye = center - rotation[:, 2] * distance
    return eye, Camera(f, f, width_px / 2, height_px / 2, width_px, height_px)


def _front_camera(points: FloatMap, camera: Camera | None, width_px: int, height_px: int) -> Camera:
    """Fit the photo's view, or the bulk of the points seen from the origin, into a picture."""
    if camera is not None:
        zoom = min(width_px / camera.width, height_px / camera.height)
        return Camera(
            camera.fx * zoom,
            camera.fy * zoom,
            camera.cx * zoom + (width_px - camera.width * zoom) / 2,
            camera.cy * zoom + (height_px - camera.height * zoom) / 2,
            width_px,
            height_px,
            distortion=camera.distortion,
            distortion_model=camera.distortion_model,
        )
    ahead = points[points[:, 2] > 0]
    if not len(ahead):
        return Camera.from_fov(width_px, height_px, 60)
    low, high = np.percentile(ahead[:, :2] / ahead[:, 2:], (0.5, 99.5), axis=0)
    center, half = (low + high) / 2, np.maximum((high - low) / 2, 1e-4)
    f = 0.48 * min(width_px / half[0], height_px / half[1])
    return Camera(f, f, width_px / 2 - f * center[0], height_px / 2 - f * center[1], width_px, height_px)


def _touching_radius(n: int, camera: Camera) -> int:
    """Pick the radius at which n points spread over the whole picture would just touch."""
    spacing = math.sqrt(camera.width * camera.height / max(n, 1))
    return min(max(math.ceil((spacing - 1) / 2), 0), 3)
