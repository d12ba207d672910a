"""Frames to compressed video in one file, by way of PyAV."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from depth3d.core.arrays import ImageArray
from depth3d.errors import UnsupportedFormatError
from depth3d.io.video_formats import VideoFormat

__all__ = ["write_stream"]

_ENCODERS: dict[str, tuple[str, str, dict[str, str]]] = {
    "h264": ("libx264", "yuv420p", {"rc-lookahead": "20"}),  # its 40 would hold half a gigabyte of 4K
    "hevc": ("libx265", "yuv420p", {"x265-params": "log-level=none"}),
    "vp9": ("libvpx-vp9", "yuv420p", {"b": "0", "row-mt": "1", "cpu-used": "4"}),
    "av1": ("libsvtav1", "yuv420p", {"preset": "8"}),
    "prores": ("prores_ks", "yuv422p10le", {"vendor": "apl0"}),
}
"""The encoder, its kind of pixels, and options beside the quality."""

_MUXERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
_LEAST = {"hevc": 64, "av1": 4}  # x265 writes past its buffers with less than its largest block
_BT709, _LIMITED = 1, 1  # as ITU-T H.273 and FFmpeg number them


def write_stream(images: Iterable[ImageArray], path: Path, made: VideoFormat, rate: Fraction) -> int:
    """Write images as one video stream; one image and what the encoder looks ahead are held at a time.

    BT.709, limited range, and tagged so. 4:2:0 colour needs even sides, 4:2:2 an even width: an odd last
    row or column is repeated. MP4 and MOV have their index in front, so that they play while they load.

    Args:
        images: (H, W, 3) uint8 sRGB, one size, at least one.
        path: Where to, as it is; its suffix names the container.
        made: The codec and its quality.
        rate: Frames a second.

    Returns:
        The number of frames.

    Raises:
        UnsupportedFormatError: This PyAV has no such encoder, or the encoder does not take such frames.
    """
    import av

    suffix = path.suffix.lower()
    encoder, pixels, options = _ENCODERS[made.codec]
    if encoder not in av.codecs_available:
        raise UnsupportedFormatError(
            f"this PyAV has no encoder for {made.codec} ({encoder}); use another codec, or reinstall av"
        )
    options = {**options, "profile" if made.codec == "prores" else "crf": str(made.quality)}
    indexed = {}
    if _MUXERS[suffix] in ("mp4", "mov"):
        ticks = rate.numerator * -(-1000 // rate.numerator)  # else lengths are rounded to milliseconds
        indexed = {"movflags": "faststart", "movie_timescale": str(ticks)}
    count = 0
    size = "no frame"
    try:
        with (
            _quiet_encoder(),
            av.open(str(path), mode="w", format=_MUXERS[suffix], container_options=indexed) as container,
        ):
            stream = container.add_stream(encoder, rate=rate, options=options)
            stream.pix_fmt = pixels
            context = stream.codec_context
            context.color_primaries = context.color_trc = context.colorspace = _BT709
            context.color_range = _LIMITED
            if made.codec == "hevc" and _MUXERS[suffix] != "matroska":
                context.codec_tag = "hvc1"  # Apple's players don't take FFmpeg's default, hev1
            for image in images:
                padded = _even(image, both=pixels == "yuv420p")
                if not count:
                    _check_size(padded, made.codec)
                    stream.height, stream.width = padded.shape[:2]
                size = f"{padded.shape[1]}x{padded.shape[0]}"
                picture = _converted(padded, pixels)
                picture.pts, picture.time_base = count, 1 / rate
                _mux(container, stream.encode(picture))
                count += 1
            _mux(container, stream.encode())
    except av.error.FFmpegError as error:
        if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
            raise
        raise UnsupportedFormatError(
            f"{encoder} does not encode frames of {size} ({error.strerror}); use another size or codec"
        ) from error
    return count


_OF_THE_DISK = (errno.ENOENT, errno.EIO, errno.EACCES, errno.EFBIG, errno.ENOSPC, errno.EROFS)
"""What is wrong with the file, not with the frames."""


def _check_size(image: ImageArray, codec: str) -> None:
    least = _LEAST.get(codec, 1)
    if min(image.shape[:2]) < least:
        raise UnsupportedFormatError(
            f"{codec} takes frames of {least}x{least} and more, got {image.shape[1]}x{image.shape[0]}; "
            "use h264"
        )


def _mux(container: Any, packets: Iterable[Any]) -> None:
    for packet in packets:
        packet.duration = 1  # else the muxer guesses how long the last frame lasts
        container.mux(packet)


def _even(image: ImageArray, *, both: bool) -> ImageArray:
    rows = image.shape[0] % 2 if both else 0
    columns = image.shape[1] % 2
    if not (rows or columns):
        return image
    return np.pad(image, ((0, rows), (0, columns), (0, 0)), mode="edge")


def _converted(image: ImageArray, pixels: str) -> Any:
    import av

    # AREA takes the mean of the pixels that share a colour; the others shift it by part of a pixel.
    picture = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
        format=pixels,
        src_colorspace="ITU709",
        dst_colorspace="ITU709",
        dst_color_range="MPEG",
        interpolation="AREA",
    )
    if hasattr(picture, "color_trc"):  # ProRes writes the tags of its frames, not of its stream
        picture.color_primaries = picture.color_trc = _BT709
    return picture


@contextmanager
def _quiet_encoder() -> Iterator[None]:
    # SVT-AV1 writes to stderr by itself, past FFmpeg's log, and listens to nothing but this.
    before = os.environ.get("SVT_LOG")
    os.environ["SVT_LOG"] = before or "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["SVT_LOG"]
