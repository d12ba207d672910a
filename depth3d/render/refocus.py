"""`Refocus`: a photo taken apart once, to be focused and opened as often as you like."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import numpy as np
import torch

from depth3d.accel.devices import resolve_device
from depth3d.accel.tensors import tensor_view
from depth3d.core.arrays import FloatArray, FloatMap, ImageArray
from depth3d.core.color import to_linear, to_srgb
from depth3d.core.lens import ThinLens
from depth3d.core.scene import RGBD
from depth3d.core.stages import stage
from depth3d.errors import InputError
from depth3d.render.crisp import crisp_disparity
from depth3d.render.defocus import Defocus, gain_of, tilted
from depth3d.render.disparity import whole_disparity
from depth3d.render.focus import Focus, find_focus
from depth3d.render.hidden import JUMP_PX, HiddenSurfaces, hidden_surfaces
from depth3d.render.looks import Look, grain_of, with_grain, with_highlights
from depth3d.render.rims import Rims, split_rims, with_rims
from depth3d.render.scatter import Spots, Surface, composed, layered

__all__ = ["EDGES", "Refocus"]

EDGES = ("snap", "keep")
"""What is done to soft edges of a depth map: moved to the photo's, or believed."""

_MOST_DIAGONALS = 16.0
"""Largest radius, in diagonals of the picture or of one of 500 pixels, that is no slip of the pen."""
_BAND_ROWS = 256


