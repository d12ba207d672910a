"""A task whose files are on shared storage, made one whose files are here for as long as it is worked on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from depth3d.io.remote import RemotePath, fetched, putting

__all__ = ["FilesHere", "files_here"]


@dataclass(frozen=True, slots=True)
class FilesHere:
    """Where files of shared storage are on this machine.

    Attributes:
        inputs: Local names of what is read, in the order given.
        outputs: Local names of what is written, in the order given.
        folders: Local folder -> remote folder.
    """

    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    folders: Mapping[Path, RemotePath]

    def known(self, path: Path) -> Path | RemotePath:
        """Give the name by which others know a file here; one of nothing remote keeps its own."""
        for folder, remote in self.folders.items():
            if path.is_relative_to(folder):
                for part in path.relative_to(folder).parts:
                    remote /= part
                return remote
        return path

    def told(self, value: Any) -> Any:
        """Replace local names by those that others know, in texts within lists and dictionaries."""
        if isinstance(value, Path):
            return self.known(value)
        if isinstance(value, str):
            for folder, remote in self.folders.items():
                value = value.replace(str(folder), str(remote))
            return value
        if isinstance(value, Mapping):
            return {name: self.told(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.told(item) for item in value]
        return value


@contextmanager
def files_here(
    inputs: tuple[Path | RemotePath, ...], outputs: tuple[Path | RemotePath, ...]
) -> Iterator[FilesHere]:
    """Bring the remote ones of some files here, and put what a block writes when it ends.

    One folder a file holds a local copy, until the block ends. Outputs are put only if the block does not
    raise, the first one last: where it is there, so are the others.

    Args:
        inputs: Files to be read.
        outputs: Files to be written; remote ones are replaced if they are there.

    Raises:
        FileError: A file can't be had, or can't be put.
    """
    folders: dict[Path, RemotePath] = {}

    def here(path: Path | RemotePath, how: Any) -> Path:
        if isinstance(path, Path):
            return path
        local: Path = stack.enter_context(how(path))
        folders[local.parent] = path.parent
        return local

    with ExitStack() as stack:
        read = tuple(here(path, fetched) for path in inputs)
        written = tuple(here(path, putting) for path in outputs)
        yield FilesHere(read, written, folders)
