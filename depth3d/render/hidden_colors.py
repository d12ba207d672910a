"""`hidden_colors`: the colours of hidden surfaces, from two guesses, each believed where it is right.

One goes on with textures and lines, and is good where a surface repeats itself; the other is smooth, and is
good where nobody can know. Which is which is found out on visible pixels beside the hole, which are kept from
both.
"""

from __future__ import annotations

import math

import numpy as np

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.render.inpainting import continued, continued_and_tried

__all__ = ["hidden_colors"]

_WORKING_PX = 320_000
_PROBE_PX = 3
"""How wide the strip beside the hole is on which the guesses are judged."""
_JUDGED_PX = 12.0
"""Deviation of the window over which their errors are averaged."""
_SHRINK = 4
"""How many times smaller their picture is then."""
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
    kept = source & ~strip
    if not (hole.any() and kept.any()) or kept.sum() < strip.sum():
        return continued(color, inverse_depth, source, hole, far, seed=seed)
    textured, told = continued_and_tried(color, inverse_depth, source, hole, far, strip, seed=seed)
    judged = []
    for guess in (told, _smooth(color, kept, strip)):
        error = np.square(np.sqrt(np.maximum(guess, 0)) - np.sqrt(color)).sum(axis=2) * strip
        judged.append(_around(error, strip) + _LEAST_ERROR)
    # Of two guesses whose errors have nothing to do with each other this is the best mean.
    share = judged[1] / (judged[0] + judged[1])
    smooth = _smooth(color, source, hole)
    return np.asarray(smooth + share[..., None] * (textured - smooth), dtype=np.float32)


def _around(values: FloatMap, where: BoolMap) -> FloatMap:
    """Average values that are known in places, near ones first; all is smooth, and found in less detail."""
    import cv2

    height, width = where.shape
    size = (max(1, width // _SHRINK), max(1, height // _SHRINK))
    count = where.astype(np.float32)
    total, weight = (
        cv2.resize(a, size, interpolation=cv2.INTER_AREA) for a in (values.astype(np.float32) * count, count)
    )
    mean = np.full(weight.shape, total.sum() / max(float(weight.sum()), 1e-12), np.float32)
    for sigma in (4 * _JUDGED_PX / _SHRINK, _JUDGED_PX / _SHRINK):
        weights = cv2.GaussianBlur(weight, (0, 0), sigma)
        found = cv2.GaussianBlur(total, (0, 0), sigma) / np.maximum(weights, 1e-12)
        trust = weights / (weights + 1e-3)
        mean += trust * (found - mean)
    return np.asarray(cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR))


def _smooth(color: FloatMap, source: BoolMap, wanted: BoolMap) -> FloatMap:
    """Go on along edges near what is known, and with the mean of what is known around farther away.

    Source: Bertalmio, Bertozzi and Sapiro, "Navier-Stokes, fluid dynamics, and image and video inpainting",
    CVPR 2001.

    Args:
        color: (H, W, 3) float32.
        source: (H, W) bool: what is known.
        wanted: (H, W) bool: pixels that are none, where the result is of use.
    """
    import cv2

    if not source.any():
        return color
    if len(color) == 1:  # OpenCV's inpainting reads beyond a single row
        return _smooth(np.repeat(color, 3, 0), np.repeat(source, 3, 0), np.repeat(wanted, 3, 0))[1:2]
    unknown = (~source).astype(np.uint8)
    distance = cv2.distanceTransform(unknown, cv2.DIST_L2, 5)
    # Pixels are filled from all sides, the nearest to what is known first. What is farther than this from all
    # that is wanted is passed for known: from there nothing comes in time.
    reach = float(distance[wanted].max(initial=0)) + 2 * _REACH_PX
    away = cv2.distanceTransform((~wanted).view(np.uint8), cv2.DIST_L2, 5)
    near = unknown * (away <= reach)
    planes = [
        cv2.inpaint(np.ascontiguousarray(color[..., c]), near, _REACH_PX, cv2.INPAINT_NS) for c in range(3)
    ]
    return _calmed(np.dstack(planes), color, source, np.where(wanted, distance, 0))


def _calmed(filled: FloatMap, color: FloatMap, source: BoolMap, distance: FloatMap) -> FloatMap:
    """Let streaks fade into the mean of what is known around, over a window that grows with the distance."""
    import cv2

    known = source.astype(np.float32)
    visible = color * known[..., None]
    calm, level = filled.copy(), np.log2(np.maximum(distance, 1))
    for k in range(int(np.ceil(level.max())) + 1):
        # Two levels are mixed, from distances of 2^(k-1) to 2^(k+1): the box reaches what is known.
        here = np.abs(level - k) < 1
        here &= distance > 0
        side = (2 ** (k + 2) + 1,) * 2
        mean = cv2.blur(visible, side)[here] / np.maximum(cv2.blur(known, side)[here], 1e-6)[:, None]
        share = (1 - np.abs(level[here] - k)) * np.minimum(distance[here] / _CALM_PX, 1)
        calm[here] += share[:, None] * (mean - filled[here])
    return calm
