"""`layers`: take a photo apart into what is seen and what lies behind it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap, ImageArray
from depth3d.core.camera import Camera
from depth3d.core.color import to_linear, to_srgb
from depth3d.core.scene import RGBD
from depth3d.core.stages import stage
from depth3d.errors import InputError
from depth3d.render.backdrop import backdrop_of, thinned
from depth3d.render.cuts import Joints, find_joints
from depth3d.render.hidden_depth import silhouettes_of
from depth3d.render.inpainting import Inpainter, hidden_light, inpainted
from depth3d.render.inverse_depth import inverse_depth_of, span_of
from depth3d.render.margin import joints_with_margin, mended_rim, with_margin
from depth3d.render.sheets import Layers, Sheet
from depth3d.render.sides import OVERLAP_PX, sides_of, steps_away
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
    return _taken_apart(
        scene.image,
        lambda: inverse_depth_of(scene, edges=edges),
        scene.camera,
        is_metric=scene.depth.is_metric,
        lengths_px=(reach_px, margin_px),
        motion=motion,
        inpainter=inpainter,
        seed=seed,
    )


def default_reach_px(size_wh: tuple[int, int]) -> float:
    """Give the reach that a picture of a size gets where none is asked for."""
    return _REACH_SHARE * max(size_wh)


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
    return _taken_apart(
        image,
        lambda: inverse_depth,
        camera,
        is_metric=is_metric,
        lengths_px=(reach_px, margin_px),
        motion=motion,
        inpainter=inpainter,
        seed=seed,
        quick=quick,
    )


@stage("layers")
def _taken_apart(
    image: ImageArray,
    inverse_depth: Callable[[], FloatMap],
    camera: Camera,
    *,
    is_metric: bool,
    lengths_px: tuple[float | None, int | None],
    motion: tuple[float, float] | None,
    inpainter: Inpainter | None,
    seed: int,
    quick: bool = False,
) -> Layers:
    """Do it. Large pictures take much memory: nothing is kept for longer than it is needed."""
    import cv2

    height, width = image.shape[:2]
    shallow = inverse_depth()
    reach, margin = _checked(*lengths_px, (width, height))
    _check_motion_and_seed(motion, seed)
    span = span_of(shallow)
    # What rounding leaves of a flat scene's relief is none.
    px_per_unit = max(reach, 1e-3) / max(span[1] - span[0], _LEAST_RELIEF * span[1], 1e-9)
    least_gap = max(_LEAST_PARALLAX_PX, _LEAST_SHARE * reach) / px_per_unit
    mended = mended_rim(shallow, least_gap)
    del shallow
    joints = joints_with_margin(find_joints(mended, least_gap), margin)
    whole = with_margin(mended, margin, span=span, px_per_unit=px_per_unit)
    del mended
    front_color = cv2.copyMakeBorder(np.ascontiguousarray(image), *(margin,) * 4, cv2.BORDER_REFLECT_101)
    silhouettes = silhouettes_of(whole, joints)
    away = steps_away(silhouettes, whole.shape)
    beyond = np.ones(whole.shape, dtype=np.bool_)
    beyond[margin : margin + height, margin : margin + width] = False
    rim_light = to_linear(front_color[beyond])
    if not quick:
        clean = (away == 2) & ~beyond
        rim_light = hidden_light(
            to_linear(front_color),
            whole,
            clean,
            beyond,
            whole[beyond],
            working_px=_MARGIN_WORKING_PX,
            seed=seed,
        )
        del clean
    sides = sides_of(whole, joints, silhouettes, px_per_unit, least_gap, motion)
    del silhouettes

    light = to_linear(front_color)
    light[beyond] = rim_light
    front_color[beyond] = to_srgb(rim_light)
    del beyond, rim_light
    mixed = unmix_silhouettes(light, whole, sides.near, sides.far, sides.band, away)
    own = light.reshape(-1, 3)[mixed.at]
    few_colors = thinned(light)
    hole = sides.covers.copy()
    hole.ravel()[mixed.at] |= sides.extends.ravel()[mixed.at] & (mixed.alpha > 0.02)
    hidden = sides.far_at(hole, whole)
    clean = away == 2
    del away
    if inpainter is not None:
        filled = to_linear(inpainted(inpainter, front_color, hole)[hole])
    elif quick:
        filled = spread_behind(
            light, whole, clean, hole, _put(whole.copy(), hole, hidden), least_gap=least_gap
        )
        filled = filled[hole]
    else:
        filled = hidden_light(light, whole, clean, hole, hidden, seed=seed)
    del light, clean, hidden
    backdrop = backdrop_of(few_colors, whole, reach_px=reach, like=2 * least_gap)
    back_color = _put(front_color.copy(), hole, to_srgb(filled))
    behind, shared = own.copy(), hole.ravel()[mixed.at]
    behind[shared] = filled[np.searchsorted(np.flatnonzero(hole), mixed.at[shared])]
    mixed = recomposed_colors(own, mixed, behind)
    del filled, hole
    front_color.reshape(-1, 3)[mixed.at] = to_srgb(mixed.near)
    back_color.reshape(-1, 3)[mixed.at] = to_srgb(mixed.far)

    far = _put(whole.copy(), sides.covers, sides.covers_q)
    near = _put(whole, sides.extends, sides.extends_q)
    in_back = sides.covers | sides.extends | sides.overlap
    back_joints = _within(find_joints(np.where(in_back, far, np.float32(-1e9)), least_gap), in_back)
    back = Sheet(back_color, far, in_back.astype(np.float32), back_joints.right, back_joints.down)
    # Away from overhangs the joints are those of the photo, also in the margin.
    front_joints, photos = find_joints(near, least_gap), _within(joints, ~sides.extends)
    np.logical_or(front_joints.right, photos.right, out=front_joints.right)
    np.logical_or(front_joints.down, photos.down, out=front_joints.down)
    del joints, photos, in_back, sides
    alpha = np.ones(near.shape, np.float32)
    alpha.ravel()[mixed.at] = mixed.alpha
    front = Sheet(front_color, near, alpha, front_joints.right, front_joints.down)
    wide = camera.cropped(-margin, -margin, width + 2 * margin, height + 2 * margin)
    return Layers(front, back, backdrop, wide, margin, reach, image, is_metric)


def _put(onto: npt.NDArray[Any], where: BoolMap, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Write values, row by row, to where they belong."""
    onto[where] = values
    return onto


def _within(joints: Joints, region: BoolMap) -> Joints:
    """Keep the joints between pixels of a region."""
    right, down = joints.right & region, joints.down & region
    right[:, :-1] &= region[:, 1:]
    down[:-1] &= region[1:]
    return Joints(right, down)


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
        return reach, math.ceil(reach) + OVERLAP_PX
    margin = margin_px
    if not (isinstance(margin, int | np.integer) and 0 <= margin <= most):
        raise InputError(f"margin_px must be whole pixels in 0..{most}, got {margin_px!r}")
    return reach, int(margin)
