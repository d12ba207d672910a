"""`lithophane`: a plate whose thickness lets the photo's light through."""

from __future__ import annotations

import math

import numpy as np

from depth3d.core.arrays import FloatMap, ImageArray, as_image
from depth3d.core.color import to_linear
from depth3d.core.mesh import Mesh
from depth3d.errors import InputError
from depth3d.lift.reliefs import check_slab
from depth3d.lift.slabs import grid_of_cells, sampled_at_corners, slab
from depth3d.lift.solids import MOST_FACES

__all__ = ["lithophane"]

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
"""Shares of linear red, green and blue. Source: ITU-R BT.709-6, item 3.2."""

_BRIGHTEST = 0.999
"""Quantile of the luminance that gets the least thickness: a few glints are as bright as what is below."""


def lithophane(
    image: ImageArray,
    *,
    width_mm: float = 100.0,
    min_mm: float = 0.8,
    max_mm: float = 3.0,
    border_mm: float = 3.0,
    contrast: float = 30.0,
    sample_mm: float = 0.2,
    max_error_mm: float = 0.01,
    max_faces: int | None = MOST_FACES,
) -> Mesh:
    """Make a lithophane: a plate that shows the photo when light shines through it, thick where it is dark.

    A layer of thickness t lets exp(-mu t) of the light through (Beer-Lambert law), so a luminance Y, as a
    share of the brightest, asks for `min_mm` - ln(Y) / mu. What is darker than 1 / `contrast` of the
    brightest gets `max_mm`, and so mu = ln(`contrast`) / (`max_mm` - `min_mm`). Light that scatters inside
    the plate, which softens the picture a little, is left out.

    Args:
        image: (H, W, 3) uint8 sRGB. Its linear light is averaged over each sample.
        width_mm: Width of the plate, border included.
        min_mm: Thickness where the photo is brightest; two layers or three.
        max_mm: Thickness where it is darkest, and of the border.
        border_mm: Width of the frame around the picture, to the nearest sample; 0 for none.
        contrast: How many times more light the material lets through at `min_mm` than at `max_mm`; measure
            it with a lamp and a phone's light meter on a plate with both. The default stands for
            1.5 per mm, a guess at white PLA.
        sample_mm: Distance of the samples, never closer than pixels are.
        max_error_mm: Merge triangles where that moves the surface by no more at a time; several merges may
            add up to twice that. 0 merges only what is flat.
        max_faces: Most triangles, beyond which more are merged; None sets no limit.

    Returns:
        The closed body in metres, without normals or colours: x right, y down, its middle at x = y = 0, its
        back on z = 0 and the picture towards -z, where its beholder is.

    Raises:
        InputError: The image is a single row or column, or a number is out of range.
    """
    image = as_image(image)
    check_slab(width_mm, sample_mm, max_error_mm, max_faces, min_mm=min_mm, max_mm=max_mm)
    if max_mm <= min_mm:
        raise InputError(f"max_mm must be more than min_mm, got {max_mm:g} and {min_mm:g}")
    if not (isinstance(contrast, int | float | np.number) and 1 < contrast < math.inf):
        raise InputError(f"contrast must be more than 1, got {contrast!r}; try 30")
    if not (isinstance(border_mm, int | float | np.number) and 0 <= border_mm < width_mm / 2):
        raise InputError(f"border_mm must be 0 or more and less than half of width_mm, got {border_mm!r}")

    height_px, width_px = image.shape[:2]
    inner_mm = width_mm - 2 * border_mm
    across, down = grid_of_cells(width_px, height_px, inner_mm, sample_mm)
    light = _averaged((to_linear(image) @ _LUMINANCE).astype(np.float32), across, down)
    brightest = float(np.quantile(light, _BRIGHTEST))
    # Of a black picture all is darkest.
    share = light / np.float32(brightest) if brightest > 0 else np.zeros_like(light)
    darkness = -np.log(np.clip(share, 1 / contrast, 1)) / math.log(contrast)
    thickness = (min_mm + (max_mm - min_mm) * darkness).astype(np.float32)
    cell_mm = inner_mm / across
    frame = round(border_mm / cell_mm)
    thickness = np.pad(thickness, frame, constant_values=max_mm)
    # Where the border is no whole number of samples, all is scaled to the width asked for.
    scale = width_mm / (cell_mm * (across + 2 * frame))
    height_mm = scale * (inner_mm * height_px / width_px) * (down + 2 * frame) / down
    return slab(thickness, width_mm, height_mm, image=None, max_error_mm=max_error_mm, max_faces=max_faces)


def _averaged(light: FloatMap, across: int, down: int) -> FloatMap:
    """Average the light over a cell's size around each corner of the cells."""
    import cv2

    height, width = light.shape
    kernel = [2 * int(pixels / cells / 2) + 1 for pixels, cells in ((width, across), (height, down))]
    if max(kernel) > 1:
        light = np.asarray(cv2.blur(light, kernel, borderType=cv2.BORDER_REFLECT))
    return sampled_at_corners(light, across, down)
