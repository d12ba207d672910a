"""Frames to a folder of pictures, numbered from 1: what editors and compositors take."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from depth3d.core.arrays import ImageArray
from depth3d.errors import FileError, OutputExistsError
from depth3d.io.atomic import check_writable
from depth3d.io.images import save_image
from depth3d.io.video_formats import VideoFormat

__all__ = ["check_frame_folder", "write_frames"]

_NAME = re.compile(r"frame_(\d{5,})\.(png|jpg)")


def check_frame_folder(folder: str | Path, *, overwrite: bool) -> Path:
    """Check, before any long work, that a film's pictures can be written there.

    Args:
        folder: Where to; it need not be there, but the folder that it is to be in.
        overwrite: Whether the pictures of a film that is there already may be replaced.

    Returns:
        The path.

    Raises:
        OutputExistsError: It holds such pictures and `overwrite` is False.
        FileError: A file is in its place, or it can't be written.
    """
    folder = Path(folder)
    if not folder.is_dir():
        if folder.exists():
            raise FileError(f"{folder} is a file, and a folder is needed; give another name")
        return check_writable(folder, overwrite=overwrite)
    check_writable(folder / "frame_00001.png", overwrite=True)
    there = _frames_in(folder)
    if there and not overwrite:
        raise OutputExistsError(
            f"{folder} holds the pictures of a film ({there[0].name} ...); use --overwrite "
            "(overwrite=True) or another folder"
        )
    return folder


def write_frames(images: Iterable[ImageArray], folder: Path, made: VideoFormat, *, overwrite: bool) -> int:
    """Write `frame_00001.png` (or `.jpg`) and on; each appears whole.

    The pictures of an earlier and longer film that would follow after the last one are removed, so that
    no program takes both for one film.

    Args:
        images: (H, W, 3) uint8 sRGB.
        folder: Where to; it is created.
        made: `png` or `jpg` and its quality.
        overwrite: Whether the pictures of an earlier film may be replaced.

    Returns:
        The number of frames.

    Raises:
        FileError: As `check_frame_folder`.
    """
    folder = check_frame_folder(folder, overwrite=overwrite)
    count = 0
    for image in images:
        if not count:
            folder.mkdir(exist_ok=True)
        count += 1
        save_image(image, folder / f"frame_{count:05d}.{made.codec}", quality=made.quality or 95)
    for path in _frames_in(folder):
        match = _NAME.fullmatch(path.name)
        if match and (int(match[1]) > count or match[2] != made.codec):
            path.unlink()
    return count


def _frames_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
