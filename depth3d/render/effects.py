"""Effects by distance: `fog`, `flash`, and over a matte `color_splash` and `dim`. All in linear light."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap, ImageArray
from depth3d.core.color import to_linear, to_srgb
from depth3d.core.scene import RGBD
from depth3d.core.stages import stage
from depth3d.errors import InputError, NeedsMetricError
from depth3d.render.color_lines import follow_colors
from depth3d.render.compositing import as_matte, linear_color
from depth3d.render.depth_edges import edge_band
from depth3d.render.disparity import whole_disparity
from depth3d.render.matte import trust_in_depth

__all__ = ["color_splash", "dim", "flash", "fog"]

_LEAST_CONTRAST = 0.02
"""Contrast that the eye still sees, which defines the visibility: Koschmieder, 1924."""
_ASSUMED_REACH = 5.0
"""How many times as far away as the nearest thing the farthest one of a relative map is assumed to be."""
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
"""Share of linear red, green and blue in luminance: ITU-R BT.709."""


@stage("effect")
def fog(
    scene: RGBD,
    *,
    visibility_m: float | None = None,
    strength: float | None = None,
    color: str = "#dfe6ee",
    edges: bool = True,
) -> ImageArray:
    """Fill the air with fog: far things lose contrast and take on its colour.

    Light J from a distance r arrives as `J e^(-b r) + A (1 - e^(-b r))` with the fog's own light A
    (Koschmieder, "Theorie der horizontalen Sichtweite", 1924); `b = ln(50) / visibility`, which leaves a
    contrast of 2 % there. r is the length of the ray, not z.

    Args:
        scene: The photo with depth. Sky and everything infinitely far is fog throughout.
        visibility_m: Metric depth: distance in metres at which things just vanish. 30 is dense, 200 mist.
        strength: Relative depth, which has no metres: the share of fog before the farthest thing, 0..1; there
            is none before the nearest. In between, the farthest thing is assumed to be five times as far away
            as the nearest.
        color: `"#rrggbb"` of the fog.
        edges: Let the fog's edges follow the photo's around silhouettes, as a matte's do.

    Returns:
        (H, W, 3) uint8 sRGB.

    Raises:
        InputError: Not the one of both that suits the depth, or a number out of range.
        NeedsMetricError: `visibility_m` with relative depth.
    """
    air = linear_color(color)
    if (visibility_m is None) == (strength is None):
        raise InputError(
            "fog needs visibility_m (--visibility-m) with metric depth, or strength (--strength) with "
            "relative depth; give one of them"
        )
    disparity = whole_disparity(scene.depth)
    if visibility_m is not None:
        _require_metric(scene, "fog by visibility_m", "strength (--strength 0.8)")
        if not visibility_m > 0:
            raise InputError(f"visibility_m must be positive metres, got {visibility_m!r}")
        with np.errstate(divide="ignore"):
            passing = _LEAST_CONTRAST ** (_range_m(scene, disparity) / visibility_m)
    else:
        assert strength is not None
        if scene.depth.is_metric:
            raise InputError(
                "strength is for relative depth, and this is metric; give visibility_m (--visibility-m 30)"
            )
        if not 0 <= strength <= 1:
            raise InputError(f"strength must lie in 0..1, got {strength!r}")
        passing = np.asarray((1 - strength) ** _assumed_way(disparity))
    passing = passing.astype(np.float32)
    if edges:
        passing = _along_edges(scene.image, disparity, passing)
    passing = passing[..., None]
    return to_srgb(to_linear(scene.image) * passing + air * (1 - passing))


@stage("effect")
def flash(scene: RGBD, *, full_m: float, ambient: float = 0.1) -> ImageArray:
    """Relight by distance, as a flash on the camera does: light falls with the square of the distance.

    Args:
        scene: The photo with metric depth.
        full_m: Distance in metres, along the ray, at which the photo stays as it is. Nearer things get
            brighter and clip to white.
        ambient: Share of the photo's light that is there without the flash, 0..1.

    Returns:
        (H, W, 3) uint8 sRGB.

    Raises:
        NeedsMetricError: The depth is relative.
        InputError: A number out of range.
    """
    _require_metric(scene, "flash", "dim (depth3d effect dim)")
    if not (math.isfinite(full_m) and full_m > 0):
        raise InputError(f"full_m must be positive metres, got {full_m!r}")
    if not 0 <= ambient <= 1:
        raise InputError(f"ambient must lie in 0..1, got {ambient!r}")
    disparity = whole_disparity(scene.depth)
    # More than 1e4 turns all but black white.
    with np.errstate(divide="ignore"):
        falloff = np.minimum(full_m / _range_m(scene, disparity).astype(np.float64), 100) ** 2
    gain = (ambient + (1 - ambient) * falloff).astype(np.float32)
    gain = _along_edges(scene.image, disparity, gain)
    return to_srgb(to_linear(scene.image) * gain[..., None])


@stage("effect")
def color_splash(scene: RGBD, matte: npt.ArrayLike) -> ImageArray:
    """Keep the colours of the subject and turn everything else gray.

    Args:
        scene: The photo.
        matte: (H, W) 0..1, the subject, such as `depth_matte` makes.

    Returns:
        (H, W, 3) uint8 sRGB; gray has the luminance of the colour that was there.

    Raises:
        InputError: The matte is not of the photo's size.
    """
    light, alpha = to_linear(scene.image), as_matte(matte, scene)[..., None]
    gray = (light @ _LUMINANCE)[..., None]
    mixed = to_srgb(light * alpha + gray * (1 - alpha))
    return np.where(alpha == 1, scene.image, mixed)


@stage("effect")
def dim(scene: RGBD, matte: npt.ArrayLike, *, stops: float = 2.0) -> ImageArray:
    """Darken everything but the subject.

    Args:
        scene: The photo.
        matte: (H, W) 0..1, the subject.
        stops: By how many f-stops, -20..20; each halves the light. Below 0 it brightens.

    Returns:
        (H, W, 3) uint8 sRGB.

    Raises:
        InputError: The matte is not of the photo's size, or `stops` is out of range.
    """
    if not -20 <= stops <= 20:
        raise InputError(f"stops must lie in -20..20, got {stops!r}")
    alpha = as_matte(matte, scene)[..., None]
    mixed = to_srgb(to_linear(scene.image) * (alpha + (1 - alpha) * np.float32(2.0**-stops)))
    return np.where(alpha == 1, scene.image, mixed)


def _range_m(scene: RGBD, disparity: FloatMap) -> FloatMap:
    """Compute the distance along the ray in metres; infinite where 1/z is 0."""
    length = np.linalg.norm(scene.camera.pixel_rays(), axis=2)
    with np.errstate(divide="ignore"):
        return np.asarray(length / disparity, dtype=np.float32)


def _assumed_way(disparity: FloatMap) -> FloatMap:
    """Guess the way through the fog, from 0 at the nearest to 1 at the farthest of a relative map."""
    far, near = np.percentile(disparity, (1, 99))
    if not near > far:
        return np.zeros_like(disparity)
    inverse = 1 / _ASSUMED_REACH + (1 - 1 / _ASSUMED_REACH) * np.clip((disparity - far) / (near - far), 0, 1)
    return np.asarray((1 / inverse - 1) / (_ASSUMED_REACH - 1), dtype=np.float32)


def _along_edges(image: ImageArray, disparity: FloatMap, values: FloatMap) -> FloatMap:
    """Let values that belong to depth change where the photo does, around silhouettes."""
    band = edge_band(disparity)
    trust = trust_in_depth(disparity, np.float32(0.5) * (band.low + band.high), band)
    return follow_colors(to_linear(image), values, band.mask, trust=trust)


def _require_metric(scene: RGBD, what: str, instead: str) -> None:
    if not scene.depth.is_metric:
        raise NeedsMetricError(
            f"{what} needs metric depth, got a relative map; use {instead}, a metric model "
            "(metric-indoor-small), or a calibration"
        )
