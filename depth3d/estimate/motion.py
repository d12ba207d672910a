"""`Motion`: where the pixels of one frame were in another, and where that can be believed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap, ImageArray

__all__ = [
    "WORKING_SIDE_PX",
    "Motion",
    "Sketch",
    "averaged",
    "motions",
    "sketch",
    "steadied",
    "warped",
]

_Number = TypeVar("_Number", np.uint8, np.float32)

WORKING_SIDE_PX = 512
"""Longer side at which motion is found; networks see hardly more."""

_FLOW_SLACK_PX = 0.5
_FLOW_SLACK_SHARE = 0.05
"""How far there and back again may end from where it began: pixels, and a share of the way."""

_COLOR_SLACK = 20.0
"""Standard deviation in 8-bit levels of the colour difference of what is the same thing."""

_STILL_PX = 0.1
"""The camera stands where no more than half of the picture moves farther."""

_ALIKE = np.exp(-0.5 * np.square(np.arange(9 * 255 + 1) / 9 / _COLOR_SLACK)).astype(np.float32)
"""How sure it is that colours are the same, by the sum of their differences over 3 x 3 pixels, in levels."""

_EXPLAINED_WINDOW = (7, 7)

_FADE_WINDOW = (9, 9)

_NOISE_LEVELS = 0.3
"""Mean difference in 8-bit levels that says nothing."""

_CORNER_PX, _FAINT_CORNER = 7, 1e-3
"""Window and smaller eigenvalue of the gradients' structure tensor, in OpenCV's unit."""


@dataclass(frozen=True, eq=False)
class Sketch:
    """A frame at the size at which motion is found; what is asked of it twice is kept.

    Attributes:
        color: (h, w, 3) uint8 sRGB.
        gray: (h, w) uint8.
    """

    color: ImageArray
    gray: ImageArray

    @cached_property
    def texture(self) -> FloatMap:
        """(h, w) in 0..1: where it shows enough for its motion to be seen; 0.5 is a faint corner."""
        corner = cv2.cornerMinEigenVal(self.gray, _CORNER_PX, ksize=3)
        return np.asarray(corner / (corner + _FAINT_CORNER))


@dataclass(frozen=True, eq=False)
class Motion:
    """Where the pixels of a frame are in another one.

    Attributes:
        flow: (h, w, 2) float32 pixels (right, down), to add to a pixel's place to find it in the other.
        closed: (h, w) float32 in 0..1: whether the way back leads to where it began.
        sure: (h, w) float32 in 0..1: `closed`, where the colours agree, too, as far as they were compared.
    """

    flow: FloatMap
    closed: FloatMap
    sure: FloatMap

    @cached_property
    def trust(self) -> FloatMap:
        """(h, w) in 0..1: 0 where the other frame does not show the point, and fading towards it.

        Averages that end at a sharp line would draw that line into a smooth floor.
        """
        return np.asarray(np.minimum(self.sure, cv2.blur(self.sure, _FADE_WINDOW)))


def sketch(image: ImageArray, longest_px: int) -> Sketch:
    """Reduce a frame, by averaging, so that its longer side is at most `longest_px`."""
    height, width = image.shape[:2]
    scale = min(1.0, longest_px / max(height, width))
    if scale < 1:
        size_wh = max(1, round(width * scale)), max(1, round(height * scale))
        image = averaged(image, size_wh)
    return Sketch(image, cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def averaged(values: npt.NDArray[_Number], size_wh: tuple[int, int]) -> npt.NDArray[_Number]:
    """Reduce a picture or a map by the mean over areas.

    It is halved first, while it is three times as large as what is wanted: that is much quicker.
    """
    width, height = values.shape[1::-1]
    steps = [size_wh]
    while width % 2 == height % 2 == 0 and width >= 3 * size_wh[0] and height >= 3 * size_wh[1]:
        width, height = width // 2, height // 2
        steps.insert(-1, (width, height))
    for step_wh in steps:
        values = np.asarray(cv2.resize(values, step_wh, interpolation=cv2.INTER_AREA), values.dtype)
    return values


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
    found[_outside(place)] = np.nan
    return np.asarray(found)


def motions(later: Sketch, earlier: Sketch, *, shift: bool = False) -> tuple[Motion, Motion]:
    """Find the motion between two frames, by dense inverse search.

    Trust falls with the gap that is left after going there and back again, which is large where a point is
    hidden in the other frame (Sundaram, Brox and Keutzer, ECCV 2010).

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
    closed, closed_too = _closed(back, forth), _closed(forth, back)
    return Motion(back, closed, closed), Motion(forth, closed_too, closed_too)


