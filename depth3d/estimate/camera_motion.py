"""`CameraMotion`: how a camera moved between two frames, told by the flow of what stands still."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatArray, FloatMap

__all__ = ["CameraMotion", "camera_motion"]

_FOCAL_PER_SIDE = 0.9
"""Focal length as a share of the longer side: that of a lens of 58 degrees, right enough for small turns."""

_STEP_PX = 4
_LEAST_SAMPLES, _MOST_SAMPLES = 60, 5000
"""Flow is smooth, and more samples say little more; with more, BLAS starts threads, which spin, waiting for
the next product, in the way of the network."""

_ROUNDS = 6
_RIDGE = 1e-7
_STANDING_PX = 0.05
"""Where no more than half of what is seen moves farther, the camera stands."""

_EXPLAINED_PX, _EXPLAINED_SHARE = 0.3, 0.1
"""A motion explains a flow that it meets this well, in pixels, or as a share of the flow."""

_FINDING_PX = 40
"""What a fit leaves is smooth: so large a square counts as one finding of it."""

_CERTAINTY = 2.0
"""How many times its variance the square of an approach must be to count; it is shrunk by what is less."""

_LARGEST_GROWTH = 0.2
"""No film shows things come a fifth nearer in a frame."""


@dataclass(frozen=True, slots=True, eq=False)
class CameraMotion:
    """The motion of a camera from one frame to another, among things that don't move.

    A point P of the first frame's camera is at P + w x P + a of the second's (Longuet-Higgins and Prazdny,
    Proc. R. Soc. B 208, 1980), which moves its picture, in units of the focal length, by

        u = w_y (1 + x^2) - w_z y - w_x x y + (a_x - x a_z) / z - x s
        v = -w_x (1 + y^2) + w_z x + w_y x y + (a_y - y a_z) / z - y s

    and its depth by the factor 1 + w_x y - w_y x + a_z / z + s. The share s stands for what a relative map
    does not tell, the part of 1/z that is the same everywhere, and for a zoom, which looks alike.

    Attributes:
        parameters: (w_x, w_y, w_z, a_x, a_y, a_z, s): radians, and shares of the distance at which the
            inverse depth is `level`.
        level: The inverse depth that counts as 1.
    """

    parameters: npt.NDArray[np.float32]
    level: float

    def flow(self, nearness: FloatMap) -> FloatMap:
        """Tell where the pixels of the first frame are in the second.

        Args:
            nearness: (h, w) inverse depth of the first frame, in the unit of `level`; NaN where unknown.

        Returns:
            (h, w, 2) pixels, NaN where the depth is unknown.
        """
        x, y, focal_px = _rays(*nearness.shape)
        flow = np.empty((*nearness.shape, 2), np.float32)
        flow[..., 0], flow[..., 1] = self.shifts(nearness / np.float32(self.level), x, y)
        flow *= np.float32(focal_px)
        return flow

    def shifts(self, near: FloatArray, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Evaluate u and v of the law above.

        Args:
            near: Inverse depths, those at `level` being 1.
            x: Of the same points, or of their columns, in units of the focal length.
            y: Likewise, or of their rows.
        """
        wx, wy, wz, ax, ay, az, s = self.parameters
        u = near * (ax - x * az) + (wy * (1 + x * x) - s * x) - y * (wz + wx * x)
        v = near * (ay - y * az) - (wx * (1 + y * y) + s * y) + x * (wz + wy * y)
        return u, v

    def growth(self, nearness: FloatMap) -> FloatMap:
        """Tell by which share inverse depth is larger in the first frame than in the second.

        Args:
            nearness: (h, w) inverse depth of the first frame, in the unit of `level`; NaN where unknown.

        Returns:
            (h, w), at most 0.2 either way; 0 where the depth is unknown.
        """
        x, y, _ = _rays(*nearness.shape)
        wx, wy, _, _, _, az, s = self.parameters
        share = wx * y - wy * x + az * (nearness / np.float32(self.level)) + s
        return np.asarray(np.clip(np.nan_to_num(share), -_LARGEST_GROWTH, _LARGEST_GROWTH))


