"""SqRel, RMSE, log10, SiLog and the deltas: closed forms, laws, and loops in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest

from depth3d.errors import InputError
from depth3d.evaluate import abs_rel, delta1, log10, rmse, rmse_log, silog, sq_rel, within_factor

ERRORS = [abs_rel, sq_rel, rmse, rmse_log, log10, delta1]


@pytest.fixture(scope="module")
def maps() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(5)
    truth = draw.uniform(0.3, 70, (23, 31))
    z = truth * np.exp(draw.normal(0.1, 0.3, truth.shape))
    truth[draw.random(truth.shape) < 0.2] = np.nan
    z[draw.random(truth.shape) < 0.1] = np.nan
    return z, truth


def by_loop(z, truth) -> dict[str, float]:
    """Each definition, written out over pixels."""
    pairs = [
        (a, b) for a, b in zip(z.ravel().tolist(), truth.ravel().tolist(), strict=True) if a == a and b == b
    ]
    n, logs = len(pairs), [math.log(a) - math.log(b) for a, b in pairs]
    square, mean = sum(d * d for d in logs) / n, sum(logs) / n
    return {
        "abs_rel": sum(abs(a - b) / b for a, b in pairs) / n,
        "sq_rel": sum((a - b) ** 2 / b for a, b in pairs) / n,
        "rmse": math.sqrt(sum((a - b) ** 2 for a, b in pairs) / n),
        "rmse_log": math.sqrt(square),
        "log10": sum(abs(math.log10(a) - math.log10(b)) for a, b in pairs) / n,
        "delta1": sum(max(a / b, b / a) < 1.25 for a, b in pairs) / n,
        "delta2": sum(max(a / b, b / a) < 1.25**2 for a, b in pairs) / n,
        "silog_half": math.sqrt(square - 0.5 * mean**2),
        "silog_full": math.sqrt(square - mean**2),
    }


def test_against_loops(maps):
    want = by_loop(*maps)
    for metric in ERRORS:
        assert metric(*maps) == pytest.approx(want[metric.__name__], rel=1e-12), metric
    assert within_factor(*maps, 1.25**2) == want["delta2"]
    assert silog(*maps, variance_focus=0.5) == pytest.approx(want["silog_half"], rel=1e-12)
    assert silog(*maps, variance_focus=1.0) == pytest.approx(want["silog_full"], rel=1e-12)


@pytest.mark.parametrize("factor", [1.1, 0.9, 1.3])
def test_a_common_factor(maps, factor):
    truth = maps[1]
    known = truth[np.isfinite(truth)]
    z = factor * truth
    assert abs_rel(z, truth) == pytest.approx(abs(factor - 1), rel=1e-12)
    assert sq_rel(z, truth) == pytest.approx((factor - 1) ** 2 * known.mean(), rel=1e-12)
    assert rmse(z, truth) == pytest.approx(abs(factor - 1) * np.sqrt(np.mean(known**2)), rel=1e-12)
    assert rmse_log(z, truth) == pytest.approx(abs(math.log(factor)), rel=1e-12)
    assert log10(z, truth) == pytest.approx(abs(math.log10(factor)), rel=1e-12)
    assert silog(z, truth, variance_focus=1) < 1e-14
    assert silog(z, truth, variance_focus=0.5) == pytest.approx(
        abs(math.log(factor)) / math.sqrt(2), rel=1e-12
    )
    assert delta1(z, truth) == (max(factor, 1 / factor) < 1.25)


def test_half_of_the_pixels_twice_as_far():
    truth = np.ones((4, 6))
    z = np.where(np.arange(6) < 3, 1.0, 2.0) * truth
    assert abs_rel(z, truth) == sq_rel(z, truth) == 0.5
    assert rmse(z, truth) == pytest.approx(math.sqrt(0.5))
    # Half the logarithms are 0 and half are ln 2: their deviation is ln 2 / 2.
    assert silog(z, truth, variance_focus=1) == pytest.approx(math.log(2) / 2)
    assert [within_factor(z, truth, 1.25**n) for n in (1, 2, 3, 4)] == [0.5, 0.5, 0.5, 1.0]


def test_which_silog_a_common_factor_changes(maps):
    z, truth = maps
    full, half = silog(z, truth, variance_focus=1), silog(z, truth, variance_focus=0.5)
    assert silog(7 * z, truth, variance_focus=1) == pytest.approx(full, rel=1e-12)
    assert silog(7 * z, truth, variance_focus=0.5) > 2 * half
    assert silog(z, truth, variance_focus=0) == rmse_log(z, truth)


def test_a_tiny_deviation_keeps_its_digits():
    """The difference in the formula would leave nothing of a variance of 1e-18 beside a mean of 1."""
    d = 1 + 1e-9 * np.array([[-1.0, 1.0, -1.0, 1.0]])
    assert silog(np.exp(d), np.ones((1, 4)), variance_focus=1) == pytest.approx(1e-9, rel=1e-6)


@pytest.mark.parametrize("metric", [*ERRORS, lambda a, b: silog(a, b, variance_focus=1)])
def test_nothing_known_and_other_shapes(metric):
    empty = np.full((2, 3), np.nan)
    assert np.isnan(metric(empty, np.ones((2, 3))))
    with pytest.raises(InputError, match=r"one shape, got \(2, 3\) and \(3, 2\)"):
        metric(empty, np.ones((3, 2)))


@pytest.mark.parametrize("focus", [-0.1, 1.5, float("nan")])
def test_a_lambda_out_of_range(focus):
    with pytest.raises(InputError, match="between 0 and 1"):
        silog(np.ones(2), np.ones(2), variance_focus=focus)
