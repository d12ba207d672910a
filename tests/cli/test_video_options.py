"""The options of films, by way of a focus pull: every kind of file, and what is refused before any work."""

import json

import av
import cv2
import numpy as np
import pytest
from PIL import Image

import depth3d as d3

WORDS = ("bokeh", "p.png", "--depth", "z.png", "--focal-px", 60, "--rack-focus", "5,5:20,12", "--f-number", 2)


@pytest.fixture
def shot(tmp_path):
    z = np.full((24, 40), 4.0, np.float32)
    z[8:16, 10:30] = 1.0
    d3.save(np.random.default_rng(0).integers(30, 226, (*z.shape, 3)).astype(np.uint8), tmp_path / "p.png")
    cv2.imwrite(str(tmp_path / "z.png"), (1000 * z).astype(np.uint16))


def test_files_of_all_kinds(run, shot, tmp_path):
    film = ("--seconds", 0.5, "--fps", 8)
    for name, words in (("a.mov", ("--codec", "prores", "--quality", 1)), ("a.webm", ())):
        done = run(*WORDS, *film, "-o", name, *words, "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["frames"] == 4
        with av.open(name) as container:
            codec = container.streams.video[0].codec_context.codec.canonical_name
            assert codec == ("prores" if words else "vp9")
    done = run(*WORDS, *film, "-o", "a.gif", "--loops", 2, "--quality", 32)
    assert done.exit_code == 0, done.output
    with Image.open("a.gif") as opened:
        assert (opened.n_frames, opened.info["loop"]) == (4, 1)
    done = run(*WORDS, *film, "-o", "frames", "--codec", "jpg")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == [
        f"frame_{number:05d}.jpg" for number in (1, 2, 3, 4)
    ]
    done = run(*WORDS, *film, "-o", "frames")
    assert done.exit_code == 1
    assert "holds the pictures of a film" in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("-o", "a.mp4", "--codec", "prores"), ".mp4 can't hold prores; it holds h264 or hevc or vp9 or av1"),
        (("-o", "a.mp4", "--quality", 99), "quality of h264 must be a whole number in 0..51 (rate"),
        (("-o", "a.mp4", "--loops", 1), "says nothing of loops"),
        (("-o", "a.gif", "--fps", 60), "more than 50 frames a second"),
        (("-o", "p.png",), "can't write a video as '.png'"),
        (("-o", "z.png/frames",), "z.png is a file, no directory"),
    ],
)  # fmt: skip
def test_refusals_before_work(words, sentence, run, shot, tmp_path):
    before = sorted(tmp_path.iterdir())
    done = run(*WORDS, *words)
    assert done.exit_code == 1, done.output
    assert sentence in done.stderr
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("words", [WORDS, ("parallax", "p.png"), ("stereo", "p.png", "--layout", "wiggle")])
@pytest.mark.parametrize("option", ["--seconds", "--fps"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "0", "1e9"])
def test_lengths_and_rates_are_finite(words, option, value, run, shot):
    done = run(*words, "-o", "a.gif", option, value)
    assert done.exit_code == 2, done.output
    assert f"Invalid value for '{option}'" in done.stderr


def test_a_codec_without_a_film(run, shot):
    done = run(*WORDS[:4], "--focal-px", 60, "-o", "o.png", "--codec", "h264")
    assert done.exit_code == 1
    assert "--codec belongs to --rack-focus" in done.stderr
