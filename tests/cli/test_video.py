"""`depth3d video`: every effect from the command line, with sound and times; words for what is wrong."""

import json
from fractions import Fraction
from pathlib import Path
from unittest.mock import patch

import av
import cv2
import numpy as np
import pytest

import depth3d as d3
from depth3d import verbs

W, H, FRAMES, RATE = 64, 48, 5, 10


def pictures():
    rng = np.random.default_rng(1)
    wall = cv2.GaussianBlur(rng.integers(40, 216, (H, W, 3)).astype(np.uint8), (0, 0), 1.5)
    for number in range(FRAMES):
        image = wall.copy()
        image[14:34, 20 + number : 40 + number] = (200, 40, 40)
        yield image


@pytest.fixture
def clip(tmp_path):
    """A film with a tone, and a folder `maps` with the depth of each frame."""
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as film:
        video = film.add_stream("libx264", rate=RATE, options={"crf": "10"})
        video.width, video.height, video.pix_fmt = W, H, "yuv420p"
        sound = film.add_stream("aac", rate=8000)
        sound.layout = "mono"
        for number, image in enumerate(pictures()):
            film.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            tone = np.sin(np.arange(800) * 0.3 + 240 * number).astype(np.float32)[None] * 0.3
            piece = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            piece.rate, piece.pts = 8000, 800 * number
            film.mux(sound.encode(piece))
        for stream in (video, sound):
            film.mux(stream.encode())
    (tmp_path / "maps").mkdir()
    for number in range(FRAMES):
        values = np.full((H, W), 2.0, np.float32)
        values[14:34, 20 + number : 40 + number] = 10.0
        d3.save(d3.DepthMap(values, "relative"), tmp_path / "maps" / f"map_{number}.npz")
    return path


def streams_of(path):
    with av.open(str(path)) as film:
        times = [frame.pts * frame.time_base for frame in film.decode(video=0)]
        kinds = sorted(stream.type for stream in film.streams)
        stream = film.streams.video[0]
        return [time - times[0] for time in times], kinds, (stream.width, stream.height)


@pytest.mark.parametrize(
    ("effect", "options", "size"),
    [
        ("depth", ("--colormap", "gray", "--range", "12,0"), (W, H)),
        ("bokeh", ("--focus", "30,24", "--track", "--strength-px", 4), (W, H)),
        ("stereo", ("--divergence-percent", 3, "--convergence", 0), (2 * W, H)),
        ("parallax", ("--path", "sway", "--path-seconds", 0.5), (W, H)),
    ],
)
def test_every_effect_keeps_times_and_sound(run, clip, effect, options, size):
    done = run("video", clip, "-o", "o.mp4", "--effect", effect, "--depth", "maps", *options, "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert (facts["frames"], facts["effect"], facts["depth"], facts["temporal"]) == (
        FRAMES,
        effect,
        "maps",
        "off",
    )
    assert facts["frames_per_second"] > 0
    times, kinds, size_wh = streams_of("o.mp4")
    assert times == [Fraction(k, RATE) for k in range(FRAMES)]
    assert kinds == ["audio", "video"]
    assert size_wh == size
    if effect == "depth":
        with d3.open_video("o.mp4") as video:
            for number, frame in enumerate(video.frames()):
                inside = frame.image[18:30, 24 + number : 36 + number]
                assert np.abs(inside.astype(int) - round(255 * 10 / 12)).max() <= 3
                assert abs(int(frame.image[4, 4, 0]) - round(255 * 2 / 12)) <= 3


def test_clouds_and_stretches(run, clip):
    done = run("video", clip, "-o", "clouds", "--effect", "cloud", "--every", 2, "--depth", "maps",
               "--max-frames", 3, "--stride", 2)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "assumed 60 degrees" in done.stderr
    assert d3.load_cloud("clouds/frame_00003.ply").points.shape[0] <= W * H / 4
    again = run("video", clip, "-o", "clouds", "--effect", "cloud", "--depth", "maps")
    assert again.exit_code == 1
    assert "holds clouds already" in again.stderr
    done = run("video", clip, "-o", "cut.mkv", "--depth", "maps", "--start", 0.2, "--end", 0.4, "--size", 32,
               "--no-sound")  # fmt: skip
    assert done.exit_code == 0, done.output
    times, kinds, size = streams_of("cut.mkv")
    assert (len(times), kinds, size) == (2, ["video"], (32, 24))


def test_numbers_go_out_and_come_in_again(run, clip):
    done = run(
        "video", clip, "-o", "n.mkv", "--bits", 16, "--depth", "maps", "--temporal", "causal", "--json"
    )
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["files"] == ["n.mkv", "n.json"]
    assert facts["clipped_pixels"] == 0
    assert facts["temporal"] == "causal"
    assert run("video", clip, "-o", "n.mkv", "--codec", "ffv1", "--depth", "maps").exit_code == 1
    done = run("video", clip, "-o", "s.gif", "--effect", "stereo", "--anaglyph", "dubois", "--depth", "n.mkv")
    assert done.exit_code == 0, done.output
    assert "5 frames" in done.stdout
    done = run("video", clip, "-o", "p", "--depth", "n.mkv", "--codec", "jpg", "--quality", 80)
    assert done.exit_code == 0, done.output
    assert Path("p/frame_00005.jpg").read_bytes()[:2] == b"\xff\xd8"


