"""`SceneCuts`: tells, frame by frame, where another scene of a film begins."""

from __future__ import annotations

from depth3d.core.arrays import ImageArray
from depth3d.estimate.motion import Sketch, sketch
from depth3d.estimate.scene_cuts import (
    MOST_FLASH_FRAMES,
    is_blank,
    is_dazzled,
    motions_within_shot,
    palette_change,
)

__all__ = ["SceneCuts"]

_SIDE_PX = 256
"""Longer side at which frames are compared."""
_SAME_PALETTE = 0.12
"""Frames whose colours differ less than this belong to one scene; most do, and need no search for motion."""


class SceneCuts:
    """Looks at frames in order; what is decided of one does not wait for the next.

    A frame that shows nothing, as in a fade, or that a flash has drowned in white, begins no scene: the one
    after it is compared with the last one that showed something.
    """

    def __init__(self) -> None:
        self._last: Sketch | None = None
        self._dazzled = 0

    def __call__(self, image: ImageArray) -> bool:
        """Tell whether a frame begins a scene; the first one does.

        Args:
            image: (H, W, 3) uint8 sRGB, of the size of those before.
        """
        now, last = sketch(image, _SIDE_PX), self._last
        if last is None:
            self._last = now
            return True
        if is_blank(now):
            return False
        if self._dazzled < MOST_FLASH_FRAMES and is_dazzled(now, last):
            self._dazzled += 1
            return False
        self._last, self._dazzled = now, 0
        if is_blank(last):
            return True
        return palette_change(now, last) >= _SAME_PALETTE and motions_within_shot(now, last) is None
