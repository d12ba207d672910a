"""`fit_planes`: the plane in inverse depth of the surface that each of many pixels belongs to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap

__all__ = ["Index", "Planes", "fit_planes"]

Index: TypeAlias = npt.NDArray[np.intp]
_Array: TypeAlias = npt.NDArray[np.float32]

_SAMPLES = 40
_ROUNDS = (1.0, 0.4, 0.15)
"""Scale of what is believed to be of the surface, round by round, as a share of the tolerance."""
_LEAST_SUPPORT = 0.2
"""Share of the samples on a pixel's side of a silhouette that must be like it."""
_LEAST_COUNT = 1e-3
"""Samples, weighted, that a slope needs."""
_CORRELATED = 12.0
"""Errors of neighbouring pixels are alike: so many samples count for one."""


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """Planes, one for each of n pixels.

    Attributes:
        offset: (n,) float32, inverse depth at the pixel itself.
        right: (n,) float32, its change a pixel to the right.
        down: (n,) float32, its change a pixel down.
    """

    offset: _Array
    right: _Array
    down: _Array


def fit_planes(
    inverse_depth: FloatMap,
    at: Index,
    tolerance: _Array,
    *,
    radius_px: float,
    likely_slope: _Array | float,
    side: _Array | None = None,
) -> Planes:
    """Fit a plane to the surface around each pixel, robustly.

    Samples from a disc around the pixel are weighed down with their distance from the plane of the round
    before (Geman and McClure's weight, 1 / (1 + r^2 / s^2)^2, with a scale s that falls from round to round);
    the first one is level. A slope must stand out from its own error: the prior on it is normal with the
    deviation `likely_slope`.

    Args:
        inverse_depth: (H, W).
        at: (n,) flat indices.
        tolerance: (n,) how far from the pixel's own value, in the map's unit, samples may be of its surface.
        radius_px: Of the disc.
        likely_slope: Change a pixel that is common, one number or (n,).
        side: (n,) how far from the pixel's own value, up if positive and down if negative, samples are of
            this side of a silhouette. Where hardly any of those are like the pixel it hangs between the
            surfaces, and the fit starts from their mean. None trusts all pixels.

    Returns:
        The planes, through the pixels' own values where those are of the surface, as the fit is robust.
    """
    height, width = inverse_depth.shape
    rows, cols = np.divmod(at, width)
    flat = inverse_depth.ravel()
    own = flat[at]
    steps, values, near = [], [], []
    for number in range(_SAMPLES):
        # A sunflower's pattern, evenly over the disc.
        rho = math.sqrt((number + 0.5) / _SAMPLES)
        turn = number * math.pi * (3 - math.sqrt(5))
        right, down = round(rho * radius_px * math.cos(turn)), round(rho * radius_px * math.sin(turn))
        row, col = np.clip(rows + down, 0, height - 1), np.clip(cols + right, 0, width - 1)
        steps.append(((col - cols).astype(np.float32), (row - rows).astype(np.float32)))
        values.append(flat[row * width + col] - own)
        near.append(math.exp(-2 * rho**2))
    slope_x: _Array = np.zeros(len(at), np.float32)
    slope_y: _Array = np.zeros(len(at), np.float32)
    offset = np.zeros(len(at), np.float32) if side is None else _start(values, near, tolerance, side)
    least = np.maximum(np.abs(own) * 1e-6, 1e-12)
    for share in _ROUNDS:
        scale = np.maximum(share * tolerance, least)
        moments = np.zeros((6, len(at)), np.float32)
        sums = np.zeros((3, len(at)), np.float32)
        misfit = np.zeros(len(at), np.float32)
        for (x, y), value, weight in zip(steps, values, near, strict=True):
            rest = value - offset - slope_x * x - slope_y * y
            trust = (weight / (1 + np.square(rest / scale)) ** 2).astype(np.float32)
            for k, factor in enumerate((1.0, x, y, x * x, x * y, y * y)):
                moments[k] += trust * factor
            for k, factor in enumerate((1.0, x, y)):
                sums[k] += trust * factor * value
            misfit += trust * np.square(rest)
        count, x, y, xx, xy, yy = moments
        count = np.maximum(count, 1e-6)
        variance = misfit / count + np.square(least)
        stiff = _CORRELATED * variance / np.square(np.maximum(likely_slope, 1e-30))
        mx, my, mv = x / count, y / count, sums[0] / count
        a, b, c = xx - mx * x + stiff, xy - mx * y, yy - my * y + stiff
        d, e = sums[1] - mx * sums[0], sums[2] - my * sums[0]
        determinant = np.maximum(a * c - b * b, 1e-30)
        slope_x, slope_y = (c * d - b * e) / determinant, (a * e - b * d) / determinant
        # Of a surface of which hardly anything is seen only the level is known.
        alone = count < _LEAST_COUNT
        slope_x, slope_y = (np.where(alone, 0, s).astype(np.float32) for s in (slope_x, slope_y))
        level = mv - slope_x * mx - slope_y * my
        offset = np.where(alone, offset, level).astype(np.float32)
    return Planes(own + offset, slope_x, slope_y)


def _start(values: list[_Array], near: list[float], tolerance: _Array, side: _Array) -> _Array:
    """Give the level from which to start, less the pixel's own: 0 where enough samples are like the pixel."""
    total, alike, sums = (np.full(len(side), 1e-9, np.float32) for _ in range(3))
    for value, weight in zip(values, near, strict=True):
        here = np.float32(weight) * np.where(side > 0, value < side, value > side)
        total += here
        sums += here * value
        alike += here * (np.abs(value) <= tolerance)
    return np.where(alike < _LEAST_SUPPORT * total, sums / total, 0).astype(np.float32)
