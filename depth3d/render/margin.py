"""`with_margin`: surfaces that go on beyond the photo's borders."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap
from depth3d.render.cuts import Joints
from depth3d.render.local_planes import fit_planes

__all__ = ["joints_with_margin", "mended_rim", "with_margin"]

_RIM_PX = 2
"""The outermost three rows may be mended."""
_LEAST_RUN_PX = 15
"""So many neighbours must jump together,"""
_SPOILT_SHARE = 0.1
"""unless so much of the row jumps."""
_RADIUS_SHARE = 0.02
_LEAST_RADIUS_PX = 8.0
_COMMON_SLOPE = 0.3
"""Pixels of parallax a pixel that a surface's slope commonly has."""
_ROWS = 128
"""Rows that are continued together, which bounds the memory."""
_OF_THE_SPAN = 0.05
"""What is within this share of the scene's span is believed to be of the surface at the border."""


def mended_rim(inverse_depth: FloatMap, least_gap: float) -> FloatMap:
    """Let the outermost rows and columns go on like those beside them, where they jump.

    Networks' maps are often wrong there, and what shows a pixel or two of itself is no loss; a margin would
    repeat it.

    Args:
        inverse_depth: (H, W).
        least_gap: In its unit: what is a jump.
    """
    import cv2

    mended = inverse_depth.copy()
    run = np.ones((1, _LEAST_RUN_PX), np.uint8)
    for turned in (mended, mended[::-1], mended.T, mended.T[::-1]):
        for row in range(min(_RIM_PX, len(turned) - 3), -1, -1):
            expected = np.maximum(2 * turned[row + 1] - turned[row + 2], 0)
            jumps = (np.abs(turned[row] - expected) > least_gap).astype(np.uint8)[None]
            # What jumps here and there is the edge of a thing that goes on into the picture.
            if jumps.mean() < _SPOILT_SHARE:
                jumps = cv2.morphologyEx(jumps, cv2.MORPH_OPEN, run)
            turned[row] = np.where(jumps[0] > 0, expected, turned[row])
    return mended


def with_margin(
    inverse_depth: FloatMap, margin_px: int, *, span: tuple[float, float], px_per_unit: float
) -> FloatMap:
    """Continue each surface beyond the border as a plane.

    Args:
        inverse_depth: (H, W).
        margin_px: How far.
        span: (farthest, nearest) of the scene; no plane goes on beyond these by more than half their
            distance, nor beyond infinity.
        px_per_unit: Parallax in pixels of a unit of inverse depth, at the most.

    Returns:
        (H + 2 margin, W + 2 margin) float32.
    """
    if margin_px == 0:
        return inverse_depth
    height, width = inverse_depth.shape
    rim = np.zeros(inverse_depth.shape, dtype=np.bool_)
    rim[[0, -1]] = True
    rim[:, [0, -1]] = True
    at = np.flatnonzero(rim)
    far, near = span
    planes = fit_planes(
        inverse_depth,
        at,
        np.full(len(at), _OF_THE_SPAN * (near - far) + 1e-9, np.float32),
        radius_px=max(_LEAST_RADIUS_PX, _RADIUS_SHARE * max(height, width)),
        likely_slope=_COMMON_SLOPE / px_per_unit,
    )
    number = np.zeros(inverse_depth.shape, dtype=np.int32)
    number.ravel()[at] = np.arange(len(at), dtype=np.int32)
    rows = np.arange(-margin_px, height + margin_px)
    cols = np.arange(-margin_px, width + margin_px)
    nearest_row, nearest_col = np.clip(rows, 0, height - 1), np.clip(cols, 0, width - 1)
    own_values = inverse_depth.ravel()[at]
    slack = (near - far) / 2
    whole = np.empty((len(rows), len(cols)), dtype=np.float32)
    for top in range(0, len(rows), _ROWS):
        band = slice(top, top + _ROWS)
        plane = number[nearest_row[band, None], nearest_col[None, :]]
        own = own_values[plane]
        beyond = own + planes.right[plane] * (cols - nearest_col)[None, :]
        beyond += planes.down[plane] * (rows - nearest_row)[band, None]
        low, high = np.minimum(own, max(0.0, far - slack)), np.maximum(own, near + slack)
        whole[band] = np.clip(beyond, low, high)
    whole[margin_px : margin_px + height, margin_px : margin_px + width] = inverse_depth
    return whole


def joints_with_margin(joints: Joints, margin_px: int) -> Joints:
    """Cut the margin where the border is cut, and nowhere else."""
    if margin_px == 0:
        return joints

    def padded(flags: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Repeat the border's flags; those across the border, along the first axis, are all set."""
        inner = np.pad(flags[:-1], ((0, 0), (margin_px, margin_px)), mode="edge")
        beyond = np.ones((margin_px, inner.shape[1]), dtype=np.bool_)
        return np.concatenate([beyond, inner, beyond, np.zeros_like(beyond[:1])])

    return Joints(padded(joints.right.T).T, padded(joints.down))
