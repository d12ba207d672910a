"""`Relief`: how far surfaces of a scene move against each other in a film, exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap
from depth3d.core.camera import Camera
from depth3d.render.cuts import find_joints
from depth3d.render.inverse_depth import span_of
from depth3d.render.stage import Views

__all__ = ["Relief", "largest_length"]

_JUMP_SHARE = 0.015
"""Share of the scene's span of inverse depth from which neighbours belong to two surfaces."""
_TILES = 16
_VIEWS_AT_ONCE = 64
_SOME_PAIRS = 2000
_RESERVE = 1.1
"""How much faster than in its corners anything in a turned picture may move."""

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Relief:
    """What of a scene decides how far a camera may go.

    Attributes:
        camera: The photo's.
        still: Inverse depth of the still point.
        pair_uv: (m, 2) pixels between two neighbours that belong to two surfaces, largest gap first.
        pair_ends: (m, 2) inverse depth on both sides.
        tile_uv: (k, 2) corners of the tiles that the photo is cut into.
        tile_ends: (k, 2) least and largest inverse depth in the tile.
        span: From the farthest to the nearest part of the scene, in inverse depth.
    """

    camera: Camera
    still: float
    pair_uv: _Array
    pair_ends: _Array
    tile_uv: _Array
    tile_ends: _Array
    span: float

    @classmethod
    def of(cls, inverse_depth: FloatMap, camera: Camera, still: float) -> Relief:
        """Find the silhouettes and the range of depth of a scene.

        Args:
            inverse_depth: (H, W), 0 or more.
            camera: The photo's.
            still: Inverse depth of the still point.
        """
        far, near = span_of(inverse_depth)
        joints = find_joints(inverse_depth, max(_JUMP_SHARE * (near - far), 1e-9))
        uv, ends = [], []
        for is_down in (False, True):
            joined = (joints.down if is_down else joints.right).copy()
            joined[-1 if is_down else slice(None), slice(None) if is_down else -1] = True
            rows, cols = np.nonzero(~joined)
            other = (rows + 1, cols) if is_down else (rows, cols + 1)
            ends.append(np.stack([inverse_depth[rows, cols], inverse_depth[other]], axis=1))
            uv.append(np.stack([cols + (0.5 if is_down else 1.0), rows + (1.0 if is_down else 0.5)], axis=1))
        pair_uv, pair_ends = np.concatenate(uv), np.concatenate(ends).astype(np.float64)
        order = np.argsort(-np.abs(np.diff(pair_ends, axis=1)[:, 0]), kind="stable")
        tile_uv, tile_ends = _tiles(inverse_depth)
        return cls(camera, still, pair_uv[order], pair_ends[order], tile_uv, tile_ends, near - far)

    def largest_jump_px(self, views: Views) -> float:
        """Measure the largest parallax between neighbours of two surfaces: how much becomes uncovered.

        Parallax is no more than the gap times how fast anything in the picture moves by inverse depth, so
        that few pairs need a look.

        Args:
            views: Where the camera goes.

        Returns:
            Pixels of the photo; infinite if the camera comes to a surface.
        """
        if not len(self.pair_uv):
            return 0.0
        gap = np.abs(self.pair_ends[:, 0] - self.pair_ends[:, 1])
        speed = self._largest_speed(views)
        largest = 0.0
        for number in np.argsort(-speed):
            if not np.isfinite(speed[number]):
                return float("inf")
            count = int(np.searchsorted(-gap * speed[number] * _RESERVE, -largest))
            if not count:
                break
            uv, (first, second) = self.pair_uv[:count], self.pair_ends[:count].T
            view = views[number : number + 1]
            largest = max(largest, _apart(view, self.camera, uv, first, second))
        return largest

    def largest_motion_px(self, views: Views) -> float:
        """Measure how far anything moves against the plane of the still point: an upper bound, tile by tile.

        Args:
            views: Where the camera goes.

        Returns:
            Pixels of the photo; infinite if the camera comes to a surface.
        """
        still = np.full(len(self.tile_uv), self.still)
        return max(
            _apart(views[start : start + _VIEWS_AT_ONCE], self.camera, self.tile_uv, end, still)
            for start in range(0, len(views), _VIEWS_AT_ONCE)
            for end in self.tile_ends.T
        )

    def reach_px(self, views: Views) -> float:
        """Measure the parallax between the farthest and the nearest part of the scene, were they neighbours.

        What a silhouette uncovers is its own share of this: its gap by the span. Measured at the silhouettes,
        or where there are none, bounded in the corners.

        Args:
            views: Where the camera goes.

        Returns:
            Pixels of the photo; infinite if the camera comes to a surface.
        """
        if not len(self.pair_uv):
            return float(self._largest_speed(views).max()) * self.span
        some = slice(None, None, 1 + len(self.pair_uv) // _SOME_PAIRS)
        uv, (first, second) = self.pair_uv[some], self.pair_ends[some].T
        largest = 0.0
        for start in range(0, len(views), _VIEWS_AT_ONCE):
            part = views[start : start + _VIEWS_AT_ONCE]
            largest = max(largest, _apart(part, self.camera, uv, first, second, by=np.abs(first - second)))
        return largest * self.span

    def _largest_speed(self, views: Views) -> _Array:
        """Compute the most pixels by inverse depth at the photo's corners, where it is largest: (n,)."""
        width, height = self.camera.size_wh
        rays = self.camera.rays(
            np.array([(0, 0), (width, 0), (0, height), (width, height)], dtype=np.float64)
        )
        R, c = views.poses[:, :3, :3], views.poses[:, None, :3, 3]
        a, b = rays @ R, c @ R
        turned = views.focal[:, None] * (a[..., :2] * b[..., 2:] - b[..., :2] * a[..., 2:])
        least, most = self.tile_ends.min(), self.tile_ends.max()
        ahead = np.minimum(a[..., 2] - least * b[..., 2], a[..., 2] - most * b[..., 2])
        with np.errstate(divide="ignore", invalid="ignore"):
            speed = np.where(ahead > 0, np.linalg.norm(turned, axis=-1) / ahead**2, np.inf)
        return np.asarray(speed.max(axis=1), dtype=np.float64)


def largest_length(excess: Callable[[float], float], most: float) -> float:
    """Find the largest length of a path whose excess is 1.

    Parallax grows with the length, in proportion or faster. The result is never above the bound.

    Args:
        excess: Of a length: its parallax by the parallax that is allowed.
        most: Length that is not exceeded in any case.
    """
    low, high = 0.0, most
    at_low, at_high = 0.0, excess(most)
    if at_high <= 1:
        return most
    for _ in range(80):
        if not np.isfinite(at_high):
            length = (low + high) / 2
        elif low == 0:
            length = high / at_high
        else:  # as a power of the length, and a little less
            power = np.log(at_high / at_low) / np.log(high / low)
            length = float(np.clip(low * at_low ** (-1 / power) * (1 - 1e-9), low, high))
        now = excess(length)
        if now > 1:
            high, at_high = length, now
            continue
        low, at_low = length, now
        if now > 1 - 1e-7:
            break
    return low


def _apart(
    views: Views, camera: Camera, uv: _Array, first: _Array, second: _Array, by: _Array | float = 1.0
) -> float:
    a, b = views.project(camera, uv, first), views.project(camera, uv, second)
    with np.errstate(invalid="ignore"):
        apart = float((np.linalg.norm(a - b, axis=2) / by).max())
    return apart if np.isfinite(apart) else float("inf")


def _tiles(inverse_depth: FloatMap) -> tuple[_Array, _Array]:
    height, width = inverse_depth.shape
    rows = np.unique(np.linspace(0, height, min(_TILES, height) + 1).astype(int))
    cols = np.unique(np.linspace(0, width, min(_TILES, width) + 1).astype(int))
    least = np.minimum.reduceat(np.minimum.reduceat(inverse_depth, rows[:-1], 0), cols[:-1], 1)
    most = np.maximum.reduceat(np.maximum.reduceat(inverse_depth, rows[:-1], 0), cols[:-1], 1)
    ends = np.stack([least, most], axis=-1).reshape(-1, 2).astype(np.float64)
    u, v = np.meshgrid(cols, rows)
    corners = [(u[a, b], v[a, b]) for a in _BOTH for b in _BOTH]
    uv = np.concatenate([np.stack([u.ravel(), v.ravel()], axis=1) for u, v in corners])
    return uv.astype(np.float64), np.concatenate([ends] * 4)


_BOTH = (slice(None, -1), slice(1, None))
