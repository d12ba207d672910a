"""Scenes with one thing to measure each: a plane, a floor, a sphere, a step, a room, thin bars."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from depth3d.core.camera import Camera
from depth3d.errors import InputError
from depth3d.synthetic.poses import place
from depth3d.synthetic.scene import Ambient, AreaLight, Material, Scene, Surface
from depth3d.synthetic.shapes import Box, Rectangle, Sphere, cylinder
from depth3d.synthetic.textures import Bricks, Checker, Marble, Plain, Stripes, Wood, linear_rgb

__all__ = [
    "bars_scene",
    "default_camera",
    "floor_scene",
    "plane_scene",
    "room_scene",
    "sphere_scene",
    "step_scene",
]

_EVEN_LIGHT = Ambient(sky=(1.0, 1.0, 1.0), ground=(1.0, 1.0, 1.0))
_SKY = linear_rgb("#a9c8e8")
_HALF_PLANE_M = 1000.0  # as good as endless, and its middle is still placed to 1e-13 m


def default_camera(width: int = 640, height: int = 480, fov_x_deg: float = 60.0) -> Camera:
    """Make a centred camera in which every scene here shows what it is for.

    Args:
        width: Pixels.
        height: Pixels.
        fov_x_deg: Full horizontal field of view.

    Raises:
        CameraError: A size or an angle that no camera has.
    """
    return Camera.from_fov(width, height, fov_x_deg)


def plane_scene(normal: Sequence[float] = (0.0, 0.0, 1.0), distance: float = 2.0) -> Scene:
    """Make the endless plane `normal . p = distance`, checkered and evenly lit.

    Its depth along a ray r (z = 1) is `distance / (normal . r)`, so its inverse depth is affine in
    the pixel coordinates.

    Args:
        normal: Direction that points from the camera towards the plane; its length does not matter.
        distance: Metres from the camera, along the normal.

    Raises:
        InputError: The normal has no length, or the distance is not positive.
    """
    n = np.asarray(normal, dtype=np.float64)
    if n.shape != (3,) or not np.isfinite(n).all() or not np.linalg.norm(n) > 0:
        raise InputError(f"normal must be three numbers that are not all nought, got {normal}")
    if not (math.isfinite(distance) and distance > 0):
        raise InputError(f"distance must be positive metres, got {distance!r}")
    n = n / np.linalg.norm(n)
    # Level the texture: x of the sheet stays as near to the camera's x as the normal allows.
    side = np.cross([0.0, 1.0, 0.0] if abs(n[1]) < 0.999 else [0.0, 0.0, -n[1]], n)
    side /= np.linalg.norm(side)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([side, np.cross(n, side), n], axis=1)
    pose[:3, 3] = distance * n
    sheet = Surface(Rectangle(), Material(Checker(size_m=0.25)), pose)
    return Scene((sheet,), ambient=_EVEN_LIGHT, background=_SKY)


def floor_scene(height_m: float = 1.5, pitch_deg: float = 0.0) -> Scene:
    """Make an endless floor below the camera, up to the horizon; the sky has no depth.

    The depth along a ray r is `height_m / (cos(pitch) r_y + sin(pitch))`.

    Args:
        height_m: Height of the camera above the floor.
        pitch_deg: How far the camera looks down.

    Raises:
        InputError: The height is not positive.
    """
    pitch = math.radians(pitch_deg)
    return plane_scene((0.0, math.cos(pitch), math.sin(pitch)), height_m)


def sphere_scene(radius_m: float = 0.5, distance_m: float = 2.0, wall_m: float | None = 4.0) -> Scene:
    """Make a marble ball on the optical axis before a wall.

    Args:
        radius_m: Radius of the ball.
        distance_m: z of its centre.
        wall_m: z of the wall; None leaves the sky there.

    Raises:
        InputError: A radius or distance that is not positive.
    """
    _require_ahead(distance_m=distance_m)
    surfaces = [Surface(Sphere(radius_m), Material(Marble(), specular=0.3), place(0, 0, distance_m))]
    if wall_m is not None:
        _require_ahead(wall_m=wall_m)
        surfaces.append(Surface(Rectangle(), Material(Checker()), place(0, 0, wall_m)))
    light = AreaLight((-1.5, -2.0, 0.0), intensity=(3.5, 3.4, 3.2))
    return Scene(tuple(surfaces), (light,), background=_SKY)


def step_scene(near_m: float = 1.0, far_m: float = 3.0, edge_x_m: float = 0.0) -> Scene:
    """Make two planes that face the camera: a near one on the left, a far one behind it.

    Args:
        near_m: z of the near plane, which covers x < edge_x_m.
        far_m: z of the far plane.
        edge_x_m: x of the near plane's edge; 0 puts it at column cx.

    Raises:
        InputError: A z that is not positive, or the near plane is not the nearer.
    """
    _require_ahead(near_m=near_m, far_m=far_m)
    if not near_m < far_m:
        raise InputError(f"near_m must be less than far_m, got {near_m} and {far_m}")
    near = Surface(
        Rectangle(_HALF_PLANE_M, math.inf),
        Material(Stripes(linear_rgb("#f0a45a"), linear_rgb("#b5541c"), width_m=0.1 * near_m)),
        place(edge_x_m - _HALF_PLANE_M / 2, 0, near_m),
    )
    far = Surface(
        Rectangle(),
        Material(Checker(linear_rgb("#9fc4d8"), linear_rgb("#2a5673"), size_m=0.1 * far_m)),
        place(0, 0, far_m),
    )
    return Scene((near, far), ambient=_EVEN_LIGHT)


def room_scene() -> Scene:
    """Make a closed room of 4 x 2.6 x 5 m, seen from 1.4 m above its floor, with a box and two balls.

    Every pixel has a depth. The ball by the wall is a lamp whose radiance is above 1.
    """
    floor_y = 1.4
    room = Surface(
        Box((4.0, 2.6, 5.0)),
        Material(Checker(linear_rgb("#d8cdb8"), linear_rgb("#8d7f6a"), size_m=0.5)),
        place(0, floor_y - 1.3, 2.0),
    )
    crate = Surface(
        Box((0.6, 0.6, 0.6)), Material(Wood(ring_m=0.03)), place(-0.6, floor_y - 0.3, 2.8, yaw_deg=30)
    )
    ball = Surface(Sphere(0.3), Material(Marble(), specular=0.4), place(0.55, floor_y - 0.3, 2.3, yaw_deg=20))
    lamp = Surface(
        Sphere(0.1), Material(Plain((0.9, 0.9, 0.9)), emission=(12.0, 10.0, 7.0)), place(1.2, -0.6, 3.8)
    )
    light = AreaLight((0.0, -1.15, 1.5), (0.8, 0, 0), (0, 0, 0.8), (3.0, 2.9, 2.7), rays=2)
    return Scene((room, crate, ball, lamp), (light,))


def bars_scene() -> Scene:
    """Make thin things before a brick wall at 3 m: eight rods of 2 to 30 mm and two that cross them."""
    wall = Surface(Rectangle(), Material(Bricks()), place(0, 0, 3.0))
    paints = ("#d94f30", "#e8b23a", "#4f9d69", "#3b6fb6")
    rods = [
        Surface(
            cylinder(diameter_m / 2, 1.6),
            Material(Plain(linear_rgb(paints[i % 4])), specular=0.3),
            place(-0.62 + 0.16 * i, 0.8, 1.2 + 0.08 * i),
        )
        for i, diameter_m in enumerate((0.002, 0.003, 0.005, 0.008, 0.012, 0.016, 0.022, 0.03))
    ]
    across = [
        Surface(
            cylinder(0.005, 1.8),
            Material(Stripes(width_m=0.06), specular=0.3),
            place(-0.9 * math.sin(tilt), 0.9 * math.cos(tilt), 1.05, roll_deg=math.degrees(tilt)),
        )
        for tilt in (math.radians(75), math.radians(-50))
    ]
    light = AreaLight((-1.2, -1.4, 0.0), (0.15, 0, 0), (0, 0.15, 0), (4.4, 4.2, 3.8), rays=2)
    return Scene((wall, *rods, *across), (light,))


def _require_ahead(**distances_m: float) -> None:
    for name, value in distances_m.items():
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} must be positive metres, got {value!r}")
