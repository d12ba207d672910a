"""What backends compile is kept: once, whole, for the network that it was made of."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from depth3d.errors import FileError
from depth3d.estimate.backends import artefacts
from depth3d.estimate.backends.artefacts import artefact, cache_folder, fingerprint


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEPTH3D_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


class _Maker:
    """Writes a text and counts how often."""

    def __init__(self, text: str = "made") -> None:
        self.text, self.count = text, 0

    def __call__(self, path: Path) -> None:
        self.count += 1
        path.write_text(self.text)


def test_it_is_made_once_for_the_same_circumstances(cache: Path) -> None:
    make = _Maker()
    for _ in range(2):
        assert artefact("onnx", ".onnx", make, Path.read_text, network="a", version=1) == "made"
    assert make.count == 1
    artefact("onnx", ".onnx", make, Path.read_text, network="a", version=2)
    artefact("onnx", ".onnx", make, Path.read_text, network="b", version=1)
    assert make.count == 3
    assert len(list((cache / "onnx").iterdir())) == 3  # and nothing else is left there


def test_what_is_damaged_is_made_again(cache: Path) -> None:
    make = _Maker()

    def read(path: Path) -> str:
        if path.read_text() != "made":
            raise RuntimeError("damaged")
        return path.read_text()

    artefact("onnx", ".onnx", make, read, network="a")
    next((cache / "onnx").iterdir()).write_text("")
    assert artefact("onnx", ".onnx", make, read, network="a") == "made"
    assert make.count == 2


def test_what_fails_leaves_nothing(cache: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        artefact("onnx", ".onnx", fail, Path.read_text, network="a")
    assert list((cache / "onnx").iterdir()) == []


def test_many_at_the_same_time_give_each_a_whole_file(cache: Path) -> None:
    def make(path: Path) -> None:
        with path.open("w") as file:
            for _ in range(20):
                file.write("x" * 1000)
                file.flush()
                time.sleep(0.001)

    def once(_: int) -> int:
        return len(artefact("onnx", ".onnx", make, Path.read_text, network="a"))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(once, range(8))) == {20_000}
    assert len(list((cache / "onnx").iterdir())) == 1


def test_where_the_cache_can_not_be_written_it_works_all_the_same(cache: Path) -> None:
    cache.write_text("a file in the place of the folder")
    make = _Maker()
    for _ in range(2):
        assert artefact("onnx", ".onnx", make, Path.read_text, network="unwritable") == "made"
    assert make.count == 1


def test_where_the_cache_is_full_it_works_all_the_same(cache: Path) -> None:
    make = _Maker()

    def full(path: Path) -> None:
        make(path)
        if everywhere or path.is_relative_to(cache):
            raise OSError(errno.ENOSPC, "No space left on device")

    everywhere = False
    assert artefact("onnx", ".onnx", full, Path.read_text, network="full") == "made"
    assert (make.count, list((cache / "onnx").iterdir())) == (2, [])
    everywhere = True
    for _ in range(2):  # what is half written is not taken for whole the second time
        with pytest.raises(
            FileError, match=r"neither in .* nor in .* \(.*No space left.*; free space, or use"
        ):
            artefact("onnx", ".onnx", full, Path.read_text, network="fuller")


def test_other_errors_of_what_makes_it_are_its_own() -> None:
    tried: list[Path] = []

    def fail(path: Path) -> None:
        tried.append(path)
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "library.so")

    with pytest.raises(FileNotFoundError, match=r"library\.so"):
        artefact("onnx", ".onnx", fail, Path.read_text, network="lacking")
    assert len(tried) == 1  # and nobody takes it for a full disk


def test_where_there_is_no_temporary_folder_either_it_says_so(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write_text("a file in the place of the folder")
    monkeypatch.setattr(tempfile, "tempdir", str(cache))
    artefacts._folder_of_this_process.cache_clear()
    make = _Maker()
    with pytest.raises(FileError, match=r"nor in a temporary folder \(.*\); free space, or use"):
        artefact("onnx", ".onnx", make, Path.read_text, network="nowhere")
    assert make.count == 0


def test_the_oldest_are_forgotten(cache: Path) -> None:
    for number in range(15):
        artefact("onnx", ".onnx", _Maker(str(number)), Path.read_text, network=number)
        newest = max((cache / "onnx").iterdir(), key=lambda file: file.stat().st_mtime_ns)
        os.utime(newest, (number, number))
    kept = {path.read_text() for path in (cache / "onnx").iterdir()}
    assert kept == {str(number) for number in range(3, 15)}


def test_what_killed_processes_have_left_is_cleared_away(cache: Path) -> None:
    artefact("onnx", ".onnx", _Maker(), Path.read_text, network="a")
    now = time.time()
    for name, age_s in ((".making.now", 60), (".making.killed", 2 * 24 * 3600)):
        (cache / "onnx" / name).mkdir()
        (cache / "onnx" / name / "half.onnx").write_text("ha")
        os.utime(cache / "onnx" / name, (now - age_s, now - age_s))
    artefact("onnx", ".onnx", _Maker(), Path.read_text, network="b")
    assert [path.name for path in (cache / "onnx").iterdir() if path.is_dir()] == [".making.now"]


@pytest.mark.parametrize(
    ("platform", "variable", "value", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "/x", "/x/depth3d"),
        ("linux", None, None, "/home/me/.cache/depth3d"),
        ("darwin", None, None, "/home/me/Library/Caches/depth3d"),
        ("win32", "LOCALAPPDATA", "/l", "/l/depth3d/cache"),
        ("linux", "DEPTH3D_CACHE_DIR", "/mine", "/mine"),
    ],
)
def test_where_it_is(
    monkeypatch: pytest.MonkeyPatch, platform: str, variable: Any, value: Any, expected: str
) -> None:
    for name in ("DEPTH3D_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/me"))
    if variable:
        monkeypatch.setenv(variable, value)
    assert cache_folder() == Path(expected)


def test_a_fingerprint_tells_networks_apart() -> None:
    def network(scale: float = 1.0, width: int = 4) -> torch.nn.Module:
        torch.manual_seed(0)
        made = torch.nn.Sequential(torch.nn.Linear(3, width), torch.nn.ReLU())
        with torch.no_grad():
            made[0].bias[-1] *= scale
        return made

    same = fingerprint(network())
    assert same == fingerprint(network())
    others = {fingerprint(network(1 + 1e-6)), fingerprint(network(width=5)), fingerprint(network().half())}
    assert len(others | {same}) == 4
