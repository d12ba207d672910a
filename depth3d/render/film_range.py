"""`FilmRange`: between which disparities a film lies, so steady that nothing in it pumps."""

from __future__ import annotations

import math

import numpy as np

from depth3d.core.depth import DepthMap
from depth3d.errors import InputError

__all__ = ["FilmRange"]

_PERCENTILES = (0.5, 99.5)
"""Single wrong pixels don't count."""
_SAMPLES = 40_000
"""Pixels of a map that are looked at, evenly over it."""
_HEADROOM = 0.08
"""By so much of its span a scene's first range is wider than its first frame."""
_WIDEN_S, _NARROW_S = 1.5, 30.0
"""Time constants with which the range follows what lies outside, and what it no longer needs."""


class FilmRange:
    """Follows the farthest and the nearest disparity through a film, frame by frame, from the front.

    Each frame's own percentiles would make a still background darker whenever something near comes by. One
    range for a whole film can't be had while it streams, nor from a first pass over a few frames: relative
    maps have a scale of their own in each frame, and only maps that were made steady, one after another, can
    be compared. So each scene starts with the range of its first frame and some headroom; it opens towards
    what lies outside with a time constant of 1.5 s, and closes with one of 30 s, too slowly to be seen: what
    comes and goes does not take the range to and fro. `given` fixes it for good.

    Args:
        given: (farthest, nearest) disparity; None follows the film.

    Attributes:
        span: (farthest, nearest) of the last frame.

    Raises:
        InputError: `given` is no range.
    """

    def __init__(self, given: tuple[float, float] | None = None) -> None:
        if given is not None and not (all(map(math.isfinite, given)) and given[0] < given[1]):
            raise InputError(
                f"a range goes from the farthest to a larger, nearest disparity, got {given[0]:g} and "
                f"{given[1]:g}"
            )
        self._fixed = given is not None
        self._time_s: float | None = None
        self.span: tuple[float, float] = given or (0.0, 1.0)

    def follow(self, depth: DepthMap, time_s: float, *, new_scene: bool = False) -> tuple[float, float]:
        """Go on to the next frame.

        Args:
            depth: Its map; one without a known pixel changes nothing.
            time_s: When it is shown; later than the frame before.
            new_scene: Whether it begins a scene, and so a range.

        Returns:
            (farthest, nearest) disparity, in the map's unit or in 1/m. They differ.
        """
        if self._fixed:
            return self.span
        own = _own_span(depth)
        if own is None:
            return self.span
        if self._time_s is None or new_scene:
            room = _HEADROOM * (own[1] - own[0])
            low = own[0] - room
            self.span = (max(low, 0.0) if own[0] >= 0 else low, own[1] + room)
        else:
            passed = max(time_s - self._time_s, 0.0)
            far, near = self.span
            self.span = (far - _step(far - own[0], passed), near + _step(own[1] - near, passed))
        self._time_s = time_s
        return self.span


def _step(outside: float, passed_s: float) -> float:
    """Tell how far a bound moves towards what lies outside of it, or, below 0, inside."""
    return outside * -math.expm1(-passed_s / (_WIDEN_S if outside > 0 else _NARROW_S))


def _own_span(depth: DepthMap) -> tuple[float, float] | None:
    stride = max(1, int(math.sqrt(depth.values.size / _SAMPLES)))
    values = depth.values[stride // 2 :: stride, stride // 2 :: stride]
    known = values[np.isfinite(values)]
    if not len(known):
        known = depth.values[depth.valid]
    if not len(known):
        return None
    far, near = (float(v) for v in np.percentile(1 / known if depth.is_metric else known, _PERCENTILES))
    least = 1e-3 * max(abs(far), abs(near), 1e-6)  # else a flat scene's noise would fill the range
    if near - far < least:
        middle = (near + far) / 2
        far, near = middle - least / 2, middle + least / 2
    return far, near
