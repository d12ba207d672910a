"""`moved`: a cloud or a mesh, seen from another frame."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from depth3d.core.cloud import PointCloud
from depth3d.core.mesh import Mesh
from depth3d.core.poses import as_pose

__all__ = ["moved"]

_Thing = TypeVar("_Thing", bound=PointCloud | Mesh)


def moved(thing: _Thing, T: npt.ArrayLike) -> _Thing:
    """Move a cloud or a mesh: X -> R X + t for its points, n -> R n for its normals.

    Args:
        thing: In the frame that `T` maps from.
        T: (4, 4) rigid transform in metres, such as `T_world_camera`.

    Returns:
        The same thing in the frame that `T` maps to, computed in float64 and rounded once.

    Raises:
        InputError: `T` is not rigid.
    """
    pose = as_pose(T, "T")
    R, t = pose[:3, :3], pose[:3, 3]
    normals = None if thing.normals is None else (thing.normals @ R.T).astype(np.float32)
    if isinstance(thing, Mesh):
        return replace(thing, vertices=(thing.vertices @ R.T + t).astype(np.float32), normals=normals)
    assert isinstance(thing, PointCloud)
    return replace(thing, points=(thing.points @ R.T + t).astype(np.float32), normals=normals)
