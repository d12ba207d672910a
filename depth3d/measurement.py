"""`measure`: where points of a photo are, how far apart, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.calibrate.calibration import Calibration
from depth3d.calibrate.laws import basis
from depth3d.calibrate.readings import read_values
from depth3d.core.arrays import frozen
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.errors import CameraError, InputError

__all__ = ["Measurement", "measure"]

_Array: TypeAlias = npt.NDArray[np.float64]

_STEP = 1e-4
"""Of the map's values, for the slope of a law that bends."""


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """n points of a photo in space, and the lengths from each to the next.

    All sigmas are standard deviations in metres; they are NaN where nobody knows how sure the depth is.

    Attributes:
        uv_px: (n, 2) where, in pixels of the photo.
        points_m: (n, 3) camera frame: x right, y down, z forward.
        depth_sigma_m: (n,) of z.
        range_sigma_m: (n,) of the ranges.
        lengths_m: (n - 1,) straight distance from each point to the next.
        length_sigma_m: (n - 1,).
        total_m: Sum of the lengths; 0 for one point.
        total_sigma_m: Not the root of the summed squares: the lengths share most of their errors.
        notes: One sentence for each thing to know before trusting the figures.
    """

    uv_px: _Array
    points_m: _Array
    depth_sigma_m: _Array
    range_sigma_m: _Array
    lengths_m: _Array
    length_sigma_m: _Array
    total_m: float
    total_sigma_m: float
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.uv_px)
        shapes = {
            "uv_px": (count, 2), "points_m": (count, 3), "depth_sigma_m": (count,), "range_sigma_m": (count,),
            "lengths_m": (count - 1,), "length_sigma_m": (count - 1,),
        }  # fmt: skip
        for name, shape in shapes.items():
            value = frozen(getattr(self, name), name=name, dtype=np.float64, shape=shape)
            object.__setattr__(self, name, value)

    @property
    def depths_m(self) -> _Array:
        """(n,) z: how far straight ahead."""
        return self.points_m[:, 2]

    @property
    def ranges_m(self) -> _Array:
        """(n,) distance from the lens: what a tape would measure."""
        return np.asarray(np.linalg.norm(self.points_m, axis=1))

    def __repr__(self) -> str:
        if len(self.points_m) == 1:
            sigma = _plus_minus(float(self.depth_sigma_m[0]))
            return f"Measurement(z = {self.depths_m[0]:.4g}{sigma} m, {self.ranges_m[0]:.4g} m away)"
        return f"Measurement({self.total_m:.4g}{_plus_minus(self.total_sigma_m)} m)"


def measure(
    depth: DepthMap,
    camera: Camera,
    points_px: npt.ArrayLike,
    *,
    calibration: Calibration | None = None,
) -> Measurement:
    """Measure distances between points of a photo.

    With z the depth that the calibration gives a point and r its ray, the point is z r, and the length
    between two is |z1 r1 - z2 r2|. Sigmas are first-order propagation of

    - the calibration's covariance, which both ends share: what makes one too far makes the other too far, so
      that lengths are surer than the depths of their ends;
    - the map's own error (`misfit_rel`). Whether it is the same at both ends nobody knows, so the larger of
      both answers counts;
    - the scatter of the map about each point, and the camera's `sigma_rel`.

    How well the pixels were pointed at is not in it.

    Args:
        depth: The map of the photo: with a calibration as it was before `apply`; metric without.
        camera: The photo's.
        points_px: (n, 2) pixels (u, v) of the photo, the first pixel's centre at 0.5; n of 1 or more.
        calibration: What gives the map metres, and their sigma.

    Returns:
        The points and the lengths along them. Without a calibration that was fitted to references, sigmas are
        NaN, and a note says so.

    Raises:
        NeedsMetricError: The map is relative and there is no calibration.
        InputError: A point outside the picture, or where there is no depth; a calibration of another kind.
        CameraError: The camera is of another size.

    Examples:
        >>> opened = d3.open_photo("desk.jpg", references=anchors)
        >>> d3.measure(opened.raw_depth, opened.scene.camera, [(310, 240), (520, 236)],
        ...            calibration=opened.calibration)
    """
    uv = np.atleast_2d(np.asarray(points_px, dtype=np.float64))
    if uv.ndim != 2 or uv.shape[1] != 2 or not len(uv) or not np.isfinite(uv).all():
        raise InputError(f"points_px must be (n, 2) pixels (u, v), got shape {np.shape(points_px)}")
    if camera.size_wh != depth.size_wh:
        raise CameraError(
            f"the depth has {depth.width}x{depth.height} pixels and the camera "
            f"{camera.width}x{camera.height}; resize the camera with resized()"
        )
    if calibration is None:
        depth.require_metric("measure()")
    else:
        calibration.require_kind(depth)
    notes: list[str] = []
    value, scatter = _values(depth, uv, notes)
    place = uv * (2 / np.array(depth.size_wh)) - 1
    z, by_value, by_parameters, covariance, misfit = _depths(value, place, calibration)
    _refuse_unknown(uv, z)
    rays = camera.rays(uv)
    if not np.isfinite(rays).all():
        raise InputError(
            f"{_at(uv, ~np.isfinite(rays).all(axis=1))} lies where the lens distortion has no inverse; "
            "give a pixel nearer the centre"
        )
    points = z[:, None] * rays
    ranges = np.linalg.norm(points, axis=1)
    ends = points[1:] - points[:-1]
    lengths = np.linalg.norm(ends, axis=1)

    # What each figure gains from each z, and from the logarithm of the focal length.
    count = len(z)
    along = ends / np.maximum(lengths, 1e-12)[:, None]
    of_lengths = np.zeros((count - 1, count))
    step = np.arange(count - 1)
    of_lengths[step, step] = -np.einsum("nc,nc->n", along, rays[:-1])
    of_lengths[step, step + 1] = np.einsum("nc,nc->n", along, rays[1:])
    sideways = points * [-1, -1, 0]
    figures = np.concatenate([np.eye(count), np.diag(ranges / z), of_lengths, of_lengths.sum(axis=0)[None]])
    focal = np.concatenate([
        np.zeros(count),
        np.einsum("nc,nc->n", points / ranges[:, None], sideways),
        by_focal := np.einsum("nc,nc->n", along, sideways[1:] - sideways[:-1]),
        [by_focal.sum()],
    ])  # fmt: skip
    variance = (
        np.einsum("fp,pq,fq->f", figures @ by_parameters, covariance, figures @ by_parameters)
        + np.square(figures * (by_value * scatter)).sum(axis=1)
        + misfit**2 * np.maximum(np.square(figures * z).sum(axis=1), (figures @ z) ** 2)
        + (focal * camera.sigma_rel) ** 2
    )
    sigma = np.sqrt(variance) if _has_sigma(calibration) else np.full(len(figures), np.nan)
    _say_what_is_unsure(calibration, camera, value, notes)
    return Measurement(
        uv, points, sigma[:count], sigma[count : 2 * count], lengths, sigma[2 * count : -1],
        float(lengths.sum()), float(sigma[-1]) if count > 1 else 0.0, tuple(notes),
    )  # fmt: skip


