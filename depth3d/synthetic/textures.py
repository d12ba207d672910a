"""Procedural textures: linear-light albedo as a function of a point in the surface's own frame.

Each is called with (3, N) points in metres and the (N,) width in metres that one sample covers, and
softens detail finer than that, so that far checkers fade to their mean instead of shimmering.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.color import to_linear
from depth3d.errors import InputError
from depth3d.synthetic.shapes import Columns

__all__ = ["Bricks", "Checker", "Marble", "Plain", "Stripes", "Texture", "Wood", "linear_rgb"]

RGB: TypeAlias = tuple[float, float, float]
Texture: TypeAlias = Callable[[Columns, Columns], Columns]
"""(points (3, N), footprint_m (N,)) -> linear albedo (3, N)."""


def linear_rgb(code: str) -> RGB:
    """Turn `"#rrggbb"` (sRGB) into linear light.

    Raises:
        InputError: The code is not of that form.
    """
    digits = code.removeprefix("#")
    try:
        values = np.frombuffer(bytes.fromhex(digits), dtype=np.uint8)
    except ValueError:
        values = np.empty(0, dtype=np.uint8)
    if values.size != 3:
        raise InputError(f"a colour is written '#rrggbb', got {code!r}")
    red, green, blue = (float(x) for x in to_linear(values))
    return red, green, blue


@dataclass(frozen=True, slots=True)
class Plain:
    """One colour."""

    color: RGB = (0.6, 0.6, 0.6)

    def __call__(self, points: Columns, footprint_m: Columns) -> Columns:
        """Give the colour everywhere."""
        return np.broadcast_to(np.array(self.color)[:, None], points.shape)


@dataclass(frozen=True, slots=True)
class Checker:
    """Cubes of two colours in turn, one of them centred on the origin: squares on a sheet."""

    light: RGB = (0.75, 0.75, 0.75)
    dark: RGB = (0.08, 0.08, 0.08)
    size_m: float = 0.25

    def __call__(self, points: Columns, footprint_m: Columns) -> Columns:
        """Multiply three filtered square waves."""
        sign: Columns = np.ones(points.shape[1])
        for row in points:
            # Shifted by half a square, so that the one coordinate that a sheet at 0 or a face at a whole
            # number of squares holds constant stays clear of a step.
            sign = sign * _square_wave(row / self.size_m + 0.5, footprint_m / self.size_m)
        return _mix(self.dark, self.light, (1 + sign) / 2)


@dataclass(frozen=True, slots=True)
class Stripes:
    """Bands of two colours in turn along one axis (0 x, 1 y, 2 z), or around it (`radial`)."""

    light: RGB = (0.75, 0.75, 0.75)
    dark: RGB = (0.08, 0.08, 0.08)
    width_m: float = 0.05
    axis: int = 1
    around: int = 0
    """Number of pairs of stripes around the y axis; 0 runs them along `axis`."""

    def __call__(self, points: Columns, footprint_m: Columns) -> Columns:
        """Filter one square wave."""
        if self.around:
            scale = self.around / math.pi
            rho = np.maximum(np.hypot(points[0], points[2]), 1e-6)
            wave = _square_wave(np.arctan2(points[0], points[2]) * scale, footprint_m / rho * scale)
        else:
            wave = _square_wave(points[self.axis] / self.width_m, footprint_m / self.width_m)
        return _mix(self.dark, self.light, (1 + wave) / 2)


@dataclass(frozen=True, slots=True)
class Bricks:
    """Courses of bricks on the x-y plane of a sheet, each brick in its own shade."""

    brick: RGB = (0.35, 0.12, 0.07)
    mortar: RGB = (0.45, 0.42, 0.38)
    length_m: float = 0.24
    course_m: float = 0.08
    joint_m: float = 0.012

    def __call__(self, points: Columns, footprint_m: Columns) -> Columns:
        """Draw joints as wide as they are, softened to the footprint, and grain on the bricks."""
        course = np.floor(points[1] / self.course_m)
        along = points[0] / self.length_m + 0.5 * np.mod(course, 2)
        column = np.floor(along)
        to_joint = np.minimum(
            (0.5 - np.abs(along - column - 0.5)) * self.length_m,
            (0.5 - np.abs(points[1] / self.course_m - course - 0.5)) * self.course_m,
        )
        soft = np.maximum(footprint_m, 0.002)
        body = np.clip((to_joint - self.joint_m / 2) / soft + 0.5, 0, 1)
        # A point in the middle of a lattice cell reads that cell's own random number.
        shade = _lattice_value(np.stack([column, course, np.zeros_like(column)]).astype(np.int64))
        grain = noise(points * 60.0, footprint_m * 60.0, octaves=3)
        color = np.array(self.brick)[:, None] * (0.72 + 0.45 * shade) * (0.75 + 0.5 * grain)
        joint = np.array(self.mortar)[:, None] * (0.85 + 0.3 * grain)
        return np.asarray(joint + body * (color - joint))


@dataclass(frozen=True, slots=True)
class Wood:
    """Planks in the x direction of a sheet, or growth rings through a solid."""

    light: RGB = (0.46, 0.25, 0.11)
    dark: RGB = (0.21, 0.09, 0.035)
    ring_m: float = 0.02
    plank_m: float = 0.0
    """Width of the planks along y; 0 is one piece."""

    def __call__(self, points: Columns, footprint_m: Columns) -> Columns:
        """Bend the rings of a far axis with noise that is long in the direction of the fibres."""
        x, y, z = points
        shade: Columns | float = 1.0
        gap: Columns | float = 1.0
        if self.plank_m:
            plank = np.floor(y / self.plank_m)
            cell = np.stack([plank, plank * 0 + 3, plank * 0]).astype(np.int64)
            chance = _lattice_value(cell)
            x, z = x + 7.3 * chance, z + 0.31 * chance
            shade = 0.8 + 0.4 * chance
            to_gap = (0.5 - np.abs(y / self.plank_m - plank - 0.5)) * self.plank_m
            gap = np.clip(to_gap / np.maximum(0.0025, footprint_m), 0.25, 1)
        bent = np.stack([x * 1.5, y * 9.0, z * 9.0])
        warp = noise(bent, footprint_m * 9.0, octaves=3)
        rings = np.hypot(y + 0.13, z + 0.05) / self.ring_m + 5.0 * warp
        fade = np.clip(1.0 - footprint_m / self.ring_m, 0, 1)
        wave = 0.5 + 0.5 * fade * np.sin(2 * math.pi * rings)
        fibres = noise(np.stack([x * 6.0, y * 260.0, z * 260.0]), footprint_m * 260.0, octaves=2)
        return np.asarray(_mix(self.light, self.dark, 0.62 * wave + 0.3 * fibres) * shade * gap)


@dataclass(frozen=True, slots=True)
class Marble:
    """Veins where a warped wave crosses zero; with `vein` near `base`, mottled plaster."""

    base: RGB = (0.72, 0.70, 0.66)
    vein: RGB = (0.18, 0.19, 0.22)
    scale_m: float = 0.12
    sharpness: float = 6.0

    def __call__(self, points: Columns, footprint_m: Columns) -> Columns:
        """Warp a wave along a diagonal with four octaves of noise."""
        scaled = points / self.scale_m
        cloud = noise(scaled, footprint_m / self.scale_m, octaves=4)
        wave = np.sin(2.2 * (scaled[0] + 0.6 * scaled[1] + 0.8 * scaled[2]) + 9.0 * cloud)
        amount = np.exp(-self.sharpness * np.abs(wave)) * 0.8 + 0.25 * cloud
        return _mix(self.base, self.vein, amount)


def noise(points: Columns, footprint: Columns, *, octaves: int) -> Columns:
    """Sum value noise over octaves, each fading to its mean when a sample covers its cell.

    Args:
        points: (3, N), where one unit is one cell of the first octave.
        footprint: (N,) in the same unit.
        octaves: How many, each twice as fine and half as strong.

    Returns:
        (N,) in 0..1 about 0.5.
    """
    total: Columns = np.zeros(points.shape[1])
    strength, weight = 0.0, 1.0
    for octave in range(octaves):
        fine = 2.0**octave
        fade = np.clip(1.5 - fine * footprint, 0, 1)
        total += weight * (0.5 + fade * (_value_noise(points * fine + 17.0 * octave) - 0.5))
        strength += weight
        weight *= 0.5
    return total / strength


def _value_noise(points: Columns) -> Columns:
    cell = np.floor(points)
    x, y, z = points - cell
    x, y, z = (f * f * (3 - 2 * f) for f in (x, y, z))
    corner = cell.astype(np.int64)
    planes = []
    for dz in (0, 1):
        rows = []
        for dy in (0, 1):
            a, b = (_lattice_value(corner + np.array([[dx], [dy], [dz]])) for dx in (0, 1))
            rows.append(a + x * (b - a))
        planes.append(rows[0] + y * (rows[1] - rows[0]))
    return np.asarray(planes[0] + z * (planes[1] - planes[0]))


def _lattice_value(cells: npt.NDArray[np.int64]) -> Columns:
    """Look up the fixed random number in 0..1 of lattice cells (3, N), by Perlin's permutation."""
    order, values = _tables()
    index = order[cells[0] & 255]
    index = order[(index + cells[1]) & 255]
    return np.asarray(values[(index + cells[2]) & 255])


@lru_cache(maxsize=1)
def _tables() -> tuple[npt.NDArray[np.int64], Columns]:
    chance = np.random.default_rng(20)
    return chance.permutation(256).astype(np.int64), chance.random(256)


def _square_wave(x: Columns, footprint: Columns) -> Columns:
    """Average over the footprint the wave that is +1 in [0, 1), -1 in [1, 2), and so on."""
    half = np.maximum(footprint, 1e-9) / 2
    return np.asarray((_ramp(x + half) - _ramp(x - half)) / (2 * half))


def _ramp(x: Columns) -> Columns:
    """Integrate the square wave: a triangle wave from 0 to 1."""
    folded = np.mod(x, 2.0)
    return np.asarray(1.0 - np.abs(folded - 1.0))


def _mix(start: RGB, end: RGB, share: Columns) -> Columns:
    a, b = np.array(start)[:, None], np.array(end)[:, None]
    return np.asarray(a + np.clip(share, 0, 1) * (b - a))
