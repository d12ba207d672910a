"""`open_video`: a film's frames, one at a time, upright and in sRGB, each with its exact time."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Generator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np

from depth3d.core.stages import staged
from depth3d.errors import FileError, InputError, UnreadableFileError
from depth3d.io.video_frame import VideoFrame
from depth3d.io.video_resize import fitted_size
from depth3d.io.video_source import VideoFacts, VideoSource

__all__ = ["VIDEO_INPUT_SUFFIXES", "VideoFile", "is_animation", "open_video"]

VIDEO_INPUT_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv",
    ".f4v", ".3gp", ".3g2", ".ogv", ".mxf", ".vob", ".y4m",
)  # fmt: skip
"""Suffixes by which films are known among other files; `open_video` itself looks at the content.

Pictures that move have suffixes of pictures that don't: `is_animation` tells them apart.
"""

_log = logging.getLogger("depth3d")


class VideoFile:
    """A film to read, or a part of one; `open_video` makes it.

    Frames are decoded while they are asked for; a bounded number of them is held, however long the film.

    Attributes:
        path: The file or the folder; for a webcam its name.
        facts: What the whole film says of itself: codec, container, bits, rotation and more.
        size_wh: (width, height) in pixels of the frames that are given out, upright.
        start_s: Where reading starts, in seconds since the film's first frame.
        end_s: Before when it ends; None for the film's end.
        max_frames: How many frames there will be at most; None for no bound.
        first_time_s: When the first frame that is given out is shown, by the clock that the file's other
            streams, such as its sound, share: what is there `VideoFrame.time_s` 0.
    """

    def __init__(
        self,
        source: VideoSource,
        path: Path,
        *,
        start_s: float = 0.0,
        end_s: float | None = None,
        max_frames: int | None = None,
        size: tuple[int, int] | int | None = None,
    ) -> None:
        """Check what is asked for, and that there is a first frame; see `open_video`."""
        _check_stretch(start_s, end_s, max_frames)
        self._source = source
        self._is_closed = False
        self.path = path
        self.start_s, self.end_s, self.max_frames = float(start_s), end_s, max_frames
        self.facts: VideoFacts = source.facts
        self.size_wh = fitted_size(source.facts.size_wh, size)
        slack = source.facts.tick_s / 2  # the times in a file are rounded, and so are seconds in a float
        self._from_s = max(Fraction(start_s) - slack, Fraction(0)) if start_s else Fraction(0)
        self._until_s = None if end_s is None else Fraction(end_s) - slack
        self._skipped_s = Fraction(0)
        if not source.is_live:
            with closing(self._source.pictures(self._from_s, self.size_wh)) as pictures:
                first = next(pictures, None)
            if first is None or (self._until_s is not None and first[0] >= self._until_s):
                raise InputError(self._without_frames())
            self._skipped_s = first[0]
        self.first_time_s: Fraction = source.facts.first_time_s + self._skipped_s
        self._told: set[str] = set()
        self._tell_notes()

    @property
    def fps(self) -> Fraction:
        """Frames a second; the mean where they vary."""
        return self.facts.fps

    @property
    def is_variable(self) -> bool:
        """Whether the frames last for different times."""
        return self.facts.is_variable

    @property
    def duration_s(self) -> float | None:
        """Of the whole film, from its first frame to the end of its last; None where nobody knows."""
        return None if self.facts.duration_s is None else float(self.facts.duration_s)

    @property
    def has_sound(self) -> bool:
        """Whether the file has a sound track."""
        return self.facts.has_sound

    @property
    def color_range(self) -> str:
        """`limited` or `full`: that of the file. The frames are always full."""
        return self.facts.color_range

    @property
    def bits(self) -> int:
        """Bits of a colour in the file. The frames have 8."""
        return self.facts.bits

    @property
    def is_live(self) -> bool:
        """Whether it is a camera, that goes on until nobody wants more."""
        return self._source.is_live

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know, a sentence each; reading may add to them, so print them after it."""
        return tuple(self._source.notes)

    @property
    def frame_count(self) -> int | None:
        """How many frames will be given out, about, for a progress bar; None where nobody knows."""
        whole, end_s = self.facts.duration_s, self._until_s
        count: int | None = None
        if self.facts.frame_count is not None and not self._skipped_s and end_s is None:
            count = self.facts.frame_count
        elif whole is not None or end_s is not None:
            ends = [end for end in (whole, end_s) if end is not None]
            count = max(1, math.ceil((min(ends) - self._skipped_s) * self.fps))
        if self.max_frames is not None:
            count = self.max_frames if count is None else min(count, self.max_frames)
        return count

    def frames(self) -> Generator[VideoFrame, None, None]:
        """Read the frames, in order; each call starts anew, with files of its own.

        Yields:
            `VideoFrame`s: the first one has number 0 and time 0.

        Raises:
            InputError: The film is closed.
            FileError: It can't be read any further. What is damaged in between is left out, with a note.
        """
        if self._is_closed:
            raise InputError(f"{self.path} is closed; open it again with open_video()")
        return self._frames()

    def _frames(self) -> Generator[VideoFrame, None, None]:
        zero: Fraction | None = None
        with closing(staged("reading", self._source.pictures(self._from_s, self.size_wh))) as pictures:
            numbers = itertools.count()  # `enumerate` would hold a picture while the next one is decoded
            for time_s, image in pictures:
                if self._until_s is not None and time_s >= self._until_s:
                    break
                zero = time_s if zero is None else zero
                frame = VideoFrame(image, time_s - zero, next(numbers))
                is_last = frame.number + 1 == self.max_frames
                del image  # which would be held, too
                yield frame
                del frame
                if self._is_closed or is_last:
                    break
        self._tell_notes()

    def __iter__(self) -> Generator[VideoFrame, None, None]:
        return self.frames()

    def close(self) -> None:
        """End all reading: an iterator that is under way ends with the frame that it has."""
        self._is_closed = True

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        width, height = self.size_wh
        rate = f"{float(self.fps):.6g} fps{', variable' if self.is_variable else ''}"
        length = "" if self.duration_s is None else f", {self.duration_s:.2f} s"
        return f"VideoFile({width}x{height}, {rate}{length}, {self.facts.codec}, {self.path})"

    def _without_frames(self) -> str:
        if self.end_s is not None and self.end_s <= (self.duration_s or math.inf):
            return f"no frame of {self.path} lies from {self.start_s:g} s to {self.end_s:g} s; ask for more"
        lasts = "" if self.duration_s is None else f", which lasts {self.duration_s:.2f} s"
        return f"{self.start_s:g} s is beyond the end of {self.path}{lasts}; start earlier"

    def _tell_notes(self) -> None:
        for sentence in self.notes:
            if sentence not in self._told:
                self._told.add(sentence)
                _log.info("%s: %s", self.path, sentence)


