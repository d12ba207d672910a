"""Steps at known places, shifted and blurred, and a slow reading of the definition."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from depth3d.errors import InputError
from depth3d.evaluate import boundary_f1

PER_CENT = np.linspace(5, 25, 10)
KINDS = pytest.mark.parametrize("relative", [False, True])


def step(at: int, near: float = 2.0, far: float = 1.0, *, width: int = 40, height: int = 12) -> np.ndarray:
    """Disparity with one upright edge: `near` from column `at` on."""
    return np.where(np.arange(width) >= at, near, far) * np.ones((height, 1))


def slow(disparity, truth, *, relative=False, tolerance_px=0):
    """One pair and one threshold after another."""
    reach = 1 + tolerance_px
    known = np.isfinite(disparity) & np.isfinite(truth)
    span = np.subtract(*np.percentile(truth[known], [98, 2]))
    total = weight = 0.0
    for t in PER_CENT:
        counts = np.zeros(3)
        for down, right in ((0, reach), (reach, 0)):
            for row in range(truth.shape[0] - down):
                for col in range(truth.shape[1] - right):
                    one, two = (row, col), (row + down, col + right)
                    if not (known[one] and known[two]):
                        continue
                    for first, second in ((one, two), (two, one)):
                        jumps = [
                            d[first] - d[second] > span * t / 100
                            if relative
                            else d[first] / d[second] > 1 + t / 100
                            for d in (disparity, truth)
                        ]
                        counts += (*jumps, all(jumps))
        if counts[0] + counts[1]:
            total += t * 2 * counts[2] / (counts[0] + counts[1])
            weight += t
    return total / weight


@KINDS
@pytest.mark.parametrize("tolerance_px", [0, 1, 3])
def test_it_is_the_definition(relative, tolerance_px):
    draw = np.random.default_rng(tolerance_px)
    truth = np.kron(draw.uniform(1, 1.6, (3, 4)), np.ones((5, 4)))
    ours = np.roll(truth, 1, axis=1) * draw.uniform(0.95, 1.05, truth.shape)
    truth[draw.random(truth.shape) < 0.1] = np.nan
    ours[draw.random(truth.shape) < 0.1] = np.nan
    got = boundary_f1(ours, truth, relative=relative, tolerance_px=tolerance_px)
    assert got == pytest.approx(slow(ours, truth, relative=relative, tolerance_px=tolerance_px), abs=1e-12)
    assert 0.1 < got < 0.9


@KINDS
@pytest.mark.parametrize("tolerance_px", [0, 2, 100])
def test_the_truth_itself_is_perfect(relative, tolerance_px):
    truth = np.random.default_rng(0).uniform(1, 2, (120, 130))
    assert boundary_f1(truth, truth, relative=relative, tolerance_px=tolerance_px) == 1


@KINDS
@pytest.mark.parametrize("tolerance_px", [0, 1, 2, 5])
@pytest.mark.parametrize("off_px", [0, 1, 2, 4, 7])
def test_a_shifted_edge_loses_its_share(relative, tolerance_px, off_px):
    """Of the 1 + tolerance pairs in a row that straddle the edge, the others straddle the shifted one."""
    got = boundary_f1(step(20 + off_px), step(20), relative=relative, tolerance_px=tolerance_px)
    assert got == pytest.approx(max(0, 1 - off_px / (1 + tolerance_px)))


@KINDS
def test_a_blurred_edge_is_worse_the_wider_it_is(relative):
    truth = step(20)
    scores = [
        boundary_f1(gaussian_filter(truth, (0, sigma)), truth, relative=relative, tolerance_px=2)
        for sigma in (0.01, 0.6, 1.2, 2.4, 5, 12)
    ]
    assert scores[0] == 1
    assert scores[-1] < 0.06
    assert all(sharper > softer for sharper, softer in pairwise(scores))


@KINDS
def test_which_side_is_nearer_matters(relative):
    assert boundary_f1(step(20, 1.0, 2.0), step(20), relative=relative) == 0


@KINDS
def test_rows_and_columns_are_alike(relative):
    draw = np.random.default_rng(1)
    a, b = draw.uniform(1, 1.4, (2, 20, 30))
    assert boundary_f1(a, b, relative=relative) == pytest.approx(boundary_f1(a.T, b.T, relative=relative))
    assert boundary_f1(a[::-1, ::-1], b[::-1, ::-1], relative=relative) == boundary_f1(
        a, b, relative=relative
    )


def test_a_common_scale_changes_nothing_and_swapping_the_maps_neither():
    a, b = np.random.default_rng(2).uniform(1, 1.4, (2, 20, 30))
    want = boundary_f1(a, b)
    assert boundary_f1(8 * a, b / 4) == want
    assert boundary_f1(b, a) == want


def test_relative_maps_may_have_any_common_scale_and_shift():
    a, b = np.random.default_rng(3).uniform(1, 1.4, (2, 20, 30))
    want = boundary_f1(a, b, relative=True)
    assert boundary_f1(30 * a - 90, 30 * b - 90, relative=True) == pytest.approx(want)


@pytest.mark.parametrize("per_cent", [4.0, 10.0, 16.0, 30.0])
def test_a_weak_edge_beside_a_true_one_costs_the_thresholds_below_it(per_cent):
    """Truth: one edge of 30 %. Prediction: that and a false one, so F1 is 2/3 where the false one counts."""
    truth = step(30, 1.3, 1.0)
    false = truth * step(10, 1 + per_cent / 100, 1.0)
    low = per_cent > PER_CENT
    want = np.average(np.where(low, 2 / 3, 1), weights=PER_CENT)
    assert boundary_f1(false, truth) == pytest.approx(want)


@pytest.mark.parametrize(("jump", "counts"), [(0.051, True), (0.049, False)])
def test_the_first_threshold(jump, counts):
    got = boundary_f1(step(20, 1 + jump), step(20, 1 + jump))
    assert got == 1 if counts else np.isnan(got)


def test_unknown_neighbours_never_count():
    truth, ours = step(20), step(20)
    ours[:, 5] = 40.0  # a false bar, where the truth knows nothing
    truth[:, 4:7] = np.nan
    assert boundary_f1(ours, truth) == 1
    truth[:, 4:7] = 1.0
    assert boundary_f1(ours, truth) < 0.6


def test_an_edge_across_a_narrow_hole_is_seen_from_farther_apart():
    truth = step(20)
    truth[:, 19:21] = np.nan
    assert np.isnan(boundary_f1(step(20), truth))
    assert boundary_f1(step(20), truth, tolerance_px=2) == 1


@KINDS
@pytest.mark.parametrize("value", [np.ones((5, 6)), np.full((5, 6), np.nan), np.ones((1, 1))])
def test_no_boundary_anywhere_is_undefined(relative, value):
    assert np.isnan(boundary_f1(value, value, relative=relative))


def test_boundaries_where_the_truth_has_none_score_nothing():
    assert boundary_f1(step(20), np.ones((12, 40))) == 0


def test_most_of_the_map_may_be_at_one_depth():
    truth = step(99, width=100)
    assert boundary_f1(truth, truth, relative=True) == 1


@pytest.mark.parametrize("shapes", [((4, 5), (5, 4)), ((4,), (4,))])
def test_other_shapes(shapes):
    with pytest.raises(InputError, match="one shape"):
        boundary_f1(*(np.ones(shape) for shape in shapes))


@pytest.mark.parametrize("tolerance_px", [-1, 0.5])
def test_tolerances_that_are_none(tolerance_px):
    with pytest.raises(InputError, match="whole number from 0"):
        boundary_f1(step(3), step(3), tolerance_px=tolerance_px)


def test_it_is_quick():
    a, b = np.random.default_rng(4).uniform(1, 1.4, (2, 480, 640))
    times = []
    for _ in range(3):
        began = time.process_time()
        boundary_f1(a, b)
        times.append(time.process_time() - began)
    assert min(times) < 0.3
