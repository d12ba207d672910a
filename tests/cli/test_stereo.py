"""`depth3d stereo`: options to pictures, pairs, wiggles, quilts and JSON."""

import json

import av
import cv2
import numpy as np
import pytest
from depth3d_cli.stereo_options import where_it_is
from PIL import Image

import depth3d as d3

WIDTH, HEIGHT = 64, 32


@pytest.fixture
def shot(tmp_path):
    """A smooth photo of two planes, the lower one nearer, in millimetres and as disparity."""
    v, u = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    z = np.where(v < HEIGHT / 2, 3.0, 1.0)
    image = np.stack([128 + 90 * np.sin(u / 5), 128 + 90 * np.cos(v / 7), 60 + u], axis=-1).astype(np.uint8)
    d3.save(image, tmp_path / "p.png")
    cv2.imwrite(str(tmp_path / "z.png"), (1000 * z).astype(np.uint16))
    cv2.imwrite(str(tmp_path / "d.png"), (240 / z).astype(np.uint8))
    scene = d3.RGBD(image, d3.DepthMap(z, "metric"), d3.Camera(80, 80, 32, 16, WIDTH, HEIGHT))
    return image, scene


WORDS = ("stereo", "p.png", "--depth", "z.png", "--focal-px", 80, "--edges", "keep")


def done_well(result):
    assert result.exit_code == 0, result.output
    return result


def test_side_by_side_is_what_python_makes(run, shot):
    done = done_well(run(*WORDS, "-o", "o.png", "--divergence-percent", 4, "--convergence", 0.2))
    assert done.stdout.strip() == (
        "o.png: side-by-side, 3.2 % of the width in front of the screen to 0.8 % behind it"
    )
    assert "many can't fuse more than 3 % at ease" in done.stderr
    pair = d3.stereo(shot[1], divergence_percent=4, convergence=0.2, edges="keep")
    np.testing.assert_array_equal(d3.load_image("o.png"), pair.picture())


def test_a_pair_keeps_an_eye_and_tells_its_figures(run, shot):
    image, _ = shot
    done = done_well(
        run(*WORDS, "-o", "o.png", "--layout", "pair", "--baseline-mm", 63, "--keep", "left", "--json")
    )
    facts = json.loads(done.stdout)
    assert facts["output"] == ["o_left.png", "o_right.png"]
    assert facts["baseline_mm"] == pytest.approx(63)
    assert facts["convergence_m"] is None  # infinite: parallel cameras
    assert facts["nearest_percent"] == pytest.approx(100 * 80 * 0.063 / WIDTH)
    assert facts["farthest_percent"] == pytest.approx(100 * 80 * 0.063 / 3 / WIDTH)
    np.testing.assert_array_equal(d3.load_image("o_left.png"), image)
    done_well(run(*WORDS, "-o", "s.png", "--layout", "pair", "--baseline-mm", 63, "--keep", "left", "--swap"))
    np.testing.assert_array_equal(d3.load_image("s_right.png"), image)
    np.testing.assert_array_equal(d3.load_image("s_left.png"), d3.load_image("o_right.png"))


def test_parallel_cameras_are_told(run, shot):
    done = done_well(run(*WORDS, "-o", "o.png", "--baseline-mm", 20))
    assert "parallel cameras put everything in front of the screen" in done.stderr
    done = done_well(run(*WORDS, "-o", "i.png", "--baseline-mm", 20, "--convergence-m", "inf"))
    assert "parallel cameras" not in done.stderr
    np.testing.assert_array_equal(d3.load_image("i.png"), d3.load_image("o.png"))


def test_anaglyphs_and_points_of_relative_maps(run, shot):
    image, _ = shot
    words = ("stereo", "p.png", "--depth", "d.png", "--depth-kind", "relative", "--focal-px", 80)
    done = done_well(run(*words, "-o", "o.png", "--anaglyph", "gray", "--converge-at", "30,28", "--json"))
    facts = json.loads(done.stdout)
    assert (facts["layout"], facts["anaglyph"]) == ("anaglyph", "gray")
    assert facts["nearest_percent"] == pytest.approx(0, abs=1e-3)
    assert "baseline_mm" not in facts
    picture = d3.load_image("o.png")
    gray = d3.anaglyph(image, image, "gray")
    np.testing.assert_allclose(picture[20:, 8:-8], gray[20:, 8:-8], atol=1)  # on the screen: no parallax


