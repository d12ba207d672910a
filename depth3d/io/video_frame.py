"""`VideoFrame`: a picture and when it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from depth3d.core.arrays import ImageArray

__all__ = ["VideoFrame"]


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """A frame of a film.

    Attributes:
        image: (H, W, 3) uint8 sRGB, upright.
        time_s: When it is shown, in seconds since the first frame that was read, as exact as the file is.
        number: Its place among the frames that were read, from 0.
    """

    image: ImageArray
    time_s: Fraction
    number: int

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        return f"VideoFrame({self.number}, {width}x{height}, at {float(self.time_s):.3f} s)"
