"""`Motion`: where the pixels of one frame were in another, and where that can be believed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np

from depth3d.core.arrays import BoolMap, FloatMap, ImageArray

__all__ = ["WORKING_SIDE_PX", "Motion", "Sketch", "motions", "sketch", "steadied", "texture", "warped"]

WORKING_SIDE_PX = 512
"""Longer side at which motion is found; networks see hardly more."""

_FLOW_SLACK_PX = 0.5
_FLOW_SLACK_SHARE = 0.05
"""How far there and back again may end from where it began: pixels, and a share of the way."""

_COLOR_SLACK = 20.0
"""Standard deviation in 8-bit levels of the colour difference of what is the same thing."""

_STILL_PX = 0.1
"""The camera stands where no more than half of the picture moves farther."""

_EXPLAINED_WINDOW = (7, 7)

_FADE_WINDOW = (9, 9)

_NOISE_LEVELS = 0.3
"""Mean difference in 8-bit levels that says nothing."""

_CORNER_PX, _FAINT_CORNER = 7, 1e-3
"""Window and smaller eigenvalue of the gradients' structure tensor, in OpenCV's unit."""


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """A frame at the size at which motion is found.

    Attributes:
        color: (h, w, 3) uint8 sRGB.
        gray: (h, w) uint8.
    """

    color: ImageArray
    gray: ImageArray


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Where the pixels of a frame are in another one.

    Attributes:
        flow: (h, w, 2) float32 pixels (right, down), to add to a pixel's place to find it in the other.
        closed: (h, w) float32 in 0..1: whether the way back leads to where it began.
        alike: (h, w) float32 in 0..1: whether the colours agree.
    """

    flow: FloatMap
    closed: FloatMap
    alike: FloatMap

    @property
    def trust(self) -> FloatMap:
        """(h, w) in 0..1: 0 where the other frame does not show the point, and fading towards it.

        Averages that end at a sharp line would draw that line into a smooth floor.
        """
        sure = self.closed * self.alike
        return np.asarray(np.minimum(sure, cv2.blur(sure, _FADE_WINDOW)))

    @classmethod
    def rest(cls, height: int, width: int) -> Motion:
        """Nothing moves."""
        sure: FloatMap = np.ones((height, width), np.float32)
        return cls(np.zeros((height, width, 2), np.float32), sure, sure)


