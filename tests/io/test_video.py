"""Videos in one file, read back with PyAV: codec, tags, colours, size, rate; nothing half written."""

import struct
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest

from depth3d.errors import FileError, InputError, OutputExistsError, UnsupportedFormatError
from depth3d.io.video import check_video, save_video

BT709, LIMITED = 1, 1


def frames(count=6, shape=(48, 64)):
    v, u = np.mgrid[: shape[0], : shape[1]]
    for number in range(count):
        yield np.stack([u * 3, v * 4, np.full(shape, 40 * number)], axis=-1).clip(0, 255).astype(np.uint8)


def patches(shape=(96, 96)):
    """Flat squares of 16 pixels in saturated, dark and gray colours."""
    levels = np.random.default_rng(3).integers(0, 256, (shape[0] // 16, shape[1] // 16, 3), dtype=np.uint8)
    levels[0, :6] = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (128, 128, 128)]
    return np.kron(levels, np.ones((16, 16, 1), np.uint8)), levels


def read(path):
    """What the file says of itself, and its pictures."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        told = SimpleNamespace(
            codec=context.codec.canonical_name,  # decoders have names of their own
            pix_fmt=context.pix_fmt,
            tag=context.codec_tag,
            rate=stream.average_rate,
            seconds=Fraction(container.duration, 1_000_000),
            stream_seconds=stream.duration and stream.duration * stream.time_base,
        )
        return told, list(container.decode(video=0))


def centres(picture):
    """The colours of `patches`, by the formulas of BT.709 in limited range."""
    planes = [
        np.frombuffer(bytes(plane), np.uint16 if "10" in picture.format.name else np.uint8)
        .reshape(plane.height, -1)[:, : plane.width]
        .astype(float)
        for plane in picture.planes
    ]
    scale = 4 if "10" in picture.format.name else 1
    y, cb, cr = (
        plane[
            8 * plane.shape[0] // 96 :: plane.shape[0] // 6, 8 * plane.shape[1] // 96 :: plane.shape[1] // 6
        ]
        for plane in planes
    )
    y, cb, cr = (y / scale - 16) / 219, (cb / scale - 128) / 224, (cr / scale - 128) / 224
    r, b = y + 1.5748 * cr, y + 1.8556 * cb
    g = (y - 0.2126 * r - 0.0722 * b) / 0.7152
    return 255 * np.stack([r, g, b], axis=-1)


def boxes(path):
    """The names of an MP4's outermost boxes (ISO 14496-12: 4 bytes of length, 4 of name)."""
    data, at, names = path.read_bytes(), 0, []
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        if length == 1:
            (length,) = struct.unpack(">Q", data[at + 8 : at + 16])
        names.append(name.decode())
        at += length
    return names


# file, codec asked for, codec found, tag of MP4s, pixels
WRITTEN = [
    ("a.mp4", "auto", "h264", "avc1", "yuv420p"),
    ("a.m4v", "auto", "h264", "avc1", "yuv420p"),
    ("a.mov", "auto", "h264", "avc1", "yuv420p"),
    ("a.mkv", "auto", "h264", None, "yuv420p"),
    ("a.mp4", "hevc", "hevc", "hvc1", "yuv420p"),
    ("a.mov", "hevc", "hevc", "hvc1", "yuv420p"),
    ("a.mkv", "hevc", "hevc", None, "yuv420p"),
    ("a.webm", "auto", "vp9", None, "yuv420p"),
    ("a.mp4", "vp9", "vp9", "vp09", "yuv420p"),
    ("a.webm", "av1", "av1", None, "yuv420p"),
    ("a.mov", "prores", "prores", "apch", "yuv422p10le"),
]


@pytest.mark.parametrize(("name", "codec", "found", "tag", "pixels"), WRITTEN)
def test_what_is_written_is_what_was_asked_for(name, codec, found, tag, pixels, tmp_path, capfd):
    if found == "av1" and "libsvtav1" not in av.codecs_available:
        pytest.skip("this PyAV has no AV1 encoder")
    seen = []
    path = tmp_path / name
    image, levels = patches()
    film = [image] * 5
    assert save_video(iter(film), path, fps=24, codec=codec, on_frame=seen.append) == 5
    told, pictures = read(path)
    assert (told.codec, told.pix_fmt, told.rate) == (found, pixels, 24)
    assert tag is None or told.tag == tag
    assert abs(told.seconds - Fraction(5, 24)) <= Fraction(1, 1000)  # Matroska counts milliseconds
    tags = [(p.color_primaries, p.color_trc, p.colorspace, p.color_range) for p in pictures]
    assert tags == [(BT709, BT709, BT709, LIMITED)] * 5
    assert seen == [1] * 5
    if path.suffix in (".mp4", ".m4v", ".mov"):
        assert boxes(path).index("moov") < boxes(path).index("mdat")
        assert b"colr" in path.read_bytes()
    for picture in pictures:  # by the tags that a player sees, in the middle of each patch
        error = centres(picture) - levels
        assert np.abs(error).mean() < 1
        assert np.abs(error).max() < 8
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")  # encoders keep quiet


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "h264"), ("a.webm", "vp9"), ("a.mov", "prores")])
def test_colour_is_measured_on_the_left_of_two_pixels(name, codec, tmp_path):
    u = np.arange(256) + 0.5
    wave = 128 + 60 * np.stack([np.sin(2 * np.pi * u / 32), np.zeros(256), -np.sin(2 * np.pi * u / 32)], -1)
    save_video([np.rint(wave).astype(np.uint8)[None].repeat(32, axis=0)], tmp_path / name, codec=codec)
    _, (picture,) = read(tmp_path / name)
    blue = picture.planes[1]
    row = np.frombuffer(bytes(blue), np.uint16 if codec == "prores" else np.uint8).reshape(blue.height, -1)
    row = row[:, : blue.width].mean(axis=0) - row[:, : blue.width].mean()
    where = np.arange(0, 256, 2) + 0.5  # the left one's middle
    shift_px = np.angle((1j * row * np.exp(2j * np.pi * where / 32)).sum()) * 32 / (2 * np.pi)
    assert abs(shift_px) < 0.1  # between the two it would be half a pixel


