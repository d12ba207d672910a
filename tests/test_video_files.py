"""Films in, films out: every effect, exact depth, times, order, bounded memory, nothing half written."""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from threading import Event

import cv2
import numpy as np
import pytest

import depth3d as d3
from depth3d.errors import FileError, InputError, NeedsMetricError, UnsupportedFormatError
from depth3d.render.defocus import Defocus
from depth3d.render.refocus import Refocus

W, H = 96, 64
FAR, NEAR = 2.0, 10.0


def wall():
    rng = np.random.default_rng(5)
    return cv2.GaussianBlur(rng.integers(40, 216, (H, W, 3)).astype(np.uint8), (0, 0), 1.5)


def box(number):
    return slice(20, 44), slice(30 + number, 54 + number)


class Shot:
    """A film of a red box that moves before a wall: what `VideoFile` offers, from memory."""

    def __init__(self, frames=6, times=None, fail_at=None):
        self.path, self.size_wh, self.fps = Path("shot.mp4"), (W, H), Fraction(10)
        self.frame_count, self.duration_s, self.start_s, self.end_s = frames, frames / 10, 0.0, None
        self.has_sound, self.is_variable, self.notes = False, times is not None, ()
        self.times = times or [Fraction(k, 10) for k in range(frames)]
        self.fail_at, self.taken, self.wall = fail_at, 0, wall()

    def image(self, number):
        image = self.wall.copy()
        image[box(number)] = (200, 40, 40)
        return image

    def frames(self):
        for number, time_s in enumerate(self.times):
            if number == self.fail_at:
                raise InputError("the film is broken here")
            self.taken += 1
            yield d3.VideoFrame(self.image(number), time_s, number)


class Truth:
    """Its depth: relative 10 on the box and 2 on the wall, or 1 m and 5 m; given `late` frames late."""

    def __init__(self, kind="relative", late=0, drop=0, more=0):
        self.name, self.kind, self.late, self.drop, self.more = "truth", d3.DepthKind(kind), late, drop, more

    def map(self, number):
        values = np.full((H, W), 5.0 if self.kind == "metric" else FAR, np.float32)
        values[box(number)] = 1.0 if self.kind == "metric" else NEAR
        return d3.DepthMap(values, self.kind)

    def stream(self, frames):
        count = given = 0
        for _ in frames:
            count += 1
            if count - given > self.late:
                yield self.map(given)
                given += 1
        for number in range(given, count - self.drop + self.more):
            yield self.map(number)


def made(effect, depth=None, video=None, **options):
    return [f.image for f in d3.video_frames(video or Shot(), effect, depth=depth or Truth(), **options)]


def read_back(path):
    with d3.open_video(path) as video:
        return list(video.frames())


def test_gray_depth_is_linear_in_disparity_within_the_range():
    for picture in made(d3.DepthFilm("gray"), span=(0.0, 20.0)):
        assert np.unique(picture).tolist() == [round(255 * FAR / 20), round(255 * NEAR / 20)]
    metric = made(d3.DepthFilm("gray"), Truth("metric"), span=(0.0, 1.25))[2]
    assert np.unique(metric).tolist() == [round(255 * 0.2 / 1.25), round(255 / 1.25)]
    assert metric[box(2)].min() == round(255 / 1.25)
    colors = made(d3.DepthFilm("viridis"))
    assert all(len(np.unique(picture.reshape(-1, 3), axis=0)) == 2 for picture in colors)


def test_frames_come_in_order_with_their_times_however_late_the_depth_is():
    times = [Fraction(k * k, 90) for k in range(9)]
    for late in (0, 3, 20):
        video = Shot(9, times)
        given = list(d3.video_frames(video, d3.DepthFilm("gray"), depth=Truth(late=late), threads=3))
        assert [f.time_s for f in given] == times
        assert [f.number for f in given] == list(range(9))
        for number, frame in enumerate(given):
            bright = np.argwhere(frame.image[..., 0] > 128)
            assert bright.min(axis=0).tolist() == [20, 30 + number]


def test_no_more_frames_are_read_than_stages_hold():
    video = Shot(60)
    film = d3.video_frames(video, d3.DepthFilm("gray"), depth=Truth(late=4), threads=2)
    for number in range(30):
        next(film)
        assert video.taken <= number + 1 + 4 + 14
    film.close()
    assert video.taken < 60


