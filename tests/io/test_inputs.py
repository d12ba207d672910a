"""Names to files: folders, globs, lists, and names that look like them."""

import io
import os
from pathlib import Path, PurePosixPath

import pytest

from depth3d.errors import InputError, UnreadableFileError
from depth3d.io.inputs import FoundInput, find_inputs, is_one_file, natural_key
from depth3d.io.manifest import Manifest
from depth3d.io.remote import RemotePath


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Files below the working directory, by their names."""
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        return tmp_path

    return make


def places(found):
    return [str(one.place) for one in found]


def paths(found):
    return [str(one.path) for one in found]


def test_a_folder_gives_its_photos_in_natural_order_with_their_places(tree):
    tree("p/10.jpg", "p/2.JPG", "p/a/1.heic", "p/a/b/03.png", "p/notes.txt", "p/.hidden.jpg", "p/.git/1.jpg")
    found = find_inputs("p")
    assert paths(found) == ["p/2.JPG", "p/10.jpg", "p/a/1.heic", "p/a/b/03.png"]
    assert places(found) == ["2.JPG", "10.jpg", "a/1.heic", "a/b/03.png"]
    assert not any(one.is_named for one in found)


def test_partial_files_and_what_is_no_photo_by_its_name_are_left_out(tree, caplog):
    tree("p/1.jpg", "p/.1.3f5c21aa-4711-33c7db-9b1c04de.part.jpg", "p/1_depth.png", "p/1_depth_preview.png")
    caplog.set_level("WARNING", "depth3d")
    assert places(find_inputs("p")) == ["1.jpg"]
    assert "left out 2 files" in caplog.text
    assert places(find_inputs("p", kind=None)) == ["1.jpg", "1_depth.png", "1_depth_preview.png"]
    tree("q/depth_1.png", "q/depth_2.png")
    assert len(find_inputs("q")) == 2  # all of them: the folder is meant


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("p/*.jpg", ["p/1.jpg", "p/2.jpg"]),  # not below
        ("p/**/*.jpg", ["p/1.jpg", "p/2.jpg", "p/a/1.jpg"]),
        ("p/*", ["p/1.jpg", "p/2.jpg"]),  # no suffix given: photos only
        ("p/?.txt", ["p/3.txt"]),  # it is asked for
        ("*/[12].jpg", ["p/1.jpg", "p/2.jpg"]),
        ("**/[12].jpg", ["p/1.jpg", "p/2.jpg", "p/a/1.jpg"]),
        ("**/a/**", ["p/a/1.jpg"]),
    ],
)
def test_globs(tree, pattern, expected):
    tree("p/1.jpg", "p/2.jpg", "p/a/1.jpg", "p/3.txt", "p/.4.jpg")
    assert paths(find_inputs(pattern)) == expected


def test_the_place_of_a_glob_is_below_its_fixed_part(tree):
    tree("deep/p/a/1.jpg", "deep/p/b/1.jpg")
    assert places(find_inputs("deep/p/*/1.jpg")) == ["a/1.jpg", "b/1.jpg"]
    assert places(find_inputs("deep/*/a/1.jpg")) == ["p/a/1.jpg"]
    assert places(find_inputs("**/b/*.jpg")) == ["deep/p/b/1.jpg"]


def test_what_exists_is_meant_as_it_is(tree):
    names = ["a[1].jpg", "b*.jpg", "@list.txt", "what?.jpg", "c{stem}.jpg"]
    tree(*names, "a1.jpg", "bb.jpg")
    assert paths(find_inputs(names)) == names
    assert all(one.is_named for one in find_inputs(names))
    tree("photos [2024]/1.jpg", "photos 2/1.jpg")
    assert paths(find_inputs("photos [2024]/*.jpg")) == ["photos [2024]/1.jpg"]


@pytest.mark.parametrize(
    "name", ["a b.jpg", 'it\'s "it".jpg', "\U0001f9cd.jpg", "two\nlines.jpg", "-o.jpg", "#1.jpg"]
)
def test_odd_names_are_names(tree, name):
    tree(f"p/{name}")
    assert paths(find_inputs(f"p/{name}")) == paths(find_inputs("p")) == [f"p/{name}"]


def test_names_that_are_no_text_come_through_a_list(tree):
    folder = tree("list.txt")
    name = b"caf\xe9.jpg"
    Path(os.fsdecode(bytes(folder) + b"/" + name)).write_bytes(b"x")
    (folder / "list.txt").write_bytes(name + b"\n")
    (found,) = find_inputs("@list.txt")
    assert found.path.read_bytes() == b"x"


def test_duplicates_are_dropped_and_links_are_not(tree):
    folder = tree("p/1.jpg", "p/2.jpg")
    (folder / "p/link.jpg").symlink_to("1.jpg")
    found = find_inputs(["p/2.jpg", "p", "./p/1.jpg", folder / "p" / "2.jpg", "p/../p/1.jpg"])
    assert paths(found) == ["p/2.jpg", "p/1.jpg", "p/link.jpg"]


def test_links_are_followed_but_not_in_circles(tree):
    folder = tree("p/a/1.jpg", "other/2.jpg")
    (folder / "p/a/back").symlink_to(folder / "p")
    (folder / "p/more").symlink_to(folder / "other")
    (folder / "other/p").symlink_to(folder / "p")  # a circle of two links
    for name in ("p", "p/**/*.jpg", "p/**"):
        assert places(find_inputs(name)) == ["a/1.jpg", "more/2.jpg"]


def test_a_link_to_a_folder_beside_it_is_followed(tree):
    folder = tree("p/a/1.jpg")
    (folder / "p/b").symlink_to(folder / "p/a")
    assert places(find_inputs("p")) == places(find_inputs("p/*/*.jpg")) == ["a/1.jpg", "b/1.jpg"]


def test_a_list_names_files_folders_and_globs(tree):
    folder = tree("x/a/1.jpg", "x/b/1.jpg", "x/c/2.jpg", "y/3.jpg", "x/c/.4.jpg")
    (folder / "list.txt").write_bytes(
        "\ufeffx/a/1.jpg\r\n\n  \nx/b/1.jpg\ny\nx/c/*.jpg\nmissing.jpg".encode()
    )
    found = find_inputs("@list.txt")
    assert paths(found) == ["x/a/1.jpg", "x/b/1.jpg", "y/3.jpg", "x/c/2.jpg", "missing.jpg"]
    # Files keep their place below what they have in common, here the working directory.
    assert places(found) == ["x/a/1.jpg", "x/b/1.jpg", "3.jpg", "2.jpg", "missing.jpg"]


def test_names_of_a_list_may_be_beside_it_and_apart_by_nuls(tree, monkeypatch):
    folder = tree("data/p/1\n.jpg", "data/p/2.jpg")
    (folder / "data/list").write_bytes(b"p/1\n.jpg\0p/2.jpg\0")
    found = find_inputs("@data/list")
    assert paths(found) == ["data/p/1\n.jpg", "data/p/2.jpg"]
    assert places(found) == ["1\n.jpg", "2.jpg"]
    stdin = io.TextIOWrapper(io.BytesIO(b"data/p/2.jpg\n"))
    monkeypatch.setattr("sys.stdin", stdin)
    assert paths(find_inputs("-")) == ["data/p/2.jpg"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("empty", r"there are no photos in empty; give a folder with \.jpg"),
        ("none/*.jpg", r"no file matches none/\*\.jpg; check the pattern"),
        ("@empty.txt", "empty.txt lists no paths; write one a line"),
        ("", "a name is empty"),
        ([], "there are no files"),
    ],
)
def test_nothing_found_is_said(tree, name, sentence):
    folder = tree("empty.txt", "empty/notes.txt")
    (folder / "empty.txt").write_text("\n\n")
    with pytest.raises(InputError, match=sentence):
        find_inputs(name)


def test_a_list_that_is_not_there(tree):
    tree()
    with pytest.raises(UnreadableFileError, match=r"can't read the list missing\.txt.*@ stands before"):
        find_inputs("@missing.txt")


def test_a_missing_file_is_found_out_in_its_turn(tree):
    tree("1.jpg")
    assert paths(find_inputs(["missing.jpg", "1.jpg"])) == ["missing.jpg", "1.jpg"]


def test_results_of_earlier_runs_are_no_inputs(tree):
    folder = tree("p/1.jpg", "p/1_bokeh.jpg", "p/out/1_fog.jpg", "p/out/more.jpg")
    for where, name in (("p", "1_bokeh.jpg"), ("p/out", "1_fog.jpg")):
        Manifest(folder / where, {}).plan([folder / where / name])
    # Of this run's folder, and of folders below what is named; but what is named itself is meant.
    assert places(find_inputs("p", results_in=Path("p"))) == ["1.jpg", "out/more.jpg"]
    assert places(find_inputs("p")) == ["1.jpg", "1_bokeh.jpg", "out/more.jpg"]
    assert places(find_inputs("p/out")) == ["1_fog.jpg", "more.jpg"]
    assert places(find_inputs("p/1_bokeh.jpg", results_in=Path("p"))) == ["1_bokeh.jpg"]
    assert places(find_inputs("p/*.jpg", results_in=Path("p"))) == ["1.jpg"]


def test_urls_are_found_as_files_are():
    from fsspec import filesystem

    storage = filesystem("memory")
    for name in ("10.jpg", "2.jpg", "a/1.png", "a/.h.png", "notes.txt"):
        storage.pipe_file(f"/inputs/{name}", b"x")
    url = "memory://inputs"
    assert places(find_inputs(url)) == ["2.jpg", "10.jpg", "a/1.png"]
    assert find_inputs(f"{url}/2.jpg") == [
        FoundInput(RemotePath(f"{url}/2.jpg"), PurePosixPath("2.jpg"), is_named=True)
    ]
    assert paths(find_inputs(f"{url}/**/*.png")) == [f"{url}/a/1.png"]
    assert places(find_inputs(f"{url}/*")) == ["2.jpg", "10.jpg"]


def test_one_file_is_told_from_many(tree):
    tree("p/1.jpg", "a[1].jpg")
    assert all(map(is_one_file, ["p/1.jpg", "missing.jpg", "a[1].jpg", Path("p/1.jpg")]))
    assert not any(map(is_one_file, ["p", "p/*.jpg", "@list", "-", Path("p")]))


def test_natural_order_is_total():
    names = ["img2", "img10", "img02", "IMG2", "a/9", "a/10", "a9/1", "1²3", "x" * 200 + "1" * 50]
    backwards = [*reversed(names)]
    once = sorted(names, key=natural_key)
    assert once == sorted(backwards, key=natural_key)
    assert once.index("img2") < once.index("img10")
    assert once.index("a/9") < once.index("a/10")
