"""`silhouettes_of`, `hidden_depth`, `overhang`: how surfaces go on where another one covers or ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from depth3d.core.arrays import FloatMap
from depth3d.render.cuts import Joints, gaps
from depth3d.render.local_planes import Index, Planes, fit_planes
from depth3d.render.surface_growth import Grown, Seeds, grow

__all__ = ["Silhouettes", "hidden_depth", "overhang", "silhouettes_of"]

_RADIUS_SHARE = 0.012
_LEAST_RADIUS_PX = 6.0
"""Of the disc in which planes are fitted: a share of the longer side, and no less than this."""
_OF_THE_GAP = 0.35
"""What is within this share of the gap is believed to be of the surface beside it."""
_LEAST_TOLERANCE_PX = 0.35
"""What differs by so little parallax is believed to be of it in any case."""
_COMMON_SLOPE = 0.3
"""Pixels of parallax a pixel that a surface's slope commonly has."""
_MORE_WIDTH = 1.1
_SAFETY_PX = 3.0
_ROWS = 128
"""Rows in which silhouettes are looked for together, which bounds the memory."""
_BEYOND = 0.1
"""How far a plane may go on behind all that is visible, as a share of the map's range."""


@dataclass(frozen=True, slots=True, eq=False)
class Silhouettes:
    """The pairs of neighbours between which a surface ends before another.

    Attributes:
        near: (n,) flat indices of the nearer pixels.
        far: (n,) of those beside them.
        gap: (n,) float32, between the two surfaces, in the unit of inverse depth.
        along: (n, 2) float32: |x| and |y| of the unit vector from the one to the other.
    """

    near: Index
    far: Index
    gap: FloatMap
    along: FloatMap


def silhouettes_of(inverse_depth: FloatMap, joints: Joints) -> Silhouettes:
    """List the pairs of neighbours that are not joined."""
    height, width = inverse_depth.shape
    found: list[tuple[Index, FloatMap, int, tuple[float, float]]] = []
    for top in range(0, height, _ROWS):
        rows, cols = np.nonzero(~joints.right[top : top + _ROWS, :-1])
        gap = gaps(inverse_depth[top : top + _ROWS])[rows, cols]
        found.append(((rows + top) * width + cols, gap, 1, (1.0, 0.0)))
    for top in range(0, height - 1, _ROWS):
        rows, cols = np.nonzero(~joints.down[top : min(top + _ROWS, height - 1)])
        # A gap asks a row more before it, and two behind it.
        first = max(top - 1, 0)
        gap = gaps(inverse_depth[first : top + _ROWS + 2].T)[cols, rows + top - first]
        found.append(((rows + top) * width + cols, gap, width, (0.0, 1.0)))
    return Silhouettes(
        np.concatenate([np.where(gap > 0, at + step, at) for at, gap, step, _ in found]),
        np.concatenate([np.where(gap > 0, at, at + step) for at, gap, step, _ in found]),
        np.concatenate([np.abs(gap) for _, gap, _, _ in found]),
        np.concatenate([np.tile(np.array(way, np.float32), (len(at), 1)) for at, _, _, way in found]),
    )


def hidden_depth(
    inverse_depth: FloatMap,
    joints: Joints,
    silhouettes: Silhouettes,
    *,
    px_per_unit: float,
    least_gap: float,
    motion: tuple[float, float] | None = None,
) -> Grown:
    """Continue each farther surface behind the nearer one that covers it.

    It goes on as a plane, as far as the parallax of the two lets one see, and a little more.

    Args:
        inverse_depth: (H, W) of what is visible.
        joints: Of it.
        silhouettes: Of it.
        px_per_unit: Parallax in pixels of a unit of inverse depth, at the most.
        least_gap: What is told apart.
        motion: (dx, dy) direction of the parallax in the picture; None is any.
    """
    s = silhouettes
    planes = _from(s.far, s.near, inverse_depth, s.gap, px_per_unit, 1)
    reach = s.gap * np.float32(px_per_unit * _MORE_WIDTH)
    if motion is not None and any(motion):
        x, y = (abs(component) / float(np.hypot(*motion)) for component in motion)
        reach = reach * (s.along @ np.array([x, y], np.float32))
    low, high = float(inverse_depth.min()), float(inverse_depth.max())
    lowest = max(0.0, low - _BEYOND * (high - low))
    seeds = Seeds(s.near, planes, reach + np.float32(_SAFETY_PX))
    return grow(
        seeds, inverse_depth, joints, least_gap=least_gap / 2, behind=True, lowest=lowest, motion=motion
    )


def overhang(
    inverse_depth: FloatMap,
    joints: Joints,
    silhouettes: Silhouettes,
    *,
    px_per_unit: float,
    least_gap: float,
    width_px: int,
) -> Grown:
    """Continue each nearer surface beyond its edge, over the farther one, by a few pixels."""
    s = silhouettes
    planes = _from(s.near, s.far, inverse_depth, s.gap, px_per_unit, -1)
    seeds = Seeds(s.far, planes, np.full(len(s.far), width_px, np.float32))
    return grow(seeds, inverse_depth, joints, least_gap=least_gap / 2, behind=False, lowest=0.0)


def _from(
    origin: Index, to: Index, inverse_depth: FloatMap, gap: FloatMap, px_per_unit: float, side: int
) -> Planes:
    """Fit the planes of the pixels at one side of silhouettes, and move them to the other side."""
    width = inverse_depth.shape[1]
    unique, first, number = np.unique(origin, return_index=True, return_inverse=True)
    planes = fit_planes(
        inverse_depth,
        unique,
        np.maximum(_OF_THE_GAP * gap[first], np.float32(_LEAST_TOLERANCE_PX / px_per_unit)),
        radius_px=max(_LEAST_RADIUS_PX, _RADIUS_SHARE * max(inverse_depth.shape)),
        likely_slope=_COMMON_SLOPE / px_per_unit,
        side=np.float32(side / 2) * gap[first],
    )
    rows, cols = np.divmod(origin, width)
    to_rows, to_cols = np.divmod(to, width)
    right, down = planes.right[number], planes.down[number]
    offset = planes.offset[number] + right * (to_cols - cols) + down * (to_rows - rows)
    return Planes(offset.astype(np.float32), right, down)
