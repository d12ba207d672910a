"""Files of shared storage are here while a block works on them, and nobody hears of their local names."""

import tempfile
from pathlib import Path

import fsspec
import pytest

from depth3d.errors import UnreadableFileError
from depth3d.io.files_here import files_here
from depth3d.io.remote import RemotePath


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    store = fsspec.filesystem("memory").store
    store.clear()
    folder = RemotePath("memory://bucket")
    for name in ("in/photo.jpg", "in/depth/photo.png"):
        (folder / name).write_text(f"bytes of {name}")
    yield folder
    assert list((tmp_path / "scratch").iterdir()) == []


def names_in(bucket):
    return [path.url.removeprefix(f"{bucket}/") for path in bucket.walk()]


def test_local_files_stay_where_they_are(tmp_path):
    inputs, outputs = (tmp_path / "a.jpg", tmp_path / "b.png"), (tmp_path / "c.ply",)
    with files_here(inputs, outputs) as here:
        assert (here.inputs, here.outputs, dict(here.folders)) == (inputs, outputs, {})
        assert here.known(outputs[0]) == outputs[0]
        assert here.told({"output": str(outputs[0])}) == {"output": str(outputs[0])}


def test_files_come_and_go_and_the_first_output_goes_last(bucket, tmp_path):
    inputs = (bucket / "in" / "photo.jpg", bucket / "in" / "depth" / "photo.png", tmp_path / "local.txt")
    outputs = (bucket / "out" / "photo.ply", bucket / "sheets" / "photo.png", tmp_path / "beside.txt")
    with files_here(inputs, outputs) as here:
        assert [path.name for path in here.inputs] == ["photo.jpg", "photo.png", "local.txt"]
        assert [path.read_text() for path in here.inputs[:2]] == [
            "bytes of in/photo.jpg",
            "bytes of in/depth/photo.png",
        ]
        assert here.inputs[2] == inputs[2]
        assert here.outputs[2] == outputs[2]
        for path in here.outputs:
            path.write_text(path.name)
        here.outputs[0].with_name("photo_extra.json").write_text("{}")
        assert names_in(bucket) == ["in/depth/photo.png", "in/photo.jpg"]
    created = {
        path.url: fsspec.filesystem("memory").info(path.url)["created"] for path in (bucket / "out").walk()
    }
    assert max(created, key=created.__getitem__) == f"{bucket}/out/photo.ply"
    assert names_in(bucket)[2:] == ["out/photo.ply", "out/photo_extra.json", "sheets/photo.png"]
    assert outputs[2].read_text() == "beside.txt"


def test_what_is_told_names_what_others_know(bucket):
    inputs, outputs = (bucket / "in" / "photo.jpg",), (bucket / "out" / "photo.ply",)
    with files_here(inputs, outputs) as here:
        local = here.outputs[0]
        assert here.known(local.parent / "maps" / "a.png") == bucket / "out" / "maps" / "a.png"
        facts = {"photo": str(here.inputs[0]), "files": [local, 3, None], "deep": {"why": f"of {local}: yes"}}
        assert here.told(facts) == {
            "photo": str(inputs[0]),
            "files": [outputs[0], 3, None],
            "deep": {"why": f"of {outputs[0]}: yes"},
        }
        assert here.told((f"{Path('/elsewhere')}",)) == ["/elsewhere"]


def test_nothing_is_put_after_an_error(bucket):
    def work():
        with files_here((bucket / "in" / "photo.jpg",), (bucket / "out.txt", bucket / "b.txt")) as here:
            here.outputs[1].write_text("done")
            here.outputs[0].write_text("half")
            raise UnreadableFileError(f"{here.inputs[0]} is damaged")

    with pytest.raises(UnreadableFileError) as caught:
        work()
    assert str(caught.value) == f"{bucket}/in/photo.jpg is damaged"
    assert names_in(bucket) == ["in/depth/photo.png", "in/photo.jpg"]


def test_what_is_not_there_stops_before_anything(bucket):
    with pytest.raises(UnreadableFileError, match=r"in/no.jpg: it is not there"):
        files_here((bucket / "in" / "photo.jpg", bucket / "in" / "no.jpg"), ()).__enter__()
