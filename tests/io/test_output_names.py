"""Names of results: folders that mirror those of the photos, and templates."""

from pathlib import Path, PurePosixPath

import pytest

from depth3d.errors import InputError
from depth3d.io.inputs import FoundInput
from depth3d.io.output_names import filled, fixed_folder, is_template, output_names
from depth3d.io.remote import RemotePath


def found(path, place=None, **more):
    return FoundInput(Path(path), PurePosixPath(place or Path(path).name), is_named=place is None, **more)


def names(inputs, output, name="{stem}_x.ply"):
    return [str(one) for one in output_names(inputs, output, name)]


def test_a_folder_mirrors_the_places():
    inputs = [found("p/1.jpg", "1.jpg"), found("p/a b/1.jpg", "a b/1.jpg"), found("elsewhere/2.jpg")]
    assert names(inputs, "out") == ["out/1_x.ply", "out/a b/1_x.ply", "out/2_x.ply"]
    assert names(inputs[:1], Path("out"), "{name}.d/{stem}.png") == ["out/1.jpg.d/1.png"]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("out/{stem}.glb", "out/1.glb"),
        ("out/{name}.glb", "out/1.jpg.glb"),
        ("{parent}/{stem}.glb", "a/b/1.glb"),
        ("out/{{{stem}}}.glb", "out/{1}.glb"),  # two braces stand for one
    ],
)
def test_templates(template, expected):
    assert names([found("p/a/b/1.jpg", "a/b/1.jpg")], template) == [expected]


def test_the_parent_tells_photos_of_one_name_apart():
    assert names([found("x/1.jpg"), found("y/1.jpg")], "out/{parent}/{stem}.ply") == [
        "out/x/1.ply",
        "out/y/1.ply",
    ]
    assert filled("{parent}", found("1.jpg")) == "."
    assert filled("{parent}", found("p/1.jpg", "1.jpg")) == "."  # of a folder: below it
    assert filled("{photo}", found("p/1.jpg")) == "p/1.jpg"


def test_braces_in_a_photos_name_are_no_placeholders():
    assert names([found("p/{name}.jpg")], "out/{stem}.ply") == ["out/{name}.ply"]
    assert names([found("p/{0}.jpg")], "out") == ["out/{0}_x.ply"]


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("{stm}.glb", r"\{stm\} in .* means nothing; use \{stem\}, \{name\}, \{parent\}"),
        ("{0}.glb", "means nothing"),
        ("{}.glb", "means nothing"),
        ("{stem}{.glb", "is no template"),
    ],
)
def test_bad_templates(template, sentence):
    with pytest.raises(InputError, match=sentence):
        names([found("1.jpg")], template)


@pytest.mark.parametrize("output", ["out", "out/{stem}.ply"])
def test_two_photos_of_one_name_are_refused(output):
    with pytest.raises(
        InputError, match=r"x/1\.jpg and y/1\.png would both write out/1.*\{parent\}/\{name\}"
    ):
        names([found("x/1.jpg"), found("y/1.png")], output)


def test_the_folder_of_a_template_is_what_has_no_placeholders():
    assert fixed_folder("out/a/{stem}/{name}.glb") == Path("out/a")
    assert fixed_folder("{stem}.glb") == Path()
    assert fixed_folder("/{stem}.glb") == Path("/")
    assert fixed_folder(Path("out")) == Path("out")
    assert fixed_folder("memory://b/out/{stem}.glb") == RemotePath("memory://b/out")
    assert not is_template("out")
    assert not is_template("out/{{a}}.png")


def test_results_on_shared_storage():
    assert names([found("p/a/1.jpg", "a/1.jpg")], "memory://b/out") == ["memory://b/out/a/1_x.ply"]
    assert names([found("p/a/1.jpg", "a/1.jpg")], "memory://b/{parent}/{stem}.ply") == ["memory://b/a/1.ply"]
