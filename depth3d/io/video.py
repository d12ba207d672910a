"""`save_video`: frames to a film, in one file or as a folder of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

from depth3d.core.arrays import ImageArray, as_image
from depth3d.errors import InputError
from depth3d.io.animations import write_gif, write_webp
from depth3d.io.atomic import check_writable, writing
from depth3d.io.frame_folders import check_frame_folder, write_frames
from depth3d.io.video_formats import (
    VIDEO_SUFFIXES,
    VideoFormat,
    check_video_suffix,
    exact_rate,
    video_format,
)
from depth3d.io.video_streams import write_stream

__all__ = ["VIDEO_SUFFIXES", "check_video", "check_video_suffix", "save_video"]


def check_video(
    path: str | Path,
    *,
    fps: float = 30.0,
    codec: str = "auto",
    quality: int | None = None,
    loops: int | None = None,
    overwrite: bool,
) -> VideoFormat:
    """Check, before any long work, all that `save_video` is told.

    Args:
        path: As for `save_video`, and so are all others.
        fps: As for `save_video`.
        codec: As for `save_video`.
        quality: As for `save_video`.
        loops: As for `save_video`.
        overwrite: As for `save_video`.

    Returns:
        The codec and its quality.

    Raises:
        InputError: As `save_video`.
        FileError: As `save_video`.
    """
    made = video_format(path, codec=codec, quality=quality, fps=fps)
    if loops is not None:
        if made.codec not in ("gif", "webp"):
            raise InputError(f"{made.codec} says nothing of loops; leave them out, or use .gif or .webp")
        if not (int(loops) == loops and 0 <= loops <= 65535):
            raise InputError(f"loops must be a whole number in 0..65535, 0 for ever, got {loops!r}")
    if made.suffixes == ("",):
        check_frame_folder(path, overwrite=overwrite)
    else:
        check_writable(path, overwrite=overwrite)
    return made


def save_video(
    frames: Iterable[ImageArray],
    path: str | Path,
    *,
    fps: float = 30.0,
    codec: str = "auto",
    quality: int | None = None,
    loops: int | None = None,
    overwrite: bool = True,
    on_frame: Callable[[int], None] | None = None,
) -> int:
    """Write frames as a film, one at a time; a file appears whole or not at all.

    | codec | files | `quality` | |
    |---|---|---|---|
    | `h264` | .mp4 .m4v .mov .mkv | rate factor 0..51 (best first), 18 | what phones and browsers play |
    | `hevc` | .mp4 .m4v .mov .mkv | rate factor 0..51, 20 | half the size, newer players |
    | `vp9` | .webm .mp4 .mkv | rate factor 0..63, 24 | browsers |
    | `av1` | .webm .mp4 .mkv | rate factor 1..63, 24 | smallest, newest players |
    | `prores` | .mov .mkv | 0 Proxy, 1 LT, 2 Standard, 3 HQ; 3 | for cutting: 4:2:2, 10 bit |
    | `gif` | .gif | colours, 4..256; 256 | one palette for all frames; up to 50 fps |
    | `webp` | .webp | 0..100 (best last), 90 | up to 90 fps |
    | `png` | a folder | | `frame_00001.png` and on |
    | `jpg` | a folder | 1..100, 95 | `frame_00001.jpg` and on |

    Videos are BT.709 in limited range, tagged so; but for ProRes their colour is 4:2:0. An odd last row or
    column is repeated, since such colour needs even sides. MP4 and MOV play while they load. A frame at a
    time is held in memory; those of a GIF wait on disk for their palette, and a WebP is held, compressed,
    until its end.

    Args:
        frames: (H, W, 3) uint8 sRGB each, all of one size.
        path: Its suffix names the file; a name without suffix, or a directory that is there, is a folder
            for pictures, each of which appears whole. Pictures of an earlier film in it are replaced, all
            of them.
        fps: Frames a second; 23.976, 29.97 and 59.94 are taken for what television means by them.
        codec: One of the table, or `auto`: H.264, VP9 in .webm, PNG in folders.
        quality: On the scale of the codec; None is the default above.
        loops: How often a GIF or WebP plays; None or 0 is for ever.
        overwrite: Whether an existing file may be replaced.
        on_frame: Called with 1 after each frame, for a progress bar.

    Returns:
        The number of frames.

    Raises:
        InputError: No frame, frames of several sizes, an impossible rate, quality or codec.
        UnsupportedFormatError: Another suffix, or a codec that such a file can't hold.
        FileError: The file can't be written.
    """
    path = Path(path)
    made = check_video(path, fps=fps, codec=codec, quality=quality, loops=loops, overwrite=overwrite)
    rate = exact_rate(fps)
    images = _images(frames, on_frame)
    first = next(images, None)
    if first is None:
        raise InputError("a video needs at least one frame, got none")
    images = chain([first], images)
    if made.suffixes == ("",):
        return write_frames(images, path, made, overwrite=overwrite)
    with writing(path, overwrite=overwrite) as partial:
        if made.codec == "gif":
            return write_gif(images, partial, made, rate, loops=loops or 0)
        if made.codec == "webp":
            return write_webp(images, partial, made, rate, loops=loops or 0)
        return write_stream(images, partial, made, rate)


def _images(frames: Iterable[ImageArray], on_frame: Callable[[int], None] | None) -> Iterator[ImageArray]:
    """Check each frame as it comes, and tell the progress bar when the next one is asked for."""
    shape: tuple[int, ...] = ()
    for frame in frames:
        image = as_image(frame, name="frame")
        shape = shape or image.shape
        if image.shape != shape:
            raise InputError(
                f"all frames of a video must have one size, got {shape[1]}x{shape[0]} and then "
                f"{image.shape[1]}x{image.shape[0]}"
            )
        yield image
        if on_frame:
            on_frame(1)
