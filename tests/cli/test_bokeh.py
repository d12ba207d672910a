"""`depth3d bokeh`: options to pictures, videos, stacks, maps and JSON."""

import json

import cv2
import numpy as np
import pytest

import depth3d as d3

SIZE_WH = (96, 72)


@pytest.fixture
def shot(tmp_path):
    """A noisy photo of a subject in front of a wall, with its depth in millimetres."""
    z = np.full(SIZE_WH[::-1], 4.0, np.float32)
    z[20:52, 32:64] = 1.0
    image = np.random.default_rng(0).integers(30, 226, (*z.shape, 3)).astype(np.uint8)
    d3.save(image, tmp_path / "p.png")
    cv2.imwrite(str(tmp_path / "z.png"), (1000 * z).astype(np.uint16))
    cv2.imwrite(str(tmp_path / "d.png"), (200 / z).astype(np.uint8))
    return image, z


WORDS = ("bokeh", "p.png", "--depth", "z.png", "--focal-px", 100, "-o", "o.png")


def test_a_lens_is_a_lens_and_the_json_says_which(run, shot):
    image, z = shot
    done = run(*WORDS, "--focus", "48,36", "--f-number", 2, "--focal-mm", 50, "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["aperture_mm"] == pytest.approx(25)
    assert facts["focus_m"] == pytest.approx(1)
    assert facts["largest_diameter_px"] == pytest.approx(100 * 0.025 * 0.75, rel=1e-5)
    sharp = np.hypot(*SIZE_WH) / 1500
    assert facts["hyperfocal_m"] == pytest.approx(100 * 0.025 / sharp)
    near, far = facts["depth_of_field_m"]
    assert 1 / near - 1 == pytest.approx(sharp / 2.5)
    assert 1 - 1 / far == pytest.approx(sharp / 2.5)
    assert facts["focus"]["point"] == [48, 36]
    camera = d3.Camera(100, 100, 48, 36, *SIZE_WH)
    scene = d3.RGBD(image, d3.DepthMap(z, "metric"), camera)
    want = d3.bokeh(scene, focus=(48, 36), lens=d3.ThinLens.from_f_number(50, 2))
    np.testing.assert_array_equal(d3.load_image("o.png"), want)


def test_full_frame_is_the_default_and_said(run, shot):
    done = run(*WORDS, "--f-number", 1.4)
    assert done.exit_code == 0, done.output
    assert "f/1.4 on full frame" in done.stderr
    assert "nearest large thing" in done.stderr


def test_relative_depth_needs_no_metres(run, shot):
    done = run("bokeh", "p.png", "--depth", "d.png", "--depth-kind", "relative", "-o", "o.png",
               "--focus", "48,36", "--strength-percent", 10, "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["largest_diameter_px"] == pytest.approx(9.6, rel=1e-3)
    assert "focus_m" not in facts
    np.testing.assert_array_equal(d3.load_image("o.png")[24:48, 36:60], shot[0][24:48, 36:60])


def test_relative_depth_and_a_lens(run, shot):
    done = run(
        "bokeh", "p.png", "--depth", "d.png", "--depth-kind", "relative", "-o", "o.png", "--f-number", 2
    )
    assert done.exit_code == 1
    assert "--strength-px" in done.stderr
    assert done.stderr.count("Error") == 1
    # A range makes metres of it.
    words = ("--assume-range-m", "1,4", "--fov-x-deg", 50)
    done = run(
        "bokeh",
        "p.png",
        "--depth",
        "d.png",
        "--depth-kind",
        "relative",
        "-o",
        "o.png",
        "--f-number",
        2,
        *words,
    )
    assert done.exit_code == 0, done.output


def test_maps(run, shot, tmp_path):
    done = run(*WORDS, "--focus-m", 4, "--aperture-mm", 80, "--maps", "maps")
    assert done.exit_code == 0, done.output
    diameter = np.load("maps/diameter_px.npy")
    want = d3.circle_of_confusion_px(shot[1], focus_m=4, lens=d3.ThinLens(0.08), fx_px=100)
    np.testing.assert_allclose(diameter, want, atol=1e-4)
    near = cv2.imread("maps/near.png", cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(near, 255 * (shot[1] == 1))
    coverage = cv2.imread("maps/coverage.png", cv2.IMREAD_UNCHANGED)
    assert coverage.dtype == np.uint16
    assert coverage[36, 48] > 65000
    done = run(*WORDS[:-1], "other.png", "--maps", "maps")
    assert done.exit_code == 1
    assert "already exists" in done.stderr
    assert not (tmp_path / "other.png").exists()


def test_a_focus_pull(run, shot):
    import av

    done = run("bokeh", "p.png", "--depth", "z.png", "--focal-px", 100, "-o", "pull.mp4", "--rack-focus",
               "48,36,1.4:5,5,8", "--seconds", 0.5, "--fps", 12, "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["disparities"] == pytest.approx([1, 0.25])
    with av.open("pull.mp4") as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(pictures) == 6
    assert pictures[0][30:42, 40:56].std() > 1.5 * pictures[0][:12].std()


@pytest.mark.parametrize("output", ["pull.gif", "pull.webp", "pull.webm", "pull.mkv", "frames"])
def test_a_focus_pull_in_every_format_and_size(run, shot, tmp_path, output):
    """Read with Pillow or PyAV: as many frames, of that size, the first sharp where the last is not."""
    import av
    from PIL import Image, ImageSequence

    done = run("bokeh", "p.png", "--depth", "z.png", "--focal-px", 100, "-o", output, "--rack-focus",
               "48,36,0.3:5,5,0.3", "--seconds", 0.5, "--fps", 10, "--size", "48", "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert (facts["frames"], facts["size_wh"]) == (5, [48, 36])
    if output == "frames":
        pictures = [d3.load_image(path) for path in sorted((tmp_path / output).glob("*.png"))]
    elif output.endswith(("gif", "webp")):
        with Image.open(output) as film:
            pictures = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(film)]
    else:
        with av.open(output) as container:
            pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [picture.shape for picture in pictures] == 5 * [(36, 48, 3)]
    inside = (slice(14, 22), slice(20, 28))
    assert pictures[0][inside].std() > 1.2 * pictures[-1][inside].std()


def test_the_focal_length_is_spoken_of_only_where_it_counts(run, shot):
    assumed = "does not tell its focal length"
    relative = ("bokeh", "p.png", "--depth", "d.png", "--depth-kind", "relative")
    metric = ("bokeh", "p.png", "--depth", "z.png")
    for number, (words, said) in enumerate(
        [
            (relative, False),
            ((*relative, "--strength-px", 5), False),
            ((*relative, "--assume-range-m", "1,4"), True),
            (metric, True),
            ((*metric, "--strength-px", 5), False),
            ((*metric, "--strength-px", 5, "--tilt-deg", 30), True),
        ]
    ):
        done = run(*words, "-o", f"{number}.png", "--json")
        assert done.exit_code == 0, done.output
        assert (assumed in done.stderr) == (assumed in done.stdout) == said, words


def test_a_focus_stack(run, shot):
    done = run("bokeh", "p.png", "--depth", "z.png", "--focal-px", 100, "-o", "stack", "--focus-stack", 3,
               "--aperture-mm", 60)  # fmt: skip
    assert done.exit_code == 0, done.output
    index = cv2.imread("stack/index.png", cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(index, np.where(shot[1] == 1, 1, 3))
    inside = shot[1] == 1
    np.testing.assert_array_equal(d3.load_image("stack/focus_001.png")[inside], shot[0][inside])
    camera = d3.Camera(100, 100, 48, 36, *SIZE_WH)
    scene = d3.RGBD(shot[0], d3.DepthMap(shot[1], "metric"), camera)
    whole = d3.focus_stack(scene, 3, lens=d3.ThinLens(0.06))
    np.testing.assert_array_equal(d3.load_image("stack/all_in_focus.png"), whole.all_in_focus)
    for number, image in enumerate(whole.images, start=1):
        np.testing.assert_array_equal(d3.load_image(f"stack/focus_00{number}.png"), image)
    done = run("bokeh", "p.png", "--depth", "z.png", "-o", "stack", "--focus-stack", 3)
    assert done.exit_code == 1
    assert "already exists" in done.stderr


def test_a_miniature_needs_no_depth(run, shot):
    done = run("bokeh", "p.png", "-o", "m.png", "--miniature", "--band-percent", 30, "--strength-px", 12)
    assert done.exit_code == 0, done.output
    np.testing.assert_array_equal(d3.load_image("m.png")[26:46], shot[0][26:46])
    done = run("bokeh", "p.png", "-o", "n.png", "--miniature", "--focus", "5,500")
    assert done.exit_code == 1
    assert "outside the picture of 96x72" in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--focus", "500,3"), "outside the picture of 96x72"),
        (("--focus", "5,3", "--focus-m", 2), "give one of them"),
        (("--f-number", 2, "--strength-px", 5), "leave one of them out"),
        (("--aperture-mm", 2, "--f-number", 2), "give one of them"),
        (("--strength-px", 2, "--strength-percent", 2), "say the same"),
        (("--blades", 2), "blades must be 0"),
        (("--miniature", "--focus-stack", 3), "two different things"),
        (("--miniature", "--focus-m", 3), "says nothing about --miniature"),
        (("--seconds", 2), "--seconds belongs to --rack-focus"),
        (("--size", 48), "--size belongs to --rack-focus"),
        (("--rack-focus", "1,2:3,4", "--size", "1x9", "-o", "o.mp4"), "size must be"),
        (("--band-angle-deg", 0), "--band-angle-deg belongs to --miniature"),
        (("--grain", 1, "--seed", -1), "seed must be a whole number"),
        (("--maps", "p.png"), "a folder is needed"),
        (("--fringe-px", 1e9), "fringe_px must be three numbers"),
        (("--aperture-mm", 1e8, "-q"), "close the lens"),
        (("--strength-px", 1e300, "-q"), "close the lens"),
        (("--focus-m", 1e-300, "-q"), "close the lens"),
        (("--rack-focus", "1,2:3,4"), "can't write a video"),
        (("--aperture-picture", "missing.png"), "missing.png"),
    ],
)
def test_bad_options_are_one_sentence(run, shot, tmp_path, words, says):
    done = run(*WORDS, *words)
    assert done.exit_code == 1, done.output
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "o.png").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--focus", "5,3", "--focus-m", 2),
        ("--f-number", 2, "--strength-px", 5),
        ("--aperture-mm", 2, "--f-number", 2),
        ("--strength-px", 2, "--strength-percent", 2),
    ],
)
def test_contradictions_are_refused_before_a_depth_is_sought(run, shot, words):
    done = run("bokeh", "p.png", "--depth", "missing.png", "-o", "o.png", *words)
    assert done.exit_code == 1
    assert "missing.png" not in done.stderr


