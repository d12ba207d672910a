"""Array aliases, and `frozen`, the one gate through which arrays enter the public types."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.errors import InputError

__all__ = [
    "BoolMap",
    "FloatArray",
    "FloatMap",
    "ImageArray",
    "all_finite",
    "as_array",
    "as_image",
    "frozen",
    "seen_image",
]

_BLOCK = 1 << 18

FloatMap: TypeAlias = npt.NDArray[np.float32]
"""(H, W) float32."""
FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
"""Floating point of any shape."""
BoolMap: TypeAlias = npt.NDArray[np.bool_]
"""(H, W) bool."""
ImageArray: TypeAlias = npt.NDArray[np.uint8]
"""(H, W, 3) uint8 sRGB."""


def frozen(
    values: npt.ArrayLike,
    *,
    name: str,
    dtype: npt.DTypeLike,
    shape: tuple[int | None, ...],
) -> npt.NDArray[Any]:
    """Check an array's shape, own it as `dtype`, and lock it against writing.

    Args:
        values: Anything that NumPy turns into an array.
        name: What to call it in an error message.
        dtype: The type to store. Floats are never cast to integers.
        shape: One entry an axis; None lets that axis have any length.

    Returns:
        A read-only, C-contiguous array that shares no memory with `values`, unless `values`
        was already such an array, which is then returned as it is.

    Raises:
        InputError: The shape, or the type, is not the one that is needed.
    """
    array = as_array(values, name=name)
    wanted = np.dtype(dtype)
    matches = array.ndim == len(shape) and all(
        want is None or got == want for got, want in zip(array.shape, shape, strict=True)
    )
    if not matches:
        want_text = "(" + ", ".join("_" if side is None else str(side) for side in shape) + ")"
        raise InputError(f"{name} must have shape {want_text}, got {array.shape}")
    if array.dtype.kind not in "biuf" or (array.dtype.kind == "f" and wanted.kind in "iu"):
        raise InputError(f"{name} must be {wanted.name}, got {array.dtype.name}")
    if wanted.kind in "iu" and array.dtype != wanted and array.size:
        limits = np.iinfo(wanted)
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            raise InputError(f"{name} must fit into {wanted.name}, got {array.min()}..{array.max()}")
    owned = array.dtype == wanted and array.flags.c_contiguous and _nobody_can_write(array)
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
        result = array if owned else np.array(array, dtype=wanted, order="C")
    result.flags.writeable = False
    return result


def all_finite(rows: FloatArray) -> bool:
    """Tell whether no number is NaN or infinite, without a mask of the size of the whole array."""
    return all(bool(np.isfinite(rows[i : i + _BLOCK]).all()) for i in range(0, len(rows), _BLOCK))


def as_array(values: npt.ArrayLike, *, name: str) -> npt.NDArray[Any]:
    """Let NumPy make an array of anything.

    Raises:
        InputError: It can't, as for rows of different lengths.
    """
    try:
        return np.asarray(values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be an array of numbers; NumPy says: {error}") from None


def as_image(values: npt.ArrayLike, *, name: str = "image") -> ImageArray:
    """Check, own and lock an (H, W, 3) uint8 sRGB image with at least one pixel, as `frozen` does.

    Raises:
        InputError: Another shape or type, with the conversion that would help.
    """
    return frozen(_checked_image(values, name), name=name, dtype=np.uint8, shape=(None, None, 3))


def seen_image(values: npt.ArrayLike, *, name: str = "image") -> ImageArray:
    """Check an image as `as_image` does, for who looks at it and keeps nothing.

    Returns:
        (H, W, 3), read-only and C-contiguous, in the memory of `values` where that is so: of 12 megapixels a
        copy takes 36 MB, and as long as bringing it to a network's size.

    Raises:
        InputError: As for `as_image`.
    """
    seen = np.ascontiguousarray(_checked_image(values, name)).view()
    seen.flags.writeable = False
    return seen


def _checked_image(values: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    array = as_array(values, name=name)
    if array.dtype != np.uint8:
        raise InputError(
            f"{name} must be uint8 sRGB in 0..255, got {array.dtype.name}; "
            "convert it, or open the file with depth3d.load_image()"
        )
    if array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise InputError(
            f"{name} must have shape (H, W, 3), got {array.shape}; "
            "convert gray or RGBA to RGB, or open the file with depth3d.load_image()"
        )
    return array


def _nobody_can_write(array: npt.NDArray[Any]) -> bool:
    """Tell whether the array and every array whose memory it views are read-only."""
    view: Any = array
    while isinstance(view, np.ndarray):
        if view.flags.writeable:
            return False
        view = view.base
    return view is None
