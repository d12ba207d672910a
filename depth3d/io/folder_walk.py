"""The files below a folder, hidden ones left out, and no circle of links followed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from depth3d.errors import FileError

__all__ = ["files_below", "folders_below"]


def files_below(folder: Path) -> Iterator[Path]:
    """Give all files in a folder, sorted by name, and then those in the folders in it.

    Args:
        folder: Where to look. Links are followed, but not into a folder that they are in. What begins with a
            dot is left out.

    Raises:
        FileError: A folder can't be read.
    """
    for here in folders_below(folder):
        yield from (Path(entry) for entry in _entries(here) if not entry.is_dir())


def folders_below(folder: Path, _above: tuple[str, ...] = ()) -> Iterator[Path]:
    """Give a folder and all folders in it, as `files_below` looks through them.

    Raises:
        FileError: A folder can't be read.
    """
    yield folder
    around = (*_above, os.path.realpath(folder))
    for entry in _entries(folder):
        if entry.is_dir() and os.path.realpath(entry) not in around:
            yield from folders_below(Path(entry), around)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise FileError(f"can't read the directory {folder}: {error.strerror}; check it") from None
    return sorted(shown, key=lambda entry: entry.name)
