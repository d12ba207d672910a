"""Frames to be written: what they may be, and when each is shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import as_array, as_image
from depth3d.errors import InputError
from depth3d.io.video_frame import VideoFrame

__all__ = ["DEFAULT_RATE", "Shown", "as_rgb", "shown_frames", "ticks_a_second"]

DEFAULT_RATE = Fraction(30)
"""Frames a second where nothing says how many."""

_MOST_TICKS = 9_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A checked frame and when it is shown.

    Attributes:
        image: (H, W, 3) uint8 sRGB, or (H, W) uint8 or uint16 gray.
        start_s: From when, in seconds since the first frame.
        end_s: Until when.
    """

    image: npt.NDArray[Any]
    start_s: Fraction
    end_s: Fraction


def shown_frames(
    frames: Iterable[Any], rate: Fraction | None, *, on_frame: Callable[[int], None] | None = None
) -> Iterator[Shown]:
    """Check frames as they come, and say when each is shown.

    Frames with times wait for the one after them, since it says how long they are shown. The last one is
    shown for as long as the one before it, or a thirtieth of a second where it is the only one.

    Args:
        frames: Arrays or `VideoFrame`s, all of one shape and type.
        rate: Frames a second; None for the times of `VideoFrame`s, of which the first is 0 then, or for 30 a
            second of arrays.
        on_frame: Called with 1 after each frame, when the next one is asked for.

    Yields:
        One for each frame.

    Raises:
        InputError: Frames that are no pictures, that are not of one kind, or whose times do not increase.
    """
    for shown in _shown(frames, rate):
        yield shown
        del shown  # else it would be held while the next one is made
        if on_frame:
            on_frame(1)


def _shown(frames: Iterable[Any], rate: Fraction | None) -> Iterator[Shown]:
    kind: tuple[Any, ...] = ()
    waiting: tuple[npt.NDArray[Any], Fraction] | None = None
    first_s = last_s = Fraction(0)
    gap_s = 1 / DEFAULT_RATE
    numbers = count()  # `enumerate` would hold a frame while the next one is made
    for frame in frames:
        number = next(numbers)
        is_timed = rate is None and isinstance(frame, VideoFrame)
        image = _checked(frame.image if isinstance(frame, VideoFrame) else frame)
        kind = kind or (image.shape, image.dtype, is_timed)
        _check_kind(kind, (image.shape, image.dtype, is_timed))
        if not is_timed:
            hertz = rate or DEFAULT_RATE
            yield Shown(image, number / hertz, (number + 1) / hertz)
        else:
            time_s = Fraction(frame.time_s)
            if number:
                gap_s = time_s - last_s
                _check_gap(gap_s, last_s)
            else:
                first_s = time_s
            if waiting is not None:
                yield Shown(waiting[0], waiting[1], time_s - first_s)
            waiting, last_s = (image, time_s - first_s), time_s
        del frame, image
    if waiting is not None:
        yield Shown(waiting[0], waiting[1], waiting[1] + gap_s)


def ticks_a_second(gap_s: Fraction) -> int:
    """Choose a clock for frames whose times are known one by one.

    Most films count in 90,000ths of a second or in a divisor of that; so does this clock, and in a multiple
    that holds the first gap exactly, if there is one of up to nine million.

    Args:
        gap_s: The time between the first two frames, in seconds.
    """
    ticks = math.lcm(90_000, gap_s.denominator)
    return ticks if ticks <= _MOST_TICKS else _MOST_TICKS


def as_rgb(image: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Give (H, W) gray three equal colours, and (H, W, 3) as it is."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def _checked(frame: Any) -> npt.NDArray[Any]:
    array = as_array(frame, name="frame")
    if array.ndim == 2 and array.size and array.dtype in (np.uint8, np.uint16):
        return np.ascontiguousarray(array)
    return as_image(array, name="frame")


def _check_gap(gap_s: Fraction, last_s: Fraction) -> None:
    if gap_s <= 0:
        raise InputError(
            f"times of frames must increase, got {float(last_s + gap_s):g} s after {float(last_s):g} s; "
            "leave that frame out, or give fps to set the times anew"
        )


def _check_kind(first: tuple[Any, ...], this: tuple[Any, ...]) -> None:
    if first == this:
        return
    (shape, dtype, is_timed), (other_shape, other_dtype, _) = first, this
    if shape[:2] != other_shape[:2]:
        raise InputError(
            f"all frames of a video must have one size, got {shape[1]}x{shape[0]} and then "
            f"{other_shape[1]}x{other_shape[0]}"
        )
    if (len(shape), dtype) != (len(other_shape), other_dtype):
        raise InputError(
            f"all frames of a video must be of one kind, got {_named(shape, dtype)} and then "
            f"{_named(other_shape, other_dtype)}"
        )
    with_or_without = ("with", "without") if is_timed else ("without", "with")
    raise InputError(
        "all frames of a video must have a time, or none, got one {} and then one {}; give fps to leave "
        "times out of account".format(*with_or_without)
    )


def _named(shape: tuple[int, ...], dtype: Any) -> str:
    return f"{'colour' if len(shape) == 3 else 'gray'} {np.dtype(dtype).name}"
