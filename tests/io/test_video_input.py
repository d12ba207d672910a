"""Films that were made here are read back: which frames, in what order, how large, which way up."""

import logging
import weakref
from fractions import Fraction

import numpy as np
import pytest

import depth3d as d3
from depth3d.errors import InputError
from depth3d.io import video_graph
from depth3d.io.video_resize import fitted_size

LEVELS = range(0, 240, 6)  # 40 frames, told apart by their gray


def grays(frames):
    return [round(float(frame.image.mean()) / 6) for frame in frames]


# file, encoder, pixels
KINDS = [
    ("a.mp4", "libx264", "yuv420p"),
    ("a.mov", "prores_ks", "yuv422p10le"),
    ("a.mkv", "libx265", "yuv420p10le"),
    ("a.mkv", "ffv1", "bgr0"),
    ("a.webm", "libvpx-vp9", "yuv420p"),
    ("a.avi", "mpeg4", "yuv420p"),
    ("a.avi", "mjpeg", "yuvj420p"),
    ("a.mpg", "mpeg2video", "yuv420p"),
    ("a.ts", "libx264", "yuv420p"),
    ("a.flv", "libx264", "yuv420p"),
    ("a.y4m", "wrapped_avframe", "yuv420p"),
    ("a.gif", "gif", "rgb8"),
]


@pytest.mark.parametrize(("name", "codec", "pixels"), KINDS)
def test_every_frame_of_every_kind_comes_once_in_order(name, codec, pixels, write_film, tmp_path):
    import av

    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no encoder {codec}")
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {"b": "4000000"}
    write_film(tmp_path / name, LEVELS, codec=codec, pixels=pixels, size_wh=(64, 64), options=options)
    with d3.open_video(tmp_path / name) as film:
        frames = list(film)
    step = 32 if pixels == "rgb8" else 1  # 3 bits of red
    assert len(frames) == len(LEVELS)
    levels = np.array([frame.image.mean() for frame in frames])
    np.testing.assert_allclose(levels, LEVELS, atol=max(3, step))
    assert [frame.number for frame in frames] == list(range(40))
    times = [frame.time_s for frame in frames]
    if name == "a.mpg":  # tells the times of some frames only, and FFmpeg guesses the others
        np.testing.assert_allclose(np.array(times, float), np.arange(40) / 25, atol=0.041)
        assert (np.diff(np.array(times, float)) > 0).all()
        return
    assert film.fps == 25
    assert not film.is_variable
    assert times == [Fraction(i, 25) for i in range(40)]
    assert film.frame_count in (40, None)
    assert film.duration_s is None or film.duration_s == pytest.approx(1.6)
    assert not film.has_sound
    assert film.size_wh == (64, 64)


