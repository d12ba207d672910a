"""How fast a film plays, and whether its frames last equally long, told by its packets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.io.video_decoding import packets_of

__all__ = ["VideoTiming", "rate_of", "timing_of"]

_MOST_PACKETS = 300
_MOST_BYTES = 64_000_000
_REORDERED = 16
"""H.264 and HEVC show a frame at most 16 frames later than they store it."""

_DEFAULT_RATE = Fraction(25)
_MS = Fraction(1, 1000)


@dataclass(frozen=True, slots=True)
class VideoTiming:
    """How a film's frames lie in time.

    Attributes:
        fps: Frames a second; the mean where they vary.
        is_variable: Whether frames last for different times.
        duration_s: Of all frames together; None where nobody knows.
        frame_count: About; None where nobody knows.
        has_times: Whether the packets say when they are shown.
        told_s: How long the film is by its header, whatever is there of it; None where that says nothing.
    """

    fps: Fraction
    is_variable: bool
    duration_s: Fraction | None
    frame_count: int | None
    has_times: bool
    told_s: Fraction | None


def timing_of(container: Any, stream: Any) -> VideoTiming:
    """Look at a film's index, or else at its first 300 packets.

    Args:
        container: An `av` container, freshly opened: its packets are read.
        stream: Its video stream.
    """
    base = stream.time_base or Fraction(1, 1_000_000)
    named = [
        Fraction(rate)
        for rate in (stream.average_rate, stream.base_rate, stream.guessed_rate)
        if rate and 0 < rate <= 1000
    ]
    told_s = duration_s = _told_duration(container, stream)
    ticks, end = _index_ticks(stream), None
    is_whole = bool(ticks)
    if not ticks:
        ticks, is_whole, end = _packet_ticks(container, stream)
    span_s = Fraction(ticks[-1] - ticks[0]) * base if ticks else Fraction(0)
    fps = rate_of(ticks, base, named)
    is_variable = fps is None and span_s > 0
    if is_variable and is_whole:
        if end is not None and end > ticks[-1]:
            duration_s = Fraction(end - ticks[0]) * base
        elif duration_s is None or duration_s <= span_s:
            duration_s = span_s * len(ticks) / (len(ticks) - 1)
        fps = len(ticks) / duration_s
    elif is_variable:
        fps = named[0] if named else (len(ticks) - 1) / span_s
    elif fps is None:
        fps = named[-1] if named else _DEFAULT_RATE
    if is_whole and ticks and not is_variable:
        duration_s = len(ticks) / fps
    count = len(ticks) if is_whole else stream.frames or (duration_s and max(1, round(duration_s * fps)))
    return VideoTiming(fps, is_variable, duration_s, count or None, bool(ticks), told_s)


def rate_of(
    ticks: Sequence[int], base: Fraction, named: Sequence[Fraction], *, slack_s: Fraction = _MS
) -> Fraction | None:
    """Find the rate at which frame n is shown at n / rate, within a tick or a millisecond.

    Args:
        ticks: Times of frames, sorted, in units of `base`.
        base: Seconds a tick.
        named: Rates to prefer, such as those that the file tells.
        slack_s: How far a time may be off, in seconds, if that is more than a tick. A millisecond is what
            many muxers round to, on the way to a file with finer ticks.

    Returns:
        Frames a second; None if no rate fits, or if there are less than two frames.
    """
    if len(ticks) < 2 or ticks[-1] == ticks[0]:
        return None
    mean = Fraction(len(ticks) - 1, ticks[-1] - ticks[0]) / base
    slack = max(Fraction(base), min(slack_s, 1 / (4 * mean))) * Fraction(101, 100)
    seconds = np.asarray((np.asarray(ticks, np.int64) - ticks[0]) * float(base), np.float64)
    simple = [mean.limit_denominator(1), Fraction(round(mean * Fraction(1001, 1000)) * 1000, 1001)]
    plain = [rate for rate in named if rate.denominator <= 1001]
    for rate in (*plain, *simple, *named, mean.limit_denominator(1001), mean):
        if rate > 0 and _fits(seconds, float(rate), float(slack)):
            return Fraction(rate)
    return None


def _fits(seconds: npt.NDArray[np.float64], rate: float, slack: float) -> bool:
    off = seconds - np.arange(len(seconds)) / rate
    return bool(off.max() - off.min() <= 2 * slack and abs(off[-1]) <= 2 * slack)


def _index_ticks(stream: Any) -> list[int]:
    """Take the times in which frames are decoded from an index of all of them, as MP4 and MOV have it."""
    entries = stream.index_entries
    if not stream.frames or len(entries) != stream.frames:
        return []
    return [entry.timestamp for entry in entries if not entry.is_discard]


def _packet_ticks(container: Any, stream: Any) -> tuple[list[int], bool, int | None]:
    """Take the times from the first packets; tell whether they are all, and then when the last one ends."""
    ends: dict[int, int | None] = {}
    size = 0
    is_whole = True
    for packet in packets_of(container, stream):
        if packet.pts is not None:
            ends[packet.pts] = packet.pts + packet.duration if packet.duration else None
        size += packet.size
        if len(ends) >= _MOST_PACKETS or size >= _MOST_BYTES:
            is_whole = False
            break
    ticks = sorted(ends)
    if not is_whole and len(ticks) > 2 * _REORDERED:
        del ticks[-_REORDERED:]  # frames between them may come later
    return ticks, is_whole, ends[ticks[-1]] if ticks and is_whole else None


def _told_duration(container: Any, stream: Any) -> Fraction | None:
    if stream.duration:
        return Fraction(stream.duration * stream.time_base)
    clock = stream.metadata.get("DURATION", "").split(":")  # Matroska: 00:00:03.495000000
    try:
        hours, minutes, seconds = (Fraction(part) for part in clock)
    except ValueError:
        if not container.duration or container.streams.audio:  # which may be longer
            return None
        return Fraction(container.duration, 1_000_000)
    told = 3600 * hours + 60 * minutes + seconds
    start = (stream.start_time or 0) * stream.time_base
    return max(told - start, Fraction(0)) or None
