"""`PointCloud`: points in metres in the camera frame, with colours and normals on request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap, ImageArray, all_finite, frozen
from depth3d.errors import InputError

__all__ = ["PointCloud"]


@dataclass(frozen=True, slots=True, eq=False)
class PointCloud:
    """Points in the OpenCV camera frame: x right, y down, z forward, metres.

    Attributes:
        points: (N, 3) float32, metres, finite, read-only. N may be 0.
        colors: (N, 3) uint8 sRGB, or None.
        normals: (N, 3) float32 unit vectors, or None.

    Raises:
        InputError: Shapes that don't agree, or coordinates that are not finite.
    """

    points: FloatMap
    colors: ImageArray | None = None
    normals: FloatMap | None = None

    def __post_init__(self) -> None:
        points = frozen(self.points, name="points", dtype=np.float32, shape=(None, 3))
        if not all_finite(points):
            raise InputError("points must be finite, got NaN or infinity; drop those rows first")
        n = len(points)
        object.__setattr__(self, "points", points)
        if self.colors is not None:
            colors = frozen(self.colors, name="colors", dtype=np.uint8, shape=(n, 3))
            object.__setattr__(self, "colors", colors)
        if self.normals is not None:
            normals = frozen(self.normals, name="normals", dtype=np.float32, shape=(n, 3))
            object.__setattr__(self, "normals", normals)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, keep: npt.NDArray[np.bool_] | npt.NDArray[np.integer[Any]] | slice) -> PointCloud:
        """Select points by a boolean mask, an index array or a slice."""
        return PointCloud(
            self.points[keep],
            None if self.colors is None else self.colors[keep],
            None if self.normals is None else self.normals[keep],
        )

    def __repr__(self) -> str:
        extras = [name for name in ("colors", "normals") if getattr(self, name) is not None]
        if not len(self):
            return f"PointCloud(0 points{', ' if extras else ''}{', '.join(extras)})"
        low, high = self.points.min(axis=0), self.points.max(axis=0)
        box = " x ".join(f"{a:.3g}..{b:.3g}" for a, b in zip(low, high, strict=True))
        return f"PointCloud({len(self):,} points, {box} m{''.join(', ' + e for e in extras)})"
