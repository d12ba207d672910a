"""`inverse_depth_of`: 1/z for every pixel of a scene, which is what parallax is linear in."""

from __future__ import annotations

from typing import Literal

import numpy as np

from depth3d.core.arrays import FloatMap
from depth3d.core.scene import RGBD
from depth3d.errors import InputError
from depth3d.render.crisp import crisp_disparity
from depth3d.render.disparity import whole_disparity
from depth3d.render.outlines import has_soft_outlines, settled_outlines

__all__ = ["FAR_UNITS", "NEAR_UNITS", "inverse_depth_of", "span_of"]

NEAR_UNITS, FAR_UNITS = 1.0, 5.0
"""Where the nearest and the farthest part of a relative scene are taken to be."""
_ROBUST = (0.1, 99.9)
"""Percentiles that stand for the farthest and the nearest part, so that no single pixel does."""
_MEDIANS = 2
_LEAST_THING_PX = 12
"""What a median takes away is a thing of its own from this length on."""
_STEP_SHARE = 0.03
"""By so much of the map's spread a thing stands out."""


def inverse_depth_of(
    scene: RGBD,
    *,
    edges: Literal["snap", "keep"] = "snap",
    span: tuple[float, float] | None = None,
    quick: bool = False,
) -> FloatMap:
    """Give every pixel an inverse depth, in 1/m or in 1/unit of a relative scene.

    A relative map is true up to 1/z = s * d + t. Its nearest part (percentile 99.9) is taken to be at 1 unit
    and its farthest (percentile 0.1) at 5; planes stay planes, and only the strength of relief is assumed. A
    map without relief lies at the geometric mean of the two. Unknown pixels are filled as for bokeh
    (`depth3d.render.disparity`).

    Args:
        scene: Metric or relative.
        edges: `snap` moves soft edges to where the photo has them, and gives pixels that hang between two
            surfaces to one of them (`depth3d.render.outlines`); `keep` believes the map.
        span: (farthest, nearest) disparity of a relative scene, where its own percentiles are not to be
            asked: those of the film whose frame it is.
        quick: As for `crisp_disparity`.

    Returns:
        (H, W) float32, 0 or more; 0 is infinitely far away.

    Raises:
        InputError: The depth knows no pixel, or `edges` is something else.
    """
    if edges not in ("snap", "keep"):
        raise InputError(f"edges must be snap or keep, got {edges!r}")
    disparity = whole_disparity(scene.depth)
    if edges == "snap":
        # Of a film's frames none may be taken for an exact map, and the next one for a soft one.
        soft = quick or has_soft_outlines(disparity)
        disparity = _smooth_outlines(disparity, crisp_disparity(disparity, scene.image, quick=quick))
        disparity = settled_outlines(disparity) if soft else disparity
    if scene.depth.is_metric:
        return disparity
    far, near = span or span_of(disparity)
    least, most = 1 / FAR_UNITS, 1 / NEAR_UNITS
    if near - far <= 1e-6 * max(abs(near), abs(far), 1e-30):
        return np.full_like(disparity, np.sqrt(least * most))
    scaled = least + (disparity - np.float32(far)) * np.float32((most - least) / (near - far))
    return np.asarray(np.maximum(scaled, 0), dtype=np.float32)


def span_of(inverse_depth: FloatMap) -> tuple[float, float]:
    """Tell how far and how near a scene's parts are, but for single pixels.

    Returns:
        (farthest, nearest) in the unit of the map.
    """
    far, near = np.percentile(inverse_depth, _ROBUST)
    return float(far), float(near)


def _smooth_outlines(soft: FloatMap, crisp: FloatMap) -> FloatMap:
    """Take the frayed edges off outlines that were snapped, which each pixel chose for itself.

    Medians over 5 x 5 pixels keep straight edges as they are. Thin long things, which they would take away,
    stay, as does what was not snapped.
    """
    import cv2

    snapped = crisp != soft
    if not snapped.any():
        return crisp
    smooth = crisp
    for _ in range(_MEDIANS):
        smooth = np.where(snapped, cv2.medianBlur(smooth, 5), smooth)
    lost = crisp - smooth > _STEP_SHARE * float(np.subtract(*np.percentile(soft, (99, 1))))
    _, areas, figures, _ = cv2.connectedComponentsWithStats(lost.astype(np.uint8), connectivity=8)
    long = np.maximum(figures[:, cv2.CC_STAT_WIDTH], figures[:, cv2.CC_STAT_HEIGHT]) >= _LEAST_THING_PX
    long[0] = False
    return np.where(long[areas], crisp, smooth).astype(np.float32)
