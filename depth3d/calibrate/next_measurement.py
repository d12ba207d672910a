"""`next_measurement`: where one more distance would help a calibration most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.calibrate.calibration import Calibration
from depth3d.calibrate.laws import basis, place_of_pixels
from depth3d.core.depth import DepthKind, DepthMap
from depth3d.errors import InputError

__all__ = ["NextMeasurement", "next_measurement"]

_Array: TypeAlias = npt.NDArray[np.float64]

_SIGMA_REL = 0.02  # of a distance that a hand measures
_JUDGED_A_SIDE = 48
_SEEN_PERCENT = 98.0
_BORDER = 0.03  # of the shorter side: nobody measures at the frame
_REACH = 0.01  # of the diagonal: how far around a pixel its surface should go on
_FLATTEST_PERCENT = 50.0
_MOST_SIGMA_REL, _FARTHEST_TIMES = 1.0, 4.0
"""A place counts if its depth is known to a factor of two, or not beyond four times the references': of the
sky, a share of z means nothing, and nobody can measure it."""


@dataclass(frozen=True, slots=True, eq=False)
class NextMeasurement:
    """The pixel whose distance would help most.

    Attributes:
        u_px, v_px: Where, in pixels of the picture, centres at +0.5.
        value: What the depth map says there.
        depth_m: z by the calibration so far, in metres: where to find it.
        sigma_before: The largest relative standard deviation of z in the picture, its most uncertain 2 %
            left out, as it is.
        sigma_after: The same once the distance is known to 2 %.
        sentence: What to do, for people.
    """

    u_px: float
    v_px: float
    value: float
    depth_m: float
    sigma_before: float
    sigma_after: float
    sentence: str


def next_measurement(
    calibration: Calibration, depth: DepthMap, *, size_wh: tuple[int, int] | None = None
) -> NextMeasurement:
    """Find the pixel whose distance, known to 2 %, would lower the picture's largest uncertainty most.

    A row b with variance s^2 turns the parameters' covariance C into C - C b b'C / (s^2 + b'C b), so that
    every candidate is tried without a new fit. The candidates are flat places away from edges and from the
    frame, where a hand and a map mean the same point.

    Args:
        calibration: A fit, which knows its covariance.
        depth: The map that it belongs to, before `apply`.
        size_wh: Of the photo, if the map is of another size.

    Returns:
        The pixel, what it would change, and a sentence.

    Raises:
        InputError: The calibration does not know how sure it is, or no pixel has a depth.
    """
    if calibration.covariance is None:
        raise InputError(
            f"a calibration by {calibration.method} does not know how sure it is; fit one to references with "
            "depth3d.calibrate()"
        )
    z = calibration.apply(depth)
    if not z.valid.any():
        raise InputError("no pixel has a depth by this calibration; fit it to other references")
    covariance = np.array(calibration.covariance)
    rows, cols = _grid(depth)
    factors, y = _factors(calibration, depth, rows, cols)
    relative = _relative(factors, covariance, y)
    judged = (relative < _MOST_SIGMA_REL) | (z.values[rows, cols] < _FARTHEST_TIMES * _reach_m(calibration))
    if not judged.any():
        judged = np.ones(len(rows), dtype=bool)
    usable = np.flatnonzero(_flat(depth, rows, cols) & judged)
    if not len(usable):
        usable = np.flatnonzero(judged)
    noise = np.hypot(_SIGMA_REL, calibration.misfit_rel) * y[usable]
    gained = factors[usable] @ covariance
    gained /= np.sqrt(noise**2 + np.einsum("np,np->n", gained, factors[usable]))[:, None]
    variance = (relative * y) ** 2
    after = np.sqrt(np.maximum(variance[judged] - (gained @ factors[judged].T) ** 2, 0)) / y[judged]
    most = np.hypot(np.percentile(after, _SEEN_PERCENT, axis=1), calibration.misfit_rel)
    best = int(np.argmin(most))
    before = float(np.hypot(np.percentile(relative[judged], _SEEN_PERCENT), calibration.misfit_rel))
    row, col = int(rows[usable[best]]), int(cols[usable[best]])
    width, height = size_wh or depth.size_wh
    u, v = (col + 0.5) * width / depth.width, (row + 0.5) * height / depth.height
    metres = float(z.values[row, col])
    sentence = (
        f"measure the distance to pixel ({u:.0f}, {v:.0f}), about {metres:.2g} m away: it would bring the "
        f"largest uncertainty of the picture from {100 * before:.1f} to {100 * float(most[best]):.1f} %"
    )
    return NextMeasurement(u, v, float(depth.values[row, col]), metres, before, float(most[best]), sentence)


def _grid(depth: DepthMap) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Give rows and columns of known pixels on an even grid."""
    known = np.zeros(depth.values.shape, dtype=bool)
    rows, cols = (
        np.unique(((np.arange(_JUDGED_A_SIDE) + 0.5) * side / _JUDGED_A_SIDE).astype(np.intp))
        for side in known.shape
    )
    known[np.ix_(rows, cols)] = True
    known &= depth.valid
    if not known.any():
        known = depth.valid
    row, col = np.nonzero(known)
    return row, col


def _reach_m(calibration: Calibration) -> float:
    """Give z at the farthest reference by the law, inf where it is not known."""
    if calibration.value_range is None:
        return np.inf
    kind = DepthKind.METRIC if calibration.space == "depth" else DepthKind.RELATIVE
    values = DepthMap(np.array([calibration.value_range]), kind)
    return float(np.nanmax(calibration.apply(values).values, initial=0.0))


def _factors(
    calibration: Calibration,
    depth: DepthMap,
    rows: npt.NDArray[np.intp],
    cols: npt.NDArray[np.intp],
) -> tuple[_Array, _Array]:
    """Give the law's factors and y at pixels, with y at least a little above 0."""
    x, y = place_of_pixels(*depth.size_wh)
    place = np.stack([x[cols], y[rows]], axis=1)
    value = depth.values[rows, cols].astype(np.float64)
    factors = basis(calibration.form, value, place, calibration.knots)
    level = factors @ np.array(calibration.parameters)
    return factors, np.maximum(level, 1e-6 * np.abs(level).max())


def _relative(factors: _Array, covariance: _Array, y: _Array) -> _Array:
    """Give sigma_y / y, which is sigma_z / z for either kind of law."""
    variance = np.einsum("np,pq,nq->n", factors, covariance, factors)
    return np.asarray(np.sqrt(np.maximum(variance, 0)) / y)


def _flat(depth: DepthMap, rows: npt.NDArray[np.intp], cols: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Tell which pixels have an even half of the picture's surroundings, and are away from the frame."""
    reach = max(1, round(_REACH * float(np.hypot(*depth.size_wh))))
    offsets = np.array([(-reach, 0), (reach, 0), (0, -reach), (0, reach), (-reach, -reach), (reach, reach)])
    around = [
        depth.values[
            np.clip(rows + down, 0, depth.height - 1), np.clip(cols + across, 0, depth.width - 1)
        ].astype(np.float64)
        for down, across in offsets
    ]
    values = np.stack([depth.values[rows, cols].astype(np.float64), *around])
    spread = values.max(axis=0) - values.min(axis=0)
    border = _BORDER * min(depth.size_wh)
    inside = (rows >= border) & (rows < depth.height - border)
    inside &= (cols >= border) & (cols < depth.width - border) & np.isfinite(spread)
    if not inside.any():
        return np.asarray(np.isfinite(spread))
    return np.asarray(inside & (spread <= np.percentile(spread[inside], _FLATTEST_PERCENT)))
