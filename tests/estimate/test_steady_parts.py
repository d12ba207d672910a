"""The parts of `SteadyDepth`: gauges, their plan, the camera's motion, cuts; and networks for films."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

import depth3d as d3
from depth3d.errors import InputError, UnknownModelError
from depth3d.estimate import shots
from depth3d.estimate.camera_motion import CameraMotion, camera_motion
from depth3d.estimate.frame_alignment import Gauge, fit_gauge
from depth3d.estimate.gauge_plan import next_gauge
from depth3d.estimate.motion import averaged, motions, sketch, steadied
from depth3d.estimate.scene_cuts import MOST_FLASH_FRAMES, is_blank, likeness, motions_within_shot
from depth3d.estimate.steady_depth import steady
from depth3d.video_cuts import SceneCuts

RNG = np.random.default_rng(0)
H, W = 120, 160


def picture(seed: int, height: int = H, width: int = W) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.uniform(0, 255, (height, width, 3)).astype(np.float32), (0, 0), 3)
    tint = rng.uniform(0.3, 1, 3)
    return ((noise - noise.min()) / np.ptp(noise) * 255 * tint).astype(np.uint8)


# -- gauges -------------------------------------------------------------------------------------


def test_gauges_are_a_group() -> None:
    a, b, values = Gauge(2.0, -1.0), Gauge(0.5, 3.0), RNG.normal(size=50)
    np.testing.assert_allclose(a.after(b)(values), a(b(values)))
    np.testing.assert_allclose(a.inverse(a(values)), values)


def test_a_gauge_is_found_exactly_among_a_third_of_outliers() -> None:
    x = RNG.uniform(0, 5, 3000)
    y = 0.7 * x + 2
    y[:1000] += RNG.uniform(1, 9, 1000)
    gauge, _ = fit_gauge(x, y, np.ones(3000))
    assert (gauge.scale, gauge.shift) == (pytest.approx(0.7, rel=1e-3), pytest.approx(2, rel=1e-3))


def test_noise_in_both_does_not_shrink_the_scale() -> None:
    """Least squares would say 1 / (1 + 0.2^2) of it: 4 % of the contrast lost in each frame."""
    x = RNG.normal(size=40000)
    noise = RNG.normal(0, 0.2, (2, 40000))
    gauge, _ = fit_gauge(x + noise[0], 3 * (x + noise[1]), np.ones(40000))
    assert gauge.scale == pytest.approx(3, rel=0.005)


def test_maps_without_relief_or_relation_keep_their_scale() -> None:
    flat, slope = np.full(500, 2.0), np.linspace(0, 1, 500)
    assert fit_gauge(flat, slope, np.ones(500))[0].scale == 1
    assert fit_gauge(slope, -slope, np.ones(500))[0].scale == 1
    assert fit_gauge(slope, slope, np.zeros(500)) is None


# -- the plan -----------------------------------------------------------------------------------


def planned_slowly(before: float, own: np.ndarray, freedom: np.ndarray) -> float:
    """Solve the whole course as one least squares problem; the last frame lasts for 400 more."""
    own, freedom = np.append(own, [own[-1]] * 400), np.append(freedom, [freedom[-1]] * 400)
    n = len(own)
    steps = (np.eye(n) - np.eye(n, k=-1)) / np.sqrt(freedom)[:, None]
    target = np.zeros(n)
    target[0] = before / np.sqrt(freedom[0])
    return np.linalg.lstsq(np.vstack([steps, np.eye(n)]), np.append(target, own), rcond=None)[0][0]


def test_the_plan_is_the_least_squares_course() -> None:
    own, freedom = RNG.uniform(1, 2, 7), RNG.uniform(0.05, 0.5, 7)
    gauges = [Gauge(g, 3 * g) for g in own]
    found = next_gauge(Gauge(1.2, 3.6), gauges, list(freedom))
    assert found.scale == pytest.approx(planned_slowly(1.2, own, freedom), rel=1e-6)
    assert found.shift == pytest.approx(3 * found.scale)


def test_without_freedom_the_gauge_rests_and_with_much_it_is_the_own_one() -> None:
    own = [Gauge(3.0, 1.0), Gauge(4.0, 2.0)]
    assert next_gauge(Gauge(), own, [0.0, 0.0]) == Gauge()
    assert next_gauge(Gauge(), own, [1e12, 1e12]).scale == pytest.approx(3, rel=1e-6)


# -- the camera ---------------------------------------------------------------------------------


def test_the_motion_of_a_camera_is_found_from_its_flow() -> None:
    near = cv2.resize(RNG.uniform(0.2, 1, (6, 8)).astype(np.float32), (W, H), interpolation=cv2.INTER_CUBIC)
    truth = CameraMotion(np.array([0.01, -0.02, 0.005, 0.02, -0.01, 0.03, 0], np.float32), 1.0)
    flow = truth.flow(near)
    flow[40:80, 30:70] += 6  # something of its own
    found = camera_motion(flow, 7 * near, np.ones((H, W), np.float32))
    np.testing.assert_allclose(found.flow(7 * near), truth.flow(near), atol=0.02)
    np.testing.assert_allclose(found.growth(7 * near), truth.growth(near), atol=5e-4)


def test_the_flow_and_the_growth_are_those_of_projection() -> None:
    """Move points by the small motion itself and project them."""
    z = np.full((H, W), 2.0, np.float32)
    w, a = np.array([2e-4, -3e-4, 1e-4]), np.array([1e-3, 2e-3, -4e-3])
    motion = CameraMotion(np.array([*w, *a, 0], np.float32), 1.0)
    focal = 0.9 * W
    u, v = np.meshgrid(np.arange(W) + 0.5 - W / 2, np.arange(H) + 0.5 - H / 2)
    P = np.stack([u / focal, v / focal, np.ones_like(u)], -1) * 2
    Q = P + np.cross(w, P) + a
    expected = np.stack([focal * Q[..., 0] / Q[..., 2] - u, focal * Q[..., 1] / Q[..., 2] - v], -1)
    np.testing.assert_allclose(motion.flow(1 / z), expected, atol=2e-3)
    np.testing.assert_allclose(motion.growth(1 / z), Q[..., 2] / 2 - 1, atol=1e-6)


def test_a_camera_that_stands_does_not_move() -> None:
    flow = np.zeros((H, W, 2), np.float32)
    flow[40:80, 30:70] = 5
    found = camera_motion(flow, np.ones((H, W), np.float32), np.ones((H, W), np.float32))
    assert not found.parameters.any()


# -- cuts ---------------------------------------------------------------------------------------


def cut_between(first: np.ndarray, second: np.ndarray) -> bool:
    return motions_within_shot(sketch(second, 512), sketch(first, 512)) is None


WIDE = picture(1, width=2 * W)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (WIDE[:, :W], False),
        (WIDE[:, 3 : W + 3], False),
        (WIDE[:, W // 5 : W + W // 5], False),  # a pan of a fifth of the picture in one frame
        (np.clip(WIDE[:, :W].astype(int) + 90, 0, 255).astype(np.uint8), False),  # a flash
        ((WIDE[:, :W] * 0.4).astype(np.uint8), False),  # a fade
        (picture(2), True),
        (picture(1)[::-1, ::-1], True),  # the same colours, another picture
        (WIDE[:, W:], True),
    ],
    ids=["same", "pan", "fast pan", "flash", "fade", "cut", "turned", "elsewhere"],
)
def test_cuts(second, expected) -> None:
    assert cut_between(WIDE[:, :W], second) is expected


@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize(("gain", "offset"), [(1.5, 60), (2, 100), (1, 200), (4, 100)])
def test_a_flash_begins_no_scene_and_no_shot(gain, offset, length) -> None:
    film = [np.ascontiguousarray(WIDE[:, 2 * k : W + 2 * k]) for k in range(9)]
    film[4 : 4 + length] = [
        np.clip(frame * float(gain) + offset, 0, 255).astype(np.uint8) for frame in film[4 : 4 + length]
    ]
    cuts, parts = SceneCuts(), shots.Shots()
    assert [cuts(frame) for frame in film] == [True] + 8 * [False]
    depth = d3.DepthMap(WIDE[:, :W, 0].astype(np.float32), "relative")
    assert len({id(parts.add(sketch(frame, 512), depth).shot) for frame in film}) == 1


def test_a_cut_to_white_is_one_when_no_flash_lasts_so_long() -> None:
    white = np.full((H, W, 3), 255, np.uint8)
    white[50:70, 60:100] = picture(3)[50:70, 60:100]
    film = [picture(1), *5 * [white], picture(2)]
    cuts, parts = SceneCuts(), shots.Shots()
    told = [cuts(frame) for frame in film]
    assert told == [True, False, False, False, True, False, True]
    depth = d3.DepthMap(picture(1)[..., 0].astype(np.float32), "relative")
    found = [parts.add(sketch(frame, 512), depth).shot for frame in film]
    assert [a is not b for a, b in itertools.pairwise(found)] == told[1:]


def page(seed: int) -> np.ndarray:
    """Words on white."""
    rng = np.random.default_rng(seed)
    ink = cv2.resize(rng.integers(0, 2, (3 * H // 6, W // 4)).astype(np.float32), (W, 3 * H))
    ink[np.arange(3 * H) // 8 % 2 == 0] = 0
    return np.repeat((255 * (1 - ink)).astype(np.uint8)[..., None], 3, axis=2)


def test_a_cut_to_a_white_page_is_one_although_all_of_it_is_dazzling() -> None:
    dark = (WIDE[:H, :W] // 3).astype(np.uint8)
    film = [dark] * 3 + [np.ascontiguousarray(page(0)[:H, :W])] * (MOST_FLASH_FRAMES + 3)
    cuts, parts = SceneCuts(), shots.Shots()
    assert [k for k, frame in enumerate(film) if cuts(frame)] == [0, 3 + MOST_FLASH_FRAMES]
    depth = d3.DepthMap(WIDE[:H, :W, 0].astype(np.float32), "relative")
    assert len({id(parts.add(sketch(frame, 512), depth).shot) for frame in film}) == 2


def test_a_page_that_scrolls_is_no_flash_and_another_page_is_unlike() -> None:
    film = [np.ascontiguousarray(page(0)[3 * k : H + 3 * k]) for k in range(6)]
    depth = d3.DepthMap(picture(1)[..., 0].astype(np.float32), "relative")
    parts = shots.Shots()
    found = [parts.add(sketch(frame, 512), depth) for frame in film]
    assert not any(frame.is_blank for frame in found)
    assert len({id(frame.shot) for frame in found}) == 1
    first, scrolled, other = (sketch(one, 512) for one in (*film[:2], page(1)[:H].copy()))
    alike = likeness(scrolled, first, motions(scrolled, first)[0])
    assert alike > max(0.5, 1.3 * likeness(other, first, motions(other, first)[0]))


def test_blank_frames() -> None:
    assert is_blank(sketch(np.zeros((H, W, 3), np.uint8), 512))
    assert is_blank(sketch(np.full((H, W, 3), 255, np.uint8), 512))
    assert not is_blank(sketch(picture(0), 512))


# -- sources ------------------------------------------------------------------------------------


class OwnNetwork:
    """What a user writes for a network that sees windows of frames."""

    name, kind = "own", d3.DepthKind.RELATIVE

    def stream(self, frames):
        window = []
        for frame in frames:
            window.append(frame)
            if len(window) == 3:
                yield from map(self._look, window)
                window = []
        yield from map(self._look, window)

    def _look(self, frame):
        return d3.DepthMap(frame.mean(axis=2, dtype=np.float32), self.kind)


def test_a_source_of_ones_own_streams_in_windows() -> None:
    steady = d3.SteadyDepth(OwnNetwork(), look_ahead=2)
    assert isinstance(OwnNetwork(), d3.VideoDepth)
    assert isinstance(steady, d3.VideoDepth)
    assert (steady.name, steady.kind, steady.look_ahead) == ("own", d3.DepthKind.RELATIVE, 2)
    assert repr(steady) == "SteadyDepth(own, relative, offline, 2 frames ahead)"
    frames = [picture(0)] * 7
    assert [m.size_wh for m in steady.stream(iter(frames))] == [(W, H)] * 7
    off = list(d3.SteadyDepth(OwnNetwork(), mode="off").stream(frames))
    np.testing.assert_array_equal(off[3].values, frames[3].mean(axis=2, dtype=np.float32))


def test_an_estimator_is_a_source(estimator) -> None:
    assert isinstance(estimator, d3.VideoDepth)
    found = list(d3.SteadyDepth(estimator, mode="causal").stream([picture(0, 70, 70)] * 3))
    assert len(found) == 3


@pytest.mark.parametrize("size_wh", [(64, 64), (53, 31), (256, 128), (255, 127)])
def test_halving_first_averages_the_same(size_wh) -> None:
    """Exactly, where pixels need not be divided; else the halves of one that is are taken to be alike."""
    values = picture(1, 256, 512)[..., 0].astype(np.float32) / 255
    whole, found = cv2.resize(values, size_wh, interpolation=cv2.INTER_AREA), averaged(values, size_wh)
    assert (found - whole).std() < (1e-6 if 512 % size_wh[0] == 0 else 0.15) * whole.std()
    assert found.mean() == pytest.approx(whole.mean(), rel=5e-3)


def test_colours_are_compared_after_the_exposure_is_taken_out() -> None:
    """A flash of 1.5 times the light and 20 levels leaves all trust, a thing of another colour takes it."""
    dark = sketch(picture(1) // 2, 512)
    lit = np.clip(np.rint(1.5 * dark.color + 20), 0, 255).astype(np.uint8)
    lit[60:70, 70:84] = 255 - lit[60:70, 70:84]
    still = np.zeros((H, W, 2), np.float32)
    rest = motions(dark, dark)
    found = steadied(*rest, sketch(lit, 512), dark, (still, still))[0]
    other = np.zeros((H, W), bool)
    other[58:72, 68:86] = True
    assert found.sure[~other].min() > 0.98
    assert np.median(found.sure[62:68, 72:82]) < 0.01


def test_so_few_samples_are_fitted_that_blas_starts_no_threads(monkeypatch) -> None:
    """A dot product of more than 10,000 numbers is shared out, and the others spin until the next one."""
    counts = []
    monkeypatch.setattr(shots, "fit_gauge", lambda *a, **k: counts.append(len(a[0])) or fit_gauge(*a, **k))
    wide = picture(1, 512, 520)
    frames = [np.ascontiguousarray(wide[:, k : k + 512]) for k in (0, 3)]
    near = 1 + cv2.GaussianBlur(RNG.uniform(0, 30, (512, 512)).astype(np.float32), (0, 0), 20)
    maps = [d3.DepthMap(near, "relative")] * 2
    list(steady(zip(frames, maps, strict=True), mode="causal"))
    assert len(counts) == 1
    assert 5000 < counts[0] <= 10_000


def test_what_is_no_source_is_refused() -> None:
    with pytest.raises(InputError, match=r"source must give maps by \.stream\(frames\).*got a str"):
        d3.SteadyDepth("small")


@pytest.mark.parametrize(
    "name", ["depth-anything/Video-Depth-Anything-Small", "video_depth_anything_vits.pth"]
)
def test_networks_for_films_are_named_in_the_refusal(name) -> None:
    with pytest.raises(UnknownModelError, match=r"is a network for films.*depth3d\.VideoDepth"):
        d3.DepthEstimator.from_pretrained(name)


def test_the_verb_is_an_estimator_made_steady(estimator, monkeypatch) -> None:
    import depth3d.verbs as verbs

    asked = {}
    monkeypatch.setattr(verbs, "loaded_estimator", lambda *a, **k: asked.update(k, model=a[0]) or estimator)
    frames = [picture(k, 70, 70) for k in range(3)]
    found = d3.estimate_video(frames, model="mini", temporal="off", device="cpu")
    assert (asked["model"], asked["device"]) == ("mini", "cpu")
    for depth, frame in zip(found, frames, strict=True):
        np.testing.assert_allclose(depth.values, estimator(frame).values, rtol=1e-5, atol=1e-6)


def test_pictures_of_two_sizes_take_turns() -> None:
    """OpenCV's search, used again for another size with a first guess, ends the process."""
    large, small = ([sketch(picture(k, *hw), 512) for k in (0, 1)] for hw in ((288, 512), (64, 96)))
    alone = [motions(*pair, shift=True)[0].flow for pair in (large, small)]
    for pair, flow in zip((large, small), alone, strict=True):
        np.testing.assert_array_equal(motions(*pair, shift=True)[0].flow, flow)
