"""The sound of one film in another: all its tracks, in step with the frames."""

from __future__ import annotations

import errno
import io
import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from depth3d.io.sound_tracks import CopiedTrack, EncodedTrack, Track
from depth3d.io.video_decoding import opened

if TYPE_CHECKING:
    from depth3d.io.video_input import VideoFile

__all__ = ["MUXERS", "OF_THE_DISK", "Sound"]

_log = logging.getLogger("depth3d")

MUXERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""What FFmpeg calls the containers."""

OF_THE_DISK = (errno.ENOENT, errno.EIO, errno.EACCES, errno.EFBIG, errno.ENOSPC, errno.EROFS, errno.EDQUOT)
"""What is wrong with the file that is written, not with what is written to it."""

_PLAYED = {
    "mp4": ("aac", "mp3", "ac3", "eac3", "alac", "opus"),
    "mov": ("aac", "mp3", "ac3", "eac3", "alac", "pcm"),
    "webm": ("opus", "vorbis"),
}
"""What players expect in a container, by the part of the codec's name before "_"; Matroska takes anything."""

_AAC_RATES_HZ = (48000, 44100, 32000, 24000, 22050, 16000)


class Sound:
    """The sound tracks of a film while another is written. It is a context manager.

    Whatever is wrong with them ends the track, not the film: a warning goes to the log.

    Args:
        source: The film that has the sound; None for silence.
        container: The open file that is written, with its video stream and without a header yet.
        suffix: Of the file that is written.
        from_s: What part of the sound belongs to the start, in seconds since the first frame that `source`
            gives out.
    """

    def __init__(self, source: VideoFile | None, container: Any, suffix: str, *, from_s: Fraction) -> None:
        self._container = container
        self._tracks: list[Track] = []
        self._name = ""
        if source is None or not source.has_sound:
            return
        self._name = str(source.path)
        start_s = Fraction(source.first_time_s) + from_s
        for index in range(self._count(Path(source.path))):
            self._add(Path(source.path), index, start_s, suffix.lower())

    def write_until(self, time_s: Fraction) -> None:
        """Write the packets that begin before a time of the film that is written, in seconds."""
        for track in tuple(self._tracks):
            self._write(track, track.until(time_s))

    def finish(self) -> None:
        """Write what encoders still hold."""
        for track in tuple(self._tracks):
            self._write(track, track.finish())

    def __enter__(self) -> Sound:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for track in self._tracks:
            track.close()

    def _count(self, path: Path) -> int:
        import av

        try:
            with opened(path) as container:
                return len(container.streams.audio)
        except av.error.FFmpegError as error:
            self._warn("can't be read", error)
            return 0

    def _add(self, path: Path, index: int, start_s: Fraction, suffix: str) -> None:
        import av

        track: Track | None = None
        try:
            track = CopiedTrack(path, index, start_s, before_start=MUXERS[suffix] in ("mp4", "mov"))
            if track.template.codec_context is None:
                raise ValueError("an unknown codec")
            if _holds(track.template, suffix):
                track.stream = self._container.add_stream_from_template(track.template)
            else:
                track.close()
                track = EncodedTrack(path, index, start_s)
                track.stream = _encoder(self._container, track.template, suffix)
            for key in ("language", "title"):
                if key in track.template.metadata:
                    track.stream.metadata[key] = track.template.metadata[key]
        except (av.error.FFmpegError, ValueError) as error:
            self._warn(f"can't be written (track {index + 1})", error)
            if track is not None:
                track.close()
            return
        self._tracks.append(track)

    def _write(self, track: Track, packets: Iterator[Any]) -> None:
        import av

        self._container.start_encoding()  # so that what is wrong with the header is not the sound's fault
        while True:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, ValueError) as error:
                self._drop(track, error)
                return
            if packet is None:
                return
            try:
                self._container.mux(packet)
            except av.error.FFmpegError as error:
                if isinstance(error, OSError) and error.errno in OF_THE_DISK:
                    raise
                self._drop(track, error)
                return

    def _drop(self, track: Track, error: Exception) -> None:
        self._tracks.remove(track)
        track.close()
        self._warn("is damaged and ends early", error)

    def _warn(self, what: str, error: Exception) -> None:
        why = getattr(error, "strerror", None) or error
        _log.warning("the sound of %s %s: %s; the film goes on without it", self._name, what, why)


def _holds(stream: Any, suffix: str) -> bool:
    """Tell whether a container takes a track's packets, and players know them there."""
    import av

    muxer = MUXERS[suffix]
    codec = stream.codec_context.codec.canonical_name
    if muxer in _PLAYED and codec.partition("_")[0] not in _PLAYED[muxer]:
        return False
    try:
        with av.open(io.BytesIO(), "w", format=muxer) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return False
    return True


def _encoder(container: Any, stream: Any, suffix: str) -> Any:
    """Add a stream of AAC, or Opus in WebM, in mono, stereo or 5.1."""
    given = stream.codec_context
    layout = {1: "mono", 6: "5.1"}.get(given.layout.nb_channels, "stereo")
    count = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
    if MUXERS[suffix] == "webm":
        made = container.add_stream("libopus", rate=48000)
        made.bit_rate = 64_000 * count
    else:
        rate_hz = given.sample_rate if given.sample_rate in _AAC_RATES_HZ else 48000
        made = container.add_stream("aac", rate=rate_hz)
        made.bit_rate = min(96_000 * count, 6 * rate_hz * count)  # the most that AAC has is 6 bits a sample
    made.layout = layout
    return made