def camera_motion(flow: FloatMap, nearness: FloatMap, weights: FloatMap) -> CameraMotion:
    """Fit the motion of the camera to the flow, by reweighted least squares.

    With an inverse depth that is known up to scale, the flow is linear in rotation and translation.

    Args:
        flow: (h, w, 2) pixels, from the first frame to the second.
        nearness: (h, w) inverse depth of the first frame, up to scale; NaN where unknown.
        weights: (h, w) at least 0: how well the flow is known.

    Returns:
        The motion; none where nothing moves, too little is known, or less than half of the flow is explained.
    """
    step = max(_STEP_PX, math.ceil(math.sqrt(nearness.size / _MOST_SAMPLES)))
    thin = (slice(step // 2, None, step), slice(step // 2, None, step))
    near, weight = nearness[thin], weights[thin]
    used = (weight > 1e-3) & np.isfinite(near)
    level = float(np.median(np.abs(near[used]))) if used.sum() >= _LEAST_SAMPLES else 0.0
    none = CameraMotion(np.zeros(7, np.float32), 1.0)
    if not level > 0 or not flow.any():
        return none
    seen, weight, near = flow[thin][used], weight[used], near[used] / np.float32(level)
    if float(np.median(np.abs(seen).max(axis=1))) < _STANDING_PX:
        return none
    x, y, focal_px = _rays(*nearness.shape)
    columns, rows = (np.broadcast_to(a, nearness.shape)[thin][used] for a in (x, y))
    found = _fitted(seen / focal_px, near, columns, rows, weight, (_FINDING_PX / step) ** 2)
    motion = CameraMotion(found.astype(np.float32), level)
    told = np.float32(focal_px) * np.stack(motion.shifts(near, columns, rows))
    explained = np.hypot(*(told - seen.T)) < _EXPLAINED_PX + _EXPLAINED_SHARE * np.hypot(*seen.T)
    return motion if (weight * explained).sum() > 0.5 * weight.sum() else none


def _fitted(
    flow: FloatArray,
    near: FloatArray,
    x: FloatArray,
    y: FloatArray,
    weights: FloatArray,
    samples_per_finding: float,
) -> npt.NDArray[np.float64]:
    x, y, near, prior = (np.asarray(a, dtype=np.float64) for a in (x, y, near, weights))
    zero = np.zeros_like(x)
    parts = np.array(  # (2, 7, n): what each parameter adds to u and to v
        [
            [-x * y, 1 + x * x, -y, near, zero, -x * near, -x],
            [-1 - y * y, x * y, x, zero, near, -y * near, -y],
        ]
    )
    target = np.asarray(flow.T, dtype=np.float64)
    weight = prior
    motion = np.zeros(7)
    for _ in range(_ROUNDS):
        weighted = parts * weight
        normal = (weighted @ parts.transpose(0, 2, 1)).sum(axis=0)
        normal += _RIDGE * 2 * float(weight.sum()) * np.eye(7)
        motion = np.linalg.solve(normal, np.einsum("akn,an->k", weighted, target))
        gap = np.hypot(*(target - np.einsum("akn,k->an", parts, motion)))
        limit = 2.0 * max(float(np.median(gap)), 1e-5)
        weight = prior / np.square(1 + np.square(gap / limit))
    # What the fit leaves is smooth, so that only one sample in many counts.
    noise = samples_per_finding * (1.4826 * float(np.median(gap))) ** 2 / 2
    doubt = noise * np.linalg.inv(normal)[5:, 5:]
    nearing = np.stack([near, np.ones_like(near)])
    power = float(np.square(np.einsum("kn,k->n", nearing, motion[5:])).mean())
    variance = float(np.einsum("in,ij,jn->n", nearing, doubt, nearing).mean())
    motion[5:] *= max(0.0, 1 - _CERTAINTY * variance / power) if power > 0 else 0.0
    return np.asarray(motion)


def _rays(height: int, width: int) -> tuple[FloatMap, FloatMap, float]:
    """Give x as a row, y as a column, in units of the focal length, and that in pixels."""
    focal_px = _FOCAL_PER_SIDE * max(height, width)
    x = (np.arange(width, dtype=np.float32) + np.float32(0.5 - width / 2)) / np.float32(focal_px)
    y = (np.arange(height, dtype=np.float32) + np.float32(0.5 - height / 2)) / np.float32(focal_px)
    return x[None, :], y[:, None], focal_px
