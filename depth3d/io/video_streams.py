"""Frames to compressed video in one file, by way of PyAV."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from depth3d.errors import UnsupportedFormatError
from depth3d.io.encoder_manners import own_scheduling, quiet_encoder
from depth3d.io.shown_frames import Shown, as_rgb, ticks_a_second
from depth3d.io.video_formats import VideoFormat
from depth3d.io.video_sound import MUXERS, OF_THE_DISK, Sound

if TYPE_CHECKING:
    import numpy.typing as npt

    from depth3d.io.video_input import VideoFile

__all__ = ["write_stream"]

_ENCODERS: dict[str, tuple[str, str, dict[str, str]]] = {
    "h264": ("libx264", "yuv420p", {"rc-lookahead": "20"}),  # its 40 would hold half a gigabyte of 4K
    "hevc": ("libx265", "yuv420p", {"x265-params": "log-level=none"}),
    "vp9": ("libvpx-vp9", "yuv420p", {"b": "0", "row-mt": "1", "cpu-used": "4"}),
    "av1": ("libsvtav1", "yuv420p", {"preset": "8"}),
    "prores": ("prores_ks", "yuv422p10le", {"vendor": "apl0"}),
    "ffv1": ("ffv1", "bgr0", {"level": "3", "g": "1", "slicecrc": "1"}),  # as archives keep it
}
"""The encoder, its kind of pixels, and options beside the quality."""

_LEAST = {"hevc": 64, "av1": 4}  # x265 writes past its buffers with less than its largest block
_BT709, _LIMITED, _FULL, _RGB = 1, 1, 2, 0  # as ITU-T H.273 and FFmpeg number them
_EXACT = {
    ((3,), "uint8"): ("rgb24", "bgr0"),
    ((), "uint8"): ("gray", "gray"),
    ((), "uint16"): ("gray16le",) * 2,
}
"""What NumPy and what FFV1 call the pixels of colour, gray and 16-bit gray."""


def write_stream(
    shown: Iterable[Shown],
    path: Path,
    made: VideoFormat,
    rate: Fraction | None,
    *,
    sound: VideoFile | None = None,
    sound_from_s: Fraction = Fraction(0),
) -> int:
    """Write frames as one video stream; one frame and what the encoder looks ahead are held at a time.

    BT.709, limited range, and tagged so, but for FFV1, which keeps numbers as they are. 4:2:0 colour needs
    even sides, 4:2:2 an even width: an odd last row or column is repeated. MP4 and MOV have their index in
    front, so that they play while they load.

    Args:
        shown: The frames, one size and kind, at least one.
        path: Where to, as it is; its suffix names the container.
        made: The codec and its quality.
        rate: Frames a second; None for a clock that holds the times of the frames.
        sound: Whose sound is written along with them.
        sound_from_s: What part of it belongs to the first frame, in seconds since the one that it gives out.

    Returns:
        The number of frames.

    Raises:
        UnsupportedFormatError: This PyAV has no such encoder, or the encoder does not take such frames.
    """
    import av

    encoder = _ENCODERS[made.codec][0]
    if encoder not in av.codecs_available:
        raise UnsupportedFormatError(
            f"this PyAV has no encoder for {made.codec} ({encoder}); use another codec, or reinstall av"
        )
    count = 0
    video: _Video | None = None
    try:
        with quiet_encoder(), ExitStack() as files:
            for one in shown:
                if video is None:
                    clock, hertz = _clock(one, rate)
                    container = files.enter_context(_opened(path, clock))
                    video = _Video(container, made, one.image, hertz, 1 / clock)
                    tracks = files.enter_context(Sound(sound, container, path.suffix, from_s=sound_from_s))
                video.write(one)
                tracks.write_until(one.end_s)
                count += 1
                del one
            if video is not None:
                video.finish()
                tracks.finish()
    except av.error.FFmpegError as error:
        if isinstance(error, OSError) and error.errno in OF_THE_DISK:
            raise
        size = video.size if video else "this size"
        raise UnsupportedFormatError(
            f"{encoder} does not encode frames of {size} ({error.strerror}); use another size or codec"
        ) from error
    return count


def _clock(first: Shown, rate: Fraction | None) -> tuple[Fraction, Fraction]:
    """Choose ticks a second, and frames a second to be told encoders and players."""
    if rate is not None:
        return rate, rate
    gap_s = first.end_s - first.start_s
    told = min(max(1 / gap_s, Fraction(1)), Fraction(240))  # the first gap may be unlike all others
    return Fraction(ticks_a_second(gap_s)), told.limit_denominator(1001)


def _opened(path: Path, clock: Fraction) -> Any:
    import av

    muxer = MUXERS[path.suffix.lower()]
    # Else .mkv and .webm hold a random number. Without the plus sign it would take the place of `autobsf`,
    # which makes AAC from transport streams fit.
    options = {"fflags": "+bitexact"}
    if muxer in ("mp4", "mov"):
        ticks = clock.numerator * -(-1000 // clock.numerator)  # else lengths are rounded to milliseconds
        options |= {"movflags": "faststart", "movie_timescale": str(ticks)}
    return av.open(f"file:{path}", mode="w", format=muxer, container_options=options)


class _Video:
    """The video stream of a file that is being written.

    Args:
        container: The open file.
        made: The codec and its quality.
        image: The first frame.
        rate: Frames a second, as players and encoders are told.
        tick_s: Of the clock, in seconds.

    Attributes:
        size: Of the frames, in words.
    """

    def __init__(
        self, container: Any, made: VideoFormat, image: npt.NDArray[Any], rate: Fraction, tick_s: Fraction
    ) -> None:
        encoder, self._pixels, options = _ENCODERS[made.codec]
        if made.quality is not None:
            options = {**options, "profile" if made.codec == "prores" else "crf": str(made.quality)}
        self._is_exact = made.codec == "ffv1"
        self._source = "rgb24"
        if self._is_exact:
            self._source, self._pixels = _EXACT[image.shape[2:], image.dtype.name]
        padded = self._padded(image)
        _check_size(padded, made.codec)
        if not self._is_exact:
            self._converter = _converter((padded.shape[1], padded.shape[0]), self._pixels)
        self.size = f"{padded.shape[1]}x{padded.shape[0]}"
        self._container, self._tick_s = container, tick_s
        self._stream = container.add_stream(encoder, rate=rate, options=options)
        self._stream.height, self._stream.width = padded.shape[:2]
        self._stream.pix_fmt = self._pixels
        self._lengths: dict[int, int] = {}
        self._next = 0
        context = self._stream.codec_context
        context.time_base = tick_s
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = _FULL if self._is_exact else _LIMITED
        if self._pixels == "bgr0":
            context.colorspace = _RGB
        if made.codec == "hevc" and container.format.name != "matroska":
            context.codec_tag = "hvc1"  # Apple's players don't take FFmpeg's default, hev1

    def write(self, one: Shown) -> None:
        """Encode a frame."""
        if not self._stream.codec_context.is_open:
            with own_scheduling():
                self._stream.codec_context.open()
        picture = self._picture(self._padded(one.image))
        start = max(self._next, round(one.start_s / self._tick_s))
        self._next = max(start + 1, round(one.end_s / self._tick_s))
        self._lengths[start] = self._next - start
        picture.pts, picture.time_base = start, self._tick_s
        picture.duration = self._next - start
        self._mux(self._stream.encode(picture))

    def finish(self) -> None:
        """Encode what the encoder still holds."""
        self._mux(self._stream.encode())

    def _mux(self, packets: Iterable[Any]) -> None:
        for packet in packets:
            packet.duration = self._lengths.pop(
                packet.pts, 1
            )  # else the muxer guesses how long the last lasts
            self._container.mux(packet)

    def _padded(self, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self._is_exact:
            return image
        return _even(as_rgb(image), both=self._pixels == "yuv420p")

    def _picture(self, image: npt.NDArray[Any]) -> Any:
        import av

        picture = av.VideoFrame.from_ndarray(image, format=self._source)
        if self._is_exact:
            return picture.reformat(format=self._pixels)
        picture.pts, picture.time_base = 0, Fraction(1)
        self._converter.push(picture)
        picture = self._converter.pull()
        # ProRes writes the tags of its frames, not of its stream.
        picture.color_primaries = picture.color_trc = _BT709
        return picture


def _check_size(image: npt.NDArray[Any], codec: str) -> None:
    least = _LEAST.get(codec, 1)
    if min(image.shape[:2]) < least:
        raise UnsupportedFormatError(
            f"{codec} takes frames of {least}x{least} and more, got {image.shape[1]}x{image.shape[0]}; "
            "use h264"
        )


def _even(image: npt.NDArray[Any], *, both: bool) -> npt.NDArray[Any]:
    rows = image.shape[0] % 2 if both else 0
    columns = image.shape[1] % 2
    if not (rows or columns):
        return image
    return np.pad(image, ((0, rows), (0, columns), (0, 0)), mode="edge")


def _converter(size_wh: tuple[int, int], pixels: str) -> Any:
    """Build the filters that make BT.709 in limited range of RGB.

    Half the columns have a colour: the mean around the left one of two, where H.264 and all that came after
    it measure it unless told otherwise, and where players take it to be (ITU-T H.264, figure E-1, type 0).
    """
    import av

    graph = av.filter.Graph()
    parts = [
        graph.add("buffer", f"video_size={size_wh[0]}x{size_wh[1]}:pix_fmt=rgb24:time_base=1/1"),
        graph.add(
            "scale",
            flags="area+accurate_rnd+full_chroma_inp",
            sws_dither="none",
            in_range="full",
            out_range="limited",
            out_color_matrix="bt709",
            out_chroma_loc="left",
        ),
        graph.add("format", pix_fmts=pixels),
        graph.add("buffersink"),
    ]
    for one, following in pairwise(parts):
        one.link_to(following)
    graph.configure()
    return graph
