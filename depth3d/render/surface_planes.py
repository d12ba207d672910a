"""`surface_planes`: which plane each hidden pixel lies in, and which visible pixels lie in it too.

Under a pinhole a plane's inverse depth is affine in the pixel coordinates: a wall or a floor goes on behind
what covers it as one affine function, and a visible pixel belongs to it if its inverse depth says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap

__all__ = ["SurfacePlanes", "surface_planes"]

_BAND_PX = 24.0
"""How far from what is hidden the visible surfaces are fitted."""
_SEEDS = 400
_SAMPLES = 6000
_MOST_PLANES = 24
_RELATIVE_TOLERANCE = 0.006
"""Of the inverse depth: what still lies in a plane. Three times the noise is added."""
_LARGEST_TOLERANCE = 0.03
"""Of the nearest thing's inverse depth."""
_OWN_GAP = 0.3
"""Share of the step at a silhouette within which a visible pixel is on the hidden side of it."""

_ROWS = 64
"""Rows whose pixels are handed to planes together, which stay in the cache."""

_Array: TypeAlias = npt.NDArray[np.float64]
_Index: TypeAlias = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class SurfacePlanes:
    """Planes, and who lies in them.

    Attributes:
        laws: (n, 3): inverse depth = law . (column, row, 1), columns and rows counted from 0.
        of_hole: (H, W) int16: the plane of each hidden pixel, -1 elsewhere.
        of_source: (H, W) int16: the plane of each visible pixel whose colour may be taken, or -1.
        tolerance: How exactly inverse depths near 0 are known.
    """

    laws: _Array
    of_hole: npt.NDArray[np.int16]
    of_source: npt.NDArray[np.int16]
    tolerance: float


def surface_planes(
    inverse_depth: FloatMap, source: BoolMap, hole: BoolMap, hidden: FloatMap, *, seed: int = 0
) -> SurfacePlanes:
    """Fit planes to the visible surfaces beside what is hidden, and hand every hidden pixel to one.

    One plane after the other is the one that most visible pixels agree with (random sample consensus, as in
    Fischler and Bolles, 1981, over least-squares fits to small windows). A hidden pixel goes to a plane that
    gives its inverse depth and is seen near it. Where no plane does, the hidden values themselves are fitted.

    Args:
        inverse_depth: (H, W) float32 of what is visible, finite, larger is nearer.
        source: (H, W) bool: visible pixels that belong to one surface; planes are fitted to those outside
            the hole, but given to all.
        hole: (H, W) bool: hidden pixels.
        hidden: (H, W) float32: inverse depth of the hidden surface, in the hole.
        seed: Chooses the samples.

    Returns:
        The planes; each hidden pixel has one.
    """
    chance = np.random.default_rng(seed)
    band, span = _band(inverse_depth, source, hole, hidden)
    rows, cols = np.nonzero(band)
    if len(rows) > _SAMPLES:
        chosen = np.sort(chance.choice(len(rows), _SAMPLES, replace=False))
        rows, cols = rows[chosen], cols[chosen]
    laws: list[_Array] = []
    noise = 0.0
    if len(rows) >= 12:
        laws, noise = _consensus(inverse_depth, band, rows, cols, span, chance)
    tolerance = _tolerance(span, noise)
    of_hole = _assigned(inverse_depth, hole, hidden, band, laws, tolerance)
    of_source = _of_sources(inverse_depth, source, laws, tolerance)
    return SurfacePlanes(np.array(laws).reshape(-1, 3), of_hole, of_source, float(tolerance.of(0.0)))


@dataclass(frozen=True, slots=True)
class _Tolerance:
    floor: float
    noise: float
    most: float

    def of(self, values: npt.ArrayLike) -> _Array:
        """How far from a plane of these inverse depths a pixel may lie."""
        relative = _RELATIVE_TOLERANCE * np.abs(np.asarray(values, dtype=np.float64))
        return np.asarray(np.minimum(np.maximum(relative, self.floor) + self.noise, self.most))


def _tolerance(span: float, noise: float) -> _Tolerance:
    return _Tolerance(2e-4 * span, 3 * noise, _LARGEST_TOLERANCE * span)