def test_bokeh_is_that_of_the_photo_with_the_films_gain():
    span = (FAR, NEAR)
    pictures = made(d3.BokehFilm(focus=(42, 32), strength_px=6, device="cpu"), span=span)
    gain = 0.5 * 6 / (0.98 * (NEAR - FAR))  # between the percentiles 1 and 99 of the range's two ends
    for number in (0, 5):
        camera = d3.camera_for((W, H))
        scene = d3.RGBD(Shot().image(number), Truth().map(number), camera)
        want = Refocus(scene, device="cpu", quick=True).image(Defocus(gain, NEAR))
        np.testing.assert_array_equal(pictures[number], want)
    inside = pictures[3][26:38, 40:50]
    assert np.array_equal(inside, Shot().image(3)[26:38, 40:50])
    assert not np.array_equal(pictures[3][:10], Shot().image(3)[:10])
    with pytest.raises(NeedsMetricError, match="strength_px"):
        made(d3.BokehFilm(lens=d3.ThinLens(0.02)))
    with pytest.raises(InputError, match="needs the point"):
        made(d3.BokehFilm(track=True))
    # A lens counts in metres: the circle of confusion is fx A |1/z - 1/z_f|.
    facts = {}
    lens = d3.BokehFilm(focus_m=1.0, lens=d3.ThinLens(0.05), device="cpu")
    assert len(made(lens, Truth("metric"), facts=facts)) == 6
    assert facts["focus"] == "given as 1 m"


def test_grain_moves_from_frame_to_frame():
    from depth3d.render.looks import Look

    # A film that stands still: only the grain can tell its blurred frames apart.
    video = Shot(2)
    video.image = lambda number: Shot().wall
    still = Truth()
    still.map = lambda number: Truth().map(0)
    for grain, same in ((0.0, True), (1.0, False)):
        effect = d3.BokehFilm(focus=(42, 32), strength_px=8, look=Look(grain=grain), device="cpu")
        first, second = made(effect, still, video, span=(FAR, NEAR))
        assert np.array_equal(first, second) is same


def test_stereo_moves_the_box_by_the_divergence_and_keeps_an_eye():
    effect = d3.StereoFilm(divergence_percent=4, convergence=0, keep="left", device="cpu")
    facts = {}
    pictures = made(effect, span=(FAR, NEAR), facts=facts)
    for number, picture in enumerate(pictures):
        assert picture.shape == (H, 2 * W, 3)
        assert np.array_equal(picture[:, :W], Shot().image(number))
        red = (picture[30, W:, 0] > 150) & (picture[30, W:, 2] < 100)
        columns = np.flatnonzero(red)
        # 4 % of 96 pixels to the left.
        assert columns.min() == pytest.approx(30 + number - 3.84, abs=1)
        assert columns.max() == pytest.approx(53 + number - 3.84, abs=1)
        np.testing.assert_allclose(
            picture[:10, W + 8 : -8].astype(float), Shot().image(number)[:10, 8:-8].astype(float), atol=2
        )
    assert facts["divergence_percent"] == pytest.approx(4)
    swapped = made(d3.StereoFilm(divergence_percent=4, convergence=0, keep="left", swap=True, device="cpu"),
                   span=(FAR, NEAR))  # fmt: skip
    assert np.array_equal(swapped[0][:, W:], Shot().image(0))
    for layout, shape in (("anaglyph", (H, W)), ("top-bottom", (2 * H, W))):
        assert made(d3.StereoFilm(layout=layout))[0].shape[:2] == shape
    with pytest.raises(NeedsMetricError, match="baseline_mm"):
        made(d3.StereoFilm(baseline_mm=63))
    pointed = made(d3.StereoFilm(converge_at=(42, 32), device="cpu"), span=(FAR, NEAR))[0]
    red = (pointed[30, :, 0] > 150) & (pointed[30, :, 2] < 100)
    assert np.flatnonzero(red[:W]).min() == pytest.approx(np.flatnonzero(red[W:]).min(), abs=1)


def test_a_camera_at_rest_gives_the_film_and_one_that_moves_keeps_the_still_point():
    still = made(d3.ParallaxFilm(d3.Sway(), amplitude=0, device="cpu"))
    for number, picture in enumerate(still):
        assert np.array_equal(picture, Shot().image(number))
    facts = {}
    effect = d3.ParallaxFilm(d3.Sway(), seconds=1.0, pivot=(10, 10), border="fill", device="cpu")
    moving = made(effect, video=Shot(10), facts=facts)
    starts = [np.flatnonzero((p[30, :, 0] > 150) & (p[30, :, 2] < 100)).min() - 30 for p in moving]
    # The wall stays, the box goes its own way and the camera's: at most 2.5 % of the width to and fro.
    way = np.array(starts) - np.arange(10)
    assert 1 <= np.abs(way).max() <= 4
    assert way[0] == 0
    np.testing.assert_allclose(
        moving[3][:8, 8:-8].astype(float), Shot().image(3)[:8, 8:-8].astype(float), atol=3
    )
    assert facts["largest_parallax_px"] <= 0.025 * W * 1.001
    unknown = Shot()
    unknown.frame_count = None
    with pytest.raises(InputError, match="how long"):
        made(d3.ParallaxFilm(d3.DollyIn()), video=unknown)
    assert len(made(d3.ParallaxFilm(d3.DollyIn(), seconds=1.0, device="cpu"), video=unknown)) == 6