def sketch(image: ImageArray, longest_px: int) -> Sketch:
    """Reduce a frame, by averaging, so that its longer side is at most `longest_px`."""
    height, width = image.shape[:2]
    scale = min(1.0, longest_px / max(height, width))
    if scale < 1:
        size_wh = max(1, round(width * scale)), max(1, round(height * scale))
        image = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)
    return Sketch(image, cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def warped(values: FloatMap, flow: FloatMap) -> FloatMap:
    """Fetch values from where the flow leads, bilinearly.

    Args:
        values: (h, w) or (h, w, c) float32.
        flow: (h, w, 2) pixels.

    Returns:
        The same shape; NaN where a sample touches NaN or lies more than half a pixel outside.
    """
    height, width = flow.shape[:2]
    place = _grid(width, height) + flow
    found = cv2.remap(values, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    x, y = place[..., 0], place[..., 1]
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    found[~inside] = np.nan
    return np.asarray(found)


def motions(later: Sketch, earlier: Sketch, *, shift: bool = False) -> tuple[Motion, Motion]:
    """Find the motion between two frames, by dense inverse search.

    Trust falls with the gap that is left after going there and back again, which is large where a point is
    hidden in the other frame (Sundaram, Brox and Keutzer, ECCV 2010), and with the difference in colour,
    after the gain and the offset of all of the picture are taken out, as in a fade.

    Args:
        later: A frame.
        earlier: Another of the same size.
        shift: Begin the search from the shift of the whole picture that their phases tell, for motions
            larger than it finds by itself.

    Returns:
        The motion from the later to the earlier, and from the earlier to the later.

    References:
        Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016.
    """
    height, width = later.gray.shape
    if min(height, width) < 16:  # less than two patches: nothing to search with
        still: FloatMap = np.zeros((height, width, 2), np.float32)
        back, forth = still, still
    else:
        begin = _overall_shift(later, earlier) if shift else None
        against = None if begin is None else -begin
        back = _search().calc(later.gray, earlier.gray, begin)
        forth = _search().calc(earlier.gray, later.gray, against)
    return _judged(back, forth, later, earlier), _judged(forth, back, earlier, later)


def steadied(
    back: Motion, forth: Motion, later: Sketch, earlier: Sketch, guesses: tuple[FloatMap, FloatMap]
) -> tuple[Motion, Motion]:
    """Take a guess instead of the flow where it explains the pictures as well.

    Where nothing is to be seen (walls, sky) the search finds anything. There the motion of the camera, or
    rest where it stands, is the better guess, and what stands still is fetched from the same pixel, not from
    between its neighbours, however often.

    Args:
        back: The motion from the later frame to the earlier.
        forth: And from the earlier to the later.
        later: The frame.
        earlier: The other one.
        guesses: (h, w, 2) flow for each, NaN where there is none.

    Returns:
        Both motions.
    """
    flows = (
        _explained(back.flow, guesses[0], later, earlier),
        _explained(forth.flow, guesses[1], earlier, later),
    )
    return _judged(*flows, later, earlier), _judged(*flows[::-1], earlier, later)


def texture(picture: Sketch) -> FloatMap:
    """Tell where a frame shows enough for its motion to be seen: (h, w) in 0..1, 0.5 for a faint corner."""
    corner = cv2.cornerMinEigenVal(picture.gray, _CORNER_PX, ksize=3)
    return np.asarray(corner / (corner + _FAINT_CORNER))


def _overall_shift(later: Sketch, earlier: Sketch) -> FloatMap:
    height, width = later.gray.shape
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    here, there = (frame.gray.astype(np.float32) for frame in (later, earlier))
    right_down, _ = cv2.phaseCorrelate(here, there, window)
    return np.broadcast_to(np.float32(right_down), (height, width, 2)).copy()


def _search() -> Any:
    """Make a new one: one that is used again, for pictures of another size or in another thread, crashes."""
    vision: Any = cv2  # its stubs don't know the search
    return vision.DISOpticalFlow_create(vision.DISOPTICAL_FLOW_PRESET_MEDIUM)


@cache
def _grid(width: int, height: int) -> FloatMap:
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)


def _explained(flow: FloatMap, guess: FloatMap, here: Sketch, there: Sketch) -> FloatMap:
    gray = there.gray.astype(np.float32)
    grid = _grid(gray.shape[1], gray.shape[0])

    def missed(tried: FloatMap) -> FloatMap:
        fetched = cv2.remap(gray, grid + tried, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(cv2.blur(np.abs(here.gray - fetched), _EXPLAINED_WINDOW))

    as_found = missed(flow)
    guess = np.where(np.isfinite(guess), guess, flow)
    flow = _mixed(flow, guess, missed(guess) <= 1.1 * as_found + _NOISE_LEVELS)
    if float(np.median(np.abs(flow[::4, ::4]).max(axis=2))) > _STILL_PX:
        return flow
    at_rest = cv2.blur(cv2.absdiff(here.gray, there.gray).astype(np.float32), _EXPLAINED_WINDOW)
    return _mixed(flow, np.zeros_like(flow), at_rest <= 1.1 * as_found + _NOISE_LEVELS)


def _mixed(flow: FloatMap, guess: FloatMap, better: BoolMap) -> FloatMap:
    """Go over from one to the other gradually: a break in the flow breaks a smooth floor."""
    share = cv2.blur(better.astype(np.float32), _FADE_WINDOW)[..., None]
    return np.asarray(flow + share * (guess - flow))


def _judged(flow: FloatMap, back: FloatMap, here: Sketch, there: Sketch) -> Motion:
    gap = flow + warped(back, flow)
    allowed = _FLOW_SLACK_PX**2 + _FLOW_SLACK_SHARE**2 * _squared_length(flow)
    closed = np.nan_to_num(np.exp(-0.5 * _squared_length(gap) / allowed))
    fetched = warped(there.color.astype(np.float32), flow)
    known = closed > 0.5
    gain, offset = _exposure(here.color[known], fetched[known])
    red, green, blue = cv2.split(np.abs(here.color - (gain * fetched + offset).astype(np.float32)))
    apart = np.nan_to_num(np.maximum(np.maximum(red, green), blue), nan=255)
    alike = np.exp(-0.5 * np.square(cv2.blur(apart, (3, 3)) / _COLOR_SLACK))
    return Motion(flow, closed.astype(np.float32), alike.astype(np.float32))


def _squared_length(flow: FloatMap) -> FloatMap:
    return np.asarray(np.square(flow[..., 0]) + np.square(flow[..., 1]))


def _exposure(here: FloatMap | ImageArray, there: FloatMap) -> tuple[float, float]:
    """Match the quartiles of colours: `here = gain * there + offset`."""
    if here.size < 100:
        return 1.0, 0.0
    step = max(1, len(here) // 5000)
    low, middle, high = np.percentile(here[::step], (25, 50, 75))
    low_there, middle_there, high_there = np.percentile(there[::step], (25, 50, 75))
    spans = high - low, high_there - low_there
    gain = float(np.clip(spans[0] / spans[1], 0.25, 4.0)) if min(spans) >= 8 else 1.0
    return gain, float(middle - gain * middle_there)