def _band(inverse_depth: FloatMap, source: BoolMap, hole: BoolMap, hidden: FloatMap) -> tuple[BoolMap, float]:
    """Find the visible pixels beside the hole that are on its own surface; and the largest inverse depth."""
    import cv2

    # What hides something is near, even where little of it is seen.
    span = max(float(np.percentile(inverse_depth, 98)), float(np.percentile(inverse_depth[hole], 90)))
    span = max(span, float(np.abs(hidden[hole]).max()), 1e-12)
    distance, nearest = cv2.distanceTransformWithLabels(
        (~hole).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    band = source & ~hole & (distance <= _BAND_PX)
    inside = np.flatnonzero(hole)
    of_label = np.zeros(int(nearest.max()) + 1, dtype=np.intp)
    of_label[nearest.ravel()[inside]] = inside
    at = of_label[nearest[band]]
    behind = hidden.ravel()[at]
    gap = inverse_depth.ravel()[at] - behind
    near = np.abs(inverse_depth[band] - behind) <= np.where(gap > 1e-3 * span, _OWN_GAP * gap, 0.05 * span)
    result = band.copy()
    result[band] = near
    return result, span


def _consensus(
    inverse_depth: FloatMap,
    band: BoolMap,
    rows: _Index,
    cols: _Index,
    span: float,
    chance: np.random.Generator,
) -> tuple[list[_Array], float]:
    """Take planes from the visible pixels of the band until too few are left."""
    guesses, noise = _local_planes(inverse_depth, band, rows, cols, chance)
    tolerance = _tolerance(span, noise)
    at = np.stack([cols, rows, np.ones(len(rows))], axis=1).astype(np.float64)
    values = inverse_depth[rows, cols].astype(np.float64)
    allowed = tolerance.of(values)
    left = np.ones(len(values), dtype=np.bool_)
    away = guesses @ at.T
    away -= values
    agrees = np.abs(away, out=away) <= allowed
    counted = agrees.astype(np.float32)  # a product counts faster than a sum
    del away
    laws: list[_Array] = []
    least = max(12, len(values) // 300)
    while len(laws) < _MOST_PLANES and left.any():
        support = counted @ left.astype(np.float32)
        best = int(np.argmax(support))
        if support[best] < least:
            break
        law, mine = guesses[best], agrees[best] & left
        for _ in range(3):
            law = _fitted(at[mine], values[mine])
            again = (np.abs(at @ law - values) <= allowed) & left
            if again.sum() < least:
                break
            mine = again
        laws.append(law)
        left &= ~mine
    return laws, noise


def _local_planes(
    inverse_depth: FloatMap, band: BoolMap, rows: _Index, cols: _Index, chance: np.random.Generator
) -> tuple[_Array, float]:
    """Fit a plane to what is around some of the pixels, robustly, and measure the noise."""
    height, width = inverse_depth.shape
    seeds = chance.choice(len(rows), min(_SEEDS, len(rows)), replace=False)
    y, x = rows[seeds], cols[seeds]
    steps = np.arange(-9, 10, 3)
    dy, dx = (a.ravel() for a in np.meshgrid(steps, steps, indexing="ij"))
    ys, xs = y[:, None] + dy, x[:, None] + dx
    inside = (ys >= 0) & (ys < height) & (xs >= 0) & (xs < width)
    ys, xs = np.clip(ys, 0, height - 1), np.clip(xs, 0, width - 1)
    there = inside & band[ys, xs]
    values = inverse_depth[ys, xs].astype(np.float64) - inverse_depth[y, x].astype(np.float64)[:, None]
    design = np.stack(
        [np.broadcast_to(dx, xs.shape), np.broadcast_to(dy, xs.shape), np.ones(xs.shape)], axis=2
    )
    # The plane passes about through its seed: what is far from it in depth starts with little weight.
    size = np.median(np.where(there, np.abs(values), np.nan)[there]) if there.any() else 0.0
    weight = there / (1 + (values / max(float(size), 1e-12)) ** 2)
    law: _Array = np.zeros((len(y), 3))
    for _ in range(4):
        form = np.einsum("nk,nki,nkj->nij", weight, design, design) + 1e-6 * np.eye(3)
        law = np.linalg.solve(form, np.einsum("nk,nki,nk->ni", weight, design, values)[..., None])[..., 0]
        rest = np.abs(np.einsum("nki,ni->nk", design, law) - values)
        scale = np.sum(weight * rest, axis=1) / np.maximum(weight.sum(axis=1), 1e-12)
        weight = there / (1 + (rest / np.maximum(scale, 1e-12)[:, None]) ** 2)
    enough = there.sum(axis=1) >= 6
    noise = float(np.median(scale[enough])) if enough.any() else 0.0
    offset = inverse_depth[y, x] + law[:, 2] - law[:, 0] * x - law[:, 1] * y
    return np.stack([law[:, 0], law[:, 1], offset], axis=1), noise


def _fitted(at: _Array, values: _Array) -> _Array:
    """Fit a plane by least squares, with a little pull to a level one."""
    middle = at.mean(axis=0)
    offset = at[:, :2] - middle[:2]
    mean = values.mean()
    form = offset.T @ offset + 1e-3 * np.eye(2)
    slope = np.linalg.solve(form, offset.T @ (values - mean))
    return np.array([slope[0], slope[1], mean - slope @ middle[:2]])


def _assigned(
    inverse_depth: FloatMap,
    hole: BoolMap,
    hidden: FloatMap,
    band: BoolMap,
    laws: list[_Array],
    tolerance: _Tolerance,
) -> npt.NDArray[np.int16]:
    """Give every hidden pixel its plane; append planes for those that have none."""
    import cv2

    rows, cols = np.nonzero(hole)
    values = hidden[rows, cols].astype(np.float64)
    allowed = tolerance.of(values)
    least = np.full(len(rows), np.inf)
    chosen = np.full(len(rows), -1, dtype=np.int16)
    y, x = np.nonzero(band)
    seen = inverse_depth[y, x].astype(np.float64)
    allowed_seen = tolerance.of(seen)
    for number, law in enumerate(laws):
        mine = np.abs(law[0] * x + law[1] * y + law[2] - seen) <= allowed_seen
        if not mine.any():
            continue
        elsewhere = np.ones(hole.shape, dtype=np.uint8)
        elsewhere[y[mine], x[mine]] = 0
        way = cv2.distanceTransform(elsewhere, cv2.DIST_L2, 5)[rows, cols]
        off = np.abs(law[0] * cols + law[1] * rows + law[2] - values) / allowed
        cost = np.minimum(off, 12) + way / 8
        better = (cost < least) & (off < 12)
        least[better] = cost[better]
        chosen[better] = number
    of_hole = np.full(hole.shape, -1, dtype=np.int16)
    of_hole[rows, cols] = chosen
    alone = (hole & (of_hole < 0)).astype(np.uint8)
    if alone.any():
        _fit_the_rest(alone, hidden, laws, of_hole)
    return of_hole


def _fit_the_rest(
    alone: npt.NDArray[np.uint8], hidden: FloatMap, laws: list[_Array], of_hole: npt.NDArray[np.int16]
) -> None:
    """Fit the largest connected parts that lie in no plane, and hand the crumbs to their neighbour."""
    import cv2

    _, number, stats, _ = cv2.connectedComponentsWithStats(alone, connectivity=8)
    order = 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")
    for part in order[:_MOST_PLANES]:
        left, top, width, height = stats[part, :4]
        rows, cols = np.nonzero(number[top : top + height, left : left + width] == part)
        rows, cols = rows + top, cols + left
        at = np.stack([cols, rows, np.ones(len(rows))], axis=1).astype(np.float64)
        of_hole[rows, cols] = len(laws)
        laws.append(_fitted(at, hidden[rows, cols].astype(np.float64)))
    crumbs = (alone > 0) & (of_hole < 0)
    if crumbs.any():
        _, nearest = cv2.distanceTransformWithLabels(
            (of_hole < 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        of_label = np.zeros(int(nearest.max()) + 1, dtype=np.int16)
        given = of_hole >= 0
        of_label[nearest[given]] = of_hole[given]
        of_hole[crumbs] = of_label[nearest[crumbs]]


def _of_sources(
    inverse_depth: FloatMap, usable: BoolMap, laws: list[_Array], tolerance: _Tolerance
) -> npt.NDArray[np.int16]:
    """Hand each visible pixel to the plane that it fits best, if it fits one."""
    height, width = usable.shape
    columns = np.arange(width, dtype=np.float32)
    of_source = np.full(usable.shape, -1, dtype=np.int16)
    for top in range(0, height, _ROWS):
        band = slice(top, min(top + _ROWS, height))
        rows = np.arange(band.start, band.stop, dtype=np.float32)[:, None]
        seen, of_band = inverse_depth[band], of_source[band]
        least = np.where(usable[band], 2 * tolerance.of(seen), -1).astype(np.float32)
        for number, law in enumerate(laws):
            off = np.float32(law[0]) * columns + np.float32(law[1]) * rows
            off += np.float32(law[2])
            off -= seen
            np.abs(off, out=off)
            better = off < least
            np.copyto(least, off, where=better)
            of_band[better] = number
    return of_source
