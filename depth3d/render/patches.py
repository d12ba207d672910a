"""`sheet_patches`: a sheet cut into square cells, with a small textured surface for each thing in a cell.

Graphics hardware wants few triangles and textures that may be interpolated; a sheet has an edge at any pixel.
So the sheet is laid out in square cells. Where a cell and its surroundings are one surface, the sheet's own
picture will do. Elsewhere each surface in it gets a patch: the cell's square, a tile of colours that are this
surface's alone, a tile of coverage with its silhouette, and its inverse depth at 3 x 3 nodes. Patches of
surfaces that are joined share the nodes on their common side, so that no crack opens between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from depth3d.core.arrays import BoolMap, FloatArray, FloatMap, ImageArray
from depth3d.render.sheets import Sheet
from depth3d.render.tiles import tiles_of

__all__ = ["GUTTER", "NODES", "Grid", "Patches", "count_cells", "nodes_of_lattice", "sheet_patches"]

NODES = 3
"""Nodes along a patch's side."""
GUTTER = 2
"""Texels of the surroundings around a tile, for interpolation."""

_PIXELS_PER_CHUNK = 1 << 22
"""Cells are cut in chunks of about so many pixels, which bounds the memory."""
_LEAST_ALPHA = 2
"""Of 255: patches that nowhere cover more are left out."""