@pytest.mark.parametrize("shape", [(47, 63), (48, 63), (47, 64), (1, 1), (2, 3)])
def test_odd_sides_repeat_the_last_row_and_column(shape, tmp_path):
    image = np.full((*shape, 3), (200, 60, 90), np.uint8)
    save_video([image], tmp_path / "a.mp4")
    _, (picture,) = read(tmp_path / "a.mp4")
    assert (picture.height, picture.width) == (shape[0] + shape[0] % 2, shape[1] + shape[1] % 2)
    assert np.abs(picture.to_ndarray(format="rgb24").astype(int) - (200, 60, 90)).max() <= 2


def test_prores_keeps_an_odd_height(tmp_path):
    save_video(frames(1, (47, 63)), tmp_path / "a.mov", codec="prores")
    _, (picture,) = read(tmp_path / "a.mov")
    assert (picture.height, picture.width) == (47, 64)


@pytest.mark.parametrize(
    ("fps", "rate"),
    [(30, 30), (29.97, Fraction(30000, 1001)), (23.976, Fraction(24000, 1001)), (12.5, Fraction(25, 2))],
)
def test_rates_and_lengths_are_exact(fps, rate, tmp_path):
    for count in (1, 7):
        save_video(frames(count), tmp_path / "a.mp4", fps=fps)
        told, pictures = read(tmp_path / "a.mp4")
        assert len(pictures) == count
        assert told.stream_seconds == Fraction(count) / rate
        assert [p.pts * p.time_base for p in pictures] == [Fraction(k) / rate for k in range(count)]


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "h264"), ("a.mp4", "hevc"), ("a.webm", "vp9")])
def test_quality_trades_size_for_fidelity(name, codec, tmp_path):
    film = [np.random.default_rng(k).integers(0, 256, (64, 64, 3), dtype=np.uint8) for k in range(3)]
    sizes = []
    for quality in (10, 45):
        save_video(film, tmp_path / name, codec=codec, quality=quality)
        sizes.append((tmp_path / name).stat().st_size)
    assert sizes[0] > 1.5 * sizes[1]


def test_prores_profiles(tmp_path):
    for quality, tag in enumerate(("apco", "apcs", "apcn", "apch")):
        save_video(frames(1), tmp_path / "a.mov", codec="prores", quality=quality)
        assert read(tmp_path / "a.mov")[0].tag == tag


