"""Triangles on the grid: against a plain float64 reference, and what each cut is for."""

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from depth3d.lift.triangulation import large_islands, triangulate


def patchwork(seed, shape=(14, 17), holes=0.05):
    """Pieces of slanted planes with steps between them, a few unknown pixels, and a little noise."""
    rng = np.random.default_rng(seed)
    v, u = np.mgrid[: shape[0], : shape[1]]
    q = 1 + 0.02 * u - 0.015 * v
    for _ in range(3):
        a, b, c = rng.normal(size=3)
        side = a * u + b * v + 4 * c > 0
        q = np.where(side, q * rng.uniform(0.7, 1.4) + rng.normal(0, 0.02) * u, q)
    q = np.maximum(q * rng.normal(1, 0.006, shape), 0.05).astype(np.float32)
    q[rng.random(shape) < holes] = np.nan
    return q, ~np.isnan(q) & (rng.random(shape) > holes / 2)


def plain_triangulate(q, keep, tolerance, noise):
    """The same rule, written with loops over pixels in float64."""
    height, width = q.shape
    q = q.astype(np.float64)

    def value(r, c):
        return q[r, c] if 0 <= r < height and 0 <= c < width else np.nan

    def joined(r0, c0, r1, c1):
        if not (keep[r0, c0] and keep[r1, c1]):
            return False
        dr, dc = r1 - r0, c1 - c0
        jump = q[r1, c1] - q[r0, c0]
        line = [value(r0 + i * dr, c0 + i * dc) for i in range(-2, 4)]
        steps = np.diff(line)
        sides = []
        for step, farther in ((steps[1], steps[0]), (steps[3], steps[4])):
            limit = max(2 * farther * np.sign(step), 0) if np.isfinite(farther) else np.nan
            sides.append(np.nan if np.isnan(limit) else np.sign(step) * min(abs(step), limit))
        if np.isnan(sides).all():
            sides = [steps[1], steps[3]]
        known = [s for s in sides if not np.isnan(s)] or [0.0]
        excess = min(max(min(known) - jump, jump - max(known)), abs(jump))
        return excess <= max(tolerance * max(q[r0, c0], q[r1, c1]), 5 * noise)

    faces = []
    for r in range(height - 1):
        for c in range(width - 1):
            corner = {"a": (r, c), "b": (r, c + 1), "c": (r + 1, c), "d": (r + 1, c + 1)}

            def whole(triangle, corner=corner):
                one, middle, other = (corner[x] for x in triangle)
                # Steps run downwards or to the right.
                return joined(*min(one, middle), *max(one, middle)) and joined(
                    *min(middle, other), *max(middle, other)
                )

            falling = [t for t in ("acd", "dba") if whole(t)]
            rising = [t for t in ("bac", "cdb") if whole(t)]
            fall, rise = abs(q[r, c] - q[r + 1, c + 1]), abs(q[r, c + 1] - q[r + 1, c])
            first = len(falling) > len(rising) or (len(falling) == len(rising) and fall <= rise)
            for triangle in falling if first else rising:
                faces.append([corner[x][0] * width + corner[x][1] for x in triangle])
    return np.array(faces, dtype=np.int32).reshape(-1, 3)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_agrees_with_loops_over_pixels(seed, noise):
    q, keep = patchwork(seed)
    expected = plain_triangulate(q, keep, 0.03, noise)
    whole = 2 * (q.shape[0] - 1) * (q.shape[1] - 1)
    assert 0.2 * whole < len(expected) < 0.95 * whole
    np.testing.assert_array_equal(triangulate(q, keep, tolerance=0.03, noise_per_m=noise), expected)


def test_blocks_of_rows_join_without_a_seam(monkeypatch):
    q, keep = patchwork(3, (40, 30))
    expected = triangulate(q, keep, tolerance=0.03)
    for rows in (1, 2, 7):
        monkeypatch.setattr("depth3d.lift.triangulation._QUADS_PER_BLOCK", 30 * rows)
        np.testing.assert_array_equal(triangulate(q, keep, tolerance=0.03), expected)


@pytest.mark.parametrize("slope", [(0.0, 0.0), (0.1, 0.0), (-0.05, 0.2), (0.3, -0.4)])
def test_a_plane_is_whole_however_steep(slope):
    v, u = np.mgrid[:20, :30]
    q = (20 + slope[0] * u + slope[1] * v).astype(np.float32)
    assert len(triangulate(q, np.ones(q.shape, bool), tolerance=0.001)) == 2 * 19 * 29


def test_a_crease_is_no_edge():
    u = np.abs(np.arange(30.0) - 14.5)
    q = np.tile(1 + 0.2 * u, (10, 1)).astype(np.float32)
    assert len(triangulate(q, np.ones(q.shape, bool), tolerance=0.03)) == 2 * 9 * 29


@pytest.mark.parametrize("turn", range(4))
def test_two_edges_a_pixel_apart_do_not_explain_each_other(turn):
    q = np.rot90(np.tile(np.repeat([1.0, 1.2, 1.45], (9, 1, 10)), (8, 1)), turn).astype(np.float32)
    faces = triangulate(q, np.ones(q.shape, bool), tolerance=0.03)
    assert len(faces) == 2 * 7 * (8 + 9)
    assert (np.ptp(q.reshape(-1)[faces], axis=1) == 0).all()


