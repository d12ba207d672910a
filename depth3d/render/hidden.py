"""`hidden_layer`: what is behind the foreground, as far as the picture tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap

__all__ = ["HiddenLayer", "hidden_layer"]

_WORKING_PX = 1_200_000
"""Larger pictures are filled at a smaller size: what is hidden is smooth anyway."""

_REACH_PX = 3
"""How far from a hidden pixel colours are looked at."""
_CALM_PX = 12.0
"""How far from a silhouette colours still go on along their edges."""

_Index: TypeAlias = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class HiddenLayer:
    """A second surface behind the first, known beside each silhouette only.

    Attributes:
        color: (H, W, 3) float32 linear light; of use where `mask` is set.
        disparity: (H, W) float32 in the unit that was given; behind the visible surface where `mask` is
            set, equal to it elsewhere.
        mask: (H, W) bool: where there is a second surface.
    """

    color: FloatMap
    disparity: FloatMap
    mask: BoolMap


def hidden_layer(color: FloatMap, disparity: FloatMap, *, jump: float, width_px: int) -> HiddenLayer:
    """Continue each background a little way behind the foreground that covers it.

    From every silhouette the disparity of the farther side is carried into the nearer surface, ring by ring;
    each pixel of a ring takes the mean of its neighbours in the ring before. The way goes along the near
    surface and never across a jump, so that a slanted floor, which is nearer at its front, hides nothing
    behind itself. Colours go on along their edges (Bertalmio, Bertozzi and Sapiro, "Navier-Stokes, fluid
    dynamics, and image and video inpainting", CVPR 2001), and never come from what is nearer.

    Args:
        color: (H, W, 3) float32 linear light.
        disparity: (H, W) float32, larger is nearer, any unit; every pixel is known.
        jump: Difference in disparity between neighbours that makes a silhouette.
        width_px: How far from the silhouette to go.

    Returns:
        The layer, at the same size.
    """
    height, width = disparity.shape
    factor = max(1, int(np.ceil(np.sqrt(height * width / _WORKING_PX))))
    if factor == 1:
        return _filled(color, disparity, jump, width_px)
    import cv2

    small = (-(-width // factor), -(-height // factor))
    # Nearest, so that no pixel of the smaller map hangs between two surfaces.
    few = cv2.resize(disparity, small, interpolation=cv2.INTER_NEAREST_EXACT)
    layer = _filled(
        cv2.resize(color, small, interpolation=cv2.INTER_NEAREST_EXACT), few, jump, -(-width_px // factor)
    )
    # Outside the mask the smaller maps show the foreground, which must not be blended in.
    inside = layer.mask.astype(np.float32)

    def enlarged(values: FloatMap) -> FloatMap:
        return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR))

    weight = enlarged(inside)
    mask = weight > 1e-3
    np.maximum(weight, 1e-3, out=weight)
    np.reciprocal(weight, out=weight)
    far = enlarged(layer.disparity * inside)
    far *= weight
    mask &= far < disparity - jump / 2
    colors = enlarged(layer.color * inside[..., None])
    colors *= weight[..., None]
    return HiddenLayer(colors, np.where(mask, far, disparity), mask)


def _filled(color: FloatMap, disparity: FloatMap, jump: float, width_px: int) -> HiddenLayer:
    """Do it at the size given."""
    near = disparity.ravel()
    behind = near.copy()
    reached = np.zeros(len(near), dtype=np.bool_)
    ring, at_ring = _silhouettes(disparity, jump)
    for _ in range(width_px + 1):
        if not len(ring):
            break
        behind[ring] = at_ring
        reached[ring] = True
        at, origin = _neighbours(ring, (disparity.shape[0], disparity.shape[1]))
        onward = ~reached[at] & (np.abs(near[at] - near[origin]) <= jump)
        onward &= behind[origin] < near[at] - jump
        ring, at_ring = _means(at[onward], behind[origin[onward]])
    far, mask = behind.reshape(disparity.shape), reached.reshape(disparity.shape)
    return HiddenLayer(_colors(color, disparity, far, mask, jump, width_px), far, mask)


def _colors(
    color: FloatMap, disparity: FloatMap, far: FloatMap, mask: BoolMap, jump: float, width_px: int
) -> FloatMap:
    """Continue the colours of the farther surfaces into the mask."""
    import cv2

    if not mask.any():
        return color
    # What is nearer than the hidden surface around is no source of its colours either, as far as `_calmed`
    # looks.
    around = np.ones((8 * width_px + 1, 8 * width_px + 1), np.uint8)
    behind = cv2.dilate(np.where(mask, far, -np.inf).astype(np.float32), around)
    hides = mask | (np.isfinite(behind) & (disparity > behind + jump))
    # A little of a lamp outshines all else in the pixels beside it.
    lamps = np.where(color.max(axis=2) >= 1, disparity, -np.inf).astype(np.float32)
    hides |= cv2.dilate(lamps, np.ones((3, 3), np.uint8)) > disparity + jump
    unknown = hides.astype(np.uint8)
    if unknown.all():
        return color
    color = np.minimum(color, 1)  # and it ends where it is seen to end
    planes = [
        cv2.inpaint(np.ascontiguousarray(color[..., c]), unknown, _REACH_PX, cv2.INPAINT_NS) for c in range(3)
    ]
    return _calmed(np.dstack(planes), color, unknown)


def _calmed(filled: FloatMap, color: FloatMap, unknown: npt.NDArray[np.uint8]) -> FloatMap:
    """Let streaks fade into the mean of what is known around, over a window that grows with the distance."""
    import cv2

    distance = cv2.distanceTransform(unknown, cv2.DIST_L2, 5)
    known = (1 - unknown).astype(np.float32)
    visible = color * known[..., None]
    calm, level = filled.copy(), np.log2(np.maximum(distance, 1))
    for k in range(int(np.ceil(level.max())) + 1):
        # Two levels are mixed, from distances of 2^(k-1) to 2^(k+1): the box reaches what is known.
        here = np.abs(level - k) < 1
        here &= unknown > 0
        side = (2 ** (k + 2) + 1,) * 2
        mean = cv2.blur(visible, side)[here] / np.maximum(cv2.blur(known, side)[here], 1e-6)[:, None]
        share = (1 - np.abs(level[here] - k)) * np.minimum(distance[here] / _CALM_PX, 1)
        calm[here] += share[:, None] * (mean - filled[here])
    return calm


def _silhouettes(disparity: FloatMap, jump: float) -> tuple[_Index, FloatMap]:
    """Find the pixels beside something farther, and its disparity."""
    width = disparity.shape[1]
    at, values = [], []
    for axis, step in ((0, width), (1, 1)):
        first = disparity[:-1] if axis == 0 else disparity[:, :-1]
        second = disparity[1:] if axis == 0 else disparity[:, 1:]
        fall = first - second
        for near_shift, here, beyond in ((0, fall > jump, second), (step, fall < -jump, first)):
            rows, cols = np.nonzero(here)
            at.append(rows * width + cols + near_shift)
            values.append(beyond[here])
    return _means(np.concatenate(at), np.concatenate(values))


def _neighbours(pixels: _Index, shape: tuple[int, int]) -> tuple[_Index, _Index]:
    """List the four neighbours of pixels, and whose neighbour each is."""
    rows, cols = np.divmod(pixels, shape[1])
    parts = [
        (pixels[inside] + step, pixels[inside])
        for step, inside in (
            (-shape[1], rows > 0),
            (shape[1], rows < shape[0] - 1),
            (-1, cols > 0),
            (1, cols < shape[1] - 1),
        )
    ]
    return np.concatenate([at for at, _ in parts]), np.concatenate([origin for _, origin in parts])


def _means(at: _Index, values: FloatMap) -> tuple[_Index, FloatMap]:
    """Average the values that arrive at each pixel."""
    pixels, number, count = np.unique(at, return_inverse=True, return_counts=True)
    sums = np.bincount(number, values, minlength=len(pixels))
    return pixels, (sums / np.maximum(count, 1)).astype(np.float32)