def test_a_wiggle_goes_to_and_fro(run, shot):
    done = done_well(run(*WORDS, "-o", "o.gif", "--views", 3, "--fps", 10, "--json"))
    assert json.loads(done.stdout)["frames"] == 4
    with Image.open("o.gif") as opened:
        assert (opened.n_frames, opened.size) == (4, (WIDTH, HEIGHT))
        assert opened.info["duration"] == 100
        assert opened.info["loop"] == 0
    done = done_well(run(*WORDS, "-o", "long.gif", "--seconds", 2, "--size", 32, "--json"))
    assert json.loads(done.stdout)["frames"] == 16
    done_well(run(*WORDS, "-o", "o.mp4", "--seconds", 2, "--size", 32))
    with av.open("o.mp4") as container:  # which doesn't repeat by itself
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(pictures) == 16
    assert pictures[0].shape == (16, 32, 3)
    assert np.abs(pictures[0].astype(int) - pictures[2]).mean() < 2
    assert np.abs(pictures[0].astype(int) - pictures[1]).mean() > 2


def test_a_quilt_is_named_after_its_tiles(run, shot):
    image, _ = shot
    done = done_well(run(*WORDS, "-o", "o.png", "--quilt", "3x1", "--json"))
    facts = json.loads(done.stdout)
    assert facts["output"] == "o_qs3x1a2.png"
    assert facts["divergence_percent"] == pytest.approx(6)
    quilt = d3.load_image("o_qs3x1a2.png")
    assert quilt.shape == (HEIGHT, 3 * WIDTH, 3)
    np.testing.assert_array_equal(quilt[:, WIDTH : 2 * WIDTH], image)  # the middle view is the photo
    done = run(*WORDS, "-o", "o.png", "--quilt", "3x1")
    assert done.exit_code == 1
    assert "o_qs3x1a2.png already exists" in done.stderr


@pytest.mark.parametrize(
    ("nearest", "farthest", "sentence"),
    [
        (1.2, -0.84, "1.2 % of the width in front of the screen to 0.8 % behind it"),
        (9, 3, "3.0 to 9.0 % of the width in front of the screen"),
        (2, -0.01, "0.0 to 2.0 % of the width in front of the screen"),
        (0, -2, "0.0 to 2.0 % of the width behind the screen"),
        (-0.0, 0, "flat: no parallax that would show"),
    ],
)
def test_where_a_scene_stands(nearest, farthest, sentence):
    assert where_it_is(nearest, farthest) == sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("-o", "o.png", "--layout", "rows", "--anaglyph", "gray"), "--anaglyph and --layout rows are two"),
        (("-o", "o.png", "--anaglyph", "gray", "--quilt", "2x2"), "--anaglyph and --quilt are two"),
        (("-o", "o.png", "--fps", 10), "--fps belongs to --layout wiggle"),
        (("-o", "o.png", "--views", 3), "--views belongs to --layout wiggle"),
        (("-o", "o.gif", "--swap"), "--swap belongs to pictures for two eyes, not to a wiggle"),
        (("-o", "o.gif", "--fps", 60), "more than 50 frames a second"),
        (("-o", "o.png", "--quilt", "1x1"), "a quilt has 2 to 400 views, got 1x1"),
        (("-o", "p.png", "--overwrite"), "p.png is the input itself"),
        (("-o", "o.txt"), "is no picture's name"),
        (("-o", "o.png", "--layout", "wiggle"), "can't write a video as '.png'"),
        (("-o", "gone/o.png", "--layout", "pair"), "does not exist; create it first"),
        (("-o", "o.png", "--baseline-mm", 60, "--divergence", 2), "would each set the same thing"),
        (("-o", "o.png", "--converge-at", "70,5", "--size", 9), "(70, 5) lies outside the picture of 64x32"),
    ],
)
def test_refusals_leave_nothing(words, sentence, run, shot, tmp_path):
    before = sorted(tmp_path.iterdir())
    done = run(*WORDS, *words)
    assert done.exit_code == 1, done.output
    assert sentence in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_millimetres_need_metres(run, shot):
    done = run(
        "stereo", "p.png", "--depth", "d.png", "--depth-kind", "relative", "-o", "o.png", "--baseline-mm", 63
    )
    assert done.exit_code == 1
    assert "baseline_mm needs metric depth" in done.stderr
