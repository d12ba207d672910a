"""`depth3d matte` and `depth3d effect`: what they write, read back by OpenCV, and what they refuse."""

import json
import re

import cv2
import numpy as np
import pytest

import depth3d as d3


@pytest.fixture
def step(tmp_path):
    """A relative map: the left half of the photo is near, with a step to the right one."""
    values = np.full((36, 48), 40, np.uint8)
    values[:, :24] = 200
    path = tmp_path / "step.png"
    cv2.imwrite(str(path), values)
    return path


def read(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_a_matte_of_8_and_16_bit_and_what_is_said(run, photo, step, tmp_path):
    words = ("matte", photo, "--depth", step, "--at", "8,20")
    done = run(*words, "-o", "m.png", "-q")
    assert done.exit_code == 0, done.output
    matte = read(tmp_path / "m.png")
    assert (matte.shape, matte.dtype) == ((36, 48), np.uint8)
    assert (matte[:, :22] == 255).all()
    assert (matte[:, 26:] == 0).all()
    assert re.match(r"m\.png: (49|50|51)\.\d % of the photo kept", done.stdout)
    assert run(*words, "-o", "deep.png", "--bits", 16).exit_code == 0
    deep = read(tmp_path / "deep.png")
    assert deep.dtype == np.uint16
    np.testing.assert_allclose(deep / 65535, matte / 255, atol=0.002)


def test_the_python_verb_gives_the_same_matte(run, photo, depth_mm, tmp_path):
    done = run("matte", photo, "--depth", depth_mm, "--far-m", 2.4, "--fade", 0.3, "-o", "m.png", "-q")
    assert done.exit_code == 0, done.output
    depth = d3.load_depth(depth_mm)
    scene = d3.RGBD(d3.load_image(photo), depth, d3.Camera.from_fov(48, 36, 60))
    expected = np.rint(255 * d3.depth_matte(scene, far_m=2.4, fade=0.3))
    assert 0 < expected.mean() < 255
    np.testing.assert_array_equal(read(tmp_path / "m.png"), expected)


def test_cutout_background_and_json(run, photo, step, tmp_path):
    words = ("matte", photo, "--depth", step, "--nearer-than-percent", 50)
    done = run(*words, "--background", "#00ff00", "-o", "g.png", "--cutout", "c.png", "--json", "-q")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert (facts["output"], facts["cutout"], facts["depth"]) == ("g.png", "c.png", "step.png")
    assert facts["kept_percent"] == pytest.approx(50, abs=2)
    original, green, cut = read(photo), read(tmp_path / "g.png"), read(tmp_path / "c.png")
    assert cut.shape == (36, 48, 4)
    np.testing.assert_array_equal(green[:, :21], original[:, :21])
    np.testing.assert_array_equal(cut[:, :21, :3], original[:, :21])
    assert (green[:, 27:] == (0, 255, 0)).all()
    assert (cut[:, 27:, 3] == 0).all()
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((90, 50, 3), (10, 200, 30), np.uint8))
    assert run(*words, "--background", "wall.png", "-o", "w.png").exit_code == 0
    assert (read(tmp_path / "w.png")[:, 27:] == (10, 200, 30)).all()


