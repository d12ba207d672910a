"""`pinhole_scene`: a scene as an ideal pinhole would have seen it, for libraries that know no lens."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap, ImageArray
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.core.scene import RGBD
from depth3d.errors import CameraError

__all__ = ["pinhole_scene"]

_WIDEST = math.tan(math.radians(75.0))
_MOST_PIXELS = 2.0
"""Pixels of the result, as a multiple of the scene's: a wide lens has much to show at its rim."""

_ONE_SURFACE = 0.05
"""Spread of inverse depth among four neighbours, as a share, up to which they are one surface."""

_ROUNDING_PX = 1e-6
_PIXELS_A_BLOCK = 1 << 18


def pinhole_scene(scene: RGBD) -> RGBD:
    """Resample a scene without lens distortion: each pixel of the result asks where the lens puts its ray.

    z does not change with the lens, as both cameras share their axis. Between pixels of one surface, inverse
    depth is interpolated, in which planes are affine; across an edge the nearest pixel is taken, so that
    nothing new hangs in between. Colours are interpolated as they are.

    Args:
        scene: Metric depth and a camera with distortion; without, it comes back as it is.

    Returns:
        A scene that shows all pixels with known depth within 75 degrees of the axis; NaN beyond them.

    Raises:
        NeedsMetricError: The depth is relative.
        CameraError: The distortion has no inverse at any pixel of known depth.
    """
    scene.depth.require_metric("pinhole_scene()")
    if not any(scene.camera.distortion):
        return scene
    framed = _frame(scene)
    shape = (framed.height, framed.width)
    z, image = np.empty(shape, dtype=np.float32), np.zeros((*shape, 3), dtype=np.uint8)
    q = 1.0 / scene.depth.values
    step = max(1, _PIXELS_A_BLOCK // framed.width)
    for top in range(0, framed.height, step):
        rows = slice(top, min(top + step, framed.height))
        q_rows, image[rows] = _sampled(q, scene.image, scene.camera.project(framed.pixel_rays(rows)))
        z[rows] = 1.0 / q_rows
    return RGBD(image, DepthMap(z, scene.depth.kind), framed)


def _frame(scene: RGBD) -> Camera:
    """Make the pinhole camera whose picture just holds the rays of all pixels with known depth."""
    camera = scene.camera
    xy = camera.pixel_rays()[..., :2][scene.depth.valid]
    xy = xy[np.isfinite(xy).all(axis=1)]
    if not len(xy):
        raise CameraError(
            f"the distortion {camera.distortion} shows no pixel of known depth; check the coefficients and "
            f"their model, {camera.distortion_model}, or calibrate the camera again"
        )
    low, high = np.clip(xy.min(axis=0), -_WIDEST, _WIDEST), np.clip(xy.max(axis=0), -_WIDEST, _WIDEST)
    sides = (high - low) * [camera.fx, camera.fy] + 1
    zoom = min(1.0, math.sqrt(_MOST_PIXELS * camera.width * camera.height / float(sides.prod())))
    fx, fy = camera.fx * zoom, camera.fy * zoom
    width, height = (math.ceil(side) for side in (high - low) * [fx, fy] + 1)
    return replace(
        camera, fx=fx, fy=fy, cx=0.5 - low[0] * fx, cy=0.5 - low[1] * fy, width=width, height=height,
        distortion=(), distortion_model="opencv",
    )  # fmt: skip


def _sampled(
    q: FloatMap, image: ImageArray, uv: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], ImageArray]:
    """Look up inverse depth and colour at positions, NaN and black outside the picture."""
    height, width = q.shape
    # Between the centres of the outermost pixels: beyond, nothing is known. NaN compares false.
    last = np.array([width, height]) - 0.5 + _ROUNDING_PX
    seen = np.asarray(((uv >= 0.5 - _ROUNDING_PX) & (uv <= last)).all(axis=-1))
    at = np.where(seen[..., None], uv, 0.5)
    u, v = (np.clip(at[..., axis] - 0.5, 0, side - 1) for axis, side in ((0, width), (1, height)))
    left, top = np.floor(u).astype(np.intp), np.floor(v).astype(np.intp)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    a, b = (u - left), (v - top)
    weights = np.stack([(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b])
    corners = ((top, left), (top, right), (bottom, left), (bottom, right))
    values = np.stack([q[corner] for corner in corners])
    nearest = q[np.floor(at[..., 1]).astype(np.intp), np.floor(at[..., 0]).astype(np.intp)]
    one_surface = np.ptp(values, axis=0) <= _ONE_SURFACE * values.max(axis=0)  # NaN compares false
    depth = np.where(one_surface, (weights * values).sum(axis=0), nearest)
    colors = sum(weight[..., None] * image[corner] for weight, corner in zip(weights, corners, strict=True))
    picture = np.rint(colors).astype(np.uint8)
    picture[~seen] = 0
    return np.where(seen, depth, np.nan), picture
