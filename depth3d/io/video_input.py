"""`open_video`: a film's frames, one at a time, upright and in sRGB, each with its exact time."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from depth3d.core.arrays import as_image
from depth3d.errors import InputError, UnreadableFileError
from depth3d.io.video_frame import VideoFrame

__all__ = ["VideoFile", "open_video"]


class VideoFile:
    """A film to read. `open_video` makes one.

    Attributes:
        path: The file.
        size_wh: (width, height) in pixels of the frames, upright, as they are given out.
        fps: Frames a second; the mean where they vary.
        is_variable: Whether the frames last for different times.
        duration_s: Of the whole film, in seconds; None where it is unknown.
        frame_count: How many frames there will be between start and end, about; None where it is unknown.
        has_sound: Whether the file has a sound track.
        start_s: Where reading starts, in seconds since the film's first frame.
        end_s: Where it ends; None for the film's end.
        first_time_s: When the first frame that is given out is shown, by the clock of the file (that of its
            other streams, such as sound), in seconds: the time there of `VideoFrame.time_s` 0.
        color_range: `limited` or `full`: that of the file; the frames are always full.
        bits: Of a colour in the file; the frames have 8.
        notes: What the user should know, a sentence each. Reading may add to them.
    """

    def __init__(
        self,
        path: Path,
        *,
        start_s: float = 0.0,
        end_s: float | None = None,
        max_frames: int | None = None,
        size: tuple[int, int] | int | None = None,
    ) -> None:
        """Open it; `open_video` says what the arguments are."""
        import av

        self.path = path
        self.start_s, self.end_s, self.max_frames = start_s, end_s, max_frames
        self.notes: tuple[str, ...] = ()
        try:
            with av.open(str(path)) as container:
                if not container.streams.video:
                    raise UnreadableFileError(f"{path} has no video stream; give a film")
                stream = container.streams.video[0]
                self.size_wh = _fitted(stream.width, stream.height, size)
                self.fps = Fraction(stream.average_rate or stream.guessed_rate or 30)
                self.is_variable = False
                self.has_sound = bool(container.streams.audio)
                self.duration_s = None if container.duration is None else container.duration / 1_000_000
                self.color_range, self.bits = "limited", 8
        except av.error.FFmpegError as error:
            raise UnreadableFileError(f"{path} can't be read as a film ({error.strerror})") from None
        self.frame_count = self._expected()
        first = next(self._pictures(), None)
        if first is None:
            raise UnreadableFileError(f"{path} has no frame from {start_s:g} s on")
        self.first_time_s: Fraction = first[0]

    def _expected(self) -> int | None:
        end = min((t for t in (self.end_s, self.duration_s) if t is not None), default=None)
        counts = [] if end is None else [max(0, round((end - self.start_s) * self.fps))]
        counts += [] if self.max_frames is None else [self.max_frames]
        return min(counts, default=None)

    def _pictures(self) -> Iterator[tuple[Fraction, Any]]:
        import av

        with av.open(str(self.path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            zero = None
            for frame in container.decode(stream):
                time_s = frame.pts * frame.time_base
                zero = time_s if zero is None else zero
                if time_s - zero < self.start_s:
                    continue
                if self.end_s is not None and time_s - zero >= self.end_s:
                    return
                yield time_s, frame

    def frames(self) -> Iterator[VideoFrame]:
        """Read the frames from the start, one at a time; each call starts anew."""
        width, height = self.size_wh
        for number, (time_s, frame) in enumerate(self._pictures()):
            if number == self.max_frames:
                return
            image = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA")
            image = np.ascontiguousarray(image)
            image.flags.writeable = False
            yield VideoFrame(as_image(image), time_s - self.first_time_s, number)

    def __iter__(self) -> Iterator[VideoFrame]:
        return self.frames()

    def close(self) -> None:
        """Close the file."""

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        width, height = self.size_wh
        return f"VideoFile({width}x{height}, {float(self.fps):g} fps, {self.path})"


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

    Args:
        source: The file.
        start_s: Where to start, in seconds since its first frame.
        end_s: Where to end; None is its end.
        max_frames: How many frames at most.
        size: The longer side in pixels, or a (width, height) box into which the frames shall fit; they keep
            their aspect ratio.
        fps: Frames a second of a folder of pictures; 30 by default.

    Returns:
        The film, whose `frames()` are read when they are asked for.

    Raises:
        FileError: It can't be read.
        InputError: An impossible size or time.
    """
    if isinstance(source, int):
        raise InputError("webcams can't be read yet")
    return VideoFile(Path(source), start_s=start_s, end_s=end_s, max_frames=max_frames, size=size)


def _fitted(width: int, height: int, size: tuple[int, int] | int | None) -> tuple[int, int]:
    if size is None:
        return width, height
    box = (size, size) if isinstance(size, int) else size
    scale = min(box[0] / width, box[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))