def test_many_films(run, clip):
    Path("clips/day 2").mkdir(parents=True)
    for place in ("clips/a.mp4", "clips/day 2/b.mp4"):
        Path(place).write_bytes(clip.read_bytes())
    Path("clips/notes.mkv").write_text("no film")
    words = ("video", "clips", "-o", "done", "--effect", "stereo", "--depth", "maps", "--max-frames", 2)
    refused = run(*words)
    assert refused.exit_code == 1
    assert "--depth belongs to one film, and there are 3" in refused.stderr
    assert not Path("done").exists()
    for name in ("a", "b", "notes"):
        Path(f"maps_{name}").symlink_to("maps")
    done = run(*words, "--depth", "maps_{stem}", "--json")
    assert done.exit_code == 1
    assert "clips/notes.mkv" in done.stderr
    assert "1 of 3 films failed; the others are written" in done.stderr
    by_photo = {row["photo"]: row for row in json.loads(done.stdout)}
    assert by_photo["clips/day 2/b.mp4"]["output"] == "done/day 2/b_stereo.mp4"
    times, kinds, size = streams_of("done/day 2/b_stereo.mp4")
    assert (len(times), kinds, size) == (2, ["audio", "video"], (2 * W, H))
    before = Path("done/a_stereo.mp4").read_bytes()
    Path("done/day 2/b_stereo.mp4").unlink()
    again = run(*words, "--depth", "maps_{stem}", "--resume")
    assert "1 of 3 were done before" in again.stderr
    assert Path("done/a_stereo.mp4").read_bytes() == before
    assert len(streams_of("done/day 2/b_stereo.mp4")[0]) == 2


def test_a_folder_of_pictures_is_one_film(run, clip):
    Path("frames").mkdir()
    for number, image in enumerate(pictures()):
        cv2.imwrite(f"frames/{number:02}.png", image)
    done = run("video", "frames", "-o", "f.mp4", "--depth", "maps", "--fps", RATE)
    assert done.exit_code == 0, done.output
    assert len(streams_of("f.mp4")[0]) == FRAMES


def test_a_network_makes_depth_that_is_kept_steady(run, clip):
    words = ("video", clip, "-o", "d.webm", "--model", "mini", "--max-frames", 3, "--input-size", 64)
    done = run(*words, "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert (facts["depth"], facts["kind"], facts["temporal"]) == ("mini", "relative", "offline")
    assert len(streams_of("d.webm")[0]) == 3
    wide = ("--effect", "depth", "--max-tokens", 16, "--temporal", "off", "--overwrite")
    with patch.object(verbs, "loaded_estimator", wraps=verbs.loaded_estimator) as loads:
        assert run(*words, *wide).exit_code == 0
    assert loads.call_args.kwargs["max_tokens"] == 16


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--focus", "3,3"), "--focus belongs to --effect bokeh"),
        (("--effect", "bokeh", "--layout", "rows"), "--layout belongs to --effect stereo"),
        (("--effect", "bokeh", "--track"), "point at it"),
        (("--effect", "bokeh", "--focus-m", 2), "focus_m needs metric depth"),
        (("--effect", "stereo", "--layout", "rows", "--anaglyph", "true"), "two different things"),
        (("--effect", "stereo", "--baseline-mm", 63), "baseline_mm needs metric"),
        (("--effect", "parallax", "--turns", 2), "--turns belongs to --path circle and spiral"),
        (("--range", "1,5"), "the nearer is the larger"),
        (("--bits", 16), "16 bits goes into .mkv"),
        (("--codec", "vp9x"), "is not one of"),
        (("--start", 99), "99"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_and_leaves_nothing(run, clip, tmp_path, words, says):
    before = sorted(path.name for path in tmp_path.iterdir())
    done = run("video", clip, "-o", "o.mp4", "--depth", "maps", *words)
    assert done.exit_code in (1, 2)
    assert says in done.output
    assert "bug in depth3d" not in done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_files_that_are_no_films_and_outputs_that_can_not_be(run, clip, tmp_path):
    (tmp_path / "text.mp4").write_text("hello")
    with av.open(str(tmp_path / "sound.mp4"), "w") as film:
        sound = film.add_stream("aac", rate=8000)
        sound.layout = "mono"
        piece = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        piece.rate = 8000
        film.mux(sound.encode(piece))
        film.mux(sound.encode())
    for name in ("text.mp4", "sound.mp4", "nothing.mp4"):
        done = run("video", name, "-o", "o.mp4", "--depth", "maps")
        assert done.exit_code == 1
        assert name in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    same = run("video", clip, "-o", clip, "--depth", "maps", "--overwrite")
    assert same.exit_code == 1
    assert "input itself" in same.stderr
    assert run("video", clip, "-o", "no/o.mp4", "--depth", "maps").exit_code == 1
    short = run("video", clip, "-o", "o.mp4", "--depth", clip)
    assert short.exit_code == 1
    assert "clip.json beside it" in short.stderr
    (tmp_path / "maps" / "map_4.npz").unlink()
    short = run("video", clip, "-o", "o.mp4", "--depth", "maps")
    assert short.exit_code == 1
    assert "--max-frames 4" in short.stderr
    assert not (tmp_path / "o.mp4").exists()
    assert not list(tmp_path.glob(".*"))


def test_the_first_interrupt_ends_a_live_film_and_the_second_one_everything():
    import os
    import signal

    from cli.commands.video import _stop_at_interrupt

    found = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start jobs with it ignored
    before = signal.getsignal(signal.SIGINT)

    def interrupt_twice():
        with _stop_at_interrupt(wanted=True) as until:
            assert not until.is_set()
            os.kill(os.getpid(), signal.SIGINT)
            assert until.wait(5)
            os.kill(os.getpid(), signal.SIGINT)
            until.wait(0.1)

    try:
        with pytest.raises(KeyboardInterrupt):
            interrupt_twice()
        assert signal.getsignal(signal.SIGINT) is before
        with _stop_at_interrupt(wanted=False):
            assert signal.getsignal(signal.SIGINT) is before
    finally:
        signal.signal(signal.SIGINT, found)
