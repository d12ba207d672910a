"""Depth of films: what must come out exactly, what must not be looked at, and what is refused."""

from __future__ import annotations

import itertools
import threading
from itertools import pairwise

import cv2
import numpy as np
import pytest

import depth3d as d3
from depth3d.errors import InputError
from depth3d.estimate.steady_depth import steady

H, W = 72, 96


def picture(seed: int, shift_px: int = 0) -> np.ndarray:
    """A textured picture, seen `shift_px` farther left."""
    rng = np.random.default_rng(seed)
    wide = cv2.GaussianBlur(rng.uniform(0, 255, (H, 3 * W, 3)).astype(np.float32), (0, 0), 2)
    wide = (wide - wide.min()) / (wide.max() - wide.min())
    return (255 * wide[:, W + shift_px : 2 * W + shift_px]).astype(np.uint8)


def disparity(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 1 + cv2.GaussianBlur(rng.uniform(0, 30, (H, W)).astype(np.float32), (0, 0), 6)


def random_affines(truth, count, seed=1):
    rng = np.random.default_rng(seed)
    return [np.exp(rng.normal(0, 0.2)) * truth + rng.normal(0, 2) for _ in range(count)]


def run(images, maps, kind="relative", **options):
    pairs = ((i, d3.DepthMap(m.astype(np.float32), kind)) for i, m in zip(images, maps, strict=True))
    return [depth.values for depth in steady(pairs, **options)]


BOTH = pytest.mark.parametrize("mode", ["offline", "causal"])


@BOTH
def test_a_film_that_stands_still_comes_out_constant(mode) -> None:
    truth = disparity()
    found = run([picture(0)] * 20, random_affines(truth, 20), mode=mode)
    span = float(np.ptp(found[0]))
    for current in found[1:]:
        np.testing.assert_allclose(current, found[0], rtol=0, atol=1e-5 * span)
    scale, shift = np.polyfit(truth.ravel(), found[0].ravel(), 1)
    np.testing.assert_allclose(found[0], scale * truth + shift, rtol=0, atol=1e-5 * span)
    assert scale > 0


@BOTH
def test_metres_of_a_film_that_stands_still_lose_their_jumps_of_scale(mode) -> None:
    rng = np.random.default_rng(5)
    found = run(
        [picture(0)] * 12, [disparity() * np.exp(rng.normal(0, 0.1)) for _ in range(12)], "metric", mode=mode
    )
    for current in found[1:]:
        np.testing.assert_allclose(current, found[0], rtol=1e-5)


def test_noise_falls_as_the_number_of_frames_says() -> None:
    """Causal, on a film that stands: after k frames the average of k, up to `MOST_FRAMES` and one."""
    rng = np.random.default_rng(2)
    truth = 10 * disparity()
    sigma = 0.01 * float(truth.std())
    found = run(
        [picture(0)] * 8, [truth + rng.normal(0, sigma, truth.shape) for _ in range(8)], mode="causal"
    )
    for k, current in enumerate(found, start=1):
        scale, shift = np.polyfit(truth.ravel(), current.ravel(), 1)
        left = float(((current - shift) / scale - truth).std())
        assert left == pytest.approx(sigma / np.sqrt(k), rel=0.06)


def test_later_frames_do_not_reach_back_in_causal_mode() -> None:
    images = [picture(0, k) for k in range(8)]
    maps = random_affines(disparity(), 8)
    other_images = images[:5] + [picture(9)] * 3
    other_maps = maps[:5] + random_affines(disparity(9), 3, seed=7)
    first, second = run(images, maps, mode="causal"), run(other_images, other_maps, mode="causal")
    for a, b in zip(first[:5], second[:5], strict=True):
        np.testing.assert_array_equal(a, b)


@BOTH
def test_nothing_crosses_a_cut(mode) -> None:
    before, after = [picture(0, k) for k in range(7)], [picture(3, k) for k in range(7)]
    maps_before = random_affines(disparity(0), 7)
    maps_after = random_affines(disparity(3), 7, seed=4)
    both = run(before + after, maps_before + maps_after, mode=mode)
    alone = run(before, maps_before, mode=mode) + run(after, maps_after, mode=mode)
    for a, b in zip(both, alone, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("mode", "look_ahead", "ahead"), [("offline", 5, 5), ("offline", 0, 0), ("causal", 5, 0)]
)
def test_no_more_is_read_than_promised(mode, look_ahead, ahead) -> None:
    taken = 0

    def pairs():
        nonlocal taken
        for m in random_affines(disparity(), 30):
            taken += 1
            yield picture(0), d3.DepthMap(m, "relative")

    for number, _ in enumerate(steady(pairs(), mode=mode, look_ahead=look_ahead)):
        assert taken <= number + 1 + ahead


@BOTH
def test_a_metric_dolly_keeps_its_change_of_distance(mode) -> None:
    """Towards a wall from 4 m to 3 m: the picture grows as 1/z, and the scale of each map is off by 2 %."""
    rng = np.random.default_rng(3)
    large = cv2.GaussianBlur(rng.uniform(0, 255, (3 * H, 3 * W, 3)).astype(np.float32), (0, 0), 3)
    large = ((large - large.min()) / np.ptp(large) * 255).astype(np.uint8)
    distances = np.linspace(4, 3, 40)
    images = []
    for z in distances:
        zoom = 4 / z
        T = np.array([[zoom, 0, W / 2 - zoom * 1.5 * W], [0, zoom, H / 2 - zoom * 1.5 * H]])
        images.append(cv2.warpAffine(large, T, (W, H), flags=cv2.INTER_LINEAR))
    jumps = np.exp(rng.normal(0, 0.02, 40))
    found = run(
        images, [np.full((H, W), z * j) for z, j in zip(distances, jumps, strict=True)], "metric", mode=mode
    )
    middle = np.array([float(np.median(m)) for m in found])
    np.testing.assert_allclose(middle / middle[20], distances / distances[20], rtol=0.05)
    raw_flicker = np.diff(np.log(distances * jumps), 2).std()
    assert np.diff(np.log(middle), 2).std() < 0.35 * raw_flicker


@BOTH
def test_a_flash_and_a_black_frame_do_not_restart_the_film(mode) -> None:
    images = [picture(0)] * 12
    images[4], images[8] = np.full((H, W, 3), 255, np.uint8), np.zeros((H, W, 3), np.uint8)
    found = run(images, random_affines(disparity(), 12), mode=mode)
    for current in found[1:]:
        np.testing.assert_allclose(current, found[0], rtol=0, atol=1e-4 * float(np.ptp(found[0])))


@BOTH
def test_a_fade_does_not_restart_the_film(mode) -> None:
    images = [(picture(0) * share).astype(np.uint8) for share in np.linspace(1, 0.1, 12)]
    found = run(images, random_affines(disparity(), 12), mode=mode)
    for current in found[1:]:
        np.testing.assert_allclose(current, found[0], rtol=0, atol=1e-3 * float(np.ptp(found[0])))


@BOTH
def test_what_is_unknown_stays_unknown_and_does_no_harm(mode) -> None:
    truth, rng = disparity(), np.random.default_rng(6)
    maps = random_affines(truth, 10)
    holes = [rng.random((H, W)) < 0.1 for _ in maps]
    found = run(
        [picture(0)] * 10, [np.where(h, np.nan, m) for m, h in zip(maps, holes, strict=True)], mode=mode
    )
    for current, hole in zip(found, holes, strict=True):
        np.testing.assert_array_equal(np.isnan(current), hole)
    a, b = found[0], found[-1]
    both = ~np.isnan(a) & ~np.isnan(b)
    np.testing.assert_allclose(a[both], b[both], rtol=0, atol=1e-4 * float(np.ptp(truth)))


@BOTH
@pytest.mark.parametrize("kind", ["relative", "metric"])
@pytest.mark.parametrize(
    "values",
    [
        np.full((H, W), 2.0),
        np.full((H, W), np.nan),
        np.zeros((H, W)),
        np.full((1, 1), 3.0),
        np.full((1, 40), 3.0),
    ],
    ids=["constant", "unknown", "zero", "1x1", "1x40"],
)
def test_maps_that_say_nothing_pass(mode, kind, values) -> None:
    image = np.zeros((*values.shape, 3), np.uint8)
    for images in ([image] * 3, [np.resize(picture(k), image.shape) for k in range(3)], [image]):
        found = run(images, [values] * len(images), kind, mode=mode)
        for current in found:
            expected = d3.DepthMap(values, kind).values
            np.testing.assert_allclose(current, expected, rtol=1e-6, atol=1e-6)


def test_an_empty_film_gives_nothing() -> None:
    assert list(steady([])) == []


def test_off_gives_the_very_maps() -> None:
    maps = [d3.DepthMap(m, "relative") for m in random_affines(disparity(), 3)]
    found = list(steady([(picture(0), m) for m in maps], mode="off"))
    assert all(a is b for a, b in zip(found, maps, strict=True))


def test_a_pan_keeps_one_gauge() -> None:
    """The camera turns over a wall of reliefs: what both ends show must be the same distance."""
    rng = np.random.default_rng(8)
    relief = 1 + cv2.GaussianBlur(rng.uniform(0, 30, (H, 3 * W)).astype(np.float32), (0, 0), 6)
    images = [picture(0, 2 * k) for k in range(20)]
    truths = [relief[:, W + 2 * k : 2 * W + 2 * k] for k in range(20)]
    maps = [np.exp(rng.normal(0, 0.1)) * t + rng.normal(0, 1) for t in truths]
    found = run(images, maps, mode="offline")
    raw, ours = (
        np.mean([np.abs(a[:, 12:-10] - b[:, 10:-12]).mean() for a, b in pairwise(films)])
        for films in (maps, found)
    )
    assert ours < 0.05 * raw


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "fast"}, "mode must be 'offline', 'causal' or 'off', got 'fast'"),
        ({"look_ahead": -1}, "look_ahead must be a whole number"),
        ({"look_ahead": 1.5}, "look_ahead must be a whole number"),
    ],
)
def test_arguments_are_checked_at_once(options, message) -> None:
    with pytest.raises(InputError, match=message):
        steady([], **options)


