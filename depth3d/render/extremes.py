"""`lowest`, `highest`: the extremes of values around each pixel, at about the same price for any reach."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["highest", "lowest"]

_Values = TypeVar("_Values", bound=npt.NDArray[Any])

_DIRECT_PX = 4
"""Up to this reach OpenCV looks at a whole square at least as fast."""


def lowest(values: _Values, reach: int, *, of_reach: int = 0) -> _Values:
    """Find the least value in the square of (2 reach + 1)^2 pixels around each pixel, cut at the border.

    The least of a square is the least of four smaller ones that cover it, so each step doubles the reach, at
    the same price (van Herk, "A fast algorithm for local minimum and maximum filters", 1992, has one pass
    of any reach for somewhat more).

    Args:
        values: (H, W), no NaN.
        reach: Pixels, 0 or more.
        of_reach: If the values are the least ones themselves, of this reach already.
    """
    import cv2

    return _extreme(values, reach, of_reach, cv2.erode)


def highest(values: _Values, reach: int, *, of_reach: int = 0) -> _Values:
    """Find the largest value: as `lowest`."""
    import cv2

    return _extreme(values, reach, of_reach, cv2.dilate)


def _extreme(values: _Values, reach: int, done: int, of: Any) -> _Values:
    import cv2

    found = values
    if done < _DIRECT_PX:
        side = 2 * (min(reach, _DIRECT_PX) - done) + 1
        found = of(values, np.ones((side, side), np.uint8))
        done = min(reach, _DIRECT_PX)
    while done < reach:
        # The squares around four corners; beyond the border those at the border, which hold all that is left.
        step = min(done, reach - done)
        corners = np.zeros((2 * step + 1, 2 * step + 1), np.uint8)
        corners[:: 2 * step, :: 2 * step] = 1
        found = of(found, corners, borderType=cv2.BORDER_REPLICATE)
        done += step
    return found
