"""`border_flares`: the outermost pixels of a map, where it leaves the surface beside them ever more steeply.

Networks see nothing beyond the border, and along it some photos' maps climb to twice or thrice their inverse
depth within two or three pixels. Lifted to 3D that is a sheet that runs from the sky to the camera.
"""

from __future__ import annotations

import numpy as np

from depth3d.core.arrays import BoolMap
from depth3d.core.depth import DepthMap

__all__ = ["border_flares"]

_LAST = (1, 2)
"""Which pixel from the border, counted from 0, may be the last of a flare."""

_BREAKS, _GROWS = 2.0, 1.1
"""How many times the step inside it the first step of a flare must be, and how many times a step the next one
outwards: at the edge of a thing that juts into the picture the step is alone, and slopes are even."""

_TIMES_THE_NOISE = 5

_WIDEST_GAP_PX = 8
"""Pixels along the border, between two that flare, that do so too, whatever they look like."""


def border_flares(depth: DepthMap, *, tolerance: float = 0.03, noise_per_m: float = 0.0) -> BoolMap:
    """Find the two or three outermost pixels where they leave the surface beside them, step by growing step.

    Args:
        depth: (H, W) metric map.
        tolerance: Smallest first step, as a share of inverse depth.
        noise_per_m: What 1/z may be off by in 1/m; the first step exceeds five times that.

    Returns:
        (H, W) bool; all false along sides on which the map has fewer than five pixels.

    Raises:
        NeedsMetricError: The map is relative.
    """
    depth.require_metric("border_flares()")
    z, found = depth.values, np.zeros(depth.values.shape, dtype=np.bool_)
    sides = ((z, found), (z[::-1], found[::-1]), (z.T, found.T), (z.T[::-1], found.T[::-1]))
    for side, marks in sides:
        if len(side) < _LAST[-1] + 3:
            continue
        lines = 1.0 / side[: _LAST[-1] + 3]
        steps = lines[:-1] - lines[1:]  # outwards
        for last in _LAST:
            jump = np.abs(steps[last])
            flares = jump > tolerance * np.maximum(lines[last], lines[last + 1])  # NaN compares false
            flares &= jump > _BREAKS * np.abs(steps[last + 1])
            flares &= jump > _TIMES_THE_NOISE * noise_per_m
            for i in range(last):
                flares &= steps[i] * np.sign(steps[last]) >= _GROWS * np.abs(steps[i + 1])
            marks[: last + 1] |= flares
        rim = marks[: _LAST[-1] + 1]
        if rim.any():
            import cv2

            along = np.ones((1, _WIDEST_GAP_PX + 1), dtype=np.uint8)
            rim |= np.asarray(cv2.morphologyEx(rim.astype(np.uint8), cv2.MORPH_CLOSE, along)) > 0
    for side, marks in sides:
        marks[: _LAST[-1] + 1] &= ~np.isnan(side[: _LAST[-1] + 1])
    return found
