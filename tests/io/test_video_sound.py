"""Sound of one film in another: beeps stay with their flashes, packets as they are; damage ends no film."""

import errno
import shutil
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest

import depth3d as d3
from depth3d.errors import FileError, InputError
from depth3d.io import sound_tracks
from depth3d.io.video import save_video
from depth3d.io.video_frame import VideoFrame
from depth3d.io.video_input import open_video

FLASH_S, LENGTH_S = 2.04, 0.08
PACKET_S = 0.025  # of AAC 1024 samples, of Opus 20 ms


def make_film(path, codec, *, fps=25, seconds=3, rate=48000, layouts=("stereo",), vcodec="libx264", late=0):
    """Black, but for a white flash; silent, but for a beep at that time. Both start `late` frames late."""
    samples = np.arange(seconds * rate) / rate
    beep = np.where((samples >= FLASH_S) & (samples < FLASH_S + LENGTH_S), np.sin(6283 * samples), 0)
    languages = ("deu", "eng")
    with av.open(str(path), "w") as container:
        video = container.add_stream(vcodec, rate=fps)
        video.width = video.height = 32
        tracks = []
        for layout, language in zip(layouts, languages, strict=False):
            track = container.add_stream(codec, rate=rate)
            track.layout = layout
            track.metadata["language"] = language
            tracks.append(track)
        for number in range(seconds * fps):
            is_lit = FLASH_S <= number / fps + 1e-9 < FLASH_S + LENGTH_S
            picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 255 * is_lit, np.uint8), format="rgb24")
            picture.pts, picture.time_base = number + late, Fraction(1, fps)
            container.mux(video.encode(picture))
            part = slice(number * rate // fps, (number + 1) * rate // fps)
            for track in tracks:
                wave = np.tile(beep[part].astype(np.float32), (track.layout.nb_channels, 1))
                piece = av.AudioFrame.from_ndarray(wave, format="fltp", layout=track.layout.name)
                piece.sample_rate, piece.time_base = rate, Fraction(1, rate)
                piece.pts = part.start + late * rate // fps
                container.mux(track.encode(piece))
        for stream in (video, *tracks):
            container.mux(stream.encode(None))
    return path


def packets(path, track=0):
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=track) if packet.size]


def is_part(run, whole):
    """Whether the packets of one are, bit for bit and without a gap, among those of the other."""
    return b"".join(run) in b"".join(whole)  # MOV makes packets of PCM as it is read


