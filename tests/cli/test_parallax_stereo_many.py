"""`depth3d parallax` and `depth3d stereo` of folders: names, what is skipped, what is refused."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

W, H = 64, 48


@pytest.fixture
def folder(tmp_path):
    """Two photos of a box before a wall with a depth map each, and one that is damaged."""
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    (tmp_path / "maps" / "deep").mkdir(parents=True)
    disparity = np.full((H, W), 60, np.uint8)
    disparity[14:34, 24:40] = 200
    for seed, name in enumerate(("a", "deep/b", "c")):
        image = np.random.default_rng(seed).integers(30, 226, (H, W, 3)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / "photos" / f"{name}.png"), cv2.GaussianBlur(image, (0, 0), 1.5))
        cv2.imwrite(str(tmp_path / "maps" / f"{name}.png"), disparity)
    (tmp_path / "photos" / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    return tmp_path


DEPTH = ("--depth", "maps", "--depth-kind", "relative")


def files_in(folder):
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix != ".jsonl"
    )


def test_pages_of_a_folder_and_the_same_again(run, folder):
    words = ("parallax", "photos", *DEPTH, "-o", "pages/{parent}/{stem}.html", "--resume", "--json")
    done = run(*words)
    assert done.exit_code == 1
    assert done.stderr.count("photos/c.png is damaged") == 1
    assert "1 of 3 photos failed; the others are written" in done.stderr
    rows = json.loads(done.stdout)
    assert [row["photo"] for row in rows] == ["photos/a.png", "photos/c.png", "photos/deep/b.png"]
    assert [row.get("output") for row in rows] == ["pages/a.html", None, "pages/deep/b.html"]
    assert rows[0]["size"] == [W, H]
    pages = {name: (folder / "pages" / name).read_bytes() for name in ("a.html", "deep/b.html")}
    (folder / "pages" / "a.html").unlink()
    again = json.loads(run(*words).stdout)
    assert ["done_before" in row for row in again] == [False, False, True]
    assert pages == {name: (folder / "pages" / name).read_bytes() for name in pages}


def test_films_of_a_folder(run, folder):
    short = ("--seconds", 0.5, "--fps", 8)
    done = run("parallax", "photos/a.png", "photos/deep/b.png", *DEPTH, "-o", "films", *short)
    assert done.exit_code == 0, done.output
    assert files_in(folder / "films") == ["a_parallax.mp4", "b_parallax.mp4"]


def test_options_that_suit_no_photo_stop_the_run(run, folder):
    done = run("parallax", "photos", *DEPTH, "-o", "p/{stem}.html", "--blur-percent", 1)
    assert done.exit_code == 1
    assert "photos failed" not in done.stderr
    assert not (folder / "p").exists()
    done = run("stereo", "photos", *DEPTH, "-o", "s", "--anaglyph", "dubois", "--layout", "top-bottom")
    assert "are two different things; choose one" in done.stderr
    assert not (folder / "s").exists()


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ((), ["a_sbs.jpg"]),
        (("--layout", "half-top-bottom"), ["a_half_tb.jpg"]),
        (("--layout", "cross-eyed"), ["a_cross-eyed.jpg"]),
        (("--anaglyph", "dubois"), ["a_anaglyph.jpg"]),
        (("--layout", "pair"), ["a_stereo_left.jpg", "a_stereo_right.jpg"]),
        (("--layout", "wiggle", "--views", 2), ["a_wiggle.gif"]),
        (("--quilt", "2x2"), ["a_quilt_qs2x2a1.3333.png"]),
    ],
)
def test_names_that_players_know_and_resume(run, folder, options, names):
    words = ("stereo", "photos/a.png", *DEPTH, "-o", "vr/", *options)
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert files_in(folder / "vr") == names
    first = {name: (folder / "vr" / name).stat().st_mtime_ns for name in names}
    refused = run(*words)
    assert refused.exit_code == 1
    assert "already exists; use --overwrite" in refused.stderr
    resumed = run(*words, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert "1 of 1 were done before" in resumed.stderr
    assert {name: (folder / "vr" / name).stat().st_mtime_ns for name in names} == first
