"""Folders on shared storage: the same results as on this machine, resumed after a kill, nothing left."""

from __future__ import annotations

import tempfile

import fsspec
import numpy as np
import pytest
from PIL import Image

from depth3d.errors import FileError, OutputExistsError, UnreadableFileError
from depth3d.io.images import load_image, save_image
from depth3d.io.inputs import find_inputs
from depth3d.io.manifest import Manifest
from depth3d.io.remote import RemotePath, putting
from depth3d.many_files import Made, plan_tasks, run_many


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """Three photos, one of them in a folder and one damaged, and a check that nothing is left here."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    fsspec.filesystem("memory").store.clear()
    folder = RemotePath("memory://bucket")
    for seed, name in enumerate(("a.png", "deep/b.png")):
        with putting(folder / "photos" / name) as local:
            Image.fromarray(np.random.default_rng(seed).integers(0, 256, (3, 4, 3), np.uint8)).save(local)
    (folder / "photos" / "c.jpg").write_text("no photo")
    yield folder
    assert list(scratch.iterdir()) == []


done = []


def mirror(task):
    """Turn a photo upside down, and leave a note beside it."""
    save_image(load_image(task.input)[::-1], task.output)
    task.output.with_name(task.output.stem + ".txt").write_text("upside down")
    done.append(task.input.name)
    return Made({"photo": str(task.input), "size": [4, 3]}, f"{task.output}: done", (f"read {task.input}",))


def run(bucket, *, resume=False, overwrite=False, options=None):
    done.clear()
    output = bucket / "results"
    tasks = plan_tasks(find_inputs(f"{bucket}/photos", results_in=output), output, name="{stem}_up.png")
    manifest = Manifest(output, options, resume=resume)
    return list(run_many(tasks, mirror, jobs=1, manifest=manifest, overwrite=overwrite))


def files_in(folder):
    fs = fsspec.filesystem("memory")
    found = {path.url.removeprefix(f"{folder}/"): fs.cat_file(path.url) for path in folder.walk()}
    return {name: content for name, content in found.items() if not name.endswith(".jsonl")}


def test_photos_come_results_go_and_failures_are_told(bucket):
    results = run(bucket)
    assert [str(result.task.input) for result in results] == [
        f"{bucket}/photos/{name}" for name in ("a.png", "c.jpg", "deep/b.png")
    ]
    assert list(files_in(bucket / "results")) == ["a_up.png", "a_up.txt", "deep/b_up.png", "deep/b_up.txt"]
    assert results[1].reason == f"{bucket}/photos/c.jpg is a text file, no picture; give a photo"
    assert isinstance(results[1].error, UnreadableFileError)
    made = results[2].made
    assert made.facts == {"photo": f"{bucket}/photos/deep/b.png", "size": [4, 3]}
    assert made.summary == f"{bucket}/results/deep/b_up.png: done"
    assert made.notes == (f"read {bucket}/photos/deep/b.png",)


def test_what_is_done_is_skipped_and_what_is_missing_made_again(bucket):
    run(bucket)
    first = files_in(bucket / "results")
    results = run(bucket, resume=True)
    assert [result.skipped for result in results] == [True, False, True]
    assert done == []
    assert results[0].made.summary == f"{bucket}/results/a_up.png: done"
    fsspec.filesystem("memory").rm_file("/bucket/results/deep/b_up.png")
    assert [result.skipped for result in run(bucket, resume=True)] == [True, False, False]
    assert done == ["b.png"]
    assert files_in(bucket / "results") == first


def test_a_photo_that_changed_is_done_again(bucket):
    run(bucket)
    with putting(bucket / "photos" / "a.png") as local:
        Image.new("RGB", (4, 3), "red").save(local)
    run(bucket, resume=True)
    assert done == ["a.png"]


def test_a_run_that_was_killed_goes_on(bucket):
    whole = bucket / "results"
    run(bucket)
    wanted = files_in(whole)
    for path in list(whole.walk()):
        fsspec.filesystem("memory").rm_file(path.url)
    output = bucket / "results"
    tasks = plan_tasks(find_inputs(f"{bucket}/photos"), output, name="{stem}_up.png")
    manifest = Manifest(output, resume=True)
    results = run_many(tasks, mirror, jobs=1, manifest=manifest)
    next(results)
    manifest.close = lambda: None  # what `kill -9` does: results are there and their lines are not
    results.close()
    assert list(files_in(whole)) == ["a_up.png", "a_up.txt"]
    run(bucket, resume=True)
    assert files_in(whole) == wanted


def test_nothing_is_replaced_unless_told(bucket):
    run(bucket)
    with pytest.raises(OutputExistsError, match=r"results/a_up.png already exists; use --overwrite"):
        run(bucket)
    with pytest.raises(OutputExistsError, match=r"a_up.png was made with another size"):
        run(bucket, resume=True, options={"size": 3})
    assert len(run(bucket, overwrite=True)) == 3
    assert done == ["a.png", "b.png"]
    tasks = plan_tasks(find_inputs(f"{bucket}/photos/a.png"), bucket / "results", name="{stem}_up.png")
    with pytest.raises(OutputExistsError, match=r"results/a_up.png already exists"):
        run_many(tasks, mirror)


def test_results_among_the_photos_are_no_photos(bucket):
    output = bucket / "photos"
    names = []
    for _ in range(2):
        found = [
            one for one in find_inputs(f"{bucket}/photos", results_in=output) if one.path.suffix == ".png"
        ]
        tasks = plan_tasks(found, output, name="{stem}_up.png")
        names.append([task.input.name for task in tasks])
        list(run_many(tasks, mirror, jobs=1, manifest=Manifest(output, resume=True)))
    assert names == [["a.png", "b.png"]] * 2


def test_storage_that_refuses_fails_that_photo(bucket, monkeypatch):
    fs = fsspec.filesystem("memory")
    put_file = type(fs).put_file

    def refuse(self, local, path, **options):
        if "a_up.png" in path:
            raise PermissionError(13, "Permission denied")
        return put_file(self, local, path, **options)

    monkeypatch.setattr(type(fs), "put_file", refuse)
    results = run(bucket)
    assert isinstance(results[0].error, FileError)
    assert results[0].reason == (
        f"can't write {bucket}/results/a_up.png: Permission denied; check the address and the credentials"
    )
    assert results[2].error is None
