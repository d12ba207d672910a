"""`follow_colors`: carry values into unknown pixels along the colours of the photo.

Within a small window the colours of two surfaces, and of all mixtures of the two, lie on a line, so what is 1
on the one and 0 on the other is affine in the colour there. To ask that of every window gives a quadratic
form, the matting Laplacian (Levin, Lischinski and Weiss, "A closed-form solution to natural image matting",
PAMI 2008). Only windows that touch an unknown pixel are looked at: silhouettes are a small part of a picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap, ImageArray
from depth3d.core.color import to_linear

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["follow_colors", "matting_laplacian"]

_Array: TypeAlias = npt.NDArray[np.float64]
_Index: TypeAlias = npt.NDArray[np.intp]

_SMOOTHNESS = 1e-6
"""Variance of linear light that is taken for noise: what the law of a window pays for its slope."""
_LEAST_TRUST = 1e-6
"""What the first guess weighs in any case, so that every pixel gets a value."""
_MOST_STEPS = 300
_TOLERANCE = 1e-3
_WORKING_UNKNOWN = 250_000
"""With more unknown pixels it is solved at a smaller size, and the windows' laws are applied at full size."""
_WINDOWS_AT_ONCE = 1 << 11
_WINDOWS_A_SUM = 1 << 14
"""Windows that are looked at, and whose weights are summed, at a time, which bounds the memory."""


def follow_colors(
    light: FloatMap | ImageArray,
    values: FloatMap | BoolMap,
    unknown: BoolMap,
    *,
    trust: float | FloatMap = 0.0,
) -> FloatMap:
    """Replace the values of unknown pixels by what the colours around them say.

    Args:
        light: (H, W, 3) float32 linear light; or uint8 sRGB, which is decoded where it is needed: large
            pictures take much memory.
        values: (H, W) float32, or bool for 1 and 0; where `unknown`, a first guess.
        unknown: (H, W) bool, the pixels to be solved for.
        trust: What the first guess weighs, one number or (H, W); with 0 it counts only where no colour tells.

    Returns:
        (H, W) float32, equal to `values` where they are known, and within their span.
    """
    count = int(np.count_nonzero(unknown))
    if not count:
        return values.astype(np.float32, copy=False)
    height, width = values.shape
    weight = np.broadcast_to(np.asarray(trust, dtype=np.float32), values.shape)
    factor = (_WORKING_UNKNOWN / count) ** 0.5
    if factor >= 1:
        solved = _solved(_Windows.of(light, unknown), values, unknown, weight[unknown])
    else:
        import cv2

        size = (max(1, round(width * factor)), max(1, round(height * factor)))

        def smaller(plane: npt.NDArray[Any]) -> FloatMap:
            plane = plane.astype(np.float32, copy=False)
            return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA))

        small_unknown = smaller(unknown) > 0
        small_values, small_weight = smaller(values), smaller(weight)[small_unknown]
        small_light = np.empty((*small_unknown.shape, 3), np.float32)
        for k in range(3):
            small_light[..., k] = smaller(_decoded(light[..., k]))
        windows = _Windows.of(small_light, small_unknown)
        small_values[small_unknown] = _solved(windows, small_values, small_unknown, small_weight)
        at, laws = windows.laws(small_values)
        del windows, small_light
        solved = np.zeros(count, dtype=np.float32)
        for k in range(4):
            plane = np.zeros_like(small_values)
            plane.reshape(-1)[at] = laws[k]
            law = cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR)[unknown]
            solved += law * _decoded(light[..., k][unknown]) if k < 3 else law
    result = values.astype(np.float32)
    result[unknown] = np.clip(solved, float(values.min()), float(values.max()))
    return result


def matting_laplacian(light: FloatMap, unknown: BoolMap) -> csr_array:
    """Assemble the matting Laplacian of the windows that touch an unknown pixel.

    Args:
        light: (H, W, 3) linear light.
        unknown: (H, W) bool.

    Returns:
        (n, H * W) sparse: the rows of the unknown pixels in the whole picture's Laplacian, in reading order.
    """
    row = np.full(unknown.size, -1, dtype=np.int32)
    row[unknown.ravel()] = np.arange(np.count_nonzero(unknown), dtype=np.int32)
    return _Windows.of(light, unknown).laplacian(np.arange(unknown.size, dtype=np.int32), row)


