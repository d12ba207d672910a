"""`settled_outlines`: pixels whose depth hangs between two surfaces, given to one of them.

A map that was resized, or whose network smooths, has a pixel or two at each outline that are neither of the
nearer surface nor of the farther one. Each would be a speck that floats between them.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap

__all__ = ["has_soft_outlines", "settled_outlines"]

_LEAST_STEP = 0.05
"""What counts as a step between two surfaces, as a share of the map's spread."""
_REACH_PX = 2
"""How far from a hanging pixel both of its surfaces are."""
_SATURATED = 0.75
"""Share of the range within twice the reach that lies within the reach: of a plane a half, of a step all."""
_HANGS = 0.12
"""How far from both surfaces a hanging pixel is, as a share of the step."""
_MOST_ALIKE = 4
"""Of 3 x 3 pixels so many may be alike on a ramp; on a surface between two others more are."""
_SOFT = 0.15
"""Share of the pixels beside steps that hang in a map with soft edges; in an exact one hardly any does."""
_STEEP = 0.3
"""Share of the step that lies between a hanging pixel and one beside it; on a smooth shape it is less."""
_NARROW = 0.4
"""The same, in maps with soft outlines: wider ramps are for `crisp_disparity` to snap."""
_NEARER = 0.35
"""From this share of the step on a pixel is the nearer surface's: what is left of that behind would show."""
_ROUNDS = 2
_LEAST_THING_PX = 12
"""What a median takes away is a thing of its own from this length on."""

_Index: TypeAlias = npt.NDArray[np.intp]


def has_soft_outlines(disparity: FloatMap) -> bool:
    """Tell whether a map has pixels that hang between surfaces, one or two wide, all along its outlines.

    Args:
        disparity: (H, W) float32, larger is nearer; every pixel is known.
    """
    at, _, _, beside = _hanging(disparity, _LEAST_STEP * _spread(disparity), _NARROW)
    return len(at) > _SOFT * beside


def settled_outlines(disparity: FloatMap) -> FloatMap:
    """Give each pixel that hangs between two surfaces to one of them, and take away what floats alone.

    Args:
        disparity: (H, W) float32, larger is nearer; every pixel is known.

    Returns:
        (H, W) float32. Planes, thin long things, and surfaces of three pixels and more between two others
        are as they were.
    """
    least = _LEAST_STEP * _spread(disparity)
    settled = disparity
    for _ in range(_ROUNDS):
        at, low, high, _ = _hanging(settled, least)
        if not len(at):
            break
        result = settled.copy()
        result.ravel()[at] = _nearest_side(settled, at, low, high)
        settled = result
    return _without_islands(settled, least / 2)


def _spread(disparity: FloatMap) -> float:
    return max(float(np.subtract(*np.percentile(disparity, (99, 1)))), 1e-30)


def _hanging(
    disparity: FloatMap, least: float, steep: float = _STEEP
) -> tuple[_Index, FloatMap, FloatMap, int]:
    """Find hanging pixels.

    Returns:
        (n,) flat indices, (n,) values of the two surfaces, and how many pixels lie beside steps.
    """
    low, high = _extremes(disparity, _REACH_PX)
    wide_low, wide_high = _extremes(disparity, 2 * _REACH_PX)
    step = high - low
    beside = (step > least) & (step > _SATURATED * (wide_high - wide_low))
    at = np.flatnonzero(beside & (disparity - low > _HANGS * step) & (high - disparity > _HANGS * step))
    value, tolerance = disparity.ravel()[at], _HANGS * step.ravel()[at]
    alike, most = np.zeros(len(at), np.uint8), np.zeros(len(at), np.float32)
    for there in _around(at, disparity.shape, 1):
        apart = np.abs(disparity.ravel()[there] - value)
        alike += apart < tolerance
        np.maximum(most, apart, out=most)
    at = at[(alike <= _MOST_ALIKE) & (most > steep / _HANGS * tolerance)]
    return at, low.ravel()[at], high.ravel()[at], int(np.count_nonzero(beside))


def _nearest_side(disparity: FloatMap, at: _Index, low: FloatMap, high: FloatMap) -> FloatMap:
    """Give the mean of what is around of the surface that each pixel is nearer to."""
    flat = disparity.ravel()
    side = np.where(flat[at] >= low + _NEARER * (high - low), high, low)
    tolerance = _HANGS * (high - low)
    total, sums = np.zeros((2, len(at)), np.float32)
    for there in _around(at, disparity.shape, _REACH_PX):
        like = np.abs(flat[there] - side) <= tolerance
        total += like
        sums += like * (flat[there] - side)
    return np.asarray(side + sums / np.maximum(total, 1), dtype=np.float32)


def _without_islands(disparity: FloatMap, least: float) -> FloatMap:
    """Take away specks and teeth by a median over 5 x 5 pixels, but leave what is long and thin."""
    import cv2

    smooth = cv2.medianBlur(disparity, 5)
    result = disparity.copy()
    for specks in (disparity > smooth + least, disparity < smooth - least):
        _, areas, figures, _ = cv2.connectedComponentsWithStats(specks.astype(np.uint8), connectivity=8)
        short = np.maximum(figures[:, cv2.CC_STAT_WIDTH], figures[:, cv2.CC_STAT_HEIGHT]) < _LEAST_THING_PX
        short[0] = False
        result = np.where(short[areas], smooth, result)
    return np.asarray(result, dtype=np.float32)


def _around(at: _Index, shape: tuple[int, ...], reach: int) -> list[_Index]:
    """List the pixels of a square around each of some pixels, the border's once more beyond it."""
    rows, cols = np.divmod(at, shape[1])
    span = range(-reach, reach + 1)
    return [
        np.clip(rows + down, 0, shape[0] - 1) * shape[1] + np.clip(cols + right, 0, shape[1] - 1)
        for down in span
        for right in span
    ]


def _extremes(values: FloatMap, reach: int) -> tuple[FloatMap, FloatMap]:
    import cv2

    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return cv2.erode(values, square), cv2.dilate(values, square)
