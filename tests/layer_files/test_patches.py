"""Sheets as patches: planes stay planes, joined patches share their nodes, torn ones do not."""

from __future__ import annotations

import numpy as np
import pytest

from depth3d.core.color import to_linear
from depth3d.render.patches import GUTTER, Grid, nodes_of_lattice, sheet_patches
from depth3d.render.patchwork import patchwork
from depth3d.render.sheets import Sheet
from depth3d.render.tiles import reduced, tiles_of

HEIGHT, WIDTH, CELL = 36, 48, 12


def sheet_of(surface, q, color=None):
    """A sheet whose surfaces are numbered; 0 is none."""
    right, down = np.zeros((2, *surface.shape), np.bool_)
    right[:, :-1] = (surface[:, :-1] == surface[:, 1:]) & (surface[:, 1:] > 0)
    down[:-1] = (surface[:-1] == surface[1:]) & (surface[1:] > 0)
    if color is None:
        color = np.zeros((*surface.shape, 3), np.uint8)
    return Sheet(color, np.asarray(q, np.float32), (surface > 0).astype(np.float32), right, down)


def cut(sheet, *, whole=True, reduction=1):
    grid = Grid.over(sheet.alpha.shape, CELL // reduction, reduction)
    return grid, *sheet_patches(sheet, sheet.alpha, grid, whole=whole)


@pytest.fixture
def uv():
    return np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)


def nodes(patches, number):
    """Where the nodes of a patch are: (3, 3) columns and rows in pixels."""
    row, col = patches.cells[number]
    step = np.arange(3) * CELL / 2
    return np.meshgrid(col * CELL + step, row * CELL + step)


def test_one_surface_is_whole_but_for_nothing(uv):
    u, v = uv
    grid, whole, patches = cut(sheet_of(np.ones((HEIGHT, WIDTH), int), 0.2 + 0.001 * u + 0.002 * v))
    inner = {(r, c) for r in range(1, 2) for c in range(1, 3)}
    assert inner <= set(map(tuple, whole))
    assert len(whole) + len(patches) == grid.rows * grid.cols


def test_a_plane_stays_a_plane_at_every_node(uv):
    u, v = uv
    q = 0.2 + 0.001 * u + 0.002 * v
    lattice = nodes_of_lattice(q.astype(np.float32), Grid.over(q.shape, CELL, 1))
    at_u, at_v = np.meshgrid(np.arange(9) * 6.0, np.arange(7) * 6.0)
    inner = np.s_[1:-1, 1:-1]  # beyond the picture it goes on level
    np.testing.assert_allclose(lattice[inner], (0.2 + 0.001 * at_u + 0.002 * at_v)[inner], rtol=1e-6)
    _, _, patches = cut(sheet_of(np.ones((HEIGHT, WIDTH), int), q), whole=False)
    for number in range(len(patches)):
        at_u, at_v = nodes(patches, number)
        if (at_u > 0).all() and (at_v > 0).all() and (at_u < WIDTH).all() and (at_v < HEIGHT).all():
            expected = 0.2 + 0.001 * at_u + 0.002 * at_v
            np.testing.assert_allclose(patches.inverse_depth[number], expected, rtol=0.004)


def test_each_surface_in_a_cell_has_a_patch_with_its_own_depth_and_colours(uv):
    u, v = uv
    surface = np.where(u + 0.4 * v < 27, 1, 2)
    color = np.where(surface[..., None] == 1, np.uint8([250, 10, 20]), np.uint8([10, 200, 240]))
    q = np.where(surface == 1, 0.9 - 0.002 * u, 0.3 + 0.001 * v)
    _, _, patches = cut(sheet_of(surface, q, color))
    for number, tile in enumerate(patches.color):
        at_u, at_v = nodes(patches, number)
        is_near = (tile == [250, 10, 20]).all()
        assert is_near or (tile == [10, 200, 240]).all()  # also where the other one is
        expected = 0.9 - 0.002 * at_u if is_near else 0.3 + 0.001 * at_v
        assert np.abs(patches.inverse_depth[number] - expected).max() < 0.03
    row, col = 1, 1
    here = (patches.cells == (row, col)).all(axis=1)
    assert here.sum() == 2
    core = patches.alpha[here][:, GUTTER:-GUTTER, GUTTER:-GUTTER]
    assert (core.sum(axis=0) == 255).all()  # each pixel is one's
    mask = surface[row * CELL : (row + 1) * CELL, col * CELL : (col + 1) * CELL] == 1
    assert any(np.array_equal(tile == 255, mask) for tile in core)


