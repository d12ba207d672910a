"""Points on triangles: evenly spread, in the right colours; and the pictures made of them."""

from __future__ import annotations

import numpy as np
import pytest

from depth3d.core.camera import Camera
from depth3d.core.mesh import Mesh
from depth3d.errors import InputError
from depth3d.lift.mesh_views import mesh_sheet, sample_surface

# Two squares at z = 2: one of side 1 on the left, one of side 3 on the right.
SQUARES = np.array(
    [[-1, 0, 2], [-1, 1, 2], [0, 1, 2], [0, 0, 2], [1, 0, 2], [1, 3, 2], [4, 3, 2], [4, 0, 2]], np.float32
)
FACES = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])


def test_points_spread_evenly_by_area():
    count = 40_000
    points = sample_surface(Mesh(SQUARES, FACES), count).points
    assert len(points) == count
    np.testing.assert_allclose(points[:, 2], 2, rtol=1e-6)
    small = points[:, 0] <= 0
    assert abs(small.sum() - 0.1 * count) < 2
    large = (points[~small, :2] - [1, 0]) / 3
    counts, *_ = np.histogram2d(*large.T, bins=6, range=[[0, 1], [0, 1]])
    expected = len(large) / 36
    assert counts.sum() == len(large)  # none outside
    assert ((counts - expected) ** 2 / expected).sum() < 66  # chi-squared, 35 degrees: p = 0.001


@pytest.mark.parametrize("count", [50, 1000, 10_007])
def test_each_triangle_gets_its_share_within_two_points(count):
    x = np.cumsum(np.random.default_rng(1).uniform(0.1, 2, 41))
    strip = np.array([[x, np.zeros(41), np.full(41, 3.0)], [x, np.ones(41), np.full(41, 3.0)]])
    vertices = strip.transpose(0, 2, 1).reshape(-1, 3)
    i = np.arange(40)
    faces = np.stack([i, i + 41, i + 1], axis=1)
    got = np.histogram(sample_surface(Mesh(vertices, faces), count).points[:, 0], bins=x)[0]
    assert np.abs(got - count * np.diff(x) / (x[-1] - x[0])).max() < 2


def test_the_same_seed_draws_the_same_points():
    mesh = Mesh(SQUARES, FACES)
    first, again, other = (sample_surface(mesh, 10, seed=seed).points for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_colours_come_from_the_texture_below_each_point():
    texture = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    uv = (SQUARES[:, :2] + [1, 0]) / [5, 4]
    cloud = sample_surface(Mesh(SQUARES, FACES, uv, texture), 2000)
    cols, rows = (cloud.points[:, 0] + 1).astype(int), cloud.points[:, 1].astype(int)
    off_the_lines = np.abs(cloud.points[:, :2] - np.rint(cloud.points[:, :2])).min(axis=1) > 1e-4
    np.testing.assert_array_equal(cloud.colors[off_the_lines], texture[rows, cols][off_the_lines])


def test_colours_of_vertices_go_to_what_is_nearest():
    colors = np.zeros((8, 3), np.uint8)
    colors[:4], colors[4:] = (255, 0, 0), (0, 0, 255)
    cloud = sample_surface(Mesh(SQUARES, FACES, colors=colors), 500)
    np.testing.assert_array_equal(cloud.colors[:, 0] == 255, cloud.points[:, 0] <= 0)


def test_bare_surfaces_are_brighter_where_they_face_the_camera():
    head_on = sample_surface(Mesh([[-1, -1, 9], [0, 2, 9], [1, -1, 9]], [[0, 1, 2]]), 5).colors
    edge_on = sample_surface(Mesh([[0, -1, 9], [0, 2, 9], [0, 0, 12]], [[0, 1, 2]]), 5).colors
    np.testing.assert_array_equal(head_on, 215)
    np.testing.assert_array_equal(edge_on, 50)


def test_nothing_to_draw_on():
    for faces in (np.empty((0, 3), int), [[0, 0, 1]]):  # none, and one without area
        mesh = Mesh(SQUARES, faces)
        assert len(sample_surface(mesh, 7)) == 0
        assert (mesh_sheet(mesh, width_px=20, height_px=10) == 255).all()
    with pytest.raises(InputError, match="count must be a whole number of at least 1, got 0"):
        sample_surface(Mesh(SQUARES, FACES), 0)


def test_the_sheet_shows_the_photos_own_view_without_holes():
    """A near and a far square that the camera sees side by side, each filling half of the picture."""
    camera = Camera(50, 50, 50, 40, 100, 80)
    corners = []
    for left, z in ((0, 0.5), (50, 20.0)):
        for u, v in ((left, 0), (left, 80), (left + 50, 80), (left + 50, 0)):
            corners.append([(u - 50) / 50 * z, (v - 40) / 50 * z, z])
    colors = np.repeat(np.array([[200, 0, 0], [0, 0, 200]], np.uint8), 4, axis=0)
    mesh = Mesh(np.array(corners), FACES, colors=colors)
    sheet = mesh_sheet(mesh, camera, width_px=100, height_px=80)
    assert sheet.shape == (80, 300, 3)
    front = sheet[3:-3, 3:97]
    wanted = np.where(np.arange(3, 97)[None, :, None] < 50, [200, 0, 0], [0, 0, 200])
    assert (front == wanted).all(axis=-1).mean() > 0.99
    for view in (sheet[:, 101:200], sheet[:, 201:]):
        assert (view != 255).any()


def test_a_surface_that_turns_away_has_no_holes_in_the_photos_own_view():
    """A wall seen at a grazing angle on the left, one that faces the camera on the right."""
    camera = Camera(60, 60, 60, 40, 120, 80)
    u, v = np.meshgrid(np.arange(121.0), np.arange(81.0))
    z = np.where(u < 60, 1 / (1.0 - 0.015 * u), 4.0)
    vertices = np.stack([(u - 60) / 60 * z, (v - 40) / 60 * z, z], axis=-1).reshape(-1, 3)
    a = (np.arange(80)[:, None] * 121 + np.arange(120)[None, :]).ravel()
    faces = np.concatenate([np.stack([a, a + 121, a + 122], 1), np.stack([a, a + 122, a + 1], 1)])
    mesh = Mesh(vertices, faces, colors=np.zeros((len(vertices), 3), np.uint8))
    front = mesh_sheet(mesh, camera, width_px=120, height_px=80)[2:-2, 2:118]
    assert (front == 255).all(axis=-1).mean() < 0.002
