"""What a user can know about a scene: the references that turn a depth map into metres.

Pixel positions are (u, v) = (column, row) of the upright photo, with the first pixel's centre at 0.5; all
lengths are in metres. Each type is one kind of knowledge with its own equation (`equations.py`); they can be
mixed freely.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import frozen
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError

__all__ = [
    "Anchor",
    "CameraHeight",
    "DepthErrorModel",
    "DepthSamples",
    "FarPoint",
    "KnownLength",
    "KnownSize",
    "RangeAnchor",
    "Reference",
    "describe",
]

DepthErrorModel: TypeAlias = Literal["relative", "constant", "stereo"]
"""How the error of measured depth grows: with z (a tape, a network), not at all (LiDAR), or with z squared
(stereo, structure from motion: constant in 1/z)."""


@dataclass(frozen=True, slots=True, eq=False)
class Anchor:
    """A pixel whose depth z, along the optical axis, is known.

    Attributes:
        u_px, v_px: Where, in pixels of the photo.
        depth_m: z in metres. A tape from the lens measures the range instead: `Anchor.from_range`.
        sigma_m: Standard deviation of z in metres; None takes 2 % of it.

    Raises:
        InputError: A position that is not finite, or a depth or sigma that is not positive.
    """

    u_px: float
    v_px: float
    depth_m: float
    sigma_m: float | None = None

    def __post_init__(self) -> None:
        _set_numbers(self, finite=("u_px", "v_px"), positive=("depth_m",), optional=("sigma_m",))

    @classmethod
    def from_range(
        cls, u_px: float, v_px: float, range_m: float, sigma_m: float | None = None
    ) -> RangeAnchor:
        """Make a reference of what a tape or a laser measures: the distance from the lens to the point."""
        return RangeAnchor(u_px, v_px, range_m, sigma_m)

    def __repr__(self) -> str:
        return f"Anchor(({self.u_px:g}, {self.v_px:g}): z = {self.depth_m:g} m{_plus_minus(self.sigma_m)})"


@dataclass(frozen=True, slots=True, eq=False)
class RangeAnchor:
    """A pixel whose distance from the lens is known, as a tape or a laser measures it.

    Its z is `range_m / |ray|`, which needs the camera: at the corner of a 4:3 picture z is 0.84 of the
    range at 55 degrees across, and 0.63 at 90.

    Attributes:
        u_px, v_px: Where, in pixels of the photo.
        range_m: Distance in metres along the line of sight.
        sigma_m: Its standard deviation in metres; None takes 2 %.

    Raises:
        InputError: A position that is not finite, or a range or sigma that is not positive.
    """

    u_px: float
    v_px: float
    range_m: float
    sigma_m: float | None = None

    def __post_init__(self) -> None:
        _set_numbers(self, finite=("u_px", "v_px"), positive=("range_m",), optional=("sigma_m",))

    def __repr__(self) -> str:
        sigma = _plus_minus(self.sigma_m)
        return f"RangeAnchor(({self.u_px:g}, {self.v_px:g}): {self.range_m:g} m away{sigma})"


@dataclass(frozen=True, slots=True, eq=False)
class KnownLength:
    """Two pixels whose distance from each other in space is known: a door's height, a table's edge.

    Attributes:
        u1_px, v1_px, u2_px, v2_px: The two ends, in pixels of the photo.
        length_m: Straight distance between them in metres.
        sigma_m: Its standard deviation in metres; None takes 2 %.

    Raises:
        InputError: Numbers that are not finite, a length that is not positive, or equal ends.
    """

    u1_px: float
    v1_px: float
    u2_px: float
    v2_px: float
    length_m: float
    sigma_m: float | None = None

    def __post_init__(self) -> None:
        ends = ("u1_px", "v1_px", "u2_px", "v2_px")
        _set_numbers(self, finite=ends, positive=("length_m",), optional=("sigma_m",))
        if (self.u1_px, self.v1_px) == (self.u2_px, self.v2_px):
            raise InputError("a known length needs two different pixels; give both of its ends")

    def __repr__(self) -> str:
        ends = f"({self.u1_px:g}, {self.v1_px:g}) to ({self.u2_px:g}, {self.v2_px:g})"
        return f"KnownLength({ends}: {self.length_m:g} m{_plus_minus(self.sigma_m)})"


@dataclass(frozen=True, slots=True, eq=False)
class KnownSize:
    """An object that stands square to the camera, its box in the picture, and its true height or width.

    Attributes:
        left_px, top_px, right_px, bottom_px: The box around it, in pixels of the photo.
        size_m: Its true height (or width) in metres.
        axis: Whether `size_m` is its `height` or its `width`.
        sigma_m: Standard deviation of the size in metres; None takes 5 %, as objects lean and boxes are
            drawn by hand.

    Raises:
        InputError: Numbers that are not finite, an empty box, a size that is not positive.
    """

    left_px: float
    top_px: float
    right_px: float
    bottom_px: float
    size_m: float
    axis: Literal["height", "width"] = "height"
    sigma_m: float | None = None

    def __post_init__(self) -> None:
        sides = ("left_px", "top_px", "right_px", "bottom_px")
        _set_numbers(self, finite=sides, positive=("size_m",), optional=("sigma_m",))
        if not (self.left_px < self.right_px and self.top_px < self.bottom_px):
            raise InputError(
                f"a box is LEFT,TOP,RIGHT,BOTTOM with left < right and top < bottom, got {self!r}"
            )
        if self.axis not in ("height", "width"):
            raise InputError(f"axis must be 'height' or 'width', got {self.axis!r}")

    def __repr__(self) -> str:
        box = f"{self.left_px:g}, {self.top_px:g}, {self.right_px:g}, {self.bottom_px:g}"
        return f"KnownSize(({box}): {self.axis} {self.size_m:g} m{_plus_minus(self.sigma_m)})"


@dataclass(frozen=True, slots=True, eq=False)
class FarPoint:
    """A pixel of the sky, the horizon or a far mountain: all that is known is that it is very far.

    Attributes:
        u_px, v_px: Where, in pixels of the photo.
        at_least_m: z is known to be at least this; 1/z is then taken as evenly likely between 0 and
            1 / at_least_m.

    Raises:
        InputError: A position that is not finite, or a distance that is not positive.
    """

    u_px: float
    v_px: float
    at_least_m: float = 100.0

    def __post_init__(self) -> None:
        _set_numbers(self, finite=("u_px", "v_px"), positive=("at_least_m",))

    def __repr__(self) -> str:
        return f"FarPoint(({self.u_px:g}, {self.v_px:g}): {self.at_least_m:g} m or more)"


@dataclass(frozen=True, slots=True, eq=False)
class CameraHeight:
    """How high the camera was above a flat floor that the picture shows.

    Attributes:
        height_m: Of the lens above the floor, in metres.
        pitch_deg: How far the camera looks down from the horizontal, in degrees; None when unknown. With
            it the height fixes scale and shift, without it one of them.
        floor_px: (left, top, right, bottom), a box in the photo that shows floor for the most part; None
            looks for it in the lower half.
        sigma_m: Standard deviation of the height in metres; None takes 3 %.

    Raises:
        InputError: Numbers out of range, or an empty box.
    """

    height_m: float
    pitch_deg: float | None = None
    floor_px: tuple[float, float, float, float] | None = None
    sigma_m: float | None = None

    def __post_init__(self) -> None:
        _set_numbers(self, positive=("height_m",), optional=("sigma_m",))
        if self.pitch_deg is not None:
            _set_numbers(self, finite=("pitch_deg",))
            if not -90 <= self.pitch_deg <= 90:
                raise InputError(f"pitch_deg must lie between -90 and 90 degrees, got {self.pitch_deg:g}")
        if self.floor_px is not None:
            box = tuple(float(side) for side in self.floor_px)
            if len(box) != 4 or not (box[0] < box[2] and box[1] < box[3]):
                raise InputError(
                    f"floor_px must be a box LEFT,TOP,RIGHT,BOTTOM in pixels, got {self.floor_px!r}"
                )
            object.__setattr__(self, "floor_px", box)

    def __repr__(self) -> str:
        pitch = "" if self.pitch_deg is None else f", looking {self.pitch_deg:g} degrees down"
        return f"CameraHeight({self.height_m:g} m{_plus_minus(self.sigma_m)}{pitch})"


@dataclass(frozen=True, slots=True, eq=False)
class DepthSamples:
    """Depth measured at many pixels: LiDAR, a phone's own map, structure from motion, a metric network.

    Attributes:
        uv_px: (n, 2) float64 pixels of the photo.
        depth_m: (n,) float64 z in metres.
        error: How their error grows with z.
        sigma: Its size: a share of z (`relative`), metres (`constant`), or 1/m (`stereo`).
        independent: How many independent measurements the samples are worth together. The errors of a
            network or of a low-resolution map are the same for neighbouring pixels: counting each would make
            the fit sure of what nobody knows. None counts each.
        label: What to call them in messages and reports.

    Raises:
        InputError: Shapes that do not agree, depths that are not positive, a sigma that is not positive.
    """

    uv_px: npt.NDArray[np.float64]
    depth_m: npt.NDArray[np.float64]
    error: DepthErrorModel = "relative"
    sigma: float = 0.02
    independent: float | None = None
    label: str = "measured depth"

    def __post_init__(self) -> None:
        uv = frozen(self.uv_px, name="uv_px", dtype=np.float64, shape=(None, 2))
        z = frozen(self.depth_m, name="depth_m", dtype=np.float64, shape=(None,))
        if len(uv) != len(z) or not len(z):
            raise InputError(f"depth samples need as many pixels as depths, got {len(uv)} and {len(z)}")
        if not (np.isfinite(uv).all() and np.isfinite(z).all() and (z > 0).all()):
            raise InputError(
                "depth samples must be finite pixels with z above 0 metres; leave out the unknown"
            )
        if self.error not in ("relative", "constant", "stereo"):
            raise InputError(f"error must be 'relative', 'constant' or 'stereo', got {self.error!r}")
        _set_numbers(self, positive=("sigma",), optional=("independent",))
        object.__setattr__(self, "uv_px", uv)
        object.__setattr__(self, "depth_m", z)

    @classmethod
    def from_map(
        cls,
        depth: DepthMap,
        size_wh: tuple[int, int],
        *,
        error: DepthErrorModel = "relative",
        sigma: float = 0.02,
        independent: float | None = None,
        label: str = "measured depth",
        most: int = 50_000,
    ) -> DepthSamples:
        """Take the known pixels of a metric map of any size, sparse or dense, that shows the same picture.

        Args:
            depth: Metric.
            size_wh: (width, height) of the photo in pixels.
            error: As above.
            sigma: As above.
            independent: As above.
            label: As above.
            most: Of more pixels, evenly spaced ones are taken in reading order.

        Raises:
            NeedsMetricError: The map is relative.
            InputError: No pixel is known.
        """
        depth.require_metric("DepthSamples.from_map()")
        rows, cols = np.nonzero(depth.valid)
        if not len(rows):
            raise InputError(f"{label} knows no pixel; give a map with depth in it")
        if len(rows) > most:
            kept = np.linspace(0, len(rows) - 1, most).round().astype(np.intp)
            rows, cols = rows[kept], cols[kept]
        step = np.array([size_wh[0] / depth.width, size_wh[1] / depth.height])
        uv = np.stack([cols + 0.5, rows + 0.5], axis=1) * step
        z = depth.values[rows, cols].astype(np.float64)
        return cls(uv, z, error, sigma, independent, label)

    def __repr__(self) -> str:
        span = f"{self.depth_m.min():.3g}..{self.depth_m.max():.3g} m"
        error = f"{self.error} error {self.sigma:g}"
        return f"DepthSamples({self.label}: {len(self.depth_m)} pixels, {span}, {error})"


Reference: TypeAlias = Anchor | RangeAnchor | KnownLength | KnownSize | FarPoint | CameraHeight | DepthSamples
"""Any of them."""


def describe(reference: Reference) -> Mapping[str, Any]:
    """Say what a reference is in plain values, for JSON; many samples are counted, not listed."""
    fields: dict[str, Any] = {name: getattr(reference, name) for name in reference.__dataclass_fields__}
    if isinstance(reference, DepthSamples):
        z = fields.pop("depth_m")
        del fields["uv_px"]
        fields |= {"pixels": len(z), "nearest_m": float(z.min()), "farthest_m": float(z.max())}
    return {"kind": type(reference).__name__, **fields}


_SMALLEST, _LARGEST = 1e-9, 1e12
"""What a length or a place can be: fits weigh by fourth powers, which must stay within floats."""


def _set_numbers(
    reference: Any,
    *,
    finite: tuple[str, ...] = (),
    positive: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
) -> None:
    """Turn fields into floats and check them; the optional ones are positive or None."""
    for name in (*finite, *positive, *optional):
        value = getattr(reference, name)
        if value is None and name in optional:
            continue
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        low, high = (-_LARGEST, _LARGEST) if name in finite else (_SMALLEST, _LARGEST)
        if not low <= number <= high:  # false for NaN
            wanted = "a finite number" if name in finite else "above 0"
            if math.isfinite(number) and (number > 0 or name in finite):
                wanted = f"between {low:g} and {high:g}"
            raise InputError(
                f"{name} of {type(reference).__name__} must be {wanted}, got {value!r}; correct it"
            )
        object.__setattr__(reference, name, number)


def _plus_minus(sigma_m: float | None) -> str:
    return "" if sigma_m is None else f" +- {sigma_m:g}"