def test_joined_patches_share_the_nodes_on_their_common_side():
    rng = np.random.default_rng(3)
    q = 0.5 + 0.05 * rng.standard_normal((HEIGHT, WIDTH)).cumsum(0).cumsum(1) / 20
    surface = np.ones((HEIGHT, WIDTH), int)
    surface[10:14, 5:40] = 2
    grid, whole, patches = cut(sheet_of(surface, q))
    lattice = nodes_of_lattice(np.asarray(q, np.float32), grid)
    lookup = {}
    for row, col in whole:
        lookup[row, col] = [lattice[2 * row : 2 * row + 3, 2 * col : 2 * col + 3]]
    for (row, col), depth, alpha in zip(patches.cells, patches.inverse_depth, patches.alpha, strict=True):
        if alpha[GUTTER:-GUTTER, GUTTER:-GUTTER].mean() > 128:
            lookup.setdefault((row, col), []).append(depth)
    assert len(lookup) == grid.rows * grid.cols
    for (row, col), (depth,) in lookup.items():
        if col + 1 < grid.cols:
            np.testing.assert_array_equal(depth[:, -1], lookup[row, col + 1][0][:, 0])
        if row + 1 < grid.rows and row != 0:  # the bar lies between the first and the second row
            np.testing.assert_array_equal(depth[-1], lookup[row + 1, col][0][0])


def test_torn_patches_keep_their_own_nodes():
    surface = np.ones((HEIGHT, WIDTH), int)
    surface[:, 24:] = 2  # along the side of cells
    _, whole, patches = cut(sheet_of(surface, np.where(surface == 1, 0.2, 0.8)))
    assert not {(1, 1), (1, 2)} & set(map(tuple, whole))
    for depth in patches.inverse_depth:
        assert np.ptp(depth) == 0
        assert depth[0, 0] == pytest.approx(0.2, rel=1e-5) or depth[0, 0] == pytest.approx(0.8, rel=1e-5)


def test_where_there_is_no_surface_there_is_no_patch():
    surface = np.zeros((HEIGHT, WIDTH), int)
    assert len(cut(sheet_of(surface, surface))[2]) == 0
    surface[2:5, 2:5] = 1
    _, whole, patches = cut(sheet_of(surface, 0.5 * surface))
    assert len(whole) == 0
    assert patches.cells.tolist() == [[0, 0]]
    assert patches.inverse_depth == pytest.approx(0.5)
    assert (patches.alpha[0] > 0).sum() == 9


def test_nothing_is_made_up_beyond_the_picture():
    surface = np.ones((30, 43), int)  # no whole number of cells
    surface[20:, 20:] = 2
    _, _, patches = cut(sheet_of(surface, np.where(surface == 1, 0.2, 0.8)), whole=False)
    corner = (patches.cells == (2, 3)).all(axis=1)
    assert corner.sum() == 1
    covered = patches.alpha[corner][0][GUTTER:-GUTTER, GUTTER:-GUTTER]
    assert (covered[:6, :7] == 255).all()
    assert covered.sum() == 42 * 255


def test_tiles_carry_colours_on_and_average_in_linear_light():
    color = np.zeros((1, 8, 8, 3), np.uint8)
    mask = np.zeros((1, 8, 8), np.bool_)
    mask[0, :, :3], color[0, :, :2], color[0, :, 2], color[0, :, 3:] = True, 200, 100, 255
    tile, alpha = tiles_of(color, mask.astype(np.float32), mask, 2)
    assert tile.shape == (1, 4, 4, 3)
    assert (tile[0, :, 0] == 200).all()
    assert (tile[0, :, 1:] == 100).all()  # nothing of the white beside it
    assert alpha[0, 0].tolist() == [255, 128, 0, 0]
    board = np.uint8([[[0] * 3, [255] * 3], [[255] * 3, [0] * 3]])
    assert to_linear(reduced(board, 2)).mean() == pytest.approx(0.5, abs=0.005)


def test_coverage_for_srgb_is_another_one_only_in_soft_edges(disc_layers):
    linear, srgb = (
        patchwork(disc_layers, max_faces=10**6, max_side_px=4096, blending=kind).patches.alpha
        for kind in ("linear", "srgb")
    )
    soft = (linear > 20) & (linear < 235)
    assert soft.sum() > 100
    assert (linear[soft] != srgb[soft]).mean() > 0.8
    assert np.array_equal(linear[~soft] > 127, srgb[~soft] > 127)
