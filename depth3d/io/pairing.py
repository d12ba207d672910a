"""Which files belong to one picture: `rgb_01.jpg`, `depth_01.png` and `01_depth.npz` are all of `01`."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from depth3d.errors import FileError, InputError

__all__ = ["files_in", "partner_of", "picture_name"]

_WORDS = (
    "photos?|images?|imgs?|rgb|colou?r|(?:sync_)?depths?|depth_?map|disparity|disp|gt|ground_?truth|truth|pred|"
    "prediction"
)
_END = re.compile(rf"[._-](?:{_WORDS})$", re.IGNORECASE)
_START = re.compile(rf"^(?:{_WORDS})[._-]?(?=\d)", re.IGNORECASE)
_PREVIEW = "_preview"


def picture_name(path: str | PurePath) -> str:
    """Take from a file's name what says that it is a photo, a depth map or a truth.

    Returns:
        `kitchen` for `kitchen_depth_gt.png`; `00045` for `sync_depth_00045.png`; the stem of other names.
    """
    name = PurePath(path).stem
    while (shorter := _END.sub("", name)) != name:
        name = shorter
    return _START.sub("", name) or name


def files_in(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Find the files with one of the suffixes in a folder and the folders in it, sorted.

    Hidden ones are left out, and so are the pictures of depth maps that `depth3d estimate --preview` writes.

    Raises:
        FileError: The folder can't be read.
    """
    found: list[Path] = []

    def give_up(error: OSError) -> None:
        raise FileError(f"can't read the directory {error.filename}: {error.strerror}; check it") from None

    for here, inner, names in os.walk(folder, onerror=give_up):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        found += [
            Path(here) / name
            for name in sorted(names)
            if not name.startswith(".")
            and Path(name).suffix.lower() in suffixes
            and not Path(name).stem.endswith(_PREVIEW)
        ]
    return found


def partner_of(wanted: PurePath, files: Sequence[Path], folder: Path) -> Path | None:
    """Find the file that belongs to the same picture.

    The names decide; where several files share one, the folders that they lie in.

    Args:
        wanted: Path of the one, relative to the root of its own kind, such as `kitchen/01.png`.
        files: The others.
        folder: Their root.

    Returns:
        The file; None where there is none.

    Raises:
        InputError: Several files belong to it equally well.
    """
    name = picture_name(wanted)
    found = [path for path in files if path.stem == wanted.stem] or [
        path for path in files if picture_name(path) == name
    ]
    if len(found) > 1:
        shared = [_shared_folders(wanted, path.relative_to(folder)) for path in found]
        found = [path for path, count in zip(found, shared, strict=True) if count == max(shared)]
    if len(found) > 1:
        raise InputError(
            f"{found[0]} and {found[1]} both have the name of {wanted}; keep one of them, or use parallel "
            "folders"
        )
    return found[0] if found else None


def _shared_folders(one: PurePath, other: PurePath) -> int:
    """Count the innermost folders that two paths have in common."""
    count = 0
    for a, b in zip(reversed(one.parent.parts), reversed(other.parent.parts), strict=False):
        if a != b:
            break
        count += 1
    return count
