"""`DepthMap`: a depth or disparity map that knows which of the two it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from depth3d.core.arrays import BoolMap, FloatMap, as_array, frozen
from depth3d.errors import InputError, NeedsMetricError

__all__ = ["DepthKind", "DepthMap"]


_LEAST_DEPTH_M = np.finfo(np.float32).tiny
"""The smallest z whose inverse fits into float32."""
_MOST = np.finfo(np.float32).max


class DepthKind(str, Enum):
    """What the numbers of a `DepthMap` mean."""

    RELATIVE = "relative"
    """Disparity-like, unitless, larger is nearer; `1/z = s*d + t` for an unknown s > 0 and t."""
    METRIC = "metric"
    """z along the optical axis in metres, larger is farther."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, eq=False)
class DepthMap:
    """An (H, W) float32 map of relative disparity or of metric z.

    NaN is the only "unknown". What files and sensors use for it is turned into NaN on the way
    in: infinities always, and 0 in a metric map (and what is so near 0 that 1/z overflows).

    Attributes:
        values: (H, W) float32, read-only. Relative: unitless, larger is nearer. Metric: z in
            metres (not ray length), larger is farther.
        kind: `DepthKind.RELATIVE` or `DepthKind.METRIC`; the strings are taken too.

    Raises:
        InputError: Not two-dimensional, empty, complex, an unknown kind, a negative distance, or
            integers offered as metres (they are nearly always millimetres).
    """

    values: FloatMap
    kind: DepthKind

    def __post_init__(self) -> None:
        try:
            kind = DepthKind(self.kind)
        except ValueError:
            raise InputError(f"kind must be 'relative' or 'metric', got {self.kind!r}") from None
        given = as_array(self.values, name="depth")
        if given.ndim == 2 and given.size == 0:
            raise InputError(f"depth must have at least one pixel, got shape {given.shape}")
        if kind is DepthKind.METRIC and given.dtype.kind in "iu":
            raise InputError(
                f"metric depth must be floating-point metres, got {given.dtype.name}; integers are "
                "mostly millimetres: divide by the file's scale, or open it with depth3d.load_depth()"
            )
        values = frozen(given, name="depth", dtype=np.float32, shape=(None, None))
        # By its extremes, which pass over NaN, most maps need no mask. (All unknown: NaN compares false.)
        least, most = (float(extreme.reduce(values, axis=None)) for extreme in (np.fmin, np.fmax))
        if kind is DepthKind.METRIC and least < 0:
            raise InputError(
                f"metric depth must not be negative, got {least:g} m; "
                "is this a relative map (kind='relative')?"
            )
        if least < (_LEAST_DEPTH_M if kind is DepthKind.METRIC else -_MOST) or most > _MOST:
            unknown = np.isinf(values)
            if kind is DepthKind.METRIC:
                unknown |= values < _LEAST_DEPTH_M
            values = np.where(unknown, np.float32(np.nan), values)
            values.flags.writeable = False
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "kind", kind)

    @property
    def height(self) -> int:
        """Number of rows."""
        return int(self.values.shape[0])

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.values.shape[1])

    @property
    def size_wh(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.width, self.height

    @property
    def is_metric(self) -> bool:
        """Whether the values are z in metres."""
        return self.kind is DepthKind.METRIC

    @property
    def valid(self) -> BoolMap:
        """(H, W) bool: where the value is known."""
        return np.isfinite(self.values)

    def require_metric(self, caller: str) -> None:
        """Raise, with advice, unless this map is metric.

        Args:
            caller: Who needs the metres, for the message, such as `"point_cloud()"`.

        Raises:
            NeedsMetricError: The map is relative.
        """
        if not self.is_metric:
            raise NeedsMetricError(
                f"{caller} needs metric depth, got a relative map; apply a calibration, use a metric "
                "model (metric-indoor-small), or assume a range with depth3d.assume_range()"
            )

    def __repr__(self) -> str:
        known = self.values[self.valid]
        span = f"{known.min():.4g}..{known.max():.4g}" if known.size else "all unknown"
        unit = " m" if self.is_metric and known.size else ""
        share = 100.0 * known.size / self.values.size
        return f"DepthMap({self.kind}, {self.width}x{self.height}, {span}{unit}, {share:.0f} % known)"
