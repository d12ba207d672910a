"""A video file's frames with their times, decoded by PyAV, past what is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from depth3d.errors import UnreadableFileError
from depth3d.io.video_source import MAX_FRAME_PIXELS

__all__ = ["Damage", "decoded_frames", "opened", "packets_of", "threaded", "video_stream"]

_MOST_FAILURES = 200
"""After so many failures of the demuxer in a row there is nothing more to come."""

_JUMP_S = 1
_LARGE_FRAME = 36_000_000


@dataclass(slots=True)
class Damage:
    """What could not be decoded as it should.

    Attributes:
        packets: How many packets gave nothing.
        frames: How many frames the decoder calls corrupt.
        jumps: How often the times went back by more than a second.
    """

    packets: int = 0
    frames: int = 0
    jumps: int = 0

    def forget(self) -> None:
        """Count from nothing again."""
        self.packets = self.frames = self.jumps = 0


def opened(path: Path) -> Any:
    """Open a file with PyAV; `file:` keeps names with colons from being taken for addresses."""
    import av

    return av.open(
        f"file:{path}",
        metadata_errors="replace",
        container_options={"protocol_whitelist": "file,crypto,data"},  # no address may be in a playlist
    )


def video_stream(container: Any) -> Any | None:
    """Choose the stream to show: FFmpeg's best one, but for a cover picture."""
    import av

    videos = [stream for stream in container.streams.video if not _is_cover(stream, av)]
    best = container.streams.best("video")
    return best if best in videos else next(iter(videos), None)


def _is_cover(stream: Any, av: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def threaded(stream: Any) -> None:
    """Let the decoder use threads, fewer of them where frames are huge, and bound the size of these."""
    context = stream.codec_context
    context.options = {**context.options, "max_pixels": str(MAX_FRAME_PIXELS)}
    context.thread_type = "AUTO"
    if context.width * context.height > _LARGE_FRAME:
        context.thread_count = 2


def decoded_frames(
    container: Any, stream: Any, rate: Fraction, damage: Damage
) -> Iterator[tuple[Fraction, Any]]:
    """Decode what follows in a container.

    A packet that can't be decoded is counted and left out. Frames without a time follow the one before at
    its own length, or else at the rate's. Times that do not grow are mended: by a tick where they go
    back by less than a second, and otherwise the rest of the film is put behind what came before.

    Args:
        container: An `av` container.
        stream: Its video stream.
        rate: Frames a second, for what says no time.
        damage: Where to count.

    Yields:
        Times by the clock of the container, growing, and frames.
    """
    tick = Fraction(stream.time_base or Fraction(1, 1_000_000))
    before: Fraction | None = None
    length = 1 / rate
    put_behind = Fraction(0)
    for frame in _frames(container, stream, damage):
        if frame.is_corrupt:
            damage.frames += 1
            if before is None:
                continue  # what refers to frames before the beginning
        base = Fraction(frame.time_base or tick)
        if frame.pts is None:
            time_s = Fraction(0) if before is None else before + length
        else:
            time_s = frame.pts * base + put_behind
        if before is not None and time_s <= before:
            if before - time_s < _JUMP_S:
                time_s = before + tick
            else:
                damage.jumps += 1
                put_behind += before + length - time_s
                time_s = before + length
        length = frame.duration * base if frame.duration else 1 / rate
        before = time_s
        yield time_s, frame


def _frames(container: Any, stream: Any, damage: Damage) -> Iterator[Any]:
    import av

    context = _decoder(stream)
    for packet in packets_of(container, stream):
        try:
            yield from context.decode(packet)
        except av.error.FFmpegError as error:
            _check_memory(error)
            damage.packets += 1
    for _ in range(_MOST_FAILURES):  # an error while it gives out the last ones must not cost the others
        try:
            yield from context.decode(None)
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            damage.packets += 1
        else:
            return


def _decoder(stream: Any) -> Any:
    """Give the stream's own decoder, or for a transparent VP8 or VP9 the one that does not drop its alpha."""
    import av

    tags = {name.lower(): value for name, value in stream.metadata.items()}
    library = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(stream.codec_context.name)
    if tags.get("alpha_mode") != "1" or library not in av.codecs_available:
        return stream.codec_context
    context = av.CodecContext.create(library, "r")
    context.thread_type = "AUTO"
    return context


def packets_of(container: Any, stream: Any) -> Iterator[Any]:
    """Read a stream's packets, past what the demuxer stumbles over.

    Args:
        container: An `av` container.
        stream: One of its streams.

    Yields:
        Packets that hold something.
    """
    import av

    packets = container.demux(stream)
    failures = 0
    while failures < _MOST_FAILURES:
        try:
            packet = next(packets)
        except (StopIteration, av.error.EOFError):
            return
        except (av.error.FFmpegError, IndexError) as error:  # PyAV's of a stream that appears midway
            _check_memory(error)
            failures += 1
            packets = container.demux(stream)
            continue
        if not packet.size:
            return  # the sign to flush, which `_frames` does itself
        failures = 0
        yield packet


def _check_memory(error: Exception) -> None:
    if isinstance(error, MemoryError):
        raise UnreadableFileError(
            f"there is no memory for the frames of this film ({error}); make a smaller copy of it"
        ) from None
