"""`split_rims`: pixels beside a silhouette that hold light of the nearer surface, too, taken apart.

A pixel of the background that a foreground covers by a third would stay as a thin line where the foreground
is blurred away, and a lamp would leave a ring.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from depth3d.accel.tensors import tensor_view
from depth3d.core.arrays import FloatArray, FloatMap
from depth3d.render.layering import Spots, Surface
from depth3d.render.squares import Squares

__all__ = ["Rims", "split_rims", "with_rims"]

_WIDTH_SHARE = 1 / 2000
"""Width of the rims as a share of the longer side: a large photo's edges are softer than a pixel."""
_WINDOW_PX = 3
"""How far beside the rims pure colours are looked for."""
_IMPURE = 1e-3
"""What pixels beside a silhouette count for as pure colours, where there are no others."""
_SHARE_SIGMA = 0.3
"""Deviation of the nearer surface's share of a pixel, which is less than half where depth says the other."""
_NOISE = 0.0015
"""Deviation of linear light that is taken for noise: bytes, in the shadows."""
_FEW = 0.02
"""Variance of colours that are known from few pixels."""
_MOST_SHARE = 0.9
_LEAST_SHARE = 0.02
"""Less of the nearer surface than this is left where it is."""
_LEAST_STEP_PX = 1.0
"""With a smaller step in radius the two surfaces of a pixel are blurred alike, and it stays whole."""
_CLIPPED = (0.98, 1.001)
"""Linear light of the brightest channel of a nearer surface that the sensor cut off."""
_CHUNK_PX = 1 << 16

_Index: TypeAlias = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Rims:
    """Pixels of farther surfaces that nearer ones share.

    Attributes:
        at: (n,) flat indices.
        share: (n,) float32, 0..1, of the nearer surface.
        near_color: (n, 3) float32 linear light of the nearer surface.
        near_disparity: (n,) float32.
        far_color: (n, 3) float32 linear light of the farther one.
    """

    at: _Index
    share: FloatArray
    near_color: FloatArray
    near_disparity: FloatArray
    far_color: FloatArray

    def behind(self, color: FloatMap) -> FloatMap:
        """Give the picture without what nearer surfaces have of farther ones' pixels: (H, W, 3)."""
        if not len(self.at):
            return color
        freed = np.array(color)
        freed.reshape(-1, 3)[self.at] = self.far_color
        return freed


def split_rims(color: FloatMap, disparity: FloatMap, *, jump: float) -> Rims:
    """Estimate how much of each pixel beside a silhouette belongs to the surface before it.

    With F the mean colour of the nearer surface around, B that of the farther one, S the latter's covariance
    and I the pixel's colour, the share is the mode of its posterior, `(F - B)' S^-1 (I - B) / ((F - B)' S^-1
    (F - B) + 1 / 0.3^2)`, as in Bayesian matting (Chuang, Curless, Salesin and Szeliski, CVPR 2001): a colour
    that the background has anyway says nothing. What is left of I without its share of F is the farther
    surface's; the larger the share, the more of it is the mean. Of a nearer surface that is clipped, F is
    only a part: there the farther surface's colour is the mean, and all other light is the nearer one's.

    Args:
        color: (H, W, 3) float32 linear light; lamps may be above 1.
        disparity: (H, W) float32, larger is nearer, any unit.
        jump: Difference in disparity between neighbours that makes a silhouette.

    Returns:
        The pixels of farther surfaces of which a nearer one has 2 % or more.
    """
    import cv2

    reach = max(1, round(_WIDTH_SHARE * max(disparity.shape)))
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    shared = cv2.dilate(disparity, square) > disparity + jump
    pure = ~shared
    pure &= cv2.erode(disparity, square) >= disparity - jump
    at = np.flatnonzero(shared)
    parts = [
        _split(color, disparity, jump, at[start : start + _CHUNK_PX], pure.ravel(), reach)
        for start in range(0, max(1, len(at)), _CHUNK_PX)
    ]
    fields = ("at", "share", "near_color", "near_disparity", "far_color")
    return Rims(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))


