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

    From every silhouette the farther side is carried into the nearer surface, ring by ring; each pixel of a
    ring takes the mean of its neighbours in the ring before. The way goes along the near surface and never
    across a jump, so that a slanted floor, which is nearer at its front, hides nothing behind itself.

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
    weight = layer.mask.astype(np.float32)
    carried = np.dstack([layer.color * weight[..., None], layer.disparity * weight, weight])
    carried = cv2.resize(carried, (width, height), interpolation=cv2.INTER_LINEAR)
    known = carried[..., 4] > 1e-3
    carried[known, :4] /= carried[known, 4:]
    mask = known & (carried[..., 3] < disparity - jump / 2)
    return HiddenLayer(
        np.ascontiguousarray(carried[..., :3]), np.where(mask, carried[..., 3], disparity), mask
    )


def _filled(color: FloatMap, disparity: FloatMap, jump: float, width_px: int) -> HiddenLayer:
    """Do it at the size given."""
    height, width = disparity.shape
    near = disparity.ravel()
    # What each pixel hides: colour and disparity side by side.
    visible = np.dstack([color, disparity]).reshape(-1, 4)
    behind = visible.copy()
    reached = np.zeros(height * width, dtype=np.bool_)
    ring, at_ring = _silhouettes(visible, near, (height, width), jump)
    for _ in range(width_px + 1):
        if not len(ring):
            break
        behind[ring] = at_ring
        reached[ring] = True
        at, origin = _neighbours(ring, (height, width))
        onward = ~reached[at] & (np.abs(near[at] - near[origin]) <= jump)
        onward &= behind[origin, 3] < near[at] - jump
        ring, at_ring = _means(at[onward], behind[origin[onward]])
    colors, far = behind[:, :3].reshape(height, width, 3), behind[:, 3].reshape(height, width)
    return HiddenLayer(colors, np.ascontiguousarray(far), reached.reshape(height, width))


def _silhouettes(
    visible: npt.NDArray[np.float32], near: npt.NDArray[np.float32], shape: tuple[int, int], jump: float
) -> tuple[_Index, npt.NDArray[np.float32]]:
    """Find the pixels beside something farther, and what that is: read one pixel on, past mixed colours."""
    everywhere = np.arange(len(near))
    beside, one = _neighbours(everywhere, shape)[::-1]
    falls = near[one] < near[beside] - jump
    beside, one = beside[falls], one[falls]
    rows, cols = np.divmod(one, shape[1])
    next_rows, next_cols = 2 * rows - beside // shape[1], 2 * cols - beside % shape[1]
    inside = (next_rows >= 0) & (next_rows < shape[0]) & (next_cols >= 0) & (next_cols < shape[1])
    two = np.where(inside, next_rows * shape[1] + next_cols, one)
    same = np.abs(near[two] - near[one]) < jump
    return _means(beside, visible[np.where(same, two, one)])


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


def _means(at: _Index, values: npt.NDArray[np.float32]) -> tuple[_Index, npt.NDArray[np.float32]]:
    """Average the values that arrive at each pixel."""
    pixels, number, count = np.unique(at, return_inverse=True, return_counts=True)
    sums = np.stack(
        [np.bincount(number, values[:, k], minlength=len(pixels)) for k in range(values.shape[1])], axis=1
    )
    return pixels, (sums / np.maximum(count, 1)[:, None]).astype(np.float32)
