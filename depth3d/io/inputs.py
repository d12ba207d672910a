"""Names to files: folders, globs and lists of paths become the photos that they stand for."""

from __future__ import annotations

import glob
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePath, PurePosixPath
from typing import Literal

from depth3d.errors import InputError, UnreadableFileError
from depth3d.io.folder_walk import files_below, folders_below
from depth3d.io.manifest import MANIFEST_NAME, outputs_listed_in
from depth3d.io.pairing import is_other_kind
from depth3d.io.remote import RemotePath, is_url, place

__all__ = ["PHOTO_SUFFIXES", "FoundInput", "find_inputs", "is_one_file", "natural_key"]

_log = logging.getLogger("depth3d")

PHOTO_SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".hif", ".avif", ".mpo",
    ".gif", ".jfif",
)  # fmt: skip
"""Suffixes, in lower case, by which photos are found in a folder; what a file holds decides in the end."""

_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class FoundInput:
    """A file that was found, and its place below what was named.

    Attributes:
        path: The file; of one that was named itself it need not exist.
        place: Its path below the folder, the fixed part of the glob, or the folder that all files of a list
            have in common; of a file that was named itself only its name.
        is_named: Whether the file was named itself.
    """

    path: Path | RemotePath
    place: PurePosixPath
    is_named: bool = False


def find_inputs(
    names: str | PurePath | RemotePath | Iterable[str | PurePath | RemotePath],
    *,
    suffixes: Sequence[str] = PHOTO_SUFFIXES,
    kind: Literal["photos", "depth"] | None = "photos",
    results_in: Path | RemotePath | None = None,
) -> list[FoundInput]:
    """Find the files that names stand for.

    A name is a file; a folder (with all folders in it); a glob such as `photos/**/*.jpg`; `@list.txt`, a text
    file of such names, one a line (or with NULs between them); `-`, the same from the standard input; or a
    URL of a file, a folder or a glob. What exists is meant as it is, whatever characters its name has. Names
    in a list are looked for in the working directory, then beside the list.

    Args:
        names: One or more of them.
        suffixes: Of the files to take in folders, and of globs that end in no suffix; in lower case.
        kind: What is looked for in folders: files whose names say that they are something else, such as
            `01_depth.png` among photos, are left out, and a warning is logged. None takes them all.
        results_in: The folder that results go to. What was written there earlier, as its manifest tells, is
            no input, unless it is the only one; nor are results in folders below the ones that are named.

    Returns:
        The files: names in the order given, those of a folder or glob in natural order (`2.jpg` before
        `10.jpg`), each only once. Hidden files (and so all partial ones) are left out.

    Raises:
        InputError: A folder or a glob holds nothing of the kind, or a list is empty.
        FileError: A folder or a list can't be read.
    """
    if isinstance(names, str | PurePath | RemotePath):
        names = [names]
    search = _Search(tuple(suffixes), kind)
    found: dict[str, FoundInput] = {}
    for name in names:
        for one in search.named(name):
            found.setdefault(_key(one.path), one)
    if len(found) > 1:
        found = _without_results(found, results_in, search.roots)
    if not found:
        raise InputError("there are no files; give files, folders, globs, or @list.txt")
    return list(found.values())


def is_one_file(name: str | PurePath | RemotePath) -> bool:
    """Tell the name of one file, be it there or not, from a folder, a glob or a list.

    Args:
        name: As for `find_inputs`.
    """
    if isinstance(name, str):
        if name == "-" or (name.startswith("@") and not _exists(name)):
            return False
        if _GLOB.search(name) and (is_url(name) or not _exists(name)):
            return False
    return not place(name).is_dir() if isinstance(name, str) and is_url(name) else not _is_dir(name)


def natural_key(path: str | PurePath) -> list[tuple[list[tuple[int, str]], str]]:
    """Make a key that sorts `frame2` before `frame10`, folder by folder.

    Args:
        path: A path or a name.

    Returns:
        One entry a part; parts that differ by leading zeros or by case alone are told apart, too.
    """
    return [
        (
            [(int(run), "") if run.isdecimal() else (-1, run.casefold()) for run in re.split(r"(\d+)", part)],
            part,
        )
        for part in PurePath(path).parts
    ]


