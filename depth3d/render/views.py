"""`render_views`: a photo from other points of view, with exact perspective and occlusion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from depth3d.accel.devices import resolve_device
from depth3d.core.arrays import BoolMap, FloatMap, ImageArray
from depth3d.core.camera import Camera
from depth3d.core.color import to_linear, to_srgb
from depth3d.core.poses import as_pose
from depth3d.core.scene import RGBD
from depth3d.core.stages import stage
from depth3d.errors import CameraError, InputError
from depth3d.render.layers import layers as layers_of
from depth3d.render.pictures import Picture, TiledPicture
from depth3d.render.points import Points
from depth3d.render.projection import Projection
from depth3d.render.sheets import Layers
from depth3d.render.silhouettes import Backdrop, blend_edges
from depth3d.render.smooth import Rest, SmoothSurfaces
from depth3d.render.splatting import Splat

__all__ = ["View", "ViewRenderer", "check_supersample", "render_views"]

_MOST_SAMPLES = 8
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

    Perspective and occlusion are exact for any pose, edges are soft to a fraction of a pixel, and no pixel
    stays empty: what neither the photo nor its hidden surfaces cover shows a backdrop.

    Args:
        scene: A photo with depth, or its layers. Of a photo, `layers` are made that are wide enough for
            parallax of 3 % of the photo's longer side; make them yourself for more.
        poses: (n, 4, 4), or an iterable of (4, 4): `T_world_camera`. The world is the photo's camera frame,
            in metres, or in the units of a relative scene (`Layers.is_metric`).
        cameras: Intrinsics of the views, whose size is that of the pictures: one for all or one a pose. None
            is the photo's. Pictures much smaller than the photo need `supersample`, or a smaller photo.
        supersample: Render n x n pixels for each one, and average them in linear light.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.

    Returns:
        A generator of (H, W, 3) uint8 sRGB pictures, one at a time. The identity gives the photo itself.

    Raises:
        InputError: A scene of another type, poses that are not rigid, or fewer cameras than poses.
        CameraError: A camera with lens distortion.
        DeviceError: The device is not there.
    """
    if isinstance(poses, np.ndarray) and poses.ndim != 3:
        raise InputError(
            f"poses must have shape (n, 4, 4), got {poses.shape}; put one pose in a list: [pose]"
        )
    if isinstance(scene, RGBD):
        _require_pinhole(scene.camera, "the photo's camera")
        scene = layers_of(scene)
    renderer = ViewRenderer(scene, supersample=supersample, device=device)
    each = repeat(cameras) if cameras is None or isinstance(cameras, Camera) else iter(cameras)
    places: Any = poses

    def views() -> Iterator[ImageArray]:
        for number, pose in enumerate(places):
            try:
                camera = next(each)
            except StopIteration:
                raise InputError(
                    f"each pose needs a camera, got {number} for more; give one camera for all, or one a pose"
                ) from None
            yield renderer.render(pose, camera).image

    return views()


