"""The corners of a square marker, from where its four edges cross: hundredths of a pixel, under any lens."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import ImageArray
from depth3d.core.camera import Camera
from depth3d.core.color import to_linear

__all__ = ["sharp_corners"]

_Array: TypeAlias = npt.NDArray[np.float64]

_LUMINANCE = (0.2126, 0.7152, 0.0722)  # of linear sRGB (ITU-R BT.709)
_ROUNDS = 3
_REACH = 0.6  # of a module: between the middle of the black border and the white paper around it
_LONGEST_REACH_PX = 12.0
_STEP_PX = 0.25
_PROFILES = (16, 96)  # an edge: at least and at most
_FEWEST_PROFILES = 6
_END = 0.08  # share of an edge that its blurred corners take
_LEAST_CONTRAST = 0.01  # of white
_TUKEY = 4.685


def sharp_corners(image: ImageArray, corners_px: _Array, camera: Camera, modules: int) -> _Array | None:
    """Measure the outer corners of a marker that is known to a pixel or two.

    A blurred corner is rounder and lies further inside than the true one, and every detector that looks at
    it alone is biased. Edges are not: across each, many profiles are read, each crosses the half of its own
    dark and light in linear light (where lens and sensor blur; half of the sRGB values lies nearly half a
    pixel inside the black), and a line is fitted to the rays through the crossings, robustly, so that the
    lens may bend it as it likes. Corners are where two lines meet.

    Args:
        image: (H, W, 3) uint8 sRGB.
        corners_px: (4, 2) corners in their order, pixel centres at +0.5.
        camera: The lens.
        modules: Cells along a side, the black border included.

    Returns:
        (4, 2) pixels; None where an edge can't be seen well enough.
    """
    corners: _Array = corners_px
    with np.errstate(invalid="ignore", divide="ignore"):
        for _ in range(_ROUNDS):
            found = _crossed(image, corners, camera, modules)
            if found is None:
                return None
            corners = found
    module = _sides(corners_px).min() / modules
    moved = np.linalg.norm(corners - corners_px, axis=1).max()
    return corners if moved < 1.5 + 0.5 * module else None


def _crossed(image: ImageArray, corners: _Array, camera: Camera, modules: int) -> _Array | None:
    """Fit a line to each edge and cross neighbours."""
    rays = camera.rays(corners)
    reach = min(_REACH * _sides(corners).min() / modules, _LONGEST_REACH_PX)
    patch, left_top = _light_around(image, corners, reach + 2)
    count = int(np.clip(_sides(corners).max(), *_PROFILES))
    # (4, count, ...): the profiles of the four edges.
    along = np.linspace(_END, 1 - _END, count)[:, None] + np.array([0, 1e-4])[:, None, None, None]
    base, ahead = camera.project(rays[:, None] + along * (np.roll(rays, -1, axis=0) - rays)[:, None])
    outwards = np.stack([ahead[..., 1] - base[..., 1], base[..., 0] - ahead[..., 0]], axis=-1)
    outwards /= np.linalg.norm(outwards, axis=-1, keepdims=True)
    if not np.isfinite(outwards).all():
        return None
    inwards = ((base - corners.mean(axis=0)) * outwards).sum(axis=(1, 2)) < 0
    outwards[inwards] *= -1
    shift = _crossings(patch, base - left_top, outwards, reach)
    found = camera.rays(base + shift[..., None] * outwards)[..., :2]
    lines = []
    for points in found:
        seen = np.isfinite(points).all(axis=1)
        if seen.sum() < max(_FEWEST_PROFILES, count // 3):
            return None
        lines.append(_line(points[seen]))
    meeting = np.cross(np.roll(lines, 1, axis=0), lines)
    uv = camera.project(meeting / meeting[:, 2:])
    return uv if np.isfinite(uv).all() else None


def _crossings(patch: _Array, base: _Array, outwards: _Array, reach: float) -> _Array:
    """Find where each profile crosses the half between its dark and its light end.

    Args:
        patch: (h, w) linear light.
        base: (4, n, 2) where the profiles cross the edge as it is known, pixel centres at +0.5.
        outwards: (4, n, 2) unit vectors from dark to light.
        reach: How far the profiles go to each side, in pixels.

    Returns:
        (4, n) pixels outwards from `base`; NaN where there is no edge.
    """
    import cv2

    offsets = np.linspace(-reach, reach, 2 * int(np.ceil(reach / _STEP_PX)) + 1)
    places = base[..., None, :] + offsets[:, None] * outwards[..., None, :] - 0.5
    flat = places.reshape(-1, len(offsets), 2).astype(np.float32)
    nowhere = float("nan")
    values = cv2.remap(
        patch, flat, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=nowhere
    ).reshape(places.shape[:-1])
    end = max(1, len(offsets) // 5)
    dark, light = values[..., :end].mean(axis=-1), values[..., -end:].mean(axis=-1)
    contrast = light - dark
    above = values - 0.5 * (dark + light)[..., None]
    rises = (above[..., :-1] < 0) & (above[..., 1:] >= 0)
    share = above[..., :-1] / (above[..., :-1] - above[..., 1:])
    crossing = np.where(rises, offsets[:-1] + share * (offsets[1] - offsets[0]), np.inf)
    first = np.abs(crossing).argmin(axis=-1)[..., None]
    nearest = np.take_along_axis(crossing, first, axis=-1)[..., 0]
    usual = np.median(np.nan_to_num(contrast), axis=-1, keepdims=True)
    clear = (contrast > _LEAST_CONTRAST) & (contrast > 0.25 * usual) & np.isfinite(nearest)
    return np.where(clear, nearest, np.nan)


def _line(points: _Array) -> _Array:
    """Fit a line to (n, 2) points with Tukey's weights; (3,) with line . (x, y, 1) = 0."""
    weights = np.ones(len(points))
    line: _Array = np.full(3, np.nan)
    for _ in range(4):
        centre = (weights[:, None] * points).sum(axis=0) / weights.sum()
        away = points - centre
        _, _, axes = np.linalg.svd(np.sqrt(weights)[:, None] * away, full_matrices=False)
        normal = axes[1]
        distance = np.abs(away @ normal)
        line = np.array([normal[0], normal[1], -normal @ centre])
        limit = _TUKEY * max(1.4826 * float(np.median(distance)), 1e-9)
        weights = np.clip(1 - (distance / limit) ** 2, 0, None) ** 2
    return line


def _light_around(image: ImageArray, corners: _Array, margin: float) -> tuple[_Array, _Array]:
    """Cut out the luminance around a marker, and say where its left top corner was."""
    height, width = image.shape[:2]
    # A tenth of the marker more: a lens may bend its edges outwards.
    margin += 0.1 * float(np.ptp(corners, axis=0).max())
    low = np.clip(np.floor(corners.min(axis=0) - margin).astype(int), 0, [width - 1, height - 1])
    high = np.clip(np.ceil(corners.max(axis=0) + margin).astype(int), low + 1, [width, height])
    cut = image[low[1] : high[1], low[0] : high[0]]
    light = to_linear(cut).astype(np.float64) @ np.array(_LUMINANCE)
    return light, low.astype(np.float64)


def _sides(corners: _Array) -> _Array:
    return np.asarray(np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1))
