"""Frames that bring their times, and frames of more than 8 bits, read back as they were."""

import csv
import struct
import weakref
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from depth3d.errors import InputError, UnsupportedFormatError
from depth3d.io.shown_frames import ticks_a_second
from depth3d.io.video import check_video, save_video
from depth3d.io.video_frame import VideoFrame

PHONE = [Fraction(int(tick), 90_000) for tick in np.cumsum([0, 3003, 2997, 3000, 6000, 1500, 90_000, 3000])]
SLIDES = [Fraction(0), Fraction(10), Fraction(10) + Fraction(1, 30)]


def timed(times, shape=(64, 64, 3), dtype=np.uint8):
    for number, time_s in enumerate(times):
        yield VideoFrame(np.full(shape, 5 * number, dtype), Fraction(time_s), number)


def read(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        times = [frame.pts * frame.time_base for frame in container.decode(stream)]
        return times, stream.average_rate, length_s(path) or Fraction(container.duration, 1_000_000)


def length_s(path):
    """What an MP4 says of itself (ISO 14496-12, `mvhd`); FFmpeg adds up decoding times instead."""
    _, is_there, box = path.read_bytes().partition(b"mvhd")
    if is_there:
        timescale, length = struct.unpack(">IQ", box[20:32]) if box[0] else struct.unpack(">II", box[12:20])
        return Fraction(length, timescale)
    return None


def from_zero(times):
    return [Fraction(time) - Fraction(times[0]) for time in times]


@pytest.mark.parametrize("times", [PHONE, SLIDES, [Fraction(7, 3)], [time + 5 for time in PHONE]])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm"])
def test_each_frame_keeps_its_time(name, times, tmp_path):
    assert save_video(timed(times), tmp_path / name) == len(times)
    found, _, seconds = read(tmp_path / name)
    exact = from_zero(times)
    last = exact[-1] - exact[-2] if len(times) > 1 else Fraction(1, 30)
    rounding = Fraction(1, 2000) if name in ("a.mkv", "a.webm") else 0
    assert len(found) == len(exact)
    assert max(abs(a - b) for a, b in zip(found, exact, strict=True)) <= rounding
    assert abs(seconds - exact[-1] - last) <= rounding + Fraction(1, 1000)


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "av1"])
def test_each_encoder_keeps_times(codec, tmp_path):
    if codec == "av1" and "libsvtav1" not in av.codecs_available:
        pytest.skip("this PyAV has no AV1 encoder")
    save_video(timed(PHONE), tmp_path / "a.mp4", codec=codec)
    assert read(tmp_path / "a.mp4")[0] == PHONE


@pytest.mark.parametrize(
    "gap", [Fraction(1001, 30_000), Fraction(1001, 24_000), Fraction(1, 25), Fraction(1, 7)]
)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_constant_rate_stays_exactly_constant(name, gap, tmp_path):
    save_video(timed([k * gap for k in range(50)]), tmp_path / name)
    times, rate, _ = read(tmp_path / name)
    assert rate == 1 / gap
    if name == "a.mp4":
        assert times == [k * gap for k in range(50)]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm"])
def test_a_frame_an_hour(name, tmp_path):
    save_video((frame.image for frame in timed(range(4))), tmp_path / name, fps=1 / 3600)
    times, rate, length_s = read(tmp_path / name)
    assert (times, rate, length_s) == ([0, 3600, 7200, 10_800], Fraction(1, 3600), 14_400)


def test_the_clock_holds_the_times_of_common_films_and_never_runs_away():
    for ticks in (24_000, 30_000, 60_000, 600, 1000, 90_000, 15_360, 12_800, 1_000_000):
        assert ticks_a_second(Fraction(1, ticks)) % ticks == 0
    assert ticks_a_second(Fraction(1, 999_999_937)) == 9_000_000


def test_times_between_ticks_are_rounded_and_keep_their_order(tmp_path):
    times = [Fraction(0), Fraction(1, 30), Fraction(1, 30) + Fraction(1, 10**7), Fraction(1), Fraction(8, 7)]
    save_video(timed(times), tmp_path / "a.mp4")
    found, _, _ = read(tmp_path / "a.mp4")
    assert sorted(set(found)) == found
    assert max(abs(a - b) for a, b in zip(found, times, strict=True)) <= Fraction(1, 90_000)


