"""Frames to a folder of pictures, numbered from 1: what editors and compositors take."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from depth3d.errors import FileError, OutputExistsError
from depth3d.io.atomic import Together, check_writable, remove_stale_partials, writing
from depth3d.io.images import save_image
from depth3d.io.shown_frames import Shown
from depth3d.io.video_formats import VideoFormat

__all__ = ["TIMES", "check_frame_folder", "write_frames"]

TIMES = "frames.csv"
"""The list of the pictures and when each is shown."""

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


def write_frames(
    shown: Iterable[Shown], folder: Path, made: VideoFormat, *, overwrite: bool, keep_times: bool = False
) -> int:
    """Write `frame_00001.png` (or `.jpg`) and on; they appear together, when the last one is there.

    The pictures of an earlier and longer film that would follow after the last one are removed, so that
    no program takes both for one film; and so is the list of its times. If anything fails before, the folder
    is as it was.

    Args:
        shown: The frames; those with 16 bits go into `png` only.
        folder: Where to; it is created.
        made: `png` or `jpg` and its quality.
        overwrite: Whether the pictures of an earlier film may be replaced.
        keep_times: Whether the times are written too, as `frames.csv`, when all pictures are there: a line
            a picture with its name, and from when until when it is shown, in seconds.

    Returns:
        The number of frames.

    Raises:
        FileError: As `check_frame_folder`.
    """
    folder = check_frame_folder(folder, overwrite=overwrite)
    is_new = not folder.exists()
    count = 0
    lines = ["file,start_s,end_s"]
    try:
        with Together() as together:
            for one in shown:
                if not count:
                    folder.mkdir(exist_ok=True)
                    remove_stale_partials(folder)
                count += 1
                name = f"frame_{count:05d}.{made.codec}"
                with together.held_back():
                    save_image(one.image, folder / name, quality=made.quality or 95)
                lines.append(f"{name},{float(one.start_s):.9f},{float(one.end_s):.9f}")
                del one
            (folder / TIMES).unlink(missing_ok=True)
            together.appear()
    except BaseException:
        if is_new:
            with suppress(OSError):  # somebody put a file into it
                folder.rmdir()
        raise
    for path in _frames_in(folder):
        match = _NAME.fullmatch(path.name)
        if match and (int(match[1]) > count or match[2] != made.codec):
            path.unlink()
    if keep_times:
        with writing(folder / TIMES) as partial:
            partial.write_text("\n".join(lines) + "\n", encoding="ascii")
    return count


def _frames_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
