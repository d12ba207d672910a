"""`layers`: take a photo apart into what is seen and what lies behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from depth3d.core.arrays import BoolMap, FloatMap, ImageArray
from depth3d.core.camera import Camera
from depth3d.core.color import to_linear, to_srgb
from depth3d.core.scene import RGBD
from depth3d.core.stages import stage
from depth3d.errors import InputError
from depth3d.render.backdrop import backdrop_of
from depth3d.render.cuts import Joints, find_joints
from depth3d.render.hidden_depth import Silhouettes, hidden_depth, overhang, silhouettes_of
from depth3d.render.inpainting import Inpainter, continued, inpainted
from depth3d.render.inverse_depth import inverse_depth_of, span_of
from depth3d.render.local_planes import Index
from depth3d.render.margin import joints_with_margin, mended_rim, with_margin
from depth3d.render.sheets import Layers, Sheet
from depth3d.render.silhouette_matting import recomposed_colors, unmix_silhouettes
from depth3d.render.spread_colors import spread_behind

__all__ = ["default_reach_px", "layers", "layers_of"]

_REACH_SHARE = 0.03
"""Reach as a share of the longer side where none is given."""
_LEAST_PARALLAX_PX = 1.0
_LEAST_SHARE = 0.015
"""Neighbours are cut from this parallax on, or from this share of the reach."""
_LEAST_RELIEF = 1e-5
"""Share of its inverse depth that a scene's relief must reach to be cut at all: float32 rounds at 1e-7."""
_BAND_PX = 2
"""How far beside a silhouette pixels may be mixed."""
_OVERLAP_PX = 2
"""How far the back goes on under the visible surface that it continues."""
_MARGIN_WORKING_PX = 400_000
"""The margin is filled at this size, more coarsely than what silhouettes uncover."""


def layers(
    scene: RGBD,
    *,
    reach_px: float | None = None,
    margin_px: int | None = None,
    motion: tuple[float, float] | None = None,
    edges: Literal["snap", "keep"] = "snap",
    inpainter: Inpainter | None = None,
    seed: int = 0,
) -> Layers:
    """Take a photo apart, once, for all views of it.

    Neighbouring pixels are cut where two surfaces pass each other by more than a pixel. Behind each nearer
    one the farther one goes on as a plane, in colours of its own (`depth3d.render.inpainting`); pixels that
    both share, beside the cut, are taken apart (`depth3d.render.silhouette_matting`). Relative maps are
    normalised (`depth3d.render.inverse_depth`).

    Args:
        scene: The photo with metric or relative depth.
        reach_px: Parallax in pixels between the nearest and the farthest part of the scene, at the most, in
            the views that are planned: fx * baseline * (1/z_near - 1/z_far). None is 3 % of the longer side.
        margin_px: How far the surfaces go on beyond the photo's borders. None is the reach and 2 pixels.
        motion: (dx, dy) direction of the parallax in the picture, as (1, 0) for stereo; None is any.
        edges: `snap` moves soft edges to where the photo has them; `keep` believes the map.
        inpainter: Somebody's inpainter for hidden colours, instead of ours.
        seed: Where chance plays.

    Returns:
        The layers.

    Raises:
        InputError: A number out of range, depth that knows no pixel, or an inpainter that returns nonsense.
    """
    if not isinstance(scene, RGBD):
        raise InputError(f"layers need an RGBD scene, got {type(scene).__name__}; make one with RGBD(...)")
    return layers_of(
        scene.image,
        inverse_depth_of(scene, edges=edges),
        scene.camera,
        is_metric=scene.depth.is_metric,
        reach_px=reach_px,
        margin_px=margin_px,
        motion=motion,
        inpainter=inpainter,
        seed=seed,
    )


def default_reach_px(size_wh: tuple[int, int]) -> float:
    """Give the reach that a picture of a size gets where none is asked for."""
    return _REACH_SHARE * max(size_wh)


