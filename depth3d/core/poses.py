"""(4, 4) rigid transforms, named after what they map: `T_world_camera` takes camera points to the world."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depth3d.errors import InputError

__all__ = ["as_pose"]


def as_pose(T: npt.ArrayLike | None, name: str = "T_world_camera") -> npt.NDArray[np.float64]:
    """Check a rigid transform; None is the identity.

    Args:
        T: (4, 4), a rotation and a translation in metres over a last row of 0 0 0 1.
        name: What to call it in an error message.

    Raises:
        InputError: Not (4, 4), not finite, or not a rotation with a translation.
    """
    if T is None:
        return np.eye(4)
    try:
        pose = np.asarray(T, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be a (4, 4) array of numbers, got {type(T).__name__}") from None
    if pose.shape != (4, 4) or not _is_rigid(pose):
        got = pose.tolist() if pose.shape == (4, 4) else f"shape {pose.shape}"
        raise InputError(
            f"{name} must be a rigid (4, 4) transform, got {got}; "
            "give a rotation and a translation in metres, with a last row of 0 0 0 1"
        )
    return pose


def _is_rigid(pose: npt.NDArray[np.float64]) -> bool:
    R = pose[:3, :3]
    return bool(
        np.isfinite(pose).all()
        and np.allclose(R @ R.T, np.eye(3), atol=1e-6)
        and np.linalg.det(R) > 0  # or else it mirrors
        and np.array_equal(pose[3], [0, 0, 0, 1])
    )
