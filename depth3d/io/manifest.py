"""The manifest of a folder of results: what was made of what, so that a run can go on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from depth3d._version import __version__
from depth3d.errors import FileError, OutputExistsError, UnreadableFileError
from depth3d.io.remote import RemotePath, is_url
from depth3d.io.shared_lines import SharedLines

__all__ = [
    "MANIFEST_NAME",
    "Manifest",
    "digest_of_file",
    "digest_of_options",
    "is_unchanged",
    "name_below",
    "outputs_listed_in",
    "record_of_outputs",
]

MANIFEST_NAME = "depth3d_manifest.jsonl"

_SEGMENTS = "depth3d_manifest"
"""Of a folder on shared storage, where several machines may write."""

_BLOCK = 1 << 20


class Manifest:
    """What the runs into one folder have made: a text file, one line of JSON a fact.

    A line `{"plan": ...}` is written before a run, with its options and the files that it will write, and
    one for each input when its files are there: its hash, theirs, and what the command said. Each is one
    append, so that several processes on one machine may write at once; a line that was cut short by
    `kill -9` or a full disk counts as not written, and the next one starts on a line of its own. (Network
    file systems do not promise that; give each machine its own folder, or let one of them write.) On shared
    storage (`s3://`), where nothing can be appended, it is a folder of such files, a few for each run, to
    which lines are added every two seconds and by `close`.

    Args:
        folder: Where the results go; it must be there.
        options: What decides what results are like, with JSON types: the command, its options, hashes of
            the files that they name. The version of depth3d is added.
        resume: Whether what is there may be taken as done.

    Attributes:
        folder: As given.
        options: As given.
        options_digest: Hash of the options and the version.
        is_new: Whether there was no such file.

    Raises:
        FileError: The manifest can't be read.
    """

    def __init__(
        self, folder: Path | RemotePath, options: Mapping[str, Any] | None = None, *, resume: bool = False
    ) -> None:
        self.folder = folder
        self.options = json.loads(json.dumps(options or {}, default=str))
        self.options_digest = digest_of_options(self.options)
        self.resume = resume
        self.path: Path | RemotePath
        self._shared: SharedLines | None = None
        if isinstance(folder, Path):
            self.path = folder / MANIFEST_NAME
            lines = _lines_of(self.path)
        else:
            self.path = folder / _SEGMENTS
            self._shared = SharedLines(self.path)
            lines = list(self._shared.read())
        self._records: dict[str, dict[str, Any]] = {}
        self._planned: dict[str, str] = {}
        self._options_of: dict[str, dict[str, Any]] = {}
        self.is_new = not lines
        self._own: set[str] = set()
        for line in lines:
            self._take(line)

    def record_of(self, output: Path | RemotePath) -> Mapping[str, Any] | None:
        """Give what was written last about an output, where it was made with the options of this run.

        Args:
            output: The main file, or folder, of an input.

        Returns:
            The record, to be checked by `is_unchanged`; None where there is none, or without `resume`.
        """
        record = self._records.get(self._name(output)) if self.resume else None
        return record if record is not None and record["options"] == self.options_digest else None

    def check(self, outputs: Iterable[Path | RemotePath]) -> None:
        """Refuse to replace what this run can't know to be its own.

        Files that are there must have been planned by a run with the same options: it was stopped before it
        could say that it had written them.

        Args:
            outputs: What will be written.

        Raises:
            OutputExistsError: One exists, and was made by other means or with other options.
        """
        there = set(self.folder.walk()) if isinstance(self.folder, RemotePath) else None
        for output in outputs:
            # One listing answers for thousands of files that would each be asked for.
            is_there = output in there if there is not None and self._holds(output) else output.exists()
            if not is_there:
                continue
            name = self._name(output)
            if not self.resume or name not in self._planned:
                raise OutputExistsError(
                    f"{output} already exists"
                    + (" and no earlier run wrote it here" if self.resume else "")
                    + "; use --overwrite (overwrite=True) or another name"
                    + ("" if self.resume else ", or --resume to keep what is done")
                )
            if self._planned[name] != self.options_digest:
                raise OutputExistsError(
                    f"{output} was made {self._difference(self._planned[name])}; use --overwrite "
                    "(overwrite=True) to make everything anew, or another folder"
                )

    def plan(self, outputs: Iterable[Path | RemotePath]) -> None:
        """Write down what a run is about to write, before it does.

        Raises:
            FileError: It can't be written.
        """
        names = [self._name(output) for output in outputs]
        known = [name for name in names if self._planned.get(name) != self.options_digest]
        if known:
            self.append(
                {
                    "plan": known,
                    "options": self.options_digest,
                    "depth3d": __version__,
                    "how": self.options,
                }
            )

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one line, in one go.

        Args:
            record: With JSON types.

        Raises:
            FileError: It can't be written.
        """
        line = json.dumps({"options": self.options_digest, **record}, ensure_ascii=True)
        self._take(line)
        self._own.add(line)
        if isinstance(self.path, RemotePath):
            assert self._shared is not None
            self._shared.append(line)
            return
        try:
            _append(self.path, line.encode() + b"\n")
        except OSError as error:
            raise FileError(
                f"can't write {self.path}: {error.strerror}; free space or choose another folder"
            ) from error

    def close(self) -> None:
        """Put the lines on shared storage that still wait; elsewhere they are there, if anything was made.

        Raises:
            FileError: They can't be written.
        """
        if self._shared:
            self._shared.flush()
        elif self.is_new and not self._records and isinstance(self.path, Path):
            # Nothing was made, so nothing is to be said; unless another process writes here, too.
            with suppress(OSError):
                if all(line in self._own for line in _lines_of(self.path) if line):
                    self.path.unlink()

    def _name(self, output: Path | RemotePath) -> str:
        return name_below(self.folder, output)

    def _holds(self, output: Path | RemotePath) -> bool:
        return str(output).startswith(f"{self.folder}/")

    def _take(self, line: str) -> None:
        record = _parsed(line)
        if record is None:
            return
        if "plan" in record:
            self._planned |= dict.fromkeys(record["plan"], record["options"])
            self._options_of[record["options"]] = {
                "depth3d": record.get("depth3d"), **record.get("how", {})
            }  # fmt: skip
        elif record.get("outputs"):
            self._records[record.get("output", record["outputs"][0]["name"])] = record

    def _difference(self, digest: str) -> str:
        """Say which option differs from those of an earlier run."""
        before = self._options_of.get(digest, {})
        now = {"depth3d": __version__, **self.options}
        for name in (*now, *before):
            if before.get(name) != now.get(name):
                return f"with another {name.replace('_', '-')} ({before.get(name)}, and now {now.get(name)})"
        return "with other options"