@stage("layers")
def layers_of(
    image: ImageArray,
    inverse_depth: FloatMap,
    camera: Camera,
    *,
    is_metric: bool,
    reach_px: float | None = None,
    margin_px: int | None = None,
    motion: tuple[float, float] | None = None,
    inpainter: Inpainter | None = None,
    seed: int = 0,
    quick: bool = False,
) -> Layers:
    """Do it with the inverse depth at hand, whole and with its edges snapped: `inverse_depth_of`.

    With `quick`, as for the frames of a film, hidden surfaces get the colours of what is beside them
    (`depth3d.render.spread_colors`), and margins those of the picture mirrored: a third of the time, and
    alike from frame to frame.

    Raises:
        InputError: A number out of range.
    """
    import cv2

    height, width = inverse_depth.shape
    reach, margin = _checked(reach_px, margin_px, (width, height))
    _check_motion_and_seed(motion, seed)
    span = span_of(inverse_depth)
    # What rounding leaves of a flat scene's relief is none.
    px_per_unit = max(reach, 1e-3) / max(span[1] - span[0], _LEAST_RELIEF * span[1], 1e-9)
    least_gap = max(_LEAST_PARALLAX_PX, _LEAST_SHARE * reach) / px_per_unit
    mended = mended_rim(inverse_depth, least_gap)
    joints = joints_with_margin(find_joints(mended, least_gap), margin)
    whole = with_margin(mended, margin, span=span, px_per_unit=px_per_unit)
    del mended
    light = to_linear(cv2.copyMakeBorder(np.ascontiguousarray(image), *(margin,) * 4, cv2.BORDER_REFLECT_101))
    silhouettes = silhouettes_of(whole, joints)
    clean = _away_px(silhouettes, whole.shape) >= _BAND_PX - 0.5
    if not quick:
        beyond = np.ones(whole.shape, dtype=np.bool_)
        beyond[margin : margin + height, margin : margin + width] = False
        light = continued(
            light, whole, clean & ~beyond, beyond, whole, working_px=_MARGIN_WORKING_PX, seed=seed
        )
        del beyond
    sides = _sides_of(whole, joints, silhouettes, px_per_unit, least_gap, motion)

    # Large pictures take much memory: nothing is kept longer than it is needed.
    mixed = unmix_silhouettes(
        light, whole, sides.near, sides.far, sides.band, _away_px(silhouettes, whole.shape)
    )
    hole = sides.covers.copy()
    hole.ravel()[mixed.at] |= sides.extends.ravel()[mixed.at] & (mixed.alpha > 0.02)
    if quick and inpainter is None:
        filled = spread_behind(light, whole, clean, hole, sides.far, least_gap=least_gap)
    else:
        filled = _hidden_colors(light, whole, clean, hole, sides.far, inpainter, seed)
    mixed = recomposed_colors(light, mixed, filled.reshape(-1, 3)[mixed.at])
    front_color = to_srgb(light)
    back_color = np.where(hole[..., None], 0, front_color)
    back_color[hole] = to_srgb(filled[hole])
    del filled, hole, clean
    front_color.reshape(-1, 3)[mixed.at] = to_srgb(mixed.near)
    back_color.reshape(-1, 3)[mixed.at] = to_srgb(mixed.far)
    backdrop = backdrop_of(light, whole, reach_px=reach, like=2 * least_gap)
    del light, whole

    alpha = np.ones(sides.near.shape, np.float32)
    alpha.ravel()[mixed.at] = mixed.alpha
    # Away from overhangs the joints are those of the photo, also in the margin.
    photos, front_joints = _within(joints, ~sides.extends), find_joints(sides.near, least_gap)
    right, down = photos.right | front_joints.right, photos.down | front_joints.down
    front = Sheet(front_color, sides.near, alpha, right, down)
    in_back = sides.covers | sides.extends | sides.overlap
    back_joints = _within(find_joints(np.where(in_back, sides.far, -1e9), least_gap), in_back)
    back = Sheet(back_color, sides.far, in_back.astype(np.float32), back_joints.right, back_joints.down)
    wide = camera.cropped(-margin, -margin, width + 2 * margin, height + 2 * margin)
    return Layers(front, back, backdrop, wide, margin, reach, image, is_metric)