@pytest.mark.parametrize("kind", ["relative", "metric"])
@pytest.mark.parametrize("name", ["numbers.mkv", "numbers"])
def test_depth_as_numbers_comes_back(tmp_path, kind, name):
    truth, path = Truth(kind), tmp_path / name
    result = d3.convert_video(Shot(), path, d3.Depth16Film(), depth=truth)
    told = json.loads(result.files[1].read_text(encoding="utf-8"))
    assert result.files[1] == (tmp_path / "numbers.json" if path.suffix else path / "depth.json")
    assert (result.frames, told["frames"], told["kind"], told["clipped_pixels"]) == (6, 6, kind, 0)
    again = d3.RecordedDepth(path)
    assert (again.name, again.kind) == (name, kind)
    maps = list(again.stream(Shot().image(k) for k in range(6)))
    for number, depth in enumerate(maps):
        np.testing.assert_allclose(depth.values, truth.map(number).values, atol=told["scale"] / 2 * 1.001)
    if path.suffix == "":  # read by somebody else: the law is in the file
        numbers = cv2.imread(str(path / "frame_00003.png"), cv2.IMREAD_UNCHANGED)
        assert numbers.dtype == np.uint16
        np.testing.assert_allclose(
            told["offset"] + told["scale"] * numbers.astype(float), truth.map(2).values, atol=told["scale"]
        )
    larger = next(again.stream([np.zeros((2 * H, 2 * W, 3), np.uint8)]))
    assert larger.size_wh == (2 * W, 2 * H)
    with pytest.raises(InputError, match="--max-frames 6"):
        list(again.stream(Shot().image(0) for _ in range(7)))


def test_numbers_start_where_the_film_does(tmp_path):
    for name in ("n.mkv", "n"):
        d3.convert_video(Shot(), tmp_path / name, d3.Depth16Film(), depth=Truth())
        maps = list(d3.RecordedDepth(tmp_path / name, start_s=0.2).stream([Shot().image(2)]))
        np.testing.assert_allclose(maps[0].values, Truth().map(2).values, atol=1e-3)
    later = tmp_path / "n.json"
    later.write_text(later.read_text().replace('"start_s": 0.0', '"start_s": 4.0'))
    with pytest.raises(InputError, match="starts at 4 s"):
        d3.RecordedDepth(tmp_path / "n.mkv", start_s=1.0)


def test_clipped_numbers_are_counted_and_unknown_ones_stay_unknown(tmp_path):
    class Growing(Truth):
        def map(self, number):
            values = Truth.map(self, number).values.copy()
            values[box(number)] *= 1 + 4 * (number == 5)
            values[0, 0] = np.nan
            return d3.DepthMap(values, "relative")

    result = d3.convert_video(Shot(), tmp_path / "n.mkv", d3.Depth16Film(), depth=Growing())
    assert result.facts["clipped_pixels"] == 24 * 24
    for depth in d3.RecordedDepth(tmp_path / "n.mkv").stream([wall()] * 6):
        assert np.isnan(depth.values[0, 0])
        assert np.isnan(depth.values).sum() == 1


def test_a_folder_of_depth_files_is_depth_of_a_film(tmp_path):
    folder = tmp_path / "maps"
    folder.mkdir()
    for number in range(3):
        d3.save(Truth("metric").map(number), folder / f"map_{number}.npz")
    recorded = d3.RecordedDepth(folder)
    assert recorded.kind == "metric"
    for number, depth in enumerate(recorded.stream([wall()] * 3)):
        assert np.array_equal(depth.values, Truth("metric").map(number).values)
    with pytest.raises(InputError, match="no depth files"):
        d3.RecordedDepth(tmp_path)
    with pytest.raises(FileError, match="not there"):
        d3.RecordedDepth(tmp_path / "nothing.mkv")


def test_clouds_of_every_second_frame(tmp_path):
    effect = d3.CloudFilm(every=2, assume_range_m=(1.0, 4.0))
    result = d3.convert_video(Shot(5), tmp_path / "c", effect, depth=Truth(), span=(FAR, NEAR))
    assert result.frames == 5
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == [f"frame_0000{n}.ply" for n in (1, 3, 5)]
    cloud = d3.load_cloud(tmp_path / "c" / "frame_00003.ply")
    assert sorted(np.unique(cloud.points[:, 2].round(4)).tolist()) == [1.0, 4.0]
    red = cloud.colors[cloud.points[:, 2] < 2]
    assert (red == (200, 40, 40)).all()
    with pytest.raises(InputError, match="no pictures"):
        made(effect)
    with pytest.raises(UnsupportedFormatError, match="folder"):
        d3.convert_video(Shot(), tmp_path / "c.ply", effect, depth=Truth())
    with pytest.raises(FileError, match="holds clouds already"):
        d3.convert_video(Shot(), tmp_path / "c", effect, depth=Truth(), overwrite=False)
    assert len(list(d3.CloudFilm().jobs(iter(()), None, {}))) == 0
    for wrong in ({"every": 0}, {"assume_range_m": (5, 1)}):
        with pytest.raises(InputError):
            d3.CloudFilm(**wrong)


