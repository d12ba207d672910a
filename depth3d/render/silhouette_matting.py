"""`unmix_silhouettes`: the share of either surface in each pixel beside a silhouette, and both colours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap
from depth3d.render.local_planes import Index

__all__ = ["Mixed", "recomposed_colors", "unmix_silhouettes"]

_SAMPLES = 36
_RADIUS_PX = 7.0
"""How far clean colours are looked for, beside the width of the band."""
_LIKE = 0.35
"""How far from a surface's depth, as a share of the gap, a pixel is believed to be of it."""
_CLEAN = (0.1, 1.0)
"""What pixels beside a silhouette count for as clean colours, and those beside these; all others count 1."""
_NOISE = 0.012
"""Deviation of linear light that is taken for noise."""
_PRIOR = (0.1, 0.02)
"""Deviation of the share from what the depth map's edge says, beside the edge and farther away."""
_ROUNDS = 2
_LEAST_MISFIT = 2e-4
"""Of linear light: about a level in the darkest byte."""
_CHUNK = 1 << 17

_Steps: TypeAlias = npt.NDArray[np.uint8]
_TRUST = np.array([*_CLEAN, 1.0])


@dataclass(frozen=True, slots=True, eq=False)
class Mixed:
    """Pixels that two surfaces may share.

    Attributes:
        at: (n,) flat indices.
        alpha: (n,) float32, 0..1, share of the nearer surface.
        near: (n, 3) float32 linear light of the nearer surface.
        far: (n, 3) float32 linear light of the farther one.
    """

    at: Index
    alpha: FloatMap
    near: FloatMap
    far: FloatMap


def unmix_silhouettes(
    light: FloatMap, inverse_depth: FloatMap, near: FloatMap, far: FloatMap, at: Index, away: _Steps
) -> Mixed:
    """Estimate the share of the nearer surface in pixels beside silhouettes, and the colours of both.

    Clean pixels around a pixel, told apart by their depth, give the mean and the variance of the colours of
    both surfaces. The share is then that of the largest posterior: the photo's colour is alpha * F +
    (1 - alpha) * B with normal F, B and noise, and alpha itself is normal around the share of the pixels
    around that depth gives to the nearer surface (a Gaussian version of Chuang et al., "A Bayesian approach
    to digital matting", CVPR 2001). Where colours tell nothing depth decides.

    Args:
        light: (H, W, 3) linear light.
        inverse_depth: (H, W) of what is visible.
        near: (n,) inverse depth of the nearer surface at `at`.
        far: (n,) that of the farther one.
        at: (n,) flat indices of the pixels to be unmixed.
        away: (H, W) uint8: 0 beside a silhouette, 1 at the eight pixels around those, 2 elsewhere.
    """
    parts = []
    for start in range(0, max(1, len(at)), _CHUNK):
        some = slice(start, start + _CHUNK)
        parts.append(_unmixed(light, inverse_depth, near[some], far[some], at[some], away))
    return Mixed(
        np.concatenate([part.at for part in parts]),
        np.concatenate([part.alpha for part in parts]),
        np.concatenate([part.near for part in parts]),
        np.concatenate([part.far for part in parts]),
    )


