"""Write to a temporary name, then rename: no crash, Ctrl-C or power cut leaves half a file under a name.

What `kill -9` leaves are files whose names begin with a dot and hold `.part`; `remove_stale_partials`
clears away those that nobody writes any more.
"""

from __future__ import annotations

import atexit
import errno
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from depth3d.core.stages import stage
from depth3d.errors import FileError, OutputExistsError
from depth3d.io.partials import partial_name, remove_stale_partials, stale_partials

__all__ = [
    "Together",
    "check_writable",
    "recorded_writes",
    "remove_stale_partials",
    "stale_partials",
    "writing",
]

_OPEN: set[Path] = set()
"""Partial files that this process is writing."""

_WRITTEN: ContextVar[list[Path] | None] = ContextVar("depth3d_written", default=None)

_TOGETHER: ContextVar[Together | None] = ContextVar("depth3d_together", default=None)


def check_writable(path: str | Path, *, overwrite: bool) -> Path:
    """Check, before any long work, that a file can be written there.

    Args:
        path: The file to be written.
        overwrite: Whether an existing file may be replaced.

    Returns:
        The path.

    Raises:
        OutputExistsError: The file exists and `overwrite` is False.
        FileError: A directory is in its place, or its own directory is missing or read-only.
    """
    path = Path(path)
    if "\0" in str(path):
        raise FileError(f"can't write {str(path)!r}: names can't hold a NUL; choose another name")
    try:
        is_directory, exists = path.is_dir(), path.exists()
    except OSError as error:  # a name that is too long
        raise FileError(f"can't write {path}: {error.strerror}; choose another name") from None
    if is_directory:
        raise FileError(f"{path} is a directory; give the name of a file in it")
    if exists and not path.is_file():  # renaming over it would take the device away from everybody
        raise FileError(f"{path} is a device or a pipe, no file; give the name of a file")
    if exists and not overwrite:
        raise OutputExistsError(f"{path} already exists; use --overwrite (overwrite=True) or another name")
    folder = path.parent
    if not folder.is_dir():
        if folder.exists():
            raise FileError(
                f"{folder} is a file, no directory, so nothing can be put in it; give another name"
            )
        raise FileError(f"the directory {folder} does not exist; create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FileError(f"the directory {folder} is not writable; choose another one")
    return path


@contextmanager
def writing(path: str | Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Give a temporary name beside `path`, and rename it to `path` if the block succeeds.

    What was written is flushed to the disk before it gets its name, or a power cut could leave an empty file
    under it, and a full disk that is far away could go unnoticed. That costs about half a millisecond a file
    on an SSD.

    Args:
        path: The file that is to exist in the end.
        overwrite: Whether an existing file may be replaced.

    Yields:
        A name in the same directory and with the same suffix, to write to. It is removed if the
        block raises.

    Raises:
        OutputExistsError: The file exists and `overwrite` is False.
        FileError: The file can't be written.
    """
    path = check_writable(path, overwrite=overwrite)
    partial = partial_name(path)
    together = _TOGETHER.get()
    is_waiting = False
    _OPEN.add(partial)
    try:
        with stage("writing"):
            yield partial
            _flush(partial)
            if together is None:
                _named(partial, path)
            else:
                together.waiting.append((partial, path))
                is_waiting = True
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise _refusal(path, error) from error
    finally:
        if not is_waiting:
            _abandoned(partial)


class Together:
    """Files that get their names together, or not at all: the pictures of a film.

    Attributes:
        waiting: Temporary and final names of what was written.

    Examples:
        >>> with Together() as together:
        ...     for path in paths:
        ...         with together.held_back():
        ...             save_image(image, path)
        ...     together.appear()
    """

    def __init__(self) -> None:
        self.waiting: deque[tuple[Path, Path]] = deque()

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Let the files that `writing` finishes in this thread while the block runs wait for `appear`."""
        token = _TOGETHER.set(self)
        try:
            yield
        finally:
            _TOGETHER.reset(token)

    def appear(self) -> None:
        """Rename all of them.

        Raises:
            FileError: One can't be; those before it have their names.
        """
        while self.waiting:
            partial, path = self.waiting[0]
            try:
                _named(partial, path)
            except OSError as error:
                raise _refusal(path, error) from error
            _OPEN.discard(partial)
            self.waiting.popleft()

    def __enter__(self) -> Together:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove those that did not appear."""
        while self.waiting:
            _abandoned(self.waiting.pop()[0])


@contextmanager
def recorded_writes() -> Iterator[list[Path]]:
    """List the files that `writing` finishes in this thread while the block runs.

    Yields:
        A list that grows.
    """
    written: list[Path] = []
    token = _WRITTEN.set(written)
    try:
        yield written
    finally:
        _WRITTEN.reset(token)


@atexit.register
def _abandon() -> None:
    """Remove what threads are still writing when the process ends, after Ctrl-C."""
    for partial in [*_OPEN]:
        _abandoned(partial)


def _abandoned(partial: Path) -> None:
    _OPEN.discard(partial)
    with suppress(OSError):  # a name that was too long to write is too long to remove
        partial.unlink()


def _named(partial: Path, path: Path) -> None:
    partial.replace(path)
    written = _WRITTEN.get()
    if written is not None:
        written.append(path)


def _refusal(path: Path, error: OSError) -> FileError:
    return FileError(f"can't write {path}: {error.strerror or error}; free space or choose another place")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):  # a file system that can't
            raise
    finally:
        os.close(descriptor)
