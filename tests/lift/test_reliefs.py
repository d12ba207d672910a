"""Reliefs and lithophanes: closed plates of the size asked for, whose heights say what they should."""

import math

import numpy as np
import pytest
import trimesh

import depth3d as d3
from depth3d.core.color import to_linear
from depth3d.errors import InputError
from depth3d.lift.lithophanes import lithophane
from depth3d.lift.reliefs import relief
from depth3d.lift.slabs import grid_of_cells, sampled_at_corners


def relative(values):
    return d3.DepthMap(np.asarray(values, np.float32), "relative")


def plate(mesh):
    """What trimesh makes of the triangles alone, as a slicer sees them."""
    loose = mesh.vertices[mesh.faces].reshape(-1, 3).astype(np.float64)
    part = trimesh.Trimesh(1000 * loose, np.arange(len(loose)).reshape(-1, 3))
    assert part.is_watertight
    assert part.is_winding_consistent
    assert len(part.faces) == len(mesh.faces)
    assert (part.area_faces > 0).all()
    assert part.euler_number == 2
    assert (mesh.vertices[:, 2].max(), len(part.vertices)) == (0, len(mesh.vertices))
    return part


def height_mm(mesh, x_mm, y_mm):
    """Height of the front over a place of the picture, from its top left corner."""
    at = 1000 * mesh.vertices.astype(np.float64)
    at[:, :2] -= at[:, :2].min(axis=0)
    a, b, c = at[mesh.faces].transpose(1, 0, 2)

    def doubled_area(p, q, r):
        return (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (q[..., 1] - p[..., 1]) * (
            r[..., 0] - p[..., 0]
        )

    doubled, place = doubled_area(a, b, c), np.array([x_mm, y_mm])
    parts = np.stack(
        [doubled_area(place, b, c), doubled_area(a, place, c), doubled_area(a, b, place)], axis=1
    )
    shares = parts / np.where(doubled == 0, np.nan, doubled)[:, None]
    # The front runs counter-clockwise as the camera sees it, y down, which is the negative sense here.
    (face,) = np.flatnonzero((doubled < 0) & (shares >= -1e-9).all(axis=1))[:1]
    return float(-(shares[face] @ np.array([a[face, 2], b[face, 2], c[face, 2]])))


def test_a_slope_is_a_wedge_of_its_volume():
    u = np.mgrid[:60, :90][1]
    made = relief(relative(5 + 0.01 * (u + 0.5)), width_mm=90, depth_mm=12, base_mm=3, outlier_share=0)
    part = plate(made)
    np.testing.assert_allclose(part.extents, [90, 60, 12], rtol=1e-6)
    # 3 mm and, on average, half of the other 9: to the outer half pixels, which are level, all is straight.
    assert part.volume == pytest.approx(90 * 60 * (3 + 4.5), rel=1e-5)
    assert height_mm(made, 30.0, 20.0) == pytest.approx(3 + 9 * 29.5 / 89, abs=0.02)  # merges add up
    assert len(part.faces) < 5000


def test_planes_of_the_scene_are_planes_of_the_relief():
    v, u = np.mgrid[:48, :64] + 0.5
    q = 0.2 + 0.01 * u + 0.004 * v
    by_disparity = relief(relative(7 * q - 1), max_error_mm=0)
    by_metres = relief(d3.DepthMap((1 / q).astype(np.float32), "metric"), max_error_mm=0)
    for place in ((10, 10), (77, 31), (50.3, 66.6)):
        assert height_mm(by_metres, *place) == pytest.approx(height_mm(by_disparity, *place), abs=1e-3)
    # Halfway between two places the plane is halfway up.
    ends = height_mm(by_metres, 20, 20), height_mm(by_metres, 70, 50)
    assert height_mm(by_metres, 45, 35) == pytest.approx(sum(ends) / 2, abs=1e-3)


def test_a_box_on_the_ground_has_its_volume_and_steep_walls():
    values = np.zeros((100, 100), np.float32)
    values[30:70, 20:60] = 1
    part = plate(relief(relative(values), sample_mm=0.5, base_mm=2, depth_mm=10))
    np.testing.assert_allclose(part.extents, [100, 100, 10], rtol=1e-6)
    # Pixels are a millimetre, samples half of one lie on pixel borders too: the wall is one pixel wide.
    assert part.volume == pytest.approx(100 * 100 * 2 + 40 * 40 * 8, rel=0.05)
    tall = np.abs(part.triangles[..., 2] + 10).max(axis=1) < 1e-6
    assert 38.5**2 < part.area_faces[tall].sum() < 40 * 40


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_ramps_of_a_network_are_made_steep_on_request(noise):
    small = np.where(np.arange(24) < 12, 1.0, 4.0)[None, :] * np.ones((18, 1))
    small += noise * np.random.default_rng(0).random(small.shape)
    scaled_up = d3.resize_depth(relative(small), 24 * 14, 18 * 14)

    def amid(made):
        z = 1000 * made.vertices[:, 2]
        z = z[z < -1e-6]
        return ((z > -9) & (z < -3)).mean()

    kept, snapped = (
        relief(scaled_up, flying=flying, max_error_mm=0, sample_mm=0.3) for flying in ("keep", "snap")
    )
    assert amid(kept) > 0.02
    assert amid(snapped) < 0.001
    plate(snapped)


def test_the_sky_and_the_unknown_lie_lowest_and_strays_flatten_nothing():
    u = np.mgrid[:80, :120][1]
    values = 1 + u / 120
    values[:30] = np.nan
    values[60, 60] = 500  # a stray
    made = relief(relative(values), width_mm=120, depth_mm=10, base_mm=2, flying="keep")
    plate(made)
    assert height_mm(made, 60, 10) == pytest.approx(2, abs=1e-3)
    assert height_mm(made, 30, 60) == pytest.approx(4, abs=0.05)
    assert height_mm(made, 118, 70) > 9.5


def test_terraces_of_8_bit_maps_become_slopes():
    u = np.mgrid[:40, :1200][1]
    stepped = relative(np.rint(40 + u * 60 / 1200))
    made = relief(stepped, width_mm=200, depth_mm=62, max_error_mm=0, flying="keep", outlier_share=0)
    z = made.vertices[made.vertices[:, 2] < -1e-6]
    slope = np.polyfit(z[:, 0], -z[:, 2], 1)
    inner = np.abs(z[:, 0]) < 0.09
    off_mm = 1000 * np.abs(-z[inner, 2] - np.polyval(slope, z[inner, 0]))
    assert off_mm.max() < 0.3  # a terrace is a millimetre high


def test_the_texture_lies_where_the_picture_is():
    v, u = np.mgrid[:30, :40]
    image = np.stack([u, v, u + v], axis=-1).astype(np.uint8)
    made = relief(relative(1.0 + u + v), image, width_mm=40)
    np.testing.assert_allclose(made.uv, 1000 * made.vertices[:, :2] / [40, 30] + 0.5, atol=1e-6)
    assert made.texture is not None
    with pytest.raises(InputError, match="of another aspect"):
        relief(relative(np.ones((30, 60)) + u[:30, :1]), image)


@pytest.mark.parametrize("shape", [(2, 2), (2, 7), (40, 3), (33, 32)])
@pytest.mark.parametrize("max_faces", [12, 100, None])
def test_any_shape_and_budget(shape, max_faces):
    values = np.random.default_rng(1).random(shape)
    made = relief(relative(values), max_faces=max_faces, flying="keep", outlier_share=0)
    part = plate(made)
    np.testing.assert_allclose(part.extents[:2], [100, 100 * shape[0] / shape[1]], rtol=1e-6)
    assert max_faces is None or len(made.faces) <= max_faces


def test_a_constant_map_is_a_plate_and_one_without_a_known_pixel_is_refused():
    np.testing.assert_allclose(plate(relief(relative(np.full((9, 9), 3.0)))).extents, [100, 100, 10])
    with pytest.raises(InputError, match="no known pixel"):
        relief(relative(np.full((9, 9), np.nan)))


def test_samples_at_corners_lie_where_they_should():
    v, u = np.mgrid[:20, :30] + 0.5
    values = (2 * u + 3 * v).astype(np.float32)
    across, down = 7, 5
    rows, cols = np.arange(down + 1) * 20 / down, np.arange(across + 1) * 30 / across
    expected = 2 * np.clip(cols, 0.5, 29.5)[None, :] + 3 * np.clip(rows, 0.5, 19.5)[:, None]
    np.testing.assert_allclose(sampled_at_corners(values, across, down), expected, rtol=1e-6)
    values[10, 10] = np.nan
    assert not np.isnan(sampled_at_corners(values, 10, 7)).any()  # no corner is nearest to it
    assert grid_of_cells(300, 200, 100.0, 0.2) == (300, 200)
    assert grid_of_cells(3000, 2000, 100.0, 0.2) == (500, 333)
    with pytest.raises(InputError, match="at least 2x2"):
        grid_of_cells(1, 50, 100.0, 0.2)


# -- lithophanes --


def test_thickness_follows_the_law_of_beer_and_lambert():
    image = np.repeat(np.linspace(60, 255, 100).astype(np.uint8)[None, :, None], 3, axis=2).repeat(40, 0)
    made = lithophane(
        image, width_mm=100, min_mm=1, max_mm=3, border_mm=0, contrast=20, max_error_mm=0, sample_mm=1
    )
    plate(made)
    mu = math.log(20) / (3 - 1)
    light = to_linear(image)[20, :, 0]
    brightest = np.quantile(light, 0.999)
    for col in (5, 40, 70, 95):
        through = math.exp(-mu * (height_mm(made, col + 0.5, 20) - 1))
        assert through == pytest.approx(max(light[col] / brightest, 1 / 20), rel=0.03)


def test_light_is_averaged_where_samples_are_coarse():
    checks = (np.indices((400, 400)).sum(axis=0) % 2 * 255).astype(np.uint8)
    checks[:40, :40] = 255
    made = lithophane(np.repeat(checks[..., None], 3, axis=2), border_mm=0, sample_mm=2.5)
    # Half of the light, and not the light of half the byte.
    expected = 0.8 + 2.2 * math.log(2) / math.log(30)
    assert height_mm(made, 60, 60) == pytest.approx(expected, abs=0.05)


def test_border_black_and_white():
    white, black = (np.full((30, 40, 3), value, np.uint8) for value in (255, 0))
    part = plate(lithophane(white, width_mm=80, border_mm=5, sample_mm=0.5))
    np.testing.assert_allclose(part.extents[[0, 2]], [80, 3], rtol=1e-6)
    made = lithophane(white, width_mm=80, border_mm=5, sample_mm=0.5)
    assert height_mm(made, 2, 30) == pytest.approx(3)
    assert height_mm(made, 40, 30) == pytest.approx(0.8)
    without = plate(lithophane(white, width_mm=80, border_mm=0))
    assert without.volume == pytest.approx(80 * 60 * 0.8, rel=1e-6)
    assert plate(lithophane(black, border_mm=0)).volume == pytest.approx(100 * 75 * 3, rel=1e-6)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda d, i: relief(d, width_mm=-1), "width_mm must be positive"),
        (lambda d, i: relief(d, depth_mm=None), "depth_mm must be positive millimetres, got None"),
        (lambda d, i: relief(d, base_mm=10), "depth_mm must be more than base_mm"),
        (lambda d, i: relief(d, flying="remove"), "snap, keep"),
        (lambda d, i: relief(d, outlier_share=0.5), "less than 0.5"),
        (lambda d, i: relief(d, max_error_mm=-1), "max_error_mm must be 0 mm or more"),
        (lambda d, i: relief(d, max_faces=11), "at least 12"),
        (lambda d, i: lithophane(i, min_mm=3), "max_mm must be more than min_mm"),
        (lambda d, i: lithophane(i, contrast=1), "contrast must be more than 1"),
        (lambda d, i: lithophane(i, border_mm=50), "less than half of width_mm"),
        (lambda d, i: lithophane(i, sample_mm=0), "sample_mm must be positive"),
        (lambda d, i: lithophane(i[:1]), "at least 2x2"),
    ],
)
def test_what_can_not_be_is_said(make, sentence):
    image = np.full((8, 8, 3), 90, np.uint8)
    with pytest.raises(InputError, match=sentence):
        make(relative(np.arange(64.0).reshape(8, 8)), image)


def test_real_photos(shared_data):
    depth = d3.load_depth(shared_data / "pairs" / "hoernchen_disparity.png")
    part = plate(relief(depth, sample_mm=0.5))
    np.testing.assert_allclose(part.extents[[0, 2]], [100, 10], rtol=1e-6)
