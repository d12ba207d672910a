"""GIF, WebP and folders of pictures, read back with Pillow: durations, loops, palettes, whole files."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
from PIL import Image

from depth3d.errors import FileError, InputError, OutputExistsError, UnsupportedFormatError
from depth3d.io.frame_folders import check_frame_folder
from depth3d.io.images import save_image
from depth3d.io.video import save_video
from depth3d.io.video_frame import VideoFrame
from depth3d.io.video_input import open_video


def film(count=7, shape=(40, 60)):
    """Smooth colours that drift."""
    v, u = np.mgrid[: shape[0], : shape[1]]
    for number in range(count):
        waves = [np.sin((u + 2 * number) / 17 + k) * np.cos(v / 13 - k) for k in range(3)]
        yield np.rint(127.5 + 120 * np.stack(waves, axis=-1)).astype(np.uint8)


def read(path):
    with Image.open(path) as opened:
        durations, pictures = [], []
        for number in range(getattr(opened, "n_frames", 1)):
            opened.seek(number)
            opened.load()
            durations.append(opened.info.get("duration", 0))
            pictures.append(np.asarray(opened.convert("RGB")))
        return opened.format, durations, np.stack(pictures), opened.info.get("loop")


@pytest.mark.parametrize("fps", [30, 25, 24, 50, 7, 29.97])
def test_gif_frames_begin_when_they_should(fps, tmp_path):
    count = 31
    save_video(film(count, (8, 12)), tmp_path / "a.gif", fps=fps)
    _, durations, pictures, loop = read(tmp_path / "a.gif")
    ends = np.cumsum(durations)
    rate = 30000 / 1001 if fps == 29.97 else fps
    assert len(pictures) == count
    assert np.abs(ends - 1000 * np.arange(1, count + 1) / rate).max() <= 5 + 1e-9  # half a hundredth
    assert min(durations) >= 20  # browsers slow what is shorter
    assert loop == 0


def test_a_gif_shows_no_frame_for_longer_than_it_can_say(tmp_path):
    save_video(film(2, (8, 12)), tmp_path / "a.gif", fps=1 / 3600)
    assert read(tmp_path / "a.gif")[1] == [655_350, 655_350]


def test_webp_frames_begin_when_they_should(tmp_path):
    save_video(film(20, (16, 24)), tmp_path / "a.webp", fps=23)
    kind, durations, pictures, loop = read(tmp_path / "a.webp")
    assert (kind, len(pictures), loop) == ("WEBP", 20, 0)
    error = np.abs(np.cumsum(durations) - 1000 * np.arange(1, 21) / 23)
    assert error.max() <= 0.5


# Pillow tells a GIF's repeats after the first time, and a WebP's times in all.
@pytest.mark.parametrize(
    ("name", "loops", "found"),
    [
        ("a.gif", 0, 0),
        ("a.gif", 1, None),
        ("a.gif", 3, 2),
        ("a.webp", 0, 0),
        ("a.webp", 1, 1),
        ("a.webp", 3, 3),
    ],
)
def test_loops(name, loops, found, tmp_path):
    save_video(film(3), tmp_path / name, loops=loops)
    assert read(tmp_path / name)[3] == found


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
@pytest.mark.parametrize("shape", [(1, 1), (17, 5), (40, 60)])
def test_one_frame_of_any_size(name, shape, tmp_path):
    image = np.full((*shape, 3), (180, 40, 90), np.uint8)
    assert save_video([image], tmp_path / name) == 1
    _, _, pictures, _ = read(tmp_path / name)
    assert pictures.shape == (1, *shape, 3)
    assert np.abs(pictures[0].astype(int) - image).max() <= 4


def test_a_gif_of_few_colours_keeps_them(tmp_path):
    colors = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)  # 240 of them
    frames = [np.kron(np.roll(colors, k, axis=1), np.ones((4, 4, 1), np.uint8)) for k in range(4)]
    save_video(frames, tmp_path / "a.gif")
    _, _, pictures, _ = read(tmp_path / "a.gif")
    assert np.abs(pictures.astype(int) - np.stack(frames)).max() <= 1


def test_the_palette_beats_pillows_and_stays_still(tmp_path):
    frames = list(film(6, (96, 128)))
    save_video(frames, tmp_path / "a.gif")
    _, _, ours, _ = read(tmp_path / "a.gif")
    pillows = [Image.fromarray(frame).quantize(256, dither=Image.Dither.FLOYDSTEINBERG) for frame in frames]
    pillows[0].save(tmp_path / "b.gif", save_all=True, append_images=pillows[1:], duration=30)
    _, _, theirs, _ = read(tmp_path / "b.gif")

    def seen_error(pictures):
        """As the eye sees dither: through a blur."""
        errors = [
            cv2.GaussianBlur(p.astype(np.float32) - f, (0, 0), 1.2)
            for p, f in zip(pictures, frames, strict=True)
        ]
        return np.sqrt(np.mean(np.square(errors)))

    assert seen_error(ours) < 1.2 * seen_error(theirs)  # though one palette serves six frames
    assert seen_error(ours) < 2

    still = [frames[0]] * 4
    save_video(still, tmp_path / "c.gif")
    _, _, pictures, _ = read(tmp_path / "c.gif")
    assert (pictures == pictures[0]).all()  # no flicker at all where nothing moves


def test_a_gif_of_fewer_colours_is_smaller(tmp_path):
    sizes = []
    for quality in (256, 16):
        save_video(film(), tmp_path / "a.gif", quality=quality)
        sizes.append((tmp_path / "a.gif").stat().st_size)
        with Image.open(tmp_path / "a.gif") as opened:
            assert len(opened.convert("RGB").getcolors(100_000)) <= quality
    assert sizes[1] < sizes[0]


def test_webp_colours(tmp_path):
    frames = list(film(3))
    save_video(frames, tmp_path / "a.webp", quality=100)
    _, _, pictures, _ = read(tmp_path / "a.webp")
    assert np.abs(pictures.astype(int) - np.stack(frames)).mean() < 2


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_sides_that_the_format_cannot_hold(name, tmp_path):
    with pytest.raises(UnsupportedFormatError, match="holds sides of up to"):
        save_video([np.zeros((1, 65536, 3), np.uint8)], tmp_path / name)
    assert not list(tmp_path.iterdir())


# -- folders --------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("shape", [(40, 60), (1, 1), (33, 7)])
def test_frames_that_are_all_alike_are_still_a_film(count, shape, tmp_path):
    save_video([next(film(1, shape))] * count, tmp_path / "a.webp", fps=8, loops=3)
    format_, durations, pictures, loop = read(tmp_path / "a.webp")
    assert (format_, durations, loop) == ("WEBP", [125 * count], 3)
    with open_video(tmp_path / "a.webp") as opened:
        found = list(opened.frames())
        assert (opened.size_wh, float(opened.facts.duration_s)) == (shape[::-1], 0.125 * count)
    assert len(found) == 1
    np.testing.assert_array_equal(found[0].image, pictures[0])
    save_image(next(film(1, shape)), tmp_path / "plain.webp", quality=90)
    with Image.open(tmp_path / "plain.webp") as plain:
        assert np.abs(np.asarray(plain.convert("RGB"), int) - pictures[0]).mean() < 3


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_of_pngs_is_exact(tmp_path):
    seen = []
    frames = list(film(3))
    assert save_video(iter(frames), tmp_path / "out", on_frame=seen.append) == 3
    assert names(tmp_path / "out") == ["frame_00001.png", "frame_00002.png", "frame_00003.png"]
    for number, frame in enumerate(frames):
        with Image.open(tmp_path / "out" / f"frame_{number + 1:05d}.png") as opened:
            assert np.array_equal(np.asarray(opened), frame)
    assert seen == [1, 1, 1]


def test_a_folder_of_jpgs(tmp_path):
    (tmp_path / "v1.2").mkdir()  # a dot makes no suffix of a directory that is there
    save_video(film(2), tmp_path / "v1.2", codec="jpg", quality=80)
    assert names(tmp_path / "v1.2") == ["frame_00001.jpg", "frame_00002.jpg"]


def test_a_shorter_film_takes_the_place_of_a_longer_one(tmp_path):
    out = tmp_path / "out"
    save_video(film(5), out, codec="jpg")
    (out / "notes.txt").write_text("mine")
    (out / "frame_9.png").write_text("mine too")
    with pytest.raises(OutputExistsError, match=r"holds the pictures of a film \(frame_00001.jpg"):
        save_video(film(2), out, overwrite=False)
    assert len(names(out)) == 7
    save_video(film(2), out)
    assert names(out) == ["frame_00001.png", "frame_00002.png", "frame_9.png", "notes.txt"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_folder_is_as_it_was_when_rendering_fails(error, tmp_path):
    def broken():
        yield from film(2)
        raise error("the renderer fell over")

    with pytest.raises(error, match="fell over"):
        save_video(broken(), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    save_video(iter(VideoFrame(one, Fraction(k, 9), k) for k, one in enumerate(film(4))), tmp_path / "out")
    before = contents(tmp_path / "out")
    assert len(before) == 5  # with their times
    with pytest.raises(error, match="fell over"):
        save_video(broken(), tmp_path / "out", codec="jpg")
    assert contents(tmp_path / "out") == before
    with pytest.raises(InputError, match="at least one frame"):
        save_video([], tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(FileError, match="is a file, and a folder is needed"):
        check_frame_folder(tmp_path / "out", overwrite=True)
    with pytest.raises(FileError, match="is a file, and a folder is needed"):
        save_video(film(1), tmp_path / "out")