def read(path, track=0):
    """When the flash and the beep are, and from when to when there is sound."""
    told = SimpleNamespace(flash=None, beep=None, starts=[], codec=None, language=None)
    with av.open(str(path)) as container:
        frames = [
            (float(f.pts * f.time_base), f.to_ndarray(format="gray").mean())
            for f in container.decode(video=0)
        ]
        told.flash = next((time for time, level in frames if level > 128), None)
        told.first_frame, told.frames = frames[0][0], len(frames)
    with av.open(str(path)) as container:
        stream = container.streams.audio[track]
        told.codec, told.language = stream.codec_context.codec.canonical_name, stream.metadata.get("language")
        resampler = av.AudioResampler("fltp", "mono", stream.codec_context.sample_rate)
        for frame in container.decode(stream):
            start = float(frame.pts * frame.time_base)
            told.starts.append(start)
            told.end = start + frame.samples / frame.sample_rate
            wave = np.concatenate([piece.to_ndarray()[0] for piece in resampler.resample(frame)])
            loud = np.nonzero(np.abs(wave) > 0.3)[0]
            if told.beep is None and len(loud):
                told.beep = start + loud[0] / frame.sample_rate
    return told


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A film of each kind, made once."""
    folder, made = tmp_path_factory.mktemp("films"), {}

    def film(name, codec, **options):
        if name not in made:
            made[name] = make_film(folder / name, codec, **options)
        return made[name]

    return film


KINDS = {
    "aac.mp4": ("aac", {}),
    "aac.mkv": ("aac", {"rate": 44100}),
    "aac.ts": ("aac", {"late": 7}),
    "opus.webm": ("libopus", {"vcodec": "libvpx"}),
    "pcm.mov": ("pcm_s16le", {}),
    "flac.mkv": ("flac", {"late": 10}),
}

# source, file, codec found, whether packets are as they were
WRITTEN = [
    ("aac.mp4", "a.mp4", "aac", True),
    ("aac.mp4", "a.mov", "aac", True),
    ("aac.mp4", "a.mkv", "aac", True),
    ("aac.mp4", "a.webm", "opus", False),
    ("aac.mkv", "a.mp4", "aac", True),
    ("aac.mkv", "a.webm", "opus", False),
    ("aac.ts", "a.mp4", "aac", False),  # each packet loses the header that only streams need
    ("aac.ts", "a.mkv", "aac", False),
    ("opus.webm", "a.webm", "opus", True),
    ("opus.webm", "a.mp4", "opus", True),
    ("opus.webm", "a.mov", "aac", False),
    ("pcm.mov", "a.mov", "pcm_s16le", True),
    ("pcm.mov", "a.mkv", "pcm_s16le", True),
    ("pcm.mov", "a.mp4", "aac", False),
    ("flac.mkv", "a.mkv", "flac", True),
    ("flac.mkv", "a.m4v", "aac", False),
]


@pytest.mark.parametrize("start_s", [0.0, 1.3])
@pytest.mark.parametrize(("source", "name", "codec", "is_copied"), WRITTEN)
def test_the_beep_stays_with_the_flash(source, name, codec, is_copied, start_s, films, tmp_path, capfd):
    path = films(source, KINDS[source][0], **KINDS[source][1])
    with open_video(path, start_s=start_s, end_s=2.6) as film:
        count = save_video(film, tmp_path / name, sound=film)
    told = read(tmp_path / name)
    length = count / 25
    assert (told.codec, told.first_frame, told.frames) == (codec, 0, count)
    assert told.flash == pytest.approx(2.04 - np.ceil(start_s * 25) / 25, abs=0.001)
    assert abs(told.beep - told.flash) <= 0.002
    longest = 0.1 if "flac" in (source.split(".")[0], codec) else PACKET_S  # FLAC has 4608 samples a packet
    assert -1e-6 <= told.starts[0] <= longest
    assert length - 0.001 <= told.end + longest
    assert told.end <= length + longest
    if is_copied:
        assert is_part(packets(tmp_path / name), packets(path))
    assert capfd.readouterr() == ("", "")


def test_the_start_is_heard_where_a_file_can_begin_within_a_packet(films, tmp_path):
    path = films("aac.mp4", "aac")
    with open_video(path, start_s=2.04) as film:  # the beep is from the first sample on
        save_video(film, tmp_path / "a.mp4", sound=film)
        save_video(film, tmp_path / "a.mkv", sound=film)
    assert read(tmp_path / "a.mp4").beep == pytest.approx(0, abs=0.001)
    assert read(tmp_path / "a.mkv").beep == pytest.approx(0, abs=PACKET_S)


def test_all_tracks_are_kept_with_their_languages(films, tmp_path):
    path = films("two.mkv", "aac", layouts=("stereo", "5.1"))
    with open_video(path) as film:
        for name in ("a.mp4", "a.mkv", "a.webm"):
            save_video(film, tmp_path / name, sound=film)
            assert [read(tmp_path / name, track).language for track in (0, 1)] == ["deu", "eng"]
            assert abs(read(tmp_path / name, 1).beep - FLASH_S) < 0.002
            with av.open(str(tmp_path / name)) as container:
                assert [s.codec_context.layout.nb_channels for s in container.streams.audio] == [2, 6]
    assert is_part(packets(tmp_path / "a.mkv", 1), packets(path, 1))


def test_frames_of_a_later_part_take_their_sound_along(films, tmp_path):
    path = films("aac.mp4", "aac")
    with open_video(path) as film:
        d3.save(film, tmp_path / "c.mp4", sound=film)
        later = [frame for frame in film if frame.time_s >= 1.5]
        save_video(later, tmp_path / "a.mp4", sound=film)
        save_video([frame.image for frame in film], tmp_path / "b.mp4", fps=25, sound=film)
    told = read(tmp_path / "a.mp4")
    assert told.flash == pytest.approx(2.04 - 1.52)
    assert abs(told.beep - told.flash) < 0.002
    for name in ("b.mp4", "c.mp4"):
        assert read(tmp_path / name).beep == pytest.approx(2.04, abs=0.002)


def test_sound_that_starts_later_or_ends_earlier(films, tmp_path):
    path = films("aac.mp4", "aac")
    with open_video(path) as film:
        frames = [frame.image for frame in film]
        for shift_s in (-1, 1):
            film.first_time_s = Fraction(shift_s)
            for name in ("a.mp4", "a.webm"):
                save_video(frames, tmp_path / name, fps=20, sound=film)
                assert read(tmp_path / name).beep == pytest.approx(FLASH_S - shift_s, abs=0.002)
        film.first_time_s = Fraction(100)
        assert save_video(frames, tmp_path / "b.mp4", fps=25, sound=film) == 75


def test_sound_is_read_along_with_the_frames_and_lies_beside_them(films, tmp_path, monkeypatch):
    read_s = [0.0]
    timed = sound_tracks.Track._timed

    def noticed(self):
        for time_s, packet in timed(self):
            read_s[0] = float(time_s)
            yield time_s, packet

    monkeypatch.setattr(sound_tracks.Track, "_timed", noticed)
    path = films("long.mp4", "aac", seconds=12)
    ahead_s = []
    with open_video(path) as film:

        def frames():
            for frame in film:
                ahead_s.append(read_s[0] - float(frame.time_s))
                yield frame

        save_video(frames(), tmp_path / "a.mp4", sound=film)
    assert max(ahead_s) < 0.2
    assert ahead_s[-1] > -0.2
    with av.open(str(tmp_path / "a.mp4")) as container:
        order = sorted(
            (p.pos, p.stream.type, float(p.dts * p.time_base)) for p in container.demux() if p.size
        )
    latest = {"audio": 0.0, "video": 0.0}
    for _, kind, time_s in order:
        latest[kind] = time_s
        assert abs(latest["audio"] - latest["video"]) < 1.5


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "folder"])
def test_files_without_sound(name, films, tmp_path):
    with open_video(films("aac.mp4", "aac"), end_s=0.2) as film:
        assert save_video(film, tmp_path / name, sound=film) == 5


def test_names_with_colons_are_no_addresses(films, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    shutil.copy(films("aac.mp4", "aac"), "data:a.mp4")
    for name in ("http:b.mp4", "12:30.mkv", "c:d.gif", "c:d.webp"):
        with open_video("data:a.mp4", start_s=2, end_s=2.2) as film:
            save_video(film, name, sound=film)
        with open_video(name) as made:
            assert made.has_sound == (name[-3:] in ("mp4", "mkv"))
    assert not caplog.records


def test_sound_is_a_film_that_was_opened(tmp_path):
    with pytest.raises(InputError, match=r"sound must be a film from open_video\(\), got str"):
        save_video(timed(), tmp_path / "a.mp4", sound="a.mp3")


def test_a_film_without_sound(tmp_path):
    make_film(tmp_path / "silent.mp4", "aac", layouts=())
    with open_video(tmp_path / "silent.mp4") as film:
        assert not film.has_sound
        save_video(film, tmp_path / "a.mp4", sound=film)
        save_video(film, tmp_path / "b.mp4", sound=sound_of(tmp_path / "silent.mp4"))  # which says it has
    for name in ("a.mp4", "b.mp4"):
        with av.open(str(tmp_path / name)) as container:
            assert len(container.streams) == 1


# -- damage ---------------------------------------------------------------------------------------


def timed(count=75):
    return [VideoFrame(np.zeros((32, 32, 3), np.uint8), Fraction(k, 25), k) for k in range(count)]


def sound_of(path):
    return SimpleNamespace(path=path, has_sound=True, start_s=0.0, end_s=None, first_time_s=Fraction(0))


def test_damaged_packets_become_silence_of_their_length(films, tmp_path):
    path = films("flac.mkv", *KINDS["flac.mkv"][:1], **KINDS["flac.mkv"][1])
    data = bytearray(path.read_bytes())
    for packet in packets(path)[4:8]:
        at = data.index(packet)
        data[at : at + len(packet)] = b"\xff" * len(packet)
    (tmp_path / "damaged.mkv").write_bytes(data)
    with open_video(tmp_path / "damaged.mkv") as film:
        save_video(film, tmp_path / "a.mp4", sound=film)
    told = read(tmp_path / "a.mp4")
    assert abs(told.beep - told.flash) < 0.002


@pytest.mark.parametrize(
    ("damage", "words"),
    [(lambda data: data.replace(b"A_FLAC", b"A_FLAX"), "an unknown codec"), (lambda _: b"", "can't be read")],
)
def test_sound_that_cannot_be_read_is_left_out_with_a_warning(damage, words, films, tmp_path, caplog):
    path = films("flac.mkv", "flac", late=10)
    (tmp_path / "damaged.mkv").write_bytes(damage(path.read_bytes()))
    assert save_video(timed(), tmp_path / "a.mp4", sound=sound_of(tmp_path / "damaged.mkv")) == 75
    assert words in caplog.text
    assert "the film goes on without it" in caplog.text
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert len(container.streams) == 1


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_sound_that_breaks_off_does_not_take_the_film_with_it(name, films, tmp_path, monkeypatch, caplog):
    whole = sound_tracks.Track._timed

    def breaking(self):
        for time_s, packet in whole(self):
            if time_s > 1:
                raise av.error.InvalidDataError(errno.EINVAL, "Invalid data found")
            yield time_s, packet

    monkeypatch.setattr(sound_tracks.Track, "_timed", breaking)
    assert save_video(timed(), tmp_path / name, sound=sound_of(films("aac.mp4", "aac"))) == 75
    told = read(tmp_path / name)
    assert told.frames == 75
    assert told.end == pytest.approx(1, abs=0.06)
    assert "is damaged and ends early: Invalid data found; the film goes on without it" in caplog.text


def test_tracks_that_appear_midway_disturb_nothing(tmp_path):
    parts = [make_film(tmp_path / f"{n}.ts", "aac", layouts=("mono",) * n, seconds=3) for n in (1, 3)]
    (tmp_path / "a.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_video(tmp_path / "a.ts") as film:
        assert save_video(film, tmp_path / "a.mp4", sound=film) == 150
    assert len(packets(tmp_path / "a.mp4")) > 100


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(name, films, tmp_path):
    resource = pytest.importorskip("resource")
    path = films("aac.mp4", "aac")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), dtype=np.uint8)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, hard))
    try:
        with pytest.raises(FileError, match="File too large; free space or choose another place"):
            save_video(list(noise), tmp_path / name, sound=sound_of(path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_frames_that_fail_leave_nothing(films, tmp_path):
    def broken():
        yield from timed(30)
        raise RuntimeError("the network fell over")

    with pytest.raises(RuntimeError, match="fell over"):
        save_video(broken(), tmp_path / "a.mp4", sound=sound_of(films("aac.mp4", "aac")))
    assert list(tmp_path.iterdir()) == []
