"""`EvaluationProtocol`: which pixels of a picture count, by the names under which papers report them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from depth3d.errors import InputError

__all__ = ["CROPS", "DEFAULT_MAX_DEPTH_M", "PROTOCOLS", "EvaluationProtocol", "Window", "protocol_named"]

DEFAULT_MAX_DEPTH_M = 80.0
"""How far outdoor protocols look since Eigen et al. (NeurIPS 2014) on KITTI. Without a bound, a ground that
runs to the horizon has its mean relative error decided by the few pixels whose 1/z comes out at about 0."""

Window = tuple[slice, slice]
"""Rows and columns of a picture."""


def _nyu_eigen(height: int, width: int) -> Window:
    if (width, height) != (640, 480):
        raise InputError(
            f"the crop nyu-eigen belongs to NYU's truths of 640x480, and this one is {width}x{height}; give "
            "the original truth, or another crop (--crop none)"
        )
    return slice(45, 471), slice(41, 601)


def _shares(top: float, bottom: float, left: float, right: float) -> Callable[[int, int], Window]:
    def window(height: int, width: int) -> Window:
        return slice(int(top * height), int(bottom * height)), slice(int(left * width), int(right * width))

    return window


CROPS: Mapping[str, Callable[[int, int], Window]] = MappingProxyType(
    {
        "none": lambda height, width: (slice(0, height), slice(0, width)),
        "nyu-eigen": _nyu_eigen,
        "kitti-garg": _shares(0.40810811, 0.99189189, 0.03594771, 0.96405229),
        "kitti-eigen": _shares(0.3324324, 0.91351351, 0.0359477, 0.96405229),
    }
)
"""Name -> function of (height, width) of the truth. `nyu-eigen` leaves out the border without depth of NYU
Depth V2 (Eigen et al., NeurIPS 2014); `kitti-garg` (Garg et al., ECCV 2016) and `kitti-eigen` the sky and the
bonnet of KITTI, by the fractions that all public evaluations since have in common, rounded down to pixels."""


@dataclass(frozen=True, slots=True)
class EvaluationProtocol:
    """Which pixels count.

    Attributes:
        name: What to call it.
        crop: One of `CROPS`.
        min_depth_m: Only truth beyond this counts, in metres.
        max_depth_m: Only truth nearer than this counts, in metres. Predictions are clamped to the range:
            who says 200 m where the truth is 60 m is charged for the 80 m that the protocol looks.

    Raises:
        InputError: An unknown crop, or an empty range.
    """

    name: str = "custom"
    crop: str = "none"
    min_depth_m: float = 1e-3
    max_depth_m: float = DEFAULT_MAX_DEPTH_M

    def __post_init__(self) -> None:
        if self.crop not in CROPS:
            raise InputError(f"crop must be one of {', '.join(CROPS)}, got {self.crop!r}")
        if not (0 < self.min_depth_m < self.max_depth_m and math.isfinite(self.max_depth_m)):
            raise InputError(
                "the range of depth must be two numbers of metres above 0, near before far, got "
                f"{self.min_depth_m!r} and {self.max_depth_m!r}"
            )

    def window(self, height: int, width: int) -> Window:
        """Give the rows and columns that the crop leaves of a truth.

        Raises:
            InputError: The crop belongs to pictures of another size.
        """
        return CROPS[self.crop](height, width)


PROTOCOLS: Mapping[str, EvaluationProtocol] = MappingProxyType(
    {
        one.name: one
        for one in (
            EvaluationProtocol("default"),
            EvaluationProtocol("nyu", "nyu-eigen", 1e-3, 10.0),
            EvaluationProtocol("kitti", "kitti-garg", 1e-3, 80.0),
            EvaluationProtocol("kitti-eigen", "kitti-eigen", 1e-3, 80.0),
        )
    }
)
"""`default` takes the whole picture up to 80 m."""


def protocol_named(protocol: EvaluationProtocol | str) -> EvaluationProtocol:
    """Look a protocol up; one that is none of the names goes through as it is.

    Raises:
        InputError: An unknown name.
    """
    if isinstance(protocol, EvaluationProtocol):
        return protocol
    if protocol not in PROTOCOLS:
        raise InputError(
            f"protocol must be one of {', '.join(PROTOCOLS)} or an EvaluationProtocol, got {protocol!r}"
        )
    return PROTOCOLS[protocol]
