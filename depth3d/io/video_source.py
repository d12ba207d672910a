"""What a film is read from: a file, a folder of pictures, a webcam."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, TypeAlias

from depth3d.core.arrays import ImageArray

__all__ = ["MAX_FRAME_PIXELS", "Pictures", "VideoFacts", "VideoSource"]

MAX_FRAME_PIXELS = 150_000_000
"""Larger frames are refused: 16K has 133 megapixels, and decoders hold a dozen frames at once."""


Pictures: TypeAlias = Generator[tuple[Fraction, ImageArray], None, None]
"""Times in seconds since a film's first frame, and (H, W, 3) uint8 sRGB, read-only."""


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a film says of itself.

    Attributes:
        container: The kind of file, such as `mov,mp4,m4a,3gp,3g2,mj2`, `folder` or `webcam`.
        codec: Such as `h264`, `gif`, `png`.
        size_wh: (width, height) in pixels, upright and with square pixels.
        fps: Frames a second; the mean where they vary.
        is_variable: Whether frames last for different times.
        duration_s: From the first frame to the end of the last, in seconds; None where nobody knows.
        frame_count: Of the whole film, about; None where nobody knows.
        first_time_s: When the first frame is shown, by the clock that it shares with the sound.
        tick_s: To what the times in the file are rounded.
        has_sound: Whether there is a sound track.
        pixels: How the file stores them, in FFmpeg's words, such as `yuv420p10le`.
        bits: Of a colour; the frames that are given out have 8.
        color_range: `limited` or `full`; the frames that are given out are full.
        color: The matrix, the primaries or the curve that was undone: `BT.709`, `BT.601`, `PQ` and so on.
        rotation_deg: How far the pictures were turned clockwise to be upright: 0, 90, 180, 270.
        is_interlaced: Whether the frames are pairs of fields.
        has_alpha: Whether the pictures may be transparent.
    """

    container: str
    codec: str
    size_wh: tuple[int, int]
    fps: Fraction
    is_variable: bool = False
    duration_s: Fraction | None = None
    frame_count: int | None = None
    first_time_s: Fraction = Fraction(0)
    tick_s: Fraction = Fraction(1, 1_000_000)
    has_sound: bool = False
    pixels: str = "rgb24"
    bits: int = 8
    color_range: str = "full"
    color: str = "RGB"
    rotation_deg: int = 0
    is_interlaced: bool = False
    has_alpha: bool = False


class VideoSource(Protocol):
    """Something that gives pictures with times.

    Attributes:
        facts: What is known before reading.
        notes: What the user should know, a sentence each; reading may add to them.
        is_live: Whether the pictures are made while they are read, and never come again.
    """

    facts: VideoFacts
    notes: list[str]
    is_live: bool

    def pictures(self, start_s: Fraction, size_wh: tuple[int, int]) -> Pictures:
        """Give the pictures that are shown at `start_s` or later, in order.

        Args:
            start_s: In seconds since the film's first frame.
            size_wh: (width, height) in pixels that the pictures shall have.

        Yields:
            Times and pictures.

        Raises:
            FileError: The film can't be read any further.
        """
        ...
