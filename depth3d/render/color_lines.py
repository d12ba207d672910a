"""`follow_colors`: carry values into unknown pixels along the colours of the photo.

Within a small window the colours of two surfaces, and of all mixtures of the two, lie on a line, so what is 1
on the one and 0 on the other is affine in the colour there. To ask that of every window gives a quadratic
form, the matting Laplacian (Levin, Lischinski and Weiss, "A closed-form solution to natural image matting",
PAMI 2008). Only windows that touch an unknown pixel are looked at: silhouettes are a small part of a picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import BoolMap, FloatMap

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
_WINDOWS_AT_ONCE = 1 << 16


def follow_colors(
    light: FloatMap, values: FloatMap, unknown: BoolMap, *, trust: float | FloatMap = 0.0
) -> FloatMap:
    """Replace the values of unknown pixels by what the colours around them say.

    Args:
        light: (H, W, 3) float32 linear light.
        values: (H, W) float32; where `unknown`, a first guess.
        unknown: (H, W) bool, the pixels to be solved for.
        trust: What the first guess weighs, one number or (H, W); with 0 it counts only where no colour tells.

    Returns:
        (H, W) float32, equal to `values` where they are known, and within their span.
    """
    count = int(np.count_nonzero(unknown))
    if not count:
        return values
    height, width = values.shape
    weight = np.broadcast_to(np.asarray(trust, dtype=np.float32), values.shape)
    factor = (_WORKING_UNKNOWN / count) ** 0.5
    if factor >= 1:
        solved = _solved(_windows(light, unknown), values, unknown, weight)
    else:
        import cv2

        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        small_light, small_values, share, small_weight = (
            cv2.resize(a.astype(np.float32), size, interpolation=cv2.INTER_AREA)
            for a in (light, values, unknown, weight)
        )
        windows = _windows(small_light, share > 0)
        rough = _solved(windows, small_values, share > 0, small_weight)
        laws = cv2.resize(windows.laws(rough), (width, height), interpolation=cv2.INTER_LINEAR)
        solved = (laws[..., :3] * light).sum(axis=2) + laws[..., 3]
    solved = np.clip(solved, values.min(), values.max())
    return np.where(unknown, solved, values).astype(np.float32)


def matting_laplacian(light: FloatMap, unknown: BoolMap) -> csr_array:
    """Assemble the matting Laplacian of the windows that touch an unknown pixel.

    Args:
        light: (H, W, 3) linear light.
        unknown: (H, W) bool.

    Returns:
        (H * W, H * W) sparse; the rows of unknown pixels are those of the whole picture's Laplacian.
    """
    return _windows(light, unknown).laplacian()


@dataclass(frozen=True, slots=True)
class _Windows:
    """Windows of 3 x 3 pixels, cut at the border, with the colours' statistics.

    Attributes:
        shape: (height, width) of the picture.
        pixels: (n, 9) numbers of their pixels; those outside repeat the middle one with no weight.
        inside: (n, 9) 1 or 0.
        offsets: (n, 9, 3) colours less the window's mean, 0 outside.
        mean: (n, 3) colours.
        inverse: (n, 3, 3) of their covariance, regularised.
    """

    shape: tuple[int, int]
    pixels: _Index
    inside: _Array
    offsets: _Array
    mean: _Array
    inverse: _Array

    def laplacian(self) -> csr_array:
        from scipy.sparse import coo_array

        size = self.shape[0] * self.shape[1]
        total: Any = coo_array((size, size)).tocsr()
        for start in range(0, len(self.pixels), _WINDOWS_AT_ONCE):
            some = slice(start, start + _WINDOWS_AT_ONCE)
            inside, offsets, pixels = self.inside[some], self.offsets[some], self.pixels[some]
            both = inside[:, :, None] * inside[:, None, :]
            affinity = offsets @ self.inverse[some] @ offsets.transpose(0, 2, 1)
            affinity = (both + affinity) / inside.sum(axis=1)[:, None, None]
            part = np.eye(9) * inside[:, :, None] - affinity
            rows = np.broadcast_to(pixels[:, :, None], part.shape)
            columns = np.broadcast_to(pixels[:, None, :], part.shape)
            used = both > 0
            total = total + coo_array((part[used], (rows[used], columns[used])), (size, size)).tocsr()
        return total

    def laws(self, values: FloatMap) -> FloatMap:
        """Fit value = slope . colour + offset in each window, and average the laws at each pixel.

        Returns:
            (H, W, 4) float32 slopes and offset; 0 where there is no window.
        """
        given = values.ravel()[self.pixels].astype(np.float64) * self.inside
        count = self.inside.sum(axis=1)
        slopes = np.einsum("nij,nkj,nk->ni", self.inverse, self.offsets, given) / count[:, None]
        offset = given.sum(axis=1) / count - (slopes * self.mean).sum(axis=1)
        law = np.concatenate([slopes, offset[:, None]], axis=1)
        size = self.shape[0] * self.shape[1]
        at = self.pixels.ravel()
        times = np.bincount(at, self.inside.ravel(), minlength=size)
        sums = [np.bincount(at, (self.inside * law[:, k, None]).ravel(), minlength=size) for k in range(4)]
        averaged = np.stack(sums, axis=1) / np.maximum(times, 1)[:, None]
        return np.asarray(averaged.reshape(*self.shape, 4), dtype=np.float32)


def _windows(light: FloatMap, unknown: BoolMap) -> _Windows:
    """Gather the windows that touch an unknown pixel."""
    import cv2

    height, width = unknown.shape
    touched = cv2.dilate(unknown.astype(np.uint8), np.ones((3, 3), np.uint8))
    rows, columns = np.nonzero(touched)
    steps = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    y = rows[:, None] + np.array([down for down, _ in steps])
    x = columns[:, None] + np.array([right for _, right in steps])
    there = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    pixels = np.where(there, y * width + x, (rows * width + columns)[:, None])
    inside = there.astype(np.float64)
    count = inside.sum(axis=1)
    colors = light.reshape(-1, 3)[pixels].astype(np.float64) * inside[..., None]
    mean = colors.sum(axis=1) / count[:, None]
    offsets = (colors - mean[:, None]) * inside[..., None]
    covariance = offsets.transpose(0, 2, 1) @ offsets / count[:, None, None]
    covariance += np.eye(3) * (_SMOOTHNESS / count)[:, None, None]
    return _Windows((height, width), pixels, inside, offsets, mean, np.linalg.inv(covariance))


def _solved(windows: _Windows, values: FloatMap, unknown: BoolMap, trust: FloatMap) -> FloatMap:
    """Minimise the windows' misfit plus trust x (value - guess)^2 over the unknown pixels."""
    laplacian: Any = windows.laplacian()
    free = np.flatnonzero(unknown)
    guess = values.ravel().astype(np.float64)
    weight = np.maximum(trust.ravel()[free], _LEAST_TRUST).astype(np.float64)
    rows = laplacian[free]
    fixed = guess.copy()
    fixed[free] = 0
    target = weight * guess[free] - rows @ fixed
    form = rows[:, free]
    whole = guess.copy()
    whole[free] = _conjugate_gradients(form, weight, target, guess[free])
    return whole.reshape(values.shape).astype(np.float32)


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
