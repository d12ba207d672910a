"""The lens models against OpenCV's own, both ways."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from depth3d.core.distortion import distort, fold_radius, undistort
from depth3d.errors import CameraError

OPENCV = [
    (0.1,),
    (-0.3, 0.1),
    (-0.26637, -0.03859, 0.00178, -0.00028, 0.23839),  # a real lens
    (0.05, -0.02, 0.003, -0.002),
    (0.4, 0.1, 0.001, 0.002, 0.02, 0.3, 0.05, 0.01),  # rational
]
FISHEYE = [(0.05,), (0.02, -0.01, 0.003, -0.001), (-0.03, 0.005)]


def points(reach: float, n: int = 300) -> np.ndarray:
    return np.random.default_rng(0).uniform(-reach, reach, size=(n, 2))


@pytest.mark.parametrize("k", OPENCV)
def test_distort_is_opencvs(k):
    xy = points(0.6)
    rays = np.column_stack([xy, np.ones(len(xy))])
    theirs, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), np.eye(3), np.resize([*k, *[0] * 8], 8))
    np.testing.assert_allclose(distort(xy, k, "opencv"), theirs[:, 0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("k", FISHEYE)
def test_fisheye_distort_is_opencvs(k):
    xy = points(2.0)
    theirs = cv2.fisheye.distortPoints(xy[:, None], np.eye(3), np.resize([*k, *[0] * 4], 4))[:, 0]
    np.testing.assert_allclose(distort(xy, k, "fisheye"), theirs, rtol=0, atol=1e-14)


@pytest.mark.parametrize("k", OPENCV)
def test_undistort_is_opencvs(k):
    bent = distort(points(0.5), k, "opencv")
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 500, 1e-14)
    coefficients = np.resize([*k, *[0] * 8], 8)
    theirs = cv2.undistortPoints(bent[:, None], np.eye(3), coefficients, criteria=criteria)[:, 0]
    np.testing.assert_allclose(undistort(bent, k, "opencv"), theirs, rtol=0, atol=1e-8)


@pytest.mark.parametrize("k", FISHEYE)
def test_fisheye_undistort_is_opencvs(k):
    bent = distort(points(1.0), k, "fisheye")
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 500, 1e-14)
    coefficients = np.resize([*k, *[0] * 4], 4)
    theirs = cv2.fisheye.undistortPoints(bent[:, None], np.eye(3), coefficients, criteria=criteria)[:, 0]
    np.testing.assert_allclose(undistort(bent, k, "fisheye"), theirs, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("model", "k"), [*(("opencv", k) for k in OPENCV), *(("fisheye", k) for k in FISHEYE)]
)
def test_undistort_undoes_distort_to_a_billionth_of_a_focal_length(model, k):
    xy = points(0.6)
    np.testing.assert_allclose(undistort(distort(xy, k, model), k, model), xy, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(undistort(np.zeros((1, 2)), k, model), 0)


@pytest.mark.parametrize("k", [OPENCV[2], (-0.5,)])
def test_the_answer_for_a_point_does_not_depend_on_its_company(k):
    """Neither on the block that it falls into nor on neighbours that have no answer."""
    xy = points(0.8, 40_000)
    together = undistort(xy, k, "opencv")
    few = np.arange(0, len(xy), 97)
    np.testing.assert_array_equal(together[few], np.stack([undistort(xy[i], k, "opencv") for i in few]))
    assert np.isfinite(together).all(axis=1).sum() > 5000


def test_a_perfect_fisheye_is_the_angle_itself():
    """With no coefficients set but one tiny: r_d = atan(r), the equidistant projection."""
    r = np.array([[0.5, 0], [1.0, 0], [10.0, 0]])
    np.testing.assert_allclose(distort(r, (1e-300,), "fisheye")[:, 0], np.arctan(r[:, 0]), rtol=1e-15)
    back = undistort(np.array([[np.pi / 4, 0], [np.pi / 2, 0], [2.0, 0]]), (1e-300,), "fisheye")
    assert back[0, 0] == pytest.approx(1)
    assert np.isnan(back[1:]).all()  # 90 degrees and more: behind the picture plane


@pytest.mark.parametrize(
    ("k", "fold"),
    [
        # Where d/dr (r + k1 r^3) = 0. Beyond it the polynomial turns negative, and another solution
        # appears on the opposite side of the picture: it must not be taken.
        ((-0.5,), np.sqrt(1 / 1.5)),
        ((-0.3,), np.sqrt(1 / 0.9)),
        ((-1.0,), np.sqrt(1 / 3.0)),
        ((0.5, -0.3), np.sqrt((1.5 + np.sqrt(1.5**2 + 4 * 1.5)) / 3.0)),  # grows first, folds later
    ],
)
def test_beyond_the_fold_there_is_nothing(k, fold):
    highest = distort(np.array([fold, 0.0]), k, "opencv")[0]
    direction = np.array([np.cos(1.0), np.sin(1.0)])
    inside = np.linspace(0.01, 0.99, 80)[:, None] * fold * direction
    bent = distort(inside, k, "opencv")
    np.testing.assert_allclose(undistort(bent, k, "opencv"), inside, rtol=0, atol=1e-8)
    outside = np.linspace(1.01, 8, 80)[:, None] * highest * direction
    assert np.isnan(undistort(outside, k, "opencv")).all()


def test_a_pole_of_the_rational_model_is_a_fold():
    k = (0.0, 0.0, 0.0, 0.0, 0.0, -0.25)  # r / (1 - r^2 / 4)
    assert fold_radius(k, "opencv") == pytest.approx(2.0, abs=0.005)
    inside = np.array([[0.5, 0.0], [0.0, 1.5]])
    np.testing.assert_allclose(undistort(distort(inside, k, "opencv"), k, "opencv"), inside, atol=1e-9)


@pytest.mark.parametrize("model", ["opencv", "fisheye"])
def test_shapes_are_kept(model):
    k = (0.1, 0.02)
    for shape in ((2,), (5, 2), (3, 4, 2), (0, 2)):
        xy = np.full(shape, 0.1)
        assert distort(xy, k, model).shape == shape
        assert undistort(xy, k, model).shape == shape


def test_nothing_but_zeros_is_no_distortion_at_all():
    xy = points(1.0, 5)
    assert distort(xy, (), "opencv") is xy
    assert undistort(xy, (0.0, 0.0), "opencv") is xy


@pytest.mark.parametrize(("model", "n"), [("opencv", 9), ("fisheye", 5)])
def test_too_many_coefficients(model, n):
    with pytest.raises(CameraError, match=f"got {n}"):
        distort(points(0.1, 3), (0.1,) * n, model)


@pytest.mark.parametrize("model", ["opencv", "fisheye"])
def test_nan_goes_through_and_spoils_nobody_else(model):
    xy = np.array([[0.1, 0.2], [np.nan, 0.1]])
    back = undistort(xy, (0.1, 0.02), model)
    np.testing.assert_allclose(distort(back[:1], (0.1, 0.02), model), xy[:1], atol=1e-10)
    assert np.isnan(back[1]).any()
