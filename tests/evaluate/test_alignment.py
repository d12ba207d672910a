"""The least squares fit in disparity."""

from __future__ import annotations

import numpy as np
import pytest

from depth3d.evaluate import affine_fit, aligned_to

DRAW = np.random.default_rng(0)
D = DRAW.random((20, 30))


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (0.02, 0.3), (500, -40)])
def test_an_exact_relation_is_found(scale, shift):
    assert affine_fit(D, scale * D + shift) == pytest.approx((scale, shift), rel=1e-10, abs=1e-10)
    np.testing.assert_allclose(aligned_to(D, scale * D + shift), scale * D + shift, rtol=1e-10)


def test_it_is_least_squares():
    target = 0.7 * D + DRAW.normal(0, 0.2, D.shape)
    target[4:7] = np.nan
    known = np.isfinite(target)
    design = np.stack([D[known], np.ones(known.sum())], 1)
    want, *_ = np.linalg.lstsq(design, target[known], rcond=None)
    assert affine_fit(D, target) == pytest.approx(tuple(want), rel=1e-10)


def test_the_result_does_not_depend_on_the_scale_and_shift_of_the_prediction():
    target = D**2
    np.testing.assert_allclose(aligned_to(90 * D - 7, target), aligned_to(D, target), rtol=1e-10)


@pytest.mark.parametrize("useless", [-D, np.full_like(D, 3.0), np.full(D.shape, 0.1, np.float32)])
def test_what_says_nothing_about_the_target_becomes_its_mean(useless):
    target = D + 1
    assert affine_fit(useless, target) == pytest.approx((0, target.mean()))
    np.testing.assert_allclose(aligned_to(useless, target), target.mean())


def test_the_least_value():
    target = np.maximum(D, 0.5)
    free = aligned_to(D, target)
    assert free.min() < 0.5 < free.max()
    np.testing.assert_array_equal(aligned_to(D, target, least=0.5), np.maximum(free, 0.5))


def test_nothing_in_common():
    a, b = np.array([1.0, np.nan]), np.array([np.nan, 1.0])
    assert np.isnan(affine_fit(a, b)).all()
    assert np.isnan(aligned_to(a, b)).all()


def test_unknown_stays_unknown_and_the_rest_is_aligned_everywhere():
    a = np.array([1.0, 2.0, np.nan, 4.0])
    b = np.array([3.0, 5.0, 6.0, np.nan])
    np.testing.assert_allclose(aligned_to(a, b), [3, 5, np.nan, 9])
