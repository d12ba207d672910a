"""`find_cuts`: between which neighbouring pixels one surface ends before another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from depth3d.core.arrays import BoolMap, FloatMap

__all__ = ["Joints", "find_joints", "gaps"]

_LINES = 128
"""Rows, and columns, that are looked at together, which bounds the memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Joints:
    """Where a surface goes on from one pixel to the next.

    Attributes:
        right: (H, W) bool: on to the pixel to the right; False in the last column.
        down: (H, W) bool: on to the pixel below; False in the last row.
    """

    right: BoolMap
    down: BoolMap


def find_joints(inverse_depth: FloatMap, least_gap: float) -> Joints:
    """Join all neighbours but those with a gap between their surfaces.

    Args:
        inverse_depth: (H, W) float32.
        least_gap: In its unit: what is told apart.
    """
    right = np.zeros(inverse_depth.shape, dtype=np.bool_)
    down = np.zeros_like(right)
    for start in range(0, max(inverse_depth.shape), _LINES):
        lines = slice(start, start + _LINES)
        right[lines, :-1] = np.abs(gaps(inverse_depth[lines])) <= least_gap
        columns = np.ascontiguousarray(inverse_depth[:, lines].T)
        down[:-1, lines] = (np.abs(gaps(columns)) <= least_gap).T
    return Joints(right, down)


def gaps(inverse_depth: FloatMap) -> FloatMap:
    """Measure the gap between each pixel and the one to its right.

    It is how far the step between the two is from the steps beside it, to the left or to the right, or from
    no step, whichever is most like it. On a plane, however steep, it is 0: inverse depth is affine there.

    Args:
        inverse_depth: (H, W).

    Returns:
        (H, W - 1), positive where the one to the right is nearer.
    """
    steps = np.diff(inverse_depth, axis=1)
    if steps.shape[1] < 2:
        return steps
    before, after = np.empty_like(steps), np.empty_like(steps)
    before[:, 1:] = after[:, :-1] = np.diff(steps, axis=1)
    # At the border one side must do.
    before[:, 0], after[:, -1] = -after[:, 0], -before[:, -1]
    np.negative(after, out=after)
    gap = np.where(np.abs(before) <= np.abs(after), before, after)
    # Things of two pixels have steps of their own on both sides.
    return np.where(np.abs(gap) <= np.abs(steps), gap, steps)