def test_a_rate_leaves_times_out_of_account(tmp_path):
    save_video(timed(PHONE), tmp_path / "a.mp4", fps=25)
    assert read(tmp_path / "a.mp4")[0] == [Fraction(k, 25) for k in range(len(PHONE))]


@pytest.mark.parametrize(("name", "tick_s", "least"), [("a.gif", 0.01, 2), ("a.webp", 0.001, 11)])
def test_animations_keep_times_and_show_nothing_too_briefly(name, tick_s, least, tmp_path):
    gaps = [3, 7, 0.3, 0.4, 0.4, 50, 2.2]  # hundredths of a second
    times = np.cumsum([0, *gaps]) / 100
    count = save_video(timed(times), tmp_path / name)
    with Image.open(tmp_path / name) as opened:
        durations = []
        for number in range(opened.n_frames):
            opened.seek(number)
            opened.load()
            durations.append(opened.info["duration"] / 1000)
    assert len(durations) == count
    assert min(durations) >= least * tick_s
    ends = [*times[1:], times[-1] + gaps[-1] / 100]
    assert all(np.abs(ends - end).min() <= tick_s / 2 + 1e-9 for end in np.cumsum(durations)[:-1])
    assert np.cumsum(durations)[-1] == pytest.approx(ends[-1], abs=least * tick_s)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "folder"])
@pytest.mark.parametrize("has_times", [False, True])
def test_frames_are_let_go_before_the_next_one_is_made(name, has_times, tmp_path):
    made = []

    def watched():
        for number in range(6):
            held = sum(image() is not None for image in made)
            assert held <= has_times  # whose length is known only when the next one is there
            image = np.zeros((16, 16, 3), np.uint8)
            image.flags.writeable = False  # else it is copied
            made.append(weakref.ref(image))
            yield VideoFrame(image, Fraction(number, 30), number) if has_times else image
            del image

    assert save_video(watched(), tmp_path / name) == 6


