"""`depth3d parallax`: options to films, pages and JSON; keyframes and poses from files."""

import json

import cv2
import numpy as np
import pytest

import depth3d as d3
from cli.parallax_options import OPTIONS_OF_PATHS, _name_of
from depth3d.parallax_files import load_keyframes, load_path
from depth3d.render.film_presets import PRESETS

W, H = 64, 48


@pytest.fixture
def shot(tmp_path):
    """A photo of a box before a wall, with its depth in millimetres and as disparity."""
    z = np.full((H, W), 3.0, np.float32)
    z[14:34, 24:40] = 1.0
    image = np.random.default_rng(0).integers(30, 226, (H, W, 3)).astype(np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 1.5)
    d3.save(image, tmp_path / "p.png")
    cv2.imwrite(str(tmp_path / "z.png"), (1000 * z).astype(np.uint16))
    cv2.imwrite(str(tmp_path / "d.png"), (200 / z).astype(np.uint8))
    return image


METRIC = ("parallax", "p.png", "--depth", "z.png", "--focal-px", 70)
RELATIVE = ("parallax", "p.png", "--depth", "d.png", "--depth-kind", "relative")
SHORT = ("--seconds", 0.5, "--fps", 8)


def frames_of(path):
    import av

    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_a_film_and_its_facts(run, shot):
    done = run(*METRIC, "-o", "o.mp4", *SHORT, "--pivot", "32,24", "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["frames"] == 4
    assert facts["path"] == "Orbit(direction_deg=0.0, ellipse=0.0)"
    assert facts["repeat"] == "loop"
    assert facts["size"] == [W, H]
    assert facts["pivot"] == [32, 24]
    assert facts["pivot_m"] == pytest.approx(1)
    shown = 1 - facts["crop_percent"] / 100
    assert facts["largest_parallax_px"] * shown == pytest.approx(0.025 * W, rel=1e-3)
    assert facts["reach_px"] == pytest.approx(0.025 * W, rel=1e-3)  # the box has the whole span of depth
    assert 0 < facts["crop_percent"] < 15
    assert [frame.shape for frame in frames_of("o.mp4")] == [(H, W, 3)] * 4


def test_relative_depth_and_a_preset(run, shot):
    done = run(*RELATIVE, "-o", "story.gif", "--preset", "social", *SHORT, "--size", 64, "--aspect", "9:16",
               "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["path"] == "Orbit(direction_deg=0.0, ellipse=0.5)"
    assert facts["size"] == [36, 64]
    assert "pivot_m" not in facts
    assert "length_units" in facts


def test_presets_give_way_to_what_is_given(run, shot):
    done = run(*METRIC, "-o", "o.gif", "--preset", "vertigo", "--repeat", "once", "--amplitude", 0.5, *SHORT,
               "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert (facts["path"], facts["repeat"], facts["frames"]) == ("DollyZoom(direction='out')", "once", 4)


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("gentle", "--direction-deg", 90), "Orbit(direction_deg=90.0, ellipse=0.0)"),
        (("social", "--direction-deg", 90), "Orbit(direction_deg=90.0, ellipse=0.5)"),
        (("handheld", "--seed", 3), "Handheld(seed=3, cycles=4)"),
        (("handheld", "--path", "sway"), "Sway(direction_deg=0.0)"),
        (("cinematic", "--focus", "40,40"), "DollyIn()"),
        (("vertigo",), "DollyZoom(direction='out')"),
    ],
)
def test_options_change_the_path_of_a_preset(run, shot, words, path):
    done = run(*METRIC, "-o", "o.gif", *SHORT, "--size", 32, "--json", "--preset", *words)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["path"] == path


def test_every_preset_has_a_path_of_the_command():
    for preset in PRESETS.values():
        assert _name_of(preset.path) in OPTIONS_OF_PATHS


@pytest.mark.parametrize(
    ("words", "size"),
    [
        (("--size", 64), [36, 64]),
        (("--size", "64x48"), [64, 48]),
        (("--size", 64, "--aspect", "1:1"), [64, 64]),
    ],
)
def test_a_size_keeps_the_aspect_of_a_preset(run, shot, words, size):
    done = run(*METRIC, "-o", "o.gif", *SHORT, "--preset", "social", "--json", *words)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["size"] == size


def test_a_hold_is_a_part_of_the_seconds_of_the_film(run, shot, tmp_path):
    done = run(*METRIC, "-o", "o.gif", "--preset", "gentle", "--hold-seconds", 6, "--fps", 1, "--json")
    assert done.exit_code == 0, done.output
    keys = [{"time_s": 0}, {"time_s": 2, "position": [1, 0, 0]}]
    (tmp_path / "k.json").write_text(json.dumps({"keys": keys}))
    done = run(*METRIC, "-o", "k.gif", "--keyframes", "k.json", "--hold-seconds", 3)
    assert done.exit_code == 1
    assert "a part of --seconds" in done.stderr


def test_a_folder_of_the_first_frames(run, shot):
    done = run(*METRIC, "-o", "frames", *SHORT, "--border", "fill", "--path", "sway", "--vignette", 0.3)
    assert done.exit_code == 0, done.output
    assert "parallax of up to" in done.stdout
    first = d3.load_image("frames/frame_00001.png")
    np.testing.assert_allclose(first[22:26, 30:34].astype(int), shot[22:26, 30:34], atol=3)
    assert first[0, 0].sum() < shot[0, 0].sum()


def test_a_page(run, shot, tmp_path):
    done = run(*METRIC, "-o", "page.html", "--amplitude", 0.5, "--json")
    assert done.exit_code == 0, done.output
    assert "<html" in (tmp_path / "page.html").read_text()
    assert json.loads(done.stdout)["margin_px"] >= 2


