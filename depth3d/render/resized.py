"""`resized_scene`: a scene at another size, for pictures that are smaller than the photo."""

from __future__ import annotations

import numpy as np

from depth3d.core.color import to_linear, to_srgb
from depth3d.core.resample import resize_depth
from depth3d.core.scene import RGBD

__all__ = ["resized_scene"]


def resized_scene(scene: RGBD, width: int, height: int) -> RGBD:
    """Resize a photo, its depth and its camera; colours are averaged in linear light.

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
        resize_depth(scene.depth, width, height),
        scene.camera.resized(width, height),
    )