def with_rims(
    visible: Surface, hidden: Spots | None, rims: Rims, near_radius: FloatArray
) -> tuple[Surface, Spots | None]:
    """Let the nearer surface have its share of the rims, in front, and what is left go on behind it.

    Args:
        visible: The whole picture, without a mask. Its radii are changed in place.
        hidden: What is behind it, or None.
        rims: Of this picture.
        near_radius: (n,) signed radius of blur of the nearer surface at each of them.

    Returns:
        The two surfaces, on the same device; the given ones where there are no rims.
    """
    device, size = visible.radius.device, (visible.radius.shape[0], visible.radius.shape[1])
    at, step = tensor_view(rims.at).to(device), tensor_view(near_radius).to(device)
    radii = visible.radius.view(-1)
    own = radii[at]
    apart = (step - own).abs() >= _LEAST_STEP_PX
    at, own, step = at[apart], own[apart], step[apart]
    if not len(at):
        return visible, hidden
    share, near, far = (
        tensor_view(values).to(device)[apart] for values in (rims.share, rims.near_color, rims.far_color)
    )
    radii[at] = step
    front = replace(visible, rims=Squares(at, [*near.T, share], (*[math.nan] * 3, 1), size))
    if hidden is None:
        return front, Spots(at, far.T, own, size)
    taken = torch.zeros(len(radii), dtype=torch.bool, device=device)
    taken[at] = True
    rest = ~taken[hidden.at]
    back = Spots(
        torch.cat([hidden.at[rest], at]),
        torch.cat([hidden.light[:, rest], far.T], dim=1),
        torch.cat([hidden.radius[rest], own]),
        size,
    )
    return front, back


def _split(
    color: FloatMap, disparity: FloatMap, jump: float, at: _Index, pure: npt.NDArray[np.bool_], reach: int
) -> Rims:
    height, width = disparity.shape
    flat, colors = disparity.ravel(), color.reshape(-1, 3)
    rows, cols = np.divmod(at, width)
    own, light = flat[at], colors[at]
    count = len(at)
    far_sum, near_sum = np.full(count, 1e-9, np.float32), np.full(count, 1e-9, np.float32)
    far, near = np.zeros((count, 3), np.float32), np.zeros((count, 3), np.float32)
    square = np.zeros((count, 3, 3), np.float32)
    level = np.zeros(count, np.float32)
    window = _WINDOW_PX + reach - 1
    for down in range(-window, window + 1):
        for right in range(-window, window + 1):
            distance = (down**2 + right**2) / window**2
            y, x = rows + down, cols + right
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            there = y.clip(0, height - 1) * width + x.clip(0, width - 1)
            value, offset = flat[there], colors[there] - light
            weight = inside * np.where(pure[there], np.float32(1), np.float32(_IMPURE))
            weight *= np.float32(np.exp(-distance))
            of_far, of_near = weight * (np.abs(value - own) <= jump), weight * (value > own + jump)
            far_sum += of_far
            near_sum += of_near
            weighed = of_far[:, None] * offset
            far += weighed
            near += of_near[:, None] * offset
            square += weighed[:, :, None] * offset[:, None, :]
            level += of_near * value
    far /= far_sum[:, None]
    near /= near_sum[:, None]
    spread = square / far_sum[:, None, None] - far[:, :, None] * far[:, None, :]
    noise = _NOISE**2 + _FEW / (1 + 200 * far_sum)
    spread += np.eye(3, dtype=np.float32) * noise[:, None, None]
    way = near - far
    told = np.linalg.solve(spread, way[..., None])[..., 0]
    share = -(far * told).sum(axis=1) / ((way * told).sum(axis=1) + 1 / _SHARE_SIGMA**2)
    share = share.clip(0, _MOST_SHARE).astype(np.float32)
    some = share >= _LEAST_SHARE
    share, near, far, light = share[some], near[some], far[some], light[some]
    alone = np.maximum(light - (share / (1 - share))[:, None] * near, 0)
    mean = ((share / _MOST_SHARE) ** 2)[:, None]
    far_color, near_color = (alone + mean * (light + far - alone)).astype(np.float32), light + near
    brightest = near_color.max(axis=1)
    clipped = (brightest >= _CLIPPED[0]) & (brightest <= _CLIPPED[1])
    far_color[clipped] = (light + far)[clipped]
    part = share[clipped, None]
    near_color[clipped] = np.maximum(light[clipped] - (1 - part) * far_color[clipped], 0) / part
    return Rims(at[some], share, near_color, level[some] / near_sum[some], far_color)
