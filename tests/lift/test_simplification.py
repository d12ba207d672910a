"""Fewer triangles: planes become two, nothing cracks, and the error is the one that was allowed."""

from collections import Counter

import numpy as np
import pytest

from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.core.scene import RGBD
from depth3d.errors import InputError
from depth3d.lift.meshes import mesh
from depth3d.lift.simplification import Simplifier
from depth3d.lift.triangulation import triangulate
from depth3d.synthetic.random_scenes import random_scene
from depth3d.synthetic.render import render_depth
from depth3d.synthetic.scene import distance_to_surface
from depth3d.synthetic.scenes import default_camera, floor_scene, room_scene, step_scene


def grid_of(q):
    return triangulate(q, ~np.isnan(q), tolerance=0.03)


def bumps(shape, cut=True):
    """A wavy surface with a step across it and a hole in it."""
    v, u = np.mgrid[: shape[0], : shape[1]]
    q = 2 + 0.01 * u + 0.05 * np.sin(u / 5.0) * np.cos(v / 7.0)
    if cut:
        q = np.where(u > 0.6 * shape[1] - 0.2 * v, q + 1, q)
        q[(u - 0.3 * shape[1]) ** 2 + (v - 0.5 * shape[0]) ** 2 < (0.15 * shape[0]) ** 2] = np.nan
    return q.astype(np.float32)


def twice_signed_area_px(faces, width):
    (ra, rb, rc), (ca, cb, cc) = (faces // width).T, (faces % width).T
    return (cc - ca) * (rb - ra) - (cb - ca) * (rc - ra)


def unpaired_edges(faces):
    """Directed edges that triangles run through once more than through their reverse."""
    edges = Counter(tuple(e) for e in faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).tolist())
    surplus = {(a, b): n - edges[b, a] for (a, b), n in edges.items() if n > edges[b, a]}
    assert set(surplus.values()) <= {1}
    return set(surplus)


def error_at_pixels(q, faces):
    """How far each pixel's inverse depth is from its triangle's plane, as a share: plain loops."""
    width, worst = q.shape[1], np.zeros(q.shape)
    for triangle, doubled in zip(faces, twice_signed_area_px(faces, width), strict=True):
        if doubled == 0:
            continue
        (r, c), v = np.divmod(triangle, width), q.reshape(-1)[triangle].astype(np.float64)
        rows, cols = np.mgrid[r.min() : r.max() + 1, c.min() : c.max() + 1]
        share = [
            ((c[j] - cols) * (r[i] - rows) - (c[i] - cols) * (r[j] - rows)) / doubled
            for i, j in ((1, 2), (2, 0), (0, 1))
        ]
        inside = np.minimum(np.minimum(*share[:2]), share[2]) > -1e-9
        off = np.abs(share[0] * v[0] + share[1] * v[1] + share[2] * v[2] - q[rows, cols]) / q[rows, cols]
        where = (rows[inside], cols[inside])
        worst[where] = np.maximum(worst[where], off[inside])
    return worst


@pytest.mark.parametrize("shape", [(2, 2), (3, 3), (9, 9), (12, 17), (40, 7), (65, 64)])
@pytest.mark.parametrize("slope", [(0.0, 0.0), (0.03, 0.02), (-0.01, 0.05)])
def test_a_plane_is_two_triangles(shape, slope):
    v, u = np.mgrid[: shape[0], : shape[1]]
    q = (3 + slope[0] * u + slope[1] * v).astype(np.float32)
    simplifier = Simplifier(q, grid_of(q), focal_px=100.0)
    faces = simplifier.within(1e-3)
    assert len(faces) == 2
    assert (twice_signed_area_px(faces, shape[1]) == (shape[0] - 1) * (shape[1] - 1)).all()
    assert len(simplifier.within(-1.0)) == 2 * (shape[0] - 1) * (shape[1] - 1)


@pytest.mark.parametrize("shape", [(33, 33), (30, 41), (50, 23)])
@pytest.mark.parametrize("max_error_px", [0.05, 0.5, 5.0, np.inf])
def test_nothing_cracks_folds_or_gets_lost(shape, max_error_px):
    q = bumps(shape)
    grid = grid_of(q)
    faces = Simplifier(q, grid, focal_px=100.0).within(max_error_px)
    assert len(faces) < 0.9 * len(grid)
    areas = twice_signed_area_px(faces, shape[1])
    assert (areas > 0).all()
    assert areas.sum() == twice_signed_area_px(grid, shape[1]).sum()
    before, after = unpaired_edges(grid), unpaired_edges(faces)
    for a, b in after - before:  # only along the frame of the picture edges may be longer than they were
        (ra, ca), (rb, cb) = divmod(a, shape[1]), divmod(b, shape[1])
        assert (ra == rb and ra in (0, shape[0] - 1)) or (ca == cb and ca in (0, shape[1] - 1))
    inner = {
        (a, b)
        for a, b in before
        if not (
            a // shape[1] == b // shape[1] in (0, shape[0] - 1)
            or a % shape[1] == b % shape[1] in (0, shape[1] - 1)
        )
    }
    assert inner <= after


@pytest.mark.parametrize("max_error_px", [0.1, 0.5, 2.0])
def test_the_error_is_bounded_at_every_pixel(max_error_px):
    q = bumps((40, 50))
    few = Simplifier(q, grid_of(q), focal_px=100.0).within(max_error_px)
    # The error allowed is that of one halving; those of later ones add a little.
    assert 0.3 * max_error_px < 100 * error_at_pixels(q, few).max() < 1.6 * max_error_px