def test_films_of_changing_size_or_kind_are_refused() -> None:
    first = picture(0), d3.DepthMap(disparity(), "relative")
    smaller = picture(0)[:40], d3.DepthMap(disparity()[:40], "relative")
    metric = picture(0), d3.DepthMap(disparity(), "metric")
    for pairs, message in (
        ([first, smaller], "frame 1 is 96x40, the first one is 96x72; give frames of one size"),
        ([first, (first[0], smaller[1])], "frame 1 is 96x72 and its map 96x40; resize the map"),
        ([first, metric], "the map of frame 1 is metric, the first one relative"),
    ):
        with pytest.raises(InputError, match=message):
            list(steady(pairs))


@BOTH
def test_the_source_works_in_a_thread_that_ends_with_the_film(mode) -> None:
    class Source:
        name, kind = "mine", d3.DepthKind.RELATIVE
        thread, closed = threading.current_thread(), False

        def stream(self, frames):
            self.thread = threading.current_thread()
            try:
                for _ in frames:
                    yield d3.DepthMap(disparity(), self.kind)
            finally:
                self.closed = True

    source = Source()
    maps = d3.SteadyDepth(source, mode=mode, look_ahead=1).stream(itertools.repeat(picture(0)))
    next(maps)
    assert source.thread is not threading.current_thread()
    maps.close()
    assert source.closed
    assert not source.thread.is_alive()
