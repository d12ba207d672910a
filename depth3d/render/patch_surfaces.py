"""`patch_surfaces`: a patchwork as triangles in space, for engines that know nothing of photos."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatArray, FloatMap
from depth3d.core.camera import Camera
from depth3d.render.patches import GUTTER, NODES, Grid
from depth3d.render.patchwork import Patchwork

__all__ = ["PatchSurface", "patch_surfaces"]

_FARTHEST = 1000
"""Times the nearest distance: where what is infinitely far away is put."""
_BEHIND = 0.995, 0.99
"""Shares of the inverse depth that the back and the backdrop have, so that they lose against the front."""

_STEPS = NODES - 1


@dataclass(frozen=True, slots=True, eq=False)
class PatchSurface:
    """Triangles with texture coordinates.

    Attributes:
        vertices: (V, 3) float32 in the camera frame.
        faces: (F, 3) int32; the front is counter-clockwise as the camera sees it.
        uv: (V, 2) float32, origin at the top left of the texture.
    """

    vertices: FloatMap
    faces: npt.NDArray[np.int32]
    uv: FloatMap


def patch_surfaces(work: Patchwork, camera: Camera, *, tile_columns: int) -> dict[str, PatchSurface]:
    """Place the squares of a patchwork in space.

    Args:
        work: The patchwork.
        camera: Of the sheets.
        tile_columns: How many tiles lie side by side in the texture of the patches; they are square, in the
            patches' order, row by row.

    Returns:
        `backdrop`, `back`, `front` (its whole cells) and `front_edges` (its patches), without those that have
        no triangles. `front` and `backdrop` have their own textures, the two others share that of the tiles.
    """
    nearest = max(float(work.lattice.max()), float(work.patches.inverse_depth.max(initial=0)), 1e-30)
    least = nearest / _FARTHEST
    cells = np.stack(np.meshgrid(*map(np.arange, _shape(work.backdrop_grid)), indexing="ij"), axis=-1)
    size = work.grid.cell + 2 * GUTTER
    number = np.arange(len(work.patches))
    rows = -(-len(number) // tile_columns)
    inner = np.arange(NODES) * (work.grid.cell / _STEPS) + GUTTER
    uv = np.empty((len(number), NODES, NODES, 2))
    uv[..., 0] = ((number % tile_columns) * size)[:, None, None] + inner
    uv[..., 1] = ((number // tile_columns) * size)[:, None, None] + inner[:, None]
    uv /= (tile_columns * size, max(rows, 1) * size)
    found = {
        "backdrop": _of_lattice(
            work.backdrop_lattice * _BEHIND[1], cells.reshape(-1, 2), work.backdrop_grid, camera, least
        )
    }
    for name, which, closer in (("back", work.of_back, _BEHIND[0]), ("front_edges", ~work.of_back, 1.0)):
        at = work.patches.cells[which, None, None] * _STEPS + np.moveaxis(np.indices((NODES, NODES)), 0, -1)
        q = work.patches.inverse_depth[which] * closer
        vertices = _placed(at.reshape(-1, 2), q.ravel(), work.grid, camera, least)
        corners = np.arange(len(vertices)).reshape(-1, NODES, NODES)
        found[name] = PatchSurface(vertices, _faces(corners), uv[which].reshape(-1, 2).astype(np.float32))
    found["front"] = _of_lattice(work.lattice, work.whole, work.grid, camera, least)
    order = ("backdrop", "back", "front", "front_edges")
    return {name: found[name] for name in order if len(found[name].faces)}


def _of_lattice(
    lattice: FloatMap, cells: npt.NDArray[np.int64], grid: Grid, camera: Camera, least: float
) -> PatchSurface:
    number = np.arange(lattice.size).reshape(lattice.shape)
    row, col = (cells[:, axis, None] * _STEPS + np.arange(NODES) for axis in (0, 1))
    faces = _faces(number[row[:, :, None], col[:, None, :]])
    used, compact = np.unique(faces, return_inverse=True)
    at = np.stack(np.divmod(used, lattice.shape[1]), axis=-1)
    vertices = _placed(at, lattice.ravel()[used], grid, camera, least)
    uv = at[:, ::-1] / (np.array(_shape(grid)[::-1]) * _STEPS)
    return PatchSurface(vertices, compact.reshape(-1, 3).astype(np.int32), uv.astype(np.float32))


def _placed(at: npt.NDArray[np.int64], q: FloatArray, grid: Grid, camera: Camera, least: float) -> FloatMap:
    """Place nodes, given by (row, column) in half cells."""
    pixels = at[:, ::-1] * (grid.side / _STEPS)
    x = (pixels[:, 0] - camera.cx) / camera.fx
    y = (pixels[:, 1] - camera.cy) / camera.fy
    rays = np.stack([x, y, np.ones_like(x)], axis=-1)
    return np.asarray(rays / np.maximum(q, least)[:, None], dtype=np.float32)


def _faces(corners: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Split squares of nodes, (n, 3, 3) indices, into triangles whose diagonals meet in the middle."""
    parts = []
    for j in range(_STEPS):
        for i in range(_STEPS):
            a, b = corners[:, j, i], corners[:, j, i + 1]
            c, d = corners[:, j + 1, i], corners[:, j + 1, i + 1]
            parts += [(a, c, d), (a, d, b)] if i == j else [(a, c, b), (b, c, d)]
    faces = np.stack([np.stack(part, axis=-1) for part in parts], axis=1)
    return faces.reshape(-1, 3).astype(np.int32)


def _shape(grid: Grid) -> tuple[int, int]:
    return grid.rows, grid.cols
