"""Bundle adjustment of one lens and many views of a flat board: Levenberg-Marquardt with a Schur complement.

The lens has a dozen numbers that all views share and every view has six of its own, so that each step solves
one small system (Triggs et al., "Bundle Adjustment: A Modern Synthesis", 2000).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.calibrate.boards import BoardView
from depth3d.core.distortion import DistortionModel, undistort

__all__ = ["Bundle", "adjust", "pose_of_board"]

_Array: TypeAlias = npt.NDArray[np.float64]

_MAX_STEPS = 100
_TOLERANCE = 1e-10  # of the cost, between two steps
_EXACT = 1e-9  # square pixels of a view: the measurements are exact
_TINY = 1e-12
_STUCK = 1e8  # damping of a step that no longer moves anything


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A lens and the poses of its views.

    Attributes:
        lens: (4 + k,) fx, fy, cx, cy and the coefficients, in pixels with centres at +0.5.
        poses: (n, 6) Rodrigues vector and translation in metres, board to camera.
        model: What the coefficients mean.
        residuals: One (m, 2) array of pixels a view, projection less measurement.
        information: (q, q) of the free numbers of the lens, poses eliminated, for a sigma of one pixel.
        scores: (n, q) how each view pulls at the free numbers, poses eliminated.
    """

    lens: _Array
    poses: _Array
    model: DistortionModel
    residuals: tuple[_Array, ...]
    information: _Array
    scores: _Array

    @property
    def cost(self) -> float:
        """Sum of squared residuals in square pixels."""
        return float(sum((r * r).sum() for r in self.residuals))


def adjust(
    views: Sequence[BoardView],
    lens: _Array,
    poses: _Array,
    model: DistortionModel,
    free: _Array,
    *,
    max_steps: int = _MAX_STEPS,
) -> Bundle:
    """Move the lens and all poses until the reprojection error is least.

    Args:
        views: n views of boards.
        lens: (4 + k,) where to start.
        poses: (n, 6) where to start.
        model: What the coefficients mean.
        free: (4 + k, q) which directions the lens may move in: columns of the identity, or sums of them.
        max_steps: When to stop in any case.

    Returns:
        The minimum that is reached from there.
    """
    damping = 1e-3
    with np.errstate(all="ignore"):  # a step may lead beyond a pole or behind the camera
        bundle, parts = _linearised(views, lens, poses, model, free)
        for _ in range(max_steps if np.isfinite(bundle.cost) else 0):
            step, moves = _step(parts, damping)
            tried, its = _linearised(views, bundle.lens + free @ step, bundle.poses + moves, model, free)
            if not tried.cost < bundle.cost:
                damping *= 10
                if damping > _STUCK:
                    break
                continue
            gained = bundle.cost - tried.cost
            bundle, parts, damping = tried, its, max(damping / 10, _TINY)
            if gained <= _TOLERANCE * bundle.cost + _EXACT * len(views):
                break
    return bundle


def pose_of_board(view: BoardView, lens: _Array, model: DistortionModel) -> _Array | None:
    """Find where a board is, for a lens that is known.

    Returns:
        (6,) Rodrigues vector and translation; None where the lens can't have seen it so.
    """
    import cv2

    ideal = undistort((view.uv_px - lens[2:4]) / lens[:2], tuple(lens[4:]), model)
    known = np.isfinite(ideal).all(axis=1)
    if known.sum() < 6:
        return None
    flags = cv2.SOLVEPNP_IPPE  # for what is flat
    points, seen = view.points_m[known], ideal[known]
    try:
        done, turn, shift = cv2.solvePnP(points, seen, np.eye(3), None, flags=flags)
    except cv2.error:
        return None
    pose = np.concatenate([np.ravel(turn), np.ravel(shift)])
    return pose if done and np.isfinite(pose).all() else None


