"""Averages along the motion that keep silhouettes: what other frames say, and how far to believe it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from depth3d.core.arrays import FloatMap
from depth3d.estimate.motion import Motion, warped

__all__ = ["MOST_FRAMES", "Belief", "blended", "carried"]

MOST_FRAMES = 8.0
"""An average counts as no more than this many frames, so that it keeps up with the film."""

_AGREEMENT = 4.0
"""Differences this many times the usual one count half; larger ones are another surface."""

_FAR_APART = np.float32(1e4)
"""A distance beyond which nothing changes; its fourth power still fits into float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """What other frames say of a frame.

    Attributes:
        values: (h, w) float32, NaN where they say nothing.
        count: (h, w) float32: for how many frames it stands, 0 where it says nothing.
    """

    values: FloatMap
    count: FloatMap


def carried(belief: Belief, motion: Motion) -> Belief:
    """Bring a belief about one frame to another one.

    Args:
        belief: About the frame that the motion leads to.
        motion: From the frame that it is wanted for.
    """
    values, count = cv2.split(warped(cv2.merge([belief.values, belief.count]), motion.flow))
    count *= motion.trust
    count[np.isnan(values)] = 0
    return Belief(values, count)


def blended(fresh: FloatMap, beliefs: list[Belief], usual: float) -> Belief:
    """Average a frame's own values with what other frames say, except where they speak of another surface.

    Args:
        fresh: (h, w) the frame's own values, NaN where unknown.
        beliefs: About this frame.
        usual: The usual difference between them, in the unit of the values.

    Returns:
        The average where the frame's own value is known, what is believed where it is not, and how many
        frames that makes, at most `MOST_FRAMES`.
    """
    total: FloatMap = np.isfinite(fresh).astype(np.float32)
    step: FloatMap = np.zeros_like(fresh)
    base = fresh
    for belief in beliefs:
        base = np.where(np.isnan(base), belief.values, base)
    for belief in beliefs:
        apart = belief.values - base
        cv2.patchNaNs(apart, 0)  # they count for nothing
        distance = np.abs(apart)
        distance /= np.float32(max(_AGREEMENT * usual, 1e-30))
        np.minimum(distance, _FAR_APART, out=distance)
        distance *= distance
        distance *= distance
        distance += 1
        weight = belief.count / distance
        total += weight
        weight *= apart
        step += weight
    step /= np.maximum(total, np.float32(1e-6))
    step += base
    return Belief(step, np.minimum(total, np.float32(MOST_FRAMES)))
