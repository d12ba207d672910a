"""What people see: logs and progress on stderr, results on stdout, one line for an error."""

from __future__ import annotations

import json
import logging
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress

__all__ = [
    "Said",
    "listening",
    "note",
    "one_line",
    "opening",
    "print_json",
    "print_rows",
    "progress",
    "report",
    "say",
    "set_verbosity",
    "verbosity",
    "warn",
]

_STATE = {"verbosity": 0}


@dataclass
class Said:
    """What a command said while `listening`: its notes, its result, and whether it came to open its photo."""

    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    summary: str = ""
    opened: bool = False


_LISTENER: ContextVar[Said | None] = ContextVar("depth3d_listener", default=None)


@contextmanager
def listening() -> Iterator[Said]:
    """Collect what a command says in this thread, instead of printing it; it shows no progress either."""
    said = Said()
    token = _LISTENER.set(said)
    try:
        yield said
    finally:
        _LISTENER.reset(token)


def opening() -> None:
    """Tell that options are checked and the photo is opened: what goes wrong from now on is the photo's."""
    listener = _LISTENER.get()
    if listener is not None:
        listener.opened = True


def report(facts: dict[str, Any], summary: str, *, as_json: bool, as_list: bool = False) -> None:
    """Give the result of a command: as JSON, or as one line for people.

    Args:
        facts: What `--json` prints.
        summary: What is printed otherwise.
        as_json: Whether `--json` is given.
        as_list: Whether `--json` prints a list of one.
    """
    listener = _LISTENER.get()
    if listener is not None:
        listener.facts, listener.summary = _plain(facts), summary
    elif as_json:
        print_json([facts] if as_list else facts)
    else:
        say(summary)


def say(line: str, *, err: bool = False) -> None:
    """Print a line: a result on stdout, or a message on stderr; above the progress bar where there is one.

    Args:
        line: What `one_line` makes of it is printed.
        err: Whether it is a message.
    """
    if _BARS and (err or sys.stdout.isatty()):
        _BARS[-1].console.print(one_line(line), markup=False, emoji=False, highlight=False, soft_wrap=True)
    else:
        click.echo(one_line(line), err=err)


_BARS: list[Progress] = []
"""Those that are shown."""


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


def one_line(text: str) -> str:
    r"""Show what would break the line, or command the terminal, as an escape such as \n or \x1b.

    Names of files may hold any of that, and messages hold names of files.
    """
    return "".join(
        c.encode("unicode_escape").decode("ascii") if unicodedata.category(c) in _UNSHOWN else c for c in text
    )


_UNSHOWN = ("Cc", "Cs", "Zl", "Zp")
"""Control characters, halves of characters, and what separates lines and paragraphs."""


class _ClickHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(f"{record.levelname.lower()}: {record.getMessage()}", err=True)


def note(message: str) -> None:
    """Say on stderr what was assumed or done, unless `-q` asked for silence."""
    listener = _LISTENER.get()
    if listener is not None:
        listener.notes.append(message)
    elif verbosity() >= 0:
        say(f"note: {message}", err=True)


def warn(message: str) -> None:
    """Say on stderr that something failed; never silenced."""
    say(f"error: {message}", err=True)


def print_json(value: Any) -> None:
    """Print a result as JSON on stdout; NaN and infinity become null, as JSON knows neither."""
    click.echo(json.dumps(_plain(value), indent=2, allow_nan=False))


def print_rows(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows on stdout with their columns aligned."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    for row in rows:
        click.echo("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())


@contextmanager
def progress(
    label: str, total: float, *, in_bytes: bool = False, rate: str = ""
) -> Iterator[Callable[[float], None]]:
    """Show a progress bar on stderr if that is a terminal.

    Args:
        label: What is being done.
        total: The amount that is the whole; 0 where nobody knows.
        in_bytes: Whether amounts are bytes.
        rate: Unit of the rate to show, such as `photos/s`.

    Yields:
        A function to call with each further amount that is done.
    """
    if verbosity() < 0 or _LISTENER.get() is not None or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class RateColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:.3g} {rate}")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn() if in_bytes else MofNCompleteColumn(),
        *((RateColumn(),) if rate else ()),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(label, total=total or None)
        _BARS.append(bar)
        try:
            yield lambda amount: bar.advance(task, amount)
        finally:
            _BARS.remove(bar)


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
