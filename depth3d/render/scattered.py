"""`gathered` sums over known pixels, near ones first, everywhere at once; `sampled` reads single places.

`Places` reads the same ones again and again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap

__all__ = ["Places", "gathered", "sampled"]

_ROW = 1 << 14
"""OpenCV samples no picture that is longer than 32767 pixels."""


def gathered(values: FloatMap, *, falloff: float = 0.3) -> FloatMap:
    """Sum the values around each pixel with weights of about 1 / distance^4.

    A Gaussian of each octave, normalised to a sum of 1, is 4 times as low as the one before; together, each
    weighed by `falloff`, they
    make the power law (the pyramid is that of Burt and Adelson, 1983). Values come with their weights as one
    more channel: weighted sums divided by the sum of the weights are means of what is known, near first.

    Args:
        values: (H, W, C) float32, 0 where nothing is known.
        falloff: What an octave counts beside the one before; less than 1 makes the weights fall faster.

    Returns:
        (H, W, C) float32 sums; above 0 everywhere if a weight is.
    """
    import cv2

    levels = [values]
    while min(levels[-1].shape[:2]) > 1:
        levels.append(_channels(cv2.pyrDown(levels[-1]), values.shape[2]))
    total = levels.pop()
    # The coarsest level reaches everywhere, so that nothing is left without a neighbour.
    total = total + total.mean(axis=(0, 1), keepdims=True) * np.float32(1e-6)
    for level in reversed(levels):
        size = (level.shape[1], level.shape[0])
        wide = cv2.resize(total, size, interpolation=cv2.INTER_LINEAR)
        total = _channels(wide, values.shape[2])
        total *= np.float32(falloff)
        total += level
    return np.asarray(total, dtype=np.float32)


def sampled(
    values: npt.NDArray[Any], u: FloatMap, v: FloatMap, interpolation: int, border: int
) -> npt.NDArray[Any]:
    """Read a picture at a list of places.

    Args:
        values: (H, W) or (H, W, C), any C.
        u: (n,) float32 columns, 0 at the first pixel's centre; n is above 0.
        v: (n,) float32 rows.
        interpolation: OpenCV's, as `cv2.INTER_LINEAR`.
        border: OpenCV's, as `cv2.BORDER_REPLICATE`.

    Returns:
        (n,) or (n, C).
    """
    import cv2

    if values.ndim == 3 and values.shape[2] > 4:  # more than OpenCV samples at once
        parts = [values[..., c : c + 4] for c in range(0, values.shape[2], 4)]
        read = [sampled(np.ascontiguousarray(part), u, v, interpolation, border) for part in parts]
        return np.concatenate([part.reshape(len(u), -1) for part in read], axis=1)
    count = len(u)
    if count <= _ROW:
        return np.asarray(
            cv2.remap(values, u[None], v[None], interpolation, borderMode=border).reshape(
                count, *values.shape[2:]
            )
        )
    width = _ROW
    shape = -(-count // width), width
    read = cv2.remap(values, np.resize(u, shape), np.resize(v, shape), interpolation, borderMode=border)
    return np.asarray(read.reshape(shape[0] * width, *values.shape[2:])[:count])


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Places in pictures of one size that are read again and again, with any number of channels.

    Attributes:
        corners: For each of the four pixels around a place, flat indices (n,) and weights (n, 1) float32.
    """

    corners: list[tuple[npt.NDArray[np.intp], FloatMap]]

    @classmethod
    def of(cls, u: FloatMap, v: FloatMap, shape: tuple[int, ...]) -> Places:
        """Place them at (u, v), (n,) each, 0 at the first pixel's centre; those outside at the border."""
        height, width = shape
        u, v = np.clip(u, 0, width - 1), np.clip(v, 0, height - 1)
        left, top = u.astype(np.intp), v.astype(np.intp)
        x, y = (u - left).astype(np.float32)[:, None], (v - top).astype(np.float32)[:, None]
        right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
        return cls(
            [
                (top * width + left, (1 - x) * (1 - y)),
                (top * width + right, x * (1 - y)),
                (below * width + left, (1 - x) * y),
                (below * width + right, x * y),
            ]
        )

    def read(self, values: FloatMap) -> FloatMap:
        """Interpolate (H, W, C) linearly: (n, C)."""
        flat = values.reshape(-1, values.shape[-1])
        count = len(self.corners[0][0])
        total = np.zeros((count, flat.shape[1]), np.float32)
        scratch = np.empty((min(count, _ROW), flat.shape[1]), np.float32)
        for start in range(0, count, _ROW):  # what is read stays in the cache
            some = slice(start, start + _ROW)
            for at, weight in self.corners:
                read = np.take(flat, at[some], axis=0, out=scratch[: count - start], mode="clip")
                read *= weight[some]
                total[some] += read
        return total


def _channels(values: FloatMap, count: int) -> FloatMap:
    """Give back the last axis that OpenCV drops when it has one entry."""
    return values.reshape(*values.shape[:2], count)