class _Search:
    """Expands names, and remembers the folders that were looked through."""

    def __init__(self, suffixes: tuple[str, ...], kind: Literal["photos", "depth"] | None) -> None:
        self.suffixes = suffixes
        self.kind = kind
        self.roots: list[Path] = []

    def named(self, name: str | PurePath | RemotePath) -> Iterator[FoundInput]:
        text = name if isinstance(name, str) else None
        if text == "-":
            yield from self._listed(sys.stdin.buffer.read(), "the standard input", Path())
        elif text and text.startswith("@") and not _exists(text):
            path = Path(text[1:]).expanduser()
            yield from self._listed(_bytes_of(path), str(path), path.parent)
        else:
            yield from self._file_folder_or_glob(name)

    def _file_folder_or_glob(self, name: str | PurePath | RemotePath) -> Iterator[FoundInput]:
        if isinstance(name, str) and not name.strip():
            raise InputError("a name is empty; give files, folders or globs")
        path = place(name) if isinstance(name, str) else name
        if isinstance(path, RemotePath):
            yield from self._remote(path)
            return
        if _is_dir(path):
            yield from self._in_folder(Path(path))
        elif isinstance(name, str) and _GLOB.search(name) and not _exists(name):
            yield from self._matching(name)
        else:
            yield FoundInput(Path(path), PurePosixPath(path.name), is_named=True)

    def _in_folder(self, folder: Path) -> Iterator[FoundInput]:
        self.roots.append(folder)
        found = sorted((one.relative_to(folder) for one in files_below(folder)), key=natural_key)
        fitting = [one for one in found if one.suffix.lower() in self.suffixes]
        yield from (FoundInput(folder / one, PurePosixPath(one)) for one in self._of_kind(fitting, folder))

    def _matching(self, pattern: str) -> Iterator[FoundInput]:
        root, rest = _fixed_part(pattern)
        self.roots.append(root)
        matches = _glob(root, Path(rest).parts)
        places = sorted({Path(os.path.relpath(one, root)) for one in matches}, key=natural_key)
        places = [one for one in places if (root / one).is_file()]
        if not PurePath(rest).suffix:
            places = [one for one in places if one.suffix.lower() in self.suffixes]
        if not places:
            raise InputError(
                f"no file matches {pattern}; check the pattern: capitals count, and ** stands for any folders"
            )
        yield from (FoundInput(root / one, PurePosixPath(one)) for one in places)

    def _remote(self, path: RemotePath) -> Iterator[FoundInput]:
        if _GLOB.search(path.url):
            head, _, tail = path.url.partition("://")
            parts = tail.split("/")
            first = next(i for i, part in enumerate(parts) if _GLOB.search(part))
            root, rest = RemotePath(f"{head}://{'/'.join(parts[:first])}"), "/".join(parts[first:])
        elif path.is_dir():
            root, rest = path, "**"
        else:
            yield FoundInput(path, PurePosixPath(path.name), is_named=True)
            return
        start = len(root.url.rstrip("/")) + 1
        places = sorted({one.url[start:] for one in root.glob(rest)} - {""}, key=natural_key)
        by_suffix = not PurePosixPath(rest).suffix
        fitting = [
            PurePosixPath(one)
            for one in places
            if not any(part.startswith(".") for part in one.split("/"))
            and (not by_suffix or PurePosixPath(one).suffix.lower() in self.suffixes)
        ]
        chosen = fitting if rest != "**" else self._of_kind(fitting, root)
        if not chosen:
            raise InputError(f"no file matches {path}; check the pattern")
        for one in chosen:
            yield FoundInput(RemotePath(f"{root.url.rstrip('/')}/{one}"), PurePosixPath(one))

    def _of_kind(self, places: Sequence[PurePath], folder: Path | RemotePath) -> list[PurePath]:
        """Leave out what says by its name that it is something else, unless everything does."""
        kind = self.kind
        if not places:
            raise InputError(
                f"there are no {kind or 'files'} in {folder}; give a folder with {', '.join(self.suffixes)}"
            )
        if kind is None:
            return list(places)
        others = [one for one in places if is_other_kind(one, kind)]
        if not others or len(others) == len(places):
            return list(places)
        _log.warning(
            "left out %d files of %s whose names say that they are no %s, such as %s; name them to take them",
            len(others), folder, kind, others[0],
        )  # fmt: skip
        return [one for one in places if not is_other_kind(one, kind)]

    def _listed(self, content: bytes, source: str, folder: Path) -> Iterator[FoundInput]:
        """Expand each name of a list; files keep their place below the folder that they have in common."""
        names = [_beside(name, folder) for name in _names_in(content)]
        if not names:
            raise InputError(f"{source} lists no paths; write one a line")
        found: list[FoundInput] = []
        alone: list[int] = []
        for name in names:
            if is_one_file(name):
                alone.append(len(found))
            found += self._file_folder_or_glob(name)
        parts = [_key(found[i].path).split("/") for i in alone]
        shared = _shared_start([one[:-1] for one in parts])
        for i, own in zip(alone, parts, strict=True):
            found[i] = FoundInput(found[i].path, PurePosixPath(*own[len(shared) :]))
        yield from found