def open_video(
    source: str | Path | int,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    max_frames: int | None = None,
    size: tuple[int, int] | int | None = None,
    fps: float | None = None,
) -> VideoFile:
    """Open a film to read its frames.

    Every kind that FFmpeg reads, with 8 to 16 bits, in any range and any of the usual matrices, HDR, wide
    gamuts, interlaced, transparent (over black), with pixels that are not square, rotated; animated GIF, PNG
    and WebP; a folder of pictures in the natural order of their names; a webcam. Frames are upright, sRGB,
    all of one size. Their times are exact: the file's own, counted from the first one that is given out.

    Args:
        source: A file; a folder; or a webcam: its index, 0 the first, or `/dev/video0`.
        start_s: Where to start, in seconds since the film's first frame: with the first frame that is shown
            then or later.
        end_s: Before when to end.
        max_frames: How many frames at most.
        size: The longer side in pixels, or a (width, height) box into which frames shall fit. They keep
            their aspect ratio, and are never made larger; sides may be odd.
        fps: Frames a second of a folder of pictures, 30 by default, or to ask of a webcam.

    Returns:
        The film. Read it with `for frame in film.frames()`; a frame has `image`, `time_s` and `number`.

    Raises:
        UnreadableFileError: Missing, empty, damaged, no film, or one without pictures.
        UnsupportedFormatError: A single picture, or a codec without a decoder.
        InputError: An impossible time, size or rate; no frame between start and end; pictures of several
            sizes.
    """
    from depth3d.io.remote import is_url
    from depth3d.io.webcams import Webcam, webcam_index

    if isinstance(source, str) and is_url(source):
        raise UnreadableFileError(f"{source} is an address, and films are read from disks; fetch it first")
    _check_stretch(start_s, end_s, max_frames)
    fitted_size((1, 1), size)
    index = webcam_index(source)
    opened: VideoSource
    path = Path(str(source))
    if index is not None and not (isinstance(source, str) and path.is_file()):
        if index < 0:
            raise InputError(f"a webcam's index is 0 or more, got {index}")
        opened, path = Webcam(index, fps), Path(f"webcam-{index}")
    else:
        opened = _opened_file(path, fps)
    return VideoFile(opened, path, start_s=start_s, end_s=end_s, max_frames=max_frames, size=size)


def is_animation(path: Path) -> bool:
    """Tell whether a GIF, WebP or PNG has more than one frame; False for what is none of these."""
    from depth3d.io.pictures import open_picture

    if path.suffix.lower() not in (".gif", ".webp", ".png", ".apng"):
        return False
    try:
        with open_picture(path) as image:
            return bool(getattr(image, "n_frames", 1) > 1)
    except (FileError, OSError, SyntaxError, ValueError):
        return False


def _opened_file(path: Path, fps: float | None) -> VideoSource:
    from depth3d.io.picture_sequence import PictureSequence
    from depth3d.io.stream_source import StreamSource
    from depth3d.io.webp_source import WebPAnimation, is_webp_animation

    try:
        is_folder = path.is_dir()
    except (OSError, ValueError) as error:  # a name that is too long, or one with a null
        raise UnreadableFileError(f"can't read {path}: {error}; check the path") from None
    if is_folder:
        return PictureSequence(path, fps)
    if fps is not None:
        raise InputError(f"fps is for folders of pictures and for webcams; {path} has times of its own")
    return WebPAnimation(path) if is_webp_animation(path) else StreamSource(path)


def _check_stretch(start_s: float, end_s: float | None, max_frames: int | None) -> None:
    if not (math.isfinite(start_s) and start_s >= 0):
        raise InputError(f"start_s must be 0 or more seconds, got {start_s!r}")
    if end_s is not None and not (math.isfinite(end_s) and end_s > start_s):
        raise InputError(f"end_s must be later than start_s, {start_s:g} s, got {end_s!r}")
    if max_frames is not None and not (isinstance(max_frames, int | np.integer) and max_frames >= 1):
        raise InputError(f"max_frames must be a whole number from 1 on, got {max_frames!r}")
