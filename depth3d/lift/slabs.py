"""Slabs: closed bodies whose front is a height over a flat rectangle, for reliefs and lithophanes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap, ImageArray
from depth3d.core.mesh import Mesh
from depth3d.errors import InputError
from depth3d.lift.bodies import body_faces

__all__ = ["grid_of_cells", "sampled_at_corners", "slab"]


_Places = npt.NDArray[np.intp]


def grid_of_cells(width_px: int, height_px: int, width_mm: float, sample_mm: float) -> tuple[int, int]:
    """Choose how many cells the picture is divided into, across and down.

    Args:
        width_px: Pixels across, at least 2.
        height_px: Pixels down, at least 2.
        width_mm: The picture's width in print.
        sample_mm: Side of a cell; no cell is made smaller than a pixel.

    Returns:
        Cells across and down, at least 1 each, as square as whole numbers allow.

    Raises:
        InputError: The picture is a single row or column.
    """
    if min(width_px, height_px) < 2:
        raise InputError(
            f"a slab needs at least 2x2 pixels, got {width_px}x{height_px}; give a larger picture"
        )
    across = min(max(1, round(width_mm / sample_mm)), width_px)
    return across, min(max(1, round(across * height_px / width_px)), height_px)


def sampled_at_corners(values: FloatMap, cells_across: int, cells_down: int) -> FloatMap:
    """Sample a picture at the corners of the cells that it is divided into.

    The outermost corners are the picture's own, half a pixel beyond the outermost centres: there the values
    are those of the nearest pixel. A sample that would touch an unknown pixel takes its nearest one.

    Args:
        values: (H, W) of pixels, NaN where unknown.
        cells_across: How many cells.
        cells_down: How many cells.

    Returns:
        (cells_down + 1, cells_across + 1), bilinear, pixel centres at +0.5.
    """
    height, width = values.shape
    row, row_share = _between(height, cells_down)
    col, col_share = _between(width, cells_across)
    nearest = values[np.rint(row + row_share).astype(np.intp)][:, np.rint(col + col_share).astype(np.intp)]
    below, right = np.minimum(row + 1, height - 1), np.minimum(col + 1, width - 1)
    upper, lower = values[row], values[below]
    left_part = upper[:, col] + row_share[:, None] * (lower[:, col] - upper[:, col])
    right_part = upper[:, right] + row_share[:, None] * (lower[:, right] - upper[:, right])
    mixed = left_part + col_share[None, :] * (right_part - left_part)
    return np.where(np.isnan(mixed), nearest, mixed).astype(np.float32)


def slab(
    heights_mm: FloatMap,
    width_mm: float,
    height_mm: float,
    *,
    image: ImageArray | None,
    max_error_mm: float,
    max_faces: int | None,
) -> Mesh:
    """Make the closed body between a flat back and heights over it.

    Args:
        heights_mm: (rows, columns), all positive, at places spread evenly over the rectangle, its border
            included.
        width_mm: The rectangle's width.
        height_mm: The rectangle's height.
        image: Texture that covers the rectangle, or None.
        max_error_mm: Merge triangles where that moves no sample by more.
        max_faces: Most triangles: merge further, and then take every second sample; None sets no limit.

    Returns:
        The body in metres, without normals: x right, y down, its middle at x = y = 0, its back on z = 0
        and its heights towards -z, where the camera is.

    Raises:
        InputError: Not even a box is within `max_faces`.
    """
    rows: _Places = np.arange(heights_mm.shape[0])
    cols: _Places = np.arange(heights_mm.shape[1])
    while True:
        heights = heights_mm[np.ix_(rows, cols)]
        faces = body_faces(
            heights,
            np.ones((len(rows) - 1, len(cols) - 1), dtype=np.bool_),
            focal_px=1.0,
            relative=False,
            max_error_px=max_error_mm,
            max_faces=max_faces,
        )
        if faces is not None:
            break
        if len(rows) == len(cols) == 2:
            raise InputError(f"a slab has at least 12 triangles, got max_faces={max_faces}; allow more")
        rows, cols = _every_second(rows), _every_second(cols)
    numbered, fronts, backs = faces.numbered()
    row, col = np.divmod(np.concatenate([fronts, backs]), len(cols))
    across, down = cols / (heights_mm.shape[1] - 1), rows / (heights_mm.shape[0] - 1)
    uv = np.stack([across[col], down[row]], axis=1)
    heights_of = np.zeros(len(uv))
    heights_of[: len(fronts)] = heights.reshape(-1)[fronts]
    vertices = np.column_stack([(uv - 0.5) * [width_mm, height_mm], -heights_of]) / 1000
    return Mesh(
        vertices.astype(np.float32),
        numbered,
        uv=None if image is None else uv.astype(np.float32),
        texture=image,
    )


def _between(pixels: int, cells: int) -> tuple[npt.NDArray[np.intp], FloatMap]:
    """Find the pixel before each corner of the cells, and how far on towards the next one it is."""
    where = np.clip(np.arange(cells + 1) * (pixels / cells) - 0.5, 0, pixels - 1)
    first = np.floor(where)
    return first.astype(np.intp), (where - first).astype(np.float32)


def _every_second(places: _Places) -> _Places:
    """Take every second place, and the last one, which is the border."""
    return np.asarray(np.unique(np.append(places[::2], places[-1])))