def _shared_start(paths: Sequence[Sequence[str]]) -> list[str]:
    return [level[0] for level in takewhile(lambda level: len(set(level)) == 1, zip(*paths, strict=False))]


def _names_in(content: bytes) -> list[str]:
    """Split a list at its NULs if it has any, else into lines; names may have any bytes."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in content:
        raw = content.split(b"\0")
    else:
        raw = [line.removesuffix(b"\r") for line in content.split(b"\n")]
    return [os.fsdecode(name) for name in raw if name.strip()]


def _beside(name: str, folder: Path) -> str:
    """Find a relative name that is not in the working directory beside its list."""
    if name.startswith("~"):
        return str(Path(name).expanduser())
    if is_url(name) or Path(name).is_absolute() or _exists(name):
        return name
    if _GLOB.search(name) and not _exists(folder / name):
        root, rest = _fixed_part(name)
        return name if any(_glob(root, Path(rest).parts)) else str(folder / name)
    return str(folder / name) if _exists(folder / name) else name


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableFileError(
            f"can't read the list {path}: {error.strerror}; @ stands before a text file of paths"
        ) from None


def _glob(folder: Path, parts: tuple[str, ...]) -> Iterator[str]:
    """Match below a folder; ** is done here, as that of `glob` follows circles of links again and again."""
    if "**" not in parts:
        yield from glob.iglob(str(Path(glob.escape(str(folder)), *parts)))  # noqa: PTH207
        return
    cut = parts.index("**")
    for start in _glob(folder, parts[:cut]) if cut else (folder,):
        for inner in folders_below(Path(start)) if _is_dir(start) else ():
            yield from _glob(inner, parts[cut + 1 :] or ("*",))


def _fixed_part(pattern: str) -> tuple[Path, str]:
    """Split a glob into the folder that is there as it stands, and the rest, with at least one part."""
    parts = Path(pattern).parts
    root = Path()
    for number, part in enumerate(parts[:-1]):
        if part == "**" or not _is_dir(root / part):
            return root, str(Path(*parts[number:]))
        root /= part
    return root, parts[-1]


def _without_results(
    found: dict[str, FoundInput], results_in: Path | RemotePath | None, roots: Sequence[Path]
) -> dict[str, FoundInput]:
    """Leave out what a manifest tells to be a result: of this run, or in a folder below the named ones."""
    folders: set[Path] = {results_in} if isinstance(results_in, Path) else set()
    for root in roots:
        folders |= {
            one
            for path in {Path(each.path).parent for each in found.values() if isinstance(each.path, Path)}
            for one in (path, *path.parents)
            if one != root and one.is_relative_to(root)
        }
    results = {
        _key(path)
        for folder in folders
        if (folder / MANIFEST_NAME).is_file()
        for path in outputs_listed_in(folder)
    }
    if isinstance(results_in, RemotePath):
        results |= {_key(path) for path in outputs_listed_in(results_in)}
    left = {key: one for key, one in found.items() if key not in results}
    if len(left) < len(found):
        _log.warning("left out %d files that are results of earlier runs", len(found) - len(left))
    return left


def _key(path: PurePath | RemotePath) -> str:
    """Make one name of every way to write a path; links stay apart from what they lead to."""
    return path.url if isinstance(path, RemotePath) else Path(os.path.abspath(path)).as_posix()  # noqa: PTH100


def _exists(path: str | PurePath) -> bool:
    try:
        return os.path.lexists(path)
    except (OSError, ValueError):  # too long, or with a NUL
        return False


def _is_dir(path: str | PurePath | RemotePath) -> bool:
    try:
        return path.is_dir() if isinstance(path, RemotePath) else Path(path).is_dir()
    except (OSError, ValueError):
        return False
