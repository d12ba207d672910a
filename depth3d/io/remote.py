"""Files on shared storage: `s3://`, `gs://` and whatever else fsspec reaches, brought here and put there."""

from __future__ import annotations

import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from depth3d.errors import (
    Depth3DError,
    FileError,
    InputError,
    OutputExistsError,
    UnreadableFileError,
    UnsupportedFormatError,
)

__all__ = ["RemotePath", "fetched", "is_url", "place", "putting"]

_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://(.*)", re.DOTALL)  # two letters at least: C:// is a drive

_PACKAGES = {
    "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs",
    "hdfs": "pyarrow", "sftp": "paramiko", "ssh": "paramiko", "smb": "smbprotocol", "http": "aiohttp",
    "https": "aiohttp",
}  # fmt: skip
"""What to install for a protocol where fsspec alone can't speak it."""

_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "memory"})
"""Where a file appears when its last byte has arrived, and where folders are only parts of names."""


def is_url(name: str | Path) -> bool:
    """Tell the name of a file on shared storage, such as `s3://bucket/photo.jpg`, from a local one."""
    return isinstance(name, str) and _URL.match(name) is not None


def place(name: str | Path | RemotePath) -> Path | RemotePath:
    """Make a local or a remote path of a name; `Path("s3://a")` would fold the two slashes into one."""
    if isinstance(name, str) and is_url(name):
        return RemotePath(name)
    return name if isinstance(name, RemotePath) else Path(name)


