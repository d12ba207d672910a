"""Lines on shared storage: several writers lose none, one that is killed loses two seconds at most."""

import fsspec
import pytest

from depth3d.io import shared_lines
from depth3d.io.remote import RemotePath
from depth3d.io.shared_lines import SharedLines


@pytest.fixture
def folder():
    fsspec.filesystem("memory").store.clear()
    return RemotePath("memory://bucket/lines")


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until told."""
    now = [0.0]
    monkeypatch.setattr(shared_lines.time, "monotonic", lambda: now[0])
    return now


def test_there_are_no_lines_where_there_is_no_folder(folder):
    assert list(SharedLines(folder).read()) == []


def test_lines_are_put_every_two_seconds_and_at_the_end(folder, clock):
    lines = SharedLines(folder)
    for number in range(5):
        lines.append(f"line {number}")
        clock[0] += 0.75
    assert list(SharedLines(folder).read()) == ["line 0", "line 1", "line 2", "line 3"]
    lines.flush()
    assert list(SharedLines(folder).read()) == [f"line {number}" for number in range(5)]


def test_writers_at_the_same_time_lose_nothing(folder, clock):
    writers = [SharedLines(folder) for _ in range(3)]
    for number in range(4):
        for name, writer in enumerate(writers):
            writer.append(f"{name} {number}")
    for writer in reversed(writers):
        writer.flush()
    assert list(SharedLines(folder).read()) == [
        f"{name} {number}" for name in range(3) for number in range(4)
    ]


def test_long_ones_go_on_in_another_segment(folder, clock, monkeypatch):
    monkeypatch.setattr(shared_lines, "_SEGMENT_LINES", 10)
    lines = SharedLines(folder)
    wanted = [f"line {number}" for number in range(35)]
    for line in wanted:
        lines.append(line)
    lines.flush()
    assert [len(segment.read_text().splitlines()) for segment in folder.walk()] == [10, 10, 10, 5]
    assert list(SharedLines(folder).read()) == wanted