def test_one_frame_is_asked_for_at_a_time(tmp_path):
    alive, most = 0, 0

    class Counted(np.ndarray):
        def __del__(self):
            nonlocal alive
            alive -= self.base is None

    def film():
        nonlocal alive, most
        for number in range(40):
            frame = np.ndarray.__new__(Counted, (32, 32, 3), np.uint8)
            frame[:] = number
            alive += 1
            most = max(most, alive)
            yield frame
            del frame

    assert save_video(film(), tmp_path / "a.mp4") == 40
    assert most <= 3


def broken():
    yield from frames(3)
    raise RuntimeError("the renderer fell over")


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.mov", "a.gif", "a.webp"])
def test_refusals_leave_nothing_behind(name, tmp_path):
    path = tmp_path / name
    with pytest.raises(RuntimeError, match="fell over"):
        save_video(broken(), path)
    with pytest.raises(InputError, match="at least one frame"):
        save_video([], path)
    with pytest.raises(InputError, match="one size, got 64x48 and then 20x10"):
        save_video([*frames(1), *frames(1, (10, 20))], path)
    with pytest.raises(InputError, match="frame must"):
        save_video([np.zeros((4, 4))], path)
    with pytest.raises(InputError, match=r"fps must lie between 0.00001 and 1000, got 0"):
        save_video(frames(), path, fps=0)
    with pytest.raises(InputError, match="quality of"):
        save_video(frames(), path, quality=1000)
    assert not list(tmp_path.iterdir())
    path.write_bytes(b"precious")
    with pytest.raises(FileError, match="already exists"):
        save_video(frames(), path, overwrite=False)
    with pytest.raises(RuntimeError, match="fell over"):
        save_video(broken(), path)
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "options", "error", "sentence"),
    [
        ("a.avi", {}, UnsupportedFormatError, r"can't write a video as '.avi'; use one of .mp4, .*.webp"),
        ("a.png", {}, UnsupportedFormatError, "can't write a video as '.png'"),
        ("a.webm", {"codec": "h264"}, UnsupportedFormatError, ".webm can't hold h264; it holds vp9 or av1"),
        ("a.mp4", {"codec": "prores"}, UnsupportedFormatError, "prores goes into .mov, .mkv"),
        ("folder", {"codec": "h264"}, UnsupportedFormatError, "a folder can't hold h264; it holds png or"),
        ("a.mp4", {"codec": "x264"}, InputError, "codec must be auto or one of h264, "),
        ("a.mp4", {"quality": 1.5}, InputError, "quality of h264 must be a whole number in 0..51"),
        ("folder", {"quality": 90}, InputError, "png is exact and has no quality; leave it out"),
        ("a.mp4", {"loops": 2}, InputError, "h264 says nothing of loops"),
        ("a.gif", {"loops": -1}, InputError, "loops must be a whole number"),
        ("a.gif", {"fps": 60}, InputError, "slow a gif of more than 50 frames a second down, got 60"),
        ("a.mp4", {"fps": float("nan")}, InputError, "fps must lie between 0.00001 and 1000, got nan"),
        ("gone/a.mp4", {}, FileError, "does not exist; create it first"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(name, options, error, sentence, tmp_path):
    def never():
        raise AssertionError("no frame may be rendered for a film that can't be written")
        yield

    with pytest.raises(error, match=sentence):
        check_video(tmp_path / name, overwrite=True, **options)
    with pytest.raises(error, match=sentence):
        save_video(never(), tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


def test_frames_that_an_encoder_cannot_take(tmp_path):
    with pytest.raises(UnsupportedFormatError, match="libx264 does not encode frames of 17000x2 "):
        save_video(frames(1, (2, 17000)), tmp_path / "a.mp4")
    for shape in ((40, 62), (62, 90), (2, 2)):
        with pytest.raises(UnsupportedFormatError, match="hevc takes frames of 64x64 and more, got "):
            save_video(frames(2, shape), tmp_path / "a.mp4", codec="hevc")
    with pytest.raises(UnsupportedFormatError, match="av1 takes frames of 4x4 and more, got 2x8; use h264"):
        save_video(frames(2, (7, 1)), tmp_path / "a.webm", codec="av1")
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_found_before_work(tmp_path):
    (tmp_path / "a.gif").write_bytes(b"precious")
    with pytest.raises(OutputExistsError, match="already exists"):
        check_video(tmp_path / "a.gif", overwrite=False)
