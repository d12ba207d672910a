"""How films are written: which codecs there are, in which files, and what quality means to each."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from depth3d.errors import InputError, UnsupportedFormatError

__all__ = ["CODECS", "VIDEO_SUFFIXES", "VideoFormat", "check_video_suffix", "exact_rate", "video_format"]


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """A codec.

    Attributes:
        codec: Its name here.
        suffixes: Of the files that hold it; the empty one is a folder of pictures.
        quality_range: The least and the largest `quality`; None where there is nothing to choose.
        quality: The default, or what was chosen.
        quality_means: What the number is.
        max_fps: The most frames a second that players show as they are.
        holds_gray16: Whether it keeps (H, W) uint16 frames as they are.
        holds_sound: Whether its files have sound tracks.
    """

    codec: str
    suffixes: tuple[str, ...]
    quality_range: tuple[int, int] | None
    quality: int | None
    quality_means: str
    max_fps: int = 1000
    holds_gray16: bool = False
    holds_sound: bool = True


CODECS = {
    made.codec: made
    for made in (
        VideoFormat("h264", (".mp4", ".m4v", ".mov", ".mkv"), (0, 51), 18, "rate factor, 0 is best"),
        VideoFormat("hevc", (".mp4", ".m4v", ".mov", ".mkv"), (0, 51), 20, "rate factor, 0 is best"),
        VideoFormat("vp9", (".webm", ".mp4", ".mkv"), (0, 63), 24, "rate factor, 0 is best"),
        VideoFormat("av1", (".webm", ".mp4", ".mkv"), (1, 63), 24, "rate factor, 1 is best"),
        VideoFormat("prores", (".mov", ".mkv"), (0, 3), 3, "0 Proxy, 1 LT, 2 Standard, 3 HQ"),
        VideoFormat("ffv1", (".mkv",), None, None, "", holds_gray16=True),
        # Browsers show frames of less than 20 ms in a GIF, or 11 ms in a WebP, for 100 ms each.
        VideoFormat("gif", (".gif",), (4, 256), 256, "number of colours", 50, holds_sound=False),
        VideoFormat("webp", (".webp",), (0, 100), 90, "100 is best", 90, holds_sound=False),
        VideoFormat("png", ("",), None, None, "", holds_gray16=True, holds_sound=False),
        VideoFormat("jpg", ("",), (1, 100), 95, "100 is best", holds_sound=False),
    )
}
"""The codecs by name; of those that suit a suffix the first one is its default."""

VIDEO_SUFFIXES = tuple(dict.fromkeys(s for made in CODECS.values() for s in made.suffixes if s))
"""Suffixes of films in one file."""

_SLOWEST = 1e-5
"""Frames a second: less than one a day is a mistake."""


def check_video_suffix(path: str | Path) -> Path:
    """Return the path if its suffix is that of a film in one file.

    Raises:
        UnsupportedFormatError: It is not.
    """
    path = Path(path)
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        raise UnsupportedFormatError(
            f"can't write a video as {path.suffix or 'a file without suffix'!r}; "
            f"use one of {', '.join(VIDEO_SUFFIXES)}"
        )
    return path


def video_format(
    path: str | Path,
    *,
    codec: str = "auto",
    quality: int | None = None,
    fps: float | None = None,
    gray16: bool = False,
) -> VideoFormat:
    """Choose how a film is written, and check that it can be.

    Args:
        path: Its suffix names the container; a name without suffix, or a directory that is there, is a
            folder of pictures.
        codec: One of `CODECS` that suits it, or `auto`: H.264, VP9 in `.webm`, PNG in folders; FFV1 in `.mkv`
            for 16 bits.
        quality: On the codec's own scale; None is its default.
        fps: Frames a second; None where each frame has a time of its own.
        gray16: Whether the frames are (H, W) uint16.

    Returns:
        The codec with the quality that was chosen.

    Raises:
        UnsupportedFormatError: Another suffix, a codec that does not go into such a file, or one that has no
            16 bits where they are needed.
        InputError: No such codec, a quality off its scale, an impossible rate.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in VIDEO_SUFFIXES and (not suffix or path.is_dir()):
        suffix = ""
    else:
        check_video_suffix(path)
    if codec != "auto" and codec not in CODECS:
        raise InputError(f"codec must be auto or one of {', '.join(CODECS)}, got {codec!r}")
    suited = [made for made in CODECS.values() if suffix in made.suffixes]
    if codec == "auto":
        chosen = next((made for made in suited if made.holds_gray16 >= gray16), suited[0])
    elif CODECS[codec] not in suited:
        raise UnsupportedFormatError(
            f"{suffix or 'a folder'} can't hold {codec}; it holds "
            f"{' or '.join(made.codec for made in suited)}, and {codec} goes into "
            f"{', '.join(name or 'a folder' for name in CODECS[codec].suffixes)}"
        )
    else:
        chosen = CODECS[codec]
    if gray16 and not chosen.holds_gray16:
        raise UnsupportedFormatError(
            f"{chosen.codec} holds no 16-bit gray; use .mkv with codec ffv1, or a folder with codec png"
        )
    if fps is not None and exact_rate(fps) > chosen.max_fps:
        raise InputError(
            f"players slow a {chosen.codec} of more than {chosen.max_fps} frames a second down, got "
            f"{fps:g}; use fewer, or .mp4"
        )
    return _with_quality(chosen, quality)


def exact_rate(fps: float) -> Fraction:
    """Turn a rate into the fraction that is meant: 29.97 is 30000/1001.

    Raises:
        InputError: Not between a frame a day and 1000 frames a second.
    """
    if not (math.isfinite(fps) and _SLOWEST <= fps <= 1000):
        raise InputError(f"fps must lie between {_SLOWEST:.5f} and 1000, got {fps!r}")
    television = Fraction(math.ceil(fps) * 1000, 1001)
    if math.ceil(fps) in (24, 30, 48, 60, 120) and abs(fps - television) < 0.005:
        return television
    if fps < 1:  # 1/3600 is a frame an hour
        return 1 / (1 / Fraction(fps)).limit_denominator(1001)
    return Fraction(fps).limit_denominator(1001)


def _with_quality(chosen: VideoFormat, quality: int | None) -> VideoFormat:
    if quality is None:
        return chosen
    if chosen.quality_range is None:
        other = "jpg" if "" in chosen.suffixes else "h264"
        raise InputError(f"{chosen.codec} is exact and has no quality; leave it out, or use codec {other}")
    low, high = chosen.quality_range
    if int(quality) != quality or not low <= quality <= high:
        raise InputError(
            f"quality of {chosen.codec} must be a whole number in {low}..{high} ({chosen.quality_means}), "
            f"got {quality!r}"
        )
    return replace(chosen, quality=int(quality))
