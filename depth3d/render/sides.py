"""`sides_of`: the nearer and the farther surface at the pixels beside silhouettes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.render.cuts import Joints
from depth3d.render.hidden_depth import Silhouettes, hidden_depth, overhang
from depth3d.render.local_planes import Index

__all__ = ["BAND_PX", "OVERLAP_PX", "Sides", "sides_of", "steps_away"]

BAND_PX = 2
"""How far beside a silhouette pixels may be mixed."""
OVERLAP_PX = 2
"""How far the back goes on under the visible surface that it continues."""


@dataclass(frozen=True, slots=True)
class Sides:
    """The nearer and the farther surface at each pixel: what is seen, but for a few.

    Attributes:
        extends: (H, W) bool: where a surface goes on beyond its edge, before what is seen.
        extends_q: (k,) float32, its inverse depth there, row by row.
        covers: (H, W) bool: where something is hidden.
        covers_q: (m,) float32, its inverse depth there, row by row.
        overlap: (H, W) bool: where what is hidden goes on under the visible surface that it continues.
        band: (n,) flat indices of the pixels that two surfaces may share.
        near: (n,) float32, inverse depth of the nearer one of the two,
        far: (n,) and of the farther one.
    """

    extends: BoolMap
    extends_q: FloatMap
    covers: BoolMap
    covers_q: FloatMap
    overlap: BoolMap
    band: Index
    near: FloatMap
    far: FloatMap

    def far_at(self, some: BoolMap, whole: FloatMap) -> FloatMap:
        """List the inverse depth of the farther surface where it is asked for, row by row."""
        far = whole[some]
        asked = some.ravel()[np.flatnonzero(self.covers)]
        hidden = self.covers[some]
        far[hidden] = self.covers_q[asked]
        return far


def sides_of(
    whole: FloatMap,
    joints: Joints,
    silhouettes: Silhouettes,
    px_per_unit: float,
    least_gap: float,
    motion: tuple[float, float] | None,
) -> Sides:
    """Continue surfaces on both sides of silhouettes.

    Args:
        whole: (H, W) inverse depth of what is seen.
        joints: Of it.
        silhouettes: Of it.
        px_per_unit: Parallax in pixels of a unit of inverse depth, at the most.
        least_gap: What is told apart, in the unit of inverse depth.
        motion: (dx, dy) direction of the parallax in the picture; None is any.
    """
    behind = hidden_depth(
        whole, joints, silhouettes, px_per_unit=px_per_unit, least_gap=least_gap, motion=motion
    )
    at = np.flatnonzero(behind.ring)
    covers_q, rings = behind.inverse_depth.ravel()[at], behind.ring.ravel()[at]
    del behind
    over = overhang(
        whole,
        joints,
        silhouettes,
        px_per_unit=px_per_unit,
        least_gap=least_gap,
        width_px=BAND_PX + OVERLAP_PX - 1,
    )
    extends = (over.ring > 0) & (over.ring <= BAND_PX)
    extends_q = over.inverse_depth[extends]
    # Where one surface goes on before another nothing is hidden.
    free = ~extends.ravel()[at]
    at, covers_q, rings = at[free], covers_q[free], rings[free]
    covers = np.zeros(whole.shape, dtype=np.bool_)
    covers.ravel()[at] = True
    overlap = (over.ring > BAND_PX) & ~covers
    del over
    beside = rings <= BAND_PX
    ahead = np.flatnonzero(extends)
    band = np.sort(np.concatenate([ahead, at[beside]]))
    near, far = whole.ravel()[band], whole.ravel()[band]
    near[np.searchsorted(band, ahead)] = extends_q
    far[np.searchsorted(band, at[beside])] = covers_q[beside]
    return Sides(extends, extends_q, covers, covers_q, overlap, band, near, far)


def steps_away(silhouettes: Silhouettes, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Count steps, 2 at the most, from each pixel to the nearest one beside a silhouette."""
    import cv2

    beside = np.zeros(shape, dtype=np.uint8)
    beside.ravel()[silhouettes.near] = 1
    beside.ravel()[silhouettes.far] = 1
    away = cv2.dilate(beside, np.ones((3, 3), np.uint8))
    away += beside
    return np.asarray(np.subtract(2, away, out=away))
