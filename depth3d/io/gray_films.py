"""`gray_frames`: the numbers of a film with 16-bit gray frames, as they were written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.errors import InputError, UnreadableFileError
from depth3d.io.video_decoding import opened

__all__ = ["gray_frames"]

_GRAY16 = ("gray16le", "gray16be")


def gray_frames(path: str | Path) -> Iterator[tuple[float, npt.NDArray[np.uint16]]]:
    """Read a lossless film of numbers, such as FFV1 with 16-bit gray.

    Args:
        path: The film.

    Yields:
        Seconds since its first frame, and (H, W) uint16.

    Raises:
        UnreadableFileError: It can't be read.
        InputError: It has colours, or 8 bits.
    """
    import av

    try:
        with opened(Path(path)) as container:
            if not container.streams.video:
                raise UnreadableFileError(f"{path} has no pictures in it; give a film")
            stream: Any = container.streams.video[0]
            stream.thread_type = "AUTO"
            if stream.codec_context.pix_fmt not in _GRAY16:
                raise InputError(
                    f"{path} holds pictures ({stream.codec_context.pix_fmt}), not numbers of 16 bits; give a "
                    "film that depth3d video --effect depth --codec ffv1 wrote"
                )
            zero: float | None = None
            for frame in container.decode(stream):
                time_s = float(frame.pts * frame.time_base) if frame.pts is not None else 0.0
                zero = time_s if zero is None else zero
                yield time_s - zero, frame.to_ndarray(format="gray16le")
    except (av.error.FFmpegError, OSError) as error:
        raise UnreadableFileError(f"can't read {path}: {error.strerror or error}; check the file") from None
