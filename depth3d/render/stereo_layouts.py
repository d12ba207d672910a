"""Views in one picture: side by side, above one another, interlaced, as a quilt; or as a swing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import cycle, islice

import numpy as np

from depth3d.core.arrays import ImageArray, as_image
from depth3d.core.color import to_linear, to_srgb
from depth3d.errors import InputError
from depth3d.render.anaglyph import anaglyph as mixed
from depth3d.render.anaglyph import two_pictures

__all__ = ["LAYOUTS", "quilt", "quilt_name", "stereo_picture", "swing"]

LAYOUTS = (
    "side-by-side",
    "half-side-by-side",
    "cross-eyed",
    "top-bottom",
    "half-top-bottom",
    "anaglyph",
    "rows",
    "columns",
    "checkerboard",
)
"""Layouts of two views in one picture."""


def stereo_picture(
    left: ImageArray, right: ImageArray, layout: str = "side-by-side", *, anaglyph: str = "dubois"
) -> ImageArray:
    """Put both eyes' pictures into one.

    | layout | size | |
    |---|---|---|
    | `side-by-side` | 2W x H | left eye on the left: VR players, 3D screens, looking parallel |
    | `half-side-by-side` | W x H | each squeezed to half its width: 3D televisions |
    | `cross-eyed` | 2W x H | right eye on the left: for looking with crossed eyes |
    | `top-bottom` | W x 2H | left eye above |
    | `half-top-bottom` | W x H | each squeezed to half its height |
    | `anaglyph` | W x H | coloured glasses: `depth3d.anaglyph` |
    | `rows` | W x H | the first row, the third ... from the left eye: polarised screens |
    | `columns` | W x H | the first column, the third ... from the left eye: lenticular screens |
    | `checkerboard` | W x H | the first pixel of the first row from the left eye, and so on: DLP projectors |

    Squeezing takes the mean in linear light; an odd last row or column is repeated before. Interlacing takes
    pixels as they are.

    Args:
        left: (H, W, 3) uint8 sRGB.
        right: (H, W, 3) uint8 sRGB.
        layout: One of the table.
        anaglyph: Which kind of `ANAGLYPHS`, for that layout.

    Raises:
        InputError: No such layout, or pictures of two sizes.
    """
    left, right = two_pictures(left, right)
    if layout == "side-by-side":
        return np.concatenate([left, right], axis=1)
    if layout == "cross-eyed":
        return np.concatenate([right, left], axis=1)
    if layout == "top-bottom":
        return np.concatenate([left, right], axis=0)
    if layout == "half-side-by-side":
        return np.concatenate([_halved(left, 1), _halved(right, 1)], axis=1)
    if layout == "half-top-bottom":
        return np.concatenate([_halved(left, 0), _halved(right, 0)], axis=0)
    if layout == "anaglyph":
        return mixed(left, right, anaglyph)
    row, column = np.ogrid[: left.shape[0], : left.shape[1]]
    odd = {"rows": row + 0 * column, "columns": column + 0 * row, "checkerboard": row + column}.get(layout)
    if odd is None:
        raise InputError(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}")
    return np.where(odd[..., None] % 2 == 0, left, right)


def quilt(views: Iterable[ImageArray], columns: int, rows: int) -> ImageArray:
    """Tile views for a light-field display: the leftmost view at the bottom left, on to the right, then up.

    Args:
        views: `columns * rows` pictures (H, W, 3) uint8 sRGB, from the left to the right.
        columns: Views beside one another.
        rows: Views above one another.

    Returns:
        (rows * H, columns * W, 3) uint8. The displays' programs read the arrangement from the file's name:
        `quilt_name`.

    Raises:
        InputError: Another number of views, or views of several sizes.
    """
    if columns < 1 or rows < 1:
        raise InputError(f"a quilt has one or more columns and rows, got {columns}x{rows}")
    canvas: ImageArray | None = None
    count = 0
    for number, view in enumerate(views):
        image = as_image(view, name="view")
        height, width = image.shape[:2]
        if canvas is None:
            canvas = np.zeros((rows * height, columns * width, 3), dtype=np.uint8)
        if number >= columns * rows or canvas.shape[:2] != (rows * height, columns * width):
            raise InputError(
                f"a quilt of {columns}x{rows} takes {columns * rows} views of one size, got more, or one of "
                f"{width}x{height}"
            )
        column, row = number % columns, rows - 1 - number // columns
        canvas[row * height : (row + 1) * height, column * width : (column + 1) * width] = image
        count += 1
    if canvas is None or count != columns * rows:
        raise InputError(f"a quilt of {columns}x{rows} takes {columns * rows} views, got {count}")
    return canvas


def quilt_name(stem: str, columns: int, rows: int, size_wh: tuple[int, int]) -> str:
    """Add a quilt's arrangement to a name, as in `vase_qs8x6a0.75`, unless it ends in one.

    Args:
        stem: The name without suffix.
        columns: Views beside one another.
        rows: Views above one another.
        size_wh: Of one view, for its aspect.
    """
    ending = f"_qs{columns}x{rows}a{round(size_wh[0] / size_wh[1], 4):g}"
    return stem if stem.endswith(ending) else stem + ending


def swing(views: list[ImageArray], frames: int | None = None) -> Iterator[ImageArray]:
    """Show views to and fro, without a seam: 1 2 3 2, 1 2 3 2, ...

    Args:
        views: From the left to the right.
        frames: How many; None is once to and fro. Fewer or more end with whole swings.
    """
    once = [*views, *views[-2:0:-1]]
    swings = 1 if frames is None else max(1, round(frames / len(once)))
    return islice(cycle(once), swings * len(once))


def _halved(image: ImageArray, axis: int) -> ImageArray:
    if image.shape[axis] % 2:
        image = np.concatenate([image, image.take([-1], axis=axis)], axis=axis)
    light = to_linear(image)
    first, second = ((light[0::2], light[1::2]), (light[:, 0::2], light[:, 1::2]))[axis]
    return to_srgb((first + second) / 2)
