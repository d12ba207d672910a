"""(4, 4) rigid transforms, named after what they map: `T_world_camera` takes camera points to the world."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from depth3d.errors import InputError

__all__ = ["as_pose", "look_at", "place"]


def as_pose(T: npt.ArrayLike | None, name: str = "T_world_camera") -> npt.NDArray[np.float64]:
    """Check a rigid transform; None is the identity.

    Raises:
        InputError: Not (4, 4), not finite, or not a rotation with a translation.
    """
    if T is None:
        return np.eye(4)
    try:
        pose = np.asarray(T, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be a (4, 4) array of numbers, got {type(T).__name__}") from None
    if pose.shape != (4, 4) or not np.isfinite(pose).all():
        raise InputError(f"{name} must be a finite (4, 4) transform, got shape {pose.shape}")
    R = pose[:3, :3]
    rigid = np.allclose(R @ R.T, np.eye(3), atol=1e-6) and np.linalg.det(R) > 0
    if not rigid or not np.array_equal(pose[3], [0, 0, 0, 1]):
        raise InputError(f"{name} must be a rotation and a translation in metres, got {pose.tolist()}")
    return pose


def place(
    x: float, y: float, z: float, *, yaw_deg: float = 0, pitch_deg: float = 0, roll_deg: float = 0
) -> npt.NDArray[np.float64]:
    """Make the pose of a thing: rolled about z, then pitched about x, then yawed about y, then moved.

    Angles turn by the right-hand rule about the OpenCV axes: a positive yaw takes what faces +z
    towards +x, a positive pitch takes +z towards -y, which is up.
    """
    (cy, sy), (cx, sx), (cz, sz) = (
        (math.cos(math.radians(a)), math.sin(math.radians(a))) for a in (yaw_deg, pitch_deg, roll_deg)
    )
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, :3] = about_y @ about_x @ about_z
    pose[:3, 3] = x, y, z
    return pose


def look_at(
    eye: Sequence[float], target: Sequence[float], up: Sequence[float] = (0.0, -1.0, 0.0)
) -> npt.NDArray[np.float64]:
    """Make the camera-to-world pose of a camera at `eye` whose axis goes through `target`.

    Args:
        eye: Position in metres.
        target: A point on the optical axis.
        up: What is upwards in the world, -y unless told.

    Raises:
        InputError: `target` is `eye`, or lies straight along `up`.
    """
    position = np.asarray(eye, dtype=np.float64)
    forward = np.asarray(target, dtype=np.float64) - position
    right = np.cross(forward, np.asarray(up, dtype=np.float64))
    if not np.linalg.norm(right) > 1e-12:
        raise InputError(f"look_at() needs a target off the upward axis, got eye {eye}, target {target}")
    forward = forward / np.linalg.norm(forward)
    right = right / np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = position
    return pose