def test_effects_change_what_they_say(run, photo, step, depth_mm, tmp_path):
    original = read(photo)
    near = ("--at", "8,20", "-q")
    assert run("effect", "color-splash", photo, "--depth", step, "-o", "s.png", *near).exit_code == 0
    splash = read(tmp_path / "s.png")
    np.testing.assert_array_equal(splash[:, :21], original[:, :21])
    assert np.ptp(splash[:, 27:].astype(int), axis=2).max() == 0
    assert run("effect", "dim", photo, "--depth", step, "-o", "d.png", "--stops", 4, *near).exit_code == 0
    dimmed = read(tmp_path / "d.png")
    np.testing.assert_array_equal(dimmed[:, :21], original[:, :21])
    assert dimmed[:, 27:].mean() < 0.4 * original[:, 27:].mean()
    done = run("effect", "fog", photo, "--depth", step, "-o", "f.png", "--color", "#ffffff", "--json", "-q")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["output"] == "f.png"
    fog = read(tmp_path / "f.png")
    np.testing.assert_array_equal(fog[:, :21], original[:, :21])
    assert fog[:, 27:].min() > 200
    for words in (("fog", "--visibility-m", 0.5), ("flash", "--full-m", 2.5)):
        name = f"{words[0]}.jpg"
        done = run("effect", words[0], photo, "--depth", depth_mm, "-o", name, *words[1:])
        assert done.exit_code == 0, done.output
        assert read(tmp_path / name).shape == original.shape


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["matte", "--at", "3,3"], "nothing to write to; give -o"),
        (["matte", "-o", "m.png"], "nothing is selected; give a point"),
        (["matte", "-o", "m.png", "--at", "3,3", "--far-m", "2"], "would each select"),
        (["matte", "-o", "m.png", "--far-m", "2"], "needs metric depth, got a relative map"),
        (["matte", "-o", "m.png", "--at", "900,3"], "outside the picture"),
        (["matte", "--cutout", "c.jpg", "--at", "3,3"], r"can't be transparent; use one of \.png"),
        (["matte", "-o", "m.jpg", "--bits", "16", "--at", "3,3"], r"no 16-bit gray; use \.png"),
        (["matte", "-o", "m.png", "--background", "#12", "--at", "3,3"], "#rrggbb"),
        (["matte", "-o", "m.png", "--background", "none.jpg", "--at", "3,3"], "does not exist"),
        (["matte", "-o", "photo.png", "--at", "3,3", "--overwrite"], "the input itself"),
        (["effect", "fog", "-o", "f.png", "--visibility-m", "9"], "--strength"),
        (["matte", "-o", "m.png", "--cutout", "m.png", "--at", "3,3"], "would be written twice"),
        (["effect", "fog", "-o", "f.png", "--color", "grey"], "#rrggbb"),
        (["effect", "fog", "-o", "f.png", "--visibility-m", "9", "--strength", "0.5"], "give one of them"),
        (["effect", "flash", "-o", "f.png", "--full-m", "2"], "needs metric depth"),
        (["effect", "dim", "-o", "f.png"], "nothing is selected"),
        (["effect", "color-splash", "-o", "f.gif", "--at", "3,3"], "no picture's name"),
    ],
)
def test_bad_words_get_one_sentence_and_leave_nothing(run, photo, step, tmp_path, words, sentence):
    at = 2 if words[0] == "effect" else 1
    before = sorted(tmp_path.iterdir())
    done = run(*words[:at], photo, "--depth", step, *words[at:])
    assert done.exit_code == 1, done.output
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert re.search(sentence, errors[0]), errors
    assert sorted(tmp_path.iterdir()) == before


def test_the_network_and_metres_by_anchors_serve_as_elsewhere(run, photo, tiny_folder, tmp_path):
    words = ("matte", photo, "--model", tiny_folder, "--nearer-than-percent", 30, "-o", "m.png")
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert 0.2 < (read(tmp_path / "m.png") / 255).mean() < 0.4


def test_assumed_metres_are_used_only_when_asked_for(run, photo, disparity, tmp_path):
    words = ("matte", photo, "--depth", disparity, "--far-m", 2, "-o", "m.png")
    assert run(*words).exit_code == 1
    done = run(*words, "--assume-range-m", "1,5")
    assert done.exit_code == 0, done.output
    assert "assumed a range of 1 to 5 m" in done.stderr


def test_the_focal_length_is_spoken_of_only_where_it_counts(run, photo, step, depth_mm):
    assumed = "does not tell its focal length"
    relative, metric = ("--depth", step, "--depth-kind", "relative"), ("--depth", depth_mm)
    for number, (words, said) in enumerate(
        [
            (("matte", photo, *relative, "--at", "8,20"), False),
            (("matte", photo, *metric, "--far-m", 2.4), False),
            (("effect", "dim", photo, *metric, "--far-m", 2.4), False),
            (("effect", "fog", photo, *relative), False),
            (("effect", "fog", photo, *metric, "--visibility-m", 9), True),
            (("effect", "flash", photo, *metric, "--full-m", 2), True),
        ]
    ):
        done = run(*words, "-o", f"{number}.png")
        assert done.exit_code == 0, done.output
        assert (assumed in done.stderr) == said, words
