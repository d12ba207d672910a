"""What people see: logs and progress on stderr, results on stdout, one line for an error."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["note", "print_json", "print_rows", "progress", "set_verbosity", "verbosity", "warn"]

_STATE = {"verbosity": 0}


def set_verbosity(level: int) -> None:
    """Send depth3d's log to stderr: -1 errors only, 0 warnings, 1 information, 2 everything.

    Args:
        level: The number of `-v`, less the number of `-q`.
    """
    _STATE["verbosity"] = level
    log = logging.getLogger("depth3d")
    log.handlers[:] = [_ClickHandler()]
    log.propagate = False
    log.setLevel(
        logging.ERROR if level < 0 else (logging.WARNING, logging.INFO, logging.DEBUG)[min(level, 2)]
    )


def verbosity() -> int:
    """Tell the level that `set_verbosity` set."""
    return _STATE["verbosity"]


class _ClickHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        click.echo(f"{record.levelname.lower()}: {record.getMessage()}", err=True)


def note(message: str) -> None:
    """Say on stderr what was assumed or done, unless `-q` asked for silence."""
    if verbosity() >= 0:
        click.echo(f"note: {message}", err=True)


def warn(message: str) -> None:
    """Say on stderr that something failed; never silenced."""
    click.echo(f"error: {message}", err=True)


def print_json(value: Any) -> None:
    """Print a result as JSON on stdout; NaN and infinity become null, as JSON knows neither."""
    click.echo(json.dumps(_plain(value), indent=2, allow_nan=False))


def print_rows(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows on stdout with their columns aligned."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    for row in rows:
        click.echo("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())


@contextmanager
def progress(label: str, total: float, *, in_bytes: bool = False) -> Iterator[Callable[[float], None]]:
    """Show a progress bar on stderr if that is a terminal.

    Args:
        label: What is being done.
        total: The amount that is the whole; 0 where nobody knows.
        in_bytes: Whether amounts are bytes.

    Yields:
        A function to call with each further amount that is done.
    """
    if verbosity() < 0 or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn() if in_bytes else MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total or None)
        yield lambda amount: bar.advance(task, amount)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if value - value == 0 else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)
