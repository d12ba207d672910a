"""Pictures of depth maps: what near and far look like, and what never breaks them."""

import cv2
import matplotlib as mpl
import numpy as np
import pytest

from depth3d.core.depth import DepthMap
from depth3d.errors import InputError, OutputExistsError, UnsupportedFormatError
from depth3d.io.previews import COLORMAPS, UNKNOWN_GRAY, colorize_depth, gray16, nearness, save_preview


def ramp(kind):
    """Disparity rises from left to right, linearly."""
    disparity = np.tile(np.linspace(0.1, 2.0, 201, dtype=np.float32), (5, 1))
    return DepthMap(1 / disparity if kind == "metric" else disparity, kind)


@pytest.mark.parametrize("colormap", COLORMAPS)
def test_ends_have_the_colours_of_the_map_for_either_kind(colormap):
    far, near = (np.array(c[:3]) * 255 for c in mpl.colormaps[colormap]([0.0, 1.0]))
    for kind in ("relative", "metric"):
        picture = colorize_depth(ramp(kind), colormap)
        np.testing.assert_allclose(picture[2, 0], far, atol=2)
        np.testing.assert_allclose(picture[2, -1], near, atol=2)
    np.testing.assert_allclose(
        colorize_depth(ramp("metric"), colormap).astype(int),
        colorize_depth(ramp("relative"), colormap).astype(int),
        atol=8,  # a rounding step of 1/1024 on the steepest part of a map
    )


def test_near_is_red_and_far_is_blue_by_default():
    picture = colorize_depth(ramp("metric")).astype(int)
    assert picture[0, -1, 0] > picture[0, -1, 2] + 50
    assert picture[0, 0, 2] > picture[0, 0, 0] + 50


def test_unknown_is_gray_and_takes_no_part_in_the_scale():
    values = ramp("relative").values.copy()
    values[0] = np.nan
    picture = colorize_depth(DepthMap(values, "relative"))
    assert (picture[0] == UNKNOWN_GRAY).all()
    np.testing.assert_array_equal(picture[1:], colorize_depth(ramp("relative"))[1:])


@pytest.mark.parametrize(
    "values",
    [
        np.full((3, 4), 7.0),  # no relief
        np.full((3, 4), np.nan),  # nothing known
        np.ones((1, 1)),  # one pixel
        np.zeros((2, 2)),  # a dead network
    ],
)
@pytest.mark.parametrize("legend", [False, True])
def test_maps_without_relief_are_one_colour(values, legend):
    picture = colorize_depth(DepthMap(values, "relative"), legend=legend)
    assert picture.shape[0] == values.shape[0]
    assert (picture[:, : values.shape[1]] == picture[0, 0]).all()


def test_the_scale_spans_the_percentiles_that_are_promised():
    near, low, high = nearness(DepthMap(np.arange(1001.0)[None], "relative"))
    assert (low, high) == pytest.approx((5, 995), abs=1e-6)
    np.testing.assert_allclose(near[0], np.clip((np.arange(1001) - 5) / 990, 0, 1), atol=1e-6)


def test_a_few_stray_pixels_do_not_take_the_contrast():
    values = np.tile(np.linspace(1, 2, 100, dtype=np.float32), (100, 1))
    clean = colorize_depth(DepthMap(values, "relative")).astype(int)
    values[0, :20] = 1e6
    stray = colorize_depth(DepthMap(values, "relative")).astype(int)
    assert np.abs(stray[1:] - clean[1:]).mean() < 3


def test_gray_is_linear_in_disparity_and_keeps_zero_for_unknown():
    values = ramp("relative").values.copy()
    values[4, 100] = np.nan
    gray = gray16(DepthMap(values, "relative"))
    assert gray.dtype == np.uint16
    assert gray[4, 100] == 0
    assert (gray[0, 0], gray[0, -1]) == (1, 65535)
    steps = np.diff(gray[0, 5:-5].astype(int))
    assert steps.max() - steps.min() <= 1


def test_legend_is_drawn_beside_and_leaves_the_picture_alone():
    depth = DepthMap(np.tile(ramp("metric").values, (60, 1)), "metric")
    with_legend = colorize_depth(depth, legend=True)
    assert with_legend.shape[0] == depth.height
    assert with_legend.shape[1] > depth.width + 40
    np.testing.assert_array_equal(with_legend[:, : depth.width], colorize_depth(depth))
    strip = with_legend[:, depth.width :].astype(int)
    assert (strip.max(axis=-1) - strip.min(axis=-1) > 60).any()  # the bar
    assert (strip.sum(axis=-1) < 200).any()  # its numbers


def test_written_pictures_come_back(tmp_path):
    depth = ramp("metric")
    save_preview(depth, tmp_path / "c.png", colormap="turbo")
    np.testing.assert_array_equal(
        cv2.imread(str(tmp_path / "c.png"))[..., ::-1], colorize_depth(depth, "turbo")
    )
    save_preview(depth, tmp_path / "g.png", colormap="gray")
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "g.png"), cv2.IMREAD_UNCHANGED), gray16(depth))


def test_refusals(tmp_path):
    with pytest.raises(InputError, match="one of Spectral_r"):
        colorize_depth(ramp("metric"), "rainbow")
    with pytest.raises(InputError, match="no legend"):
        save_preview(ramp("metric"), tmp_path / "g.png", colormap="gray", legend=True)
    with pytest.raises(UnsupportedFormatError, match=r"written as \.png"):
        save_preview(ramp("metric"), tmp_path / "g.jpg", colormap="gray")
    (tmp_path / "c.png").touch()
    with pytest.raises(OutputExistsError):
        save_preview(ramp("metric"), tmp_path / "c.png", overwrite=False)