def test_a_folder_gets_a_list_of_times(tmp_path):
    save_video(timed(PHONE), tmp_path / "out")
    with (tmp_path / "out" / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [f"frame_{k:05d}.png" for k in range(1, len(PHONE) + 1)]
    starts, ends = ([float(row[key]) for row in rows] for key in ("start_s", "end_s"))
    assert starts == pytest.approx([float(time) for time in PHONE], abs=1e-9)
    assert ends == pytest.approx([*starts[1:], starts[-1] + 1 / 30], abs=1e-9)
    save_video((frame.image for frame in timed(PHONE)), tmp_path / "out")  # now 30 a second
    assert not (tmp_path / "out" / "frames.csv").exists()


def test_the_list_comes_and_goes_with_its_pictures(tmp_path):
    save_video(timed(PHONE), tmp_path / "out")
    before = (tmp_path / "out" / "frames.csv").read_text()

    def broken():
        yield from timed(PHONE[:3])
        raise RuntimeError("fell over")

    with pytest.raises(RuntimeError, match="fell over"):
        save_video(broken(), tmp_path / "out")
    assert (tmp_path / "out" / "frames.csv").read_text() == before
    assert len(before.splitlines()) == 1 + len(list((tmp_path / "out").glob("*.png")))


# -- bits -----------------------------------------------------------------------------------------


def random(dtype, shape, count=4):
    rng = np.random.default_rng(0)
    return list(rng.integers(0, np.iinfo(dtype).max, (count, *shape), dtype, endpoint=True))


@pytest.mark.parametrize("codec", ["auto", "ffv1"])
@pytest.mark.parametrize(
    ("dtype", "shape", "pixels", "read_as"),
    [
        (np.uint16, (33, 47), "gray16le", "gray16le"),
        (np.uint8, (33, 47), "gray", "gray"),
        (np.uint8, (33, 47, 3), "bgr0", "rgb24"),
        (np.uint16, (1, 1), "gray16le", "gray16le"),
    ],
)
def test_ffv1_keeps_every_bit(codec, dtype, shape, pixels, read_as, tmp_path):
    if codec == "auto" and dtype == np.uint8:
        codec = "ffv1"  # auto is H.264 there
    film = random(dtype, shape)
    save_video(film, tmp_path / "a.mkv", codec=codec)
    with av.open(str(tmp_path / "a.mkv")) as container:
        context = container.streams.video[0].codec_context
        assert (context.codec.canonical_name, context.pix_fmt) == ("ffv1", pixels)
        assert container.streams.video[0].average_rate == 30
        found = [frame.to_ndarray(format=read_as) for frame in container.decode(video=0)]
    assert np.array_equal(found, film)


def test_16_bit_pictures_keep_every_bit(tmp_path):
    film = random(np.uint16, (20, 30))
    save_video([VideoFrame(image, Fraction(k, 25), k) for k, image in enumerate(film)], tmp_path / "out")
    found = [
        cv2.imread(str(tmp_path / "out" / f"frame_{k:05d}.png"), cv2.IMREAD_UNCHANGED) for k in (1, 2, 3, 4)
    ]
    assert np.array_equal(found, film)
    assert found[0].dtype == np.uint16


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.gif", "a.webp", "folder"])
def test_gray_frames_are_gray(name, tmp_path):
    levels = np.repeat(np.arange(0, 256, 8, dtype=np.uint8), 4)[None].repeat(64, axis=0)
    assert save_video([levels] * 2, tmp_path / name) == 2
    if name == "folder":
        with Image.open(tmp_path / name / "frame_00001.png") as opened:
            assert (opened.mode, np.asarray(opened).tolist()) == ("L", levels.tolist())
        return
    with (
        Image.open(tmp_path / name)
        if name in ("a.gif", "a.webp")
        else av.open(str(tmp_path / name)) as opened
    ):
        if hasattr(opened, "decode"):
            picture = next(opened.decode(video=0)).to_ndarray(format="rgb24")
        else:
            picture = np.asarray(opened.convert("RGB"))
    assert np.abs(picture.astype(int) - levels[..., None]).max() <= 6


@pytest.mark.parametrize(
    ("name", "codec", "sentence"),
    [
        ("a.mp4", "auto", "h264 holds no 16-bit gray; use .mkv with codec ffv1, or a folder with codec png"),
        ("a.mkv", "hevc", "hevc holds no 16-bit gray"),
        ("a.gif", "auto", "gif holds no 16-bit gray"),
        ("folder", "jpg", "jpg holds no 16-bit gray"),
        ("a.mp4", "ffv1", ".mp4 can't hold ffv1; it holds h264 or .* and ffv1 goes into .mkv"),
    ],
)
def test_16_bits_go_where_they_fit(name, codec, sentence, tmp_path):
    with pytest.raises(UnsupportedFormatError, match=sentence):
        check_video(tmp_path / name, codec=codec, gray16=True, overwrite=True)
    with pytest.raises(UnsupportedFormatError, match=sentence):
        save_video(random(np.uint16, (8, 8)), tmp_path / name, codec=codec)
    assert list(tmp_path.iterdir()) == []


def test_what_is_chosen_for_16_bits(tmp_path):
    for name, codec in (("a.mkv", "ffv1"), ("folder", "png")):
        made = check_video(tmp_path / name, gray16=True, overwrite=True)
        assert (made.codec, made.holds_sound) == (codec, codec == "ffv1")
    assert check_video(tmp_path / "a.mkv", overwrite=True).codec == "h264"


# -- refusals -------------------------------------------------------------------------------------

IMAGE = np.zeros((16, 16, 3), np.uint8)


@pytest.mark.parametrize(
    ("film", "sentence"),
    [
        (
            list(timed([0, 1, 1])),
            "times of frames must increase, got 1 s after 1 s; leave that frame out, or give",
        ),
        (list(timed([0, 2, 1])), "times of frames must increase, got 1 s after 2 s"),
        ([VideoFrame(IMAGE, Fraction(0), 0), IMAGE], "a time, or none, got one with and then one without"),
        ([IMAGE, VideoFrame(IMAGE, Fraction(0), 0)], "a time, or none, got one without and then one with"),
        ([IMAGE, IMAGE[..., 0]], "of one kind, got colour uint8 and then gray uint8"),
        (
            [IMAGE[..., 0], IMAGE[..., 0].astype(np.uint16)],
            "of one kind, got gray uint8 and then gray uint16",
        ),
        ([IMAGE[:8], IMAGE], "one size, got 16x8 and then 16x16"),
        ([IMAGE[..., :2]], r"frame must have shape \(H, W, 3\)"),
        ([np.zeros((0, 4), np.uint8)], "frame must have shape"),
        ([VideoFrame("no picture", Fraction(0), 0)], "frame must be"),
    ],
)
@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_frames_that_do_not_belong_together(name, film, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        save_video(list(film), tmp_path / name)
    assert list(tmp_path.iterdir()) == []
