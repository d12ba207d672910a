"""Progress bars: on a terminal only, and never with `-q`."""

import io
import sys

import pytest
from depth3d_cli.console import note, progress, say, set_verbosity

ERASE_LINE = "\r\x1b[2K"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def drawn(monkeypatch, stderr, total, **options):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "stderr", stderr)
    with progress("Fetching", total, **options) as advance:
        advance(1_000_000)
    return stderr.getvalue()


@pytest.fixture(autouse=True)
def _loud():
    set_verbosity(0)
    yield
    set_verbosity(0)


@pytest.mark.parametrize(
    ("total", "options", "shown"),
    [
        (2_000_000, {"in_bytes": True}, "1.0/2.0 MB"),
        (0, {"in_bytes": True}, "1.0/? MB"),  # a network whose size nobody knows
        (2_000_000, {}, "1000000/2000000"),
    ],
)
def test_a_terminal_gets_a_bar(monkeypatch, total, options, shown):
    assert shown in drawn(monkeypatch, Terminal(), total, **options)


def test_nothing_else_does(monkeypatch):
    assert drawn(monkeypatch, io.StringIO(), 2_000_000) == ""
    set_verbosity(-1)
    assert drawn(monkeypatch, Terminal(), 2_000_000) == ""


def test_lines_are_printed_above_the_bar(monkeypatch):
    terminal, results = Terminal(), io.StringIO()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", terminal)
    with progress("Fetching", 2):
        say("a [red]line[/red] :smile:")
        note("two\nlines")
        monkeypatch.setattr(sys, "stdout", results)
        say("to a file")
    shown = terminal.getvalue()
    assert f"{ERASE_LINE}a [red]line[/red] :smile:\n" in shown
    assert f"{ERASE_LINE}note: two\\nlines\n" in shown
    assert results.getvalue() == "to a file\n"
    say("later")
    assert results.getvalue() == "to a file\nlater\n"
