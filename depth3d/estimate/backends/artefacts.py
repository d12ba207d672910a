"""What backends make of a network, kept between runs: graphs, compiled models, engines.

One file an artefact, named by a digest of all that it depends on. It is written under a name of its own and
renamed, so that several processes may make the same one at the same time and nobody reads half of it.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from depth3d.errors import FileError

if TYPE_CHECKING:
    import torch

__all__ = ["GRAPH_VERSION", "INT8_VERSION", "artefact", "cache_folder", "fingerprint"]

GRAPH_VERSION = 1
"""Raised when the graph that is written for a network changes, so that older artefacts are not used."""

INT8_VERSION = 2
"""Raised when what is written in int8 changes, likewise."""

_log = logging.getLogger("depth3d")

_Opened = TypeVar("_Opened")

_KEPT = 12
"""Files of each backend: Small, Base and Large, relative and metric, in two formats. The oldest go."""

_SCRATCH, _ABANDONED_S = ".making.", 24 * 3600
"""How folders are called in which artefacts are made, and after how long nobody works in them any more."""

_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}
"""What errors are of the place, and not of what is made there."""


def cache_folder() -> Path:
    """Tell where artefacts are kept.

    Returns:
        `DEPTH3D_CACHE_DIR`, or else `depth3d` in the user's folder for caches.
    """
    if stated := os.environ.get("DEPTH3D_CACHE_DIR"):
        return Path(stated).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "depth3d"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "depth3d" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "depth3d"


def fingerprint(network: torch.nn.Module) -> str:
    """Digest a network: its architecture and every number of it.

    Args:
        network: On the CPU.

    Returns:
        64 hexadecimal digits; 0.1 s for 25 million weights.
    """
    import torch

    digest = hashlib.sha256(repr(network).encode())
    digest.update(repr(getattr(network, "config", None)).encode())
    digest.update(repr(getattr(getattr(network, "head", None), "max_depth", None)).encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def artefact(
    backend: str,
    suffix: str,
    make: Callable[[Path], None],
    read: Callable[[Path], _Opened],
    **depends_on: Any,
) -> _Opened:
    """Open the file that belongs to a set of circumstances; make it if it is not there, or is damaged.

    Args:
        backend: Name of the folder.
        suffix: Of the file, such as `.onnx`.
        make: Writes the file at the path that it is given.
        read: Opens it.
        depends_on: All that the contents depend on: fingerprint, format of numbers, versions.

    Returns:
        What `read` gives. Where the cache can't be written, or is full, the file is in a temporary folder of
        this process.

    Raises:
        FileError: That can't be written either.
        OSError: `make` raises it for another reason than that there is no room or no permission.
    """
    folder = cache_folder() / backend
    circumstances = "\n".join(f"{key}={value}" for key, value in sorted(depends_on.items()))
    name = hashlib.sha256(circumstances.encode()).hexdigest()[:32] + suffix
    path = folder / name
    if path.is_file():
        try:
            opened = read(path)
        except Exception as error:  # each backend has its own
            _log.info("making %s again: %s", path, (str(error).splitlines() or [""])[0])
        else:
            _touch(path)
            return opened
    try:
        _keep(path, make)
    except OSError as error:
        if folder.is_dir() and error.errno not in _UNWRITABLE:
            raise
        _log.info("can't keep what is compiled in %s (%s); set DEPTH3D_CACHE_DIR", folder, error)
        try:
            path = _folder_of_this_process() / name
            if not path.is_file():
                _keep(path, make)
        except OSError as error:
            raise FileError(
                f"can't write what is compiled, neither in {folder} nor in a temporary folder ({error}); "
                "free space, or use backend='torch'"
            ) from error
    else:
        _forget_oldest(folder, suffix)
    return read(path)


def _keep(path: Path, make: Callable[[Path], None]) -> None:
    """Make a file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=_SCRATCH, ignore_cleanup_errors=True) as scratch:
        made = Path(scratch) / path.name
        make(made)
        made.replace(path)


def _touch(path: Path) -> None:
    try:
        path.touch()
    except OSError:  # another's cache, to be read only
        return


def _forget_oldest(folder: Path, suffix: str) -> None:
    try:
        files = sorted(folder.glob(f"*{suffix}"), key=lambda file: file.stat().st_mtime, reverse=True)
        for old in files[_KEPT:]:
            old.unlink(missing_ok=True)
        for scratch in folder.glob(f"{_SCRATCH}*"):  # a process that was killed has left it
            if time.time() - scratch.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:  # another process is doing the same
        _log.debug("clearing %s: %s", folder, error)


@cache
def _folder_of_this_process() -> Path:
    holder = tempfile.TemporaryDirectory(prefix="depth3d.", ignore_cleanup_errors=True)
    _HOLDERS.append(holder)
    return Path(holder.name)


_HOLDERS: list[tempfile.TemporaryDirectory[str]] = []
"""Keep the folder until the process ends."""
