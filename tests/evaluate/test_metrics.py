"""AbsRel, delta1 and Spearman: closed forms, and scipy's correlation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from depth3d.errors import InputError
from depth3d.evaluate import abs_rel, delta1, spearman

DRAW = np.random.default_rng(0)
TRUTH = DRAW.uniform(0.5, 9, size=(20, 30))


@pytest.mark.parametrize("factor", [0.3, 0.9, 1.0, 2.0])
def test_a_common_factor_is_the_relative_error(factor):
    assert abs_rel(factor * TRUTH, TRUTH) == pytest.approx(abs(factor - 1), abs=1e-15)


@pytest.mark.parametrize(
    ("factor", "share"),
    [(1.0, 1.0), (1.2499, 1.0), (1 / 1.2499, 1.0), (1.2501, 0.0), (1 / 1.2501, 0.0)],
)
def test_delta1_bounds_the_ratio_both_ways(factor, share):
    assert delta1(factor * TRUTH, TRUTH) == share


def test_delta1_of_exactly_a_quarter_more_is_outside():
    assert delta1(np.array([1.25, 1.0]), np.array([1.0, 1.25])) == 0.0


def test_delta1_is_a_share():
    assert delta1(np.array([1.0, 1.1, 2.0, 0.1]), np.ones(4)) == 0.5


def test_abs_rel_by_hand():
    assert abs_rel(np.array([1.0, 3.0, 5.0]), np.array([2.0, 2.0, 4.0])) == pytest.approx(
        (0.5 + 0.5 + 0.25) / 3
    )


@pytest.mark.parametrize("ties", [1, 5, 200])
def test_spearman_is_scipys(ties):
    a = DRAW.integers(0, ties + 1, size=(40, 30)).astype(float)
    b = np.round(a + DRAW.normal(0, ties / 2, size=a.shape))
    assert spearman(a, b) == pytest.approx(spearmanr(a.ravel(), b.ravel()).statistic, abs=1e-12)


@pytest.mark.parametrize("change", [np.log, np.exp, lambda z: -1 / z, lambda z: 7 * z - 3])
def test_spearman_ignores_monotone_changes(change):
    assert spearman(change(TRUTH), TRUTH) == pytest.approx(1, abs=1e-12)
    assert spearman(-change(TRUTH), TRUTH) == pytest.approx(-1, abs=1e-12)


def test_ties_share_the_mean_of_their_ranks():
    # Ranks 1.5 1.5 3 against 1 2 3: centred products sum to 1.5, squares to 1.5 and 2.
    assert spearman(np.array([4.0, 4.0, 9.0]), np.array([1.0, 2.0, 3.0])) == pytest.approx(1.5 / np.sqrt(3))


@pytest.mark.parametrize("metric", [abs_rel, delta1, spearman])
def test_unknown_pixels_of_either_map_do_not_count(metric):
    noisy = TRUTH * DRAW.uniform(0.6, 1.5, size=TRUTH.shape)
    a, b = noisy.copy(), TRUTH.copy()
    a[3:6], b[:, 7:9] = np.nan, np.nan
    a[0, 0], b[1, 1] = np.inf, np.inf
    both = np.isfinite(a) & np.isfinite(b)
    assert metric(a, b) == metric(noisy[both], TRUTH[both])
    assert metric(a, b) != metric(noisy, TRUTH)


@pytest.mark.parametrize("metric", [abs_rel, delta1, spearman])
def test_nothing_known_is_undefined(metric):
    assert np.isnan(metric(np.full((2, 3), np.nan), np.ones((2, 3))))


def test_the_order_of_a_constant_is_undefined():
    assert np.isnan(spearman(np.ones(9), np.arange(9.0)))
    assert np.isnan(spearman(np.arange(9.0), np.ones(9)))
    assert np.isnan(spearman(np.ones(1), np.ones(1)))


@pytest.mark.parametrize("metric", [abs_rel, delta1, spearman])
def test_shapes_must_agree(metric):
    with pytest.raises(InputError, match=r"one shape, got \(2, 3\) and \(3, 2\)"):
        metric(np.ones((2, 3)), np.ones((3, 2)))
