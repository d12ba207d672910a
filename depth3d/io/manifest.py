"""The manifest of a folder of results: what was made of what, so that a run can go on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from depth3d._version import __version__
from depth3d.errors import FileError, OutputExistsError, UnreadableFileError
from depth3d.io.remote import RemotePath, fetched

__all__ = [
    "MANIFEST_NAME",
    "Manifest",
    "digest_of_file",
    "digest_of_options",
    "is_unchanged",
    "outputs_listed_in",
    "record_of_outputs",
]

MANIFEST_NAME = "depth3d_manifest.jsonl"

_BLOCK = 1 << 20


class Manifest:
    """What the runs into one folder have made: a text file, one line of JSON a fact.

    A line `{"plan": ...}` is written before a run, with its options and the files that it will write, and
    one for each input when its files are there: its hash, theirs, and what the command said. Each is one
    append, so that several processes on one machine may write at once; a line that was cut short by
    `kill -9` or a full disk counts as not written, and the next one starts on a line of its own. (Network
    file systems do not promise that; give each machine its own folder, or let one of them write.)

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
        self.path = folder / MANIFEST_NAME
        self.options = json.loads(json.dumps(options or {}, default=str))
        self.options_digest = digest_of_options(self.options)
        self.resume = resume
        self.is_new = not self.path.exists()
        self._records: dict[str, dict[str, Any]] = {}
        self._planned: dict[str, str] = {}
        self._options_of: dict[str, dict[str, Any]] = {}
        self._lines: list[str] = []
        for line in _lines_of(self.path):
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
        for output in outputs:
            if not output.exists():
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
        if isinstance(self.path, RemotePath):
            self.path.write_text("".join(f"{one}\n" for one in self._lines))
            return
        try:
            _append(self.path, line.encode() + b"\n")
        except OSError as error:
            raise FileError(
                f"can't write {self.path}: {error.strerror}; free space or choose another folder"
            ) from error

    def _name(self, output: Path | RemotePath) -> str:
        if isinstance(output, RemotePath) or isinstance(self.folder, RemotePath):
            return str(output).removeprefix(f"{str(self.folder).rstrip('/')}/")
        return Path(os.path.relpath(output, self.folder)).as_posix()

    def _take(self, line: str) -> None:
        record = _parsed(line)
        if record is None:
            return
        self._lines.append(line)
        if "plan" in record:
            self._planned |= dict.fromkeys(record["plan"], record["options"])
            self._options_of[record["options"]] = {
                "depth3d": record.get("depth3d"), **record.get("how", {})
            }  # fmt: skip
        elif record.get("outputs"):
            self._records[record["outputs"][0]["name"]] = record

    def _difference(self, digest: str) -> str:
        """Say which option differs from those of an earlier run."""
        before = self._options_of.get(digest, {})
        now = {"depth3d": __version__, **self.options}
        for name in (*now, *before):
            if before.get(name) != now.get(name):
                return f"with another {name.replace('_', '-')} ({before.get(name)}, and now {now.get(name)})"
        return "with other options"


def outputs_listed_in(folder: Path) -> list[Path]:
    """List the files that a folder's manifest tells to be results, be they there or not.

    Args:
        folder: With a manifest.
    """
    found: list[Path] = []
    for line in _lines_of(folder / MANIFEST_NAME):
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

    Returns:
        32 hexadecimal digits.

    Raises:
        UnreadableFileError: It is not there or can't be read.
    """
    if isinstance(path, RemotePath):
        with fetched(path) as local:
            return digest_of_file(local)
    digest = hashlib.blake2b(digest_size=16)
    try:
        if path.is_dir():
            for inner in sorted(one for one in path.rglob("*") if one.is_file()):
                name = os.fsencode(inner.relative_to(path).as_posix())
                digest.update(name + b"\0" + digest_of_file(inner).encode())
            return digest.hexdigest()
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise UnreadableFileError(f"can't read {path}: {error.strerror}; check the path") from None
    return digest.hexdigest()


def record_of_outputs(outputs: Sequence[Path | RemotePath], manifest_folder: Path) -> list[dict[str, Any]]:
    """Describe files as a record does: `name` below the folder, `bytes`, `mtime_ns` and `blake2b`.

    Args:
        outputs: Files, or folders; those that are not there are left out.
        manifest_folder: What names are relative to.
    """
    return [
        {
            "name": Path(os.path.relpath(path, manifest_folder)).as_posix(),
            **_size_and_time(path),
            "blake2b": digest_of_file(path),
        }
        for path in outputs
        if isinstance(path, Path) and path.exists()
    ]


def is_unchanged(record: Mapping[str, Any], inputs: Sequence[str], folder: Path) -> bool:
    """Tell whether a record still holds: the inputs have its hashes, and its outputs are there as they were.

    Args:
        record: Of the manifest.
        inputs: Hashes of all that is read for it.
        folder: The manifest's.

    Returns:
        Whether nothing is to be done. An output counts as it was if its size and time are, or else its hash.
    """
    if list(record.get("inputs", ())) != list(inputs):
        return False
    for one in record["outputs"]:
        path = folder / one["name"]
        try:
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


def _append(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    try:
        end = os.lseek(descriptor, 0, os.SEEK_END)
        if end:
            os.lseek(descriptor, end - 1, os.SEEK_SET)
            if os.read(descriptor, 1) != b"\n":  # a line that was cut short
                line = b"\n" + line
        written = os.write(descriptor, line)
        if written != len(line):
            raise OSError(28, "the disk is full")
    finally:
        os.close(descriptor)


def _lines_of(path: Path | RemotePath) -> list[str]:
    try:
        if not path.exists():
            return []
        text = (
            path.read_text() if isinstance(path, RemotePath) else path.read_bytes().decode(errors="replace")
        )
    except OSError as error:
        if isinstance(error, FileError):
            raise
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