def test_layers_as_meshes(run, shot, tmp_path):
    done = run(*METRIC, "-o", "layers.glb", "--amplitude", 0.5)
    assert done.exit_code == 0, done.output
    assert d3.load_mesh(tmp_path / "layers.glb").faces.shape[0] > 100


def test_keyframes(run, shot, tmp_path):
    keys = [{"time_s": 0}, {"time_s": 0.5, "position": [1, 0, 0.2], "zoom": 1.1, "easing": "sine"}]
    (tmp_path / "k.json").write_text(json.dumps({"keys": keys, "aim": "look"}))
    done = run(*METRIC, "-o", "o.gif", "--keyframes", "k.json", "--fps", 8, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["frames"] == 4
    path = load_keyframes("k.json")
    assert path.aim == "look"
    assert path.keys[1] == d3.Keyframe(0.5, (1, 0, 0.2), zoom=1.1, easing="sine")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is no JSON"),
        ("[]", '"keys"'),
        ('{"keys": [{"time_s": 0}], "speed": 3}', "the file has 'speed'"),
        ('{"keys": [{"time_s": 0}, {}]}', r"keys\[1\] must be an object with time_s"),
        (
            '{"keys": [{"time_s": 0}, {"time_s": 1, "position": [1, 2]}]}',
            r"keys\[1\].position must be 3 numbers",
        ),
        ('{"keys": [{"time_s": 0}, {"time_s": 1, "zoom": true}]}', r"keys\[1\].zoom must be a number"),
        ('{"keys": [{"time_s": 0}, {"time_s": 1, "zoom": -1}]}', r"keys\[1\].zoom must lie in"),
        ('{"keys": [{"time_s": 0, "easing": 1}]}', r"keys\[0\].easing must be a name"),
        ('{"keys": [{"time_s": 0, "at": 1}]}', r"keys\[0\] has 'at'"),
        ('{"keys": [{"time_s": 1}, {"time_s": 0}]}', "times increase"),
        ('{"keys": [{"time_s": 0}, {"time_s": 1}], "unit": "cm"}', "unit must be auto or m"),
    ],
)
def test_errors_in_keyframes_name_the_field(tmp_path, text, says):
    (tmp_path / "k.json").write_text(text)
    with pytest.raises(d3.Depth3DError, match=says):
        load_keyframes(tmp_path / "k.json")
    with pytest.raises(d3.Depth3DError, match="check the path"):
        load_keyframes(tmp_path / "missing.json")


def test_poses(run, shot, tmp_path):
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[:, 0, 3] = (5.0, 5.01, 5.02)
    np.save(tmp_path / "poses.npy", poses)
    done = run(*METRIC, "-o", "o.gif", "--poses", "poses.npy", *SHORT, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["largest_parallax_px"] == pytest.approx(70 * 0.02 * 2 / 3, rel=0.05)
    np.testing.assert_allclose(load_path("poses.npy").poses, poses)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--pivot", "1,2", "--pivot-m", 2), "say the same"),
        (("--ellipse", 0.5, "--path", "sway"), "--ellipse belongs to --path orbit"),
        (("--keyframes", "k.json", "--path", "sway"), "are a path already"),
        (("--focus", "3,4"), "--focus belongs to"),
        (("--preset", "gentle", "--seed", 3), "--seed belongs to --path handheld"),
        (("--amplitude", 1, "--length-m", 1), "--amplitude and --length-m say the same"),
        (("--max-parallax-percent", 2, "--length-m", 1), "say the same"),
        (("--blur-percent", 1, "--f-number", 2), "say the same"),
        (("--for", "reel", "--aspect", "1:1"), "say the same"),
        (("--size", "64x64", "--aspect", "1:1"), "has its own aspect"),
        (("--hold-seconds", 9), "a part of --seconds"),
        (("--path", "dolly-in", "--repeat", "loop"), "use ping-pong or once"),
        (("--keyframes", "missing.json"), "missing.json"),
        (("--pivot", "500,2"), "outside the picture"),
        (("--length-m", 5, "--path", "dolly-in", "-q"), "come to a surface"),
        (("--fps", 100), "more than 50 frames a second"),
    ],
)
def test_bad_options_are_one_sentence(run, shot, tmp_path, words, says):
    done = run(*METRIC, "-o", "o.gif", *words)
    assert done.exit_code == 1, done.output
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "o.gif").exists()


@pytest.mark.parametrize(
    "words", [("--path", "sway"), ("--preset", "social"), ("--direction-deg", 90), ("--ellipse", 0.5)]
)
def test_what_says_nothing_about_a_page(run, shot, words):
    done = run(*METRIC, "-o", "page.html", *words)
    assert done.exit_code == 1
    assert f"{words[0]} says nothing about a page" in done.stderr


@pytest.mark.parametrize(
    ("size", "aspect"), [("12by9", "1:1"), ("1x2x3", "1:1"), ("640", "wide"), ("640", "1:0")]
)
def test_sizes_and_aspects_that_are_none(run, shot, size, aspect):
    done = run(*METRIC, "-o", "o.gif", "--size", size, "--aspect", aspect)
    assert done.exit_code == 2
    assert "such as" in done.stderr


def test_outputs_are_checked_before_a_depth_is_sought(run, shot, tmp_path):
    for output, says in (("o.xyz", ".xyz"), ("p.png", ".png"), ("there.gif", "already exists")):
        (tmp_path / "there.gif").write_bytes(b"x")
        done = run("parallax", "p.png", "--depth", "missing.png", "-o", output)
        assert done.exit_code == 1, done.output
        assert says in done.stderr
        assert "missing.png" not in done.stderr
