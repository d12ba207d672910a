"""Axes and units that geometry files use, and the way from our camera frame to theirs and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from depth3d._version import __version__
from depth3d.core.arrays import FloatMap
from depth3d.errors import InputError

__all__ = [
    "FRAMES",
    "UNITS",
    "axes_of",
    "check_frame",
    "check_unit",
    "from_frame",
    "header_lines",
    "parse_header",
    "to_frame",
]

FRAMES: Mapping[str, tuple[tuple[int, int, int], ...]] = MappingProxyType(
    {
        "opencv": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        "opengl": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
        "blender": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    }
)
"""Rotation from our frame (x right, y down, z forward) to each frame, row by row."""

UNITS: Mapping[str, float] = MappingProxyType({"m": 1.0, "cm": 100.0, "mm": 1000.0})
"""How many of each unit make a metre."""

_AXES = {
    "opencv": "x right, y down, z forward",
    "opengl": "x right, y up, z backward",
    "blender": "x right, y forward, z up",
}


def axes_of(frame: str) -> str:
    """Describe a frame's axes as the camera sees them, such as `x right, y down, z forward`."""
    return _AXES[check_frame(frame)]


def check_frame(frame: str) -> str:
    """Return the frame's name if it is one of `FRAMES`.

    Raises:
        InputError: It is not.
    """
    if frame not in FRAMES:
        raise InputError(f"frame must be one of {', '.join(FRAMES)}, got {frame!r}")
    return frame


def check_unit(unit: str) -> str:
    """Return the unit's name if it is one of `UNITS`.

    Raises:
        InputError: It is not.
    """
    if unit not in UNITS:
        raise InputError(f"unit must be one of {', '.join(UNITS)}, got {unit!r}")
    return unit


def header_lines(frame: str, unit: str) -> tuple[str, str, str]:
    """Give the first comments of our files: who wrote it, its frame and its unit."""
    return f"depth3d {__version__}", f"frame: {frame} ({axes_of(frame)})", f"unit: {unit}"


def parse_header(comments: Sequence[str]) -> tuple[str, str, tuple[str, ...]]:
    """Split comments into (frame, unit, the rest), if the first ones are those of `header_lines`.

    Returns:
        `unknown` twice and all the comments where they are not.
    """
    if len(comments) >= 3 and comments[0].startswith("depth3d "):
        frame = comments[1].removeprefix("frame: ").partition(" ")[0]
        unit = comments[2].removeprefix("unit: ").strip()
        if frame in FRAMES and unit in UNITS:
            return frame, unit, tuple(comments[3:])
    return "unknown", "unknown", tuple(comments)


def to_frame(vectors: FloatMap, frame: str, *, unit: str = "m") -> FloatMap:
    """Express vectors of our camera frame in another frame and unit.

    Args:
        vectors: (N, 3) float32; metres for points, unitless for directions (leave `unit` then).
        frame: One of `FRAMES`.
        unit: One of `UNITS`.

    Returns:
        (N, 3) float32. Turning is exact; scaling rounds once.

    Raises:
        InputError: An unknown frame or unit.
    """
    turned = _turned(vectors, FRAMES[check_frame(frame)])
    scale = np.float32(UNITS[check_unit(unit)])
    return turned if unit == "m" else turned * scale


def from_frame(vectors: FloatMap, frame: str, *, unit: str = "m") -> FloatMap:
    """Express vectors of another frame and unit in our camera frame: `to_frame` undone.

    Args:
        vectors: (N, 3) float32 in `frame` and `unit`.
        frame: One of `FRAMES`.
        unit: One of `UNITS`.

    Returns:
        (N, 3) float32; metres, or unitless for directions.

    Raises:
        InputError: An unknown frame or unit.
    """
    rotation = FRAMES[check_frame(frame)]
    inverse = tuple(zip(*rotation, strict=True))
    turned = _turned(vectors, inverse)
    scale = np.float32(UNITS[check_unit(unit)])
    return turned if unit == "m" else turned / scale


def _turned(vectors: FloatMap, rotation: tuple[tuple[int, ...], ...]) -> FloatMap:
    """Permute and negate columns: a signed permutation needs no product, and so no rounding."""
    turned = np.empty_like(vectors)
    for row, weights in enumerate(rotation):
        column = next(i for i, weight in enumerate(weights) if weight)
        turned[:, row] = vectors[:, column] * np.float32(weights[column])
    turned += np.float32(0)  # -0.0 becomes 0.0, which reads better in text files
    return turned