@dataclass(frozen=True, slots=True, order=True)
class RemotePath:
    """A file or folder on shared storage; its names behave as those of a `pathlib.Path`.

    Credentials, regions and endpoints are those of the storage's own configuration: environment variables,
    its files, or `~/.config/fsspec`.

    Attributes:
        url: As given, without slashes at the end.

    Raises:
        InputError: No URL.
    """

    url: str

    def __post_init__(self) -> None:
        if not is_url(self.url):
            raise InputError(f"{self.url!r} is no URL; give one such as s3://bucket/folder/photo.jpg")
        object.__setattr__(self, "url", self._head + (self._tail.rstrip("/") or self._tail[:1]))

    def __str__(self) -> str:
        return self.url

    def __repr__(self) -> str:
        return f"RemotePath({self.url!r})"

    @property
    def protocol(self) -> str:
        """The part before `://`, in lower case."""
        return self._head[:-3].lower()

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return self._tail.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """Of the name, with its dot; empty where it has none."""
        return Path(self.name).suffix

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return Path(self.name).stem

    @property
    def parent(self) -> RemotePath:
        """The folder that it is in; the topmost is in itself."""
        folder = self._tail.rpartition("/")[0]
        return RemotePath(self._head + folder) if folder else self

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(f"{self.url}/{name}")

    def with_name(self, name: str) -> RemotePath:
        """Name a neighbour."""
        return self.parent / name

    def exists(self) -> bool:
        """Tell whether a file or folder of this name is there."""
        fs, path = self._filesystem()
        with self._told("look at"):
            return bool(fs.exists(path))

    def is_dir(self) -> bool:
        """Tell whether it is a folder: on an object store, whether a name begins with it and a slash."""
        fs, path = self._filesystem()
        with self._told("look at"):
            return bool(fs.isdir(path))

    def is_file(self) -> bool:
        """Tell whether it is a file."""
        fs, path = self._filesystem()
        with self._told("look at"):
            return bool(fs.isfile(path))

    def iterdir(self) -> Iterator[RemotePath]:
        """List the files and folders in a folder, by name.

        Raises:
            UnreadableFileError: It is not there, or the storage refuses.
        """
        fs, path = self._filesystem()
        with self._told("list"):
            found = {str(entry).rstrip("/") for entry in fs.ls(path, detail=False)}
        # Object stores may list a folder's own marker among its files.
        return iter([self / entry.rpartition("/")[2] for entry in sorted(found - {path.rstrip("/")})])

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        """List the files and folders under a folder that match a pattern such as `*.jpg` or `**/*.jpg`."""
        fs, path = self._filesystem()
        with self._told("list"):
            found = fs.glob(f"{path.rstrip('/')}/{pattern}")
        start = len(path.rstrip("/")) + 1
        return iter([self / str(entry)[start:] for entry in sorted(found)])

    def walk(self) -> Iterator[RemotePath]:
        """List all files in a folder and in those below it; of one that is not there, none."""
        fs, path = self._filesystem()
        with self._told("list"):
            found = fs.find(path)
        start = len(path.rstrip("/")) + 1
        return iter([self / str(entry)[start:] for entry in sorted(found)])

    def size_and_version(self) -> tuple[int, str]:
        """Tell the bytes of a file, and what the storage changes whenever the file is written anew.

        Returns:
            Its size, and a text made of the storage's own tag (ETag, generation) or time.

        Raises:
            UnreadableFileError: It is not there, or the storage refuses.
        """
        fs, path = self._filesystem()
        with self._told("look at"):
            return int(fs.info(path)["size"] or 0), str(fs.checksum(path))

    def total_bytes(self) -> int:
        """Tell the bytes of a file, or of all files in a folder; 0 where there is none.

        Raises:
            UnreadableFileError: The storage refuses.
        """
        fs, path = self._filesystem()
        with self._told("look at"):
            return int(fs.du(path)) if fs.exists(path) else 0

    def read_text(self) -> str:
        """Read a small text file.

        Raises:
            UnreadableFileError: It is not there, is not text, or the storage refuses.
        """
        fs, path = self._filesystem()
        with self._told("read"):
            return bytes(fs.cat_file(path)).decode("utf-8")

    def write_text(self, text: str) -> None:
        """Write a small text file, whole or not at all.

        Raises:
            FileError: The storage refuses.
        """
        with putting(self) as local:
            local.write_text(text, encoding="utf-8")

    @property
    def _head(self) -> str:
        return self.url[: self.url.index("://") + 3]

    @property
    def _tail(self) -> str:
        return self.url[self.url.index("://") + 3 :]

    def _filesystem(self) -> tuple[Any, str]:
        """Give the file system and its own name for the path."""
        import fsspec.core

        try:
            # A cached listing would hide what other machines write meanwhile.
            fs, path = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        except ImportError as error:
            package = _PACKAGES.get(self.protocol)
            cure = f"pip install {package}" if package else str(error)
            raise FileError(f"{self.protocol}:// needs a package that is not installed: {cure}") from None
        except Exception as error:  # backends raise whatever comes to them
            raise FileError(
                f"can't open {self.url}: {_reason(error)}; use s3://, gs:// or another protocol of fsspec"
            ) from error
        return fs, str(path)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turn whatever a backend raises into one sentence."""
        try:
            yield
        except Depth3DError:
            raise
        except FileNotFoundError:
            raise UnreadableFileError(f"can't {what} {self.url}: it is not there; check the URL") from None
        except UnicodeDecodeError:
            raise UnreadableFileError(f"can't {what} {self.url}: it is not text") from None
        except Exception as error:
            raise UnreadableFileError(
                f"can't {what} {self.url}: {_reason(error)}; check the address and the credentials"
            ) from error


@contextmanager
def fetched(remote: RemotePath) -> Iterator[Path]:
    """Bring a file here for as long as a block needs it.

    Args:
        remote: The file.

    Yields:
        A local copy of the same name, in a directory of its own, both removed after the block.

    Raises:
        UnreadableFileError: It is not there or did not arrive whole.
        FileError: The storage can't be reached.
    """
    fs, path = remote._filesystem()
    with tempfile.TemporaryDirectory(prefix="depth3d-") as folder:
        local = Path(folder, remote.name)
        with remote._told("read"):
            size = fs.info(path)
            if size["type"] == "directory":
                raise UnreadableFileError(f"{remote} is a folder; give a file")
            fs.get_file(path, str(local))
        if size["size"] is not None and local.stat().st_size != size["size"]:
            raise UnreadableFileError(
                f"{remote} came with {local.stat().st_size} of its {size['size']} bytes; try again"
            )
        with _said_of(remote.parent, Path(folder)):
            yield local


@contextmanager
def putting(remote: RemotePath, *, overwrite: bool = True) -> Iterator[Path]:
    """Let a block write a file here, then put it on shared storage, whole or not at all.

    Whatever else the block writes beside it is put beside it, first: a preview, a folder of maps. So where
    the file itself is there, so are they.

    Args:
        remote: The file that is to exist in the end.
        overwrite: Whether an existing file may be replaced.

    Yields:
        A local path of the same name, in an empty directory of its own, both removed after the block. Nothing
        is put if the block raises.

    Raises:
        OutputExistsError: The file exists and `overwrite` is False.
        UnsupportedFormatError: The storage can't be written.
        FileError: It can't be written there.
    """
    if not overwrite and remote.exists():
        raise OutputExistsError(f"{remote} already exists; use --overwrite (overwrite=True) or another name")
    with tempfile.TemporaryDirectory(prefix="depth3d-") as folder:
        local = Path(folder, remote.name)
        with _said_of(remote.parent, Path(folder)):
            yield local
        written = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        for path in sorted(written, key=lambda path: path.is_relative_to(local)):
            target = remote.parent
            for part in path.relative_to(folder).parts:
                target /= part
            _put(path, target)


@contextmanager
def _said_of(remote: RemotePath, local: Path) -> Iterator[None]:
    """Let errors of a block name the remote folder in place of the local one, which nobody knows."""
    try:
        yield
    except Depth3DError as error:
        raise type(error)(str(error).replace(str(local), str(remote))) from error


def _put(local: Path, remote: RemotePath) -> None:
    fs, path = remote._filesystem()
    try:
        if remote.protocol in _OBJECT_STORES:
            fs.put_file(str(local), path)
            return
        folder = path.rpartition("/")[0]
        partial = f"{folder}/.{secrets.token_hex(8)}.part"
        fs.makedirs(folder, exist_ok=True)
        try:
            fs.put_file(str(local), partial)
            if remote.protocol not in ("file", "local") and fs.exists(path):
                fs.rm_file(path)  # elsewhere a name that is taken can't be moved to
            fs.mv(partial, path)
        except BaseException:
            with suppress(Exception):
                fs.rm_file(partial)
            raise
    except NotImplementedError:
        raise UnsupportedFormatError(
            f"{remote.protocol}:// can only be read; give another place for the output"
        ) from None
    except Exception as error:  # backends raise whatever comes to them
        raise FileError(
            f"can't write {remote}: {_reason(error)}; check the address and the credentials"
        ) from error


def _reason(error: BaseException) -> str:
    words = getattr(error, "strerror", None) or " ".join(str(error).split())
    return str(words).rstrip(".") or type(error).__name__
