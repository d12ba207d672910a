"""`continued`: the colours of what is hidden, carried on from what is seen of the same surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from depth3d.core.arrays import BoolMap, FloatMap, ImageArray
from depth3d.errors import InputError
from depth3d.render.exemplars import Canvas, Piece, patched, pieces_of
from depth3d.render.nearest_sources import with_nearest
from depth3d.render.scattered import gathered
from depth3d.render.surface_planes import SurfacePlanes, surface_planes

__all__ = ["Inpainter", "continued", "continued_and_tried", "hidden_light", "inpainted"]

Inpainter: TypeAlias = Callable[[ImageArray, BoolMap], ImageArray]
"""(H, W, 3) uint8 sRGB and the (H, W) bool hole in it -> the (H, W, 3) uint8 picture with the hole filled."""

_WORKING_PX = 800_000
"""Size, in pixels in all, at which planes and patterns are looked for in larger pictures."""
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
    inside = hidden_light(
        np.array(color, np.float32),
        inverse_depth,
        source,
        hole,
        hidden[hole],
        working_px=working_px,
        seed=seed,
    )
    result = np.array(color, dtype=np.float32)  # not before: large pictures take much memory
    result[hole] = inside
    return result


def continued_and_tried(
    color: FloatMap,
    inverse_depth: FloatMap,
    source: BoolMap,
    hole: BoolMap,
    hidden: FloatMap,
    strip: BoolMap,
    *,
    seed: int = 0,
) -> tuple[FloatMap, FloatMap]:
    """Fill a hole as `continued`, and, to try that out, foretell a strip of visible pixels beside it, too.

    Planes and patterns are looked for once, without the strip; this is what takes the time.

    Args:
        color: (H, W, 3) float32 linear light.
        inverse_depth: (H, W) float32 of what is visible.
        source: (H, W) bool: pixels whose colours may be taken, none in the hole; some are outside the strip.
        hole: (H, W) bool; some pixels.
        hidden: (H, W) float32: inverse depth of the hidden surface; of use in the hole.
        strip: (H, W) bool: sources, of which a trial may know nothing.
        seed: Where chance plays.

    Returns:
        Two pictures (H, W, 3) float32: `color` with the hole filled from all sources, and with the strip
        foretold from the others.
    """
    light = _encoded(np.array(color, np.float32))
    hidden = np.where(hole, hidden, inverse_depth)
    maps = _Maps(light, inverse_depth, source, hole | strip, hidden)
    planes = _planes(maps, seed)
    own = _own(light, planes)
    found = replace(maps, source=source & ~strip)
    trial = _Plan.of(found, planes, [seen & ~strip for seen in own], seed)
    planes = replace(planes, of_hole=np.where(hole, planes.of_hole, np.int16(-1)))
    maps = replace(maps, hole=hole)
    whole = _Plan(with_nearest(light, source), _smooth(maps, planes, own), own, planes, trial.pieces)
    filled = []
    for plan, where in ((whole, hole), (trial, strip)):
        canvas = Canvas(plan.known, where, np.flatnonzero(where), plan.smooth[where])
        plan.fill(canvas)
        result = np.array(color, np.float32)
        result[where] = _decoded(canvas.filled)
        filled.append(result)
    return filled[0], filled[1]


def hidden_light(
    color: FloatMap,
    inverse_depth: FloatMap,
    source: BoolMap,
    hole: BoolMap,
    hidden: FloatMap,
    *,
    working_px: int = _WORKING_PX,
    seed: int = 0,
) -> FloatMap:
    """Find the colours in a hole, as `continued`, in less memory.

    Args:
        color: (H, W, 3) float32 linear light; it is written over.
        inverse_depth: (H, W) float32 of what is visible.
        source: (H, W) bool: pixels whose colours may be taken.
        hole: (H, W) bool.
        hidden: (n,) float32: inverse depth of the hidden surface at the pixels of the hole, row by row.
        working_px: As for `continued`.
        seed: Where chance plays.

    Returns:
        (n, 3) float32 linear light.
    """
    if not hole.any():
        return np.empty((0, 3), np.float32)
    finite = np.isfinite(color).all(axis=2)
    source = source & ~hole & finite
    if source.any():
        return _decoded(_filled(color, inverse_depth, source, hole, hidden, working_px, seed))
    known = color[~hole & finite]
    mean = np.minimum(known, 1).mean(axis=0) if len(known) else np.full(3, 0.5, np.float32)
    return np.tile(np.asarray(mean, dtype=np.float32), (len(hidden), 1))


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
        return with_nearest(light, source, out=light)[hole]
    planes = _planes(small, seed)
    plan = _Plan.of(small, planes, _own(small.light, planes), seed)
    whole = plan.known
    expected = np.empty((len(hidden), 3), np.float32)
    for k in range(3):
        channel = np.ascontiguousarray(plan.smooth[..., k])
        if small.hole.shape != hole.shape:
            channel = cv2.resize(channel, (width, height), interpolation=cv2.INTER_LINEAR)
        expected[:, k] = channel[hole]
    if small.hole.shape != hole.shape:
        whole = with_nearest(light, source, out=light)
    scale = small.hole.shape[1] / width, small.hole.shape[0] / height
    canvas = Canvas(whole, hole, np.flatnonzero(hole), expected, scale)
    plan.fill(canvas)
    return canvas.filled


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
        seen = np.asarray(inverse_depth, dtype=np.float32)
        if not np.isfinite(seen).all():
            seen = np.where(np.isfinite(seen), seen, np.float32(0))
        behind = np.where(np.isfinite(hidden), hidden, seen[hole]).astype(np.float32, copy=False)
        if hole.size > working_px:
            return cls._reduced(light, seen, source, hole, behind, (working_px / hole.size) ** 0.5)
        whole = seen.copy()
        whole[hole] = behind
        return cls(light, seen, source, hole, whole)

    @classmethod
    def _reduced(
        cls,
        light: FloatMap,
        inverse_depth: FloatMap,
        source: BoolMap,
        hole: BoolMap,
        hidden: FloatMap,
        scale: float,
    ) -> _Maps:
        """Make them smaller; no pixel mixes surfaces, or colours that are no source."""
        import cv2

        height, width = hole.shape
        size = max(1, round(width * scale)), max(1, round(height * scale))

        def small(values: FloatMap) -> FloatMap:
            return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA))

        weight = source.astype(np.float32)
        share = small(weight)
        least = np.maximum(share, 1e-6)
        channels = [small(light[..., k] * weight) / least for k in range(3)]
        np.copyto(weight, hole)
        hole_share = small(weight)
        weight[hole] = hidden
        behind = small(weight) / np.maximum(hole_share, 1e-6)
        few_holes = hole_share > 0
        seen = cv2.resize(inverse_depth, size, interpolation=cv2.INTER_NEAREST_EXACT)
        few_hidden = np.where(few_holes, behind, seen)
        return cls(np.dstack(channels), seen, (share > 0.99) & ~few_holes, few_holes, few_hidden)


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """How a hole will be filled.

    Attributes:
        known: (h, w, 3): the picture; pixels that are no source have the colours of the nearest one.
        smooth: (h, w, 3): in the hole, the mean of what is seen of each surface.
        own: Of each plane, the pixels whose colours may be taken.
        planes: Which plane each hidden pixel lies in.
        pieces: Of each plane that has a pattern, by its number.
    """

    known: FloatMap
    smooth: FloatMap
    own: list[BoolMap]
    planes: SurfacePlanes
    pieces: dict[int, list[Piece]]

    @classmethod
    def of(cls, maps: _Maps, planes: SurfacePlanes, own: list[BoolMap], seed: int) -> _Plan:
        known = with_nearest(maps.light, maps.source)
        pieces = {}
        for number, seen in enumerate(own):
            wanted = planes.of_hole == number
            if wanted.any() and np.count_nonzero(seen) >= _LEAST_SEEN_PX:
                # Perspective can't be told where inverse depths are lost in their tolerance.
                law = planes.laws[number] + np.array([0, 0, planes.tolerance])
                pieces[number] = pieces_of(known, seen, wanted, law, seed=seed)
        return cls(known, _smooth(maps, planes, own), own, planes, pieces)

    def fill(self, canvas: Canvas) -> None:
        """Fill what the canvas has of the hole."""
        for number, pieces in self.pieces.items():
            patched(canvas, self.known, self.own[number], self.planes.of_hole == number, pieces)


def _planes(maps: _Maps, seed: int) -> SurfacePlanes:
    return surface_planes(maps.inverse_depth, maps.source, maps.hole, maps.hidden, seed=seed)


def _own(light: FloatMap, planes: SurfacePlanes) -> list[BoolMap]:
    """List the pixels of each plane whose colours may be taken."""
    clipped = _beside_white(light)
    return [_unclipped(planes.of_source == number, clipped) for number in range(len(planes.laws))]


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
    import cv2

    filled = small.light.copy()
    light = np.dstack([small.light, np.ones(small.hole.shape, np.float32)])
    for number, seen in enumerate(own):
        at = planes.of_hole == number
        left, top, width, height = cv2.boundingRect(at.view(np.uint8))
        if not width:
            continue
        if not seen.any():
            farther = small.source & (small.inverse_depth <= 1.05 * float(small.hidden[at].max()))
            seen = farther if farther.any() else small.source
        spans = ((top, height), (left, width))
        box = tuple(slice(max(first - _NEAR_PX, 0), first + size + _NEAR_PX) for first, size in spans)
        box = box if seen[box].any() else (slice(None), slice(None))
        inside = at[box]
        weighed = np.zeros((*inside.shape, 4), np.float32)
        cv2.copyTo(light[box], seen[box].view(np.uint8), weighed)
        sums = gathered(weighed)[inside]
        filled[box][inside] = sums[:, :3] / np.maximum(sums[:, 3:], 1e-30)
    return with_nearest(filled, small.hole)


def _encoded(color: FloatMap) -> FloatMap:
    """Turn linear light, in place, into steps that look alike; what is brighter than white ends there."""
    np.fmax(color, 0, out=color)  # what is no number becomes black
    np.fmin(color, 1, out=color)
    return np.sqrt(color, out=color)


def _decoded(values: FloatMap) -> FloatMap:
    return np.square(np.clip(values, 0, 1))
