"""Films that are no video files: folders of pictures, GIF and WebP animations, webcams."""

from fractions import Fraction

import numpy as np
import pytest

import depth3d as d3
from depth3d.errors import InputError, UnreadableFileError
from depth3d.io.video import save_video


def picture(number, shape=(20, 30)):
    return np.full((*shape, 3), 10 * number, np.uint8)


def numbers(frames):
    return [int(frame.image[0, 0, 0]) // 10 for frame in frames]


@pytest.fixture
def folder(tmp_path):
    """Twelve pictures, named as people name them: a sort by letters would mix them up."""
    made = tmp_path / "pictures"
    made.mkdir()
    for number in range(12):
        d3.save(picture(number), made / f"shot {number}.png")
    (made / "notes.txt").write_text("no picture")
    (made / ".hidden.png").write_bytes(b"no picture")
    (made / "inner").mkdir()
    d3.save(picture(20), made / "inner" / "shot 3.png")
    return made


def test_a_folder_is_a_film_in_natural_order(folder):
    with d3.open_video(folder) as film:
        frames = list(film)
    assert numbers(frames) == list(range(12))
    assert [frame.time_s for frame in frames] == [Fraction(i, 30) for i in range(12)]
    assert (film.fps, film.is_variable, film.frame_count, film.duration_s) == (30, False, 12, 0.4)
    assert film.notes == ("30 frames a second are assumed; fps says otherwise",)
    assert film.facts.container == "folder"
    assert not film.has_sound


def test_a_folder_plays_at_the_rate_that_is_given(folder):
    with d3.open_video(folder, fps=23.976, start_s=0.2, max_frames=3) as film:
        frames = list(film)
    assert film.fps == Fraction(24000, 1001)
    assert numbers(frames) == [5, 6, 7]
    assert [frame.time_s for frame in frames] == [i / film.fps for i in range(3)]
    assert film.notes == ()
    with pytest.raises(InputError, match=r"fps must lie between 0.00001 and 1000"):
        d3.open_video(folder, fps=0)


def test_pictures_of_several_sizes_are_no_film(folder):
    d3.save(picture(4, (20, 31)), folder / "shot 4.png")
    with pytest.raises(
        InputError, match=r"of one size, got 30x20 in .*shot 0\.png and 31x20 in shot 4\.png; scale"
    ):
        d3.open_video(folder)


def test_a_damaged_picture_is_named(folder):
    (folder / "shot 7.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UnreadableFileError, match=r"shot 7\.png"):
        d3.open_video(folder)


def test_a_folder_that_was_written_with_times_keeps_them(tmp_path):
    times = [Fraction(t, 1000) for t in (0, 40, 130, 150, 300)]
    film = [d3.VideoFrame(picture(number), time_s, number) for number, time_s in enumerate(times)]
    save_video(film, tmp_path / "out", fps=None)
    with d3.open_video(tmp_path / "out") as read:
        frames = list(read)
    assert [frame.time_s for frame in frames] == times
    assert numbers(frames) == list(range(5))
    assert read.is_variable
    assert read.duration_s > 0.3
    with d3.open_video(tmp_path / "out", start_s=0.1) as part:
        assert numbers(part) == [2, 3, 4]
        assert part.first_time_s == times[2]
    with d3.open_video(tmp_path / "out", fps=10) as even:
        assert [frame.time_s for frame in even] == [Fraction(i, 10) for i in range(5)]
    regular = [d3.VideoFrame(picture(n), Fraction(1001 * n, 30000), n) for n in range(9)]
    save_video(regular, tmp_path / "even", fps=None)
    with d3.open_video(tmp_path / "even") as read:
        assert [frame.time_s for frame in read] == [frame.time_s for frame in regular]
        assert (read.is_variable, read.fps) == (False, Fraction(30000, 1001))


@pytest.mark.parametrize(
    "lines", ["", "none.png,0,1\n", "shot 1.png,0,0\n", "shot 1.png,1,2\nshot 2.png,1,2\n", "../a.png,0,1\n"]
)
def test_a_list_of_times_that_does_not_fit_is_told(lines, folder):
    (folder / "frames.csv").write_text(f"file,start_s,end_s\n{lines}")
    with pytest.raises(UnreadableFileError, match=r"frames\.csv does not fit the pictures beside it; copy"):
        d3.open_video(folder)
    assert numbers(d3.open_video(folder, fps=30)) == list(range(12))


LENGTHS_MS = (100, 50, 40, 200)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_animations_keep_the_time_of_each_frame(name, tmp_path):
    from PIL import Image

    images = [Image.fromarray(picture(number)) for number in (3, 9, 15, 21)]
    images[0].save(
        tmp_path / name, save_all=True, append_images=images[1:], duration=LENGTHS_MS, lossless=True
    )
    with d3.open_video(tmp_path / name) as film:
        frames = list(film)
    assert numbers(frames) == [3, 9, 15, 21]
    assert [frame.time_s for frame in frames] == [0, Fraction(1, 10), Fraction(3, 20), Fraction(19, 100)]
    assert film.is_variable
    assert (film.duration_s, film.frame_count, film.fps) == (0.39, 4, Fraction(400, 39))
    assert film.notes == ()
    with d3.open_video(tmp_path / name, start_s=0.12, end_s=0.19, size=15) as part:
        assert numbers(part) == [15]
        assert part.size_wh == (15, 10)


def test_a_webp_that_is_transparent_is_laid_over_black(tmp_path):
    from PIL import Image

    image = np.full((8, 8, 4), 200, np.uint8)
    image[..., 3] = np.arange(8) * 36
    first, second = Image.fromarray(image), Image.fromarray(255 - image)
    first.save(tmp_path / "a.webp", save_all=True, append_images=[second], duration=[5, 40], lossless=True)
    with d3.open_video(tmp_path / "a.webp") as film:
        frames = list(film)
    np.testing.assert_allclose(frames[0].image, image[..., :3] * (image[..., 3:] / 255), atol=0.51)
    assert frames[1].time_s == Fraction(1, 10)  # browsers show what lasts less than 11 ms for 100 ms
    assert film.notes == ("it is transparent in part, and laid over black",)


def test_a_damaged_webp_gives_the_frames_before_the_damage(tmp_path):
    from PIL import Image

    draw = np.random.default_rng(0)
    images = [Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)) for _ in range(6)]
    path = tmp_path / "a.webp"
    images[0].save(path, save_all=True, append_images=images[1:], duration=40, lossless=True)
    data = path.read_bytes()
    chunks = [i for i in range(len(data)) if data[i : i + 4] == b"ANMF"]
    path.write_bytes(data[: chunks[4] + 40] + bytes(500) + data[chunks[4] + 540 :])
    with d3.open_video(path) as film:
        for frame, image in zip(film, images, strict=False):
            np.testing.assert_array_equal(frame.image, np.asarray(image))
    assert frame.number == 3
    assert film.notes == ("2 of its frames are damaged and were left out",)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadableFileError, match=r"a\.webp is damaged or cut short .*; copy it again"):
        d3.open_video(path)


