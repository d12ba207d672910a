"""`Stage`: a photo's camera and its still point, and the views that keep that point where it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.camera import Camera

__all__ = ["Aim", "Stage", "Views"]

Aim: TypeAlias = Literal["shift", "look", "ahead"]
"""How the still point is kept: by shifting the picture behind the lens, as view cameras do (`shift`), by
turning the camera towards it (`look`), or not at all (`ahead`)."""

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """Pinhole views of one scene.

    Attributes:
        poses: (n, 4, 4) `T_world_camera`; the world is the photo's camera frame.
        focal: (n, 2) fx and fy in pixels of the photo.
        center: (n, 2) cx and cy in pixels of the photo.
    """

    poses: _Array
    focal: _Array
    center: _Array

    def __len__(self) -> int:
        return len(self.poses)

    def __getitem__(self, some: slice) -> Views:
        """Take some of the views."""
        return Views(self.poses[some], self.focal[some], self.center[some])

    def project(self, camera: Camera, uv_px: _Array, inverse_depth: _Array) -> _Array:
        """Tell where surfaces of the photo come to lie.

        Args:
            camera: The photo's.
            uv_px: (m, 2) pixels of the photo.
            inverse_depth: (m,) of the surface seen there; 0 is infinitely far away.

        Returns:
            (n, m, 2) pixels; infinite for what is not in front of a view.
        """
        q = _rays(camera, uv_px)[None] - inverse_depth[None, :, None] * self.poses[:, None, :3, 3]
        q = q @ self.poses[:, :3, :3]
        with np.errstate(divide="ignore", invalid="ignore"):
            xy = np.where(q[..., 2:] > 0, q[..., :2] / q[..., 2:], np.inf)
        return np.asarray(xy * self.focal[:, None] + self.center[:, None], dtype=np.float64)

    def framed(self, left_top: _Array, scale: npt.ArrayLike) -> Views:
        """Cut a window out of each view, and enlarge it.

        Args:
            left_top: (n, 2) or (2,) pixels of the window's upper left corner.
            scale: (n, 1), (2,) or a number: pixels of the result a pixel of the view.
        """
        factor = np.asarray(scale, dtype=np.float64)
        return Views(self.poses, self.focal * factor, (self.center - left_top) * factor)

    def camera(self, number: int, size_wh: tuple[int, int]) -> Camera:
        """Make the camera of one view, for a picture of some size."""
        (fx, fy), (cx, cy) = self.focal[number], self.center[number]
        return Camera(float(fx), float(fy), float(cx), float(cy), *size_wh)


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Where a film is made.

    Attributes:
        camera: The photo's; distortion is left out.
        point: (u, v) in pixels of the still point.
        inverse_depth: Of the still point; 0 is infinitely far away.
    """

    camera: Camera
    point: tuple[float, float]
    inverse_depth: float

    def views(
        self,
        position: _Array,
        *,
        zoom: npt.ArrayLike = 1.0,
        aim: Aim = "shift",
        hold_size: bool = False,
        turn_deg: _Array | None = None,
    ) -> Views:
        """Put the camera somewhere, and keep the still point on its pixel.

        With the ray d = ((u - cx) / fx, (v - cy) / fy, 1) and the inverse depth w of the still point, a
        camera at c sees it along R^T (d - w c), which holds at infinity too. `look` turns d to there the
        shortest way (Rodrigues); then the principal point makes up for what is left.

        Args:
            position: (n, 3) x to the right, y down, z towards the still point: z is depth, and each unit
                of it moves along the ray through the still point, which therefore needs no shift.
            zoom: (n,) or a number: factor of the focal length.
            aim: How the still point is kept; `ahead` zooms about the principal point instead.
            hold_size: Whether the focal length also follows the still point's depth, so that it keeps its
                size: f / z constant.
            turn_deg: (n, 3) further turns right, up and clockwise, after which the still point has moved.
        """
        position = np.asarray(position, dtype=np.float64)
        count = len(position)
        d = _rays(self.camera, np.array(self.point, dtype=np.float64))
        c = position @ np.stack([[1.0, 0, 0], [0, 1.0, 0], d])
        seen = d - self.inverse_depth * c
        R = np.broadcast_to(np.eye(3), (count, 3, 3)).copy()
        if aim == "look":
            R = _shortest_turn(d, seen)
        q = np.einsum("nij,ni->nj", R, seen)
        factor = np.broadcast_to(np.asarray(zoom, dtype=np.float64), (count,))
        if hold_size:
            factor = factor * q[:, 2]
        focal = np.array([self.camera.fx, self.camera.fy]) * factor[:, None]
        center = np.broadcast_to(np.array([self.camera.cx, self.camera.cy]), (count, 2))
        if aim != "ahead":  # written so that where nothing has moved, nothing is rounded
            center = center + (
                np.array([self.camera.fx, self.camera.fy]) * d[:2] - focal * q[:, :2] / q[:, 2:]
            )
        if turn_deg is not None:
            R = R @ _turns(np.asarray(turn_deg, dtype=np.float64))
        poses = np.broadcast_to(np.eye(4), (count, 4, 4)).copy()
        poses[:, :3, :3], poses[:, :3, 3] = R, c
        return Views(poses, focal, center)

    def nearness(self, views: Views) -> _Array:
        """Compute the still point's inverse depth in each view: (n,)."""
        d = _rays(self.camera, np.array(self.point, dtype=np.float64))
        q = np.einsum("nj,nj->n", views.poses[:, :3, 2], d - self.inverse_depth * views.poses[:, :3, 3])
        return np.asarray(self.inverse_depth / q, dtype=np.float64)

    def on_sphere(self, sideways: _Array) -> _Array:
        """Bend a way beside the camera to the sphere around the still point.

        At the distance r from it and a sideways way of length a across the ray, the camera also comes
        r - sqrt(r^2 - a^2) nearer along the ray; at infinity the sphere is a plane.

        Args:
            sideways: (n, 2) x and y, less than the distance of the still point.

        Returns:
            (n, 3) positions for `views`.
        """
        d = _rays(self.camera, np.array(self.point, dtype=np.float64))
        length = float(np.linalg.norm(d))
        a = np.concatenate([np.asarray(sideways, dtype=np.float64), np.zeros((len(sideways), 1))], axis=1)
        across = a - (a @ d / length**2)[:, None] * d
        curvature = self.inverse_depth / length
        square = np.minimum((across**2).sum(axis=1), 1 / curvature**2 if curvature else np.inf)
        along = curvature * square / (1 + np.sqrt(np.maximum(1 - curvature**2 * square, 0)))
        # `across` has a part along z, which `views` takes along d: take its x and y out of there again.
        c = across + along[:, None] * d / length
        return np.stack([c[:, 0] - c[:, 2] * d[0], c[:, 1] - c[:, 2] * d[1], c[:, 2]], axis=1)


