"""Triangles without area go, and what the others cover, and how they hang together, stays."""

import numpy as np
import pytest

from depth3d.lift.flat_triangles import without_flat_triangles
from depth3d.lift.simplification import Simplifier
from depth3d.lift.triangulation import triangulate

WIDTH = 10


def areas(faces, width=WIDTH):
    """Twice the signed areas in the picture, positive for counter-clockwise as the camera sees it."""
    rows, cols = np.divmod(faces.astype(np.int64), width)
    (right, other_right), (down, other_down) = (np.diff(values, axis=1).T for values in (cols, rows))
    return down * other_right - right * other_down


def sides(faces):
    """Each side once, with how many triangles have it."""
    pairs = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    return np.unique(pairs, axis=0, return_counts=True)


def euler(faces):
    return len(np.unique(faces)) - len(sides(faces)[0]) + len(faces)


def border(faces):
    """Sides that only one triangle has, with their direction."""
    directed = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    there = {tuple(side) for side in directed.tolist()}
    return {side for side in there if side[::-1] not in there}


def pixel(row, col):
    return row * WIDTH + col


def same(faces, wanted):
    def turned(face):
        start = int(np.argmin(face))
        return tuple(np.roll(face, -start).tolist())

    return sorted(map(turned, np.asarray(faces))) == sorted(map(turned, np.asarray(wanted)))


A, M, N, B = pixel(0, 0), pixel(2, 2), pixel(4, 4), pixel(8, 8)
C, D = pixel(8, 0), pixel(0, 8)


def test_the_neighbour_gets_the_corner():
    faces = np.array([[A, C, B], [B, M, A], [D, A, M], [D, M, B]], dtype=np.int32)
    assert areas(faces)[1] == 0
    made = without_flat_triangles(faces, WIDTH)
    assert same(made, [[A, C, M], [M, C, B], [D, A, M], [D, M, B]])


def test_a_chain_is_flipped_link_by_link():
    faces = np.array([[A, C, B], [B, N, A], [A, N, M], [D, A, M], [D, M, N], [D, N, B]], dtype=np.int32)
    assert (areas(faces) == 0).sum() == 2
    made = without_flat_triangles(faces, WIDTH)
    assert same(made, [[A, C, M], [M, C, N], [N, C, B], [D, A, M], [D, M, N], [D, N, B]])


def test_two_of_the_same_pixels_fold_up():
    sheet = np.array([[A, C, M], [M, C, B], [D, A, M], [D, M, B]], dtype=np.int32)
    faces = np.concatenate([sheet, np.array([[A, M, B], [B, M, A]], dtype=np.int32)])
    assert same(without_flat_triangles(faces, WIDTH), sheet)


def test_two_that_share_their_longest_side_are_parted():
    faces = np.array([[A, C, N], [N, C, B], [B, N, A], [A, M, B], [D, A, M], [D, M, B]], dtype=np.int32)
    made = without_flat_triangles(faces, WIDTH)
    assert (areas(made) > 0).all()
    assert areas(made).sum() == areas(faces).sum()
    assert border(made) == border(faces)


def test_at_the_border_nothing_is_put_in_its_place():
    faces = np.array([[B, M, A], [D, A, M], [D, M, B]], dtype=np.int32)
    assert same(without_flat_triangles(faces, WIDTH), faces[1:])


def test_without_any_the_very_same_come_back():
    faces = np.array([[A, C, B], [B, D, A]], dtype=np.int32)
    assert without_flat_triangles(faces, WIDTH) is faces
    assert not len(without_flat_triangles(faces[:0], WIDTH))


@pytest.mark.parametrize("max_error_px", [0.0, 0.01, 0.3, 5.0, np.inf])
@pytest.mark.parametrize("shape", [(2, 2), (3, 7), (13, 40), (50, 61), (97, 33)])
def test_a_simplified_sheet_is_a_disc_of_triangles_with_an_area(shape, max_error_px):
    rng = np.random.default_rng(shape)
    v, u = np.mgrid[: shape[0], : shape[1]]
    q = (1 + 0.3 * np.sin(u / 5) * np.cos(v / 7) + 1e-3 * rng.random(shape)).astype(np.float32)
    grid = triangulate(q, np.ones(shape, dtype=bool), tolerance=0.9)
    faces = Simplifier(q, grid, focal_px=100.0).within(max_error_px)
    assert (areas(faces, shape[1]) > 0).all()
    assert areas(faces, shape[1]).sum() == 2 * (shape[0] - 1) * (shape[1] - 1)
    assert sides(faces)[1].max() <= 2
    assert euler(faces) == 1
