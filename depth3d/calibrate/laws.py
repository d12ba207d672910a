"""The laws that can join a depth map to metres, each linear in its parameters.

`y` is 1/z for a relative map, whose values are disparities, and z for a metric one. With the map's value v at
a place (x, y) of the picture, in -1..1 each way:

    scale    y = a v                       a metric map whose unit is off
    affine   y = a v + b                   what a relative network gives
    tilted   y = a v + b + c x + e y       the same, with an error that drifts across the picture
    spline   y = sum of c_k B_k(v)         rising with v, quadratic between the knots, straight outside
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

__all__ = ["FORMS", "Form", "Space", "basis", "place_of_pixels", "spline_points"]

Form: TypeAlias = Literal["scale", "affine", "tilted", "spline"]
"""Which law; each contains the one before it, but for the spline, which contains `affine`."""

Space: TypeAlias = Literal["disparity", "depth"]
"""Whether the law gives 1/z from disparity or z from z."""

FORMS: tuple[Form, ...] = get_args(Form)

_DEGREE = 2

_Array: TypeAlias = npt.NDArray[np.float64]


def basis(form: Form, value: _Array, place: _Array, knots: tuple[float, ...] = ()) -> _Array:
    """Give the factors of a law's parameters.

    Args:
        form: Which law.
        value: (n,) values of the map.
        place: (n, 2) places in -1..1.
        knots: Of a spline: rising, at least two; its ends are where the straight continuation begins.

    Returns:
        (n, p) float64 with y = basis @ parameters.
    """
    if form == "scale":
        return value[:, None]
    if form == "spline":
        return _spline_basis(value, knots)
    columns = [value, np.ones_like(value)]
    if form == "tilted":
        columns += [place[:, 0], place[:, 1]]
    return np.stack(columns, axis=1)


def spline_points(knots: tuple[float, ...]) -> _Array:
    """Give the values at which a spline's coefficients sit (Greville abscissae).

    Coefficients `a * points + b` make the spline the straight line `a v + b`, and rising coefficients
    make a rising spline (de Boor, "A Practical Guide to Splines", 2001, chapter XI).
    """
    padded = _padded(knots)
    return np.convolve(padded[1:-1], np.full(_DEGREE, 1 / _DEGREE), mode="valid")


def place_of_pixels(width: int, height: int) -> tuple[_Array, _Array]:
    """Give the places x (width,) and y (height,) of the pixel centres of a picture, in -1..1."""
    x, y = (np.arange(side, dtype=np.float64) * (2 / side) + (1 / side - 1) for side in (width, height))
    return x, y


def _padded(knots: tuple[float, ...]) -> _Array:
    inner = np.asarray(knots, dtype=np.float64)
    return np.concatenate([np.full(_DEGREE, inner[0]), inner, np.full(_DEGREE, inner[-1])])


def _spline_basis(value: _Array, knots: tuple[float, ...]) -> _Array:
    from scipy.interpolate import BSpline

    padded = _padded(knots)
    low, high = knots[0], knots[-1]
    inside = np.clip(value, low, high)
    factors: _Array = BSpline.design_matrix(inside, padded, _DEGREE).toarray()
    # Outside, the end's tangent goes on: the curve leaves an end along its last two coefficients.
    count = factors.shape[1]
    for end, beyond, near, step in (
        (0, np.minimum(value - low, 0.0), 1, knots[1] - knots[0]),
        (count - 1, np.maximum(value - high, 0.0), count - 2, knots[-2] - knots[-1]),
    ):
        slope = _DEGREE * beyond / step
        factors[:, near] += slope
        factors[:, end] -= slope
    return factors
