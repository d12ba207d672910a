"""A sound track of a film on its way into another: its packets as they are, or encoded anew."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from depth3d.io.video_decoding import opened, packets_of

__all__ = ["CopiedTrack", "EncodedTrack", "Track"]

_MARGIN_S = Fraction(1, 2)
"""How long before the start decoders are set going."""

_PREROLL = {"aac": 1, "ac3": 1, "eac3": 1, "mp3": 2, "opus": 4}
"""How many packets before the first one a decoder needs, to give that one whole."""

_CHUNK = 1024
"""Samples that are encoded at a time, and to which the end is cut."""


class Track(ABC):
    """A track that is read along with the frames, never far ahead of them.

    Times are in seconds since the start of the film that is written, `start_s` by the clock of the film that
    is read.
    """

    def __init__(self, path: Path, index: int, start_s: Fraction) -> None:
        self._path, self._index = path, index
        self._start_s = start_s
        self._open()
        self._waiting: tuple[Fraction, Any] | None = None
        self._items = self._read()
        self.stream: Any = None
        """Where the packets go."""

    def until(self, time_s: Fraction) -> Iterator[Any]:
        """Give the packets to be written that begin before a time, but for those given already."""
        while True:
            if self._waiting is None:
                self._waiting = next(self._items, None)
            if self._waiting is None or self._waiting[0] >= time_s:
                return
            item, self._waiting = self._waiting[1], None
            yield from self._packets_of(item)

    def finish(self) -> Iterator[Any]:
        """Give what an encoder still holds."""
        yield from ()

    def close(self) -> None:
        """Close the film that is read."""
        self._source.close()

    @abstractmethod
    def _read(self) -> Iterator[tuple[Fraction, Any]]:
        """Read what comes next, and when it is heard."""

    @abstractmethod
    def _packets_of(self, item: Any) -> Iterable[Any]:
        """Make packets to be written of one such thing."""

    def _open(self) -> None:
        self._source = opened(self._path)
        self.template = self._source.streams.audio[self._index]
        """The track that is read."""

    def _demuxed(self, from_s: Fraction) -> Iterator[tuple[Fraction, Any]]:
        """Give packets and their times by the clock of the film, from some time before `from_s` on.

        A seek that is refused, or comes out too late as some do, is made good by reading from the beginning.
        """
        import av

        packets = self._timed()
        if from_s > 1:
            try:
                self._source.seek(math.floor(from_s * 1_000_000))
                first = next(packets, None)
            except av.error.FFmpegError:
                first = None
            if first is not None and first[0] <= from_s:
                yield first
            else:
                self._source.close()
                self._open()
                packets = self._timed()
        yield from packets

    def _timed(self) -> Iterator[tuple[Fraction, Any]]:
        for packet in packets_of(self._source, self.template):
            ticks = packet.dts if packet.pts is None else packet.pts
            if ticks is not None:
                yield ticks * packet.time_base, packet


class CopiedTrack(Track):
    """Packets as they are; only when they are shown changes."""

    def __init__(self, path: Path, index: int, start_s: Fraction, *, before_start: bool) -> None:
        """Open a track.

        Args:
            path: The film that is read.
            index: Of its sound tracks.
            start_s: Where the film that is written starts, by the clock of this one.
            before_start: Whether the file can begin its sound within a packet, by an edit list: then what a
                decoder needs before the start is copied too.
        """
        super().__init__(path, index, start_s)
        self._before_start = before_start

    def _read(self) -> Iterator[tuple[Fraction, Any]]:
        context = self.template.codec_context
        rate = context.sample_rate
        preroll: deque[tuple[int, Any]] = deque(maxlen=_PREROLL.get(context.codec.canonical_name, 0))
        has_begun = False
        due: int | None = None
        for time_s, packet in self._demuxed(self._start_s - _MARGIN_S):
            start, length = self._in_samples(time_s, packet, due)
            if due is not None and start < due - length // 2:
                continue  # twice the same, or back in time
            due = start + length
            packet.time_base = Fraction(1, rate)
            packet.pts = packet.dts = start
            packet.duration = length
            if start < 0 and not (self._before_start and due > 0):
                preroll.append((start, packet))
                continue
            if self._before_start and not has_begun:
                yield from ((Fraction(before, rate), kept) for before, kept in preroll if before > -rate)
            has_begun = True
            yield Fraction(start, rate), packet

    def _in_samples(self, time_s: Fraction, packet: Any, due: int | None) -> tuple[int, int]:
        """Tell where a packet starts and how long it is, in samples.

        A clock that ticks more slowly than the samples (Matroska counts milliseconds) rounds both; where the
        packet comes when it is due, but for that, it starts then.
        """
        context = self.template.codec_context
        rate = context.sample_rate
        tick = packet.time_base * rate
        start = round((time_s - self._start_s) * rate)
        length = round((packet.duration or 0) * tick) or context.frame_size
        if context.frame_size and abs(length - context.frame_size) <= tick:
            length = context.frame_size
        if due is not None and tick > 1 and abs(start - due) <= tick:
            start = due
        return start, length

    def _packets_of(self, item: Any) -> Iterable[Any]:
        item.stream = self.stream
        return (item,)


class EncodedTrack(Track):
    """Sound that is decoded, cut to the sample at its start, and encoded for another file."""

    def finish(self) -> Iterator[Any]:
        """Give what the encoder still holds."""
        yield from self.stream.encode(None)

    def _read(self) -> Iterator[tuple[Fraction, Any]]:
        graph: Any = None
        for time_s, packet in self._demuxed(self._start_s - _MARGIN_S):
            for frame in self._decoded(packet):
                if frame.pts is not None:
                    time_s = frame.pts * frame.time_base
                start = round((time_s - self._start_s) * frame.sample_rate)
                time_s += Fraction(frame.samples, frame.sample_rate)
                if start + frame.samples <= 0:
                    continue
                graph = graph or self._graph(frame)
                frame.pts, frame.time_base = start, Fraction(1, frame.sample_rate)
                graph.push(frame)
                yield from _pulled(graph)
        if graph is not None:
            graph.push(None)
            yield from _pulled(graph)

    def _decoded(self, packet: Any) -> list[Any]:
        import av

        try:
            return list(packet.decode())
        except av.error.InvalidDataError:  # the resampler fills the gap with silence
            return []

    def _packets_of(self, item: Any) -> Iterable[Any]:
        return list(self.stream.encode(item))

    def _graph(self, frame: Any) -> Any:
        """Resample to what the encoder takes; silence fills gaps, and up to the first sample."""
        import av

        context = self.stream.codec_context
        graph = av.filter.Graph()
        parts = [
            graph.add(
                "abuffer",
                f"sample_rate={frame.sample_rate}:sample_fmt={frame.format.name}"
                f":channel_layout={frame.layout.name}:time_base=1/{frame.sample_rate}",
            ),
            graph.add("aresample", f"{context.sample_rate}:async=1:min_hard_comp=0.02:first_pts=0"),
            graph.add(
                "aformat",
                f"sample_fmts={context.format.name}:channel_layouts={context.layout.name}"
                f":sample_rates={context.sample_rate}",
            ),
            graph.add("asetnsamples", f"n={_CHUNK}:p=0"),
            graph.add("abuffersink"),
        ]
        for one, following in pairwise(parts):
            one.link_to(following)
        graph.configure()
        return graph


def _pulled(graph: Any) -> Iterator[tuple[Fraction, Any]]:
    import av

    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):  # wants more, or is done
            return
        yield frame.pts * frame.time_base, frame
