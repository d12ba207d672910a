"""Arrays of `.npy` files and of those inside `.npz`: what they claim is checked before memory is spent on it.

Source: NumPy Enhancement Proposal 1, "A Simple File Format for NumPy Arrays".
"""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from depth3d.errors import UnreadableFileError
from depth3d.io.pictures import MAX_PIXELS

__all__ = ["NpyHeader", "read_header", "read_member", "read_numbers", "texts_of"]

_DEFLATE_BEST_RATIO = 1032
"""One byte of deflate can stand for at most this many (zlib.net, "Maximum Compression Factor")."""

_SMALL = 1 << 16
_npy: Any = np.lib.format  # without annotations of its own


@dataclass(frozen=True, slots=True)
class NpyHeader:
    """What an array says about itself.

    Attributes:
        shape: Its sides.
        dtype: Of its entries.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Bytes that its entries take."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: BinaryIO | Any, name: str) -> NpyHeader:
    """Read the header of an array; the file is then where its numbers begin.

    Args:
        file: At its start.
        name: What to call it in messages.

    Raises:
        UnreadableFileError: It is no array, holds Python objects, which loading would run, or has more
            entries than the pixels of the largest picture that is read.
    """
    try:
        version = _npy.read_magic(file)
        read = _npy.read_array_header_1_0 if version == (1, 0) else _npy.read_array_header_2_0
        shape, _, dtype = read(file)
    except Exception as error:  # NumPy lets out what Python's own parser and zipfile raise
        raise UnreadableFileError(f"{name} is damaged or cut short; copy it again") from error
    if dtype.hasobject:
        raise UnreadableFileError(
            f"{name} holds Python objects, which could run code when loaded; save plain numbers with numpy"
        )
    if math.prod(shape) > MAX_PIXELS or dtype.itemsize > _SMALL:
        raise UnreadableFileError(
            f"{name} says it holds {'x'.join(map(str, shape))} values, more than the {MAX_PIXELS // 10**6} "
            "million that are read; scale it down first"
        )
    return NpyHeader(tuple(shape), dtype)


def read_numbers(file: BinaryIO, name: str) -> npt.NDArray[Any]:
    """Read a `.npy` file.

    Args:
        file: Open at its start; it can be wound back.
        name: What to call it in messages.

    Raises:
        UnreadableFileError: As `read_header`, or numbers are missing.
    """
    header = read_header(file, name)
    start = file.tell()
    left = file.seek(0, 2) - start
    if left < header.nbytes:
        raise UnreadableFileError(
            f"{name} is cut short: its header promises {header.nbytes:,} bytes and {left:,} "
            "follow; copy it again"
        )
    file.seek(0)
    return _read(file, name)


def read_member(archive: zipfile.ZipFile, member: str, name: str) -> npt.NDArray[Any]:
    """Read one array of an `.npz` archive.

    Args:
        archive: Open.
        member: Name of the entry, such as `depth.npy`.
        name: What to call the file in messages.

    Raises:
        UnreadableFileError: As `read_header`, numbers are missing, or the entry is larger than its
            compressed bytes can be.
    """
    try:
        entry = archive.getinfo(member)
        with archive.open(entry) as file:
            header = read_header(file, name)
        if not header.nbytes <= entry.file_size <= _DEFLATE_BEST_RATIO * entry.compress_size + _SMALL:
            raise UnreadableFileError(f"{name} is damaged: its sizes contradict each other; copy it again")
        with archive.open(entry) as file:
            return _read(file, name)
    except UnreadableFileError:
        raise
    except Exception as error:  # as above
        raise UnreadableFileError(f"{name} is damaged or cut short; copy it again") from error


def texts_of(array: npt.NDArray[Any], name: str) -> list[str]:
    """Give the strings of an array.

    Args:
        array: Of any shape; numbers are spelt.
        name: What to call the file in messages.

    Raises:
        UnreadableFileError: Damaged: code points that no text has.
    """
    try:
        return [str(text) for text in np.ravel(array)]
    except Exception as error:  # SystemError, of all things
        raise UnreadableFileError(f"{name} is damaged or cut short; copy it again") from error


def _read(file: BinaryIO | Any, name: str) -> npt.NDArray[Any]:
    try:
        array: npt.NDArray[Any] = _npy.read_array(file, allow_pickle=False)
    except Exception as error:  # NumPy, zipfile and zlib each raise their own
        raise UnreadableFileError(f"{name} is damaged or cut short; copy it again") from error
    return array