class Camera:
    """What `cv2.VideoCapture` gives for a camera of 5 pictures; `index` 7 is none."""

    released = 0

    def __init__(self, index):
        self.index, self.taken = index, 0

    def isOpened(self):  # noqa: N802
        return self.index != 7

    def get(self, _):
        return 30.0

    def set(self, *_):
        return True

    def read(self):
        self.taken += 1
        bgr = np.zeros((20, 30, 3), np.uint8)
        bgr[..., 2] = 10 * self.taken
        return (True, bgr) if self.taken <= 5 else (False, None)

    def release(self):
        type(self).released += 1


@pytest.mark.parametrize("source", [0, "0", "/dev/video0"])
def test_a_webcam_is_a_film_without_end(source, monkeypatch, tmp_path):
    import cv2

    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    monkeypatch.setattr(Camera, "released", 0)
    monkeypatch.chdir(tmp_path)
    with d3.open_video(source, max_frames=3, size=15) as film:
        assert (film.size_wh, film.frame_count, film.duration_s, film.fps) == ((15, 10), 3, None, 30)
        assert film.is_live
        assert film.is_variable
        frames = list(film)
    assert numbers(frames) == [1, 2, 3]
    assert frames[0].time_s == 0
    assert frames[0].time_s < frames[1].time_s < frames[2].time_s
    assert Camera.released == 2  # once after the first look, once after reading
    with d3.open_video(source) as film:
        reading = film.frames()
        assert len([next(reading) for _ in range(5)]) == 5
        with pytest.raises(UnreadableFileError, match="webcam 0 gives no picture; plug it in again"):
            next(reading)


def test_a_file_whose_name_is_a_number_is_a_file(tmp_path, monkeypatch):
    (tmp_path / "0").write_bytes(b"no film")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnreadableFileError, match="0 is no film, or is damaged"):
        d3.open_video("0")


def test_a_webcam_that_is_not_there(monkeypatch):
    import cv2

    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    with pytest.raises(
        UnreadableFileError, match="there is no webcam 7 here, or another program uses it; plug"
    ):
        d3.open_video(7)
    with pytest.raises(InputError, match="a webcam's index is 0 or more, got -1"):
        d3.open_video(-1)
