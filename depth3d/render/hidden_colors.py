"""`hidden_colors`: the colours of hidden surfaces, from two guesses, each believed where it is right.

One goes on with textures and lines, and is good where a surface repeats itself; the other is smooth, and is
good where nobody can know. Which is which is found out on visible pixels beside the hole, which are kept from
both.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.render.inpainting import continued

__all__ = ["hidden_colors"]

_WORKING_PX = 320_000
_PROBE_PX = 3
"""How wide the strip beside the hole is on which the guesses are judged."""
_JUDGED_PX = 12.0
"""Deviation of the window over which their errors are averaged."""
_LEAST_ERROR = 1e-5
"""Mean square of errors, in square roots of light, that tells nothing."""
_REACH_PX = 3
"""How far from a hidden pixel the smooth guess looks at colours."""
_CALM_PX = 12.0
"""How far from a silhouette its colours still go on along their edges."""


def hidden_colors(
    color: FloatMap,
    inverse_depth: FloatMap,
    source: BoolMap,
    hole: BoolMap,
    far: FloatMap,
    *,
    seed: int = 0,
    most_px: int = _WORKING_PX,
) -> FloatMap:
    """Guess what hidden surfaces look like.

    Args:
        color: (H, W, 3) float32 linear light.
        inverse_depth: (H, W) float32 of what is visible.
        source: (H, W) bool: pixels whose colours may be taken.
        hole: (H, W) bool: where a hidden surface is wanted.
        far: (H, W) float32: its inverse depth in the hole.
        seed: Where chance plays.
        most_px: Larger pictures are filled at a smaller size, since patches take their time.

    Returns:
        (H, W, 3) float32; of use in the hole.
    """
    import cv2

    height, width = hole.shape
    factor = math.ceil(math.sqrt(height * width / most_px))
    if factor == 1:
        return _blended(color, inverse_depth, source, hole, far, seed)
    size = (-(-width // factor), -(-height // factor))

    def mean(values: FloatMap, of: BoolMap) -> tuple[FloatMap, FloatMap]:
        """Average within large pixels; give each one's share of pixels, too."""
        share = cv2.resize(of.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        weighed = values * of.reshape(of.shape + (1,) * (values.ndim - 2))
        sums = cv2.resize(weighed, size, interpolation=cv2.INTER_AREA)
        weight = np.maximum(share, 1e-6).reshape(share.shape + (1,) * (values.ndim - 2))
        return np.asarray(sums / weight, dtype=np.float32), share

    few, of_source = mean(color, source)
    behind, of_hole = mean(far, hole)
    visible = cv2.resize(inverse_depth, size, interpolation=cv2.INTER_NEAREST_EXACT)
    open_, known = of_hole > 0, of_source > 0.5
    filled = _blended(few, visible, known & ~open_, open_, np.where(open_, behind, visible), seed)
    # Outside the two the smaller picture shows the foreground, which must not be blended in.
    weight = (open_ | known).astype(np.float32)
    wide = cv2.resize(np.dstack([filled * weight[..., None], weight]), (width, height))
    return np.asarray(wide[..., :3] / np.maximum(wide[..., 3:], 1e-6), dtype=np.float32)


def _blended(
    color: FloatMap, inverse_depth: FloatMap, source: BoolMap, hole: BoolMap, far: FloatMap, seed: int
) -> FloatMap:
    """Do it at the size given."""
    import cv2

    color = np.minimum(color, 1)  # a lamp ends where it is seen to end
    strip = cv2.dilate(hole.astype(np.uint8), np.ones((2 * _PROBE_PX + 1,) * 2, np.uint8)) > 0
    strip &= source
    textured = continued(color, inverse_depth, source, hole, far, seed=seed)
    if (source & ~strip).sum() < strip.sum():
        return textured
    kept = (color, inverse_depth, source & ~strip, hole | strip, np.where(strip, inverse_depth, far))
    judged = []
    for guess in (continued(*kept, seed=seed), _smooth(color, kept[2])):
        error = np.square(np.sqrt(np.maximum(guess, 0)) - np.sqrt(color)).sum(axis=2) * strip
        judged.append(_around(error, strip) + _LEAST_ERROR)
    # Of two guesses whose errors have nothing to do with each other this is the best mean.
    share = judged[1] / (judged[0] + judged[1])
    smooth = _smooth(color, source)
    return np.asarray(smooth + share[..., None] * (textured - smooth), dtype=np.float32)


def _around(values: FloatMap, where: BoolMap) -> FloatMap:
    """Average values that are known in places, those near by first."""
    import cv2

    count = where.astype(np.float32)
    total, weight = values.astype(np.float32) * count, count
    mean = np.full(where.shape, total.sum() / max(float(weight.sum()), 1), np.float32)
    for sigma in (4 * _JUDGED_PX, _JUDGED_PX):
        weights = cv2.GaussianBlur(weight, (0, 0), sigma)
        found = cv2.GaussianBlur(total, (0, 0), sigma) / np.maximum(weights, 1e-12)
        trust = weights / (weights + 1e-3)
        mean += trust * (found - mean)
    return mean


def _smooth(color: FloatMap, source: BoolMap) -> FloatMap:
    """Go on along edges near what is known, and with the mean of what is known around farther away.

    Source: Bertalmio, Bertozzi and Sapiro, "Navier-Stokes, fluid dynamics, and image and video inpainting",
    CVPR 2001.
    """
    import cv2

    if not source.any():
        return color
    unknown = (~source).astype(np.uint8)
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
