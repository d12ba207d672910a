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
from depth3d.render.splatting import Splat

__all__ = ["View", "ViewRenderer", "render_views"]

_BAND_PX = 1 << 17


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
        width, height = target.size_wh
        image = np.empty((height, width, 3), dtype=np.uint8)
        inverse_depth = np.empty((height, width), dtype=np.float32)
        edge = torch.empty(height * width, dtype=torch.bool, device=self.device)
        rows = max(1, _BAND_PX // width)
        for top in range(0, height, rows):
            self._band(projection, splat, slice(top, min(top + rows, height)), image, inverse_depth, edge)
        hidden = np.zeros(height * width, dtype=np.bool_)
        at = torch.nonzero(edge)[:, 0]
        if len(at):
            some = blend_edges(self.points, projection, splat, self.backdrop, at)
            where = at.cpu().numpy()
            image.reshape(-1, 3)[where] = some.color.cpu().numpy()
            inverse_depth.reshape(-1)[where] = some.inverse_depth.cpu().numpy()
            hidden[where] = some.from_hidden.cpu().numpy()
        return View(image, inverse_depth, hidden.reshape(height, width))

    def _band(self, projection: Projection, splat: Splat, rows: slice, image, inverse_depth, edge) -> None:
        import cv2

        points = self.points
        width = splat.width
        winner = splat.winner(rows)
        shape = winner.shape
        flat = winner.reshape(-1)
        point = torch.index_select(points.order, 0, flat)
        plane = tuple(torch.index_select(part, 0, point).view(shape) for part in points.plane)
        x = torch.arange(width, device=self.device, dtype=torch.float32) + 0.5
        y = torch.arange(rows.start, rows.stop, device=self.device, dtype=torch.float32)[:, None] + 0.5
        u, v, det = projection.on_planes(x, y, plane)
        clear = torch.index_select(points.clear, 0, point).view(shape) >= 2
        clear &= (winner > 0) & (det > 0.1) & (point < points.front_count).view(shape)
        q = torch.addcmul(torch.addcmul(plane[2], plane[0], u), plane[1], v)
        ratio = projection.ratio(u, v, q)
        inverse_depth[rows] = (q / ratio).clamp_(min=0).cpu().numpy()
        edge[rows.start * width : rows.stop * width] = ~clear.reshape(-1)
        off = torch.where(clear, u, 0.5) - 0.5, torch.where(clear, v, 0.5) - 0.5
        image[rows] = cv2.remap(
            self.layers.front.color,
            off[0].cpu().numpy(),
            off[1].cpu().numpy(),
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )


def _averaged(view: View, n: int) -> View:
    height, width = (side // n for side in view.inverse_depth.shape)
    light = to_linear(view.image).reshape(height, n, width, n, 3).mean(axis=(1, 3))
    q = view.inverse_depth.reshape(height, n, width, n).mean(axis=(1, 3))
    hidden = view.from_hidden.reshape(height, n, width, n).mean(axis=(1, 3)) > 0.5
    return View(to_srgb(light), np.asarray(q, dtype=np.float32), hidden)


def _same(a: Camera, b: Camera) -> bool:
    return all(getattr(a, k) == getattr(b, k) for k in ("fx", "fy", "cx", "cy", "width", "height"))
