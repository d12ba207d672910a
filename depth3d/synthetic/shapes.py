"""Solids and sheets that a ray meets in closed form: `Rectangle`, `Box`, `Sphere`, `Lathe`.

Each lives in its own frame (x right, y down, z away, metres), where a ray is `origin + t * direction`.
Points and directions are (3, N) float64, component by component, because that is how they are used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.errors import InputError

__all__ = ["Box", "Columns", "Lathe", "Rectangle", "Shape", "Sphere", "cylinder", "dot"]

Columns: TypeAlias = npt.NDArray[np.float64]
"""(3, N), (3, 1) or (N,) float64."""

_FLAT = 1e-9  # a band that rises less than this share of its width is an annulus: cones lose all digits
_SEAM_M = 1e-12  # lets neighbouring bands of a lathe overlap, so that no ray slips through between


class Shape(Protocol):
    """What a scene asks of a shape, all in the shape's own frame."""

    @property
    def bounds(self) -> tuple[tuple[float, float, float], float]:
        """Centre and radius in metres of a sphere around the shape; the radius may be infinite."""

    def intersect(self, origins: Columns, directions: Columns, t_min: float) -> Columns:
        """Find the first t > t_min at which each ray meets the shape; (N,), infinite for a miss."""

    def normals(self, points: Columns) -> Columns:
        """Give the unit outward normal (3, N) at points of the surface."""

    def distances(self, points: Columns) -> Columns:
        """Measure the distance (N,) in metres from points anywhere to the surface."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A flat sheet in the plane z = 0, centred, whose normal is -z; infinite sides make a plane.

    Attributes:
        width_m: Extent along x.
        height_m: Extent along y.
    """

    width_m: float = math.inf
    height_m: float = math.inf

    def __post_init__(self) -> None:
        _require_positive("a rectangle", self.width_m, self.height_m)

    @property
    def bounds(self) -> tuple[tuple[float, float, float], float]:
        """Centre and radius of a sphere around the sheet."""
        return (0.0, 0.0, 0.0), math.hypot(self.width_m, self.height_m) / 2

    def intersect(self, origins: Columns, directions: Columns, t_min: float) -> Columns:
        """Solve z(t) = 0 and keep what lies within the sides."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = -origins[2] / directions[2]
            hit = t > t_min
            if math.isfinite(self.width_m):
                hit &= np.abs(origins[0] + t * directions[0]) <= self.width_m / 2
            if math.isfinite(self.height_m):
                hit &= np.abs(origins[1] + t * directions[1]) <= self.height_m / 2
        return np.where(hit, t, np.inf)

    def normals(self, points: Columns) -> Columns:
        """Give -z everywhere."""
        return np.broadcast_to(np.array([[0.0], [0.0], [-1.0]]), points.shape)

    def distances(self, points: Columns) -> Columns:
        """Measure to the nearest point of the sheet."""
        beyond_x = np.maximum(np.abs(points[0]) - self.width_m / 2, 0.0)
        beyond_y = np.maximum(np.abs(points[1]) - self.height_m / 2, 0.0)
        return np.asarray(np.sqrt(beyond_x**2 + beyond_y**2 + points[2] ** 2))


@dataclass(frozen=True, slots=True)
class Box:
    """A centred box, met from outside or, as a room, from inside.

    Attributes:
        size_m: Extents along x, y and z.
    """

    size_m: tuple[float, float, float]

    def __post_init__(self) -> None:
        _require_positive("a box", *self.size_m)

    @property
    def bounds(self) -> tuple[tuple[float, float, float], float]:
        """Centre and radius of the sphere through the corners."""
        return (0.0, 0.0, 0.0), math.hypot(*self.size_m) / 2

    def intersect(self, origins: Columns, directions: Columns, t_min: float) -> Columns:
        """Clip the ray against the three slabs (Kay and Kajiya, SIGGRAPH 1986)."""
        enter, leave = -np.inf, np.inf
        with np.errstate(divide="ignore", invalid="ignore"):
            for axis in range(3):
                # A ray in the slab's own direction gives -inf and inf inside it, twice the same inf
                # outside it, and NaN, which fmin and fmax pass over, on its face.
                inverse = 1.0 / directions[axis]
                one = (-self.size_m[axis] / 2 - origins[axis]) * inverse
                other = (self.size_m[axis] / 2 - origins[axis]) * inverse
                enter = np.fmax(enter, np.fmin(one, other))
                leave = np.fmin(leave, np.fmax(one, other))
        first = np.where(enter > t_min, enter, leave)
        return np.where((enter <= leave) & (first > t_min), first, np.inf)

    def normals(self, points: Columns) -> Columns:
        """Give the normal of the face that is nearest in proportion to the size."""
        half = np.array(self.size_m)[:, None] / 2
        axis = np.argmax(np.abs(points) / half, axis=0)[None, :]
        normals = np.zeros(points.shape)
        np.put_along_axis(normals, axis, np.sign(np.take_along_axis(points, axis, 0)), 0)
        return normals

    def distances(self, points: Columns) -> Columns:
        """Measure to the nearest face, edge or corner, from inside too."""
        beyond = np.abs(points) - np.array(self.size_m)[:, None] / 2
        outside = np.sqrt((np.maximum(beyond, 0.0) ** 2).sum(axis=0))
        return np.asarray(outside + np.maximum(-beyond.max(axis=0), 0.0))


@dataclass(frozen=True, slots=True)
class Sphere:
    """A centred sphere.

    Attributes:
        radius_m: Its radius.
    """

    radius_m: float

    def __post_init__(self) -> None:
        _require_positive("a sphere", self.radius_m)

    @property
    def bounds(self) -> tuple[tuple[float, float, float], float]:
        """The sphere itself."""
        return (0.0, 0.0, 0.0), self.radius_m

    def intersect(self, origins: Columns, directions: Columns, t_min: float) -> Columns:
        """Solve |origin + t * direction| = radius."""
        a = dot(directions, directions)
        b = dot(origins, directions)
        c = dot(origins, origins) - self.radius_m**2
        near, far = _roots(a, b, c)
        first = np.where(near > t_min, near, far)
        return np.where(first > t_min, first, np.inf)

    def normals(self, points: Columns) -> Columns:
        """Point away from the centre."""
        return np.asarray(points / self.radius_m)

    def distances(self, points: Columns) -> Columns:
        """Measure | |p| - radius |."""
        return np.abs(np.sqrt(dot(points, points)) - self.radius_m)


@dataclass(frozen=True, slots=True)
class Lathe:
    """A polyline turned about the upward axis (-y): cylinders, cones, discs, cups, vases.

    Attributes:
        profile: (radius_m, height_m) corners in order, heights measured upwards from the origin.
        smooth: Blend the normals of neighbouring bands, which shades a fine polyline as a curve;
            the surface itself stays the polyline's.
    """

    profile: tuple[tuple[float, float], ...]
    smooth: bool = False

    def __post_init__(self) -> None:
        if len(self.profile) < 2 or min(radius for radius, _ in self.profile) < 0:
            raise InputError(
                f"a lathe needs two or more (radius, height) corners with radius >= 0, got {self.profile}"
            )
        if any(one == other for one, other in pairwise(self.profile)):
            raise InputError(f"a lathe needs corners that differ from the one before, got {self.profile}")

    @property
    def bounds(self) -> tuple[tuple[float, float, float], float]:
        """Centre and radius of a sphere around the solid."""
        heights = [height for _, height in self.profile]
        middle = (min(heights) + max(heights)) / 2
        return (0.0, -middle, 0.0), max(math.hypot(r, h - middle) for r, h in self.profile)

    def intersect(self, origins: Columns, directions: Columns, t_min: float) -> Columns:
        """Meet each band: a cone (a quadratic), or an annulus where the height does not change."""
        center, radius = self.bounds
        offset = np.array(center)[:, None] - origins
        a = dot(directions, directions)
        along = dot(offset, directions)
        # Most rays miss the bounding sphere, and the bands are many.
        touched = dot(offset, offset) * a - along**2 <= (radius + _SEAM_M) ** 2 * a
        result = np.full(touched.shape, np.inf)
        where = np.nonzero(touched)[0]
        if where.size:
            o = origins if origins.shape[1] == 1 else origins[:, where]
            result[where] = self._intersect_bands(o, directions[:, where], t_min)
        return result

    def _intersect_bands(self, origins: Columns, directions: Columns, t_min: float) -> Columns:
        ox, oh, oz = origins[0], -origins[1], origins[2]
        dx, dh, dz = directions[0], -directions[1], directions[2]
        best = np.full(directions.shape[1], np.inf)
        round_a, round_b, round_c = dx * dx + dz * dz, ox * dx + oz * dz, ox * ox + oz * oz
        for (r0, h0), (r1, h1) in pairwise(self.profile):
            if abs(h1 - h0) < _FLAT * abs(r1 - r0):
                with np.errstate(divide="ignore", invalid="ignore"):
                    t = (h0 - oh) / dh
                    rho_sq = round_c + 2 * t * round_b + t * t * round_a
                    hit = (rho_sq >= min(r0, r1) ** 2) & (rho_sq <= max(r0, r1) ** 2) & (t > t_min)
                np.minimum(best, t, out=best, where=hit)
                continue
            slope = (r1 - r0) / (h1 - h0)
            radius_at_origin = r0 + slope * (oh - h0)
            low, high = min(h0, h1) - _SEAM_M, max(h0, h1) + _SEAM_M
            for t in _roots(
                round_a - slope**2 * dh * dh,
                round_b - slope * dh * radius_at_origin,
                round_c - radius_at_origin**2,
            ):
                with np.errstate(invalid="ignore"):
                    height = oh + t * dh
                    hit = (t > t_min) & (height >= low) & (height <= high)
                np.minimum(best, t, out=best, where=hit)
        return best

    def normals(self, points: Columns) -> Columns:
        """Give the nearest band's normal, on the left of the profile as it runs upwards."""
        rho = np.hypot(points[0], points[2])
        _, band, share = self._nearest(rho, -points[1])
        corners = np.array(self.profile)
        step = np.diff(corners, axis=0)
        step /= np.linalg.norm(step, axis=1, keepdims=True)
        flat = np.stack([step[:, 1], -step[:, 0]], axis=1)  # (radial, upward)
        if self.smooth:
            at_corner = np.concatenate([flat[:1], flat[:-1] + flat[1:], flat[-1:]])
            at_corner /= np.maximum(np.linalg.norm(at_corner, axis=1, keepdims=True), 1e-12)
            blended = (1 - share)[:, None] * at_corner[band] + share[:, None] * at_corner[band + 1]
            blended /= np.maximum(np.linalg.norm(blended, axis=1, keepdims=True), 1e-12)
        else:
            blended = flat[band]
        with np.errstate(divide="ignore", invalid="ignore"):
            outward = np.where(rho > 0, blended[:, 0] / rho, 0.0)
        return np.stack([outward * points[0], -blended[:, 1], outward * points[2]])

    def distances(self, points: Columns) -> Columns:
        """Measure to the polyline in the half-plane through the axis, which is exact."""
        return self._nearest(np.hypot(points[0], points[2]), -points[1])[0]

    def _nearest(self, rho: Columns, height: Columns) -> tuple[Columns, npt.NDArray[np.intp], Columns]:
        """Find distance, index of the nearest band, and the share of it that was walked."""
        best_sq = np.full(rho.shape, np.inf)
        band = np.zeros(rho.shape, dtype=np.intp)
        share = np.zeros(rho.shape)
        for index, ((r0, h0), (r1, h1)) in enumerate(pairwise(self.profile)):
            length_sq = (r1 - r0) ** 2 + (h1 - h0) ** 2
            walked = np.clip(((rho - r0) * (r1 - r0) + (height - h0) * (h1 - h0)) / length_sq, 0, 1)
            miss_sq = (rho - r0 - walked * (r1 - r0)) ** 2 + (height - h0 - walked * (h1 - h0)) ** 2
            nearer = miss_sq < best_sq
            best_sq[nearer], band[nearer], share[nearer] = miss_sq[nearer], index, walked[nearer]
        return np.sqrt(best_sq), band, share


def cylinder(radius_m: float, height_m: float) -> Lathe:
    """Make a closed upright cylinder that stands on the origin."""
    _require_positive("a cylinder", radius_m, height_m)
    return Lathe(((0.0, 0.0), (radius_m, 0.0), (radius_m, height_m), (0.0, height_m)))


def dot(a: Columns, b: Columns) -> Columns:
    """Multiply (3, N) columns as vectors; several times as fast as a sum over the short axis."""
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


def _roots(a: Columns, half_b: Columns, c: Columns) -> tuple[Columns, Columns]:
    """Solve a t^2 + 2 half_b t + c = 0 without cancellation; NaN where there is no root.

    The smaller root comes first where a > 0. Source: Press et al., Numerical Recipes, 5.6.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        q = -(half_b + np.copysign(np.sqrt(half_b * half_b - a * c), half_b))
        one, other = q / a, c / q
    return np.fmin(one, other), np.fmax(one, other)


def _require_positive(what: str, *sides_m: float) -> None:
    if not all(side > 0 for side in sides_m):
        raise InputError(f"{what} needs positive metres, got {', '.join(map(str, sides_m))}")
