"""Snapping: ramps become steps amid the ramp, and surfaces go on as the planes that they are."""

import numpy as np
import pytest

from depth3d.core.depth import DepthMap
from depth3d.errors import NeedsMetricError
from depth3d.lift.silhouettes import snap_to_surfaces


def metric(q):
    return DepthMap(1 / np.asarray(q, dtype=np.float64), "metric")


@pytest.mark.parametrize("turn", range(4))
def test_a_ramp_between_planes_becomes_a_step_amid_it(turn):
    v, u = np.mgrid[:20, :40].astype(np.float64)
    near, far = 2 + 0.004 * u + 0.01 * v, 1 - 0.003 * u + 0.005 * v
    ramp = np.clip((u - 14.5) / 10, 0, 1)  # pixels 15 to 24 lie on it
    q, truth = (1 - ramp) * near + ramp * far, np.where(u < 20, near, far)
    adrift = (u >= 15) & (u < 25)
    adrift[:, [15, 24]] = False  # its feet, which no test finds, are moved as well
    snapped = snap_to_surfaces(metric(np.rot90(q, turn)), np.rot90(adrift, turn))
    inner = np.rot90((v >= 6) & (v < 14), turn)  # beyond, the mirror image of a pixel may be outside
    np.testing.assert_allclose(1 / snapped.values[inner], np.rot90(truth, turn)[inner], rtol=1e-6)
    away = np.rot90((u < 14) | (u > 25), turn)
    np.testing.assert_array_equal(snapped.values[away], metric(np.rot90(q, turn)).values[away])


def test_bands_of_rows_join_without_a_seam(monkeypatch):
    chance = np.random.default_rng(0)
    q = 1 + chance.random((15, 11)).repeat(9, axis=0).repeat(8, axis=1) + 0.001 * np.arange(88)
    q[chance.random(q.shape) < 0.02] = np.nan
    adrift = chance.random(q.shape) < 0.02
    adrift[40:90, 10:70] = True  # 25 rows to the nearest pixel: farther than is searched first
    adrift &= ~np.isnan(q)
    whole = snap_to_surfaces(metric(q), adrift).values
    assert (whole != metric(q).values)[adrift].mean() > 0.9
    for rows in (1, 7, 50):
        monkeypatch.setattr("depth3d.lift.silhouettes._PIXELS_PER_BAND", rows * 88)
        np.testing.assert_array_equal(snap_to_surfaces(metric(q), adrift).values, whole)


def test_a_surface_that_bends_or_ends_keeps_the_depth_of_its_nearest_pixel():
    q = np.ones((9, 30))
    q[:, 8:13] = 1.5  # too narrow to tell a slope
    q[:, 13:19] = 1.2
    q[:, 19:] = 0.8
    adrift = np.zeros(q.shape, bool)
    adrift[:, 13:19] = True  # grown to 12..19, so that four are nearer to 11 and four to 20
    snapped = 1 / snap_to_surfaces(metric(q), adrift).values
    np.testing.assert_allclose(snapped[:, 12:16], 1.5, rtol=1e-6)
    np.testing.assert_allclose(snapped[:, 16:], 0.8, rtol=1e-6)
    q[:, 11] = 1.6  # a slope of 0.1 that does not go on behind
    snapped = 1 / snap_to_surfaces(metric(q), adrift).values
    np.testing.assert_allclose(snapped[:, 12:16], 1.6, rtol=1e-6)


def test_a_surface_right_beside_is_not_dragged_along():
    q = np.full((9, 30), 1.0)
    q[:, 15] = 0.8  # one pixel of a surface that the picture shows between two others
    q[:, 16:] = 0.5
    adrift = np.zeros(q.shape, bool)
    adrift[:, 14] = True
    snapped = 1 / snap_to_surfaces(metric(q), adrift).values
    np.testing.assert_allclose(snapped[:, 15], 0.8, rtol=1e-6)


def test_an_edge_right_beside_is_no_slope():
    q = np.full((9, 30), 1.0)
    q[:, 14:] = 1.2
    adrift = np.zeros(q.shape, bool)
    adrift[:, 15:19] = True  # what goes on from column 13 is the edge
    snapped = 1 / snap_to_surfaces(metric(q), adrift).values
    assert snapped.max() < 1.2 + 1e-6
    adrift[:, :] = (np.arange(30) >= 16) & (np.arange(30) < 20)
    snapped = 1 / snap_to_surfaces(metric(q), adrift).values
    np.testing.assert_allclose(snapped, q, rtol=1e-6)


def test_unknown_pixels_stay_unknown_and_lend_nothing():
    q = np.ones((9, 20))
    q[:, 10:] = 0.5
    q[:, 9] = 0.7
    q[:, 12:14] = np.nan
    adrift = np.zeros(q.shape, bool)
    adrift[:, 9] = True
    snapped = snap_to_surfaces(metric(q), adrift).values
    np.testing.assert_array_equal(np.isnan(snapped), np.isnan(q))
    np.testing.assert_allclose(1 / snapped[:, 9:11], [[1.0, 0.5]] * 9, rtol=1e-6)


def test_nothing_to_move_and_nowhere_to_go():
    depth = metric(np.ones((4, 5)))
    assert snap_to_surfaces(depth, np.zeros((4, 5), bool)) is depth
    assert snap_to_surfaces(depth, np.ones((4, 5), bool)) is depth


def test_a_relative_map_is_refused():
    with pytest.raises(NeedsMetricError, match="needs metric depth"):
        snap_to_surfaces(DepthMap(np.ones((4, 4)), "relative"), np.ones((4, 4), bool))
