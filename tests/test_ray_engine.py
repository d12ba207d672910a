"""Ray does what threads do: the same bytes, one network a process, and one bad photo fails alone.

Ray starts once for the whole file; a start takes seconds.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from depth3d_cli.main import cli
from PIL import Image

from depth3d.errors import InputError, UnreadableFileError
from depth3d.io.manifest import Manifest
from depth3d.many_files import EndOfRunError, Made, Task, run_many
from depth3d.ray_engine import RayEngine

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'depth3d[ray]'")


@pytest.fixture(scope="module", autouse=True)
def here(tmp_path_factory):
    """A folder to work in, and a Ray of two cores in it that all tests share."""
    from depth3d.ray_engine import having_ray

    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("ray"))
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # processes can't import tests
    try:
        with having_ray("local", 2):
            yield Path.cwd()
    finally:
        ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
        os.chdir(before)


def work_in_a_process(task):
    """Tell where it was done, unless the photo's name is an order; two photos need the network."""
    from depth3d import verbs

    order = task.input.stem
    if order == "die":
        os._exit(9)
    if order == "bug":
        raise ZeroDivisionError("by zero")
    if order == "damaged":
        raise UnreadableFileError(f"{task.input} is damaged")
    network = id(verbs.loaded_estimator(task.call, device="cpu")) if order in ("c", "d") else None
    return Made({"process": os.getpid(), "folder": str(Path.cwd()), "network": network}, order)


def test_failures_are_results_and_a_photo_that_kills_its_process_fails_alone(here, tiny_folder, capfd):
    names = ["a", "damaged", "b", "die", "c", "bug", "d", "e"]
    tasks = [Task(Path(f"{name}.jpg"), (Path(f"{name}.txt"),), tiny_folder) for name in names]
    done = list(run_many(tasks, work_in_a_process, engine=RayEngine(workers=2)))
    results = {result.task.input.stem: result for result in done}
    assert {id(result.task) for result in done} == {id(task) for task in tasks}
    assert len(done) == len(results) == len(names)
    assert results["die"].reason.startswith("its process died, perhaps for want of memory; try it alone")
    assert results["damaged"].reason == "damaged.jpg is damaged"
    assert isinstance(results["damaged"].error, UnreadableFileError)
    assert results["bug"].reason.startswith("a bug in depth3d (ZeroDivisionError: by zero)")
    for name in "abcde":
        assert results[name].error is None, name
        made = results[name].made
        assert made.summary == name
        assert made.facts["folder"] == str(here)
        assert made.facts["process"] != os.getpid()
    assert results["c"].made.facts == results["d"].made.facts  # of one chunk: one process, one network
    assert capfd.readouterr() == ("", "")


@pytest.fixture(scope="module")
def photos(here):
    """Nine photos and a damaged one."""
    folder = here / "photos"
    folder.mkdir()
    for number in range(9):
        pixels = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(pixels).resize((80, 60)).save(folder / f"{number}.png")
    (folder / "bad.png").write_bytes(b"")
    return folder


def run(*words):
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="depth3d")


def files_in(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix == ".npz"}


def test_a_folder_gives_the_same_bytes_and_goes_on(here, photos, tiny_folder):
    words = ("estimate", "photos", "--model", tiny_folder, "--device", "cpu", "--input-size", 70)
    plain = run(*words, "-o", "plain")
    assert "1 of 10 photos failed" in plain.stderr
    wanted = files_in(here / "plain")
    assert len(wanted) == 9

    target, url = here / "made", (here / "made").as_uri()
    words = ("estimate", (here / "photos").as_uri(), *words[2:], "-o", url, "--engine", "ray")
    made = run(*words, "--jobs", 2)
    assert made.exit_code == 1
    assert made.stderr == plain.stderr.replace("photos/bad", f"{here.as_uri()}/photos/bad")
    assert sorted(made.stdout.splitlines()) == sorted(plain.stdout.replace("plain", url).splitlines())
    assert files_in(target) == wanted

    before = {path: path.stat().st_mtime_ns for path in target.glob("*.npz")}
    gone = target / "4_depth.npz"
    gone.unlink()
    again = run(*words, "--jobs", 1, "--resume")
    assert "8 of 10 were done before" in again.stderr
    assert files_in(target) == wanted
    assert {path for path, time in before.items() if path.stat().st_mtime_ns != time} == {gone}


def test_a_network_that_cannot_be_had_ends_the_run(here, photos):
    done = run("estimate", "photos", "--model", "no-such-model", "-o", "none", "--engine", "ray", "--jobs", 1)
    assert done.exit_code == 1
    assert "no-such-model" in done.stderr
    assert "photos failed" not in done.stderr
    assert not (here / "none").exists()


def test_nothing_to_do_starts_nothing():
    assert list(RayEngine()(None, [])) == []


@pytest.mark.parametrize("name", ["workers", "chunk"])
def test_numbers_that_make_no_sense(name):
    with pytest.raises(InputError, match=f"{name} must be at least 1, got 0"):
        RayEngine(**{name: 0})


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("depth3d.ray_engine.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs Ray; install it: pip install 'depth3d\[ray\]'"):
        RayEngine()


def test_an_address_is_for_ray(photos):
    done = run("estimate", "photos", "-o", "no", "--ray-address", "auto")
    assert "--ray-address is for --engine ray" in done.stderr


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        (
            "127.0.0.1:1",
            "no Ray cluster answers at 127.0.0.1:1: .*refused; start one with ray start --head, or",
        ),
        ("auto", "no Ray cluster answers at auto: no instance; start one"),
        ("local", "Ray does not start here: no instance; use --engine local"),
    ],
)
def test_a_ray_that_is_not_there_is_a_sentence_and_leaves_nothing(tmp_path, monkeypatch, address, sentence):
    def refuse(*_, **__):
        raise ConnectionError("no\ninstance.")

    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    tasks = [Task(tmp_path / "a.jpg", (tmp_path / "out" / "a.txt",))]
    results = run_many(tasks, print, manifest=Manifest(tmp_path / "out"), engine=RayEngine(address))
    with pytest.raises(EndOfRunError, match=sentence):
        list(results)
    assert list(tmp_path.iterdir()) == []