def _unmixed(
    light: FloatMap, inverse_depth: FloatMap, top: FloatMap, bottom: FloatMap, at: Index, away: _Steps
) -> Mixed:
    height, width = inverse_depth.shape
    flat, colors, steps = inverse_depth.ravel(), light.reshape(-1, 3), away.ravel()
    like = np.maximum(_LIKE * (top - bottom), 1e-12)
    rows, cols = np.divmod(at, width)
    own = colors[at]
    totals = np.full((2, len(at)), 1e-9, np.float32)
    sums = np.zeros((2, len(at), 3), np.float32)
    squares = np.zeros((2, len(at)), np.float32)
    for number in range(_SAMPLES):
        rho = math.sqrt((number + 0.5) / _SAMPLES)
        turn = number * math.pi * (3 - math.sqrt(5))
        dx, dy = round(rho * _RADIUS_PX * math.cos(turn)), round(rho * _RADIUS_PX * math.sin(turn))
        there = np.clip(rows + dy, 0, height - 1) * width + np.clip(cols + dx, 0, width - 1)
        value, color = flat[there], colors[there] - own
        clean = (_TRUST[steps[there]] * math.exp(-2 * rho**2)).astype(np.float32)
        square = np.square(color).sum(axis=1)
        for side, level in enumerate((bottom, top)):
            weight = clean * (np.abs(value - level) < like)
            totals[side] += weight
            sums[side] += weight[:, None] * color
            squares[side] += weight * square
    means = sums / totals[..., None]
    variances = np.maximum(squares / totals - np.square(means).sum(axis=2), 0) / 3
    # Few or unclean pixels know less than they seem to.
    variances += 0.02 / (1 + 200 * totals)
    guess = _share_by_depth(inverse_depth, rows, cols, np.asarray((top + bottom) / 2, dtype=np.float32))
    beside = steps[at] == 0
    spread = np.where(beside, _PRIOR[0], _PRIOR[1]) ** 2
    b, f = means
    alpha = guess.copy()
    for _ in range(_ROUNDS):
        noise = alpha**2 * variances[1] + (1 - alpha) ** 2 * variances[0] + _NOISE**2
        rest = -guess[:, None] * f - (1 - guess[:, None]) * b
        along = (rest * (f - b)).sum(axis=1) / noise
        alpha = guess + along / (np.square(f - b).sum(axis=1) / noise + 1 / spread)
        alpha = np.clip(alpha, 0, 1).astype(np.float32)
    blind = (totals < 1e-6).any(axis=0)
    alpha[blind] = flat[at][blind] >= ((top + bottom) / 2)[blind]
    f, b = (
        np.where((total < 1e-6)[:, None], 0, mean) + own for total, mean in ((totals[1], f), (totals[0], b))
    )
    return Mixed(at, alpha, f, b)


def recomposed_colors(own: FloatMap, mixed: Mixed, far: FloatMap) -> Mixed:
    """Choose the colours that, together, give the photo again.

    The surface that has less of the pixel keeps the colour that it has around, and what is left of the
    photo's light is the other's. Where that would be no light, all of the pixel is.

    Args:
        own: (n, 3) linear light of the photo at these pixels.
        mixed: The shares and the first colours.
        far: (n, 3) better colours of the farther surface.
    """
    alpha = mixed.alpha[:, None]
    more = alpha >= 0.5
    near_rest = (own - (1 - alpha) * far) / np.maximum(alpha, 0.5)
    far_rest = (own - alpha * mixed.near) / np.maximum(1 - alpha, 0.5)
    f = np.where(more, np.clip(near_rest, 0, 1), mixed.near)
    b = np.where(more, far, np.clip(far_rest, 0, 1))
    off = (np.abs(alpha * f + (1 - alpha) * b - own).max(axis=1) > _LEAST_MISFIT)[:, None]
    whole = np.where(off, more, alpha)[:, 0]
    f = np.where(off & more, own, f)
    b = np.where(off & ~more, own, b)
    return Mixed(mixed.at, *(np.asarray(a, dtype=np.float32) for a in (whole, f, b)))


def _share_by_depth(inverse_depth: FloatMap, rows: Index, cols: Index, middle: FloatMap) -> FloatMap:
    """Give the share of the pixels around, weighted 1 6 1 both ways, that are nearer than a level."""
    height, width = inverse_depth.shape
    flat = inverse_depth.ravel()
    share = np.zeros(len(rows), np.float32)
    for dy, wy in ((-1, 0.125), (0, 0.75), (1, 0.125)):
        for dx, wx in ((-1, 0.125), (0, 0.75), (1, 0.125)):
            there = np.clip(rows + dy, 0, height - 1) * width + np.clip(cols + dx, 0, width - 1)
            share += np.float32(wy * wx) * (flat[there] >= middle)
    return share