def test_films_keep_their_times(tmp_path):
    times = [Fraction(k, 10) for k in (0, 1, 2, 5, 6, 9)]
    result = d3.convert_video(Shot(6, times), tmp_path / "o.mp4", d3.DepthFilm("gray"), depth=Truth())
    frames = read_back(tmp_path / "o.mp4")
    assert result.frames == len(frames) == 6
    assert [frame.time_s for frame in frames] == times
    assert abs(int(frames[4].image[32, 40, 0]) - 235) < 12  # the box is bright


def test_what_is_stopped_is_whole_and_what_fails_leaves_nothing(tmp_path):
    until, seen = Event(), []

    def count(amount):
        seen.append(amount)
        if len(seen) == 3:
            until.set()

    result = d3.convert_video(
        Shot(500), tmp_path / "s.mp4", d3.DepthFilm(), depth=Truth(), until=until, on_frame=count
    )
    assert 3 <= result.frames < 100
    assert len(read_back(tmp_path / "s.mp4")) == result.frames == len(seen)
    (tmp_path / "s.mp4").unlink()

    for video, depth, says in (
        (Shot(60, fail_at=30), Truth(), "broken here"),
        (Shot(), Truth(late=3, drop=2), "no depth for the last 2"),
        (Shot(), Truth(more=1), "more depth maps"),
    ):
        with pytest.raises(InputError, match=says):
            d3.convert_video(video, tmp_path / "f.mp4", d3.DepthFilm(), depth=depth)
        assert list(tmp_path.iterdir()) == []
    small = Truth()
    small.map = lambda number: d3.DepthMap(np.ones((3, 4), np.float32), "relative")
    with pytest.raises(InputError, match="gave depth of 4x3"):
        d3.convert_video(Shot(), tmp_path / "f.mp4", d3.DepthFilm(), depth=small)

    def interrupt(amount):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        d3.convert_video(Shot(50), tmp_path / "f.mp4", d3.DepthFilm(), depth=Truth(), on_frame=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_outputs_are_checked_first(tmp_path):
    def refused(error, says, output, effect=None, **options):
        video = Shot()
        with pytest.raises(error, match=says):
            d3.convert_video(video, output, effect or d3.DepthFilm(), depth=Truth(), **options)
        assert video.taken == 0

    refused(UnsupportedFormatError, "16 bits goes into .mkv", tmp_path / "a.mp4", d3.Depth16Film())
    refused(UnsupportedFormatError, "as h264", tmp_path / "a.mkv", d3.Depth16Film(), codec="h264")
    refused(UnsupportedFormatError, "can't write a video", tmp_path / "a.avi")
    refused(FileError, "does not exist", tmp_path / "no" / "a.mp4")
    (tmp_path / "a.json").write_text("{}")
    refused(FileError, "a.json already exists", tmp_path / "a.mkv", d3.Depth16Film(), overwrite=False)


def test_one_frame_and_odd_sides(tmp_path):
    class Odd(Shot):
        def image(self, number):
            return Shot.image(self, number)[:43, :71]

    class OddTruth(Truth):
        def map(self, number):
            return d3.DepthMap(Truth.map(self, number).values[:43, :71], "relative")

    for effect in (d3.DepthFilm(), d3.BokehFilm(), d3.StereoFilm(), d3.ParallaxFilm()):
        video = Odd(1)
        video.size_wh = (71, 43)
        path = tmp_path / f"{effect.name}.mp4"
        assert d3.convert_video(video, path, effect, depth=OddTruth()).frames == 1
        assert len(read_back(path)) == 1


MEMORY = """
import resource, sys
sys.path.insert(0, {tests!r})
import test_video_files as t, depth3d as d3
peaks = {{}}
def count(amount):
    count.n += 1
    if count.n in (60, 600):
        peaks[count.n] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
count.n = 0
d3.convert_video(t.Shot(600), {out!r}, d3.DepthFilm(), depth=t.Truth(late=5), on_frame=count)
print(peaks[60], peaks[600])
"""


def test_memory_does_not_grow_with_the_film(tmp_path):
    code = MEMORY.format(tests=str(Path(__file__).parent), out=str(tmp_path / "o.mp4"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    short, long = map(float, done.stdout.split())
    # Ten times as many frames of 18 kB: held, they would be 10 MB, and their maps 13 MB.
    assert long - short < 6