Index = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells of a picture.

    Attributes:
        rows, cols: How many cells; the last ones may go on beyond the picture.
        cell: Texels along the side of a cell.
        reduction: Pixels along the side of a texel.
    """

    rows: int
    cols: int
    cell: int
    reduction: int

    @classmethod
    def over(cls, shape: tuple[int, int], cell: int, reduction: int) -> Grid:
        """Lay cells over a picture of (height, width) pixels."""
        side = cell * reduction
        return cls(-(-shape[0] // side), -(-shape[1] // side), cell, reduction)

    @property
    def side(self) -> int:
        """Pixels along the side of a cell."""
        return self.cell * self.reduction

    @property
    def gutter(self) -> int:
        """Pixels of the surroundings around a tile."""
        return GUTTER * self.reduction

    def padded(self, values: npt.NDArray[Any], by: int = 0, *, blank: bool = False) -> npt.NDArray[Any]:
        """Carry borders on, or zeros if `blank`, to whole cells and `by` pixels more on all sides."""
        height, width = values.shape[:2]
        sides = [(by, self.rows * self.side - height + by), (by, self.cols * self.side - width + by)]
        return np.pad(values, sides + [(0, 0)] * (values.ndim - 2), mode="constant" if blank else "edge")

    def windows(self, values: npt.NDArray[Any], *, blank: bool = False) -> npt.NDArray[Any]:
        """Give each cell with its gutter: (rows, cols, side, side, ...), a view of the padded picture."""
        full = self.padded(values, self.gutter, blank=blank)
        size = self.side + 2 * self.gutter
        windows: Any = sliding_window_view  # its stubs know one axis only
        view = windows(full, (size, size), axis=(0, 1))[:: self.side, :: self.side]
        return np.asarray(np.moveaxis(view, (-2, -1), (2, 3)))


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """Small surfaces, each over one cell.

    Attributes:
        cells: (n, 2) row and column of the cell.
        inverse_depth: (n, 3, 3) float32 at the corners, the middles of the sides and the middle of the cell.
        color: (n, t, t, 3) uint8 sRGB with t = cell + 2 * GUTTER texels, carried on where nothing is covered.
        alpha: (n, t, t) uint8; 255 is covered.
    """

    cells: Index
    inverse_depth: FloatArray
    color: ImageArray
    alpha: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, which: npt.NDArray[Any]) -> Patches:
        return Patches(self.cells[which], self.inverse_depth[which], self.color[which], self.alpha[which])


def count_cells(sheet: Sheet, grid: Grid) -> tuple[int, int]:
    """Count the cells of a sheet that are whole, and the others in which there is anything."""
    whole = _whole_cells(sheet, grid)
    return int(whole.sum()), int((grid.windows(sheet.alpha > 0).any(axis=(2, 3)) & ~whole).sum())


def sheet_patches(sheet: Sheet, alpha: FloatMap, grid: Grid, *, whole: bool) -> tuple[Index, Patches]:
    """Cut a sheet into whole cells and patches.

    Args:
        sheet: The sheet.
        alpha: (H, W) what its alpha counts as.
        grid: Its cells.
        whole: Whether cells that are one surface are told apart; if not, they become patches too.

    Returns:
        ((n, 2) row and column of the whole cells, the patches). The nodes of whole cells are those of
        `nodes_of_lattice`.
    """
    covered = sheet.alpha > 0
    is_whole = _whole_cells(sheet, grid) if whole else np.zeros((grid.rows, grid.cols), np.bool_)
    size = grid.side + 2 * grid.gutter
    used = grid.windows(covered).any(axis=(2, 3)) & ~is_whole
    cells = np.argwhere(used)
    windows = {
        "right": grid.windows(sheet.joined_right),
        "down": grid.windows(sheet.joined_down),
        "covered": grid.windows(covered, blank=True),
        "q": grid.windows(sheet.inverse_depth),
        "alpha": grid.windows(alpha),
        "color": grid.windows(sheet.color),
    }
    borders = np.full((grid.rows, grid.cols, 4, grid.side), -1, dtype=np.int64)
    parts: list[Patches] = []
    count = 0
    chunk = max(1, _PIXELS_PER_CHUNK // size**2)
    for first in range(0, len(cells), chunk):
        rows, cols = cells[first : first + chunk].T
        cut = {name: view[rows, cols] for name, view in windows.items()}
        owner, patch_of = _surfaces(cut["right"], cut["down"], cut["covered"], grid)
        mask = patch_of[owner] == np.arange(len(owner))[:, None, None]
        color, coverage = tiles_of(cut["color"][owner], cut["alpha"][owner] * mask, mask, grid.reduction)
        parts.append(
            Patches(
                np.stack([rows[owner], cols[owner]], axis=-1),
                _fitted(cut["q"][owner], mask, grid),
                color,
                coverage,
            )
        )
        core = patch_of[:, grid.gutter : -grid.gutter, grid.gutter : -grid.gutter]
        sides = np.stack([core[:, 0], core[:, -1], core[:, :, 0], core[:, :, -1]], axis=1)
        borders[rows, cols] = np.where(sides >= 0, sides + count, -1)
        count += len(owner)
    found = _joined(parts, grid)
    if len(found):
        found.inverse_depth[:] = _shared(found, borders, is_whole, sheet, grid)
    seen = found.alpha[:, GUTTER - 1 : 1 - GUTTER, GUTTER - 1 : 1 - GUTTER].max(axis=(1, 2), initial=0)
    return np.argwhere(is_whole), found[seen > _LEAST_ALPHA]


def nodes_of_lattice(inverse_depth: FloatMap, grid: Grid) -> FloatMap:
    """Give the inverse depth at the nodes of all cells: the mean of the four pixels around each.

    Returns:
        (2 rows + 1, 2 cols + 1) float32.
    """
    full = grid.padded(inverse_depth, 1)
    steps = NODES - 1
    across = (np.arange(grid.cols * steps + 1) * grid.side) // steps
    down = (np.arange(grid.rows * steps + 1) * grid.side) // steps
    total = sum(full[np.ix_(down + i, across + j)] for i in (0, 1) for j in (0, 1))
    return np.asarray(total / 4, dtype=np.float32)


def _whole_cells(sheet: Sheet, grid: Grid) -> BoolMap:
    """Find the cells that are one surface, and so are their gutters."""
    torn = sheet.alpha < 1
    right, down = ~sheet.joined_right[:, :-1], ~sheet.joined_down[:-1]
    torn[:, :-1] |= right
    torn[:, 1:] |= right
    torn[:-1] |= down
    torn[1:] |= down
    return np.asarray(~grid.windows(torn).any(axis=(2, 3)))


def _surfaces(right: BoolMap, down: BoolMap, covered: BoolMap, grid: Grid) -> tuple[Index, Index]:
    """Tell apart the surfaces in each window.

    Returns:
        The window of each surface, and (n, size, size) the number of the surface at each pixel, -1 where
        there is none or one that only the gutter shows.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    number = np.arange(covered.size, dtype=np.int32).reshape(covered.shape)
    across = right[:, :, :-1] & covered[:, :, :-1] & covered[:, :, 1:]
    along = down[:, :-1] & covered[:, :-1] & covered[:, 1:]
    start = np.concatenate([number[:, :, :-1][across], number[:, :-1][along]])
    end = np.concatenate([number[:, :, 1:][across], number[:, 1:][along]])
    graph = coo_matrix((np.ones(len(start), np.uint8), (start, end)), shape=(covered.size,) * 2)
    label = connected_components(graph, directed=False)[1].reshape(covered.shape)
    edge = grid.gutter - grid.reduction  # a texel beyond the cell still shows in it, interpolated
    inner = (slice(None), slice(edge, -edge), slice(edge, -edge))
    seen = np.unique(label[inner][covered[inner]])
    patch_of_label = np.full(label.max(initial=0) + 1, -1, dtype=np.int64)
    patch_of_label[seen] = np.arange(len(seen))
    window_of_label = np.zeros(len(patch_of_label), dtype=np.int64)
    window_of_label[label] = np.arange(len(label))[:, None, None]
    return window_of_label[seen], np.where(covered, patch_of_label[label], -1)


