"""`stretched_points`: more points where a view pulls a surface's pixels apart, so that it has no gaps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import numpy.typing as npt
import torch

from depth3d.core.arrays import FloatArray
from depth3d.render.points import Blocks, Points
from depth3d.render.projection import Projection

__all__ = ["stretched_points"]

_BLOCK_PX = 16
_MOST_PX = 1.9
"""Pixels that neighbours may be apart; points that touch 2 x 2 pixels leave no gap up to 2."""
_MOST_STEPS = 48
"""Points that a pixel may be given at most, across and down."""

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
    stretched = _bound(blocks, projection, size_wh) > _MOST_PX
    for some in _points_of(points, blocks, stretched, chunk):
        yield from _between(points, *_steps(points, some, projection, size_wh), chunk)


def _bound(blocks: Blocks, projection: Projection, size_wh: tuple[int, int]) -> FloatArray:
    """Bound how far apart neighbours of each block come to lie, in pixels; 0 for blocks out of sight.

    The derivative of the homogeneous pixel X by u is A_u + a b, with a the slope of inverse depth; that of
    the pixel x is (X_u - x W_u) / W. It is bounded at the corners of what u, v, q, a and x may be.
    """
    A, b = projection.A, projection.b
    corners = list(product((0, 1), repeat=3))
    X, Y, W = (
        np.stack(
            [
                A[r, 0] * blocks.u[i] + A[r, 1] * blocks.v[j] + A[r, 2] + b[r] * blocks.q[k]
                for i, j, k in corners
            ]
        )
        for r in range(3)
    )
    in_front = W.min(axis=0) > 0
    hidden = W.max(axis=0) <= 0
    result = np.zeros(W.shape[1])
    for r, (of, side) in enumerate(((X, size_wh[0]), (Y, size_wh[1]))):
        hidden |= in_front & ((of < -2 * W).all(axis=0) | (of > (side + 2) * W).all(axis=0))
        total = np.zeros_like(result)
        for column, slope in ((0, blocks.a), (1, blocks.b)):
            sides = [
                np.abs(A[r, column] + b[r] * slope[k] - x * (A[2, column] + b[2] * slope[k]))
                for k, x in product((0, 1), (0.0, float(side)))
            ]
            total += np.max(sides, axis=0)
        result = np.maximum(result, total / np.maximum(W.min(axis=0), 1e-3))
    return np.where(hidden, 0, result)


def _points_of(
    points: Points, blocks: Blocks, wanted: npt.NDArray[np.bool_], chunk: int
) -> Iterator[torch.Tensor]:
    """List the points of some blocks, a chunk at a time."""
    side = _BLOCK_PX
    inner = torch.arange(side, device=points.device)
    numbers = np.flatnonzero(wanted)
    for start in range(0, len(numbers), max(1, chunk // side**2)):
        some = torch.from_numpy(numbers[start : start + max(1, chunk // side**2)]).to(points.device)
        v = (some // blocks.across * side)[:, None, None] + inner[:, None]
        u = (some % blocks.across * side)[:, None, None] + inner
        within = ((u < points.width) & (v < points.height)).expand(len(some), side, side)
        pixel = (v * points.width + u)[within]
        behind = points.back_point(pixel)
        yield torch.cat([pixel, behind[behind >= 0]])


def _steps(
    points: Points, point: torch.Tensor, projection: Projection, size_wh: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tell into how many steps the pixels of points are to be cut, of those that are stretched.

    Returns:
        (k,) points and (2, k) steps a pixel across and down.
    """
    point = point[points.rank.index_select(0, point) > 0]
    u, v = points.position(point)
    a, b = (slope.index_select(0, point) for slope in points.plane[:2])
    x, y, ratio = projection.forward(u, v, points.q.index_select(0, point))
    A, move = projection.A, projection.b
    wu, wv = (float(A[2, k]) + slope * float(move[2]) for k, slope in ((0, a), (1, b)))
    most, across, down = torch.zeros((3, len(point)), device=points.device)
    beyond = torch.zeros_like(u, dtype=torch.bool)
    for r, (of, side) in enumerate(((x, size_wh[0]), (y, size_wh[1]))):
        by_u = (float(A[r, 0]) + a * float(move[r]) - of * wu).abs() / ratio
        by_v = (float(A[r, 1]) + b * float(move[r]) - of * wv).abs() / ratio
        across, down = torch.maximum(across, by_u), torch.maximum(down, by_v)
        most = torch.maximum(most, by_u + by_v)
        beyond |= (of < -most) | (of > side + most)
    seen = (most > _MOST_PX) & ~beyond
    # The two together may pull a corner by their sum.
    steps = torch.stack([across[seen], down[seen]]) * (2 / _MOST_PX)
    return point[seen], steps.ceil().clamp(1, _MOST_STEPS)


def _between(points: Points, point: torch.Tensor, steps: torch.Tensor, chunk: int) -> Iterator[Extra]:
    """Fill the pixel of each point with points, and twice as much on sides where the surface ends."""
    links = points.links.index_select(0, point)
    right, left, below, above = (torch.where((links & (1 << k)) > 0, 0.5, 1.0) for k in range(4))
    across = (steps[0] * (left + right)).ceil().to(torch.int64)
    down = (steps[1] * (above + below)).ceil().to(torch.int64)
    ends = torch.cumsum(across * down, 0)
    start = 0
    while start < len(point):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(torch.searchsorted(ends, before + chunk)))
        part = slice(start, stop)
        count = (across * down)[part]
        first = torch.repeat_interleave(ends[part] - count - before, count)
        of = torch.repeat_interleave(torch.arange(start, stop, device=points.device), count)
        number = torch.arange(len(of), device=points.device) - first
        n_across, n_down = across[of], down[of]
        du = ((number % n_across).float() + 0.5) / n_across * (left + right)[of] - left[of]
        dv = (torch.div(number, n_across, rounding_mode="floor").float() + 0.5) / n_down
        dv = dv * (above + below)[of] - above[of]
        some = point[of]
        u, v = points.position(some)
        q = points.q[some] + points.plane[0][some] * du + points.plane[1][some] * dv
        yield some, u + du, v + dv, q.clamp_(min=0)
        start = stop
