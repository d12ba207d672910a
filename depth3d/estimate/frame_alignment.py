"""`Gauge`: the scale and the shift that a network gave one frame, told by another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatArray

__all__ = ["Gauge", "fit_gauge"]

_Samples = npt.NDArray[np.float64]

_START_SAMPLES, _START_LINES = 500, 60
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
    pixel by its residual (Cauchy's weight), from a line that half of the pixels agree on.

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
    magnitude = max(float(np.abs(y).max()), float(np.abs(x).max()), 1e-30)
    shift_only = shift_only or bool(min(x.std(), y.std()) <= _LEAST_RELIEF * magnitude)
    line = None if shift_only else _first_line(x, y)
    shift_only = line is None
    scale, shift = line or (1.0, float(np.median(y - x)))
    weight, spread = w, 0.0
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
    if not shift_only and _correlation(x, y, weight) < _LEAST_AGREEMENT:
        scale, shift = 1.0, float(np.median(y - x))
    rest = y - (scale * x + shift)
    deviation = 1.4826 * float(np.median(np.abs(rest)))
    return Gauge(scale, shift), deviation / spread if spread > 0 else 0.0


def _first_line(x: _Samples, y: _Samples) -> tuple[float, float] | None:
    """Of lines through two samples take the one with the least median residual (Rousseeuw 1984).

    It holds with almost half of the samples wrong. None where every such line falls.
    """
    thin = np.argsort(x, kind="stable")[:: max(1, len(x) // _START_SAMPLES)]
    x, y = x[thin], y[thin]
    half = len(x) // 2
    low = np.arange(0, half, max(1, half // _START_LINES))
    run = x[low + half] - x[low]
    rising = (run > 0) & (y[low + half] > y[low])
    low, run = low[rising], run[rising]
    if len(low) == 0:
        return None
    scales = (y[low + half] - y[low]) / run
    shifts = y[low] - scales * x[low]
    missed = np.median(np.abs(y - (scales[:, None] * x + shifts[:, None])), axis=1)
    best = int(np.argmin(missed))
    return float(scales[best]), float(shifts[best])


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
