"""`hidden_layer`, `hidden_surfaces`: what is behind the foreground, as far as the picture tells."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.render.cuts import find_joints
from depth3d.render.hidden_colors import hidden_colors
from depth3d.render.hidden_depth import hidden_depth, silhouettes_of

__all__ = ["JUMP_PX", "HiddenLayer", "HiddenSurfaces", "hidden_layer", "hidden_surfaces"]

JUMP_PX = 2.0
"""Difference in radius of blur between neighbours that makes a silhouette."""

_WORKING_PX = 1_200_000
"""In larger pictures surfaces are continued at a smaller size: what is hidden is smooth anyway."""

_COARSE_COLOR_PX = 80_000
"""Their colours at one that is smaller still."""
_AROUND = 4
"""How far from what is hidden nearer things are no source, in widths of it."""


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


@dataclass(frozen=True, slots=True, eq=False)
class HiddenSurfaces:
    """What is hidden, as small as it was guessed: large pictures take much memory.

    Attributes:
        layer: At a size that divides the picture's, or nearly.
        factor: How many times smaller it is.
        gain: Radius of blur in pixels of the picture by disparity, at the most.
    """

    layer: HiddenLayer
    factor: int
    gain: float

    def at_size(self, disparity: FloatMap) -> HiddenLayer:
        """Give the layer at the picture's size.

        Args:
            disparity: (H, W) float32 of the picture.
        """
        if self.factor == 1:
            return self.layer
        at, colors, far = self.spots(disparity)
        layer = HiddenLayer(
            np.zeros((*disparity.shape, 3), np.float32), disparity.copy(), np.zeros(disparity.shape, np.bool_)
        )
        layer.color.reshape(-1, 3)[at] = colors.T
        layer.disparity.reshape(-1)[at] = far
        layer.mask.reshape(-1)[at] = True
        return layer

    def spots(self, disparity: FloatMap) -> tuple[npt.NDArray[np.intp], FloatMap, FloatMap]:
        """Give the pixels of the picture where something is hidden, which are few.

        Args:
            disparity: (H, W) float32 of the picture.

        Returns:
            (n,) flat indices, (3, n) float32 linear light, and (n,) float32 disparity.
        """
        import cv2

        layer, (height, width) = self.layer, disparity.shape
        if self.factor == 1:
            at = np.flatnonzero(layer.mask)
            return at, layer.color.reshape(-1, 3)[at].T, layer.disparity.reshape(-1)[at]

        def enlarged(values: FloatMap) -> FloatMap:
            return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR))

        # Outside the mask the smaller maps show the foreground, which must not be blended in.
        inside = layer.mask.astype(np.float32)
        weight = enlarged(inside).reshape(-1)
        at = np.flatnonzero(weight > 1e-3)
        weight = np.reciprocal(np.maximum(weight[at], 1e-3))
        far = enlarged(layer.disparity * inside).reshape(-1)[at] * weight
        behind = far < disparity.reshape(-1)[at] - JUMP_PX / self.gain / 2
        at, weight, far = at[behind], weight[behind], far[behind]
        colors = np.empty((3, len(at)), np.float32)
        for k in range(3):
            np.multiply(enlarged(layer.color[..., k] * inside).reshape(-1)[at], weight, out=colors[k])
        return at, colors, far


def hidden_layer(color: FloatMap, disparity: FloatMap, *, gain: float, seed: int = 0) -> HiddenLayer:
    """Guess what is hidden, at the picture's size: `hidden_surfaces`."""
    return hidden_surfaces(color, disparity, gain=gain, seed=seed).at_size(disparity)


def hidden_surfaces(color: FloatMap, disparity: FloatMap, *, gain: float, seed: int = 0) -> HiddenSurfaces:
    """Continue each background a little way behind the foreground that covers it.

    From every silhouette the farther surface goes on as a plane (`depth3d.render.hidden_depth`), as far as
    the lens can see behind the nearer one, in colours of its own (`depth3d.render.hidden_colors`), which
    never come from what is nearer.

    Args:
        color: (H, W, 3) float32 linear light.
        disparity: (H, W) float32, larger is nearer, any unit; every pixel is known.
        gain: Radius of blur in pixels by disparity, at the most.
        seed: Where chance plays.

    Returns:
        The layer. No hidden surface is farther than the farthest visible one.
    """
    import cv2

    height, width = disparity.shape
    factor = max(1, math.ceil(math.sqrt(height * width / _WORKING_PX)))
    if factor == 1:
        return HiddenSurfaces(_continued(color, disparity, gain, seed), 1, gain)
    small = (-(-width // factor), -(-height // factor))
    # Nearest, so that no pixel of the smaller map hangs between two surfaces.
    few = cv2.resize(disparity, small, interpolation=cv2.INTER_NEAREST_EXACT)
    layer = _continued(
        cv2.resize(color, small, interpolation=cv2.INTER_NEAREST_EXACT), few, gain / factor, seed, factor
    )
    return HiddenSurfaces(layer, factor, gain)


def _continued(color: FloatMap, disparity: FloatMap, gain: float, seed: int, factor: int = 1) -> HiddenLayer:
    """Do it at the size given, `factor` times smaller than the picture."""
    import cv2

    # Planes stay planes; and no surface is at 0, where tolerances that are relative would have no measure.
    farthest = disparity.min()
    zero = np.float32(farthest - 0.5 * (disparity.max() - farthest))
    inverse_depth = disparity - zero
    jump = JUMP_PX / (gain * factor)
    joints = find_joints(inverse_depth, jump)
    silhouettes = silhouettes_of(inverse_depth, joints)
    grown = hidden_depth(inverse_depth, joints, silhouettes, px_per_unit=gain, least_gap=jump)
    mask = grown.ring > 0
    if not mask.any():
        return HiddenLayer(color, disparity, mask)
    source = ~mask
    source.ravel()[silhouettes.near] = False
    # What is nearer than all that goes on behind something around is no source of its colours.
    side = min(2 * _AROUND * int(grown.ring.max()) + 1, 2 * max(mask.shape) - 1)
    behind = np.full(mask.shape, -np.inf, np.float32)
    behind.ravel()[silhouettes.far] = inverse_depth.ravel()[silhouettes.far]
    behind = cv2.dilate(behind, np.ones((side, side), np.uint8))
    source &= (inverse_depth <= behind + jump) | np.isneginf(behind)
    # A little of a lamp outshines all else in the pixels beside it.
    lamps = np.where(color.max(axis=2) >= 1, inverse_depth, -np.inf).astype(np.float32)
    source &= cv2.dilate(lamps, np.ones((3, 3), np.uint8)) <= inverse_depth + jump
    far = np.where(mask, grown.inverse_depth, inverse_depth)
    most = {} if factor == 1 else {"most_px": _COARSE_COLOR_PX}
    colors = hidden_colors(color, inverse_depth, source, mask, far, seed=seed, **most)
    return HiddenLayer(colors, np.where(mask, far + zero, disparity), mask)
