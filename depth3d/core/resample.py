"""Resizing of depth maps with half-pixel centres (`align_corners=False`).

The inverse depth of a plane is affine in (u, v), so bilinear interpolation of inverse depth carries
planes over exactly; interpolating z itself would bend every floor.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError

__all__ = ["resize_bilinear", "resize_depth"]


def resize_depth(depth: DepthMap, width: int, height: int) -> DepthMap:
    """Resize a map, in inverse depth where it is metric.

    Bilinear, half-pixel centres, clamped at the border. A sample that would touch an unknown
    pixel takes its nearest neighbour instead, so that holes neither grow nor bleed.

    Args:
        depth: The map.
        width: New width in pixels.
        height: New height in pixels.

    Returns:
        A map of the same kind, `height` x `width`. Between the outermost old centres planes keep
        their inverse depth exactly.

    Raises:
        InputError: A size that is not a positive whole number of pixels.
    """
    if not all(isinstance(side, int | np.integer) and side >= 1 for side in (width, height)):
        raise InputError(f"the new size must be whole pixels, at least 1x1, got {width}x{height}")
    if (width, height) == depth.size_wh:
        return depth
    values = 1.0 / depth.values if depth.is_metric else depth.values
    resized = resize_bilinear(values, width, height)
    holes = np.isnan(resized)
    if holes.any():
        rows, cols = np.nonzero(holes)
        near_row = np.minimum(((rows + 0.5) * depth.height / height).astype(np.int64), depth.height - 1)
        near_col = np.minimum(((cols + 0.5) * depth.width / width).astype(np.int64), depth.width - 1)
        resized[holes] = values[near_row, near_col]
    return DepthMap(1.0 / resized if depth.is_metric else resized, depth.kind)


def resize_bilinear(values: FloatMap, width: int, height: int) -> FloatMap:
    """Interpolate an (H, W) float map bilinearly; NaN wherever a sample touches NaN."""
    along_rows = _interpolate(values, height, axis=0)
    return _interpolate(along_rows, width, axis=1)


def _interpolate(values: FloatMap, size: int, axis: int) -> FloatMap:
    old = values.shape[axis]
    where = np.clip((np.arange(size) + 0.5) * (old / size) - 0.5, 0, old - 1)
    low = np.floor(where).astype(np.int64)
    weight: npt.NDArray[np.float32] = (where - low).astype(np.float32)
    high = np.minimum(low + 1, old - 1)
    weight = weight[:, None] if axis == 0 else weight[None, :]
    a, b = values.take(low, axis), values.take(high, axis)
    # A zero weight must not let a NaN neighbour in: 0 * NaN is NaN.
    mixed = np.where(weight > 0, a + weight * (b - a), a)
    return np.asarray(mixed, dtype=np.float32)
