"""`patchwork`: a photo's layers as a few textures and some thousand small squares, for graphics hardware."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap, ImageArray
from depth3d.core.color import to_linear, to_srgb
from depth3d.render.patches import (
    GUTTER,
    NODES,
    Grid,
    Index,
    Patches,
    count_cells,
    nodes_of_lattice,
    sheet_patches,
)
from depth3d.render.sheets import Layers
from depth3d.render.tiles import reduced

__all__ = ["FACES_A_PATCH", "Patchwork", "patchwork"]

FACES_A_PATCH = 2 * (NODES - 1) ** 2

_CELLS = (12, 20, 28, 44, 60, 92, 124)
"""Texels along the side of a cell, from fine to coarse; with their gutters they are whole blocks of JPEG."""
_BACKDROP_CELL = 16
_BACKDROP_TEXELS = 512
"""Longest side of the backdrop's texture, which is smooth."""


@dataclass(frozen=True, slots=True, eq=False)
class Patchwork:
    """Layers as squares, each with 3 x 3 nodes of inverse depth and a texture.

    Attributes:
        grid: The cells of the front and the back.
        texture: (rows * cell, cols * cell, 3) uint8, the front's colours in whole cells, the photo in others.
        whole: (n, 2) row and column of the cells of the front that need nothing else.
        lattice: (2 rows + 1, 2 cols + 1) inverse depth at the nodes of the whole cells.
        patches: All others, of the front and the back, the farthest first.
        of_back: (n,) which patches are the back's.
        backdrop_grid: The cells of the backdrop, over the same pixels.
        backdrop_texture: Its colours.
        backdrop_lattice: Inverse depth at its nodes.
    """

    grid: Grid
    texture: ImageArray
    whole: Index
    lattice: FloatMap
    patches: Patches
    of_back: BoolMap
    backdrop_grid: Grid
    backdrop_texture: ImageArray
    backdrop_lattice: FloatMap

    @property
    def face_count(self) -> int:
        """Triangles in all."""
        cells = self.backdrop_grid.rows * self.backdrop_grid.cols
        return FACES_A_PATCH * (len(self.whole) + len(self.patches) + cells)


def patchwork(
    layers: Layers,
    *,
    max_faces: int,
    max_side_px: int,
    max_tiles_px: int = 4096,
    blending: Literal["linear", "srgb"] = "linear",
) -> Patchwork:
    """Lay out layers in squares.

    Args:
        layers: The layers.
        max_faces: How many triangles at most, if squares of 124 texels are not too many.
        max_side_px: Longest side of the front's texture; larger sheets are averaged down by a whole factor.
        max_tiles_px: Longest side of a square texture that has room for all tiles.
        blending: How the squares will be blended. Coverage is for `linear` light; for `srgb`, as web pages
            blend, it is changed so that front over back gives the same colour.

    Returns:
        The patchwork.
    """
    height, width = layers.front.alpha.shape
    reduction = max(1, -(-max(height, width) // max_side_px))
    alpha = layers.front.alpha if blending == "linear" else _alpha_for_srgb(layers)
    for cell in _CELLS:
        if (
            cell < _CELLS[-1]
            and _likely_faces(layers, Grid.over((height, width), cell, reduction)) > max_faces
        ):
            continue
        while True:
            work = _laid_out(layers, alpha, Grid.over((height, width), cell, reduction))
            tiles_a_side = max_tiles_px // (cell + 2 * GUTTER)
            if len(work.patches) <= tiles_a_side**2:
                break
            reduction += 1
        if work.face_count <= max_faces:
            break
    return work


def _likely_faces(layers: Layers, grid: Grid) -> int:
    """Guess how many triangles there will be: two surfaces in each cell of the front that is not whole."""
    whole, torn = count_cells(layers.front, grid)
    of_back = sum(count_cells(layers.back, grid))
    return FACES_A_PATCH * (whole + 2 * torn + of_back)


def _laid_out(layers: Layers, alpha: FloatMap, grid: Grid) -> Patchwork:
    whole, front = sheet_patches(layers.front, alpha, grid, whole=True)
    _, back = sheet_patches(layers.back, layers.back.alpha, grid, whole=False)
    nearness = np.concatenate([part.inverse_depth.mean(axis=(1, 2)) for part in (front, back)])
    order = np.argsort(nearness, kind="stable")
    names = ("cells", "inverse_depth", "color", "alpha")
    both = Patches(*(np.concatenate([getattr(front, name), getattr(back, name)])[order] for name in names))
    height, width = alpha.shape
    texture = np.array(grid.padded(layers.front.color))
    photo = np.array(texture)
    inside = tuple(slice(layers.margin_px, layers.margin_px + side) for side in layers.photo.shape[:2])
    photo[inside] = layers.photo
    is_whole = np.zeros((grid.rows, grid.cols), dtype=np.bool_)
    is_whole[tuple(whole.T)] = True
    np.copyto(texture, photo, where=~is_whole.repeat(grid.side, 0).repeat(grid.side, 1)[..., None])
    coarse = max(1, -(-max(height, width) // _BACKDROP_TEXELS))
    backdrop_grid = Grid.over((height, width), _BACKDROP_CELL, coarse)
    return Patchwork(
        grid,
        reduced(texture, grid.reduction),
        whole,
        nodes_of_lattice(layers.front.inverse_depth, grid),
        both,
        order >= len(front),
        backdrop_grid,
        reduced(backdrop_grid.padded(layers.backdrop.color), coarse),
        nodes_of_lattice(layers.backdrop.inverse_depth, backdrop_grid),
    )


def _alpha_for_srgb(layers: Layers) -> FloatMap:
    """Find the coverage that, blending sRGB values, comes nearest to what linear light gives.

    Least squares over the three channels: with front F, back B and what is right P, all in sRGB,
    a = (P - B).(F - B) / |F - B|^2.
    """
    alpha = np.array(layers.front.alpha)
    soft = (alpha > 0) & (alpha < 1)
    if not soft.any():
        return alpha
    share = alpha[soft][:, None]
    front = layers.front.color[soft]
    behind = np.where(
        layers.back.alpha[soft][:, None] > 0, layers.back.color[soft], layers.backdrop.color[soft]
    )
    right = to_srgb(share * to_linear(front) + (1 - share) * to_linear(behind)).astype(np.float64)
    contrast = front.astype(np.float64) - behind
    square: npt.NDArray[np.float64] = (contrast**2).sum(axis=-1)
    best = ((right - behind) * contrast).sum(axis=-1) / np.maximum(square, 1)
    alpha[soft] = np.where(square > 25, np.clip(best, 0, 1), share[:, 0])
    return alpha
