"""`Calibration`: the two numbers that turn relative disparity into metres, and what they rest on."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from depth3d.core.depth import DepthKind, DepthMap
from depth3d.errors import InputError

__all__ = ["Calibration", "assume_range"]

_FORMAT = "depth3d-calibration"
_VERSION = 1


def _two_by_two(rows: Any) -> tuple[tuple[float, float], tuple[float, float]] | None:
    if rows is None:
        return None
    (a, b), (c, d) = rows
    return (float(a), float(b)), (float(c), float(d))


def _flag(value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise TypeError
    return bool(value)


def _text(value: Any) -> str | None:
    if not isinstance(value, str | None):
        raise TypeError
    return value


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "scale": float,
    "shift": float,
    "method": str,
    "covariance": _two_by_two,
    "inliers": lambda flags: tuple(_flag(flag) for flag in flags),
    "residuals_m": lambda residuals: tuple(float(residual) for residual in residuals),
    "model": _text,
    "input_size": lambda pixels: None if pixels is None else operator.index(pixels),
}
"""How each field becomes a plain Python value, which JSON can hold, from that or from NumPy's."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """The affine map `1/z = scale * d + shift` of one photo's relative depth.

    Attributes:
        scale: Per metre and unit of d; positive.
        shift: Per metre.
        method: How the numbers were come by: `"assumed range"` rests on no measurement.
        covariance: 2x2 covariance of (scale, shift) as nested tuples, or None when unknown.
        inliers: For each reference, whether the fit used it; empty without references.
        residuals_m: For each reference, depth by the fit less the given depth, in metres.
        model: Name of the network that made the relative map, or None.
        input_size: Shorter side in pixels at which the network saw the photo, or None.

    Raises:
        InputError: A value of the wrong type, numbers that are not finite, or a scale that is not
            positive.
    """

    scale: float
    shift: float
    method: str = "given"
    covariance: tuple[tuple[float, float], tuple[float, float]] | None = None
    inliers: tuple[bool, ...] = ()
    residuals_m: tuple[float, ...] = ()
    model: str | None = None
    input_size: int | None = None

    def __post_init__(self) -> None:
        for name, convert in _CONVERTERS.items():
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, convert(value))
            except (TypeError, ValueError, OverflowError):
                raise InputError(
                    f"{name} of a calibration is of the wrong type, got {value!r:.60}; make it anew"
                ) from None
        if not (math.isfinite(self.scale) and math.isfinite(self.shift)):
            raise InputError(f"scale and shift must be finite, got {self.scale} and {self.shift}")
        if self.scale <= 0:
            raise InputError(
                f"scale must be positive, got {self.scale:g}: larger disparity is nearer; "
                "was depth passed as disparity?"
            )

    def apply(self, depth: DepthMap) -> DepthMap:
        """Turn a relative map into metres.

        Args:
            depth: The relative map that this calibration belongs to.

        Returns:
            A metric map, z = 1 / (scale * d + shift); unknown where the inverse depth is not
            positive, that is at or beyond infinity (the sky), rather than a made-up wall.

        Raises:
            InputError: The map is metric already.
        """
        if depth.is_metric:
            raise InputError("this map is metric already; a calibration applies to relative maps")
        inverse = self.scale * depth.values.astype(np.float64) + self.shift
        with np.errstate(invalid="ignore", divide="ignore"):
            z = np.where(inverse > 0, 1.0 / inverse, np.nan)
        return DepthMap(z, DepthKind.METRIC)

    def to_json(self) -> str:
        """Describe the calibration as JSON text that `from_json` reads."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return json.dumps({"format": _FORMAT, "version": _VERSION, **fields}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Read what `to_json` wrote.

        Raises:
            InputError: The text is no calibration, or a field is missing or of the wrong type.
        """
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"this is no calibration: not JSON ({error})") from None
        if not isinstance(fields, dict) or fields.get("format") != _FORMAT:
            raise InputError(f"this is no calibration of depth3d: its field 'format' is not {_FORMAT!r}")
        if fields.get("version") != _VERSION:
            raise InputError(
                f"the calibration is of version {fields.get('version')!r} and this depth3d reads "
                f"version {_VERSION}; update depth3d"
            )
        for name in ("scale", "shift"):
            if name not in fields:
                raise InputError(f"the calibration lacks the field {name!r}; add it")
        return cls(**{name: fields[name] for name in cls.__dataclass_fields__ if name in fields})

    def __repr__(self) -> str:
        return f"Calibration(1/z = {self.scale:.6g} * d + {self.shift:.6g}, {self.method})"


def assume_range(depth: DepthMap, near_m: float, far_m: float) -> Calibration:
    """Make the calibration that puts a relative map between two assumed distances.

    No measurement stands behind it: shapes come out plausible when the two distances are, and
    metres are a guess.

    Args:
        depth: Relative map.
        near_m: z in metres of its nearest (largest) known value.
        far_m: z in metres of its farthest (smallest) known value.

    Returns:
        The calibration with 1/z = 1/near at the largest d and 1/z = 1/far at the smallest. A
        constant map lies at the geometric mean of the two.

    Raises:
        InputError: The map is metric or has no known pixel, or not 0 < near < far.
    """
    if depth.is_metric:
        raise InputError("this map is metric already; a range is assumed for relative maps only")
    if not (0 < near_m < far_m < math.inf):
        raise InputError(f"the range must satisfy 0 < near < far, got {near_m:g} and {far_m:g} m")
    known = depth.values[depth.valid].astype(np.float64)
    if not known.size:
        raise InputError("the map has no known pixel, so no range fits it; give a depth map with values")
    d_far, d_near = float(known.min()), float(known.max())
    # The slope of a map without relief is free; any positive one leaves it a flat plane.
    if d_near - d_far <= 1e-6 * max(abs(d_near), abs(d_far), 1e-30):
        q = 1.0 / math.sqrt(near_m * far_m)
        scale = q / max(abs(d_near), 1.0)
        return Calibration(scale, q - scale * d_near, method="assumed range")
    scale = (1.0 / near_m - 1.0 / far_m) / (d_near - d_far)
    return Calibration(scale, 1.0 / far_m - scale * d_far, method="assumed range")
