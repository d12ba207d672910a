"""Which files belong to one picture."""

from __future__ import annotations

from pathlib import Path, PurePath

import pytest

from depth3d.errors import InputError
from depth3d.io.pairing import files_in, partners, picture_name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a.png", "a"),
        ("kitchen_depth.npz", "kitchen"),
        ("kitchen-depth_gt.png", "kitchen"),
        ("kitchen.disparity.pfm", "kitchen"),
        ("sync_depth_00045.png", "00045"),
        ("rgb_00045.jpg", "00045"),
        ("depth01.png", "01"),
        ("depth.png", "depth"),
        ("depth_of_field.jpg", "depth_of_field"),
        ("water_depth_chart.jpg", "water_depth_chart"),
        ("0000000005.png", "0000000005"),
    ],
)
def test_names(path, name):
    assert picture_name(path) == name


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in (
        "a_depth.npz", "a_depth_preview.png", ".hidden.npz", "notes.txt", "kitchen/01.npy", "attic/01.npy",
        "attic/b.npy", "c.npy", "c.png", "d.npy", "d_depth.npy", ".git/e.npy",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def test_files(folder):
    found = [
        path.relative_to(folder).as_posix() for path in files_in(folder, (".npz", ".npy", ".png"), "depth")
    ]
    assert found == [
        "a_depth.npz", "c.npy", "c.png", "d.npy", "d_depth.npy", "attic/01.npy", "attic/b.npy",
        "kitchen/01.npy",
    ]  # fmt: skip


def test_photos_and_depth_in_one_folder(tmp_path):
    names = {
        "photos": ["01.rgb.png", "02.png", "color_003.png", "depth_of_field.png", "rgb.png"],
        "depth": ["01.depth.png", "02_gt.png", "depth.png", "sync_depth_003.png"],
        "neither": ["01_mask.png", "01_depth_preview.png"],
    }
    for name in (name for some in names.values() for name in some):
        (tmp_path / name).write_bytes(b"")
    photos = [path.name for path in files_in(tmp_path, (".png",), "photos")]
    depth = [path.name for path in files_in(tmp_path, (".png",), "depth")]
    assert photos == names["photos"]
    assert depth == sorted([*names["depth"], "02.png", "depth_of_field.png"])  # which may be anything


def test_links_in_circles(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.npy").write_bytes(b"")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert len(files_in(tmp_path, (".npy",), "depth")) == 2


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("a.png", "a_depth.npz"),
        ("kitchen/01.png", "kitchen/01.npy"),
        ("images/attic/01.jpg", "attic/01.npy"),
        ("attic/depth/01.png", "attic/01.npy"),
        ("b.png", "attic/b.npy"),
        ("d.png", "d.npy"),  # the same stem goes before the same picture
        ("cellar/a.png", "a_depth.npz"),
        ("z.png", None),
        ("cellar/01.png", None),  # another picture of the same name
        ("kitchen/b.png", None),
    ],
)
def test_partners(folder, wanted, found):
    files = files_in(folder, (".npz", ".npy", ".png"), "depth")
    (partner,) = partners([PurePath(wanted)], files, folder)
    if found is None:
        assert isinstance(partner, InputError)
        assert f"nothing in {folder} has the name of {wanted}" in str(partner)
    else:
        assert partner == folder / found


@pytest.mark.parametrize("wanted", ["c.png", "01.png"])
def test_two_that_fit_equally_well(folder, wanted):
    (partner,) = partners([PurePath(wanted)], files_in(folder, (".npz", ".npy", ".png"), "depth"), folder)
    assert isinstance(partner, InputError)
    assert "both have the name of" in str(partner)


def test_one_that_two_would_share(folder):
    wanted = [PurePath("indoor/a.jpg"), PurePath("aerial/a.jpg"), PurePath("attic/b.jpg")]
    first, second, third = partners(wanted, files_in(folder, (".npz", ".npy"), "depth"), folder)
    assert "indoor/a.jpg and to aerial/a.jpg" in str(first)
    assert str(first) == str(second)
    assert third == folder / "attic/b.npy"
