"""`random_scene`: rooms that no two seeds share, with furniture, thin things and round things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from depth3d.core.arrays import ImageArray
from depth3d.errors import InputError
from depth3d.synthetic.photo_texture import Photo
from depth3d.synthetic.poses import place
from depth3d.synthetic.scene import Ambient, AreaLight, Material, Scene, Surface
from depth3d.synthetic.shapes import Box, Lathe, Rectangle, Shape, Sphere, cylinder
from depth3d.synthetic.textures import RGB, Bricks, Checker, Marble, Plain, Stripes, Texture, Wood

__all__ = ["random_scene"]


def random_scene(seed: int, *, photos: Sequence[ImageArray] = ()) -> Scene:
    """Make a room, or a floor under the sky, with tables, boxes, balls, vases and thin rods on it.

    The camera of the identity pose stands upright 0.9 to 1.7 m above the floor, tilted and turned a
    little, with nothing nearer than about 0.4 m. The same seed gives the same scene.

    Args:
        seed: Any whole number from 0.
        photos: (H, W, 3) uint8 sRGB pictures; where there are any, they cover most of the surfaces.

    Raises:
        InputError: `seed` is not a whole number of at least 0, or a photo is smaller than 2 pixels a side.
    """
    if int(seed) != seed or seed < 0:
        raise InputError(f"seed must be a whole number of at least 0, got {seed!r}")
    chance = np.random.default_rng(int(seed))
    depth_m = float(chance.uniform(3.0, 8.0))
    width_m = float(chance.uniform(2.5, 6.0))
    height_m = float(chance.uniform(2.3, 3.4))
    eye_m = float(chance.uniform(0.9, 1.7))
    indoors = chance.random() < 0.8
    # The world's origin is on the floor below the camera; y is down.
    surfaces: list[Surface] = []
    if indoors:
        surfaces += _walls(chance, width_m, height_m, depth_m)
    else:
        ground = place(0, 0, 0, pitch_deg=90)
        surfaces.append(Surface(Rectangle(), _material(chance, large=True), ground))
    for _ in range(int(chance.integers(1, 3))):
        surfaces += _table(chance, width_m, depth_m)
    for _ in range(int(chance.integers(4, 11))):
        x, z = _spot(chance, width_m, depth_m)
        surfaces.append(_thing(chance, x, 0.0, z, chance.uniform(0.15, 0.9)))
    for _ in range(int(chance.integers(1, 6))):
        surfaces.append(_rod(chance, width_m, height_m, depth_m))

    x, z = float(chance.uniform(-0.4, 0.4)) * width_m, float(chance.uniform(0.2, 0.7)) * depth_m
    power = _tint(chance, 0.5 * height_m**2)
    light = AreaLight((x, -0.93 * height_m, z), (0.4, 0.0, 0.0), (0.0, 0.0, 0.4), power)
    around = Ambient(sky=_tint(chance, 0.45), ground=_tint(chance, 0.3))
    if photos:
        surfaces = _covered(surfaces, photos, np.random.default_rng((int(seed), len(photos))))
    scene = Scene(tuple(surfaces), (light,), around, None if indoors else _tint(chance, 0.7))
    pitch_deg, yaw_deg, roll_deg = chance.uniform((-18, -12, -3), (3, 12, 3))
    camera = place(0, -eye_m, 0, yaw_deg=yaw_deg, pitch_deg=pitch_deg, roll_deg=roll_deg)
    return scene.moved(np.linalg.inv(camera))


def _walls(chance: np.random.Generator, width_m: float, height_m: float, depth_m: float) -> list[Surface]:
    """A floor, a ceiling, three walls ahead and one behind, each of its own material."""
    middle_y, middle_z, behind_m = -height_m / 2, depth_m / 2 - 0.5, 1.0
    length_m = depth_m + behind_m
    sheets = [
        (width_m, length_m, place(0, 0, middle_z, pitch_deg=90)),
        (width_m, length_m, place(0, -height_m, middle_z, pitch_deg=-90)),
        (length_m, height_m, place(-width_m / 2, middle_y, middle_z, yaw_deg=-90)),
        (length_m, height_m, place(width_m / 2, middle_y, middle_z, yaw_deg=90)),
        (width_m, height_m, place(0, middle_y, depth_m)),
        (width_m, height_m, place(0, middle_y, -behind_m)),
    ]
    return [Surface(Rectangle(a, b), _material(chance, large=True), pose) for a, b, pose in sheets]


def _table(chance: np.random.Generator, width_m: float, depth_m: float) -> list[Surface]:
    """A top on four thin legs, with a few things on it."""
    x, z = _spot(chance, width_m, depth_m)
    top_y = -float(chance.uniform(0.4, 0.8))
    side_x, side_z = (float(s) for s in chance.uniform(0.5, 1.1, 2))
    foot = place(x, 0, z, yaw_deg=float(chance.uniform(0, 90)))
    wood = _material(chance)
    parts = [Surface(Box((side_x, 0.03, side_z)), wood, foot @ place(0, top_y + 0.015, 0))]
    leg = cylinder(float(chance.uniform(0.01, 0.03)), -top_y - 0.03)
    for a in (-0.45, 0.45):
        parts += [Surface(leg, wood, foot @ place(a * side_x, 0, b * side_z)) for b in (-0.45, 0.45)]
    for _ in range(int(chance.integers(1, 4))):
        u, v = chance.uniform(-0.35, 0.35, 2)
        on_top = foot @ np.array([u * side_x, top_y, v * side_z, 1.0])
        parts.append(_thing(chance, float(on_top[0]), top_y, float(on_top[2]), chance.uniform(0.08, 0.3)))
    return parts


def _thing(chance: np.random.Generator, x: float, y: float, z: float, size_m: float) -> Surface:
    """A ball, a box, a cylinder or a vase of about `size_m`, standing at a point."""
    yaw_deg = float(chance.uniform(0, 360))
    shape: Shape
    lift = 0.0
    kind = chance.integers(4)
    if kind == 0:
        shape, lift = Sphere(size_m / 2), size_m / 2
    elif kind == 1:
        a, b, c = (float(s) * size_m for s in chance.uniform(0.4, 1.0, 3))
        shape, lift = Box((a, b, c)), b / 2
    elif kind == 2:
        shape = cylinder(size_m * float(chance.uniform(0.1, 0.35)), size_m)
    else:
        radii = chance.uniform(0.08, 0.38, 4) * size_m
        heights = [size_m * i / 3 for i in range(4)]
        wall = tuple(zip(radii.tolist(), heights, strict=True))
        shape = Lathe(((0.0, 0.0), *wall, (0.0, heights[-1])))
    return Surface(shape, _material(chance), place(x, y - lift, z, yaw_deg=yaw_deg))


def _rod(chance: np.random.Generator, width_m: float, height_m: float, depth_m: float) -> Surface:
    """A rod of 4 to 40 mm, upright or leaning."""
    x, z = _spot(chance, width_m, depth_m)
    roll_deg, yaw_deg = float(chance.normal(0, 12)), float(chance.uniform(0, 360))
    length_m = float(chance.uniform(0.4, 0.9)) * height_m
    shape = cylinder(float(np.exp(chance.uniform(np.log(0.002), np.log(0.02)))), length_m)
    return Surface(shape, _material(chance), place(x, 0, z, yaw_deg=yaw_deg, roll_deg=roll_deg))


def _spot(chance: np.random.Generator, width_m: float, depth_m: float) -> tuple[float, float]:
    """A place on the floor far enough ahead of the camera that nothing reaches it."""
    return float(chance.uniform(-0.4, 0.4)) * width_m, float(chance.uniform(1.7, max(1.8, 0.9 * depth_m)))


def _material(chance: np.random.Generator, *, large: bool = False) -> Material:
    light, dark = _tint(chance, 0.65), _tint(chance, 0.15)
    size_m = float(chance.uniform(0.1, 0.6)) if large else float(chance.uniform(0.015, 0.08))
    choices: Sequence[Texture] = (
        Plain(_tint(chance, 0.5)),
        Checker(light, dark, size_m),
        Stripes(light, dark, size_m, axis=int(chance.integers(2))),
        Wood(light, dark, ring_m=0.3 * size_m, plank_m=0.5 * size_m if large else 0.0),
        Marble(light, dark, scale_m=size_m),
        Bricks(_tint(chance, 0.4), light, 0.24, 0.08) if large else Plain(dark),
    )
    return Material(
        choices[int(chance.integers(len(choices)))], specular=0.0 if large else 0.4 * chance.random()
    )


def _covered(
    surfaces: Sequence[Surface], photos: Sequence[ImageArray], chance: np.random.Generator
) -> list[Surface]:
    """Wrap pictures over about two in three of the surfaces."""
    covered: list[Surface] = []
    for surface in surfaces:
        if chance.random() < 0.67:
            photo = Photo(photos[int(chance.integers(len(photos)))], float(chance.uniform(0.4, 4.0)))
            surface = replace(surface, material=replace(surface.material, texture=photo))
        covered.append(surface)
    return covered


def _tint(chance: np.random.Generator, brightness: float) -> RGB:
    """A colour, mostly muted, of about that brightness."""
    red, green, blue = brightness * (1 + chance.uniform(0.1, 0.6) * chance.uniform(-1, 1, 3))
    return float(red), float(green), float(blue)
