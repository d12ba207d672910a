"""Lines of text on shared storage, where nothing can be appended: written in segments, by many at once."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator

from depth3d.io.remote import RemotePath

__all__ = ["SharedLines"]

_EVERY_S = 2.0
_SEGMENT_LINES = 500


class SharedLines:
    """A text file that grows, kept as a folder of segments.

    Each writer has segments of its own, so that writers on several machines never meet; their lines are read
    in the order in which the segments were begun. A segment is put again when lines were added to it, every
    two seconds at most, so what `kill -9` can take are the lines of two seconds.

    Args:
        folder: Where the segments are; it need not be there.
    """

    def __init__(self, folder: RemotePath) -> None:
        self.folder = folder
        self._lines: list[str] = []
        self._segment = self._new_segment()
        self._waits = False
        self._last_s = -float("inf")

    def read(self) -> Iterator[str]:
        """Read the lines of all segments that are there.

        Raises:
            FileError: The storage refuses.
        """
        for segment in self.folder.walk():
            if segment.suffix == ".jsonl":
                yield from segment.read_text().splitlines()

    def append(self, line: str) -> None:
        """Add a line; it is put with the next ones, or by `flush`.

        Raises:
            FileError: The storage refuses.
        """
        if len(self._lines) >= _SEGMENT_LINES:
            self.flush()
            self._lines, self._segment = [], self._new_segment()
        self._lines.append(line)
        self._waits = True
        if time.monotonic() - self._last_s >= _EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Put what waits.

        Raises:
            FileError: The storage refuses.
        """
        if self._waits:
            self._segment.write_text("".join(f"{line}\n" for line in self._lines))
            self._waits = False
            self._last_s = time.monotonic()

    def _new_segment(self) -> RemotePath:
        return self.folder / f"{time.time_ns():020d}-{secrets.token_hex(4)}.jsonl"
