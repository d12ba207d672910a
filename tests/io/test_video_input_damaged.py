"""Films that can't be read, or not all of them: a sentence each, and all that can be saved."""

from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest

import depth3d as d3
from depth3d.errors import UnreadableFileError, UnsupportedFormatError
from depth3d.io import stream_source, video_decoding
from depth3d.io.video_decoding import packets_of

LEVELS = range(0, 240, 6)


def grays(frames):
    return [round(float(frame.image.mean()) / 6) for frame in frames]


def refused(source, kind, sentence, **options):
    with pytest.raises(kind, match=sentence) as caught:
        d3.open_video(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert not message.endswith(".")
    return message


def test_what_is_no_film_is_told_in_a_sentence(tmp_path):
    from PIL import Image

    (tmp_path / "zero.mp4").touch()
    (tmp_path / "text.mp4").write_text("no film\n" * 50)
    (tmp_path / "text.txt").write_text("hello world\n" * 100)
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "empty").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.jpg")
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    refused(tmp_path / "none.mp4", UnreadableFileError, "none.mp4 does not exist; check the path")
    refused("https://example.org/a.mp4", UnreadableFileError, "is an address, and .*; fetch it first")
    refused(tmp_path / "zero.mp4", UnreadableFileError, "zero.mp4 is empty; copy it again")
    refused(
        tmp_path / "text.mp4", UnreadableFileError, "text.mp4 is no film, or is damaged .*; check it in a"
    )
    refused(tmp_path / "text.txt", UnsupportedFormatError, "text.txt is a text, no film")
    refused(tmp_path / "noise.mp4", UnreadableFileError, "noise.mp4 is no film, or is damaged")
    refused(tmp_path / "empty", UnreadableFileError, "empty is a folder without pictures; give a film")
    for name in ("photo.jpg", "photo.png"):
        refused(tmp_path / name, UnsupportedFormatError, f"{name} is a single picture, no film; give a film")
    refused(tmp_path / ("n" * 300 + ".mp4"), UnreadableFileError, "can't read .*; check")
    refused(tmp_path / "zero\0.mp4", UnreadableFileError, "can't read .*; check the path")


def with_sound(path, cover=None):
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=8000)
        picture = container.add_stream("mjpeg", rate=1) if cover else None
        if picture:
            picture.width, picture.height, picture.pix_fmt = 32, 24, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
            frame = av.VideoFrame.from_ndarray(np.zeros((24, 32, 3), np.uint8))
            frame.pts = 0
            container.mux(picture.encode(frame))
            container.mux(picture.encode())
        for number in range(5):
            samples = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            samples.sample_rate, samples.pts = 8000, 1024 * number
            container.mux(sound.encode(samples))
        container.mux(sound.encode())
    return path


@pytest.mark.parametrize("cover", [False, True])
def test_sound_alone_is_no_film_even_with_a_cover(cover, tmp_path):
    path = with_sound(tmp_path / "song.mp4", cover)
    refused(path, UnreadableFileError, "song.mp4 has no video stream, only sound; give a film")


def test_a_film_without_frames(write_film, tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "bgr0"
        container.start_encoding()
    refused(path, UnreadableFileError, "a.mkv (holds no frame|has no video stream)")


def test_a_film_whose_index_is_missing(write_film, tmp_path):
    data = write_film(tmp_path / "a.mp4", LEVELS).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: data.index(b"moov") - 4])
    refused(tmp_path / "cut.mp4", UnreadableFileError, "cut.mp4 lacks its index, .* cut short; copy it again")


def noisy(count=40):
    """Pictures that need many bytes, with their number in a corner."""
    draw = np.random.default_rng(0)
    for number in range(count):
        image = draw.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        image[:16, :16] = 6 * number
        yield image


def numbers(frames):
    return [round(float(frame.image[2:14, 2:14].mean()) / 6) for frame in frames]


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mp4"])
def test_a_film_that_was_cut_short_gives_what_is_there(name, write_film, tmp_path):
    options = {"container_options": {"movflags": "faststart"}} if name == "a.mp4" else {}
    path = write_film(
        tmp_path / name,
        noisy(),
        codec="mjpeg" if name != "a.ts" else "mpeg2video",
        pixels="yuvj420p" if name != "a.ts" else "yuv420p",
        options={"qmin": "2", "qmax": "2"},
        **options,
        rate=5 if name != "a.ts" else 25,
    )
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with d3.open_video(path) as film:
        found = numbers(film)
    assert 15 <= len(found) <= 21
    assert found[:15] == list(range(15))
    if name != "a.ts":  # which does not tell how long it is
        assert any("the rest is missing or damaged" in note for note in film.notes)


def zero(data, which):
    """Fill pictures of a Motion JPEG AVI with zeros, in place."""
    chunks = [
        i for i in range(len(data)) if data[i : i + 4] == b"00dc" and data[i + 8 : i + 10] == b"\xff\xd8"
    ]
    for number in which:
        size = int.from_bytes(data[chunks[number] + 4 : chunks[number] + 8], "little")
        data[chunks[number] + 8 : chunks[number] + 8 + size] = bytes(size)


