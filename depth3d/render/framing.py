"""`Framing`: which part of a photo a film shows, and at which size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from depth3d.errors import InputError

__all__ = ["FORMATS", "Framing", "Window", "check_aspect", "frame_size"]

FORMATS: Mapping[str, tuple[float | None, int]] = MappingProxyType(
    {
        "story": (9 / 16, 1920),
        "reel": (9 / 16, 1920),
        "feed": (4 / 5, 1350),
        "square": (1.0, 1080),
        "web": (None, 1280),
        "hd": (None, 1920),
        "4k": (None, 3840),
    }
)
"""Name -> (width by height, None for the photo's own; longer side in pixels): for phones and the web."""

DEFAULT_LONG_EDGE = 1920
_MOST_SIDE = 16384


class Window(NamedTuple):
    """A rectangle in a photo, in pixels from its upper left corner; its sides need not be whole."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Framing:
    """The size of a film's frames.

    Attributes:
        size_wh: (width, height) in pixels of each frame.
        photo_wh: (width, height) of the photo.
    """

    size_wh: tuple[int, int]
    photo_wh: tuple[int, int]

    @property
    def whole(self) -> Window:
        """The largest window of the frame's shape, in the middle of the photo."""
        width, height = self._largest(*self.photo_wh)
        return Window((self.photo_wh[0] - width) / 2, (self.photo_wh[1] - height) / 2, width, height)

    def window(
        self, point: tuple[float, float], inside: tuple[float, float, float, float] | None = None
    ) -> Window:
        """Choose what is shown: the largest window of the frame's shape, as near to a point as there is room.

        Where the frame has the photo's shape, the photo's middle counts instead of the point.

        Args:
            point: (u, v) in pixels of the photo.
            inside: (left, top, right, bottom) that must not be left; None is the photo.
        """
        across, down = self.photo_wh
        left, top, right, bottom = inside or (0.0, 0.0, float(across), float(down))
        width, height = self._largest(right - left, bottom - top)
        whole = self.whole
        u = point[0] if whole.width < across - 1 else across / 2
        v = point[1] if whole.height < down - 1 else down / 2
        u = min(max(u, left + width / 2), right - width / 2)
        v = min(max(v, top + height / 2), bottom - height / 2)
        return Window(*(float(x) for x in (u - width / 2, v - height / 2, width, height)))

    def _largest(self, across: float, down: float) -> tuple[float, float]:
        shape = self.size_wh[0] / self.size_wh[1]
        width, height = min(across, down * shape), min(down, across / shape)
        if self.size_wh == self.photo_wh and (across, down) == tuple(map(float, self.photo_wh)):
            return across, down
        return width, height


def frame_size(
    photo_wh: tuple[int, int], *, size: int | tuple[int, int] | None = None, aspect: float | None = None
) -> tuple[int, int]:
    """Find the size of the frames.

    Args:
        photo_wh: (width, height) of the photo.
        size: (width, height), or the longer side alone, in pixels. None is the photo's own size, with a
            longer side of at most 1920.
        aspect: Width by height; None is the photo's own.

    Returns:
        (width, height). The photo's own size where nothing asks for another one; else even sides, as videos
        need.

    Raises:
        InputError: A size or an aspect out of range, or both where they contradict each other.
    """
    if isinstance(size, tuple):
        if aspect is not None:
            raise InputError(f"size {size[0]}x{size[1]} has its own aspect; leave aspect out, or give a side")
        if len(size) != 2 or not all(isinstance(side, int) and 2 <= side <= _MOST_SIDE for side in size):
            raise InputError(f"size must be (width, height), 2 to {_MOST_SIDE} pixels each, got {size!r}")
        return size
    if size is not None and not (isinstance(size, int) and 2 <= size <= _MOST_SIDE):
        raise InputError(f"size must be 2 to {_MOST_SIDE} pixels, got {size!r}")
    across, down = photo_wh
    shape = across / down if aspect is None else check_aspect(aspect)
    largest = max(min(across, down * shape), min(down, across / shape))
    long_edge = min(largest, DEFAULT_LONG_EDGE) if size is None else size
    if aspect is None and long_edge == max(photo_wh):
        return photo_wh
    width, height = long_edge * min(shape, 1), long_edge * min(1 / shape, 1)
    return max(2, 2 * round(width / 2)), max(2, 2 * round(height / 2))


def check_aspect(aspect: float) -> float:
    """Return width by height if it is one.

    Raises:
        InputError: It does not lie between 1:10 and 10:1.
    """
    if not (math.isfinite(aspect) and 0.1 <= aspect <= 10):
        raise InputError(f"aspect must lie between 0.1 and 10 (width by height), got {aspect!r}")
    return float(aspect)
