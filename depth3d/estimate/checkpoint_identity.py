"""Which checkpoint it is, by what a file system tells without reading it (as `make` and `git` do)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["checkpoint_identity"]

_PARTS = ("config.json", "preprocessor_config.json", "model.safetensors")
"""What a network in a directory is made of."""


def checkpoint_identity(checkpoint: Path) -> list[list[Any]] | None:
    """Tell a checkpoint from any other, and from itself once it has changed, without reading it.

    Args:
        checkpoint: The directory or file of the weights.

    Returns:
        The path, size, times and number of each file; None where they are not all there.
    """
    facts: list[list[Any]] = []
    try:
        files = [checkpoint] if checkpoint.is_file() else [checkpoint / part for part in _PARTS]
        for file in files:
            if file.exists() or file.name != "preprocessor_config.json":
                real = file.resolve()
                state = real.stat()
                facts.append([str(real), state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino])
    except (OSError, RuntimeError):
        return None
    return facts
