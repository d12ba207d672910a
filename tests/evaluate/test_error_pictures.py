"""Error pictures: panels, and colours that mean the same everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from depth3d import DepthMap, error_picture
from depth3d.evaluate import PROTOCOLS
from depth3d.evaluate.error_pictures import draw_error

H, W = 60, 80


def scene(factor) -> tuple[DepthMap, DepthMap]:
    truth = np.linspace(1, 3, H)[:, None] * np.ones((1, W))
    truth[:10] = np.nan
    return DepthMap(truth * factor, "metric"), DepthMap(truth, "metric")


def panel(picture: np.ndarray, index: int, count: int) -> np.ndarray:
    """The middle of a panel, without titles and the bar."""
    width = (picture.shape[1] - 80) // count
    middle = picture[150:-60]
    return middle[:, index * width + 60 : (index + 1) * width - 60].reshape(-1, 3).astype(float)


def test_panels():
    prediction, truth = scene(1.0)
    without = error_picture(prediction, truth)
    photo = np.zeros((H, W, 3), np.uint8)
    photo[..., 1] = 255
    with_photo = error_picture(prediction, truth, image=photo)
    assert without.dtype == with_photo.dtype == np.uint8
    assert with_photo.shape[1] > without.shape[1] + 300
    assert (np.median(panel(with_photo, 0, 4), axis=0) == (0, 255, 0)).all()


@pytest.mark.parametrize(
    ("factor", "stronger"),
    [(1.25, "red"), (0.75, "blue"), (1.0, "none")],
)
def test_too_far_is_red_and_too_near_is_blue(factor, stronger):
    red, green, blue = np.median(panel(error_picture(*scene(factor)), 2, 3), axis=0)
    found = "red" if red > blue + 60 else "blue" if blue > red + 60 else "none"
    assert found == stronger
    assert (min(red, green, blue) > 240) == (stronger == "none")  # white where it is right


def test_what_does_not_count_is_gray():
    prediction, truth = scene(1.1)
    picture = error_picture(prediction, DepthMap(np.where(np.arange(W) < W, np.nan, truth.values), "metric"))
    assert (np.median(panel(picture, 2, 3), axis=0) == 128).all()


def test_single_pixels_can_be_seen():
    prediction, truth = scene(1.25)
    sparse = np.full((H, W), np.nan)
    sparse[15::8, ::8] = truth.values[15::8, ::8]  # 1.3 % of the pixels
    few = panel(error_picture(prediction, DepthMap(sparse, "metric")), 2, 3)
    coloured = (few[:, 0] > few[:, 2] + 60).mean()
    assert 0.25 < coloured < 0.7  # discs of radius 3 around points 8 apart cover 44 %


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1)])
def test_any_shape(size):
    one = DepthMap(np.full(size, 2.0), "metric")
    assert error_picture(one, one).ndim == 3


def test_a_relative_truth():
    _, truth = scene(1.0)
    relative = DepthMap(2 / truth.values, "relative")
    assert (np.median(panel(error_picture(truth, relative), 2, 3), axis=0) > 240).all()
    flat = DepthMap(np.ones((H, W)), "relative")
    assert error_picture(truth, flat).ndim == 3


def test_protocol_reaches_the_picture():
    from depth3d.evaluate import compare

    prediction, truth = scene(1.25)
    picture = draw_error(compare(prediction, truth, protocol=PROTOCOLS["kitti"]), title="a title")
    red_share = (panel(picture, 2, 3)[:, 0] > panel(picture, 2, 3)[:, 2] + 60).mean()
    whole = panel(error_picture(prediction, truth), 2, 3)
    assert red_share < (whole[:, 0] > whole[:, 2] + 60).mean() - 0.02
