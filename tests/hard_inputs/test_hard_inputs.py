"""docs/hard-inputs.md, row by row: each command is run as it stands there, and says what stands there."""

from __future__ import annotations

import os
import re
import shlex
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

TABLE = Path(__file__).resolve().parents[2] / "docs" / "hard-inputs.md"
ROW = re.compile(r"\| (?P<input>.*) \| `(?P<command>.*)` \| (?P<code>[012]) \| (?P<says>.*) \|")
FULL_BYTES = 20
"""What fits on the full disk of these tests."""


def rows():
    found, last = [], ""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        match = ROW.fullmatch(line)
        if match:
            last = match["input"].strip() or last
            says = match["says"].replace("\\|", "|")
            found.append((last, match["command"], int(match["code"]), says))
    return found


def words_of(command):
    """Split as a shell does; of bash's $'...' the line break alone."""
    return shlex.split(command.replace("$'two\\n", "'two\n"))


def test_the_table_has_its_rows():
    text = TABLE.read_text(encoding="utf-8").partition("## Where it runs")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    tables = sum(line.startswith("|---") for line in lines)
    assert len(rows()) == len(lines) - 2 * tables > 70


@pytest.mark.filterwarnings("ignore:Open3D was built with CUDA:ImportWarning")
@pytest.mark.parametrize(("input_", "command", "code", "says"), rows(), ids=[row[1][:60] for row in rows()])
def test_what_the_table_promises(tmp_path, monkeypatch, hard_files, input_, command, code, says):
    from depth3d_cli.main import cli

    for name, data in hard_files.items():
        if name in words_of(command):
            (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.png").mkdir()
    if "device.jpg" in command:
        os.mkfifo(tmp_path / "device.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEPTH3D_MODEL", "mini")
    before = contents(tmp_path)
    if input_ == "Full disk":
        fill_the_disk(monkeypatch)
    done = CliRunner().invoke(cli, words_of(command), prog_name="depth3d")
    lines = [line.strip() for line in done.output.splitlines()]
    assert done.exit_code == code, done.output
    said = [re.sub(r"^([Ee]rror|note): ", "", line) for line in lines]
    pattern = ".*".join(re.escape(part) for part in says.split("…"))
    assert any(re.fullmatch(pattern, line) for line in said), done.output
    assert "Traceback" not in done.output
    assert "a bug in depth3d" not in done.output
    assert not (tmp_path / "it_ran").exists()
    if code:
        assert contents(tmp_path) == before
        aside = ("note:", "warning:", "Usage:", "Try ")
        errors = [line for line in lines if line and not line.startswith(aside)]
        assert len(errors) == 1
        assert re.fullmatch(f"[Ee]rror: {pattern}", errors[0])


def contents(folder):
    """Give the bytes of each file, also of those whose names begin with a dot."""
    return {
        path.name: path.read_bytes() if stat.S_ISREG(path.lstat().st_mode) else None
        for path in folder.iterdir()
    }


def fill_the_disk(monkeypatch):
    """Let no file grow beyond a few bytes: what reaches the disk as one of a size is refused."""
    import errno

    real = os.fsync

    def refuse(descriptor):
        if os.fstat(descriptor).st_size > FULL_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
