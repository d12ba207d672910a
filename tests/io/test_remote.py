"""Files on shared storage come and go whole, under their own names, and every trouble is a sentence."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path, PurePosixPath

import fsspec
import numpy as np
import pytest
from PIL import Image

from depth3d.errors import FileError, InputError, OutputExistsError, UnreadableFileError
from depth3d.io.images import load_image, save_image
from depth3d.io.remote import RemotePath, fetched, is_url, place, putting


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Where temporary files go, to see that none is left."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(params=["memory", "file"])
def shared(request, tmp_path):
    """An empty folder on storage that is an object store, and on one that is a file system."""
    if request.param == "file":
        folder = tmp_path / "shared"
        folder.mkdir()
        return RemotePath(folder.as_uri())
    fsspec.filesystem("memory").store.clear()
    fsspec.filesystem("memory").pseudo_dirs[:] = [""]
    return RemotePath("memory://bucket")


def all_under(folder):
    fs, path = fsspec.core.url_to_fs(folder.url)
    return {name[len(path) :].lstrip("/"): fs.cat_file(name) for name in fs.find(path)}


@pytest.mark.parametrize(
    "name", ["photo.jpg", "/a/b", "C:\\photo.jpg", "C://photo.jpg", "s3:/a/b", "a b://c", ""]
)
def test_local_names_are_local(name):
    assert not is_url(name)
    assert place(name) == Path(name)
    with pytest.raises(InputError, match="is no URL; give one such as s3://"):
        RemotePath(name)


@pytest.mark.parametrize(
    "tail", ["b/photo.jpg", "b/", "b", "b/a.tar.gz", "b/a b/ü 😀.png", "b/no/suffix", "b/.hidden"]
)
def test_names_behave_as_those_of_paths(tail):
    path, like = RemotePath(f"s3://{tail}"), PurePosixPath(tail)
    assert place(f"s3://{tail}") == path == place(path) == pickle.loads(pickle.dumps(path))
    assert str(path) == f"s3://{like}"
    assert (path.name, path.stem, path.suffix) == (like.name, like.stem, like.suffix)
    assert str((path / "c").parent) == str(path)
    if len(like.parts) > 1:
        assert str(path.parent) == f"s3://{like.parent}"
        assert str(path.with_name("other.ply")) == f"s3://{like.with_name('other.ply')}"
    assert path.protocol == "s3"


def test_a_bucket_is_its_own_folder():
    assert RemotePath("S3://bucket").parent == RemotePath("S3://bucket")
    assert RemotePath("S3://bucket").protocol == "s3"


def test_a_picture_goes_and_comes_whole(shared, scratch):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    remote = shared / "sub folder" / "ü 😀.png"
    with putting(remote) as local:
        assert (local.name, local.exists()) == (remote.name, False)
        save_image(pixels, local)
        assert not remote.exists()
    assert remote.is_file()
    assert not remote.is_dir()
    assert shared.is_dir()
    with fetched(remote) as local:
        assert local.name == remote.name
        np.testing.assert_array_equal(load_image(local), pixels)
        np.testing.assert_array_equal(np.asarray(Image.open(local)), pixels)
    assert list(scratch.iterdir()) == []
    assert list(all_under(shared)) == ["sub folder/ü 😀.png"]


def test_what_is_written_beside_goes_too_and_the_file_itself_last(shared, monkeypatch):
    from depth3d.io import remote as module

    order = []
    put = module._put
    monkeypatch.setattr(module, "_put", lambda local, to: (order.append(to.name), put(local, to)))
    with putting(shared / "b.npz") as local:
        local.write_bytes(b"depth")
        local.with_name("b_preview.png").write_bytes(b"picture")
        (local.parent / "maps").mkdir()
        (local.parent / "maps" / "a.png").write_bytes(b"map")
    assert all_under(shared) == {"b.npz": b"depth", "b_preview.png": b"picture", "maps/a.png": b"map"}
    assert order == ["b_preview.png", "a.png", "b.npz"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_crash_leaves_the_old_file(shared, scratch, error):
    remote = shared / "out.txt"
    remote.write_text("old")

    def crash():
        with putting(remote) as local:
            local.write_text("ne")
            raise error

    with pytest.raises(error):
        crash()
    assert all_under(shared) == {"out.txt": b"old"}
    assert list(scratch.iterdir()) == []


def test_an_upload_that_breaks_leaves_the_old_file(tmp_path, monkeypatch):
    from fsspec.implementations.local import LocalFileSystem

    remote = RemotePath((tmp_path / "out.txt").as_uri())
    remote.write_text("old")

    def put_file(self, local, path, **_):
        Path(path).write_bytes(Path(local).read_bytes()[:2])
        raise ConnectionResetError(104, "Connection reset by peer")

    monkeypatch.setattr(LocalFileSystem, "put_file", put_file)
    with pytest.raises(FileError, match=r"can't write file://.*/out.txt: Connection reset by peer; check"):
        remote.write_text("new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"out.txt": "old"}


def test_a_file_that_comes_short_is_refused(shared, scratch, monkeypatch):
    fs, _ = fsspec.core.url_to_fs(shared.url)
    (shared / "a.txt").write_text("whole")
    monkeypatch.setattr(type(fs), "get_file", lambda self, path, local, **_: Path(local).write_text("who"))
    with pytest.raises(UnreadableFileError, match=r"a.txt came with 3 of its 5 bytes; try again"):
        fetched(shared / "a.txt").__enter__()
    assert list(scratch.iterdir()) == []


def test_files_are_replaced_only_when_told(shared):
    remote = shared / "out.txt"
    remote.write_text("old")
    with pytest.raises(OutputExistsError, match=r"out.txt already exists; use --overwrite"):
        putting(remote, overwrite=False).__enter__()
    remote.write_text("new")
    assert remote.read_text() == "new"


def test_errors_name_the_file_that_the_user_named(shared):
    remote = shared / "photo.jpg"
    remote.write_text("no picture at all")

    def read():
        with fetched(remote) as local:
            load_image(local)

    with pytest.raises(UnreadableFileError) as caught:
        read()
    assert str(caught.value) == f"{remote} is a text file, no picture; give a photo"

    def write():
        with putting(shared / "x.what") as local:
            save_image(np.zeros((2, 2, 3), np.uint8), local)
            raise AssertionError

    with pytest.raises(FileError, match=r"can't write an image as '.what'"):
        write()


def test_folders_and_globs_are_listed_in_order(shared):
    for name in ("b.jpg", "a.jpg", "c.png", "deep/d.jpg", "deep/er/e.jpg"):
        (shared / name).write_text(name)
    assert [path.name for path in shared.iterdir()] == ["a.jpg", "b.jpg", "c.png", "deep"]
    assert list(shared.glob("*.jpg")) == [shared / "a.jpg", shared / "b.jpg"]
    assert list(shared.glob("**/*.jpg")) == [
        shared / name for name in ("a.jpg", "b.jpg", "deep/d.jpg", "deep/er/e.jpg")
    ]
    assert list(shared.glob("*.exr")) == []
    assert [path.read_text() for path in (shared / "deep").iterdir() if path.is_file()] == ["deep/d.jpg"]


def test_what_is_not_there_or_no_file_is_a_sentence(shared):
    missing = shared / "no.jpg"
    assert not missing.exists()
    with pytest.raises(UnreadableFileError, match=r"can't read .*no.jpg: it is not there; check the URL"):
        fetched(missing).__enter__()
    with pytest.raises(UnreadableFileError, match=r"can't list .*no.jpg: it is not there"):
        missing.iterdir()
    (shared / "f" / "a.jpg").write_text("")
    with pytest.raises(UnreadableFileError, match=r"/f is a folder; give a file"):
        fetched(shared / "f").__enter__()
    with fetched(shared / "f" / "a.jpg") as local:
        assert local.read_bytes() == b""


def test_packages_and_protocols_that_are_missing_are_named(monkeypatch):
    def refuse(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", refuse)
    with pytest.raises(FileError, match=r"^s3:// needs a package that is not installed: pip install s3fs$"):
        RemotePath("s3://bucket/a.jpg").exists()
    monkeypatch.undo()
    with pytest.raises(FileError, match=r"can't open what://a: Protocol not known: what; use s3://, gs://"):
        RemotePath("what://a").exists()


def test_storage_that_refuses_is_a_sentence(shared, monkeypatch):
    fs, _ = fsspec.core.url_to_fs(shared.url)
    remote = shared / "a.txt"
    remote.write_text("x")

    def refuse(*_, **__):
        raise RuntimeError("Access\nDenied.")

    for name in ("info", "put_file", "ls", "exists"):
        monkeypatch.setattr(type(fs), name, refuse)
    cure = "Access Denied; check the address and the credentials"
    for call in (remote.exists, shared.iterdir, lambda: remote.write_text("y"), fetched(remote).__enter__):
        with pytest.raises(FileError, match=cure):
            call()


def test_a_file_written_anew_has_another_version(shared):
    remote = shared / "deep" / "a.txt"
    assert list((shared / "deep").walk()) == []
    remote.write_text("one")
    first = remote.size_and_version()
    assert first == remote.size_and_version() == (3, first[1])
    remote.write_text("two")
    assert remote.size_and_version() != first
    (shared / "b.txt").write_text("")
    assert list(shared.walk()) == [shared / "b.txt", remote]
    with pytest.raises(UnreadableFileError, match=r"no.txt: it is not there"):
        (shared / "no.txt").size_and_version()