def _fitted(q: FloatMap, mask: BoolMap, grid: Grid) -> FloatMap:
    """Fit a plane around each node to a surface's pixels, by least squares with weights that fall off.

    Slopes that few pixels tell are drawn towards none.
    """
    size = q.shape[1]
    at = np.arange(size) + 0.5 - grid.gutter
    y, x = (v.ravel() for v in np.meshgrid(at, at, indexing="ij"))
    node = np.arange(NODES) * (grid.side / (NODES - 1))
    node_y, node_x = (v.ravel() for v in np.meshgrid(node, node, indexing="ij"))
    dx, dy = (x[:, None] - node_x) / grid.side, (y[:, None] - node_y) / grid.side
    weight = np.exp(-8 * (dx**2 + dy**2)) + 1e-4
    flat = mask.reshape(len(mask), -1).astype(np.float64)
    basis = [weight, weight * dx, weight * dy, weight * dx * dx, weight * dx * dy, weight * dy * dy]
    w, wx, wy, wxx, wxy, wyy = (flat @ b for b in basis)
    flat *= q.reshape(len(q), -1)
    wq, wxq, wyq = (flat @ b for b in basis[:3])
    mean_x, mean_y, mean_q = wx / w, wy / w, wq / w
    ridge = 0.001 * w
    xx, yy, xy = wxx - wx * mean_x + ridge, wyy - wy * mean_y + ridge, wxy - wx * mean_y
    xq, yq = wxq - wx * mean_q, wyq - wy * mean_q
    determinant = xx * yy - xy * xy
    slope_x, slope_y = (xq * yy - yq * xy) / determinant, (yq * xx - xq * xy) / determinant
    fit = mean_q - slope_x * mean_x - slope_y * mean_y
    low = np.where(mask, q, np.inf).min(axis=(1, 2))[:, None]
    high = np.where(mask, q, -np.inf).max(axis=(1, 2))[:, None]
    room = high - low
    fit = np.clip(fit, np.maximum(low - room, 0), high + room)
    return np.asarray(fit.reshape(-1, NODES, NODES), dtype=np.float32)


def _shared(patches: Patches, borders: Index, is_whole: BoolMap, sheet: Sheet, grid: Grid) -> FloatMap:
    """Make nodes on the common side of joined patches one: their mean, or what a whole cell says."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    count = patches.inverse_depth.size
    lattice = nodes_of_lattice(sheet.inverse_depth, grid)
    number = np.arange(count).reshape(patches.inverse_depth.shape)
    place = count + np.arange(lattice.size).reshape(lattice.shape)
    joined = {
        0: grid.padded(sheet.joined_down)[grid.side - 1 :: grid.side][:-1].reshape(-1, grid.cols, grid.side),
        1: grid.padded(sheet.joined_right)[:, grid.side - 1 :: grid.side][:, :-1]
        .reshape(grid.rows, grid.side, -1)
        .swapaxes(1, 2),
    }
    starts, ends = [], []
    for axis in (0, 1):
        before, after = (slice(None, -1), slice(None)), (slice(1, None), slice(None))
        if axis:
            before, after = before[::-1], after[::-1]
        one, other = borders[before][:, :, 2 * axis + 1], borders[after][:, :, 2 * axis]
        whole_one, whole_other = is_whole[before][..., None], is_whole[after][..., None]
        met = joined[axis] & ((one >= 0) | whole_one) & ((other >= 0) | whole_other)
        met &= (one >= 0) | (other >= 0)
        rows, cols, _ = np.nonzero(met)
        pairs = np.unique(np.stack([one[met], other[met], rows, cols], axis=-1), axis=0)
        steps = NODES - 1
        row, col = (pairs[:, 2:] * steps).T
        if axis:
            side = place[row[:, None] + np.arange(NODES), col[:, None] + steps]
            first, last = number[pairs[:, 0], :, -1], number[pairs[:, 1], :, 0]
        else:
            side = place[row[:, None] + steps, col[:, None] + np.arange(NODES)]
            first, last = number[pairs[:, 0], -1], number[pairs[:, 1], 0]
        starts.append(np.where(pairs[:, :1] < 0, side, first).ravel())
        ends.append(np.where(pairs[:, 1:2] < 0, side, last).ravel())
    start, end = np.concatenate(starts), np.concatenate(ends)
    total = count + lattice.size
    graph = coo_matrix((np.ones(len(start), np.uint8), (start, end)), shape=(total, total))
    label = connected_components(graph, directed=False)[1]
    mean = np.bincount(label[:count], patches.inverse_depth.ravel()) / np.maximum(
        np.bincount(label[:count]), 1
    )
    fixed = np.unique(np.concatenate([start[start >= count], end[end >= count]]))
    value = np.zeros(label.max() + 1)
    value[: len(mean)] = mean
    value[label[fixed]] = lattice.ravel()[fixed - count]
    return np.asarray(value[label[:count]].reshape(patches.inverse_depth.shape), dtype=np.float32)


def _joined(parts: list[Patches], grid: Grid) -> Patches:
    if not parts:
        size = grid.cell + 2 * GUTTER
        return Patches(
            np.empty((0, 2), np.int64),
            np.empty((0, NODES, NODES), np.float32),
            np.empty((0, size, size, 3), np.uint8),
            np.empty((0, size, size), np.uint8),
        )
    names = ("cells", "inverse_depth", "color", "alpha")
    return Patches(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
