"""Pixels that two surfaces share: taken apart where colours tell, left alone where they don't."""

import numpy as np
import pytest
import torch

from depth3d.render.aperture import Aperture
from depth3d.render.hidden import hidden_layer
from depth3d.render.rims import split_rims, with_rims
from depth3d.render.scatter import Spots, Surface, scatter

NEAR, FAR = np.float32([0.6, 0.1, 0.05]), np.float32([0.05, 0.2, 0.5])


def half_plane(share, near=NEAR, far=FAR, shape=(40, 60), col=30):
    """A near surface up to a column, of which the next one has a share."""
    color = np.broadcast_to(far, (*shape, 3)).astype(np.float32).copy()
    color[:, :col] = near
    color[:, col] = share * near + (1 - share) * far
    disparity = np.zeros(shape, np.float32)
    disparity[:, :col] = 10
    return color, disparity


@pytest.mark.parametrize("share", [0.05, 0.2, 0.4])
def test_a_mixed_column_is_taken_apart(share):
    color, disparity = half_plane(share)
    rims = split_rims(color, disparity, jump=2.0)
    np.testing.assert_array_equal(np.unique(rims.at % 60), [30])
    assert len(rims.at) == 40
    np.testing.assert_allclose(rims.share, share, atol=0.02)
    np.testing.assert_allclose(rims.near_color, np.broadcast_to(NEAR, (40, 3)), atol=1e-5)
    np.testing.assert_allclose(rims.far_color, np.broadcast_to(FAR, (40, 3)), atol=0.02)
    np.testing.assert_allclose(rims.near_disparity, 10, rtol=1e-5)


def test_pure_columns_stay_whole():
    assert not len(split_rims(*half_plane(0.0), jump=2.0).at)


def test_a_colour_that_the_background_has_anyway_tells_nothing():
    # Stripes in the colours of both surfaces: any mixture of them may be the background's own.
    color, disparity = half_plane(0.0)
    color[:, 30:] = FAR
    color[::2, 30:] = 0.5 * (NEAR + FAR)
    rims = split_rims(color, disparity, jump=2.0)
    assert not len(rims.at) or rims.share.max() < 0.2  # the difference alone says a half


def test_lamps_brighter_than_white_give_their_light_back():
    lamp = np.float32([6, 5, 4])
    color, disparity = half_plane(0.1, near=lamp)
    rims = split_rims(color, disparity, jump=2.0)
    np.testing.assert_allclose(rims.share, 0.1, atol=0.01)
    np.testing.assert_allclose(rims.far_color, np.broadcast_to(FAR, (40, 3)), atol=0.03)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3])
def test_a_clipped_lamp_leaves_the_background_its_colour_and_keeps_all_its_light(share):
    """The sensor makes a yellow lamp white, but not what is mixed of it and the wall."""
    lamp = np.float32([2.5, 2.0, 1.2])
    color, disparity = half_plane(share, near=lamp)
    color = np.minimum(color, 1)
    mixed = color[0, 30]
    rims = split_rims(color, disparity, jump=2.0)
    assert len(rims.at) == 40
    np.testing.assert_allclose(rims.far_color, np.broadcast_to(FAR, (40, 3)), atol=1e-3)
    part = rims.share[:, None]
    together = part * rims.near_color + (1 - part) * rims.far_color
    np.testing.assert_allclose(together, np.broadcast_to(mixed, (40, 3)), atol=1e-5)
    assert (rims.near_color[:, 0] > rims.near_color[:, 2]).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 3)])
def test_tiny_pictures(shape):
    chance = np.random.default_rng(0)
    rims = split_rims(
        chance.random((*shape, 3), dtype=np.float32), chance.random(shape, dtype=np.float32) * 9, jump=2.0
    )
    assert (rims.at < shape[0] * shape[1]).all()
    assert np.isfinite(rims.far_color).all()
    assert ((rims.share >= 0) & (rims.share <= 1)).all()


def surface(light, radius, mask=None):
    planes = torch.from_numpy(np.ascontiguousarray(light.transpose(2, 0, 1)))
    return Surface(planes, torch.from_numpy(radius), None if mask is None else torch.from_numpy(mask))


def test_a_blurred_foreground_leaves_no_line_on_a_sharp_background():
    # The wall is in focus and plain: beside the mixed column the picture goes on without a step.
    color, radius = half_plane(0.4, shape=(60, 80), col=40)
    rims = split_rims(color, radius, jump=2.0)
    behind = hidden_layer(rims.behind(color), radius, gain=1.0)
    hidden = surface(behind.color, behind.disparity, behind.mask)
    whole = scatter(surface(color, radius), hidden, Aperture()).numpy()
    front, back = with_rims(
        surface(color, radius.copy()),
        Spots.of(hidden),
        rims,
        rims.near_disparity,
    )
    split = scatter(front, back, Aperture()).numpy()

    def line(picture):
        row = picture[0, 30]
        return abs(row[40] - (row[39] + row[41]) / 2)

    assert line(whole) > 0.05
    assert line(split) < 0.2 * line(whole)


def test_surfaces_that_are_blurred_alike_are_left_alone():
    color, disparity = half_plane(0.4)
    rims = split_rims(color, disparity, jump=2.0)
    visible = surface(color, np.full((40, 60), 3.0, np.float32))
    front, back = with_rims(visible, None, rims, np.full(len(rims.at), 3.5, np.float32))
    assert front is visible
    assert back is None