class ViewRenderer:
    """A photo's layers, ready to be seen from anywhere.

    Args:
        layers: From `depth3d.layers`.
        supersample: As for `render_views`.
        device: As for `render_views`.

    Raises:
        InputError: Something else than layers, or `supersample` is not 1 to 8.
        CameraError: The layers' camera has lens distortion.
        DeviceError: The device is not there.
    """

    @stage("views")
    def __init__(self, layers: Layers, *, supersample: int = 1, device: str = "auto") -> None:
        if not isinstance(layers, Layers):
            raise InputError(f"views need Layers, got {type(layers).__name__}; make them with layers(scene)")
        check_supersample(supersample)
        _require_pinhole(layers.camera, "the layers' camera")
        self.layers, self.supersample = layers, int(supersample)
        self.device = resolve_device(device)
        self.points = Points(layers, self.device)
        self._backdrop = Backdrop(layers.backdrop, self.device)
        front, back = self.points.clearances()
        self._pictures = (
            Picture(layers.front.color, front, self.device),
            TiledPicture(layers.back.color, back)
            if self.device.type == "cpu"
            else Picture(layers.back.color, back, self.device),
        )
        height, width = layers.photo.shape[:2]
        self.camera = layers.camera.cropped(layers.margin_px, layers.margin_px, width, height)

    @stage("views")
    def render(self, pose: npt.ArrayLike | None = None, camera: Camera | None = None) -> View:
        """Take the picture from one point of view.

        Args:
            pose: (4, 4) `T_world_camera`; None is the photo's own.
            camera: Intrinsics of the view, whose size is that of the picture; None is the photo's.

        Returns:
            The view. The photo's own pose and camera give the photo, byte for byte.

        Raises:
            InputError: The pose is not rigid.
            CameraError: The camera has lens distortion.
        """
        T = as_pose(pose)
        target = self.camera if camera is None else camera
        _require_pinhole(target, "the view's camera")
        n = self.supersample
        view = self._render(T, target.resized(n * target.width, n * target.height))
        if n > 1:
            view = _averaged(view, n)
        if np.array_equal(T, np.eye(4)) and _same(target, self.camera):
            view = replace(view, image=self.layers.photo.copy())
        return view

    def _render(self, pose: npt.NDArray[np.float64], target: Camera) -> View:
        projection = Projection.between(self.layers.camera, pose, target)
        splat = Splat(self.points, projection, pose, target.size_wh)
        surfaces = SmoothSurfaces(self.points, self._pictures, projection, splat)
        width, height = target.size_wh
        image = torch.empty((height * width, 3), dtype=torch.uint8, device=self.device)
        inverse_depth = torch.empty(height * width, device=self.device)
        hidden = torch.zeros(height * width, dtype=torch.bool, device=self.device)
        parts = []
        rows = max(1, _BAND_PX.get(self.device.type, _BAND_PX_ELSEWHERE) // width)
        for top in range(0, height, rows):
            band = slice(top, min(top + rows, height))
            part = slice(band.start * width, band.stop * width)
            image[part], inverse_depth[part], left = surfaces.sample(band)
            parts.append(left)
        rest = Rest.joined(parts)
        del parts, left
        inside, color, behind = surfaces.sample_rest(rest)
        image[rest.at[inside]], hidden[rest.at] = color[inside], behind
        at = rest.at[~inside]
        del rest
        if len(at):
            some = blend_edges(self.points, projection, splat, self._backdrop, at)
            image[at], inverse_depth[at], hidden[at] = some.color, some.inverse_depth, some.from_hidden
        return View(
            image.view(height, width, 3).cpu().numpy(),
            inverse_depth.view(height, width).cpu().numpy(),
            hidden.view(height, width).cpu().numpy(),
        )


def check_supersample(supersample: int) -> None:
    """Refuse a number of samples that views can't be rendered with.

    Raises:
        InputError: It is not a whole number from 1 to 8.
    """
    if isinstance(supersample, bool) or supersample not in range(1, _MOST_SAMPLES + 1):
        raise InputError(f"supersample must be a whole number from 1 to 8, got {supersample!r}")


def _averaged(view: View, n: int) -> View:
    height, width = (side // n for side in view.inverse_depth.shape)
    light = to_linear(view.image).reshape(height, n, width, n, 3).mean(axis=(1, 3))
    q = view.inverse_depth.reshape(height, n, width, n).mean(axis=(1, 3))
    hidden = view.from_hidden.reshape(height, n, width, n).mean(axis=(1, 3)) > 0.5
    return View(to_srgb(light), np.asarray(q, dtype=np.float32), hidden)


def _same(a: Camera, b: Camera) -> bool:
    return all(getattr(a, k) == getattr(b, k) for k in ("fx", "fy", "cx", "cy", "width", "height"))


def _require_pinhole(camera: Camera, what: str) -> None:
    if any(camera.distortion):
        raise CameraError(
            f"views need cameras without lens distortion, and {what} has {camera.distortion}; "
            "undistort the photo with undistort_image() and estimate its depth again"
        )
