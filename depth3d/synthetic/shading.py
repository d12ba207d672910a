"""Light on surfaces: Lambert and Blinn-Phong, soft shadows by shadow rays, creases by distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth3d.synthetic.scene import AreaLight, Scene
from depth3d.synthetic.shapes import Columns, dot

__all__ = ["LightSamples", "radiance"]

_RAYS_A_PIXEL = 72
"""Shadow rays to one light after which the samples of a pixel need no more than one each."""


@dataclass(frozen=True, slots=True)
class LightSamples:
    """Where on a light this sample of each pixel looks.

    Attributes:
        turn: (2, N) shift of each ray's pattern in 0..1, so that neighbouring pixels differ.
        index: Number of this sample of the pixel.
        count: How many samples the pixel has in all.
    """

    turn: Columns
    index: int
    count: int

    def positions(self, ray: int, rays: int) -> Columns:
        """Give (2, N) positions in 0..1 of shadow ray `ray` of `rays`: stratified over the pixel."""
        total = self.count * rays
        number = self.index * rays + ray
        golden = 0.6180339887498949
        pattern = np.array([[(number + 0.5) / total], [(number * golden) % 1.0]])
        return np.asarray((pattern + self.turn) % 1.0)


def radiance(
    scene: Scene, origins: Columns, directions: Columns, pixel_m: float, samples: LightSamples
) -> Columns:
    """Trace rays and shade what they meet first.

    Args:
        scene: The scene.
        origins: (3, N) or (3, 1) world metres.
        directions: (3, N) whose t is the z of the camera in metres.
        pixel_m: Width in metres that one sample covers at z = 1 m.
        samples: Where shadow rays go.

    Returns:
        (3, N) linear light.
    """
    color = np.zeros(directions.shape)
    if scene.background is not None:
        color[:] = np.array(scene.background)[:, None]
    t, index = scene.first_hits(origins, directions)
    hit = np.nonzero(index >= 0)[0]
    if not hit.size:
        return color
    t, index, directions = t[hit], index[hit], directions[:, hit]
    points = (origins if origins.shape[1] == 1 else origins[:, hit]) + t * directions
    to_eye = -directions / np.sqrt(dot(directions, directions))
    samples = LightSamples(samples.turn[:, hit], samples.index, samples.count)

    normals, albedo = np.empty(points.shape), np.empty(points.shape)
    specular, shininess = np.empty(t.shape), np.empty(t.shape)
    result = np.empty(points.shape)
    for i in np.unique(index):
        surface, here = scene.surfaces[i], np.nonzero(index == i)[0]
        local = surface.to_shape(points[:, here])
        facing = surface.normals(local)
        cosine = dot(facing, to_eye[:, here])
        normals[:, here] = np.where(cosine < 0, -facing, facing)
        # The footprint is a long ellipse on a slanted surface; its mean radius blurs least and aliases least.
        footprint = t[here] * pixel_m / np.sqrt(np.maximum(np.abs(cosine), 0.02))
        albedo[:, here] = surface.material.texture(local, footprint)
        specular[here], shininess[here] = surface.material.specular, surface.material.shininess
        result[:, here] = np.array(surface.material.emission)[:, None]

    result += albedo * _ambient(scene, points, normals)
    for light in scene.lights:
        center = np.array(light.center)[:, None]
        to_light = center - points
        distance_sq = np.maximum(dot(to_light, to_light), 1e-12)
        to_light = to_light / np.sqrt(distance_sq)
        cosine = dot(normals, to_light)
        lit = np.nonzero(cosine > 0)[0]
        if not lit.size:
            continue
        shown = LightSamples(samples.turn[:, lit], samples.index, samples.count)
        seen = _visible_share(scene, light, points[:, lit] + 1e-6 * normals[:, lit], shown)
        halfway = to_light[:, lit] + to_eye[:, lit]
        halfway /= np.sqrt(np.maximum(dot(halfway, halfway), 1e-12))
        glint = np.maximum(dot(normals[:, lit], halfway), 0) ** shininess[lit]
        power = np.array(light.intensity)[:, None] * (seen * cosine[lit] / distance_sq[lit])
        gloss = specular[lit] * (shininess[lit] + 8) / 8 * glint
        result[:, lit] += power * (albedo[:, lit] + gloss)
    color[:, hit] = result
    return color


def _ambient(scene: Scene, points: Columns, normals: Columns) -> Columns:
    """Light from all around (3, N), less where the distance to a neighbour grows too slowly.

    On an open plane the distance from a point lifted by h is h; what is missing from it measures
    what stands around. Source: Evans, "Fast approximations for global illumination", 2006.
    """
    ambient = scene.ambient
    upward = 0.5 + 0.5 * dot(np.array(ambient.up), normals)
    ground, sky = np.array(ambient.ground)[:, None], np.array(ambient.sky)[:, None]
    light = ground + upward * (sky - ground)
    if not ambient.reach_m > 0:
        return np.asarray(light)
    lifts = [ambient.reach_m * share for share in (0.06, 0.2, 0.5, 1.0)]
    nearest = [np.full(points.shape[1], lift) for lift in lifts]
    for surface in scene.surfaces:
        center, radius = surface.bounds
        near = np.nonzero(dot(points - center, points - center) < (radius + 2 * ambient.reach_m) ** 2)[0]
        if not near.size:
            continue
        p, n = points[:, near], normals[:, near]
        for lift, distance in zip(lifts, nearest, strict=True):
            distance[near] = np.minimum(distance[near], surface.distances(p + lift * n))
    open_share = np.ones(points.shape[1])
    for lift, distance, weight in zip(lifts, nearest, (0.18, 0.24, 0.24, 0.2), strict=True):
        open_share -= weight * (1 - distance / lift)
    return np.asarray(light * np.clip(open_share, 0, 1))


def _visible_share(scene: Scene, light: AreaLight, points: Columns, samples: LightSamples) -> Columns:
    """Share (N,) of the light's rays that arrive at points that face it."""
    center = np.array(light.center)[:, None]
    rays = max(1, min(light.rays, -(-_RAYS_A_PIXEL // samples.count)))
    edges = np.stack([light.edge_u, light.edge_v], axis=1)
    spread = float(np.linalg.norm(np.abs(edges).sum(axis=1))) / 2
    blocked = np.zeros((rays, points.shape[1]), dtype=bool)
    targets = [center + edges @ (samples.positions(k, rays) - 0.5) for k in range(rays)]
    cones = _Cones.to_light(points, center, spread)
    for surface in scene.surfaces:
        here = cones.meeting(*surface.bounds)
        if not here.size:
            continue
        p = points[:, here]
        for k, target in enumerate(targets):
            t = surface.intersect(p, target[:, here] - p)
            blocked[k, here] |= t < 1.0 - 1e-9
    return np.asarray(1.0 - blocked.mean(axis=0))


@dataclass(frozen=True, slots=True)
class _Cones:
    """From each point a cone to a ball around the light: what all its shadow rays lie in."""

    points: Columns
    axis: Columns
    points_sq: Columns
    axis_sq: Columns
    along: Columns
    narrow: Columns
    per_length: Columns
    spread: float

    @classmethod
    def to_light(cls, points: Columns, light: Columns, spread: float) -> _Cones:
        axis = light - points
        axis_sq = np.maximum(dot(axis, axis), 1e-12)
        per_length = 1.0 / np.sqrt(axis_sq)
        # Inside the ball the cone has no sides, and everything may be in the way.
        narrow = np.where(spread * per_length < 1, 1 - spread * per_length, 1e-9)
        return cls(points, axis, dot(points, points), axis_sq, dot(points, axis), narrow, per_length, spread)

    def meeting(self, center: Columns, radius: float) -> npt.NDArray[np.intp]:
        """Find the points whose cone may meet a bounding sphere; never leaves one out."""
        if not np.isfinite(radius):
            return np.arange(self.axis_sq.size)
        toward = center[:, 0] @ self.axis - self.along
        share = np.clip(toward / self.axis_sq, 0, 1)
        offset_sq = self.points_sq - 2 * (center[:, 0] @ self.points) + float((center**2).sum())
        miss_sq = offset_sq + share * (share * self.axis_sq - 2 * toward)
        width = self.spread * np.minimum((share + radius * self.per_length) / self.narrow, 1)
        return np.nonzero(miss_sq <= (radius + width + 1e-6) ** 2)[0]
