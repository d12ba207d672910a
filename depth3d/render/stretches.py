"""`stretched_points`: more points where a view pulls the pixels of a surface apart, so that none shows through."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from depth3d.render.points import Points
from depth3d.render.projection import Projection

__all__ = ["stretched_points"]

_BLOCK_PX = 16
_MOST_PX = 1.9
"""Pixels that neighbours may be apart; points that touch 2 x 2 pixels leave no gap up to 2."""
_MOST_STEPS = 64
"""Points are not multiplied by more than this, across and down."""

Extra = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def stretched_points(
    points: Points, projection: Projection, size_wh: tuple[int, int], chunk: int
) -> Iterator[Extra]:
    """Put points between those that come to lie more than a pixel or two apart.

    They lie in the local planes of points, half a pixel around them, and a whole pixel where a surface ends.

    Args:
        points: The points.
        projection: To the view.
        size_wh: Of the view.
        chunk: How many to make at a time, about.

    Yields:
        Points to which the new ones belong, and their u, v and inverse depth.
    """
    blocks = points.blocks(_BLOCK_PX)
    steps = np.ceil(_stretch(blocks, projection, size_wh) / _MOST_PX)
    steps = np.minimum(steps, _MOST_STEPS).astype(np.int64)
    for n in np.unique(steps[steps > 1]):
        for point in _points_of(points, blocks, steps == n, chunk):
            yield from _between(points, point, int(n), projection, size_wh, chunk)


def _stretch(blocks, projection: Projection, size_wh: tuple[int, int]) -> np.ndarray:
    """Bound how far apart neighbours of each block come to lie, in pixels; 0 for blocks out of sight.

    The derivative of the homogeneous pixel by u is A_u + a b, with a the slope of inverse depth; that of the
    pixel x is (X_u - x W_u) / W. It is bounded at the corners of what u, v, q, a, b and x may be.
    """
    A, b = projection.A, projection.b
    us = blocks.u  # (2, n) least and most
    W = [
        A[2, 0] * us[i] + A[2, 1] * blocks.v[j] + A[2, 2] + b[2] * blocks.q[k]
        for i in (0, 1)
        for j in (0, 1)
        for k in (0, 1)
    ]
    X = [
        [
            A[r, 0] * us[i] + A[r, 1] * blocks.v[j] + A[r, 2] + b[r] * blocks.q[k]
            for i in (0, 1)
            for j in (0, 1)
            for k in (0, 1)
        ]
        for r in (0, 1)
    ]
    least_w = np.min(W, axis=0)
    behind = np.max(W, axis=0) <= 1e-4
    safe = np.maximum(least_w, 1e-3)
    result = np.zeros(us.shape[1])
    outside = behind.copy()
    for r, side in ((0, size_wh[0]), (1, size_wh[1])):
        # All corners beyond one side of the view, whatever W: X < -2 W or X > (side + 2) W.
        outside |= np.all([x < -2 * w for x, w in zip(X[r], W, strict=True)], axis=0) & (least_w > 0)
        outside |= np.all([x > (side + 2) * w for x, w in zip(X[r], W, strict=True)], axis=0) & (least_w > 0)
        total = np.zeros_like(result)
        for column, slope in ((0, blocks.a), (1, blocks.b)):
            total += np.max(
                [
                    np.abs(A[r, column] + b[r] * slope[k] - x * (A[2, column] + b[2] * slope[k]))
                    for k in (0, 1)
                    for x in (0.0, float(side))
                ],
                axis=0,
            )
        result = np.maximum(result, total / safe)
    return np.where(outside, 0, result)


def _points_of(points: Points, blocks, wanted: np.ndarray, chunk: int) -> Iterator[torch.Tensor]:
    numbers = torch.nonzero(torch.from_numpy(wanted)).to(points.device)[:, 0]
    inner = torch.arange(_BLOCK_PX, device=points.device)
    for some in numbers.split(max(1, chunk // _BLOCK_PX**2)):
        v = (some // blocks.across * _BLOCK_PX)[:, None, None] + inner[:, None]
        u = (some % blocks.across * _BLOCK_PX)[:, None, None] + inner
        pixel = (v * points.width + u)[((u < points.width) & (v < points.height)).expand(len(some), 16, 16)]
        behind = points.back_point[pixel]
        yield torch.cat([pixel, behind[behind >= 0].long()])


def _between(
    points: Points,
    point: torch.Tensor,
    n: int,
    projection: Projection,
    size_wh: tuple[int, int],
    chunk: int,
) -> Iterator[Extra]:
    for at_end in (False, True):
        some = point[(points.clear[point] == 0) == at_end]
        some = some[points.rank[some] > 0]
        pixel = points.pixel(some)
        u, v = (pixel % points.width).float() + 0.5, (pixel // points.width).float() + 0.5
        a, b = points.plane[0][some], points.plane[1][some]
        q = points.q[some]
        x, y, _ = projection.forward(u, v, q)
        reach = 2 * _MOST_PX * n
        seen = (x > -reach) & (x < size_wh[0] + reach) & (y > -reach) & (y < size_wh[1] + reach)
        some, u, v, a, b, q = (each[seen] for each in (some, u, v, a, b, q))
        count, half = (2 * n, 1.0) if at_end else (n, 0.5)
        offset = ((torch.arange(count, device=points.device) + 0.5) / count * 2 - 1) * half
        du, dv = (d.reshape(-1) for d in torch.meshgrid(offset, offset, indexing="xy"))
        each = max(1, chunk // count**2)
        for start in range(0, len(some), each):
            part = slice(start, start + each)
            spread = q[part, None] + a[part, None] * du + b[part, None] * dv
            yield (
                some[part].repeat_interleave(count**2),
                (u[part, None] + du).reshape(-1),
                (v[part, None] + dv).reshape(-1),
                spread.clamp_(min=0).reshape(-1),
            )
