"""`continued`: the colours of what is hidden, carried on from what is seen of the same surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from depth3d.core.arrays import BoolMap, FloatMap, ImageArray
from depth3d.errors import InputError
from depth3d.render.exemplars import Canvas, patched
from depth3d.render.scattered import gathered
from depth3d.render.surface_planes import SurfacePlanes, surface_planes

__all__ = ["Inpainter", "continued", "inpainted"]

Inpainter: TypeAlias = Callable[[ImageArray, BoolMap], ImageArray]
"""(H, W, 3) uint8 sRGB and the (H, W) bool hole in it -> the (H, W, 3) uint8 picture with the hole filled."""

_WORKING_PX = 800_000
"""Size, in pixels in all, at which planes and patterns are looked for in larger pictures."""
_ROWS = 128
"""Rows of which the numbers of pixels are listed at a time."""
_LEAST_SEEN_PX = 64
"""A surface of which less is seen has no pattern to speak of."""
_NEAR_PX = 96
"""How far from its hidden part a surface is looked at for the mean of its colours, if it is seen there."""
_CLIPPED_SHARE = 0.97
"""A surface of which more than this is not clipped to white has lamps or glints on it, not snow."""


def continued(
    color: FloatMap,
    inverse_depth: FloatMap,
    source: BoolMap,
    hole: BoolMap,
    hidden: FloatMap,
    *,
    working_px: int = _WORKING_PX,
    seed: int = 0,
) -> FloatMap:
    """Fill a hole with the surfaces that go on behind it.

    Args:
        color: (H, W, 3) float32 linear light.
        inverse_depth: (H, W) float32 of what is visible, larger is nearer, 0 infinitely far.
        source: (H, W) bool: pixels whose colours may be taken; those mixed from two surfaces should not.
        hole: (H, W) bool: where a hidden surface is wanted.
        hidden: (H, W) float32: inverse depth of the hidden surface; of use in the hole.
        working_px: In larger pictures planes and patterns are looked for at this size, in pixels in all; the
            colours are those of the picture as it is.
        seed: Where chance plays.

    Returns:
        (H, W, 3) float32, equal to `color` outside the hole. Only colours of `source` pixels of the same
        surface are used; without any, those of what is no nearer, then of all sources, and without a source
        the mean of what is known.

    Raises:
        InputError: The maps differ in size.
    """
    _require_one_size(color, inverse_depth, source, hole, hidden)
    if not hole.any():
        return color
    source = source & ~hole & np.isfinite(color).all(axis=2)
    if source.any():
        inside = _decoded(_filled(color, inverse_depth, source, hole, hidden, working_px, seed))
    else:
        known = color[~hole & np.isfinite(color).all(axis=2)]
        inside = np.minimum(known, 1).mean(axis=0) if len(known) else np.full(3, 0.5, np.float32)
    result = np.array(color, dtype=np.float32)  # not before: large pictures take much memory
    result[hole] = inside
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
    color: FloatMap,
    inverse_depth: FloatMap,
    source: BoolMap,
    hole: BoolMap,
    hidden: FloatMap,
    working_px: int,
    seed: int,
) -> FloatMap:
    """Look for planes and moves at a working size; take the colours from the picture as it is.

    Returns:
        (n, 3) float32, the encoded colours of the hole's pixels.
    """
    import cv2

    height, width = hole.shape
    light = _encoded(color)
    small = _Maps.of(light, inverse_depth, source, hole, hidden, working_px)
    if not small.source.any():  # they are finer than the pixels of the working size
        return _nearest(light, source)[hole]
    planes = surface_planes(small.inverse_depth, small.source, small.hole, small.hidden, seed=seed)
    clipped = _beside_white(small.light)
    own = [_unclipped(planes.of_source == number, clipped) for number in range(len(planes.laws))]
    smooth = _smooth(small, planes, own)
    known = whole = _nearest(small.light, small.source)
    if small.hole.shape != hole.shape:
        smooth = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR)
        whole = _nearest(light, source, out=light)
    scale = small.hole.shape[1] / width, small.hole.shape[0] / height
    canvas = Canvas(whole, hole, smooth, scale)
    for number, seen in enumerate(own):
        wanted = planes.of_hole == number
        if wanted.any() and np.count_nonzero(seen) >= _LEAST_SEEN_PX:
            # Perspective can't be told where inverse depths are lost in their tolerance.
            law = planes.laws[number] + np.array([0, 0, planes.tolerance])
            patched(canvas, known, seen, wanted, law, seed=seed)
    return canvas.filled[hole]


@dataclass(frozen=True, slots=True)
class _Maps:
    light: FloatMap
    inverse_depth: FloatMap
    source: BoolMap
    hole: BoolMap
    hidden: FloatMap

    @classmethod
    def of(
        cls,
        light: FloatMap,
        inverse_depth: FloatMap,
        source: BoolMap,
        hole: BoolMap,
        hidden: FloatMap,
        working_px: int,
    ) -> _Maps:
        """Take maps as they are, but for numbers that are none, or make them smaller if they are larger."""
        seen = np.where(np.isfinite(inverse_depth), inverse_depth, 0).astype(np.float32, copy=False)
        behind = np.where(hole & np.isfinite(hidden), hidden, seen).astype(np.float32, copy=False)
        maps = cls(light, seen, source, hole, behind)
        return maps if hole.size <= working_px else maps._reduced((working_px / hole.size) ** 0.5)

    def _reduced(self, scale: float) -> _Maps:
        """Make them smaller; no pixel mixes surfaces, or colours that are no source."""
        import cv2

        height, width = self.hole.shape
        size = max(1, round(width * scale)), max(1, round(height * scale))

        def mean(of: BoolMap, *channels: FloatMap) -> tuple[list[FloatMap], FloatMap]:
            weight = of.astype(np.float32)
            share = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
            least = np.maximum(share, 1e-6)
            sums = (cv2.resize(values * weight, size, interpolation=cv2.INTER_AREA) for values in channels)
            return [total / least for total in sums], share

        channels, share = mean(self.source, *(self.light[..., c] for c in range(3)))
        (behind,), hole_share = mean(self.hole, self.hidden)
        hole = hole_share > 0
        inverse_depth = cv2.resize(self.inverse_depth, size, interpolation=cv2.INTER_NEAREST_EXACT)
        hidden = np.where(hole, behind, inverse_depth)
        return _Maps(np.dstack(channels), inverse_depth, (share > 0.99) & ~hole, hole, hidden)


def _beside_white(light: FloatMap) -> BoolMap:
    """Find what is clipped to white, and its neighbours, which a little of a lamp outshines."""
    import cv2

    white = (light[..., 0] >= 1) | (light[..., 1] >= 1) | (light[..., 2] >= 1)
    return np.asarray(cv2.dilate(white.view(np.uint8), np.ones((3, 3), np.uint8)) > 0)


def _unclipped(own: BoolMap, clipped: BoolMap) -> BoolMap:
    """Leave lamps and glints out of a surface's sources, unless much of it is white."""
    rest = own & ~clipped
    return rest if np.count_nonzero(rest) > _CLIPPED_SHARE * np.count_nonzero(own) else own