class Refocus:
    """A photo with its disparity, ready for any focus and opening.

    What is behind the foreground is guessed once, so that the pictures of a focus pull agree.

    Args:
        scene: The photo with metric or relative depth.
        edges: `snap` moves soft edges of the depth to where the photo has them, `keep` believes them.
        device: Where light is spread: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        quick: As for `crisp_disparity`.

    Raises:
        InputError: The depth knows no pixel, or `edges` is none of the two.
        DeviceError: The device is not there.
    """

    def __init__(
        self,
        scene: RGBD,
        *,
        edges: Literal["snap", "keep"] = "snap",
        device: str = "auto",
        quick: bool = False,
    ) -> None:
        if not isinstance(scene, RGBD):
            raise InputError(
                f"bokeh needs an RGBD scene, got {type(scene).__name__}; make one with RGBD(...)"
            )
        if edges not in EDGES:
            raise InputError(f"edges must be one of {', '.join(EDGES)}, got {edges!r}")
        self.scene = scene
        self.device = resolve_device(device)
        self.is_metric = scene.depth.is_metric
        self.disparity: FloatMap = whole_disparity(scene.depth)
        if edges == "snap":
            self.disparity = crisp_disparity(self.disparity, scene.image, quick=quick)
        self._behind: HiddenSurfaces | None = None
        self._rims: Rims | None = None
        self._prepared_gain = 0.0

    def focus(
        self,
        point: tuple[float, float] | None = None,
        *,
        focus_m: float | None = None,
        focus_disparity: float | None = None,
    ) -> Focus:
        """Find the plane of focus (`find_focus`)."""
        return find_focus(
            self.disparity,
            is_metric=self.is_metric,
            focus=point,
            focus_m=focus_m,
            focus_disparity=focus_disparity,
        )

    def defocus(
        self,
        focus: Focus,
        *,
        lens: ThinLens | None = None,
        strength_px: float | None = None,
        sharp_range: float = 0.0,
        sharp_px: float = 0.0,
        tilt_deg: tuple[float, float] = (0.0, 0.0),
    ) -> Defocus:
        """Say how large blur is, by disparity.

        Args:
            focus: The plane of focus.
            lens: Of a metric scene.
            strength_px: Instead, as `gain_of` defines it.
            sharp_range: Whole range of disparity around the focus that stays sharp, in the map's unit:
                dioptres (1/m) of a metric one.
            sharp_px: Diameter of blur in pixels up to which it is taken for none.
            tilt_deg: Of the plane of focus, as `tilted` defines it.

        Raises:
            InputError: Numbers that are negative, contradict each other, or tilt a relative map.
            NeedsMetricError: A lens or a tilt for a relative map.
        """
        for name, value in (("sharp_range", sharp_range), ("sharp_px", sharp_px)):
            if not (np.isfinite(value) and value >= 0):
                raise InputError(f"{name} must be 0 or more, got {value!r}")
        gain = gain_of(
            self.disparity, self.scene.camera, is_metric=self.is_metric, lens=lens, strength_px=strength_px
        )
        slope = middle = (0.0, 0.0)
        if any(tilt_deg):
            self.scene.depth.require_metric("a tilted plane of focus")
            focus_m = 1 / focus.disparity if focus.disparity > 0 else np.inf
            slope, middle = tilted(self.scene.camera, focus_m=focus_m, point=focus.point, tilt_deg=tilt_deg)
        return Defocus(gain, focus.disparity, slope, middle, max(gain * sharp_range, sharp_px) / 2)

    @stage("bokeh")
    def prepare(self, settings: Iterable[Defocus]) -> None:
        """Guess what is behind the foreground, as far as any of these settings shows it.

        Raises:
            InputError: Blur that is many times as large as the picture.
        """
        settings = list(settings)
        reach = max((s.largest_px(self.disparity) for s in settings), default=0.0)
        gain = max((s.gain for s in settings), default=0.0)
        diagonal = math.hypot(*self.disparity.shape)
        most = _MOST_DIAGONALS * max(diagonal, 500)
        if not reach <= most:
            raise InputError(
                f"blur would be more than {2 * most:.0f} pixels wide, far wider than the picture; close the "
                "lens (a larger f-number, less strength), or focus farther away"
            )
        if reach <= JUMP_PX / 2 or gain <= self._prepared_gain:
            return
        self._prepared_gain = gain
        light = to_linear(self.scene.image)
        self._rims = split_rims(light, self.disparity, jump=JUMP_PX / gain)
        self._behind = hidden_surfaces(self._rims.behind(light), self.disparity, gain=gain)

    @stage("bokeh")
    def image(self, defocus: Defocus, look: Look | None = None) -> ImageArray:
        """Take the picture.

        Args:
            defocus: How it is focused.
            look: What is added to bare optics.

        Returns:
            (H, W, 3) uint8. Pixels whose radius is below half a pixel, and over which nothing nearer
            spreads, are the photo's own.
        """
        look = look or Look()
        if defocus.largest_px(self.disparity) < 0.5:
            return self.scene.image
        image = _encoded(self._taken(defocus, look))
        if look.grain:
            radius = defocus.radius(self.disparity)
            image = with_grain(image, radius, grain_of(self.scene.image), look.grain, look.seed)
        image.flags.writeable = False
        return image

    def light(self, defocus: Defocus, look: Look | None = None) -> FloatMap:
        """Take the picture in linear light, without grain.

        Returns:
            (H, W, 3) float32; highlights may be above 1.
        """
        spread = self._taken(defocus, look or Look())
        return np.ascontiguousarray(spread.permute(1, 2, 0).cpu().numpy())

    def coverage(self, defocus: Defocus, look: Look | None = None) -> FloatMap:
        """Compute the share of each pixel's light that comes from in front of what is in focus.

        Returns:
            (H, W) float32, 0..1.
        """
        near = (defocus.radius(self.disparity) >= 0.5).astype(np.float32)
        self.prepare([defocus])
        spread = self._spread(np.repeat(near[..., None], 3, axis=2), defocus, look or Look())
        return np.ascontiguousarray(spread[0].clamp(0, 1).cpu().numpy())

    def _taken(self, defocus: Defocus, look: Look) -> torch.Tensor:
        self.prepare([defocus])
        return self._spread(None, defocus, look)

    def _spread(self, given: FloatMap | None, defocus: Defocus, look: Look) -> torch.Tensor:
        """Spread the light of the picture, or what else is given for what is visible; then 0 is hidden."""
        # Large pictures take much memory: bytes are decoded where they are spread, and nothing is kept.
        radius = defocus.radius(self.disparity)
        light: FloatArray | ImageArray = self.scene.image if given is None else given
        if given is None and look.highlights:
            light = with_highlights(_by_planes(self.scene.image), radius, look.highlights)
        visible = Surface(
            tensor_view(light).permute(2, 0, 1).to(self.device), tensor_view(radius).to(self.device)
        )
        behind = self._hidden(defocus, of_light=given is None)
        with torch.inference_mode():
            if self._rims is not None and len(self._rims.at):
                rims = self._rims
                near = defocus.radius_at(rims.at, rims.near_disparity, self.disparity.shape[1])
                if given is not None:
                    in_front = np.repeat((near >= 0.5)[:, None], 3, axis=1).astype(np.float32)
                    rims = replace(rims, near_color=in_front, far_color=given.reshape(-1, 3)[rims.at])
                visible, behind = with_rims(visible, behind, rims, near)
            surfaces = layered(visible, behind)
            del radius, light, visible, behind
            return composed(surfaces, look.aperture, fringe_px=look.fringe_px)

    def _hidden(self, defocus: Defocus, *, of_light: bool) -> Spots | None:
        """Give what is behind the foreground, if anything is."""
        if self._behind is None:
            return None
        at, light, disparity = self._behind.spots(self.disparity)
        if not len(at):
            return None
        radius = defocus.radius_at(at, disparity, self.disparity.shape[1])
        light = light if of_light else np.zeros_like(light)
        at_, light_, radius_ = (tensor_view(values).to(self.device) for values in (at, light, radius))
        return Spots(at_, light_, radius_, (self.disparity.shape[0], self.disparity.shape[1]))


def _by_planes(image: ImageArray) -> FloatArray:
    """Decode a picture to (H, W, 3) linear light, in memory plane by plane as `Surface` has it."""
    planes = np.empty((3, *image.shape[:2]), np.float32)
    for k in range(3):
        planes[k] = to_linear(image[..., k])
    return planes.transpose(1, 2, 0)


def _encoded(light: torch.Tensor) -> ImageArray:
    """Turn (3, H, W) linear light into bytes, a band of rows at a time."""
    height, width = light.shape[1:]
    image = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _BAND_ROWS):
        rows = slice(top, top + _BAND_ROWS)
        image[rows] = to_srgb(light[:, rows].permute(1, 2, 0).cpu().numpy())
    return image
