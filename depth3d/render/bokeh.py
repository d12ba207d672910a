"""`bokeh`: the photo that a lens with a wide opening would have taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from depth3d.core.arrays import BoolMap, FloatMap, ImageArray
from depth3d.core.lens import ThinLens
from depth3d.core.scene import RGBD
from depth3d.core.stages import stage
from depth3d.render.aperture import Aperture
from depth3d.render.defocus import Defocus
from depth3d.render.focus import Focus
from depth3d.render.looks import Look
from depth3d.render.refocus import Refocus

__all__ = ["BokehMaps", "bokeh", "bokeh_maps"]


@stage("bokeh")
def bokeh(
    scene: RGBD,
    *,
    focus: tuple[float, float] | None = None,
    focus_m: float | None = None,
    focus_disparity: float | None = None,
    lens: ThinLens | None = None,
    strength_px: float | None = None,
    sharp_range: float = 0.0,
    sharp_px: float = 0.0,
    tilt_deg: tuple[float, float] = (0.0, 0.0),
    aperture: Aperture | None = None,
    highlights: float = 0.0,
    fringe_px: tuple[float, float, float] = (0.0, 0.0, 0.0),
    grain: float = 0.0,
    seed: int = 0,
    edges: Literal["snap", "keep"] = "snap",
    device: str = "auto",
) -> ImageArray:
    """Blur a photo as a lens would: by depth, in linear light, with what is behind a blurred foreground.

    A point becomes the image of the opening, of diameter `fx * aperture_m * |1/z - 1/z_focus|` pixels.

    Args:
        scene: A photo with metric depth, or with relative depth: then give `strength_px`, not `lens`.
        focus: (u, v) in pixels of what is to be sharp, read in a small window. With neither this nor the
            next two, the nearest large thing around the middle is in focus.
        focus_m: Or z in metres of the plane in focus.
        focus_disparity: Or its disparity in the map's unit, 1/m of a metric one.
        lens: The opening. None, without `strength_px`, is f/1.8 of full frame
            (`ThinLens.on_full_frame`).
        strength_px: Instead of a lens, the diameter in pixels of the blur of the nearest thing with the
            focus on the farthest one (99th and 1st percentile of the map). None for a relative map is 3 %
            of the longer side.
        sharp_range: Whole range of disparity around the focus that stays sharp, in the map's unit, dioptres
            of a metric one: for a face from nose to ears.
        sharp_px: The same as a diameter of blur in pixels.
        tilt_deg: Tilts the plane of focus: its upper end away from the camera, and its right end.
        aperture: Shape of the opening; None is a disc.
        highlights: 0..1: how much of their light small clipped spots get back where they are blurred, up to
            three stops.
        fringe_px: What red, green and blue add to the signed radius of blur.
        grain: 0..1: how much of the photo's own noise blurred areas get back.
        seed: Of the grain.
        edges: `snap` moves the soft edges of a network's depth to where the photo has them; edges that are
            one pixel wide stay where they are. `keep` believes the map.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.

    Returns:
        (H, W, 3) uint8, read-only. Pixels in focus, over which nothing blurred spreads, are the photo's
        own.

    Raises:
        InputError: Arguments that are out of range or contradict each other, or depth that knows no pixel.
        NeedsMetricError: A lens, a distance or a tilt for a relative map.
        DeviceError: The device is not there.
    """
    look = Look(aperture or Aperture(), highlights, fringe_px, grain, seed)
    photo = Refocus(scene, edges=edges, device=device)
    found = photo.focus(focus, focus_m=focus_m, focus_disparity=focus_disparity)
    setting = photo.defocus(
        found,
        lens=lens,
        strength_px=strength_px,
        sharp_range=sharp_range,
        sharp_px=sharp_px,
        tilt_deg=tilt_deg,
    )
    return photo.image(setting, look)


@dataclass(frozen=True, slots=True, eq=False)
class BokehMaps:
    """What a picture's blur is made of, for other programs.

    Attributes:
        diameter_px: (H, W) float32, signed diameter of the circle of confusion: positive in front of the
            focus, negative behind it.
        in_focus: (H, W) bool, where it is less than a pixel and the photo's pixels are copied.
        near: (H, W) bool, in front of the focus.
        far: (H, W) bool, behind it.
        coverage: (H, W) float32, 0..1: how much of the blurred picture is foreground.
        disparity: (H, W) float32, by which light was spread: whole, and with its edges snapped.
        focus: The plane of focus.
    """

    diameter_px: FloatMap
    in_focus: BoolMap
    near: BoolMap
    far: BoolMap
    coverage: FloatMap
    disparity: FloatMap
    focus: Focus


def bokeh_maps(
    scene: RGBD,
    *,
    focus: tuple[float, float] | None = None,
    focus_m: float | None = None,
    focus_disparity: float | None = None,
    lens: ThinLens | None = None,
    strength_px: float | None = None,
    sharp_range: float = 0.0,
    sharp_px: float = 0.0,
    tilt_deg: tuple[float, float] = (0.0, 0.0),
    edges: Literal["snap", "keep"] = "snap",
    device: str = "auto",
) -> BokehMaps:
    """Compute the maps behind `bokeh` with the same arguments: signed blur, masks, coverage.

    Raises:
        Depth3DError: As `bokeh`.
    """
    photo = Refocus(scene, edges=edges, device=device)
    found = photo.focus(focus, focus_m=focus_m, focus_disparity=focus_disparity)
    setting = photo.defocus(
        found,
        lens=lens,
        strength_px=strength_px,
        sharp_range=sharp_range,
        sharp_px=sharp_px,
        tilt_deg=tilt_deg,
    )
    return maps_of(photo, found, setting)


def maps_of(photo: Refocus, focus: Focus, setting: Defocus, look: Look | None = None) -> BokehMaps:
    """Compute the maps of a photo that is taken apart already."""
    radius = setting.radius(photo.disparity)
    sharp = np.abs(radius) < 0.5
    return BokehMaps(
        diameter_px=2 * radius,
        in_focus=sharp,
        near=(radius > 0) & ~sharp,
        far=(radius < 0) & ~sharp,
        coverage=photo.coverage(setting, look),
        disparity=photo.disparity,
        focus=focus,
    )
