"""Lens distortion in normalised image coordinates: the OpenCV models, forwards and inverted."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.errors import CameraError

__all__ = ["DistortionModel", "distort", "fold_radius", "undistort"]

DistortionModel: TypeAlias = Literal["opencv", "fisheye"]
"""`opencv`: k1 k2 p1 p2 [k3 [k4 k5 k6]], radial-tangential. `fisheye`: k1 k2 k3 k4."""

_Points: TypeAlias = npt.NDArray[np.float64]

_MAX_STEPS = 60
_TOLERANCE = 1e-11
_POINTS_A_BLOCK = 1 << 14  # few enough to stay in the processor's cache


def distort(xy: _Points, coefficients: tuple[float, ...], model: DistortionModel) -> _Points:
    """Bend ideal normalised coordinates as the lens does.

    Args:
        xy: (..., 2), X/Z and Y/Z of an ideal pinhole, unitless.
        coefficients: In OpenCV's order; empty is no distortion.
        model: Which polynomial the coefficients belong to.

    Returns:
        (..., 2) distorted normalised coordinates. Sources: OpenCV `calib3d` documentation
        (Brown 1966 with the rational extension); Kannala and Brandt, TPAMI 2006, for `fisheye`.
    """
    if not any(coefficients):
        return xy
    x, y = xy[..., 0], xy[..., 1]
    if model == "fisheye":
        k1, k2, k3, k4 = _padded(coefficients, 4)
        r = np.hypot(x, y)
        theta = np.arctan(r)
        t2 = theta * theta
        bent = theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))
        scale = np.divide(bent, r, out=np.ones_like(r), where=r > 0)
        return np.stack([x * scale, y * scale], axis=-1)
    k1, k2, p1, p2, k3, k4, k5, k6 = _padded(coefficients, 8)
    r2 = x * x + y * y
    radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    return np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )


def undistort(xy: _Points, coefficients: tuple[float, ...], model: DistortionModel) -> _Points:
    """Find the ideal coordinates that `distort` maps to `xy`.

    Newton's method with a numerical Jacobian, block by block, until each point is within 1e-11 of a focal
    length.

    Args:
        xy: (..., 2) distorted normalised coordinates.
        coefficients: As for `distort`.
        model: As for `distort`.

    Returns:
        (..., 2) ideal coordinates. NaN where the model folds over and no inverse exists, as
        happens in far corners when a calibration is used outside the picture it was fitted on.
    """
    if not any(coefficients):
        return xy
    flat = xy.reshape(-1, 2)
    if model == "fisheye":
        return _undistort_fisheye(flat, coefficients).reshape(xy.shape)
    fold = fold_radius(coefficients, model)
    ideal = np.empty_like(flat)
    for start in range(0, len(flat), _POINTS_A_BLOCK):
        block = slice(start, start + _POINTS_A_BLOCK)
        ideal[block] = _undistort_opencv(flat[block], coefficients, fold)
    return ideal.reshape(xy.shape)


@lru_cache(maxsize=64)  # every projection asks, and a program has few lenses
def fold_radius(coefficients: tuple[float, ...], model: DistortionModel) -> float:
    """Find how far from the axis the radial part still grows; infinite if it grows up to 84 degrees.

    Beyond the fold the polynomial says nothing about the lens: it turns back and would put points
    from far outside into the picture.

    Args:
        coefficients: As for `distort`.
        model: As for `distort`.

    Returns:
        A radius in ideal normalised coordinates.
    """
    if not any(coefficients):
        return np.inf
    if model == "opencv":
        k1, k2, _, _, k3, k4, k5, k6 = _padded(coefficients, 8)
        coefficients = (k1, k2, 0.0, 0.0, k3, k4, k5, k6)
    r = np.linspace(0.0, 10.0, 5001)
    with np.errstate(divide="ignore", invalid="ignore"):  # a rational model may have its pole on the grid
        bent = distort(np.stack([r, np.zeros_like(r)], axis=-1), coefficients, model)[:, 0]
    falling = np.flatnonzero(np.diff(bent) <= 0)
    return float(r[falling[0] + 1]) if falling.size else np.inf


def _undistort_opencv(xy: _Points, coefficients: tuple[float, ...], fold: float) -> _Points:
    radius = np.hypot(xy[:, 0], xy[:, 1])
    start = np.divide(0.9 * fold, radius, out=np.ones_like(radius), where=radius > 0.9 * fold)
    ideal: _Points = xy * start[:, None]
    step = 1e-6
    step_x, step_y = np.array([step, 0.0]), np.array([0.0, step])
    moving = np.arange(len(xy))  # those that have arrived, or have left the branch, cost no more steps
    for _ in range(_MAX_STEPS):
        guess, wanted = ideal[moving], xy[moving]
        bent = distort(guess, coefficients, "opencv")
        error = bent - wanted
        far = np.abs(error).max(axis=-1) >= _TOLERANCE  # False for NaN
        if not far.any():
            break
        moving, guess, bent, error = moving[far], guess[far], bent[far], error[far]
        dx = (distort(guess + step_x, coefficients, "opencv") - bent) / step
        dy = (distort(guess + step_y, coefficients, "opencv") - bent) / step
        determinant = dx[:, 0] * dy[:, 1] - dx[:, 1] * dy[:, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            move_x = (error[:, 0] * dy[:, 1] - error[:, 1] * dy[:, 0]) / determinant
            move_y = (dx[:, 0] * error[:, 1] - dx[:, 1] * error[:, 0]) / determinant
        # A fold turns the Jacobian over: those points have left the branch through the centre.
        move = np.where((determinant > 0)[:, None], np.stack([move_x, move_y], axis=-1), np.nan)
        ideal[moving] = guess - move
    left = np.abs(distort(ideal, coefficients, "opencv") - xy).max(axis=-1)
    # Beyond the fold lie solutions too, some of them on the other side of the picture: none is real.
    ideal[~((left < 1e-8) & (np.hypot(ideal[:, 0], ideal[:, 1]) <= fold))] = np.nan
    return ideal


def _undistort_fisheye(xy: _Points, coefficients: tuple[float, ...]) -> _Points:
    k1, k2, k3, k4 = _padded(coefficients, 4)
    bent = np.hypot(xy[:, 0], xy[:, 1])
    theta = np.minimum(bent, 1.5)
    for _ in range(_MAX_STEPS):
        t2 = theta * theta
        error = theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4)))) - bent
        slope = 1 + t2 * (3 * k1 + t2 * (5 * k2 + t2 * (7 * k3 + t2 * 9 * k4)))
        theta = np.where(slope > 0, theta - error / np.where(slope > 0, slope, 1.0), np.nan)
        if np.nanmax(np.abs(error), initial=0.0) < _TOLERANCE:
            break
    # Beyond 90 degrees there is no point on the plane z = 1.
    theta = np.where((theta >= 0) & (theta < np.pi / 2 - 1e-6), theta, np.nan)
    scale: _Points = np.divide(np.tan(theta), bent, out=np.ones_like(bent), where=bent > 0)
    return xy * scale[:, None]


def _padded(coefficients: tuple[float, ...], n: int) -> tuple[float, ...]:
    if len(coefficients) > n:
        raise CameraError(
            f"distortion takes at most {n} coefficients, got {len(coefficients)}; "
            "thin-prism and tilted models are not supported: calibrate with the rational model"
        )
    return coefficients + (0.0,) * (n - len(coefficients))