_Parts: TypeAlias = tuple[_Array, _Array, _Array, _Array, _Array]
"""Of n views: (n, q, q), (n, q, 6) and (n, 6, 6) normal equations, (n, q) and (n, 6) gradients."""


def _linearised(
    views: Sequence[BoardView], lens: _Array, poses: _Array, model: DistortionModel, free: _Array
) -> tuple[Bundle, _Parts]:
    """Project everything; build each view's blocks of the normal equations."""
    residuals, blocks = [], []
    for view, pose in zip(views, poses, strict=True):
        uv, by_lens, by_pose = _projected(view.points_m, pose, lens, model)
        error = uv - view.uv_px
        by_free = by_lens @ free
        residuals.append(error)
        blocks.append(
            (by_free.T @ by_free, by_free.T @ by_pose, by_pose.T @ by_pose,
             by_free.T @ error.ravel(), by_pose.T @ error.ravel())
        )  # fmt: skip
    a, b, c, g, h = (np.array(block) for block in zip(*blocks, strict=True))
    eliminated = b @ _inverse(c)
    information = (a - eliminated @ b.swapaxes(1, 2)).sum(axis=0)
    scores = g - (eliminated @ h[..., None])[..., 0]
    return Bundle(lens, poses, model, tuple(residuals), information, scores), (a, b, c, g, h)


def _step(parts: _Parts, damping: float) -> tuple[_Array, _Array]:
    """Solve the damped normal equations, poses eliminated."""
    a, b, c, g, h = parts
    diagonal = np.einsum("nii->i", a)
    inverse = _inverse(c + damping * np.einsum("nii->ni", c)[:, :, None] * np.eye(6))
    eliminated = b @ inverse
    left = (a - eliminated @ b.swapaxes(1, 2)).sum(axis=0)
    right = (g - (eliminated @ h[..., None])[..., 0]).sum(axis=0)
    # Columns differ by many powers of ten: solve for shares of their own lengths.
    length = np.sqrt(np.maximum(diagonal, _TINY))
    scaled = left / np.outer(length, length) + damping * np.eye(len(length))
    step = -np.linalg.lstsq(scaled, right / length, rcond=None)[0] / length
    moves = -(inverse @ (h + np.einsum("nqp,q->np", b, step))[..., None])[..., 0]
    return step, moves


def _inverse(blocks: _Array) -> _Array:
    """Invert a stack of (6, 6) blocks; NaN where they hold no numbers."""
    known = np.isfinite(blocks).all(axis=(1, 2))
    inverse = np.full_like(blocks, np.nan)
    inverse[known] = np.linalg.inv(blocks[known] + _TINY * np.eye(6))
    return inverse


def _projected(
    points: _Array, pose: _Array, lens: _Array, model: DistortionModel
) -> tuple[_Array, _Array, _Array]:
    """Project board points; (m, 2) pixels and their (2m, 4 + k) and (2m, 6) derivatives."""
    import cv2

    matrix = np.array([[lens[0], 0, lens[2]], [0, lens[1], lens[3]], [0, 0, 1]])
    turn, shift, k = pose[:3].copy(), pose[3:].copy(), lens[4:].copy()
    jacobian: Any
    if model == "fisheye":
        uv, jacobian = cv2.fisheye.projectPoints(points[None], turn, shift, matrix, k)
        by_lens, by_pose = jacobian[:, :8], jacobian[:, 8:14]
    else:
        uv, jacobian = cv2.projectPoints(points, turn, shift, matrix, k)[:2]
        by_lens, by_pose = jacobian[:, 6 : 10 + len(k)], jacobian[:, :6]
    uv = np.asarray(uv, dtype=np.float64).reshape(-1, 2)
    rotation = cv2.Rodrigues(turn)[0]
    if (points @ rotation[2] + shift[2] <= 0).any():
        uv = np.full_like(uv, np.nan)  # and so the cost: no step goes behind the camera
    return uv, by_lens, by_pose