def _rays(camera: Camera, uv_px: _Array) -> _Array:
    rays = np.ones((*uv_px.shape[:-1], 3))
    rays[..., 0] = (uv_px[..., 0] - camera.cx) / camera.fx
    rays[..., 1] = (uv_px[..., 1] - camera.cy) / camera.fy
    return rays


def _shortest_turn(start: _Array, end: _Array) -> _Array:
    """Make rotations that take one direction (3,) to others (n, 3): I + [k] + [k]^2 / (1 + cos)."""
    a = start / np.linalg.norm(start)
    b = end / np.linalg.norm(end, axis=1, keepdims=True)
    k = np.cross(a[None], b)
    zero = np.zeros(len(k))
    cross = np.stack([zero, -k[:, 2], k[:, 1], k[:, 2], zero, -k[:, 0], -k[:, 1], k[:, 0], zero], axis=1)
    cross = cross.reshape(-1, 3, 3)
    return np.asarray(np.eye(3) + cross + cross @ cross / (1 + b @ a)[:, None, None], dtype=np.float64)


def _turns(deg: _Array) -> _Array:
    """Make rotations from degrees to the right, up and clockwise, in this order."""
    yaw, pitch, roll = np.radians(deg).T
    one, zero = np.ones(len(deg)), np.zeros(len(deg))

    def stacked(*entries: _Array) -> _Array:
        return np.stack(entries, axis=1).reshape(-1, 3, 3)

    c, s = np.cos(yaw), np.sin(yaw)
    right = stacked(c, zero, s, zero, one, zero, -s, zero, c)
    c, s = np.cos(pitch), np.sin(pitch)
    up = stacked(one, zero, zero, zero, c, -s, zero, s, c)
    c, s = np.cos(roll), np.sin(roll)
    clockwise = stacked(c, -s, zero, s, c, zero, zero, zero, one)
    return right @ up @ clockwise
