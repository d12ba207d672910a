"""Where something flat of known size is, seen through a known lens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import frozen
from depth3d.core.camera import Camera

__all__ = ["PlanarPose", "poses_of_plane"]

_Array: TypeAlias = npt.NDArray[np.float64]

_MAX_STEPS = 40
_TOLERANCE = 1e-12  # of the cost, between two steps
_EXACT = 1e-16  # square pixels: the measurements are exact
_STUCK = 1e8  # damping of a step that no longer moves anything
_STEP = 1e-6  # of z, for derivatives
_SAME = 1e-4  # radians between two poses that are one
_CERTAIN = 9.0  # by how many variances of a pixel the squared error of a wrong pose is greater


@dataclass(frozen=True, slots=True, eq=False)
class PlanarPose:
    """A pose of flat points, and how well the pixels fix it.

    Attributes:
        T_camera_plane: (4, 4) metres.
        errors_px: (n, 2) projection less measurement.
        covariance: (6, 6) of a turn in radians about the axes of the camera, after the rotation, and of a
            shift in metres, for pixels with a sigma of 1 in each direction.
    """

    T_camera_plane: _Array
    errors_px: _Array
    covariance: _Array

    def __post_init__(self) -> None:
        for name, shape in (("T_camera_plane", (4, 4)), ("errors_px", (None, 2)), ("covariance", (6, 6))):
            value = frozen(getattr(self, name), name=name, dtype=np.float64, shape=shape)
            object.__setattr__(self, name, value)

    @property
    def cost(self) -> float:
        """Sum of squared errors in square pixels."""
        return float((self.errors_px**2).sum())

    @property
    def rms_px(self) -> float:
        """Root mean square of the distances between projection and measurement."""
        return float(np.sqrt(self.cost / len(self.errors_px)))

    def depths_m(self, points_m: _Array) -> _Array:
        """Give z in the camera frame of (n, 3) points in the frame of the plane."""
        return np.asarray(points_m @ self.T_camera_plane[2, :3] + self.T_camera_plane[2, 3])

    def depth_sigmas_m(self, points_m: _Array, sigma_px: float) -> _Array:
        """Give one standard deviation of each point's z, for pixels with a sigma of `sigma_px`.

        To first order: C = sigma^2 (J^T J)^-1 and sigma_z^2 = g C g^T with g = dz / d(turn, shift).
        """
        turned = points_m @ self.T_camera_plane[:3, :3].T
        zero, one = np.zeros(len(turned)), np.ones(len(turned))
        by_pose = np.stack([turned[:, 1], -turned[:, 0], zero, zero, zero, one], axis=-1)
        return np.asarray(sigma_px * np.sqrt(np.einsum("ni,ij,nj->n", by_pose, self.covariance, by_pose)))

    def is_beaten_by_chance(self, other: PlanarPose, sigma_px: float) -> bool:
        """Tell whether the noise alone might have made this pose better than another.

        The difference of their squared errors is a log likelihood ratio (times two): below 9 variances,
        or three sigma, both are to be reckoned with.
        """
        return other.cost - self.cost < _CERTAIN * sigma_px**2


def poses_of_plane(points_m: _Array, uv_px: _Array, camera: Camera) -> tuple[PlanarPose, ...]:
    """Find where flat points are.

    The pixels are cast to rays through the lens, Collins and Bartoli ("Infinitesimal Plane-Based Pose
    Estimation", IJCV 2014, as `cv2.solvePnPGeneric` has it) give the two poses that a plane allows, and
    Levenberg-Marquardt makes the error of each least in pixels of the photo, distortion and all.

    Args:
        points_m: (n, 3) metres in the frame of the plane, z = 0, n >= 4, not all on a line.
        uv_px: (n, 2) where they are seen, pixel centres at +0.5.
        camera: The lens.

    Returns:
        One or two poses with all points in front of the camera, the one with the smaller error first; none
        where the lens can't have seen the points so.
    """
    import cv2

    rays = camera.rays(uv_px)
    if not np.isfinite(rays).all():
        return ()
    seen = np.ascontiguousarray(rays[:, None, :2])
    try:
        _, turns, shifts, _ = cv2.solvePnPGeneric(
            points_m[:, None], seen, np.eye(3), None, flags=cv2.SOLVEPNP_IPPE
        )
    except cv2.error:
        return ()
    poses: list[PlanarPose] = []
    for turn, shift in zip(turns, shifts, strict=True):
        pose = _refined(points_m, uv_px, camera, cv2.Rodrigues(turn)[0], np.ravel(shift))
        if pose is not None and not any(_is_same(pose, known) for known in poses):
            poses.append(pose)
    return tuple(sorted(poses, key=lambda pose: pose.cost))


def _refined(
    points_m: _Array, uv_px: _Array, camera: Camera, rotation: _Array, shift: _Array
) -> PlanarPose | None:
    """Make the reprojection error least from a pose nearby; None where no pose is in front of the camera."""
    import cv2

    damping = 1e-3
    errors, by_pose = _linearised(points_m, uv_px, camera, rotation, shift)
    if not (np.isfinite(errors).all() and np.isfinite(by_pose).all()):
        return None
    for _ in range(_MAX_STEPS):
        cost = float(errors @ errors)
        normal = by_pose.T @ by_pose
        length = np.sqrt(np.diag(normal))  # radians and metres
        damped = normal / np.outer(length, length) + damping * np.eye(6)
        step = -np.linalg.solve(damped, by_pose.T @ errors / length) / length
        tried = cv2.Rodrigues(step[:3])[0] @ rotation, shift + step[3:]
        its_errors, its_by_pose = _linearised(points_m, uv_px, camera, *tried)
        its_cost = float(its_errors @ its_errors)
        if not its_cost < cost:  # NaN, too: it led behind the camera
            damping *= 10
            if damping > _STUCK:
                break
            continue
        (rotation, shift), errors, by_pose, damping = tried, its_errors, its_by_pose, damping / 10
        if cost - its_cost <= _TOLERANCE * cost + _EXACT:
            break
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotation, shift
    try:
        covariance: _Array = np.linalg.inv(by_pose.T @ by_pose).astype(np.float64)
    except np.linalg.LinAlgError:
        return None
    return PlanarPose(T, errors.reshape(-1, 2), covariance)


def _linearised(
    points_m: _Array, uv_px: _Array, camera: Camera, rotation: _Array, shift: _Array
) -> tuple[_Array, _Array]:
    """Give the (2n,) errors in pixels and their (2n, 6) derivatives by a turn and a shift."""
    turned = points_m @ rotation.T
    points = turned + shift
    step = _STEP * max(abs(float(shift[2])), 1e-12)
    offsets = np.concatenate([np.zeros((1, 3)), step * np.eye(3), -step * np.eye(3)])
    uv = camera.project(points[:, None] + offsets)  # (n, 7, 2)
    by_point = np.swapaxes(uv[:, 1:4] - uv[:, 4:], 1, 2) / (2 * step)  # (n, 2, 3)
    x, y, z = turned.T
    zero = np.zeros_like(x)
    # A turn w moves a point by w x turned.
    by_turn = np.array([[zero, z, -y], [-z, zero, x], [y, -x, zero]]).transpose(2, 0, 1)
    by_pose = np.concatenate([by_point @ by_turn, by_point], axis=-1)
    return (uv[:, 0] - uv_px).ravel(), by_pose.reshape(-1, 6)


def _is_same(a: PlanarPose, b: PlanarPose) -> bool:
    between = a.T_camera_plane[:3, :3].T @ b.T_camera_plane[:3, :3]
    return bool(np.linalg.norm(between - np.eye(3)) < _SAME)
