"""`resized_scene`: a scene at another size, for pictures that are smaller than the photo."""

from __future__ import annotations

import numpy as np

from depth3d.core.color import to_linear, to_srgb
from depth3d.core.depth import DepthMap
from depth3d.core.resample import resize_depth
from depth3d.core.scene import RGBD

__all__ = ["resized_scene"]

_EDGE_SHARE = 0.01
"""Difference from the nearest pixel, as a share of the scene's range, that makes an edge."""


def resized_scene(scene: RGBD, width: int, height: int) -> RGBD:
    """Resize a photo, its depth and its camera; colours are averaged in linear light.

    Surfaces keep their inverse depth; where two of them meet, each pixel takes that of the nearest old one,
    so that nothing comes to hang between them.

    Args:
        scene: The scene; it is returned as it is if it has the size already.
        width: New width in pixels.
        height: New height in pixels.
    """
    import cv2

    if (width, height) == scene.size_wh:
        return scene
    channels = [
        cv2.resize(to_linear(scene.image[..., k]), (width, height), interpolation=cv2.INTER_AREA)
        for k in range(3)
    ]
    return RGBD(
        to_srgb(np.stack(channels, axis=-1)),
        _crisp(scene.depth, resize_depth(scene.depth, width, height)),
        scene.camera.resized(width, height),
    )


def _crisp(depth: DepthMap, resized: DepthMap) -> DepthMap:
    rows, cols = (
        ((np.arange(new) + 0.5) * (old / new)).astype(np.int64)
        for new, old in ((resized.height, depth.height), (resized.width, depth.width))
    )
    nearest, mixed = depth.values[np.ix_(rows, cols)], resized.values
    if not resized.valid.any():
        return resized
    a, b = (1 / nearest, 1 / mixed) if depth.is_metric else (nearest, mixed)
    span = np.ptp(np.percentile(b[resized.valid], (1, 99)))
    between = np.abs(a - b) > _EDGE_SHARE * span  # NaN compares false
    return DepthMap(np.where(between, nearest, mixed), depth.kind)
