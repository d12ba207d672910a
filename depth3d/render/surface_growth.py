"""`grow`: carry planes on from pixel to pixel, ring by ring, along another surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.render.cuts import Joints
from depth3d.render.local_planes import Index, Planes

__all__ = ["Grown", "Seeds", "grow"]

_Array: TypeAlias = npt.NDArray[np.float64]

_STEPS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))
"""The eight neighbours, (down, right); the first four share a side."""
_DIAGONAL = 0.5
"""What a diagonal neighbour counts for beside one that shares a side."""


@dataclass(frozen=True, slots=True, eq=False)
class Seeds:
    """Where planes start, several at a pixel if need be.

    Attributes:
        at: (n,) flat indices of the first pixels to be covered.
        planes: Through those pixels.
        width_px: (n,) float32, how far to go.
    """

    at: Index
    planes: Planes
    width_px: FloatMap


@dataclass(frozen=True, slots=True, eq=False)
class Grown:
    """What planes were carried to.

    Attributes:
        inverse_depth: (H, W) float32 where `ring` is not 0.
        ring: (H, W) int16, in how manieth a ring each pixel was reached, from 1; 0 where none went.
    """

    inverse_depth: FloatMap
    ring: npt.NDArray[np.int16]


def grow(
    seeds: Seeds,
    surface: FloatMap,
    joints: Joints,
    *,
    least_gap: float,
    behind: bool,
    lowest: float,
    motion: tuple[float, float] | None = None,
) -> Grown:
    """Carry planes on along the surface that they are behind, or in front of.

    Each pixel of a ring takes the mean of the planes that its neighbours of the ring before carry. Where
    those tell of two surfaces the one with more of them wins, the nearer one in doubt. The way follows the
    joints of the visible surface; rings of four and of eight neighbours take turns, so that distances are
    those of an octagon. What comes from two sides, as behind a pole, meets in the middle.

    Args:
        seeds: Where to start.
        surface: (H, W) inverse depth of what is visible.
        joints: Of it.
        least_gap: What is told apart, in the unit of inverse depth.
        behind: Whether the planes stay behind the surface, by `least_gap`; if not they stay in front of it.
        lowest: No plane goes on farther than this inverse depth.
        motion: (dx, dy) direction of the parallax: neighbours along it count more. None is any.

    Returns:
        Inverse depths and ring numbers.
    """
    height, width = surface.shape
    flat, right, down = surface.ravel(), joints.right.ravel(), joints.down.ravel()
    grown = np.zeros(flat.shape, np.float32)
    ring_of = np.zeros(flat.shape, np.int16)
    slot = np.zeros(flat.shape, np.int32)
    weights = _weights(motion)

    planes = np.stack([seeds.planes.offset, seeds.planes.right, seeds.planes.down]).astype(np.float64)
    ring, plane, budget = _settled(
        slot, seeds.at, planes, seeds.width_px.astype(np.float64), np.ones(len(seeds.at)), least_gap
    )
    number = 1
    while len(ring):
        ring_of[ring] = number
        visible = flat[ring]
        value = np.maximum(plane[0], lowest)
        grown[ring] = (
            np.maximum(np.minimum(value, visible - least_gap), 0)  # and no farther than infinity
            if behind
            else np.maximum(value, visible + least_gap)
        )
        rows, cols = np.divmod(ring, width)
        parts = []
        for k, (dy, dx) in enumerate(_STEPS[: 8 if number % 2 == 0 else 4]):
            there = ring + dy * width + dx
            inside = (rows + dy >= 0) & (rows + dy < height) & (cols + dx >= 0) & (cols + dx < width)
            inside &= budget >= 1
            some = np.flatnonzero(inside)
            here, there = ring[some], there[some]
            free = ring_of[there] == 0
            some, here, there = some[free], here[free], there[free]
            free = _passes(here, dy, dx, right, down, width)
            some, there = some[free], there[free]
            moved = plane[:, some].copy()
            moved[0] += moved[1] * dx + moved[2] * dy
            parts.append((there, moved, budget[some] - 1, np.full(len(some), weights[k])))
        at = np.concatenate([part[0] for part in parts])
        if not len(at):
            break
        ring, plane, budget = _settled(
            slot,
            at,
            np.concatenate([part[1] for part in parts], axis=1),
            np.concatenate([part[2] for part in parts]),
            np.concatenate([part[3] for part in parts]),
            least_gap,
        )
        number += 1
    return Grown(grown.reshape(height, width), ring_of.reshape(height, width))


def _settled(
    slot: npt.NDArray[np.int32], at: Index, plane: _Array, budget: _Array, weight: _Array, least_gap: float
) -> tuple[Index, _Array, _Array]:
    """Give every pixel one plane: the mean of those that agree with most.

    Args:
        slot: (H * W,) scratch.
        at: (n,) pixels, repeated.
        plane: (3, n) for each of them: value there and slopes.
        budget: (n,) pixels that are left to go.
        weight: (n,).
        least_gap: Planes farther apart than this are two surfaces.

    Returns:
        The m pixels, (3, m) planes and (m,) budgets.
    """
    slot[at] = np.arange(len(at))
    unique = at[slot[at] == np.arange(len(at))]
    slot[unique] = np.arange(len(unique))
    number, size = slot[at], len(unique)

    def mean(of: _Array, by: _Array) -> _Array:
        total = np.bincount(number, of * by, size)
        return np.asarray(total / np.maximum(np.bincount(number, by, size), 1e-9))

    middle = mean(plane[0], weight)[number]
    over, under = plane[0] > middle + least_gap / 2, plane[0] < middle - least_gap / 2
    high, low = np.bincount(number, weight * ~under, size), np.bincount(number, weight * ~over, size)
    taken = weight * np.where((high >= low)[number], ~under, ~over)
    most = np.zeros(size)
    np.maximum.at(most, number, budget)
    return unique, np.stack([mean(row, taken) for row in plane]), most


def _weights(motion: tuple[float, float] | None) -> list[float]:
    if motion is None or not any(motion):
        return [1.0 if k < 4 else _DIAGONAL for k in range(8)]
    x, y = (component / float(np.hypot(*motion)) for component in motion)
    return [
        max(0.05, ((dx * x + dy * y) ** 2) / (dx * dx + dy * dy)) * (1.0 if k < 4 else _DIAGONAL)
        for k, (dy, dx) in enumerate(_STEPS)
    ]


def _passes(here: Index, dy: int, dx: int, right: BoolMap, down: BoolMap, width: int) -> BoolMap:
    """Tell whether the visible surface goes on from pixels to a neighbour; a diagonal one has two ways."""

    def across(origin: Index) -> BoolMap:
        return right[origin] if dx > 0 else right[origin - 1]

    def along(origin: Index) -> BoolMap:
        return down[origin] if dy > 0 else down[origin - width]

    if dy == 0:
        return across(here)
    if dx == 0:
        return along(here)
    return (across(here) & along(here + dx)) | (along(here) & across(here + dy * width))
