"""`WebPAnimation`: an animated WebP as a film, which FFmpeg does not read."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import numpy as np

from depth3d.core.arrays import ImageArray
from depth3d.errors import UnreadableFileError
from depth3d.io.pictures import decoded, open_file, open_picture
from depth3d.io.video_resize import resized
from depth3d.io.video_source import Pictures, VideoFacts

__all__ = ["WebPAnimation", "is_webp_animation"]

_LEAST_MS, _INSTEAD_MS = 11, 100
_ANIMATED, _ALPHA = 0x02, 0x10


def is_webp_animation(path: Path) -> bool:
    """Tell by its first bytes whether a file is an animated WebP (RFC 9649, section 2.7)."""
    try:
        with path.open("rb") as file:
            head = file.read(21)
    except (OSError, ValueError):
        return False
    return (
        head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) == 21 and bool(head[20] & _ANIMATED)
    )


class WebPAnimation:
    """An animated WebP, decoded by Pillow from its start.

    Frames of less than 11 ms last 100 ms, as in browsers.

    Attributes:
        facts: What its chunks say.
        notes: What the user should know.
        is_live: False.
    """

    is_live = False

    def __init__(self, path: Path) -> None:
        """Read the chunks' headers.

        Raises:
            UnreadableFileError: Missing, damaged, or without frames.
        """
        self._path = path
        self.notes: list[str] = []
        lengths_ms, has_alpha = _lengths_ms(path)
        if not lengths_ms:
            raise UnreadableFileError(f"{path} holds no frame; check it in a browser, and copy it again")
        with open_picture(path) as image:
            size_wh = image.size
        self._times = [Fraction(end_ms, 1000) for end_ms in accumulate(lengths_ms, initial=0)]
        if has_alpha:
            self.notes.append("it is transparent in part, and laid over black")
        self.facts = VideoFacts(
            container="webp",
            codec="webp",
            size_wh=size_wh,
            fps=len(lengths_ms) / self._times[-1],
            is_variable=len(set(lengths_ms)) > 1,
            duration_s=self._times[-1],
            frame_count=len(lengths_ms),
            tick_s=Fraction(1, 1000),
            pixels="rgba" if has_alpha else "rgb24",
            has_alpha=has_alpha,
        )

    def pictures(self, start_s: Fraction, size_wh: tuple[int, int]) -> Pictures:
        """Decode the frames one after another; see `VideoSource`."""
        with open_picture(self._path) as image:
            for number, time_s in enumerate(self._times[:-1]):
                try:
                    image.seek(number)
                    rgba = np.asarray(decoded(image, self._path).convert("RGBA"))
                except (UnreadableFileError, EOFError, OSError):
                    left = len(self._times) - 1 - number
                    if not number:
                        raise UnreadableFileError(
                            f"no frame of {self._path} can be decoded; copy it again"
                        ) from None
                    note = f"{left} of its frames are damaged and were left out"
                    if note not in self.notes:  # from an earlier reading
                        self.notes.append(note)
                    return
                if time_s >= start_s:
                    yield time_s, resized(_over_black(rgba), size_wh)


def _over_black(rgba: ImageArray) -> ImageArray:
    alpha = rgba[..., 3:].astype(np.uint16)
    image = ((rgba[..., :3] * alpha + 127) // 255).astype(np.uint8)
    image.flags.writeable = False
    return image


def _lengths_ms(path: Path) -> tuple[list[int], bool]:
    """Read how long each frame lasts (ANMF), and whether any pixel may be transparent (VP8X)."""
    lengths: list[int] = []
    with open_file(path) as file:
        flags = file.read(21)[20]
        file.seek(12)
        while len(head := file.read(8)) == 8:
            size = int.from_bytes(head[4:], "little")
            body_at = file.tell()
            if head[:4] == b"ANMF":
                length = int.from_bytes(file.read(16)[12:15], "little")
                lengths.append(length if length >= _LEAST_MS else _INSTEAD_MS)
            file.seek(body_at + size + size % 2)
    return lengths, bool(flags & _ALPHA)
