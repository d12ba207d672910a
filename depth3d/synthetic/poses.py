"""Makers of (4, 4) rigid transforms: `place` a thing, point a camera with `look_at`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from depth3d.errors import InputError

__all__ = ["look_at", "place"]


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
