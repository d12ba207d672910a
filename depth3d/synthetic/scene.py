"""`Scene`: surfaces of a material somewhere in the world, and the lights on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatArray
from depth3d.core.poses import as_pose
from depth3d.errors import InputError
from depth3d.synthetic.shapes import Columns, Shape
from depth3d.synthetic.textures import RGB, Plain, Texture

__all__ = ["Ambient", "AreaLight", "Material", "Scene", "Surface", "distance_to_surface"]

RAY_START_M = 1e-7
"""How far along a ray the first hit may lie, so that a ray that leaves a surface does not meet it."""


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """How a surface answers light.

    Attributes:
        texture: Linear albedo as a function of the point in the shape's frame.
        specular: Strength of the Blinn-Phong highlight, 0..1.
        shininess: Its exponent.
        emission: Linear radiance that it gives off; more than 1 is brighter than white paper.
    """

    texture: Texture = field(default_factory=Plain)
    specular: float = 0.0
    shininess: float = 40.0
    emission: RGB = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class AreaLight:
    """A parallelogram that shines from both faces, unseen by the camera.

    Attributes:
        center: World position in metres.
        edge_u, edge_v: Its sides as vectors in metres; nought for a point light.
        intensity: Linear radiance of white paper that faces it from one metre.
        rays: Shadow rays for each sample of a pixel; fewer where a pixel has very many samples.
    """

    center: tuple[float, float, float]
    edge_u: tuple[float, float, float] = (0.0, 0.0, 0.0)
    edge_v: tuple[float, float, float] = (0.0, 0.0, 0.0)
    intensity: RGB = (1.0, 1.0, 1.0)
    rays: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Ambient:
    """Light from all around: a hemisphere that blends from the ground's colour to the sky's.

    Attributes:
        sky, ground: Linear radiance of white paper that faces up and down.
        up: Unit vector of the world.
        reach_m: How near a neighbour must be to darken a crease; 0 leaves creases lit.
    """

    sky: RGB = (0.45, 0.45, 0.45)
    ground: RGB = (0.25, 0.25, 0.25)
    up: tuple[float, float, float] = (0.0, -1.0, 0.0)
    reach_m: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """A shape of a material at a place.

    Attributes:
        shape: The geometry in its own frame.
        material: Its looks.
        T_world_shape: (4, 4) rigid pose, read-only.

    Raises:
        InputError: The pose is not rigid.
    """

    shape: Shape
    material: Material = field(default_factory=Material)
    T_world_shape: npt.NDArray[np.float64] = field(default_factory=lambda: np.eye(4))

    def __post_init__(self) -> None:
        pose = as_pose(self.T_world_shape, "T_world_shape").copy()
        pose.flags.writeable = False
        object.__setattr__(self, "T_world_shape", pose)

    @property
    def bounds(self) -> tuple[Columns, float]:
        """World centre (3, 1) and radius in metres of a sphere around it."""
        center, radius = self.shape.bounds
        R, origin = self.T_world_shape[:3, :3], self.T_world_shape[:3, 3:]
        return R @ np.array(center)[:, None] + origin, radius

    def intersect(self, origins: Columns, directions: Columns) -> Columns:
        """Find t of the first hit of world rays; rigid poses leave t as it is."""
        R = self.T_world_shape[:3, :3]
        return self.shape.intersect(self.to_shape(origins), R.T @ directions, RAY_START_M)

    def to_shape(self, points: Columns) -> Columns:
        """Bring world points (3, N) into the shape's frame."""
        R, origin = self.T_world_shape[:3, :3], self.T_world_shape[:3, 3:]
        return np.asarray(R.T @ (points - origin))

    def normals(self, local: Columns) -> Columns:
        """Give world normals (3, N) at points in the shape's frame."""
        return np.asarray(self.T_world_shape[:3, :3] @ self.shape.normals(local))

    def distances(self, points: Columns) -> Columns:
        """Measure the distance (N,) of world points."""
        return self.shape.distances(self.to_shape(points))


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Everything that a picture is made of.

    Attributes:
        surfaces: What rays meet.
        lights: What casts shadows.
        ambient: Light from all around.
        background: Linear colour behind everything, or None for black. Depth there is unknown (NaN).
    """

    surfaces: tuple[Surface, ...]
    lights: tuple[AreaLight, ...] = ()
    ambient: Ambient = field(default_factory=Ambient)
    background: RGB | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "surfaces", tuple(self.surfaces))
        object.__setattr__(self, "lights", tuple(self.lights))

    def first_hits(self, origins: Columns, directions: Columns) -> tuple[Columns, npt.NDArray[np.intp]]:
        """Find what each ray meets first.

        Args:
            origins: (3, N) or (3, 1) world metres.
            directions: (3, N), of any length.

        Returns:
            t (N,), infinite for a miss, and the index (N,) of the surface, -1 for a miss.
        """
        nearest = np.full(directions.shape[1], np.inf)
        index = np.full(directions.shape[1], -1, dtype=np.intp)
        for i, surface in enumerate(self.surfaces):
            t = surface.intersect(origins, directions)
            nearer = t < nearest
            nearest[nearer] = t[nearer]
            index[nearer] = i
        return nearest, index

    def distances(self, points: Columns) -> Columns:
        """Measure the distance (N,) in metres of world points (3, N) to the nearest surface."""
        nearest = np.full(points.shape[1], np.inf)
        for surface in self.surfaces:
            np.minimum(nearest, surface.distances(points), out=nearest)
        return nearest

    def moved(self, T: npt.ArrayLike) -> Scene:
        """Move all of it, lights too, by a rigid transform.

        Args:
            T: (4, 4); a point p goes to T p.

        Raises:
            InputError: `T` is not rigid.
        """
        pose = as_pose(T, "T")

        def turn(v: Iterable[float], by: float) -> tuple[float, float, float]:
            x, y, z = pose[:3, :3] @ np.array(list(v)) + by * pose[:3, 3]
            return float(x), float(y), float(z)

        return replace(
            self,
            surfaces=tuple(replace(s, T_world_shape=pose @ s.T_world_shape) for s in self.surfaces),
            lights=tuple(
                replace(
                    light,
                    center=turn(light.center, 1),
                    edge_u=turn(light.edge_u, 0),
                    edge_v=turn(light.edge_v, 0),
                )
                for light in self.lights
            ),
            ambient=replace(self.ambient, up=turn(self.ambient.up, 0)),
        )


def distance_to_surface(scene: Scene, points: FloatArray) -> npt.NDArray[np.float64]:
    """Measure how far points lie from the nearest surface of a scene: exact, from either side.

    Args:
        scene: The scene.
        points: (N, 3) world metres.

    Returns:
        (N,) metres; infinite where the scene is empty, NaN for points that are NaN.

    Raises:
        InputError: `points` is not (N, 3).
    """
    p = np.asarray(points, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] != 3:
        raise InputError(f"points must have shape (N, 3), got {p.shape}")
    block = 1 << 16
    parts = [scene.distances(np.ascontiguousarray(p[i : i + block].T)) for i in range(0, len(p), block)]
    return np.concatenate(parts) if parts else np.empty(0)
