"""Closed bodies over grids: each edge has two triangles, whatever the outline."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from depth3d.lift.bodies import body_faces, sound_squares


def built(keep, values=None, **limits):
    """Vertices and triangles of a body 1 thick behind the values, seen from straight above."""
    values = np.ones(keep.shape, np.float32) if values is None else values.astype(np.float32)
    squares = sound_squares(keep)
    limits = {"max_error_px": None, "max_faces": None, **limits}
    faces = body_faces(values, squares, focal_px=1.0, relative=False, **limits)
    if faces is None:
        return None
    numbered, fronts, backs = faces.numbered()
    rows, cols = np.divmod(np.concatenate([fronts, backs]), keep.shape[1])
    z = np.concatenate([-values.reshape(-1)[fronts], np.zeros(len(backs))])
    assert faces.count == len(numbered)
    return np.stack([cols, rows, z], axis=1), numbered, squares


def assert_closed(vertices, faces):
    """Every edge is run through once each way, even when vertices are joined by place."""
    _, number = np.unique(vertices, axis=0, return_inverse=True)
    assert number.max() + 1 == len(vertices)
    joined = number.reshape(-1)[faces]
    edges = Counter(map(tuple, joined[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).tolist()))
    assert set(edges.values()) == {1}
    assert all(edges[b, a] == 1 for a, b in edges)
    a, b, c = vertices[faces].transpose(1, 0, 2)
    assert (np.linalg.norm(np.cross(b - a, c - a), axis=1) > 1e-9).all()


def volume(vertices, faces):
    a, b, c = vertices[faces].astype(np.float64).transpose(1, 0, 2)
    return np.einsum("ij,ij->", np.cross(a, b), c) / 6


def slow_squares(keep):
    """Squares of four kept pixels, as many as `sound_squares` may start from."""
    return {
        (r, c)
        for r in range(keep.shape[0] - 1)
        for c in range(keep.shape[1] - 1)
        if keep[r : r + 2, c : c + 2].all()
    }


masks = npst.arrays(np.bool_, npst.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=12))


@settings(max_examples=150, deadline=None)
@given(masks, st.integers(0, 2**32 - 1), st.sampled_from([None, 0.0, 0.3, 1e9]))
def test_any_outline_gives_a_closed_body_over_its_squares(mask, seed, max_error):
    mask |= np.random.default_rng(seed).random(mask.shape) < 0.5  # random bits alone leave few squares
    if not sound_squares(mask).any():
        return
    values = 1 + np.random.default_rng(seed).random(mask.shape)
    vertices, faces, squares = built(mask, values, max_error_px=max_error)
    assert_closed(vertices, faces)
    flat_vertices, flat_faces, _ = built(mask, max_error_px=max_error)
    assert volume(flat_vertices, flat_faces) == pytest.approx(squares.sum())
    # Corners that touch are the only squares that are left out, and no other is made up.
    kept = set(zip(*(x.tolist() for x in np.nonzero(squares)), strict=True))
    assert kept <= slow_squares(mask)
    for r, c in slow_squares(mask) - kept:
        diagonal = {(r + i, c + j) for i in (-1, 1) for j in (-1, 1)}
        assert diagonal & slow_squares(mask)
    corners = Counter((r + i, c + j) for r, c in kept for i in (0, 1) for j in (0, 1))
    for (r, c), n in corners.items():
        around = {(r - i, c - j) for i in (0, 1) for j in (0, 1)} & kept
        touching = n == 2 and len({x[0] for x in around}) == 2 and len({x[1] for x in around}) == 2
        assert not touching


def test_a_pinch_is_opened():
    keep = np.zeros((5, 5), bool)
    keep[:3, :3] = keep[2:, 2:] = True
    assert sound_squares(keep).sum() == 7
    keep[1:3, 3:5] = True  # a bridge beside the pinch: now they share a side
    assert sound_squares(keep).sum() == 4 + 4 + 2


def test_small_parts_are_dropped_by_their_squares():
    keep = np.ones((4, 9), bool)
    keep[:, 4] = False  # 9 squares on the left and 9 on the right
    keep[0, 5:] = False  # of which 6 are left
    assert sound_squares(keep).sum() == 15
    assert sound_squares(keep, 6).sum() == 15
    assert sound_squares(keep, 7).sum() == 9
    assert sound_squares(keep, 10).sum() == 0


@pytest.mark.parametrize("shape", [(2, 2), (2, 9), (9, 2), (3, 3), (8, 8), (9, 9), (10, 17), (33, 16)])
def test_a_flat_plate_has_its_volume_and_the_sphere_topology(shape):
    vertices, faces, _ = built(np.ones(shape, bool), max_error_px=0.1)
    assert_closed(vertices, faces)
    assert volume(vertices, faces) == pytest.approx((shape[0] - 1) * (shape[1] - 1))
    edges = 3 * len(faces) // 2
    assert len(vertices) - edges + len(faces) == 2


def test_a_hole_makes_a_ring():
    keep = np.ones((12, 12), bool)
    keep[5:7, 5:7] = False
    vertices, faces, _ = built(keep)
    assert_closed(vertices, faces)
    assert len(vertices) - 3 * len(faces) // 2 + len(faces) == 0


def test_faces_within_the_budget_or_none():
    v, u = np.mgrid[:40, :40]
    wavy = 2 + np.sin(u / 3.0) * np.cos(v / 4.0)
    keep = np.ones((40, 40), bool)
    whole = built(keep, wavy)
    assert len(whole[1]) > 3000
    few = built(keep, wavy, max_faces=1800)
    assert_closed(*few[:2])
    assert 1500 < len(few[1]) <= 1800
    outline = built(keep)
    assert built(keep, max_faces=len(built(keep, max_error_px=1e9)[1])) is not None
    assert built(keep, wavy, max_faces=100) is None
    assert len(outline[1]) < len(whole[1]) + 1
