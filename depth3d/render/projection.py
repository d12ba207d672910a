"""`Projection`: how the pixels of one picture move into another, by their inverse depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from depth3d.core.camera import Camera
from depth3d.errors import InputError

__all__ = ["Projection"]

_BEHIND = 1e-4
"""A point whose depth in the view is less than this share of its depth in the photo is behind the camera."""
_FARTHEST = 1e30
"""Beyond it float32 overflows."""
_FAR_OUT = -1e9
"""Pixel at which points behind the camera are said to be."""


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """The map from pixels (u, v) with inverse depth q in one camera to pixels of another.

    With R and t of the view's pose, the point is seen at the homogeneous pixel A (u, v, 1) + q b, where
    A = K' R^T K^-1 and b = -K' R^T t, whose third part is the ratio of its two depths. So pixels move along
    straight lines as q grows, everything is finite at infinity (q = 0), and planes, whose q is affine in
    (u, v), map by a homography. Source: Hartley and Zisserman, "Multiple View Geometry", 2nd ed., 9.6.2.

    Attributes:
        A: (3, 3).
        b: (3,).
        back: (3, 3) A^-1.
        origin: (3,) A^-1 b: the homogeneous pixel of the view's centre in the first camera, negated.
    """

    A: npt.NDArray[np.float64]
    b: npt.NDArray[np.float64]
    back: npt.NDArray[np.float64]
    origin: npt.NDArray[np.float64]

    @classmethod
    def between(cls, source: Camera, pose: npt.NDArray[np.float64], target: Camera) -> Projection:
        """Make the map from a camera at the origin to one at a pose (4, 4), `T_world_camera`.

        Raises:
            InputError: The pose is farther away than float32 can tell.
        """
        R, t = pose[:3, :3], pose[:3, 3]
        A = target.matrix @ R.T @ np.linalg.inv(source.matrix)
        back = source.matrix @ R @ np.linalg.inv(target.matrix)
        if not np.abs(t).max() < _FARTHEST:
            raise InputError(f"the camera must stay within {_FARTHEST:.0e} of the photo's, got {t.tolist()}")
        return cls(A, -target.matrix @ R.T @ t, back, -source.matrix @ t)

    def moved(self, by_px: float) -> Projection:
        """Count the view's pixels from another place: add a number to both coordinates."""
        shift = np.array([[1, 0, by_px], [0, 1, by_px], [0, 0, 1.0]])
        A, b = shift @ self.A, shift @ self.b
        return Projection(A, b, self.back @ np.linalg.inv(shift), self.origin)

    def forward(
        self, u: torch.Tensor, v: torch.Tensor, q: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | float]:
        """Find the pixels where points are seen.

        Args:
            u: Columns, of a shape that broadcasts to that of q, such as (1, w).
            v: Rows, such as (h, 1).
            q: Inverse depths.

        Returns:
            u, v in the view, far outside of it for points behind it, and the ratio of z in the view to z in
            the first camera: a number where it is the same for all.
        """
        ratio: torch.Tensor | float = self._homogeneous(2, u, v, q)
        across, down = self._homogeneous(0, u, v, q), self._homogeneous(1, u, v, q)
        if isinstance(ratio, torch.Tensor):
            inverse = 1 / ratio
            across, down = _expanded(across, q).mul_(inverse), _expanded(down, q).mul_(inverse)
            if not bool(ratio.min() > _BEHIND):
                seen = ratio > _BEHIND
                across, down = torch.where(seen, across, _FAR_OUT), torch.where(seen, down, _FAR_OUT)
            return across, down, ratio
        if ratio <= _BEHIND:
            return torch.full_like(q, _FAR_OUT), torch.full_like(q, _FAR_OUT), ratio
        return _expanded(across, q).div_(ratio), _expanded(down, q).div_(ratio), ratio

    def _homogeneous(self, row: int, u: torch.Tensor, v: torch.Tensor, q: torch.Tensor) -> Any:
        a, b, c = (float(x) for x in self.A[row])
        shift = float(self.b[row])
        fixed: Any = c
        if a:
            fixed = u * a + fixed
        if b:
            fixed = v * b + fixed
        if not shift:
            return fixed
        if not isinstance(fixed, torch.Tensor):
            return q * shift + fixed
        return torch.add(fixed, q, alpha=shift)

    def ratio(self, u: torch.Tensor, v: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        """Give z in the view over z in the first camera."""
        value = self._homogeneous(2, u, v, q)
        return value if isinstance(value, torch.Tensor) else torch.full_like(q, value)

    def on_planes(
        self, x: torch.Tensor, y: torch.Tensor, plane: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Find where the rays of view pixels meet planes: exactly, by two linear equations.

        Args:
            x: Columns of the view, of a shape that broadcasts to that of the planes.
            y: Rows.
            plane: (a, b, c) with inverse depth q = a u + b v + c.

        Returns:
            u, v in the first camera, not finite where the ray misses the plane, and the determinant of the
            equations: det d(x, y)/d(u, v) times the square of the ratio of depths.
        """
        A, b = self.A, self.b
        alpha, beta, gamma = plane
        ex, ey = float(b[0]) - x * float(b[2]), float(b[1]) - y * float(b[2])
        m11 = torch.addcmul(float(A[0, 0]) - x * float(A[2, 0]), ex, alpha)
        m12 = torch.addcmul(float(A[0, 1]) - x * float(A[2, 1]), ex, beta)
        m21 = torch.addcmul(float(A[1, 0]) - y * float(A[2, 0]), ey, alpha)
        m22 = torch.addcmul(float(A[1, 1]) - y * float(A[2, 1]), ey, beta)
        r1 = torch.addcmul(float(A[0, 2]) - x * float(A[2, 2]), ex, gamma)
        r2 = torch.addcmul(float(A[1, 2]) - y * float(A[2, 2]), ey, gamma)
        det = (m11 * m22).addcmul_(m12, m21, value=-1)
        inverse = -1 / det
        u = (r1 * m22).addcmul_(r2, m12, value=-1).mul_(inverse)
        v = (r2 * m11).addcmul_(r1, m21, value=-1).mul_(inverse)
        return u, v, det

    def backward(
        self, x: torch.Tensor, y: torch.Tensor, q: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Find the pixels of the first camera at which points of inverse depth q, seen at (x, y), lie.

        Rays that go away from the first camera's picture end far outside of it, on the side to which they go.
        """
        ray = [x * float(r[0]) + y * float(r[1]) + float(r[2]) for r in self.back]
        scale = (1 + q * float(self.origin[2])).clamp_(min=_BEHIND) / ray[2].clamp(min=_BEHIND)
        u, v = (ray[i] * scale - q * float(self.origin[i]) for i in (0, 1))
        return u, v


def _expanded(value: Any, like: torch.Tensor) -> torch.Tensor:
    """Give a tensor of its own of the shape of another."""
    if not isinstance(value, torch.Tensor):
        return torch.full_like(like, value)
    return value if value.shape == like.shape else value.expand(like.shape).clone()
