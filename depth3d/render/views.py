"""`render_views`: a photo from other points of view, with exact perspective and occlusion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np
import numpy.typing as npt
import torch

from depth3d.accel.devices import resolve_device
from depth3d.core.arrays import BoolMap, FloatMap, ImageArray
from depth3d.core.camera import Camera
from depth3d.core.color import to_linear, to_srgb
from depth3d.core.poses import as_pose
from depth3d.core.scene import RGBD
from depth3d.errors import CameraError, InputError
from depth3d.render.layers import layers as layers_of
from depth3d.render.points import Points
from depth3d.render.projection import Projection
from depth3d.render.sheets import Layers
from depth3d.render.silhouettes import Backdrop, blend_edges
from depth3d.render.smooth import Pictures, SmoothSurfaces
from depth3d.render.splatting import Splat

__all__ = ["View", "ViewRenderer", "render_views"]

_BAND_PX = {"cpu": 1 << 17}
_BAND_PX_ELSEWHERE = 1 << 22
"""Pixels that are worked on together."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A picture from another point of view.

    Attributes:
        image: (H, W, 3) uint8 sRGB.
        inverse_depth: (H, W) float32, 1/z in the view, in the unit of the layers; 0 is infinitely far away.
        from_hidden: (H, W) bool: pixels that mostly show what the photo does not.
    """

    image: ImageArray
    inverse_depth: FloatMap
    from_hidden: BoolMap

    @property
    def light(self) -> FloatMap:
        """(H, W, 3) float32, linear light."""
        return np.asarray(to_linear(self.image), dtype=np.float32)


def render_views(
    scene: RGBD | Layers,
    poses: npt.ArrayLike | Iterable[npt.ArrayLike],
    *,
    cameras: Camera | Iterable[Camera] | None = None,
    supersample: int = 1,
    device: str = "auto",
) -> Iterator[ImageArray]:
    """Show a photo from other points of view.

    Args:
        scene: A photo with depth, or its layers.
        poses: (n, 4, 4), or an iterable of (4, 4): `T_world_camera`, the world being the photo's camera frame.
        cameras: Intrinsics of the views, whose size is that of the pictures: one for all or one a pose. None
            is the photo's.
        supersample: Render n x n pixels for each one, and average them in linear light.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.

    Returns:
        A generator of (H, W, 3) uint8 pictures. The identity gives the photo itself.
    """
    if isinstance(scene, RGBD):
        scene = layers_of(scene)
    renderer = ViewRenderer(scene, supersample=supersample, device=device)
    each = repeat(cameras) if cameras is None or isinstance(cameras, Camera) else iter(cameras)

    def views() -> Iterator[ImageArray]:
        for pose, camera in zip(poses, each, strict=False):
            yield renderer.render(pose, camera).image

    return views()


class ViewRenderer:
    """A photo's layers, ready to be seen from anywhere.

    Args:
        layers: From `depth3d.layers`.
        supersample: As for `render_views`.
        device: As for `render_views`.
    """

    def __init__(self, layers: Layers, *, supersample: int = 1, device: str = "auto") -> None:
        if not isinstance(layers, Layers):
            raise InputError(
                f"a view needs Layers, got {type(layers).__name__}; make them with layers(scene)"
            )
        if any(layers.camera.distortion):
            raise CameraError("views need a camera without lens distortion; undistort the photo first")
        if isinstance(supersample, bool) or int(supersample) != supersample or not 1 <= supersample <= 8:
            raise InputError(f"supersample must be a whole number from 1 to 8, got {supersample!r}")
        self.layers, self.supersample = layers, int(supersample)
        self.device = resolve_device(device)
        self.points = Points(layers, self.device)
        self.backdrop = Backdrop(layers.backdrop, self.device)
        self._pictures = Pictures(layers, self.device)
        m, (height, width) = layers.margin_px, layers.photo.shape[:2]
        self.camera = layers.camera.cropped(m, m, width, height)

    def render(self, pose: npt.ArrayLike | None = None, camera: Camera | None = None) -> View:
        """Take the picture from one point of view.

        Args:
            pose: (4, 4) `T_world_camera`; None is the photo's own.
            camera: Intrinsics of the view; None is the photo's.

        Raises:
            InputError: The pose is not rigid.
            CameraError: The camera has lens distortion.
        """
        T = as_pose(pose)
        target = self.camera if camera is None else camera
        if any(target.distortion):
            raise CameraError(
                "views need a camera without lens distortion, got one with "
                f"{target.distortion}; leave the distortion out"
            )
        n = self.supersample
        fine = target.resized(n * target.width, n * target.height)
        view = self._render(T, fine)
        if n > 1:
            view = _averaged(view, n)
        if np.array_equal(T, np.eye(4)) and _same(target, self.camera):
            view = replace(view, image=self.layers.photo)
        return view

    def _render(self, pose: npt.NDArray[np.float64], target: Camera) -> View:
        projection = Projection.between(self.layers.camera, pose, target)
        splat = Splat(self.points, projection, pose, target.size_wh)
        surfaces = SmoothSurfaces(self.points, self._pictures, projection, splat)
        width, height = target.size_wh
        image = torch.empty((height * width, 3), dtype=torch.uint8, device=self.device)
        inverse_depth = torch.empty(height * width, device=self.device)
        hidden = torch.empty(height * width, dtype=torch.bool, device=self.device)
        rest = []
        rows = max(1, _BAND_PX.get(self.device.type, _BAND_PX_ELSEWHERE) // width)
        for top in range(0, height, rows):
            band = slice(top, min(top + rows, height))
            part = slice(band.start * width, band.stop * width)
            image[part], inverse_depth[part], hidden[part], left = surfaces.sample(band)
            rest.append(left + part.start)
        at = torch.cat(rest)
        if len(at):
            some = blend_edges(self.points, projection, splat, self.backdrop, at)
            image[at], inverse_depth[at], hidden[at] = some.color, some.inverse_depth, some.from_hidden
        return View(
            image.view(height, width, 3).cpu().numpy(),
            inverse_depth.view(height, width).cpu().numpy(),
            hidden.view(height, width).cpu().numpy(),
        )


def _averaged(view: View, n: int) -> View:
    height, width = (side // n for side in view.inverse_depth.shape)
    light = to_linear(view.image).reshape(height, n, width, n, 3).mean(axis=(1, 3))
    q = view.inverse_depth.reshape(height, n, width, n).mean(axis=(1, 3))
    hidden = view.from_hidden.reshape(height, n, width, n).mean(axis=(1, 3)) > 0.5
    return View(to_srgb(light), np.asarray(q, dtype=np.float32), hidden)


def _same(a: Camera, b: Camera) -> bool:
    return all(getattr(a, k) == getattr(b, k) for k in ("fx", "fy", "cx", "cy", "width", "height"))
