"""`FilmFocus`: depth of field in a film, with what is behind blurred things seen from where the camera is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from depth3d.accel.devices import resolve_device
from depth3d.accel.tensors import tensor_view
from depth3d.core.arrays import BoolMap, FloatMap, ImageArray
from depth3d.core.camera import Camera
from depth3d.core.color import to_srgb
from depth3d.render.aperture import Aperture
from depth3d.render.cuts import find_joints
from depth3d.render.defocus import Defocus
from depth3d.render.inverse_depth import span_of
from depth3d.render.scatter import Surface, scatter
from depth3d.render.sheets import Layers
from depth3d.render.views import View, ViewRenderer

__all__ = ["FilmFocus", "uncovered"]

_JUMP_PX = 2.0
"""Difference in radius from which what is behind is a surface of its own."""
_GAP_SHARE = 0.015


class FilmFocus:
    """Blurs rendered views by their depth.

    What a blurred thing lets through at its rim is not guessed anew for each frame, which would flicker: the
    layers without their front are rendered from the same place.

    Args:
        layers: Of the photo.
        supersample: As for `render_views`.
        device: As for `render_views`.
    """

    def __init__(self, layers: Layers, *, supersample: int = 1, device: str = "auto") -> None:
        self._behind = ViewRenderer(uncovered(layers), supersample=supersample, device=device)
        self._device = resolve_device(device)

    def blurred(
        self, view: View, pose: npt.NDArray[np.float64], camera: Camera, defocus: Defocus
    ) -> ImageArray:
        """Blur a view, in linear light.

        Args:
            view: What is seen.
            pose: (4, 4) from where.
            camera: Its intrinsics.
            defocus: How large blur is, by inverse depth in the view.

        Returns:
            (H, W, 3) uint8; pixels in focus, over which nothing nearer spreads, are the view's own.
        """
        radius = defocus.radius(view.inverse_depth)
        if float(np.abs(radius).max()) < 0.5:
            return view.image
        behind = self._behind.render(pose, camera)
        behind_radius = defocus.radius(behind.inverse_depth)
        mask = radius - behind_radius > _JUMP_PX
        hidden = self._surface(behind.light, behind_radius, mask) if mask.any() else None
        with torch.inference_mode():
            light = scatter(self._surface(view.light, radius), hidden, Aperture())
        return to_srgb(light.permute(1, 2, 0).cpu().numpy())

    def _surface(self, light: FloatMap, radius: FloatMap, mask: BoolMap | None = None) -> Surface:
        planes = np.ascontiguousarray(light.transpose(2, 0, 1), dtype=np.float32)
        return Surface(
            tensor_view(planes).to(self._device),
            tensor_view(radius).to(self._device),
            None if mask is None else tensor_view(mask).to(self._device),
        )


def uncovered(layers: Layers) -> Layers:
    """Take away what of the front covers something: what is left is all that lies behind.

    Args:
        layers: Of a photo.
    """
    front, back = layers.front, layers.back
    behind = back.alpha > 0
    q = np.where(behind, back.inverse_depth, front.inverse_depth)
    far, near = span_of(front.inverse_depth)
    joints = find_joints(q, max(_GAP_SHARE * (near - far), 1e-9))
    color = np.where(behind[..., None], back.color, front.color)
    alpha = np.where(behind, np.float32(1), front.alpha)
    nothing = np.zeros_like(behind)
    return replace(
        layers,
        front=replace(
            front,
            color=color,
            inverse_depth=q,
            alpha=alpha,
            joined_right=joints.right,
            joined_down=joints.down,
        ),
        back=replace(back, alpha=np.zeros_like(back.alpha), joined_right=nothing, joined_down=nothing),
    )
