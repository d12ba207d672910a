"""`Gauge`: the scale and the shift that a network gave one frame, told by another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatArray

__all__ = ["Gauge", "fit_gauge"]

_Samples = npt.NDArray[np.float64]

_ROUNDS = 10
_OUTLIER = 2.5
"""Residuals this many deviations large count half."""

_LEAST_RELIEF = 1e-6
"""Spread, as a share of the largest value, below which a map counts as constant: float32's own noise."""

_LEAST_AGREEMENT = 0.5
"""Correlation below which two maps say nothing about each other's scale."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """`scale * value + shift`, scale > 0."""

    scale: float = 1.0
    shift: float = 0.0

    def __call__(self, values: FloatArray) -> FloatArray:
        """Apply it, in the type of the values."""
        one = values.dtype.type
        return np.asarray(values * one(self.scale) + one(self.shift))

    def after(self, first: Gauge) -> Gauge:
        """Combine: `first`, then this one."""
        return Gauge(self.scale * first.scale, self.scale * first.shift + self.shift)

    @property
    def inverse(self) -> Gauge:
        """What undoes it."""
        return Gauge(1 / self.scale, -self.shift / self.scale)


def fit_gauge(
    values: FloatArray,
    reference: FloatArray,
    weights: FloatArray,
    *,
    shift_only: bool = False,
    noise_ratio: float = 1.0,
) -> tuple[Gauge, float] | None:
    """Fit `gauge(values) = reference`, robustly, where both are noisy.

    Least squares would take each new frame's noise for contrast and shrink it a little, frame after frame,
    until the film is flat. The line here allows for noise in both (Deming 1943), in rounds that weigh each
    pixel by its residual (Cauchy's weight), from the line through the quartiles.

    Args:
        values: (n,) of a new frame; all finite.
        reference: (n,) what the same points are known as.
        weights: (n,) of at least 0.
        shift_only: Leave the scale at 1.
        noise_ratio: Variance of the reference's noise over that of the values', both as shares of their
            spread squared.

    Returns:
        The gauge, and the deviation of the values from the reference as a share of the reference's spread;
        None where nothing has weight. Of constant or unrelated maps the scale is 1.
    """
    used = weights > 1e-3
    if not used.any():
        return None
    x, y, w = (np.asarray(a[used], dtype=np.float64) for a in (values, reference, weights))
    x_quartiles, y_quartiles = np.percentile(x, (25, 50, 75)), np.percentile(y, (25, 50, 75))
    magnitude = max(float(np.abs(y).max()), float(np.abs(x).max()), 1e-30)
    flat = min(x.std(), y.std()) <= _LEAST_RELIEF * magnitude
    shift_only = shift_only or bool(flat)
    scale = 1.0
    if not shift_only:
        spans = x_quartiles[2] - x_quartiles[0], y_quartiles[2] - y_quartiles[0]
        usable = min(spans) > _LEAST_RELIEF * magnitude
        scale = float(spans[1] / spans[0] if usable else y.std() / x.std())
    shift = float(y_quartiles[1] - scale * x_quartiles[1])
    if not shift_only and _correlation(x, y, w) < _LEAST_AGREEMENT:
        shift_only, scale = True, 1.0
        shift = float(np.median(y - x))
    spread = 0.0
    for _ in range(_ROUNDS):
        rest = y - (scale * x + shift)
        deviation = 1.4826 * float(np.median(np.abs(rest)))
        limit = _OUTLIER * max(deviation, 1e-7 * magnitude)
        weight = w / (1 + np.square(rest / limit))
        total = float(weight.sum())
        mean_x, mean_y = float(weight @ x) / total, float(weight @ y) / total
        spread = float(np.sqrt(weight @ np.square(y - mean_y) / total))
        if not shift_only:
            found = _deming(x - mean_x, y - mean_y, weight, noise_ratio * scale * scale)
            if found is None:
                break
            scale = found
        shift = mean_y - scale * mean_x
    rest = y - (scale * x + shift)
    deviation = 1.4826 * float(np.median(np.abs(rest)))
    return Gauge(scale, shift), deviation / spread if spread > 0 else 0.0


def _correlation(x: _Samples, y: _Samples, w: _Samples) -> float:
    """Correlate; of ranks it would be sturdier and slower."""
    a, b = x - np.average(x, weights=w), y - np.average(y, weights=w)
    norm = float(np.sqrt((w @ (a * a)) * (w @ (b * b))))
    return float(w @ (a * b)) / norm if norm > 0 else 0.0


def _deming(x: _Samples, y: _Samples, w: _Samples, ratio: float) -> float | None:
    """Slope through the origin of centred samples, with noise in both; None unless it rises."""
    xx, yy, xy = float(w @ (x * x)), float(w @ (y * y)), float(w @ (x * y))
    if xy <= 0 or xx <= 0:
        return None
    half = yy - ratio * xx
    return (half + float(np.hypot(half, 2 * np.sqrt(ratio) * xy))) / (2 * xy)
