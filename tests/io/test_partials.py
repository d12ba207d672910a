"""What `kill -9` leaves is found and removed; what somebody still writes never is."""

import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from depth3d.errors import FileError
from depth3d.io.atomic import remove_stale_partials, stale_partials, writing
from depth3d.io.partials import partial_name

DAY_S = 86400

WRITER = """
import sys
from depth3d.io.atomic import writing
with writing(sys.argv[1]) as partial:
    partial.write_text("ha")
    print(partial, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def writer(tmp_path):
    """A process that is busy writing, and the partial file that it has."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "out.txt")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process, Path(process.stdout.readline().strip())
    process.kill()
    process.communicate()


def with_field(path, **fields):
    """The same name but for the place, the process number or when it started."""
    parts = re.fullmatch(r"(\..*\.)([0-9a-f]+)-(\d+)-([0-9a-f]+)-(.*)", path.name, re.DOTALL).groups()
    told = dict(zip(("head", "place", "pid", "start", "tail"), parts, strict=True)) | fields
    return path.with_name("{head}{place}-{pid}-{start}-{tail}".format(**told))


def test_a_killed_writer_leaves_what_is_found_and_removed(writer, tmp_path):
    process, partial = writer
    assert partial.read_text() == "ha"
    assert stale_partials(tmp_path) == []  # it lives
    process.send_signal(signal.SIGKILL)
    for _ in range(100):  # dead, though nobody has asked how it ended
        if stale_partials(tmp_path):
            break
        time.sleep(0.05)
    assert stale_partials(tmp_path) == [partial]
    process.wait()
    assert stale_partials(str(tmp_path)) == [partial]
    assert remove_stale_partials(tmp_path) == [partial]
    assert list(tmp_path.iterdir()) == []
    assert remove_stale_partials(tmp_path) == []


def test_what_this_process_writes_is_never_stale(tmp_path):
    with writing(tmp_path / "out.txt") as partial:
        partial.write_text("new")
        os.utime(partial, (0, 0))
        assert remove_stale_partials(tmp_path) == []
    assert (tmp_path / "out.txt").read_text() == "new"


def test_a_number_that_another_process_got_is_not_the_writer(tmp_path):
    ours = partial_name(tmp_path / "out.txt")
    reused = with_field(ours, start="1")
    for path in (ours, reused):
        path.write_text("ha")
    assert stale_partials(tmp_path) == [reused]


@pytest.mark.parametrize("pid", ["99999999", "9" * 30])
def test_a_number_that_no_process_has(pid, tmp_path):
    path = with_field(partial_name(tmp_path / "out.txt"), pid=pid)
    path.write_text("ha")
    assert stale_partials(tmp_path) == [path]


def test_another_hosts_file_is_stale_after_a_day(tmp_path):
    path = with_field(partial_name(tmp_path / "out.txt"), place="00000000", pid="99999999")
    path.write_text("ha")
    for age_s, is_stale in ((0, False), (DAY_S - 60, False), (DAY_S + 60, True), (-DAY_S, False)):
        os.utime(path, (time.time() - age_s,) * 2)
        assert stale_partials(tmp_path) == [path] * is_stale


def test_nothing_else_is_touched(tmp_path):
    dead = with_field(partial_name(tmp_path / "out.txt"), pid="99999999")
    for name in (
        "out.txt",
        dead.name[1:],  # no dot in front
        f"{dead.name}~" if not dead.suffix else dead.name.replace(".part", ".bit"),
        ".hidden.part.txt",
        ".out.12345678-1-1.part.txt",
        "." + "a" * 21 + dead.name.removeprefix(".out"),
    ):
        (tmp_path / name).write_text("mine")
    (tmp_path / dead.name).mkdir()
    before = sorted(tmp_path.iterdir())
    assert remove_stale_partials(tmp_path) == []
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["film.mp4", "no suffix", "漢" * 60 + ".png", "a\nb 'c' \".tar.gz", ".rc"])
def test_every_name_is_known_again(name, tmp_path):
    path = with_field(partial_name(tmp_path / name), pid="99999999")
    assert path.suffix == ((tmp_path / name).suffix or ".part")
    path.write_text("ha")
    assert stale_partials(tmp_path) == [path]


def test_folders_below_when_asked_for(tmp_path):
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    path = with_field(partial_name(inside / "out.txt"), pid="99999999")
    path.write_text("ha")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert stale_partials(tmp_path) == []
    assert stale_partials(tmp_path, below=True) == [path]
    assert remove_stale_partials(tmp_path, below=True) == [path]
    assert stale_partials(tmp_path / "gone", below=True) == []


def test_an_unwilling_file_stays_without_a_word(tmp_path, monkeypatch):
    path = with_field(partial_name(tmp_path / "out.txt"), pid="99999999")
    path.write_text("ha")

    def refuse(*_, **__):
        raise PermissionError("no")

    monkeypatch.setattr(Path, "unlink", refuse)
    assert remove_stale_partials(tmp_path) == []


def test_what_was_written_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    events = []
    monkeypatch.setattr("os.fsync", lambda descriptor: events.append(os.fstat(descriptor).st_size))
    with writing(tmp_path / "out.txt") as partial:
        partial.write_text("four")
    assert events == [4]


def test_file_systems_that_cannot_flush_are_no_error(tmp_path, monkeypatch):
    def refuse(_):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("os.fsync", refuse)
    with writing(tmp_path / "out.txt") as partial:
        partial.write_text("new")
    assert (tmp_path / "out.txt").read_text() == "new"


def test_a_disk_that_turns_out_full_when_flushed_is_one_sentence(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with (
        pytest.raises(FileError, match="No space left on device; free space"),
        writing(tmp_path / "a.txt") as partial,
    ):
        partial.write_text("new")
    assert list(tmp_path.iterdir()) == []
