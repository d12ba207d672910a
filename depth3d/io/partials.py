"""Partial files: what they are called, whose they are, and which of them nobody writes any more."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import socket
import time
import uuid
from pathlib import Path

__all__ = ["partial_name", "remove_stale_partials", "stale_partials"]

_NAME = re.compile(
    r"\..{0,20}\.(?P<place>[0-9a-f]{8})-(?P<pid>\d+)-(?P<start>[0-9a-f]+)-[0-9a-f]{8}\.part(\..*)?", re.DOTALL
)
_PATIENCE_S = 86400.0
"""How long a file must lie untouched before it is stale although its writer can't be asked after."""


def partial_name(path: Path) -> Path:
    """Make a name beside `path` to write to, which tells who writes it.

    It begins with a dot, so that no folder listing takes it for a result, and ends as `path` does:
    `.desk.3f5c21aa-4711-33c7db-9b1c04de.part.mp4` holds the start of the name, a hash of the place (the
    host, its boot and its space of process numbers), the process number, when that process started, and
    eight random digits.
    """
    pid = os.getpid()
    token = f"{_place()}-{pid}-{_start(pid) or '0'}-{secrets.token_hex(4)}"
    return path.with_name(f".{path.stem[:20]}.{token}.part{path.suffix}")


def stale_partials(folder: str | Path, *, below: bool = False) -> list[Path]:
    """Find the partial files in a folder whose writer is dead, as `kill -9` or a power cut leaves them.

    A writer at this place is asked after: its process is gone, or is another one that got its number. One
    elsewhere (another host on shared storage, another container, before a reboot) can't be: its file is
    stale when it was not touched for a day.

    Args:
        folder: Where to look; one that is not there holds nothing.
        below: Whether folders in it are looked into too; links to folders are not followed.

    Returns:
        The files, sorted by name. Those that this process writes are never among them.
    """
    found = []
    for inside, folders, names in os.walk(folder):
        found += [Path(inside, name) for name in names if _is_stale(inside, name)]
        if not below:
            folders.clear()
    return sorted(found)


def remove_stale_partials(folder: str | Path, *, below: bool = False) -> list[Path]:
    """Remove what `stale_partials` finds.

    Args:
        folder: As for `stale_partials`, and so is the other.
        below: As for `stale_partials`.

    Returns:
        The files that are gone; what may not be removed stays, and nothing is said of it.
    """
    gone = []
    for path in stale_partials(folder, below=below):
        try:
            path.unlink(missing_ok=True)
        except OSError:  # another user's, or a folder that became read-only
            continue
        gone.append(path)
    return gone


def _is_stale(folder: str, name: str) -> bool:
    match = _NAME.fullmatch(name)
    if match is None:
        return False
    is_running = _is_running(int(match["pid"]), match["start"]) if match["place"] == _place() else None
    if is_running is not None:
        return not is_running
    try:
        return time.time() - Path(folder, name).stat().st_mtime > _PATIENCE_S
    except OSError:  # it got its name in the meantime
        return False


def _is_running(pid: int, start: str) -> bool | None:
    """Tell whether the process that started then is there; None where it can't be told."""
    if os.name != "posix":  # elsewhere `os.kill` ends the process
        return True if pid == os.getpid() else None
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is there, and another user's
        pass
    now = _start(pid)
    return now is None or now == start


def _start(pid: int) -> str | None:
    """Tell when a process started, in ticks since the boot (hexadecimal), "dead" for one that ended already.

    Source: proc_pid_stat(5), the fields `state` (3) and `starttime` (22); the name before them may hold
    spaces and brackets. None where there is no such file.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return "dead" if fields[0] in "ZX" else f"{int(fields[19]):x}"
    except (OSError, ValueError, IndexError):
        return None


def _place() -> str:
    """Hash what process numbers are unique in."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # no Linux
        boot, space = str(uuid.getnode()), ""
    return hashlib.sha256(f"{socket.gethostname()}|{boot}|{space}".encode()).hexdigest()[:8]