@pytest.mark.parametrize("max_faces", [300, 800, 2000])
def test_a_budget_is_kept_and_used(max_faces):
    q = bumps((50, 60), cut=False)
    simplifier = Simplifier(q, grid_of(q), focal_px=100.0)
    faces = simplifier.at_most(max_faces)
    assert 0.8 * max_faces < len(faces) <= max_faces
    assert len(simplifier.at_most(max_faces, least_error_px=50.0)) == len(simplifier.within(50.0)) < 300
    assert len(simplifier.at_most(10**6)) == len(simplifier.within(0.0))


def test_blocks_of_triangles_make_no_difference(monkeypatch):
    q = bumps((50, 61))
    simplifier = Simplifier(q, grid_of(q), focal_px=100.0)
    expected = [simplifier.within(error) for error in (0.0, 1.0, np.inf)]
    for size in (1, 7, 500):
        monkeypatch.setattr("depth3d.lift.simplification._TRIANGLES_PER_BLOCK", size)
        for error, faces in zip((0.0, 1.0, np.inf), expected, strict=True):
            np.testing.assert_array_equal(simplifier.within(error), faces)


def test_a_border_that_needs_more_is_no_budget():
    q = bumps((50, 60))
    simplifier = Simplifier(q, grid_of(q), focal_px=100.0)
    fewest = len(simplifier.within(np.inf))
    assert fewest > 50
    assert simplifier.at_most(fewest - 1) is None
    assert len(simplifier.at_most(fewest)) == fewest


def seen(scene, size, camera=None):
    camera = camera or default_camera(*size)
    return RGBD(np.zeros((size[1], size[0], 3), np.uint8), render_depth(scene, camera), camera)


def off_surface(scene, made):
    a, b, c = made.vertices.astype(np.float64)[made.faces].transpose(1, 0, 2)
    points = np.concatenate([(a + b + c) / 3, (a + b) / 2, (b + c) / 2, (c + a) / 2])
    return distance_to_surface(scene, points) / points[:, 2]


def test_a_step_is_two_sheets_of_few_triangles():
    made = mesh(seen(step_scene(), (96, 64)), max_error_px=0.01)
    whole = mesh(seen(step_scene(), (96, 64)))
    assert len(made.faces) < 0.12 * len(whole.faces)
    assert set(made.vertices[:, 2]) == {1.0, 3.0}
    z = made.vertices[made.faces][..., 2]
    assert (z.max(axis=1) == z.min(axis=1)).all()


def test_a_floor_up_to_the_horizon_is_few_triangles():
    given = seen(floor_scene(), (96, 64))
    assert len(mesh(given, max_error_px=0.05).faces) < 0.15 * len(mesh(given).faces)


@pytest.mark.parametrize("share", [0.2, 0.05])
def test_a_room_keeps_its_shape_with_a_share_of_its_triangles(share):
    scene = room_scene()
    given = seen(scene, (322, 238))
    full = mesh(given)
    made = mesh(given, max_faces=round(share * len(full.faces)))
    assert 0.2 * share * len(full.faces) < len(made.faces) <= share * len(full.faces)
    off = off_surface(scene, made)
    assert off.mean() < 1e-3
    assert off.max() < 0.02
    np.testing.assert_allclose(given.camera.project(made.vertices), made.uv * [322, 238], atol=1e-3)
    np.testing.assert_array_equal(np.unique(made.faces), np.arange(len(made.vertices)))


def test_a_budget_below_what_the_edges_need_takes_a_larger_stride():
    given = seen(random_scene(1), (96, 72))
    made = mesh(given, max_faces=60, min_island_px=0)
    assert 0 < len(made.faces) <= 60
    steps = np.unique(np.floor(made.uv * [96, 72]).astype(int) % 2)
    assert steps.tolist() == [0]


def test_a_bent_lens_keeps_more_triangles_of_a_plane():
    straight = Camera(80.0, 80.0, 48.0, 36.0, 96, 72)
    bent = Camera(80.0, 80.0, 48.0, 36.0, 96, 72, distortion=(-0.15,))
    made = [mesh(seen(floor_scene(pitch_deg=60), (96, 72), c), max_error_px=0.1) for c in (straight, bent)]
    assert len(made[0].faces) == 2
    assert 20 < len(made[1].faces) < 2000
    # Texture runs straight over a triangle, so its middle must lie near where the lens puts it.
    middle = bent.project(made[1].vertices[made[1].faces].mean(axis=1))
    z = made[1].vertices[made[1].faces][..., 2]
    uv = (made[1].uv[made[1].faces] * [96, 72]).mean(axis=1)
    assert np.isfinite(z).all()
    assert np.abs(middle - uv).max() < 0.5


@pytest.mark.parametrize("options", [{"max_faces": 10}, {"max_error_px": 1.0}])
def test_an_empty_mesh_stays_empty(options):
    camera = Camera(4.0, 4.0, 2.5, 2.0, 5, 4)
    blank = DepthMap(np.full((4, 5), np.nan), "metric")
    assert not len(mesh(RGBD(np.zeros((4, 5, 3), np.uint8), blank, camera), **options).faces)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_faces": 1}, "max_faces must be a whole number of at least 2, got 1"),
        ({"max_faces": 1e3}, "max_faces must be a whole number of at least 2, got 1000.0"),
        ({"max_faces": True}, "max_faces must be a whole number"),
        ({"max_error_px": -0.1}, "max_error_px must be 0 pixels or more, got -0.1; try 0.5"),
        ({"max_error_px": np.nan}, "max_error_px must be 0 pixels or more"),
    ],
)
def test_refuses_options_out_of_range(options, sentence):
    with pytest.raises(InputError, match=sentence):
        mesh(seen(room_scene(), (16, 12)), **options)