def test_a_stack_needs_a_folder(run, shot):
    before = (shot[0]).copy()
    done = run("bokeh", "p.png", "--depth", "z.png", "-o", "p.png", "--focus-stack", 3)
    assert done.exit_code == 1
    assert "a folder is needed" in done.stderr
    np.testing.assert_array_equal(d3.load_image("p.png"), before)


def test_apertures(run, shot, tmp_path):
    heart = np.zeros((9, 9, 3), np.uint8)
    heart[2:7, 3:6] = 255
    d3.save(heart, tmp_path / "heart.png")
    looks = (
        ("--blades", 6, "--roundness", 0.3, "--rotation-deg", 15),
        ("--squeeze", 2, "--cats-eye", 0.4),
        ("--bubble", 2, "--fringe-px", 1),
        ("--aperture-picture", "heart.png"),
    )
    pictures = []
    for number, words in enumerate(((), *looks)):
        done = run(*WORDS[:-1], f"{number}.png", "--aperture-mm", 200, "--focus", "48,36", *words)
        assert done.exit_code == 0, done.output
        pictures.append(d3.load_image(f"{number}.png"))
    for picture in pictures[1:]:
        assert (picture != pictures[0]).mean() > 0.2
        np.testing.assert_array_equal(picture[24:48, 36:60], shot[0][24:48, 36:60])
