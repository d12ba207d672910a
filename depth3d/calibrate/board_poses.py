"""Where a calibration board stands in a photo, and so how far away each of its points is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.calibrate.boards import Board, BoardView, find_board
from depth3d.calibrate.planar_pose import poses_of_plane
from depth3d.calibrate.references import DepthSamples
from depth3d.core.arrays import ImageArray, as_image, frozen
from depth3d.core.camera import Camera
from depth3d.errors import CameraError

__all__ = ["BoardPose", "locate_board"]

_Array: TypeAlias = npt.NDArray[np.float64]

_LEAST_SIGMA_PX = 0.05
_NUMBERS_OF_A_PLANE = 3


@dataclass(frozen=True, slots=True, eq=False)
class BoardPose:
    """A board in a photo, taken by a known camera.

    Attributes:
        view: Its points that are seen, in metres on the board and in pixels.
        T_camera_board: (4, 4) metres; x along a row of the board, y down, z into the paper.
        depths_m: (n,) z of the points, of the pose and not of each pixel by itself.
        sigma_m: (n,) one standard deviation of each, that of the camera's focal length included. The points
            of one board share most of it: many of them are no better than a few.
        reprojection_px: Root mean square distance of the points from where the pose has them.
        ambiguous: Whether another tilt explains the points about as well.
    """

    view: BoardView
    T_camera_board: _Array
    depths_m: _Array
    sigma_m: _Array
    reprojection_px: float
    ambiguous: bool

    def __post_init__(self) -> None:
        count = len(self.view.points_m)
        for name, shape in (("T_camera_board", (4, 4)), ("depths_m", (count,)), ("sigma_m", (count,))):
            value = frozen(getattr(self, name), name=name, dtype=np.float64, shape=shape)
            object.__setattr__(self, name, value)

    @property
    def samples(self) -> DepthSamples:
        """Its points as one reference, which is worth three measurements of z: a plane has three numbers.

        A fit that counts measurements, to choose a law or to tell outliers, is not misled by their number.
        """
        return DepthSamples(
            self.view.uv_px,
            self.depths_m,
            "relative",
            float(np.median(self.sigma_m / self.depths_m)),
            independent=_NUMBERS_OF_A_PLANE,
            label=f"the board in {self.view.name}" if self.view.name else "the board",
        )

    def __repr__(self) -> str:
        near, far = self.depths_m.min(), self.depths_m.max()
        return f"BoardPose({len(self.depths_m)} points, z {near:.4g}..{far:.4g} m)"


def locate_board(image: ImageArray, camera: Camera, board: Board, *, name: str = "") -> BoardPose | None:
    """Find a board in a photo and measure how far away each of its points is.

    Args:
        image: (H, W, 3) uint8 sRGB.
        camera: Its intrinsics; distortion is honoured, fisheye too.
        board: What to look for, with the true `square_m`: all depths are proportional to it.
        name: What to call the picture in reports.

    Returns:
        The board, or None where it is not to be seen, or not as this lens would show it.

    Raises:
        CameraError: The camera is of another size.
        InputError: The image is not (H, W, 3) uint8, or OpenCV knows no such dictionary.
    """
    image = as_image(image)
    height, width = image.shape[:2]
    if camera.size_wh != (width, height):
        raise CameraError(
            f"the image has {width}x{height} pixels and the camera {camera.width}x{camera.height}; "
            "resize the camera with resized()"
        )
    view = find_board(image, board, name=name)
    poses = () if view is None else poses_of_plane(view.points_m, view.uv_px, camera)
    if view is None or not poses:
        return None
    best = poses[0]
    left_over = best.cost / max(1, 2 * len(view.uv_px) - 6)
    sigma_px = max(_LEAST_SIGMA_PX, math.sqrt(left_over))
    depths = best.depths_m(view.points_m)
    sigma = np.hypot(best.depth_sigmas_m(view.points_m, sigma_px), depths * camera.sigma_rel)
    ambiguous = any(best.is_beaten_by_chance(other, sigma_px) for other in poses[1:])
    return BoardPose(view, best.T_camera_plane, depths, sigma, best.rms_px, ambiguous)
