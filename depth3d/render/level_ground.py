"""`levelled`: farther surfaces beside silhouettes, freed of what smoothing mixed into them.

Beside a nearer thing a smooth map has a little of it in everything as far as the smoothing reached. A
hundredth of the step tilts what is behind enough for its continuation to miss the photo's pattern.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap

__all__ = ["levelled"]

_CLEAN = 0.003
"""Share of the nearer surface in a pixel, from which on it counts less and less."""
_TILE_PX = 256
_HALO = 12
"""How far around a part is looked, in reaches: the window, and what tells sides apart in it."""
_TOUCHED = 1e-4
"""Less than this changes nothing."""
_WINDOW = 2.5
"""Deviation of the window, in reaches: three reaches away a smooth map is clean."""
_ENOUGH = 0.003
"""Share of the window that must be clean."""
_PRIOR = 0.01
"""Variance of place, in reaches squared, that a slope must overcome."""
_ROUGH = 0.02
"""Deviation of values from a plane, as a share of the step, with which a surface is none."""
_MOST = 0.15
"""By how much a pixel is moved at most, as a share of the step."""


def levelled(
    result: FloatMap,
    near: BoolMap,
    reach: npt.NDArray[np.uint16],
    low: FloatMap,
    high: FloatMap,
) -> FloatMap:
    """Continue planes through farther surfaces away from silhouettes up to these.

    Args:
        result: (H, W) float32, larger is nearer, with ramps turned into steps.
        near: (H, W) bool, pixels on ramps that belong to the nearer surface.
        reach: (H, W), half the width of the ramp at each pixel, 0 off ramps.
        low: (H, W) float32, the lowest value around a pixel on a ramp.
        high: (H, W) float32, the highest.

    Returns:
        (H, W) float32, changed on and beside ramps where the farther surface is plane.
    """
    least, most = result.min(), result.max()
    for size in (int(k) for k in np.unique(reach[reach > 0])):
        halo = _HALO * size
        side = max(_TILE_PX, 2 * halo)
        out = result.copy()
        for top in range(0, len(result), side):
            for left in range(0, result.shape[1], side):
                rows = slice(max(top - halo, 0), top + side + halo)
                cols = slice(max(left - halo, 0), left + side + halo)
                if not (reach[rows, cols] == size).any():
                    continue
                at = np.s_[rows, cols]
                # No surface goes on beyond what the map knows.
                tile = _levelled(result[at], near[at], reach[at], low[at], high[at], size)
                np.clip(tile, least, most, out=tile)
                core = tile[top - rows.start :, left - cols.start :][:side, :side]
                out[top : top + side, left : left + side] = core
        result = out
    return result


def _levelled(
    result: FloatMap,
    near: BoolMap,
    reach: npt.NDArray[np.uint16],
    low: FloatMap,
    high: FloatMap,
    size: int,
) -> FloatMap:
    """Do it in a part of the map, beside ramps of one width."""
    import cv2

    band, own = reach > 0, reach == size
    window = (6 * size + 1, 6 * size + 1)
    count = cv2.blur(own.astype(np.float32), window)
    some = np.maximum(count, 1e-9)
    # Outside the band a side is told by the middle between the sides nearby.
    middle = cv2.blur(np.where(own, (low + high) / 2, 0).astype(np.float32), window) / some
    step = cv2.blur(np.where(own, high - low, 0).astype(np.float32), window) / some
    far = np.where(band, ~near, (count > 0) & (result < middle))
    mixed = cv2.GaussianBlur((near & own).astype(np.float32), (0, 0), float(size))
    weight = np.where(far, 1 / (1 + np.square(mixed / _CLEAN)), 0).astype(np.float32)
    plane, rough, enough = _planes(result, weight, _WINDOW * size, size)
    good = far & (mixed > _TOUCHED) & (enough > _ENOUGH)
    good &= (rough < _ROUGH * step) & (np.abs(plane - result) < _MOST * step)
    return np.where(good, plane, result)


def _planes(
    values: FloatMap, weight: FloatMap, sigma: float, size: int
) -> tuple[FloatMap, FloatMap, FloatMap]:
    """Fit a plane to the weighted values around each pixel.

    Returns:
        Its value at the pixel, the deviation of values from it, and the share of the window with weight.
    """
    import cv2

    half = int(np.ceil(2.5 * sigma))
    along = np.arange(-half, half + 1, dtype=np.float32)
    bell = np.exp(-np.square(along / sigma) / 2)
    bell /= bell.sum()
    powers = [bell * along**k for k in range(3)]

    def moment(of: FloatMap, x: int, y: int) -> FloatMap:
        # What is beyond the border has no weight.
        return np.asarray(
            cv2.sepFilter2D(of, cv2.CV_32F, powers[x], powers[y], borderType=cv2.BORDER_CONSTANT)
        )

    base = np.float32(values.mean())
    heights = weight * (values - base)
    total = moment(weight, 0, 0)
    some = np.maximum(total, 1e-12)
    x, y, xx, xy, yy = (moment(weight, *power) / some for power in ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2)))
    v, xv, yv = (moment(heights, *power) / some for power in ((0, 0), (1, 0), (0, 1)))
    vv = moment(heights * (values - base), 0, 0) / some - v * v
    xx, xy, yy = xx - x * x + _PRIOR * size**2, xy - x * y, yy - y * y + _PRIOR * size**2
    xv, yv = xv - x * v, yv - y * v
    determinant = xx * yy - xy * xy
    slope_x, slope_y = (yy * xv - xy * yv) / determinant, (xx * yv - xy * xv) / determinant
    rough = np.sqrt(np.maximum(vv - slope_x * xv - slope_y * yv, 0))
    return base + v - slope_x * x - slope_y * y, rough, total
