"""Scene cuts, told by what of a frame is found again in the one before."""

from __future__ import annotations

import cv2
import numpy as np

from depth3d.core.arrays import BoolMap, FloatMap, ImageArray
from depth3d.estimate.motion import Motion, Sketch, motions, warped

__all__ = [
    "MOST_FLASH_FRAMES",
    "is_blank",
    "is_cut",
    "is_dazzled",
    "likeness",
    "motions_within_shot",
    "palette_change",
]

MOST_FLASH_FRAMES = 3
"""Frames that a flash may last, after which the shot before it is taken up again."""

_WINDOW = (9, 9)
_TEXTURE_LEVELS = 2.5
"""Standard deviation in 8-bit levels of a window that shows something."""

_LEAST_TEXTURE = 0.005
"""Share of such windows in a frame that shows something."""

_WHITE_LEVEL, _WHITE_SHARE = 250, 0.1
"""A window of which so much is so bright may have shown anything in less light."""

_LEAST_LEFT = 0.3
"""Share of what a frame shows that is not lost in white in the next one, unless that is a flash."""

_UNLIKE, _HALF_ALIKE = 0.15, 0.35
_OTHER_PALETTE = 0.5


def is_blank(frame: Sketch) -> bool:
    """Tell whether a frame shows nothing: black, white, or a fade that is as good as over."""
    return bool(_texture(frame.gray.astype(np.float32))[1].mean() < _LEAST_TEXTURE)


def is_dazzled(later: Sketch, earlier: Sketch) -> bool:
    """Tell whether most of what the earlier frame shows is lost in white in the later one, as in a flash.

    So may be that of a cut to something white; a flash is over after `MOST_FLASH_FRAMES`.
    """
    lost = _white(later.gray) & ~_white(earlier.gray)
    if lost.mean() < (1 - _LEAST_LEFT) * _LEAST_TEXTURE:  # as in nearly all frames
        return False
    shows = _texture(earlier.gray.astype(np.float32))[1]
    return bool((shows & ~lost).sum() < _LEAST_LEFT * shows.sum())


def motions_within_shot(later: Sketch, earlier: Sketch) -> tuple[Motion, Motion] | None:
    """Find the motion between two frames, or that they belong to two shots.

    Args:
        later: A frame.
        earlier: The frame before it.

    Returns:
        The motion from the later to the earlier and the other way round; None across a cut.
    """
    for shift in (False, True):
        found = motions(later, earlier, shift=shift)
        if not is_cut(later, earlier, found[0]):
            return found
    return None


def is_cut(later: Sketch, earlier: Sketch, motion: Motion) -> bool:
    """Tell whether another shot begins.

    What has structure is followed along the motion: in the same shot most of it is found again, whatever
    the light does and however fast the camera turns. Where little is, the colours decide: a pan that is too
    fast to follow keeps them, a cut rarely does.

    Args:
        later: A frame.
        earlier: The frame before it.
        motion: From the later to the earlier.
    """
    found = likeness(later, earlier, motion)
    if found >= _HALF_ALIKE:
        return False
    return found < _UNLIKE or palette_change(later, earlier) > _OTHER_PALETTE


def likeness(later: Sketch, earlier: Sketch, motion: Motion) -> float:
    """Measure the share of what has structure that is found again.

    Windows are compared by correlation, which changes of brightness and contrast leave as it is; those that
    are lost in white in one of the frames are left out, if enough are left to tell.

    Returns:
        0..1; 1 where neither frame shows anything.
    """
    here = later.gray.astype(np.float32)
    there = warped(earlier.gray.astype(np.float32), motion.flow)
    inside = ~np.isnan(there)
    there = np.where(inside, there, 0)
    deviation, shows = _texture(here)
    deviation_there, shows_there = _texture(there)
    judged = (shows | shows_there) & inside
    seen = judged & (_white(later.gray) == _white(there))
    if seen.sum() >= _LEAST_LEFT * judged.sum():
        judged = seen
    if not judged.any():
        return 1.0 if inside.any() else 0.0
    mean, mean_there = cv2.blur(here, _WINDOW), cv2.blur(there, _WINDOW)
    shared = cv2.blur(here * there, _WINDOW) - mean * mean_there
    alike = shared > 0.5 * deviation * deviation_there
    return float((alike & (motion.closed > 0.5))[judged].mean())


def palette_change(later: Sketch, earlier: Sketch) -> float:
    """Measure how much the colours of two frames differ, wherever they are.

    Returns:
        0 for the same histogram (8 bins a channel), 1 for histograms that share no bin.
    """
    histograms = []
    for frame in (later, earlier):
        counts = cv2.calcHist([frame.color], [0, 1, 2], None, [8, 8, 8], [0, 256] * 3)
        histograms.append(cv2.GaussianBlur(counts.reshape(64, 8), (3, 3), 0.6) / frame.gray.size)
    return float(1 - np.minimum(*histograms).sum())


def _texture(gray: FloatMap) -> tuple[FloatMap, BoolMap]:
    mean = cv2.blur(gray, _WINDOW)
    deviation = np.sqrt(np.maximum(cv2.blur(gray * gray, _WINDOW) - mean * mean, 0))
    return deviation, deviation > _TEXTURE_LEVELS


def _white(gray: FloatMap | ImageArray) -> BoolMap:
    white = (gray >= _WHITE_LEVEL).astype(np.float32)
    return np.asarray(cv2.blur(white, _WINDOW) > _WHITE_SHARE)
