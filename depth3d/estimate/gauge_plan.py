"""Which scale and shift a film is given: steady, and never far from the network's own."""

from __future__ import annotations

import math
from collections.abc import Sequence

from depth3d.estimate.frame_alignment import Gauge

__all__ = ["next_gauge"]

_LARGEST_TAIL = 10.0


def next_gauge(before: Gauge | None, own: Sequence[Gauge], freedom: Sequence[float]) -> Gauge:
    """Choose the gauge of a frame, given that of the frame before and what the next frames' own ones are.

    Of all courses from here on, the one is begun that makes least the sum of squared steps, each divided by
    its frame's freedom, and of squared distances from the frames' own gauges. Where freedom is 0 the gauge
    stays as it is; where it is not, the network's own gauge pulls, so that what is truly nearer stays nearer
    and errors don't add up. After the last frame its own gauge is taken to last.

    Scale and shift are planned alike, each by the recursion of dynamic programming: seen from the frame
    before, all that follows is one target with one weight.

    Args:
        before: The gauge of the frame before; None at the beginning of a shot.
        own: The gauge that each frame has by itself, from this frame on; at least one.
        freedom: One for each: variance of a step over that of the frames' own gauges.

    Returns:
        The gauge of the first of them.
    """
    tail = freedom[-1]
    # The weight of endless frames like the last: the fixed point of w = 1 + w / (1 + freedom w).
    weight = min(_LARGEST_TAIL, (1 + math.sqrt(1 + 4 / tail)) / 2) if tail > 0 else _LARGEST_TAIL
    scale, shift = own[-1].scale, own[-1].shift
    for gauge, free in zip(reversed(own[:-1]), reversed(freedom[1:]), strict=True):
        pull = weight / (1 + free * weight)
        weight = 1 + pull
        scale += (gauge.scale - scale) / weight
        shift += (gauge.shift - shift) / weight
    if before is None:
        return Gauge(scale, shift)
    gain = freedom[0] * weight / (1 + freedom[0] * weight)
    return Gauge(before.scale + gain * (scale - before.scale), before.shift + gain * (shift - before.shift))