def _smooth(small: _Maps, planes: SurfacePlanes, own: list[BoolMap]) -> FloatMap:
    """Take the mean of what is seen of each surface, near pixels first; nearest hidden colours elsewhere."""
    filled = small.light.copy()
    for number, seen in enumerate(own):
        at = planes.of_hole == number
        if not at.any():
            continue
        if not seen.any():
            farther = small.source & (small.inverse_depth <= 1.05 * float(small.hidden[at].max()))
            seen = farther if farther.any() else small.source
        rows, cols = np.nonzero(at)
        box = tuple(slice(max(int(a.min()) - _NEAR_PX, 0), int(a.max()) + _NEAR_PX + 1) for a in (rows, cols))
        box = box if seen[box].any() else (slice(None), slice(None))
        inside = at[box]
        weighed = np.dstack([small.light[box], np.ones(inside.shape, np.float32)]) * seen[box][..., None]
        sums = gathered(weighed)[inside]
        filled[at] = sums[:, :3] / np.maximum(sums[:, 3:], 1e-30)
    return _nearest(filled, small.hole)


def _nearest(light: FloatMap, source: BoolMap, *, out: FloatMap | None = None) -> FloatMap:
    """Put the colour of the nearest source where there is none, so that nothing foreign is blended in."""
    import cv2

    result = light.copy() if out is None else out
    foreign = ~source
    labels = cv2.distanceTransformWithLabels(
        foreign.view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )[1]
    at = np.zeros(int(labels.max()) + 1, dtype=np.int32)
    for top in range(0, len(source), _ROWS):
        rows = slice(top, top + _ROWS)
        at[labels[rows][source[rows]]] = np.flatnonzero(source[rows]) + top * source.shape[1]
    result[foreign] = light.reshape(-1, 3)[at[labels[foreign]]]
    return result


def _encoded(color: FloatMap) -> FloatMap:
    """Turn linear light into steps that look alike; what is brighter than white ends there."""
    light = np.nan_to_num(color).astype(np.float32, copy=False)
    np.clip(light, 0, 1, out=light)
    return np.sqrt(light, out=light)


def _decoded(values: FloatMap) -> FloatMap:
    return np.square(np.clip(values, 0, 1))
