"""The map that a frame of a film is given, once enough is known of the frames around it."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from depth3d.core.arrays import FloatMap
from depth3d.core.depth import DepthMap
from depth3d.estimate.frame_alignment import Gauge
from depth3d.estimate.gauge_plan import next_gauge
from depth3d.estimate.shots import ShotFrame
from depth3d.estimate.temporal_filter import Belief, blended, carried

__all__ = ["given"]

_FRAMES_AFTER = 4
"""How many of the frames that follow are averaged with a frame."""


def given(frame: ShotFrame, following: Iterable[ShotFrame]) -> DepthMap:
    """Make the map of a frame; frames of a film must be given in order.

    Args:
        frame: The frame.
        following: Those frames after it that are known as yet, of any shot.

    Returns:
        A map of the kind and the size of the frame's own, unknown where that is.
    """
    later = [other for other in following if other.shot is frame.shot]
    course = [frame, *later]
    gauge = next_gauge(frame.shot.given, [f.own for f in course], [f.freedom for f in course])
    frame.shot.given = gauge
    beliefs = [] if frame.past is None else [frame.past]
    shown = [other for other in later if not other.is_blank][:_FRAMES_AFTER]
    if shown and not frame.is_blank:
        beliefs.append(_future(frame, shown))
    aligned = frame.aligned
    correction = blended(aligned, beliefs, frame.usual).values - aligned
    return _finished(frame, gauge, correction)


def _future(frame: ShotFrame, shown: list[ShotFrame]) -> Belief:
    """Bring what the frames after a frame say to it, from the last one back."""
    belief: Belief | None = None
    for other, before in zip(reversed(shown), reversed([frame, *shown[:-1]]), strict=True):
        belief = blended(other.aligned, [] if belief is None else [belief], other.usual)
        if other.change is not None:
            belief = Belief(belief.values - other.change, belief.count)
        if before.onward is not None:
            belief = carried(belief, before.onward)
    assert belief is not None
    return belief


def _finished(frame: ShotFrame, gauge: Gauge, correction: FloatMap) -> DepthMap:
    """Bring the gauge and the correction to the full map."""
    depth = frame.depth
    whole = gauge.after(frame.gauge)
    added = np.nan_to_num(np.float32(gauge.scale) * correction)
    added += np.float32(whole.shift)
    if depth.is_metric:
        added = np.exp(-added)
    if added.shape != depth.values.shape:
        added = np.asarray(cv2.resize(added, depth.size_wh, interpolation=cv2.INTER_LINEAR))
    # One pass over the full map, in memory that is there.
    if depth.is_metric:
        values = np.multiply(depth.values, added, out=added)
    else:
        values = cv2.scaleAdd(depth.values, whole.scale, added, dst=added)
    values.flags.writeable = False  # so that it need not be copied
    return DepthMap(values, depth.kind)
