"""Progress bars: on a terminal only, and never with `-q`."""

import io
import sys

import pytest
from depth3d_cli.console import progress, set_verbosity


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
