"""`StreamSource`: a video file, of any kind that FFmpeg reads, as a source of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from depth3d.errors import FileError, UnreadableFileError, UnsupportedFormatError
from depth3d.io.pictures import open_file
from depth3d.io.video_colors import FrameColors, colors_of
from depth3d.io.video_decoding import Damage, decoded_frames, opened, threaded, video_stream
from depth3d.io.video_graph import TURNS, FrameGraph, graph_key, turn_of
from depth3d.io.video_source import MAX_FRAME_PIXELS, Pictures, VideoFacts
from depth3d.io.video_timing import timing_of

__all__ = ["StreamSource"]

_WIDEST_PIXEL = 16
_CENTERED = ("mjpeg", "mpeg1video", "h261", "h263", "flv1", "theora", "vp8", "rawvideo")
"""Codecs that measure colours of half resolution between pixels, where others do so on the left one."""

_LEFT_OUT = "of its frames are damaged and were left out"
_MARKED = "of its frames are marked as damaged"

_BACK_S = (0, 1, 4, 16, 64)
"""How much earlier to look for a frame from which decoding can start, until one is early enough."""


class StreamSource:
    """A video file.

    Attributes:
        facts: What it says of itself.
        notes: What the user should know.
        is_live: False.
    """

    is_live = False

    def __init__(self, path: Path) -> None:
        """Read the file's header and its first frame.

        Raises:
            UnreadableFileError: Missing, empty, damaged, no film, without pictures, or with huge frames.
            UnsupportedFormatError: A single picture, or a codec that this PyAV has no decoder for.
        """
        self._path = path
        self.notes: list[str] = []
        with open_file(path):
            pass  # says what is wrong with a name, or with a file that is empty
        with self._reading() as (container, stream):
            timing = timing_of(container, stream)
            self._rate, self._has_times, self._told_s = timing.fps, timing.has_times, timing.told_s
        damage = Damage()
        with self._reading() as (container, stream):
            first = next(decoded_frames(container, stream, self._rate, damage), None)
            if first is None:
                raise self._without_frames(damage)
            self._zero, frame = first
            self._turn = turn_of(frame)
            colors = colors_of(frame)
            self.facts = VideoFacts(
                container=container.format.name,
                codec=stream.codec_context.codec.canonical_name,
                size_wh=self._upright_size(stream, frame),
                fps=timing.fps,
                is_variable=timing.is_variable,
                duration_s=timing.duration_s,
                frame_count=timing.frame_count,
                first_time_s=self._zero,
                tick_s=Fraction(stream.time_base or Fraction(1, 1_000_000)),
                has_sound=bool(container.streams.audio),
                pixels=frame.format.name,
                bits=max(part.bits for part in frame.format.components),
                color_range="full" if colors.is_full else "limited",
                color=colors.name,
                rotation_deg=TURNS[self._turn][1],
                is_interlaced=bool(frame.interlaced_frame),
                has_alpha=_has_alpha(frame),
            )
            self._say_what_is_done(colors, frame)

    def pictures(self, start_s: Fraction, size_wh: tuple[int, int]) -> Pictures:
        """Give the pictures that are shown at `start_s` or later; see `VideoSource`.

        Decoding starts at the frame before `start_s` from which it can.
        """
        damage = Damage()
        try:
            yield from self._pictures(start_s, size_wh, damage)
        finally:  # if nobody wants more, too
            self._say_what_is_damaged(damage)

    def _pictures(self, start_s: Fraction, size_wh: tuple[int, int], damage: Damage) -> Pictures:
        graph: FrameGraph | None = None
        key: tuple[Any, ...] = ()
        is_interlaced = self.facts.is_interlaced
        last = Fraction(0)
        for time_s, frame in self._frames_from(start_s, damage):
            is_interlaced |= bool(frame.interlaced_frame)
            wanted = (*graph_key(frame), is_interlaced)
            if graph is None or wanted != key:
                if graph is not None:
                    yield from graph.images(None)
                    self._say_what_changed(key, wanted)
                key = wanted
                graph = FrameGraph(
                    frame,
                    size_wh,
                    self._turn,
                    has_alpha=self.facts.has_alpha,
                    is_interlaced=is_interlaced,
                    chroma="center" if self.facts.codec in _CENTERED else "left",
                )
            last = time_s
            yield from graph.images(frame, time_s)
        if graph is not None:
            yield from graph.images(None)
        self._say_what_is_missing(last)

    def _frames_from(self, start_s: Fraction, damage: Damage) -> Iterator[tuple[Fraction, Any]]:
        """Decode exactly from a time on: from a key frame before it, or else from the beginning."""
        import av

        for back_s in _BACK_S if start_s > 0 and self._has_times else ():
            target_s = self._zero + start_s - back_s
            if target_s <= self._zero:
                break
            with self._reading() as (container, stream):
                try:
                    container.seek(int(target_s / stream.time_base), stream=stream, backward=True)
                except av.error.FFmpegError:
                    break
                damage.forget()  # what was counted on the way from a later frame
                frames = decoded_frames(container, stream, self._rate, damage)
                first = next(frames, None)
                if first is None or first[0] - self._zero > start_s:
                    continue  # not a frame from which decoding can start, or one that is too late
                yield from self._shown_from(start_s, first)
                del first  # else a frame would be held as long as the film
                for frame in frames:
                    yield from self._shown_from(start_s, frame)
                return
        damage.forget()
        with self._reading() as (container, stream):
            for frame in decoded_frames(container, stream, self._rate, damage):
                yield from self._shown_from(start_s, frame)

    def _shown_from(self, start_s: Fraction, frame: tuple[Fraction, Any]) -> Iterator[tuple[Fraction, Any]]:
        time_s = frame[0] - self._zero
        if time_s >= start_s:
            yield time_s, frame[1]

    @contextmanager
    def _reading(self) -> Iterator[tuple[Any, Any]]:
        """Open the file and choose its video stream; each failure is a sentence."""
        import av

        path = self._path
        try:
            with opened(path) as container:
                name = container.format.name
                if name in ("tty", "image2") or name.endswith("_pipe"):
                    raise UnsupportedFormatError(
                        f"{path} is a text, no film; check the path"
                        if name == "tty"
                        else f"{path} is a single picture, no film; give a film or a folder of pictures"
                    )
                stream = video_stream(container)
                if stream is None:
                    what = "only sound" if container.streams.audio else "no pictures"
                    raise UnreadableFileError(f"{path} has no video stream, {what}; give a film")
                if stream.codec_context is None:
                    raise UnsupportedFormatError(
                        f"{path} is encoded in a way that this PyAV has no decoder for; convert it to H.264"
                    )
                _check_size(stream.codec_context.width, stream.codec_context.height, path)
                threaded(stream)
                yield container, stream
        except FileError:
            raise
        except av.error.EOFError:
            raise self._without_frames(Damage()) from None
        except (av.error.FFmpegError, UnicodeError) as error:
            raise UnreadableFileError(self._why(error)) from None

    def _why(self, error: Exception) -> str:
        if _lacks_index(self._path):
            return (
                f"{self._path} lacks its index, so its recording or its copy was cut short; copy it again, "
                "or have it repaired"
            )
        reason = getattr(error, "strerror", None) or error
        return f"{self._path} is no film, or is damaged ({reason}); check it in a player, and copy it again"

    def _without_frames(self, damage: Damage) -> UnreadableFileError:
        if damage.packets or damage.frames:
            return UnreadableFileError(
                f"no frame of {self._path} can be decoded ({damage.packets + damage.frames} are damaged); "
                "check it in a player, and copy it again"
            )
        return UnreadableFileError(f"{self._path} holds no frame; check it in a player, and copy it again")

    def _upright_size(self, stream: Any, frame: Any) -> tuple[int, int]:
        shape = Fraction(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1)
        width, height = frame.width, frame.height
        if not Fraction(1, _WIDEST_PIXEL) <= shape <= _WIDEST_PIXEL:
            if shape > 0:
                self.notes.append(
                    f"pixels that are {float(shape):g} times as wide as high are taken for square"
                )
        elif shape > 1:
            width = max(1, round(width * shape))
        elif shape < 1:
            height = max(1, round(height / shape))
        _check_size(width, height, self._path)
        return (width, height) if self._turn[0] else (height, width)

    def _say_what_is_done(self, colors: FrameColors, frame: Any) -> None:
        if colors.curve != "SDR":
            self.notes.append(
                f"its colours are HDR ({colors.curve}): what is brighter than paper white is rolled off"
            )
        if self.facts.has_alpha and frame.reformat(format="rgba").to_ndarray()[..., 3].min() < 255:
            self.notes.append("it is transparent in part, and laid over black")
        if self.facts.is_interlaced:
            self.notes.append("it is interlaced: whole frames are made of the fields, one for each pair")
        if not self._has_times:
            self.notes.append(f"it tells no times: {float(self._rate):g} frames a second are assumed")

    def _say_what_changed(self, before: tuple[Any, ...], after: tuple[Any, ...]) -> None:
        if before[:2] != after[:2]:
            self._note(
                f"its frames change from {before[0]}x{before[1]} to {after[0]}x{after[1]}: all are scaled to "
                "the first size"
            )
        if after[-1] and not before[-1]:
            self._note("it is interlaced: whole frames are made of the fields, one for each pair")

    def _say_what_is_damaged(self, damage: Damage) -> None:
        if damage.packets:
            self._note(f"{damage.packets} {_LEFT_OUT}", _LEFT_OUT)
        if damage.frames:
            self._note(f"{damage.frames} {_MARKED}", _MARKED)
        if damage.jumps:
            self._note("its times go back: what follows is put behind what came before")

    def _say_what_is_missing(self, last_s: Fraction) -> None:
        told = self._told_s
        if told is not None and told - last_s > max(Fraction(1), told / 20) + 2 / self._rate:
            self._note(
                f"it ends at {float(last_s):.1f} s of {float(told):.1f} s: the rest is missing or damaged"
            )

    def _note(self, sentence: str, instead_of: str = "") -> None:
        """Add a note, in the place of an earlier one with the same end, if there is one."""
        kept = [note for note in self.notes if not (instead_of and note.endswith(instead_of))]
        if sentence not in kept:
            kept.append(sentence)
        self.notes[:] = kept


def _has_alpha(frame: Any) -> bool:
    return any(part.is_alpha for part in frame.format.components) or frame.format.name == "pal8"


def _check_size(width: int, height: int, path: Path) -> None:
    if width * height > MAX_FRAME_PIXELS:
        raise UnreadableFileError(
            f"{path} has frames of {width}x{height}, above {MAX_FRAME_PIXELS // 1_000_000} megapixels; "
            "make a smaller copy of it"
        )


def _lacks_index(path: Path) -> bool:
    """Tell whether a file is an MP4 or MOV without the box of its index (ISO 14496-12: `moov`)."""
    names: list[bytes] = []
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            while file.tell() + 8 <= size and len(names) < 64:
                head = file.read(8)
                length, name = int.from_bytes(head[:4], "big"), head[4:]
                names.append(name)
                if length == 1:
                    length = int.from_bytes(file.read(8), "big") - 8
                if length < 8:
                    break
                file.seek(length - 8, 1)
    except OSError:
        return False
    return names[:1] == [b"ftyp"] and b"moov" not in names and b"moof" not in names
