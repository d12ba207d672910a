"""`anaglyph`: both eyes' pictures in one, for coloured glasses."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import ImageArray, as_image
from depth3d.core.color import to_linear, to_srgb
from depth3d.errors import InputError

__all__ = ["ANAGLYPHS", "anaglyph", "two_pictures"]

_Y = (0.2126, 0.7152, 0.0722)  # luminance of linear BT.709 and sRGB colours
_NO = (0.0, 0.0, 0.0)
_R, _G, _B = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def _matrix(*rows: tuple[tuple[float, ...], tuple[float, ...]]) -> npt.NDArray[np.float32]:
    matrix = np.array([left + right for left, right in rows], dtype=np.float32)
    matrix.flags.writeable = False
    return matrix


ANAGLYPHS: Mapping[str, npt.NDArray[np.float32]] = MappingProxyType(
    {
        # Left and right glass, as rows of red, green and blue from the left and from the right picture.
        "dubois": _matrix(
            ((0.4561, 0.500484, 0.176381), (-0.0434706, -0.0879388, -0.00155529)),
            ((-0.0400822, -0.0378246, -0.0157589), (0.378476, 0.73364, -0.0184503)),
            ((-0.0152161, -0.0205971, -0.00546856), (-0.0721527, -0.112961, 1.2264)),
        ),
        "dubois-green-magenta": _matrix(
            ((-0.062, -0.158, -0.039), (0.529, 0.705, 0.024)),
            ((0.284, 0.668, 0.143), (-0.016, -0.015, -0.065)),
            ((-0.015, -0.027, 0.021), (0.009, 0.075, 0.937)),
        ),
        "dubois-amber-blue": _matrix(
            ((1.062, -0.205, 0.299), (-0.016, -0.123, -0.017)),
            ((-0.026, 0.908, 0.068), (0.006, 0.062, -0.017)),
            ((-0.038, -0.173, 0.022), (0.094, 0.185, 0.911)),
        ),
        "true": _matrix((_Y, _NO), (_NO, _NO), (_NO, _Y)),
        "gray": _matrix((_Y, _NO), (_NO, _Y), (_NO, _Y)),
        "color": _matrix((_R, _NO), (_NO, _G), (_NO, _B)),
        "half-color": _matrix((_Y, _NO), (_NO, _G), (_NO, _B)),
        "optimized": _matrix(((0.0, 0.7, 0.3), _NO), (_NO, _G), (_NO, _B)),
    }
)
"""(3, 6) matrices in linear light: the anaglyph's colour from the left and the right picture's."""

_ROWS = 256


def anaglyph(left: ImageArray, right: ImageArray, kind: str = "dubois") -> ImageArray:
    """Mix both eyes' pictures into one, for glasses of two colours; mixed in linear light, and clipped.

    | kind | glasses | |
    |---|---|---|
    | `dubois` | red, cyan | least squares of what both eyes see; the best of colours without much ghosting |
    | `dubois-green-magenta` | green, magenta | the same |
    | `dubois-amber-blue` | amber, blue | the same (ColorCode) |
    | `true` | red, blue | gray; dark, least ghosting |
    | `gray` | red, cyan | gray |
    | `color` | red, cyan | full colours; flickers where things are red |
    | `half-color` | red, cyan | the left eye sees gray: less flicker |
    | `optimized` | red, cyan | red from green and blue: hardly any flicker, no reds |

    Args:
        left: (H, W, 3) uint8 sRGB; it goes through the glass that is named first.
        right: (H, W, 3) uint8 sRGB.
        kind: One of the table.

    Returns:
        (H, W, 3) uint8 sRGB.

    Raises:
        InputError: No such kind, or pictures of two sizes.

    References:
        E. Dubois, "A projection method to generate anaglyph stereo images", ICASSP 2001,
        doi:10.1109/ICASSP.2001.941256; W. R. Sanders and D. F. McAllister, "Producing anaglyphs from
        synthetic images", 2003, doi:10.1117/12.474130, for the red and cyan matrix; the others of Dubois' are
        those that he publishes. `optimized` is P. Wimmer's mixture, without its brightening of red.
    """
    if kind not in ANAGLYPHS:
        raise InputError(f"an anaglyph is one of {', '.join(ANAGLYPHS)}, got {kind!r}")
    left, right = two_pictures(left, right)
    matrix = ANAGLYPHS[kind]
    mixed = np.empty(left.shape, dtype=np.uint8)
    for top in range(0, len(left), _ROWS):
        rows = slice(top, top + _ROWS)
        both = np.concatenate([to_linear(left[rows]), to_linear(right[rows])], axis=-1)
        mixed[rows] = to_srgb(both @ matrix.T)
    return mixed


def two_pictures(left: ImageArray, right: ImageArray) -> tuple[ImageArray, ImageArray]:
    """Check that both eyes' are pictures, of one size.

    Raises:
        InputError: They are not.
    """
    left, right = as_image(left, name="left"), as_image(right, name="right")
    if left.shape != right.shape:
        raise InputError(
            f"both eyes need pictures of one size, got {left.shape[1]}x{left.shape[0]} and "
            f"{right.shape[1]}x{right.shape[0]}"
        )
    return left, right
