"""`miniature`: a photo from above that looks like one of a toy landscape, by blur alone."""

from __future__ import annotations

import math

import numpy as np
import torch

from depth3d.accel.devices import resolve_device
from depth3d.accel.tensors import tensor_view
from depth3d.core.arrays import ImageArray, as_image
from depth3d.core.color import to_linear, to_srgb
from depth3d.errors import InputError
from depth3d.render.focus import checked_point
from depth3d.render.looks import Look, grain_of, with_grain, with_highlights
from depth3d.render.scatter import Surface, scatter

__all__ = ["miniature"]


def miniature(
    image: ImageArray,
    *,
    focus: tuple[float, float] | None = None,
    band_share: float = 0.2,
    angle_deg: float = 0.0,
    strength_px: float | None = None,
    look: Look | None = None,
    device: str = "auto",
) -> ImageArray:
    """Keep a band of a photo sharp and blur what is above and below it; no depth is needed.

    So a lens sees a toy landscape a hand's breadth away: ground whose disparity falls evenly from the lower
    border to the upper one. Houses that stand up from the ground don't follow it; for them, use `bokeh` with
    `tilt_deg` and a depth map.

    Args:
        image: (H, W, 3) uint8 sRGB.
        focus: (u, v) in pixels of a point in the middle of the band; None is the picture's middle.
        band_share: Width of the band as a share of the picture's height.
        angle_deg: Turns the band counter-clockwise.
        strength_px: Diameter of blur at the corner that is farthest from the band; None is 3 % of the
            longer side.
        look: What is added to bare optics.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.

    Returns:
        (H, W, 3) uint8, read-only; the band is the photo's own.

    Raises:
        InputError: No image, or numbers out of range.
        DeviceError: The device is not there.
    """
    image, look = as_image(image), look or Look()
    height, width = image.shape[:2]
    strength_px = 0.03 * max(height, width) if strength_px is None else strength_px
    u, v = checked_point(focus if focus is not None else (width / 2, height / 2), (width, height))
    for name, value, most in (
        ("band_share", band_share, 1.0), ("strength_px", strength_px, math.inf)
    ):  # fmt: skip
        if not (math.isfinite(value) and 0 <= value <= most):
            raise InputError(f"{name} must be 0 or more{'' if most > 1 else ' and at most 1'}, got {value!r}")
    if not math.isfinite(angle_deg):
        raise InputError(f"angle_deg must be finite, got {angle_deg!r}")
    turn = math.radians(angle_deg)
    down = (np.arange(height, dtype=np.float32) + np.float32(0.5 - v)) * np.float32(math.cos(turn))
    right = (np.arange(width, dtype=np.float32) + np.float32(0.5 - u)) * np.float32(math.sin(turn))
    # The near side is below.
    away = down[:, None] + right[None, :]
    beyond = np.maximum(np.abs(away) - np.float32(band_share * height / 2), 0)
    most_beyond = float(beyond.max())
    if most_beyond == 0 or strength_px == 0:
        return image
    radius = (np.sign(away) * beyond * np.float32(strength_px / 2 / most_beyond)).astype(np.float32)
    light = with_highlights(to_linear(image), radius, look.highlights).transpose(2, 0, 1)
    place = resolve_device(device)
    surface = Surface(
        tensor_view(np.ascontiguousarray(light, dtype=np.float32)).to(place), tensor_view(radius).to(place)
    )
    with torch.inference_mode():
        spread = scatter(surface, None, look.aperture, fringe_px=look.fringe_px)
    result = to_srgb(spread.permute(1, 2, 0).cpu().numpy())
    if look.grain:
        result = with_grain(result, radius, grain_of(image), look.grain, look.seed)
    result.flags.writeable = False
    return result