def test_a_broken_middle_is_left_out_with_a_note(write_film, tmp_path):
    """Pictures of Motion JPEG in which nothing is right between frames 10 and 19."""
    path = write_film(
        tmp_path / "a.avi", noisy(), codec="mjpeg", pixels="yuvj420p", options={"qmin": "2", "qmax": "2"}
    )
    data = bytearray(path.read_bytes())
    zero(data, range(10, 20))
    path.write_bytes(data)
    with d3.open_video(path) as film:
        frames = list(film)
    assert numbers(frames) == [*range(10), *range(20, 40)]
    assert [frame.time_s * 25 for frame in frames] == [*range(10), *range(20, 40)]
    assert film.notes == ("10 of its frames are damaged and were left out",)
    with d3.open_video(path, start_s=0.6) as part:
        assert numbers(part) == list(range(20, 40))
    with d3.open_video(path, end_s=0.62) as part:  # up to frame 15
        assert numbers(part) == list(range(10))
        assert len(part.notes) == 1
    with d3.open_video(path, max_frames=12) as part:
        assert numbers(part) == [*range(10), 20, 21]
    assert part.notes == ("10 of its frames are damaged and were left out",)


def test_damage_in_compressed_data_never_ends_the_film(write_film, tmp_path):
    options = {"g": "5", "x264-params": "slices=1"}
    for name in ("a.mkv", "a.ts", "a.mp4"):
        path = write_film(tmp_path / name, noisy(), options=options)
        data = bytearray(path.read_bytes())
        middle = slice(int(0.4 * len(data)), int(0.6 * len(data)))
        data[middle] = np.random.default_rng(1).bytes(middle.stop - middle.start)
        path.write_bytes(data)
        with d3.open_video(path) as film:
            found = numbers(film)
        assert found[:12] == list(range(12))
        if name != "a.mkv":  # where what marks the beginning of a cluster is lost as well
            assert found[-10:] == list(range(30, 40))


def test_nothing_but_damage_is_told_in_a_sentence(write_film, tmp_path):
    path = write_film(tmp_path / "a.avi", noisy(8), codec="mjpeg", pixels="yuvj420p")
    data = bytearray(path.read_bytes())
    zero(data, range(8))
    path.write_bytes(data)
    refused(
        path, UnreadableFileError, r"no frame of .* can be decoded \(8 are damaged\); check it in a player"
    )


def test_frames_that_change_their_size_are_scaled_to_the_first(write_film, tmp_path):
    large = write_film(tmp_path / "l.ts", [100] * 5, size_wh=(64, 48), format="mpegts")
    small = write_film(
        tmp_path / "s.ts",
        [200] * 5,
        size_wh=(32, 24),
        format="mpegts",
        ticks=range(5, 10),
        base=Fraction(1, 25),
    )
    path = tmp_path / "both.ts"
    path.write_bytes(large.read_bytes() + small.read_bytes())
    with d3.open_video(path) as film:
        images = [frame.image for frame in film]
    assert {image.shape for image in images} == {(48, 64, 3)}
    assert [round(float(image.mean()), -2) for image in images] == [100] * 5 + [200] * 5
    assert "its frames change from 64x48 to 32x24: all are scaled to the first size" in film.notes


def test_frames_beyond_all_measure_are_refused(write_film, tmp_path, monkeypatch):
    path = write_film(tmp_path / "a.mp4", [200] * 5, size_wh=(1280, 1024))
    monkeypatch.setattr(video_decoding, "MAX_FRAME_PIXELS", 1_000_000)  # where the header does not tell
    refused(
        path, UnreadableFileError, r"no frame of .* can be decoded \(\d are damaged\); check it in a player"
    )
    monkeypatch.setattr(stream_source, "MAX_FRAME_PIXELS", 1_000_000)
    refused(path, UnreadableFileError, "frames of 1280x1024, above 1 megapixels; make a smaller copy of it")


def test_a_codec_without_a_decoder(write_film, tmp_path):
    path = write_film(tmp_path / "a.avi", noisy(3), codec="mjpeg", pixels="yuvj420p")
    data = path.read_bytes().replace(b"MJPG", b"QQQQ")
    path.write_bytes(data)
    refused(path, UnsupportedFormatError, "has no decoder for|no decoder")


def test_names_with_colons_quotes_and_newlines(write_film, tmp_path):
    for name in (
        "12:30.mp4",
        'it\'s "it".mp4',
        "a\nb.mp4",
        "ünï 🎬.mp4",
        "concat:a.mp4",
        "%03d.mp4",
        "-.mp4",
    ):
        made = write_film(tmp_path / "made.mp4", [0, 6, 12])
        path = made.rename(tmp_path / name)
        with d3.open_video(path) as film:
            assert grays(film) == [0, 1, 2]


def test_packets_go_on_where_the_demuxer_stumbles():
    left = [
        1,
        av.error.InvalidDataError(1, "damaged"),
        2,
        IndexError("a stream that appears midway"),
        3,
        0,
        4,
    ]

    def demux(stream):
        assert stream == "video"
        while left:
            one = left.pop(0)
            if isinstance(one, Exception):
                raise one
            yield SimpleNamespace(size=one)

    given = packets_of(SimpleNamespace(demux=demux), "video")
    assert [packet.size for packet in given] == [1, 2, 3]