@dataclass(frozen=True, slots=True)
class _Windows:
    """Windows of 3 x 3 pixels, cut at the border, that touch an unknown pixel.

    Attributes:
        light: (H, W, 3) colours, linear or uint8 sRGB.
        rows: (n,) of their middles.
        columns: (n,) of their middles.
    """

    light: FloatMap | ImageArray
    rows: _Index
    columns: _Index

    @classmethod
    def of(cls, light: FloatMap | ImageArray, unknown: BoolMap) -> _Windows:
        """Find the windows that touch an unknown pixel."""
        import cv2

        touched = cv2.dilate(unknown.view(np.uint8), np.ones((3, 3), np.uint8))
        return cls(light, *np.nonzero(touched))

    @property
    def shape(self) -> tuple[int, int]:
        return self.light.shape[0], self.light.shape[1]

    def parts(self, at_once: int = _WINDOWS_AT_ONCE) -> Iterator[_Statistics]:
        """Give the colours' statistics, of so many windows at a time that it takes little memory."""
        for start in range(0, len(self.rows), at_once):
            some = slice(start, start + at_once)
            yield _Statistics.of(self.light, self.rows[some], self.columns[some])

    def laplacian(self, number: npt.NDArray[np.int32], row: npt.NDArray[np.int32]) -> csr_array:
        """Assemble the Laplacian, as far as it is asked for.

        Args:
            number: (H * W,) of the pixels in the windows, from 0 on, which are its columns.
            row: (n,) of the pixels of each number; -1 for those that have none.
        """
        from scipy.sparse import coo_array

        shape = (int(row.max()) + 1, len(row))
        total: Any = coo_array(shape).tocsr()
        for start in range(0, len(self.rows), _WINDOWS_A_SUM):
            some = slice(start, start + _WINDOWS_A_SUM)
            windows = _Windows(self.light, self.rows[some], self.columns[some])
            total = total + coo_array(windows._entries(number, row), shape).tocsr()
        return total

    def _entries(
        self, number: npt.NDArray[np.int32], row: npt.NDArray[np.int32]
    ) -> tuple[_Array, tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]]:
        """Compute what each pair of pixels of each window weighs, and row and column of it."""
        values, rows, columns = [], [], []
        for part in self.parts():
            affinity = part.offsets @ part.inverse @ part.offsets.transpose(0, 2, 1)
            affinity += part.inside[:, :, None] * part.inside[:, None, :]
            affinity /= part.inside.sum(axis=1)[:, None, None]
            weights = np.eye(9) - affinity
            numbers = number[part.pixels]
            asked = row[numbers]
            kept = (asked >= 0) & (part.inside > 0)  # what is outside weighs nothing in the others' rows
            values.append(weights[kept])
            rows.append(np.repeat(asked[kept], 9))
            columns.append(numbers[np.nonzero(kept)[0]])
        return np.concatenate(values).ravel(), (np.concatenate(rows), np.concatenate(columns).ravel())

    def laws(self, values: FloatMap) -> tuple[_Index, npt.NDArray[np.float32]]:
        """Fit value = slope . colour + offset in each window, and average the laws at each pixel.

        Returns:
            (n,) numbers of the pixels in any window, in reading order, and (4, n) slopes and offset.
        """
        import cv2

        touched = np.zeros(self.shape, dtype=np.uint8)
        touched[self.rows, self.columns] = 1
        at = np.flatnonzero(cv2.dilate(touched, np.ones((3, 3), np.uint8)))
        sums, times = np.zeros((4, len(at))), np.zeros(len(at))
        for part in self.parts(_WINDOWS_A_SUM):
            given = values.ravel()[part.pixels].astype(np.float64) * part.inside
            count = part.inside.sum(axis=1)
            slopes = np.einsum("nij,nkj,nk->ni", part.inverse, part.offsets, given) / count[:, None]
            offset = given.sum(axis=1) / count - (slopes * part.mean).sum(axis=1)
            # Windows come in reading order, so that some of them share few rows.
            place = np.searchsorted(at, part.pixels.ravel())
            first, last = int(place.min()), int(place.max()) + 1
            place -= first
            times[first:last] += np.bincount(place, part.inside.ravel())
            for total, law in zip(sums, (*slopes.T, offset), strict=True):
                total[first:last] += np.bincount(place, (part.inside * law[:, None]).ravel())
        return at, (sums / np.maximum(times, 1)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Statistics:
    """The colours of some windows.

    Attributes:
        pixels: (n, 9) numbers of their pixels; those outside repeat the middle one with no weight.
        inside: (n, 9) 1 or 0.
        offsets: (n, 9, 3) colours less the window's mean, 0 outside.
        mean: (n, 3) colours.
        inverse: (n, 3, 3) of their covariance, regularised.
    """

    pixels: _Index
    inside: _Array
    offsets: _Array
    mean: _Array
    inverse: _Array

    @classmethod
    def of(cls, light: FloatMap | ImageArray, rows: _Index, columns: _Index) -> _Statistics:
        """Gather the colours around some middles."""
        height, width = light.shape[:2]
        y, x = (middle[:, None] + np.arange(-1, 2) for middle in (rows, columns))
        there = (((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None]).reshape(-1, 9)
        number = (y[:, :, None] * width + x[:, None]).reshape(-1, 9)
        pixels = np.where(there, number, number[:, 4:5])
        inside = there.astype(np.float64)
        count = inside.sum(axis=1)
        colors = _decoded(light.reshape(-1, 3).take(pixels, axis=0)) * inside[..., None]
        mean = np.add.reduce([colors[:, k] for k in range(9)]) / count[:, None]
        offsets = (colors - mean[:, None]) * inside[..., None]
        covariance = offsets.transpose(0, 2, 1) @ offsets / count[:, None, None]
        covariance += np.eye(3) * (_SMOOTHNESS / count)[:, None, None]
        return cls(pixels, inside, offsets, mean, np.linalg.inv(covariance))


def _decoded(colors: npt.NDArray[Any]) -> FloatMap:
    """Give linear light of bytes; of light itself."""
    return to_linear(colors) if colors.dtype == np.uint8 else colors


def _solved(
    windows: _Windows, values: FloatMap | BoolMap, unknown: BoolMap, trust: FloatMap
) -> npt.NDArray[np.float32]:
    """Minimise the windows' misfit plus trust x (value - guess)^2; give the unknown pixels' values.

    Args:
        windows: That touch an unknown pixel.
        values: (H, W).
        unknown: (H, W).
        trust: (n,) of the unknown pixels, in reading order.
    """
    import cv2

    # Only the windows' pixels are numbered: silhouettes are a small part of a picture.
    used = cv2.dilate(unknown.view(np.uint8), np.ones((5, 5), np.uint8)).ravel().view(np.bool_)
    number = np.empty(used.shape, np.int32)  # of the others it's never asked, and takes no memory
    count = int(np.count_nonzero(used))
    number[used] = np.arange(count, dtype=np.int32)
    free = np.flatnonzero(unknown.ravel()[used])
    row = np.full(count, -1, np.int32)
    row[free] = np.arange(len(free), dtype=np.int32)
    rows: Any = windows.laplacian(number, row)
    del number, row
    guess = values.ravel()[used].astype(np.float64)
    weight = np.maximum(trust, _LEAST_TRUST).astype(np.float64)
    fixed = guess.copy()
    fixed[free] = 0
    target = weight * guess[free] - rows @ fixed
    form = rows[:, free]
    del rows
    return _conjugate_gradients(form, weight, target, guess[free]).astype(np.float32)


def _conjugate_gradients(form: Any, weight: _Array, target: _Array, start: _Array) -> _Array:
    """Solve (form + diag(weight)) x = target; both are positive (semi-)definite."""
    scale = np.maximum(form.diagonal(), 0) + weight
    x = start.copy()
    rest = target - form @ x - weight * x
    ready = rest / scale
    way = ready
    power = float(rest @ ready)
    goal = _TOLERANCE**2 * float(target @ (target / scale))
    for _ in range(_MOST_STEPS):
        if power <= goal:
            break
        along = form @ way + weight * way
        length = power / float(way @ along)
        x += length * way
        rest -= length * along
        ready = rest / scale
        before, power = power, float(rest @ ready)
        way = ready + (power / before) * way
    return x
