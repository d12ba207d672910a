"""What flares up along the border of a map is found; what really stands there is left alone."""

import numpy as np
import pytest

from depth3d.core.depth import DepthMap
from depth3d.errors import NeedsMetricError
from depth3d.lift.border_flares import border_flares
from depth3d.lift.flying_pixels import flying_pixels
from depth3d.lift.reliefs import relief
from depth3d.synthetic.random_scenes import random_scene
from depth3d.synthetic.render import render_depth
from depth3d.synthetic.scenes import default_camera


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize(
    ("outwards", "flying"),
    [
        ((0.2, 0.5, 0.9), 2),  # a flare
        ((0.26, 0.4, 0.7), 3),
        ((0.5, 0.4, 0.25), 0),  # a step, then a slope that levels off: a thing in the way
        ((0.2, 0.5, 0.5), 0),  # a thing of two pixels
        ((0.2, 0.2, 0.5), 0),  # and of one
        ((0.25, 0.3, 0.35), 0),  # a slope
    ],
)
def test_what_flares_up_at_the_border_flies(turn, outwards, flying):
    line = np.r_[np.full(20, 0.2), outwards]
    q = np.rot90(np.tile(line, (24, 1)), turn)
    depth = DepthMap(1 / q, "metric")
    for mask in (border_flares(depth), flying_pixels(depth, max_width_px=2)):
        upright = np.rot90(mask, -turn)
        assert upright.sum(axis=1).tolist() == [flying] * 24
        assert not upright[:, : 23 - flying].any()


@pytest.mark.parametrize("seed", range(4))
def test_true_depth_has_hardly_any(seed):
    mask = border_flares(render_depth(random_scene(seed), default_camera(161, 119)))
    assert mask.sum() <= 0.005 * 2 * (161 + 119)


def test_a_gap_between_flares_is_one_too():
    q = np.tile(np.r_[0.9, 0.5, np.full(20, 0.2)][:, None], 60)
    q[0, [20, 21, 40]] = 0.45
    q[1, 30:50] = q[0, 30:50] = 0.2
    q[1, 5] = np.nan
    mask = border_flares(DepthMap(1 / q, "metric"))
    calm = np.zeros(q.shape, bool)
    calm[2:] = calm[:, 30:50] = calm[1, 5] = True
    np.testing.assert_array_equal(mask, ~calm)


def test_noise_is_none():
    q = np.tile(np.r_[np.full(20, 0.2), 0.22, 0.25], (9, 1))
    depth = DepthMap(1 / q, "metric")
    assert border_flares(depth).any()
    assert not border_flares(depth, noise_per_m=0.01).any()


@pytest.mark.parametrize("values", [np.ones((1, 1)), np.ones((4, 4)), np.full((9, 9), np.nan)])
def test_maps_that_say_nothing_have_none(values):
    assert not border_flares(DepthMap(values, "metric")).any()
    with pytest.raises(NeedsMetricError, match="border_flares"):
        border_flares(DepthMap(values, "relative"))


def test_a_relief_has_no_fin_at_its_border():
    v, u = np.mgrid[:90, :120] / 120
    true = (0.1 + 0.05 * u + 0.5 * ((u - 0.5) ** 2 + (v - 0.4) ** 2 < 0.06)).astype(np.float32)
    flared = true.copy()
    flared[:2] = true[2] + np.array([[0.8], [0.35]], np.float32)
    thick_mm = {}
    for flying in ("snap", "keep"):
        body = relief(DepthMap(flared, "relative"), width_mm=60, sample_mm=1, flying=flying)
        top = body.vertices[:, 1] < -0.0222  # of a plate 45 mm high
        thick_mm[flying] = -1000 * body.vertices[top, 2].min()
    assert thick_mm["snap"] < 3
    assert thick_mm["keep"] > 6
