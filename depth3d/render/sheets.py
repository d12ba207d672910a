"""`Layers`: a photo as surfaces, what is seen and what lies behind it, ready for any point of view."""

from __future__ import annotations

from dataclasses import dataclass

from depth3d.core.arrays import BoolMap, FloatMap, ImageArray
from depth3d.core.camera import Camera

__all__ = ["Layers", "Sheet"]


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """One surface for each pixel of a picture.

    Attributes:
        color: (H, W, 3) uint8 sRGB, free of what is mixed in from other surfaces.
        inverse_depth: (H, W) float32, 1/z in 1/m (in 1/unit of a relative scene); 0 is infinitely far away.
        alpha: (H, W) float32, 0..1: how much of the pixel it covers; 0 where there is no surface.
        joined_right: (H, W) bool: whether the surface goes on to the pixel to the right.
        joined_down: (H, W) bool: whether it goes on to the pixel below.
    """

    color: ImageArray
    inverse_depth: FloatMap
    alpha: FloatMap
    joined_right: BoolMap
    joined_down: BoolMap


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """A photo taken apart, once, for all the views of it.

    Inside the photo's frame `front.alpha * front.color + (1 - front.alpha) * back.color` is the photo again,
    in linear light.

    Attributes:
        front: What the camera sees. Its alpha is below 1 only beside silhouettes, where the nearer surface
            goes on past its edge, fading out.
        back: What the nearer surface hides beside its silhouettes, under its soft edge and a little beyond,
            so that it meets the visible surface that it continues. Alpha is 0 or 1.
        backdrop: Smooth and everywhere, behind both: for what neither of them covers.
        camera: Of the sheets, which are larger than the photo by `margin_px` on every side.
        margin_px: How far the sheets go on beyond the photo's borders.
        reach_px: The largest parallax between two neighbouring surfaces, in pixels, for which `back` is wide
            enough.
        photo: (H, W, 3) uint8, the photo itself.
        is_metric: Whether z is in metres. If not, the nearest part of the scene is at 1 and the farthest
            at 5 units.
    """

    front: Sheet
    back: Sheet
    backdrop: Sheet
    camera: Camera
    margin_px: int
    reach_px: float
    photo: ImageArray
    is_metric: bool