@pytest.mark.parametrize("turn", range(4))
def test_a_flare_in_the_outermost_rows_is_cut_off(turn):
    across = np.r_[0.9, 0.5, 0.22, np.full(9, 0.2)]
    q = np.rot90(np.tile(across, (8, 1)), turn).astype(np.float32)
    faces = triangulate(q, np.ones(q.shape, bool), tolerance=0.03)
    assert len(faces) == 2 * 7 * 9
    assert q.reshape(-1)[faces].max() == np.float32(0.22)


@pytest.mark.parametrize("width", range(2, 7))
def test_a_steep_plane_is_whole_in_a_narrow_picture(width):
    q = np.tile(1 + 0.5 * np.arange(width), (width, 1)).astype(np.float32)
    whole = 2 * (width - 1) ** 2 if width > 2 else 0  # two pixels show no slope
    assert len(triangulate(q, np.ones(q.shape, bool), tolerance=0.03)) == whole


@pytest.mark.parametrize("turn", range(4))
def test_a_step_on_a_slope_is_cut_where_it_is(turn):
    v, u = np.mgrid[:12, :20]
    q = np.rot90(5 + 0.3 * u + 0.1 * v + 1.0 * (u >= 8), turn).astype(np.float32)
    near = np.rot90(u >= 8, turn).reshape(-1)
    faces = triangulate(q, np.ones(q.shape, bool), tolerance=0.03)
    assert len(faces) == 2 * 11 * (19 - 1)
    assert (near[faces].any(axis=1) == near[faces].all(axis=1)).all()


def test_a_slanting_step_follows_the_pixels():
    v, u = np.mgrid[:16, :16]
    near = u > v
    q = np.where(near, 2.0, 1.0).astype(np.float32)
    faces = triangulate(q, np.ones(q.shape, bool), tolerance=0.03)
    near = near.reshape(-1)
    assert (near[faces].any(axis=1) == near[faces].all(axis=1)).all()
    # Squares with a single near or far corner, 15 and 14 of them, keep the triangle past it.
    assert len(faces) == 2 * 15 * 15 - 15 - 14


def test_the_diagonal_follows_the_smaller_jump():
    q = np.array([[1.0, 1.0], [1.0, 1.02]], np.float32)  # a b / c d: b-c is level
    keep = np.ones((2, 2), bool)
    np.testing.assert_array_equal(triangulate(q, keep, tolerance=0.03), [[1, 0, 2], [2, 3, 1]])
    np.testing.assert_array_equal(triangulate(q[:, ::-1], keep, tolerance=0.03), [[0, 2, 3], [3, 1, 0]])


@pytest.mark.parametrize("corner", range(4))
def test_three_known_corners_make_one_triangle(corner):
    q = np.ones((2, 2), np.float32)
    q.reshape(-1)[corner] = np.nan
    faces = triangulate(q, ~np.isnan(q), tolerance=0.03)
    assert sorted(faces[0]) == [i for i in range(4) if i != corner]
    assert len(faces) == 1


def test_noise_is_no_edge():
    q = np.where(np.arange(20) < 10, 1.0, 1.2)[None, :].repeat(5, axis=0).astype(np.float32)
    keep = np.ones(q.shape, bool)
    assert len(triangulate(q, keep, tolerance=0.03)) == 2 * 4 * 18
    assert len(triangulate(q, keep, tolerance=0.03, noise_per_m=0.041)) == 2 * 4 * 19


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_a_line_of_pixels_has_no_triangles(shape):
    assert triangulate(np.ones(shape, np.float32), np.ones(shape, bool), tolerance=0.03).shape == (0, 3)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("least", [4, 12, 60])
@pytest.mark.parametrize("rows", [100, 7, 1])
def test_islands_agree_with_a_graph(seed, least, rows, monkeypatch):
    monkeypatch.setattr("depth3d.lift.triangulation._PIXELS_PER_BAND", rows * 50)
    q, keep = patchwork(seed, (40, 50), holes=0.2)
    faces = triangulate(q, keep, tolerance=0.03)
    pairs = np.concatenate([faces[:, :2], faces[:, 1:]])
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(q.size, q.size))
    label = connected_components(graph, directed=False)[1]
    expected = np.bincount(label)[label[faces[:, 0]]] >= least
    assert 0 < expected.sum() < len(faces)
    np.testing.assert_array_equal(large_islands(faces, q.shape, least), expected)


def test_an_island_may_wind_through_many_bands(monkeypatch):
    # A comb, whose teeth hang together at the very bottom alone.
    q = np.ones((30, 41), np.float32)
    keep = np.ones(q.shape, bool)
    keep[:-4, 4::8] = keep[:-4, 5::8] = False
    for rows in (1, 4, 100):
        monkeypatch.setattr("depth3d.lift.triangulation._PIXELS_PER_BAND", rows * 41)
        faces = triangulate(q, keep, tolerance=0.03)
        assert large_islands(faces, q.shape, int(keep.sum())).all()
        assert not large_islands(faces, q.shape, int(keep.sum()) + 1).any()


def test_every_island_has_three_vertices():
    faces = np.array([[0, 3, 4]], np.int32)
    assert large_islands(faces, (3, 3), 3).all()
    assert not large_islands(faces, (3, 3), 4).any()
    assert large_islands(np.empty((0, 3), np.int32), (3, 3), 99).shape == (0,)