def outputs_listed_in(folder: Path | RemotePath) -> list[Path | RemotePath]:
    """List the files that a folder's manifest tells to be results, be they there or not.

    Args:
        folder: With a manifest, or without one.
    """
    found: list[Path | RemotePath] = []
    for line in (
        SharedLines(folder / _SEGMENTS).read()
        if isinstance(folder, RemotePath)
        else _lines_of(folder / MANIFEST_NAME)
    ):
        record = _parsed(line) or {}
        names = [*record.get("plan", ()), *(one["name"] for one in record.get("outputs", ()))]
        found += [folder / name for name in names]
    return found


def digest_of_options(options: Mapping[str, Any]) -> str:
    """Hash options, whatever their order, with the version of depth3d.

    Args:
        options: With JSON types; others count as their text.

    Returns:
        32 hexadecimal digits.
    """
    text = json.dumps([__version__, options], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def digest_of_file(path: Path | RemotePath) -> str:
    """Hash the bytes of a file; of a folder, those of the files in it, with their names.

    Of a file on shared storage the size and the storage's own tag are hashed: nothing is fetched.

    Returns:
        32 hexadecimal digits.

    Raises:
        UnreadableFileError: It is not there or can't be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    if isinstance(path, RemotePath):
        digest.update(repr(path.size_and_version()).encode())
        return digest.hexdigest()
    try:
        if path.is_dir():
            for inner in sorted(one for one in path.rglob("*") if one.is_file()):
                name = os.fsencode(inner.relative_to(path).as_posix())
                digest.update(name + b"\0" + digest_of_file(inner).encode())
            return digest.hexdigest()
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except FileError:
        raise
    except FileNotFoundError:
        raise UnreadableFileError(f"{path} does not exist; check the path") from None
    except OSError as error:
        raise UnreadableFileError(f"can't read {path}: {error.strerror}; check the path") from None
    return digest.hexdigest()


def record_of_outputs(
    outputs: Mapping[Path | RemotePath, Path], manifest_folder: Path | RemotePath
) -> list[dict[str, Any]]:
    """Describe files as a record does: `name` below the folder, `bytes`, `mtime_ns` and `blake2b`.

    Args:
        outputs: Files, or folders, and where each is on this machine: itself, or a local copy of what goes to
            shared storage. Those that are not there are left out.
        manifest_folder: What names are relative to.
    """
    return [
        {
            "name": name_below(manifest_folder, path),
            **_size_and_time(local),
            "blake2b": digest_of_file(local),
        }
        for path, local in outputs.items()
        if local.exists()
    ]


def is_unchanged(record: Mapping[str, Any], inputs: Sequence[str], folder: Path | RemotePath) -> bool:
    """Tell whether a record still holds: the inputs have its hashes, and its outputs are there as they were.

    Args:
        record: Of the manifest.
        inputs: Hashes of all that is read for it.
        folder: The manifest's.

    Returns:
        Whether nothing is to be done. An output counts as it was if its size and time are, or else its hash;
        on shared storage its size decides.
    """
    if list(record.get("inputs", ())) != list(inputs) or not record["outputs"]:
        return False
    for one in record["outputs"]:
        path = RemotePath(one["name"]) if is_url(one["name"]) else folder / one["name"]
        try:
            if isinstance(path, RemotePath):
                if path.total_bytes() != one["bytes"]:
                    return False
                continue
            now = _size_and_time(path)
            if now["bytes"] != one["bytes"]:
                return False
            if now["mtime_ns"] != one["mtime_ns"] and digest_of_file(path) != one["blake2b"]:
                return False
        except OSError:
            return False
    return True


def _size_and_time(path: Path) -> dict[str, int]:
    """Give bytes and time in nanoseconds; of a folder those of all files in it, and the latest."""
    files = [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]
    facts = [one.stat() for one in files]
    return {
        "bytes": sum(one.st_size for one in facts),
        "mtime_ns": max((one.st_mtime_ns for one in facts), default=0),
    }


def name_below(folder: Path | RemotePath, path: Path | RemotePath) -> str:
    """Name a file as records do: below the folder, with slashes; by its URL where that is elsewhere."""
    if isinstance(path, RemotePath):
        return path.url.removeprefix(f"{folder}/")
    if isinstance(folder, RemotePath):
        return path.absolute().as_posix()
    return Path(os.path.relpath(path, folder)).as_posix()


def _append(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    try:
        end = os.lseek(descriptor, 0, os.SEEK_END)
        if end:
            os.lseek(descriptor, end - 1, os.SEEK_SET)
            # A line was cut short, or another process is amid writing one: an empty line, which nobody reads.
            if os.read(descriptor, 1) != b"\n":
                line = b"\n" + line
        written = os.write(descriptor, line)
        if written != len(line):
            raise OSError(28, "the disk is full")
    finally:
        os.close(descriptor)


def _lines_of(path: Path) -> list[str]:
    try:
        if not path.exists():
            return []
        text = path.read_bytes().decode(errors="replace")
    except OSError as error:
        raise UnreadableFileError(f"can't read {path}: {error.strerror}; check it") from None
    return text.split("\n")


def _parsed(line: str) -> dict[str, Any] | None:
    """Read a line; None for one that was cut short, or that another program wrote."""
    if not line.strip():
        return None
    try:
        record = json.loads(line)
        if not isinstance(record, dict) or not isinstance(record.get("options"), str):
            return None
        if "plan" in record:
            return record if all(isinstance(name, str) for name in record["plan"]) else None
        for one in record["outputs"]:
            if not (isinstance(one["name"], str) and isinstance(one["bytes"], int)):
                return None
            one["mtime_ns"], one["blake2b"]
    except (ValueError, KeyError, TypeError):
        return None
    return record
