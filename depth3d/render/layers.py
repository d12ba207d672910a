"""`layers`: take a photo apart into what is seen and what lies behind it."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from depth3d.core.arrays import FloatMap
from depth3d.core.color import to_linear, to_srgb
from depth3d.core.scene import RGBD
from depth3d.errors import InputError
from depth3d.render.cuts import find_joints
from depth3d.render.hidden import hidden_layer
from depth3d.render.inverse_depth import inverse_depth_of, span_of
from depth3d.render.sheets import Layers, Sheet

__all__ = ["layers"]

_REACH_SHARE = 0.03


def layers(
    scene: RGBD,
    *,
    reach_px: float | None = None,
    margin_px: int | None = None,
    motion: tuple[float, float] | None = None,
    edges: Literal["snap", "keep"] = "snap",
    inpainter: object | None = None,
    seed: int = 0,
) -> Layers:
    """Take a photo apart, once, for all views of it."""
    height, width = scene.image.shape[:2]
    reach = _REACH_SHARE * max(width, height) if reach_px is None else float(reach_px)
    if not (math.isfinite(reach) and reach >= 0):
        raise InputError(f"reach_px must be 0 or more pixels, got {reach_px!r}")
    margin = math.ceil(reach) + 2 if margin_px is None else int(margin_px)
    import cv2

    near = inverse_depth_of(scene, edges=edges)
    sides = (margin,) * 4
    q = cv2.copyMakeBorder(near, *sides, cv2.BORDER_REPLICATE)
    photo = cv2.copyMakeBorder(np.ascontiguousarray(scene.image), *sides, cv2.BORDER_REFLECT_101)
    far_q, near_q = span_of(near)
    span = max(near_q - far_q, 1e-9)
    least = max(1.0, 0.015 * reach) / max(reach, 1e-9) * span
    joints = find_joints(q, least)
    light = to_linear(photo)
    hidden = hidden_layer(light, q, jump=least, width_px=math.ceil(reach) + 3)
    mask = hidden.mask & (hidden.disparity < q - least / 2)
    back_joints = find_joints(hidden.disparity, least)
    camera = scene.camera.cropped(-margin, -margin, width + 2 * margin, height + 2 * margin)
    front = Sheet(photo, q, np.ones_like(q), joints.right, joints.down)
    right, down = mask.copy(), mask.copy()
    right[:, :-1] &= mask[:, 1:]
    right[:, -1] = False
    down[:-1] &= mask[1:]
    down[-1] = False
    back = Sheet(
        to_srgb(hidden.color),
        hidden.disparity,
        mask.astype(np.float32),
        back_joints.right & right,
        back_joints.down & down,
    )
    backdrop = _backdrop(light, q, round(reach) + 2)
    return Layers(front, back, backdrop, camera, margin, reach, scene.image, is_metric=scene.depth.is_metric)


def _backdrop(light: FloatMap, q: FloatMap, reach: int) -> Sheet:
    import cv2

    height, width = q.shape
    size = (max(1, width // 4), max(1, height // 4))
    small = cv2.resize(q, size, interpolation=cv2.INTER_NEAREST)
    side = 2 * (reach // 4) + 3
    low = cv2.erode(small, np.ones((side, side), np.uint8))
    smooth = cv2.blur(low, (side, side))
    q_back = np.minimum(cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR), q)
    color = to_srgb(cv2.resize(cv2.resize(light, size, interpolation=cv2.INTER_AREA), (width, height)))
    everywhere = np.ones(q.shape, dtype=np.bool_)
    right, down = everywhere.copy(), everywhere.copy()
    right[:, -1] = False
    down[-1] = False
    return Sheet(color, q_back, np.ones_like(q), right, down)