def _has_sigma(calibration: Calibration | None) -> bool:
    return calibration is not None and calibration.covariance is not None


def _values(depth: DepthMap, uv: _Array, notes: list[str]) -> tuple[_Array, _Array]:
    """Read the map at the points: its values, and how its pixels scatter about them."""
    outside = ~np.all((uv >= 0) & (uv <= depth.size_wh), axis=1)
    if outside.any():
        raise InputError(
            f"{_at(uv, outside)} lies outside the picture of {depth.width}x{depth.height} pixels; give a "
            "pixel inside"
        )
    reading = read_values(depth, uv, depth.size_wh)
    if not np.isfinite(reading.value).all():
        raise InputError(
            f"{_at(uv, ~np.isfinite(reading.value))} lies where the depth map knows nothing; give a pixel "
            "where it has a value"
        )
    if reading.at_edge.any():
        notes.append(
            f"{_at(uv, reading.at_edge)} lies on the edge between two surfaces, so its depth is doubtful; "
            "give a pixel well inside one of them"
        )
    return reading.value, reading.sigma


def _depths(
    value: _Array, place: _Array, calibration: Calibration | None
) -> tuple[_Array, _Array, _Array, _Array, float]:
    """Give z, its slope in the value (n,) and in the parameters (n, p), their covariance, the misfit."""
    if calibration is None:
        return value, np.ones_like(value), np.zeros((len(value), 1)), np.zeros((1, 1)), 0.0

    def law(values: _Array) -> _Array:
        return basis(calibration.form, values, place, calibration.knots)

    parameters = np.array(calibration.parameters)
    factors = law(value)
    y = factors @ parameters
    step = _STEP * np.maximum(np.abs(value), 1e-6)
    slope = (law(value + step) - law(value - step)) @ parameters / (2 * step)
    with np.errstate(divide="ignore"):
        disparity = calibration.space == "disparity"
        z = np.where(y > 0, 1 / y if disparity else y, np.nan)
    by_y = -(z**2) if disparity else np.ones_like(z)
    known = calibration.covariance
    covariance = np.zeros((len(parameters),) * 2) if known is None else np.array(known)
    return z, by_y * slope, by_y[:, None] * factors, covariance, calibration.misfit_rel


def _refuse_unknown(uv: _Array, z: _Array) -> None:
    if not np.isfinite(z).all():
        raise InputError(
            f"{_at(uv, ~np.isfinite(z))} lies at or beyond infinity by this calibration, as the sky does; "
            "give a pixel of something nearer"
        )


def _say_what_is_unsure(
    calibration: Calibration | None, camera: Camera, value: _Array, notes: list[str]
) -> None:
    if calibration is None:
        notes.append(
            "how sure these figures are is unknown: the depth comes without it; calibrate it with a measured "
            "distance (--anchor X,Y,METRES) to know"
        )
    elif calibration.covariance is None:
        guess = "a guess" if calibration.method == "assumed range" else "of unknown accuracy"
        notes.append(
            f"these figures are {guess}: the calibration is by {calibration.method}, not by measured "
            "references; give two or more measured distances (--anchor X,Y,METRES)"
        )
    elif calibration.value_range is not None:
        low, high = calibration.value_range
        margin = 0.1 * (high - low)
        count = int(np.sum((value < low - margin) | (value > high + margin)))
        if count:
            notes.append(
                f"{count} of {len(value)} points are nearer or farther than all references: extrapolated"
            )
    if camera.source == "assumed":
        notes.append(
            "the focal length is assumed, so lengths across the picture may be off by "
            f"{100 * camera.sigma_rel:.0f} %; give --fov-x-deg or --focal-35mm"
        )


def _at(uv: _Array, which: Any) -> str:
    u, v = uv[int(np.argmax(which))]
    return f"the point ({u:g}, {v:g})"


def _plus_minus(sigma_m: float) -> str:
    return "" if math.isnan(sigma_m) else f" +- {sigma_m:.2g}"