def test_frames_are_read_only_srgb_and_can_be_read_again(write_film, tmp_path):
    path = write_film(tmp_path / "a.mp4", LEVELS[:5])
    film = d3.open_video(str(path))
    first, second = list(film.frames()), list(film.frames())
    assert grays(first) == grays(second) == [0, 1, 2, 3, 4]
    image = first[0].image
    assert image.shape == (24, 32, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert not image.flags.writeable
    assert all(frame.image is not image for frame in second)
    assert repr(film) == f"VideoFile(32x24, 25 fps, 0.20 s, h264, {path})"
    with film:
        reading = film.frames()
        next(reading)
    assert list(reading) == []  # closed
    with pytest.raises(InputError, match="is closed; open it again"):
        film.frames()


STRETCHES = [  # start, end, most -> frames; 25 a second, key frames every 250
    (0.0, None, None, range(40)),
    (0.4, None, None, range(10, 40)),
    (0.415, None, None, range(11, 40)),
    (0.0, 0.4, None, range(10)),
    (0.0, 0.415, None, range(11)),
    (0.1, 0.3, None, range(3, 8)),  # 0.1 lies between frames 2 and 3
    (7 / 25, 8 / 25, None, range(7, 8)),  # floats that are not exactly the frames' times
    (0.2, None, 3, range(5, 8)),
    (0.2, 0.28, 30, range(5, 7)),
    (1.56, None, None, range(39, 40)),
    (0.0, 99.0, None, range(40)),
]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.gif"])
@pytest.mark.parametrize(("start_s", "end_s", "most", "numbers"), STRETCHES)
def test_a_stretch_is_exact_and_its_times_start_at_zero(
    name, start_s, end_s, most, numbers, write_film, tmp_path
):
    codec = ("gif", "rgb8") if name == "a.gif" else ("libx264", "yuv420p")
    images = LEVELS if name != "a.gif" else [[(255, 0, 0), (0, 255, 0)][i % 2] for i in range(40)]
    path = write_film(tmp_path / name, images, codec=codec[0], pixels=codec[1])
    with d3.open_video(path, start_s=start_s, end_s=end_s, max_frames=most) as film:
        frames = list(film)
    if name == "a.gif":
        assert [int(frame.image[0, 0, 1] > 128) for frame in frames] == [n % 2 for n in numbers]
    else:
        assert grays(frames) == list(numbers)
    assert [frame.time_s for frame in frames] == [Fraction(i, 25) for i in range(len(numbers))]
    assert film.frame_count == len(numbers)
    with d3.open_video(path) as whole:
        assert film.first_time_s == whole.first_time_s + Fraction(numbers[0], 25)


def test_two_stretches_that_meet_share_no_frame(write_film, tmp_path):
    path = write_film(tmp_path / "a.mkv", LEVELS, rate=Fraction(30000, 1001))  # times rounded to ms
    for cut_s in np.random.default_rng(1).uniform(0.05, 1.2, 12):
        before = grays(d3.open_video(path, end_s=cut_s))
        after = grays(d3.open_video(path, start_s=cut_s))
        assert before + after == list(range(40))


def test_any_start_is_found_among_key_frames_and_b_frames(write_film, tmp_path):
    options = {"g": "8", "bf": "3", "x264-params": "open-gop=1:scenecut=0"}
    for name in ("a.mp4", "a.ts", "a.mkv"):
        path = write_film(tmp_path / name, LEVELS, options=options)
        for start in range(0, 40, 3):
            with d3.open_video(path, start_s=start / 25) as film:
                assert grays(film) == list(range(start, 40))


# sides asked for, of a film of 64x48
SIZES = [
    (None, (64, 48)), (32, (32, 24)), (33, (33, 25)), (640, (64, 48)), ((20, 100), (20, 15)),
    ((100, 13), (17, 13)), ((64, 48), (64, 48)), (1, (1, 1)), ([32, 24], (32, 24)),
]  # fmt: skip


@pytest.mark.parametrize(("size", "wanted"), SIZES)
def test_size_is_a_longer_side_or_a_box_and_never_enlarges(size, wanted, write_film, tmp_path):
    path = write_film(tmp_path / "a.mp4", [100, 200], size_wh=(64, 48))
    with d3.open_video(path, size=size) as film:
        assert film.size_wh == wanted
        assert {frame.image.shape for frame in film} == {(wanted[1], wanted[0], 3)}


def test_a_smaller_picture_is_the_mean_over_its_areas(write_film, tmp_path):
    image = np.random.default_rng(2).integers(0, 256, (48, 64, 1), dtype=np.uint8).repeat(3, 2)
    path = write_film(tmp_path / "a.mkv", [image], codec="ffv1", pixels="bgr0")
    means = image.reshape(12, 4, 16, 4, 3).mean(axis=(1, 3))
    small = next(d3.open_video(path, size=16).frames()).image
    np.testing.assert_allclose(small, means, atol=1)


@pytest.mark.parametrize("size_wh", [(33, 25), (1, 1), (1, 9), (37, 2), (402, 20)])
def test_odd_and_tiny_sizes_come_back_pixel_by_pixel(size_wh, write_film, tmp_path):
    image = np.random.default_rng(5).integers(0, 256, (size_wh[1], size_wh[0], 3), dtype=np.uint8)
    path = write_film(tmp_path / "a.mov", [image, 255 - image], codec="png", pixels="rgb24")
    first, second = d3.open_video(path).frames()
    np.testing.assert_array_equal(first.image, image)
    np.testing.assert_array_equal(second.image, 255 - image)


def corners():
    """Four quarters of different colours: any turn and any mirror shows."""
    image = np.zeros((24, 32, 3), np.uint8)
    image[:12, :16], image[:12, 16:], image[12:, :16] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    return image


# (a, b, c, d) of the display matrix -> what NumPy does to the stored picture, degrees
TURNED = [
    ((1, 0, 0, 1), lambda x: x, 0),
    ((0, 1, -1, 0), lambda x: np.rot90(x, -1), 90),
    ((-1, 0, 0, -1), lambda x: np.rot90(x, 2), 180),
    ((0, -1, 1, 0), lambda x: np.rot90(x), 270),
    ((-1, 0, 0, 1), lambda x: x[:, ::-1], 0),
    ((1, 0, 0, -1), lambda x: x[::-1], 180),
    ((0, 1, 1, 0), lambda x: x.transpose(1, 0, 2), 90),
    ((0, -1, -1, 0), lambda x: np.rot90(x, 2).transpose(1, 0, 2), 270),
]


@pytest.mark.parametrize(("matrix", "turned", "degrees"), TURNED)
def test_pictures_are_turned_upright(matrix, turned, degrees, write_film, tmp_path):
    path = write_film(tmp_path / "a.mov", [corners()] * 2, codec="png", pixels="rgb24")
    a, b, c, d = (entry << 16 for entry in matrix)
    identity = b"".join(
        n.to_bytes(4, "big", signed=True) for n in (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    )
    wanted = b"".join(n.to_bytes(4, "big", signed=True) for n in (a, b, 0, c, d, 0, 0, 0, 1 << 30))
    data = path.read_bytes()
    at = data.index(b"tkhd")  # the movie has a matrix of its own, before the track's
    assert data.count(identity, at) == 1
    path.write_bytes(data[:at] + data[at:].replace(identity, wanted))
    with d3.open_video(path) as film:
        assert film.facts.rotation_deg == degrees
        for frame in film:
            np.testing.assert_array_equal(frame.image, turned(corners()))
        assert film.size_wh == turned(corners()).shape[1::-1]
    with d3.open_video(path, size=16) as film:
        assert film.size_wh == ((16, 12) if degrees in (0, 180) else (12, 16))
        assert next(film.frames()).image.shape[1::-1] == film.size_wh


@pytest.mark.parametrize(
    ("shape", "size_wh"), [(Fraction(2), (64, 24)), (Fraction(1, 2), (32, 48)), (Fraction(16, 11), (47, 24))]
)
def test_pixels_become_square(shape, size_wh, write_film, tmp_path):
    def setup(_, stream):
        stream.codec_context.sample_aspect_ratio = shape

    path = write_film(tmp_path / "a.mp4", [corners()] * 2, options={"crf": "4"}, setup=setup)
    with d3.open_video(path) as film:
        image = next(film.frames()).image
    assert film.size_wh == image.shape[1::-1] == size_wh
    for row, column, color in [(2, 2, (250, 0, 0)), (2, -3, (0, 250, 0)), (-3, 2, (0, 0, 250))]:
        np.testing.assert_allclose(image[row, column], color, atol=6)


def test_what_is_asked_for_is_checked(write_film, tmp_path):
    path = write_film(tmp_path / "a.mp4", LEVELS)
    for wrong, sentence in [
        ({"start_s": -1}, "start_s must be 0 or more seconds, got -1"),
        ({"start_s": float("nan")}, "start_s must be 0 or more"),
        ({"start_s": 2, "end_s": 1}, "end_s must be later than start_s"),
        ({"end_s": 0}, "end_s must be later than start_s"),
        ({"max_frames": 0}, "max_frames must be a whole number from 1 on"),
        ({"size": 0}, "size must be the longer side in pixels"),
        ({"size": (10, -1)}, "size must be the longer side in pixels"),
        ({"size": 1.5}, "size must be the longer side in pixels"),
        ({"fps": 20}, "fps is for folders of pictures and for webcams"),
        ({"start_s": 1.6}, r"1.6 s is beyond the end of .*, which lasts 1.60 s; start earlier"),
        ({"start_s": 0.005, "end_s": 0.03}, "no frame of .* lies from 0.005 s to 0.03 s; ask for more"),
    ]:
        with pytest.raises(InputError, match=sentence):
            d3.open_video(path, **wrong)


def test_frames_are_let_go_before_the_next_one_is_decoded(write_film, tmp_path, monkeypatch):
    decoded, array = [], video_graph._array

    def watched(frame):
        assert all(image() is None for image in decoded)
        image = array(frame)
        decoded.append(weakref.ref(image))
        return image

    monkeypatch.setattr(video_graph, "_array", watched)
    with d3.open_video(write_film(tmp_path / "a.mp4", LEVELS)) as film:
        for frame in film:
            del frame
    assert len(decoded) > 40


def test_fitted_sizes_keep_their_aspect():
    assert fitted_size((1920, 1080), 640) == (640, 360)
    assert fitted_size((1080, 1920), 640) == (360, 640)
    assert fitted_size((20000, 10), 100) == (100, 1)


def test_sound_is_seen_and_does_not_disturb(tmp_path):
    import av

    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        video, sound = container.add_stream("libx264", rate=25), container.add_stream("aac", rate=8000)
        video.width, video.height, video.pix_fmt = 32, 24, "yuv420p"
        for number, level in enumerate(LEVELS):
            picture = av.VideoFrame.from_ndarray(np.full((24, 32, 3), level, np.uint8))
            picture.pts = number
            container.mux(video.encode(picture))
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 320), np.float32), format="fltp", layout="mono")
            samples.sample_rate, samples.pts = 8000, 320 * number
            container.mux(sound.encode(samples))
        container.mux(video.encode())
        container.mux(sound.encode())
    with d3.open_video(path) as film:
        assert film.has_sound
        assert grays(film) == list(range(40))


def test_the_real_clip(shared_data, caplog):
    path = shared_data / "video" / "robot_unitree.mp4"
    if not path.exists():
        pytest.skip(f"the film is not here: {path}")
    with caplog.at_level(logging.WARNING), d3.open_video(path, size=128) as film:
        frames = list(film)
    # An edit list hides its first picture, and the rate in its header (49.4) is wrong.
    assert (len(frames), film.frame_count, film.fps, film.is_variable) == (174, 174, 50, False)
    assert [frame.time_s for frame in frames] == [Fraction(i, 50) for i in range(174)]
    assert film.notes == ()
    assert not caplog.records
    with d3.open_video(path, size=128, start_s=2, end_s=2.2) as part:
        for got, want in zip(part, frames[100:110], strict=True):
            np.testing.assert_array_equal(got.image, want.image)
