"""`continued`: the colours of what is hidden, carried on from what is seen of the same surface."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from depth3d.core.arrays import BoolMap, FloatMap, ImageArray
from depth3d.errors import InputError
from depth3d.render.exemplars import patched
from depth3d.render.scattered import gathered
from depth3d.render.surface_planes import SurfacePlanes, surface_planes

__all__ = ["Inpainter", "continued", "inpainted"]

Inpainter: TypeAlias = Callable[[ImageArray, BoolMap], ImageArray]
"""(H, W, 3) uint8 sRGB and the (H, W) bool hole in it -> the (H, W, 3) uint8 picture with the hole filled."""

_WORKING_PX = 1_200_000
"""Larger pictures are filled at a smaller size first."""


def continued(
    color: FloatMap,
    inverse_depth: FloatMap,
    source: BoolMap,
    hole: BoolMap,
    hidden: FloatMap,
    *,
    seed: int = 0,
) -> FloatMap:
    """Fill a hole with the surfaces that go on behind it.

    Args:
        color: (H, W, 3) float32 linear light.
        inverse_depth: (H, W) float32 of what is visible, larger is nearer, 0 infinitely far.
        source: (H, W) bool: pixels whose colours may be taken; those mixed from two surfaces should not.
        hole: (H, W) bool: where a hidden surface is wanted.
        hidden: (H, W) float32: inverse depth of the hidden surface; of use in the hole.
        seed: Where chance plays.

    Returns:
        (H, W, 3) float32, equal to `color` outside the hole. Only colours of `source` pixels near the same
        surface are used; without any, those of all sources, and without a source the mean of what is known.

    Raises:
        InputError: The maps differ in size.
    """
    _require_one_size(color, inverse_depth, source, hole, hidden)
    if not hole.any():
        return color
    source = source & ~hole & np.isfinite(color).all(axis=2)
    result = np.array(color, dtype=np.float32)
    if not source.any():
        known = color[~hole & np.isfinite(color).all(axis=2)]
        result[hole] = np.minimum(known, 1).mean(axis=0) if len(known) else 0.5
        return result
    seen = np.where(np.isfinite(inverse_depth), inverse_depth, 0).astype(np.float32)
    behind = np.where(hole & np.isfinite(hidden), hidden, seen).astype(np.float32)
    light = _encoded(color)
    height, width = hole.shape
    factor = int(np.ceil(np.sqrt(height * width / _WORKING_PX)))
    if factor > 1:
        filled = _filled_smaller(light, seen, source, hole, behind, factor, seed)
    else:
        filled = _filled(light, seen, source, hole, behind, seed)
    result[hole] = _decoded(filled[hole])
    return result


def inpainted(inpainter: Inpainter, image: ImageArray, hole: BoolMap) -> ImageArray:
    """Ask somebody's inpainter to fill a hole, and check what it returns.

    Args:
        inpainter: Takes the picture and the hole, returns the picture filled.
        image: (H, W, 3) uint8 sRGB; given as a copy.
        hole: (H, W) bool; given as a copy.

    Returns:
        (H, W, 3) uint8: `image` outside the hole, what the inpainter says inside.

    Raises:
        InputError: It returned another size or type.
    """
    answer = np.asarray(inpainter(image.copy(), hole.copy()))
    if answer.shape != image.shape or answer.dtype != np.uint8:
        raise InputError(
            f"an inpainter must return the picture that it got, {image.shape} uint8, with the hole filled; "
            f"it returned {answer.shape} {answer.dtype.name}"
        )
    return np.where(hole[..., None], answer, image)


def _require_one_size(color: FloatMap, *maps: FloatMap | BoolMap) -> None:
    if color.ndim != 3 or color.shape[2] != 3:
        raise InputError(f"color must have shape (H, W, 3), got {color.shape}")
    for values in maps:
        if values.shape != color.shape[:2]:
            raise InputError(
                f"inverse_depth, source, hole and hidden must be as large as color, {color.shape[:2]}, "
                f"got {values.shape}"
            )


def _filled(
    light: FloatMap, inverse_depth: FloatMap, source: BoolMap, hole: BoolMap, hidden: FloatMap, seed: int
) -> FloatMap:
    """Fill at the size given."""
    planes = surface_planes(inverse_depth, source, hole, hidden, seed=seed)
    filled = _smooth(light, source, planes)
    known = _nearest(light, source)
    for number in np.unique(planes.of_hole[planes.of_hole >= 0]):
        own = planes.of_source == number
        wanted = planes.of_hole == number
        if own.sum() >= 64:
            result = patched(known, filled, own, wanted, planes.laws[number], seed=seed)
            filled[wanted] = result[wanted]
    return filled


def _nearest(light: FloatMap, source: BoolMap) -> FloatMap:
    """Put the colour of the nearest source where there is none, so that nothing foreign is blended in."""
    import cv2

    _, nearest = cv2.distanceTransformWithLabels(
        (~source).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros((int(nearest.max()) + 1, 3), dtype=np.float32)
    of_label[nearest[source]] = light[source]
    return np.asarray(of_label[nearest])


def _smooth(light: FloatMap, source: BoolMap, planes: SurfacePlanes) -> FloatMap:
    """Take the mean of what is seen of each surface, near pixels first."""
    filled = light.copy()
    for number in np.unique(planes.of_hole[planes.of_hole >= 0]):
        at = planes.of_hole == number
        own = planes.of_source == number
        if not own.any():
            own = source
        weighed = np.dstack([light, np.ones(own.shape, np.float32)]) * own[..., None]
        sums = gathered(weighed.astype(np.float32))[at]
        filled[at] = sums[:, :3] / np.maximum(sums[:, 3:], 1e-30)
    return filled


def _filled_smaller(
    light: FloatMap,
    inverse_depth: FloatMap,
    source: BoolMap,
    hole: BoolMap,
    hidden: FloatMap,
    factor: int,
    seed: int,
) -> FloatMap:
    """Fill at a smaller size and enlarge it."""
    import cv2

    height, width = hole.shape
    size = (-(-width // factor), -(-height // factor))

    def reduced(values: FloatMap) -> FloatMap:
        return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA))

    share = reduced(source.astype(np.float32))
    small = reduced(light * source[..., None]) / np.maximum(share, 1e-6)[..., None]
    open_share = reduced(hole.astype(np.float32))
    nearest = {"dsize": size, "interpolation": cv2.INTER_NEAREST_EXACT}
    some_hole = open_share > 0
    depth_sum = reduced(np.where(hole, hidden, 0).astype(np.float32))
    behind = np.where(some_hole, depth_sum / np.maximum(open_share, 1e-6), 0).astype(np.float32)
    filled = _filled(
        small, cv2.resize(inverse_depth, **nearest), (share > 0.99) & ~some_hole, some_hole, behind, seed
    )
    weight = some_hole.astype(np.float32)
    wide = cv2.resize(np.dstack([filled * weight[..., None], weight]), (width, height))
    return np.asarray(wide[..., :3] / np.maximum(wide[..., 3:], 1e-6), dtype=np.float32)


def _encoded(color: FloatMap) -> FloatMap:
    """Turn linear light into steps that look alike; what is brighter than white ends there."""
    return np.sqrt(np.clip(np.nan_to_num(color), 0, 1), dtype=np.float32)


def _decoded(values: FloatMap) -> FloatMap:
    return np.square(np.clip(values, 0, 1))
