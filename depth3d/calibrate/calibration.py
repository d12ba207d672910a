"""`Calibration`: the law that turns a depth map's values into metres, and what it rests on."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from depth3d.calibrate.laws import FORMS, Form, Space, basis, place_of_pixels, spline_points
from depth3d.core.arrays import FloatMap
from depth3d.core.depth import DepthKind, DepthMap
from depth3d.errors import InputError

__all__ = ["Calibration"]

_FORMAT = "depth3d-calibration"
_VERSION = 1
_ROWS_AT_ONCE_PX = 1 << 18
"""Pixels whose basis is held in memory at a time."""

_Matrix: TypeAlias = tuple[tuple[float, ...], ...]


def _matrix(rows: Any) -> _Matrix | None:
    if rows is None:
        return None
    return tuple(tuple(float(number) for number in row) for row in rows)


def _numbers(values: Any) -> tuple[float, ...]:
    """Take numbers; None, as JSON has it, is an unknown one."""
    return tuple(math.nan if value is None else float(value) for value in values)


def _pair(values: Any) -> tuple[float, float] | None:
    if values is None:
        return None
    first, second = values
    return float(first), float(second)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise TypeError
    return bool(value)


def _text(value: Any) -> str | None:
    if not isinstance(value, str | None):
        raise TypeError
    return value


def _one_of(allowed: tuple[str, ...]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in allowed:
            raise ValueError
        return str(value)

    return check


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "scale": float,
    "shift": float,
    "method": str,
    "covariance": _matrix,
    "inliers": lambda flags: tuple(_flag(flag) for flag in flags),
    "residuals_m": _numbers,
    "model": _text,
    "input_size": lambda pixels: None if pixels is None else operator.index(pixels),
    "form": _one_of(FORMS),
    "space": _one_of(get_args(Space)),
    "tilt": _pair,
    "knots": _numbers,
    "coefficients": _numbers,
    "misfit_rel": float,
    "value_range": _pair,
    "references": lambda rows: tuple(dict(row) for row in rows),
    "photo_sha256": _text,
    "quality": dict,
    "notes": lambda lines: tuple(str(line) for line in lines),
}
"""How each field becomes a plain Python value, which JSON can hold, from that or from NumPy's."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """The law that turns the values of one photo's depth map into metres.

    Of a relative map it is `1/z = scale * d + shift`, of a metric one `z = scale * z_map + shift`; both can
    have a tilt across the picture or, for many references, bend (`laws.py`).

    Attributes:
        scale: 1/m a unit of d (disparity), or metres a metre (depth); positive. Of a spline: of the
            straight line that it bends about.
        shift: In 1/m, or metres.
        method: How the numbers were come by: `"assumed range"` rests on no measurement.
        covariance: p x p covariance of the law's parameters as nested tuples, in the order (scale, shift,
            tilt x, tilt y) as far as the law has them, or of the coefficients; None when unknown.
        inliers: For each reference, whether the fit used it; empty without references.
        residuals_m: For each reference, what the fit makes of the length that it gives, less that, in metres;
            the median of many samples; NaN where it gives none.
        model: Name of the network that made the map, or None.
        input_size: Side in pixels at which the network saw the photo, or None for its own default.
        form: Which law: `scale`, `affine`, `tilted` or `spline`.
        space: Whether the law gives 1/z from disparity or z from z.
        tilt: Of a tilted law: what y gains from the picture's centre to its right and its lower edge.
        knots: Of a spline, rising.
        coefficients: Of a spline, rising, one more than there are knots.
        misfit_rel: Standard deviation, relative to z, of what the law does not explain: the map's own errors.
        value_range: (least, greatest) value of the map at the references, or None.
        references: What they were, as plain values.
        photo_sha256: Hash of the photo's pixels, or None.
        quality: Figures of the fit by name: `fit.py` says which.
        notes: One sentence for each thing to know before trusting it.

    Raises:
        InputError: A value of the wrong type, numbers that are not finite, or a scale that is not
            positive.
    """

    scale: float
    shift: float
    method: str = "given"
    covariance: _Matrix | None = None
    inliers: tuple[bool, ...] = ()
    residuals_m: tuple[float, ...] = ()
    model: str | None = None
    input_size: int | None = None
    form: Form = "affine"
    space: Space = "disparity"
    tilt: tuple[float, float] | None = None
    knots: tuple[float, ...] = ()
    coefficients: tuple[float, ...] = ()
    misfit_rel: float = 0.0
    value_range: tuple[float, float] | None = None
    references: tuple[Mapping[str, Any], ...] = ()
    photo_sha256: str | None = None
    quality: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, convert in _CONVERTERS.items():
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, convert(value))
            except (TypeError, ValueError, OverflowError):
                raise InputError(
                    f"{name} of a calibration is of the wrong type, got {value!r:.60}; make it anew"
                ) from None
        if not all(math.isfinite(number) for number in (self.scale, self.shift, self.misfit_rel)):
            raise InputError(f"scale and shift must be finite, got {self.scale} and {self.shift}")
        if self.scale <= 0:
            raise InputError(
                f"scale must be positive, got {self.scale:g}: larger disparity is nearer; "
                "was depth passed as disparity?"
            )
        if (self.form == "tilted") != (self.tilt is not None):
            raise InputError(
                f"a tilted law needs a tilt and no other has one, got {self.form} with {self.tilt}"
            )
        if self.form == "spline":
            rising = np.all(np.diff(self.knots) > 0) and np.all(np.diff(self.coefficients) >= 0)
            if len(self.knots) < 2 or len(self.coefficients) != len(spline_points(self.knots)) or not rising:
                raise InputError(
                    "a spline needs two or more rising knots and as many rising coefficients, plus one"
                )
        elif self.knots or self.coefficients:
            raise InputError(f"knots and coefficients belong to a spline, not to the form {self.form!r}")
        count = len(self.parameters)
        if self.covariance is not None and [len(row) for row in self.covariance] != [count] * count:
            raise InputError(
                f"the covariance of a law of {count} parameters must be {count}x{count}; make it anew"
            )

    @property
    def parameters(self) -> tuple[float, ...]:
        """The law's parameters in the order of `covariance`."""
        if self.form == "spline":
            return self.coefficients
        return (self.scale, self.shift, *(self.tilt or ()))[: 1 if self.form == "scale" else None]

    def apply(self, depth: DepthMap) -> DepthMap:
        """Turn a map into metres.

        Args:
            depth: The map that this calibration belongs to, at any size: relative where `space` is
                `disparity`, metric where it is `depth`.

        Returns:
            A metric map; unknown where the inverse depth is not positive, that is at or beyond infinity
            (the sky), rather than a made-up wall.

        Raises:
            InputError: The map is of the other kind.
        """
        self.require_kind(depth)
        y, _ = self._evaluate(depth, with_sigma=False)
        return DepthMap(_depth_of(y, self.space).astype(np.float32), DepthKind.METRIC)

    def sigma_m(self, depth: DepthMap) -> FloatMap:
        """Say how sure the depth of each pixel is.

        sigma_z = z^2 sigma_y for a law of 1/z, with sigma_y^2 = b C b' for the pixel's basis b and the
        parameters' covariance C (first-order propagation); the misfit of the map itself is added in squares.

        Args:
            depth: The map that this calibration belongs to, before `apply`.

        Returns:
            (H, W) float32 standard deviation of z in metres; NaN where `apply` gives no depth.

        Raises:
            InputError: The map is of the other kind, or nothing is known about the parameters' errors.
        """
        self.require_kind(depth)
        if self.covariance is None:
            raise InputError(
                f"a calibration by {self.method} does not know how sure it is; fit one to references with "
                "depth3d.calibrate()"
            )
        y, sigma_y = self._evaluate(depth, with_sigma=True)
        z = _depth_of(y, self.space)
        sigma_z = sigma_y * z**2 if self.space == "disparity" else sigma_y
        return np.hypot(sigma_z, self.misfit_rel * z).astype(np.float32)

    def require_kind(self, depth: DepthMap) -> None:
        """Raise, with advice, unless a map is of the kind that this calibration applies to.

        Raises:
            InputError: It is of the other kind.
        """
        if self.space == "disparity" and depth.is_metric:
            raise InputError(
                "this map is metric already; a calibration of disparity applies to relative maps"
            )
        if self.space == "depth" and not depth.is_metric:
            raise InputError(
                "this map is relative; a calibration of depth applies to the maps of metric models"
            )

    def _evaluate(
        self, depth: DepthMap, *, with_sigma: bool
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Give (H, W) y, and its standard deviation by the parameters' covariance if asked for."""
        x, y = place_of_pixels(*depth.size_wh)
        parameters = np.array(self.parameters)
        values = depth.values.astype(np.float64)
        result, sigma = np.empty_like(values), np.empty_like(values if with_sigma else values[:0])
        rows_at_once = max(1, _ROWS_AT_ONCE_PX // depth.width)
        for top in range(0, depth.height, rows_at_once):
            block = values[top : top + rows_at_once]
            place = np.stack(np.broadcast_arrays(x[None], y[top : top + len(block), None]), axis=-1)
            factors = basis(self.form, np.nan_to_num(block).ravel(), place.reshape(-1, 2), self.knots)
            result[top : top + len(block)] = (factors @ parameters).reshape(block.shape)
            if with_sigma:
                variance = np.einsum("ni,ij,nj->n", factors, np.array(self.covariance), factors)
                sigma[top : top + len(block)] = np.sqrt(np.maximum(variance, 0)).reshape(block.shape)
        result[np.isnan(values)] = np.nan
        return result, sigma

    def to_json(self) -> str:
        """Describe the calibration as JSON text that `from_json` reads."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        fields["residuals_m"] = [None if math.isnan(metres) else metres for metres in self.residuals_m]
        return (
            json.dumps({"format": _FORMAT, "version": _VERSION, **fields}, indent=2, allow_nan=False) + "\n"
        )

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Read what `to_json` wrote.

        Raises:
            InputError: The text is no calibration, or a field is missing or of the wrong type.
        """
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"this is no calibration: not JSON ({error}); give what depth3d calibrate wrote"
            ) from None
        if not isinstance(fields, dict) or fields.get("format") != _FORMAT:
            raise InputError(
                f"this is no calibration of depth3d: its field 'format' is not {_FORMAT!r}; give what "
                "depth3d calibrate wrote"
            )
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
        left, right = ("1/z", "d") if self.space == "disparity" else ("z", "z_map")
        more = "" if self.form in ("scale", "affine") else f", {self.form}"
        return f"Calibration({left} = {self.scale:.6g} * {right} + {self.shift:.6g}{more}, {self.method})"


def _depth_of(y: npt.NDArray[np.float64], space: Space) -> npt.NDArray[np.float64]:
    """Give z, NaN where it is not positive and finite."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(y > 0, 1.0 / y if space == "disparity" else y, np.nan))
