"""`save_video`: frames to a film, in one file or as a folder of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from depth3d.core.arrays import ImageArray
from depth3d.core.stages import staged
from depth3d.errors import InputError
from depth3d.io.animations import write_gif, write_webp
from depth3d.io.atomic import check_writable, writing
from depth3d.io.frame_folders import check_frame_folder, write_frames
from depth3d.io.shown_frames import DEFAULT_RATE, shown_frames
from depth3d.io.video_formats import (
    VIDEO_SUFFIXES,
    VideoFormat,
    check_video_suffix,
    exact_rate,
    video_format,
)
from depth3d.io.video_frame import VideoFrame
from depth3d.io.video_streams import write_stream

if TYPE_CHECKING:
    import numpy.typing as npt

    from depth3d.io.video_input import VideoFile

__all__ = ["VIDEO_SUFFIXES", "check_video", "check_video_suffix", "save_video"]


def check_video(
    path: str | Path,
    *,
    fps: float | None = None,
    codec: str = "auto",
    quality: int | None = None,
    loops: int | None = None,
    gray16: bool = False,
    overwrite: bool,
) -> VideoFormat:
    """Check, before any long work, all that `save_video` is told.

    Args:
        path: As for `save_video`, and so are all others but one.
        fps: As for `save_video`; of frames with times the mean rate, since GIF and WebP have limits.
        codec: As for `save_video`.
        quality: As for `save_video`.
        loops: As for `save_video`.
        gray16: Whether the frames will be (H, W) uint16.
        overwrite: As for `save_video`.

    Returns:
        The codec and its quality; where its `holds_sound` is False, a film with sound becomes silent.

    Raises:
        InputError: As `save_video`.
        FileError: As `save_video`.
    """
    made = video_format(path, codec=codec, quality=quality, fps=fps, gray16=gray16)
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
    frames: Iterable[ImageArray | npt.NDArray[np.uint16] | VideoFrame],
    path: str | Path,
    *,
    fps: float | None = None,
    codec: str = "auto",
    quality: int | None = None,
    loops: int | None = None,
    sound: VideoFile | None = None,
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
    | `ffv1` | .mkv | | exact: RGB, gray, 16-bit gray |
    | `gif` | .gif | colours, 4..256; 256 | one palette for all frames; up to 50 fps |
    | `webp` | .webp | 0..100 (best last), 90 | up to 90 fps |
    | `png` | a folder | | exact: `frame_00001.png` and on; 16-bit gray too |
    | `jpg` | a folder | 1..100, 95 | `frame_00001.jpg` and on |

    Videos are BT.709 in limited range, tagged so; but for ProRes and FFV1 their colour is 4:2:0. An odd last
    row or column is repeated, since such colour needs even sides. MP4 and MOV play while they load. A frame
    at a time is held in memory, and one more of those that have times; those of a GIF wait on disk for their
    palette, and a WebP is held, compressed, until its end.

    Frames with times keep them: exactly in MP4 and MOV, whose clock is made to suit the first two (a later
    time that it has no tick for is rounded to one, at most 6 microseconds off), to the millisecond in MKV,
    WebM and WebP, to the hundredth of a second in GIF, where frames that players would slow down (below 20 ms
    there, below 11 ms in WebP) make way for the next. A folder gets a list of them, `frames.csv`, last of
    all.

    Args:
        frames: (H, W, 3) uint8 sRGB each, (H, W) uint8 gray, or (H, W) uint16 gray for `ffv1` and `png`; or
            `VideoFrame`s of such images; all of one kind and size.
        path: Its suffix names the file; a name without suffix, or a directory that is there, is a folder
            for pictures, which appear when the last one is there. Pictures of an earlier film in it are
            replaced, all of them.
        fps: Frames a second; 23.976, 29.97 and 59.94 are taken for what television means by them. None is the
            times of `VideoFrame`s, or 30; with a rate their times are left out of account.
        codec: One of the table, or `auto`: H.264, VP9 in .webm, PNG in folders; FFV1 for 16 bits in .mkv.
        quality: On the scale of the codec; None is the default above.
        loops: How often a GIF or WebP plays; None or 0 is for ever.
        sound: A film, from `open_video`, whose sound belongs to the frames: all its tracks, from the first
            frame that it gives out on until the last of `frames` ends. They are copied as they are where the
            file can hold them, else made AAC or, in WebM, Opus. MKV and WebM can't begin within a packet:
            there a copied track is in step, but silent for up to one packet at its start (about 20 ms, of
            FLAC 100). GIF, WebP and folders have no sound; what is damaged is left out, with a warning on
            the log.
        overwrite: Whether an existing file may be replaced.
        on_frame: Called with 1 after each frame, for a progress bar.

    Returns:
        The number of frames that were written.

    Raises:
        InputError: No frame, frames of several sizes or kinds, times that do not increase, an impossible
            rate, quality or codec, sound that is no film.
        UnsupportedFormatError: Another suffix, a codec that such a file can't hold, or that has no 16 bits.
        FileError: The file can't be written.
    """
    path = Path(path)
    if sound is not None and not hasattr(sound, "has_sound"):
        raise InputError(f"sound must be a film from open_video(), got {type(sound).__name__}")
    how: dict[str, Any] = {"fps": fps, "codec": codec, "quality": quality, "loops": loops}
    made = check_video(path, **how, overwrite=overwrite)
    frames = staged("frames", frames)
    first = next(frames, None)
    if first is None:
        raise InputError("a video needs at least one frame, got none")
    is_timed = fps is None and isinstance(first, VideoFrame)
    if _is_gray16(first):
        made = check_video(path, **how, gray16=True, overwrite=overwrite)
    rate = None if fps is None else exact_rate(fps)
    sound_from_s = Fraction(first.time_s) if isinstance(first, VideoFrame) else Fraction(0)
    # An iterator lets go of what it gave; the list itself would hold the first frame as long as the film.
    shown = shown_frames(chain(iter([first]), frames), rate, on_frame=on_frame)
    del first
    if made.suffixes == ("",):
        return write_frames(shown, path, made, overwrite=overwrite, keep_times=is_timed)
    with writing(path, overwrite=overwrite) as partial:
        if made.codec == "gif":
            return write_gif(shown, partial, made, loops=loops or 0)
        if made.codec == "webp":
            return write_webp(shown, partial, made, loops=loops or 0)
        rate = None if is_timed else rate or DEFAULT_RATE
        return write_stream(shown, partial, made, rate, sound=sound, sound_from_s=sound_from_s)


def _is_gray16(frame: Any) -> bool:
    image = frame.image if isinstance(frame, VideoFrame) else frame
    return isinstance(image, np.ndarray) and image.ndim == 2 and image.dtype == np.uint16