@dataclass(frozen=True, slots=True)
class _Sides:
    """The nearer and the farther surface at each pixel.

    Attributes:
        near: (H, W) inverse depth of what is seen, and of surfaces that go on beyond their edges.
        far: (H, W) of what is hidden where there is such a thing, else of what is seen.
        extends: (H, W) bool: where a surface goes on beyond its edge.
        covers: (H, W) bool: where something is hidden.
        overlap: (H, W) bool: where what is hidden goes on under the visible surface that it continues.
        band: (n,) flat indices of the pixels that two surfaces may share.
    """

    near: FloatMap
    far: FloatMap
    extends: BoolMap
    covers: BoolMap
    overlap: BoolMap
    band: Index


def _sides_of(
    whole: FloatMap,
    joints: Joints,
    silhouettes: Silhouettes,
    px_per_unit: float,
    least_gap: float,
    motion: tuple[float, float] | None,
) -> _Sides:
    """Continue surfaces on both sides of silhouettes."""
    behind = hidden_depth(
        whole, joints, silhouettes, px_per_unit=px_per_unit, least_gap=least_gap, motion=motion
    )
    over = overhang(
        whole,
        joints,
        silhouettes,
        px_per_unit=px_per_unit,
        least_gap=least_gap,
        width_px=_BAND_PX + _OVERLAP_PX - 1,
    )
    extends = (over.ring > 0) & (over.ring <= _BAND_PX)
    covers = (behind.ring > 0) & ~extends
    overlap = (over.ring > _BAND_PX) & ~covers
    band = np.flatnonzero(extends | (covers & (behind.ring <= _BAND_PX)))
    near = np.where(extends, over.inverse_depth, whole)
    far = np.where(covers, behind.inverse_depth, whole)
    return _Sides(near, far, extends, covers, overlap, band)


def _away_px(silhouettes: Silhouettes, shape: tuple[int, ...]) -> FloatMap:
    """Measure how far pixels are from the nearest one beside a silhouette."""
    import cv2

    elsewhere = np.ones(shape, dtype=np.uint8)
    elsewhere.ravel()[silhouettes.near] = 0
    elsewhere.ravel()[silhouettes.far] = 0
    return np.asarray(cv2.distanceTransform(elsewhere, cv2.DIST_L2, 3))


def _within(joints: Joints, region: BoolMap) -> Joints:
    """Keep the joints between pixels of a region."""
    right, down = joints.right & region, joints.down & region
    right[:, :-1] &= region[:, 1:]
    down[:-1] &= region[1:]
    return Joints(right, down)


def _hidden_colors(
    light: FloatMap,
    whole: FloatMap,
    clean: BoolMap,
    hole: BoolMap,
    far: FloatMap,
    inpainter: Inpainter | None,
    seed: int,
) -> FloatMap:
    """Fill what is hidden, by our own means or somebody's."""
    if inpainter is None:
        return continued(light, whole, clean, hole, far, seed=seed)
    answer = to_linear(inpainted(inpainter, to_srgb(light), hole))
    return np.where(hole[..., None], answer, light).astype(np.float32)


def _check_motion_and_seed(motion: tuple[float, float] | None, seed: int) -> None:
    if motion is not None:
        try:
            finite = np.shape(motion) == (2,) and bool(np.isfinite(np.asarray(motion, float)).all())
        except (TypeError, ValueError):
            finite = False
        if not finite:
            raise InputError(f"motion must be two finite numbers (dx, dy), or None for any, got {motion!r}")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed must be a whole number of at least 0, got {seed!r}")


def _checked(reach_px: float | None, margin_px: int | None, size_wh: tuple[int, int]) -> tuple[float, int]:
    """Check the two lengths, or choose them."""
    reach = default_reach_px(size_wh) if reach_px is None else float(reach_px)
    most = max(size_wh)
    if not 0 <= reach <= most:
        raise InputError(
            f"reach_px must lie in 0..{most} for a picture of {size_wh[0]}x{size_wh[1]}, got {reach_px!r}"
        )
    if margin_px is None:
        return reach, math.ceil(reach) + _OVERLAP_PX
    margin = margin_px
    if not (isinstance(margin, int | np.integer) and 0 <= margin <= most):
        raise InputError(f"margin_px must be whole pixels in 0..{most}, got {margin_px!r}")
    return reach, int(margin)
