"""Times of frames, as exact as the file is: variable rates, rounded times, none at all, seeking."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

import depth3d as d3
from depth3d.io import video_decoding
from depth3d.io.video_timing import rate_of

LEVELS = range(0, 240, 6)
MS = Fraction(1, 1000)


def grays(frames):
    return [round(float(frame.image.mean()) / 6) for frame in frames]


def irregular(count=40, seed=4):
    return np.cumsum(np.random.default_rng(seed).integers(10, 90, count)).tolist()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.ts"])
def test_variable_times_come_back_exactly(name, write_film, tmp_path):
    ticks = irregular()
    path = write_film(tmp_path / name, LEVELS, ticks=ticks, base=MS, rate=1000)
    with d3.open_video(path) as film:
        frames = list(film)
    assert film.is_variable
    assert grays(frames) == list(range(40))
    assert [frame.time_s for frame in frames] == [(tick - ticks[0]) * MS for tick in ticks]
    assert float(film.fps) == pytest.approx(39000 / (ticks[-1] - ticks[0]), rel=0.05)
    for start in (1, 17, 39):
        with d3.open_video(path, start_s=(ticks[start] - ticks[0]) / 1000) as part:
            assert grays(part) == list(range(start, 40))
            assert part.first_time_s == film.first_time_s + (ticks[start] - ticks[0]) * MS
            assert next(part.frames()).time_s == 0


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.ts"])
@pytest.mark.parametrize(
    "rate", [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(60), Fraction(15, 2)]
)
def test_a_constant_rate_is_known_though_times_are_rounded(name, rate, write_film, tmp_path):
    codec = "libvpx-vp9" if name.endswith("webm") else "libx264"
    path = write_film(
        tmp_path / name, LEVELS, codec=codec, rate=rate, options={"b": "100000", "cpu-used": "8"}
    )
    with d3.open_video(path) as film:
        times = [frame.time_s for frame in film]
    assert (film.fps, film.is_variable, film.frame_count) == (rate, False, 40)
    tick = Fraction(1, 1000) if name in ("a.mkv", "a.webm") else Fraction(1, 90000)
    assert times[0] == 0
    assert max(abs(time - number / rate) for number, time in enumerate(times)) <= tick
    assert film.duration_s == pytest.approx(40 / rate)


def test_a_frame_that_was_dropped_makes_the_rate_variable(write_film, tmp_path):
    ticks = [number for number in range(41) if number != 20]
    path = write_film(tmp_path / "a.mp4", LEVELS, ticks=ticks, base=Fraction(1, 25))
    with d3.open_video(path) as film:
        assert film.is_variable
        assert [frame.time_s * 25 for frame in film] == ticks


@pytest.mark.parametrize("first", [3, 1000])
def test_films_that_start_late_start_at_zero(first, write_film, tmp_path):
    ticks = [first + number for number in range(40)]
    path = write_film(
        tmp_path / "a.nut",
        LEVELS,
        ticks=ticks,
        base=Fraction(1, 25),
    )
    with d3.open_video(path, start_s=0.2) as film:
        frames = list(film)
    assert grays(frames) == list(range(5, 40))
    assert frames[0].time_s == 0
    assert film.first_time_s == Fraction(first + 5, 25)
    assert film.duration_s == pytest.approx(1.6)


def test_what_an_edit_list_hides_is_not_read(write_film, tmp_path):
    ticks = [number - 7 for number in range(40)]
    path = write_film(tmp_path / "a.mp4", LEVELS, ticks=ticks, base=Fraction(1, 25))
    with d3.open_video(path) as film:
        frames = list(film)
    assert grays(frames) == list(range(7, 40))
    assert [frame.time_s for frame in frames] == [Fraction(i, 25) for i in range(33)]
    assert (film.fps, film.is_variable, film.frame_count, film.first_time_s) == (25, False, 33, 0)
    with d3.open_video(path, start_s=0.4) as part:
        assert grays(part) == list(range(17, 40))


def test_a_stream_without_times_counts_its_frames(write_film, tmp_path):
    path = write_film(tmp_path / "a.h264", LEVELS, rate=24, options={"bf": "3"}, format="h264")
    with d3.open_video(path) as film:
        frames = list(film)
    assert grays(frames) == list(range(40))
    assert [frame.time_s for frame in frames] == [Fraction(i, 24) for i in range(40)]
    assert film.notes == ("it tells no times: 24 frames a second are assumed",)
    with d3.open_video(path, start_s=0.5, max_frames=4) as part:
        assert grays(part) == [12, 13, 14, 15]


def test_times_that_repeat_or_go_back_grow_in_what_is_read(monkeypatch):
    told_ms = [0, 40, 80, 80, 120, 110, None, 200, 5000, 5040, 0, 40, 80]
    frames = [
        SimpleNamespace(pts=ms, time_base=MS, duration=40, is_corrupt=False, number=number)
        for number, ms in enumerate(told_ms)
    ]
    monkeypatch.setattr(video_decoding, "_frames", lambda *_: iter(frames))
    damage = video_decoding.Damage()
    stream = SimpleNamespace(time_base=MS)
    made = list(video_decoding.decoded_frames(None, stream, Fraction(25), damage))
    assert [frame for _, frame in made] == frames
    assert [time / MS for time, _ in made] == [
        0,
        40,
        80,
        81,
        120,
        121,
        161,
        200,
        5000,
        5040,
        5080,
        5120,
        5160,
    ]
    assert damage.jumps == 1


@pytest.mark.parametrize("seed", range(20))
def test_rates_are_found_from_rounded_times_and_only_where_there_is_one(seed):
    draw = np.random.default_rng(seed)
    rate = [Fraction(24), Fraction(30000, 1001), Fraction(50), Fraction(60000, 1001), Fraction(25, 3)][
        seed % 5
    ]
    first, count = int(draw.integers(-500, 10**7)), int(draw.integers(60, 300))
    ticks = [first + round(number / rate / MS) for number in range(count)]
    assert rate_of(ticks, MS, [rate]) == rate
    assert abs(rate_of(ticks, MS, []) / rate - 1) <= Fraction(1, 1000)
    assert rate_of(ticks, MS, [2 * rate]) != 2 * rate
    shaken = sorted(set((np.array(ticks) + draw.integers(-12, 13, count)).tolist()))
    assert rate_of(shaken, MS, [rate]) is None


def test_one_frame_has_no_rate_of_its_own():
    assert rate_of([], MS, []) is None
    assert rate_of([5], MS, [Fraction(25)]) is None
