"""`save_video`: frames to H.264 in MP4, as every player and browser shows it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

from depth3d.core.arrays import ImageArray, as_image
from depth3d.errors import InputError, UnsupportedFormatError
from depth3d.io.atomic import writing

__all__ = ["VIDEO_SUFFIXES", "check_video_suffix", "save_video"]

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv")
"""Containers that `save_video` writes."""


def check_video_suffix(path: str | Path) -> Path:
    """Return the path if its suffix is a video's.

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


def save_video(
    frames: Iterable[ImageArray],
    path: str | Path,
    *,
    fps: float = 30.0,
    quality: int = 18,
    overwrite: bool = True,
    on_frame: Callable[[int], None] | None = None,
) -> int:
    """Write frames as a video, one at a time; the file appears whole or not at all.

    H.264 with 4:2:0 colour (BT.709, limited range), which is what phones and browsers play. An odd last
    row or column is repeated, since such colour needs even sides.

    Args:
        frames: (H, W, 3) uint8 sRGB each, all of one size.
        path: `.mp4`, `.m4v`, `.mov` or `.mkv`.
        fps: Frames a second.
        quality: Constant rate factor of x264, 0 (largest) to 51; 18 looks like the original.
        overwrite: Whether an existing file may be replaced.
        on_frame: Called with 1 after each frame, for a progress bar.

    Returns:
        The number of frames.

    Raises:
        InputError: No frame, frames of several sizes, an impossible rate or quality.
        UnsupportedFormatError: Another suffix.
        FileError: The file can't be written.
    """
    import av

    path = check_video_suffix(path)
    if not (math.isfinite(fps) and 0 < fps <= 1000):
        raise InputError(f"fps must lie between 0 and 1000, got {fps!r}")
    if not 0 <= quality <= 51:
        raise InputError(f"quality must lie in 0..51, got {quality!r}")
    rate = Fraction(fps).limit_denominator(1001)
    count, size_wh = 0, (0, 0)
    with writing(path, overwrite=overwrite) as partial, av.open(str(partial), mode="w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": str(quality)})
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            image = as_image(frame, name="frame")
            if not count:
                size_wh = image.shape[1], image.shape[0]
                stream.width, stream.height = (side + side % 2 for side in size_wh)
                # Players take pictures that say nothing for BT.601 or 709 by their size.
                stream.codec_context.color_primaries = stream.codec_context.color_trc = 1
                stream.codec_context.colorspace, stream.codec_context.color_range = 1, 1
            elif (image.shape[1], image.shape[0]) != size_wh:
                raise InputError(
                    f"all frames of a video must have one size, got {size_wh[0]}x{size_wh[1]} and then "
                    f"{image.shape[1]}x{image.shape[0]}"
                )
            padded = np.pad(image, ((0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)), mode="edge")
            picture = av.VideoFrame.from_ndarray(padded, format="rgb24").reformat(
                format="yuv420p", src_colorspace="ITU709", dst_colorspace="ITU709", dst_color_range="MPEG"
            )
            picture.pts, picture.time_base = count, 1 / rate
            container.mux(stream.encode(picture))
            count += 1
            if on_frame:
                on_frame(1)
        if not count:
            raise InputError("a video needs at least one frame, got none")
        container.mux(stream.encode())
    return count