def steadied(
    back: Motion, forth: Motion, later: Sketch, earlier: Sketch, guesses: tuple[FloatMap, FloatMap]
) -> tuple[Motion, Motion]:
    """Take a guess instead of the flow where it explains the pictures as well.

    Where nothing is to be seen (walls, sky) the search finds anything. There the motion of the camera, or
    rest where it stands, is the better guess, and what stands still is fetched from the same pixel, not from
    between its neighbours, however often.

    Trust falls with the difference in colour, too, after the gain and the offset of all of the picture are
    taken out, as in a fade.

    Args:
        back: The motion from the later frame to the earlier.
        forth: And from the earlier to the later.
        later: The frame.
        earlier: The other one.
        guesses: (h, w, 2) flow for each, NaN where there is none.

    Returns:
        Both motions.
    """
    flow_back = _explained(back.flow, guesses[0], later, earlier)
    flow_forth = _explained(forth.flow, guesses[1], earlier, later)
    return _judged(flow_back, flow_forth, later, earlier), _judged(flow_forth, flow_back, earlier, later)


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


def _closed(flow: FloatMap, back: FloatMap) -> FloatMap:
    """Judge a flow by the way back alone."""
    gap = warped(back, flow)
    gap += flow
    allowed = _FLOW_SLACK_PX**2 + _FLOW_SLACK_SHARE**2 * _squared_length(flow)
    closed = np.exp(-0.5 * _squared_length(gap) / allowed)
    cv2.patchNaNs(closed, 0)
    return np.asarray(closed)


def _judged(flow: FloatMap, back: FloatMap, here: Sketch, there: Sketch) -> Motion:
    """Judge a flow by the way back and by the colours.

    These are compared in whole levels: a rounded one is nothing beside the slack, and much quicker.
    """
    closed = _closed(flow, back)
    place = _grid(*flow.shape[1::-1]) + flow
    fetched = cv2.remap(there.color, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    gain, offset = _exposure(here.color, np.asarray(fetched, np.uint8), closed > 0.5)
    levels = np.clip(np.rint(gain * np.arange(256) + offset), 0, 255).astype(np.uint8)
    red, green, blue = cv2.split(cv2.absdiff(here.color, cv2.LUT(fetched, levels)))
    apart = cv2.max(cv2.max(red, green), blue)
    return Motion(flow, closed, closed * _ALIKE[cv2.boxFilter(apart, cv2.CV_16U, (3, 3), normalize=False)])


def _outside(place: FloatMap) -> BoolMap:
    """Tell which places, (h, w, 2) pixels, lie more than half a pixel outside of a picture of that size."""
    height, width = place.shape[:2]
    inside = cv2.inRange(place, (-0.5, -0.5), (width - 0.5, height - 0.5))
    return np.asarray(inside == 0)


def _squared_length(flow: FloatMap) -> FloatMap:
    right, down = cv2.split(flow)
    return np.asarray(right * right + down * down)


def _exposure(here: ImageArray, there: ImageArray, known: BoolMap) -> tuple[float, float]:
    """Match the quartiles of colours where they are known: `here = gain * there + offset`."""
    places = np.flatnonzero(known)
    places = places[:: max(1, len(places) // 5000)]
    if len(places) < 34:
        return 1.0, 0.0
    low, middle, high = _quartiles(here.reshape(-1, 3)[places])
    low_there, middle_there, high_there = _quartiles(there.reshape(-1, 3)[places])
    spans = high - low, high_there - low_there
    gain = min(max(spans[0] / spans[1], 0.25), 4.0) if min(spans) >= 8 else 1.0
    return gain, middle - gain * middle_there


def _quartiles(levels: ImageArray) -> list[int]:
    counts = np.bincount(levels.ravel(), minlength=256).cumsum()
    quartiles: list[int] = np.searchsorted(counts, counts[-1] * np.array([0.25, 0.5, 0.75])).tolist()
    return quartiles
