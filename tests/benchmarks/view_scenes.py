"""Six kinds of scenes to move a camera in, another of each for every seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from depth3d import synthetic as syn
from depth3d.synthetic import place

FOCAL_PX = 614
"""About that of the photos: patterns have details of some pixels."""
EVEN = syn.Ambient((0.55, 0.55, 0.58), (0.4, 0.4, 0.38))

Chance = np.random.Generator
Parts = list[syn.Surface]


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What a scene is made of."""

    parts: Parts
    sky: tuple[float, float, float] | None = None
    sun_m: tuple[float, float, float] = (-2.0, -4.0, 0.0)

    def scene(self) -> syn.Scene:
        """Put it in the light of a lamp, which is a point, and of all around."""
        distance = math.dist(self.sun_m, (0, 0, 4))
        sun = syn.AreaLight(self.sun_m, intensity=(0.55 * distance**2,) * 3)
        return syn.Scene(tuple(self.parts), (sun,), EVEN, self.sky)


def _tint(chance: Chance, brightness: float) -> tuple[float, float, float]:
    red, green, blue = brightness * chance.uniform(0.6, 1.4, 3)
    return float(red), float(green), float(blue)


def _paint(chance: Chance, size_m: float) -> syn.Material:
    """A pattern with details of about `size_m`, or none in one of seven."""
    light, dark = _tint(chance, 0.65), _tint(chance, 0.12)
    textures = (
        syn.Plain(_tint(chance, 0.45)),
        syn.Checker(light, dark, size_m),
        syn.Stripes(light, dark, size_m, axis=int(chance.integers(2))),
        syn.Marble(light, dark, 2 * size_m),
        syn.Marble(_tint(chance, 0.5), _tint(chance, 0.35), size_m, 2.0),
        syn.Wood(light, dark, ring_m=size_m / 2, plank_m=4 * size_m),
        syn.Bricks(_tint(chance, 0.35), light, 3 * size_m, size_m, size_m / 6),
    )
    return syn.Material(textures[int(chance.integers(len(textures)))])


def _wall(chance: Chance, z: float, *, size_px: float = 16.0, **turn: float) -> syn.Surface:
    """An endless wall with details of about that many pixels."""
    return syn.Surface(syn.Rectangle(), _paint(chance, size_px * z / FOCAL_PX), place(0, 0, z, **turn))


def _floor(chance: Chance, below_m: float, size_m: float = 0.2) -> syn.Surface:
    return syn.Surface(syn.Rectangle(), _paint(chance, size_m), place(0, below_m, 0, pitch_deg=90))


def cards(chance: Chance) -> Kind:
    """Cards at three distances, turned a little, before a wall."""
    front = []
    for z in (1.2, 1.2, 1.9, 1.9, 3.0):
        x, y = (float(v) * z for v in chance.uniform((-0.4, -0.3), (0.4, 0.3)))
        yaw, pitch, roll = (float(a) for a in chance.uniform((-30, -30, 0), (30, 30, 90)))
        shape = syn.Rectangle(*(float(s) * z for s in chance.uniform(0.12, 0.35, 2)))
        turned = place(x, y, z, yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll)
        front.append(syn.Surface(shape, _paint(chance, 12 * z / FOCAL_PX), turned))
    wall = _wall(chance, float(chance.uniform(4, 7)), yaw_deg=float(chance.uniform(-35, 35)))
    return Kind([wall, *front])


def furniture(chance: Chance) -> Kind:
    """A random room without highlights, whose lamp is a point."""
    room = syn.random_scene(int(chance.integers(1 << 30)))
    dull = [replace(s, material=replace(s.material, specular=0.0)) for s in room.surfaces]
    return Kind(dull, room.background, room.lights[0].center)


def rods(chance: Chance) -> Kind:
    """Rods of one and a half to twelve pixels before a wall on a floor."""
    parts = []
    for i in range(10):
        z = float(chance.uniform(1.2, 2.4))
        thick_m = float(np.exp(chance.uniform(np.log(1.5), np.log(12.0)))) * z / FOCAL_PX
        lean = float(chance.normal(0, 8)) + (90 if i == 9 else 0)
        pose = place((i - 4) * 0.11 * z, 0, z, roll_deg=lean) @ place(0, 1.2, 0)
        parts.append(syn.Surface(syn.cylinder(thick_m / 2, 2.4), _paint(chance, 0.04), pose))
    z = float(chance.uniform(3.5, 6))
    return Kind([_wall(chance, z, yaw_deg=float(chance.uniform(-20, 20))), _floor(chance, 1.0), *parts])


def figure(chance: Chance) -> Kind:
    """A person on a floor before a wall, from the knees up."""
    z, x = float(chance.uniform(1.7, 2.3)), float(chance.uniform(-0.3, 0.3))
    skin, coat, cloth = (
        syn.Material(syn.Plain(_tint(chance, 0.5))),
        _paint(chance, 0.05),
        _paint(chance, 0.04),
    )
    waist = place(x, 0.55, z, yaw_deg=float(chance.uniform(-40, 40)))
    trunk = syn.Lathe(((0.0, 0.0), (0.17, 0.0), (0.14, 0.18), (0.2, 0.5), (0.06, 0.6), (0.0, 0.6)))
    parts = [
        syn.Surface(syn.Sphere(0.11), skin, waist @ place(0, -0.74, 0)),
        syn.Surface(syn.cylinder(0.05, 0.15), skin, waist @ place(0, -0.57, 0)),
        syn.Surface(trunk, coat, waist),
    ]
    for side in (-1, 1):
        raised = float(chance.uniform(-20, 130)) if side == 1 else float(chance.uniform(0, 25))
        arm = waist @ place(0.19 * side, -0.5, 0, roll_deg=180 - side * raised)
        parts.append(syn.Surface(syn.cylinder(0.045, 0.55), coat, arm))
        parts.append(syn.Surface(syn.Sphere(0.06), skin, arm @ place(0, -0.58, 0)))
        parts.append(syn.Surface(syn.cylinder(0.08, 0.9), cloth, waist @ place(0.09 * side, 0.9, 0)))
    wall = _wall(chance, float(chance.uniform(3.5, 6)), yaw_deg=float(chance.uniform(-30, 30)))
    return Kind([wall, _floor(chance, 1.4, 0.3), *parts])


def balls(chance: Chance) -> Kind:
    """Balls in the air and on a table that reaches to a wall."""
    front, back = [], [_floor(chance, 0.6, 0.12), _wall(chance, float(chance.uniform(3, 4.5)))]
    for i in range(9):
        z = float(chance.uniform(1.3, 2.6))
        radius = float(chance.uniform(0.04, 0.17)) * z
        y = 0.6 - radius if i < 5 else float(chance.uniform(-0.3, 0.15)) * z
        ball = place(float(chance.uniform(-0.45, 0.45)) * z, y, z, roll_deg=float(chance.uniform(0, 90)))
        front.append(syn.Surface(syn.Sphere(radius), _paint(chance, 0.05), ball))
    return Kind([*back, *front])


def street(chance: Chance) -> Kind:
    """Trees and posts before houses on a plain, under the sky."""
    back = [_floor(chance, 1.5, 0.5)]
    for side in (-1, 1):
        x, z = side * float(chance.uniform(2.5, 4.5)), float(chance.uniform(8, 14))
        size = (float(chance.uniform(2, 4)), float(chance.uniform(2.5, 6)), float(chance.uniform(2, 6)))
        turned = place(x, 1.5 - size[1] / 2, z, yaw_deg=float(chance.uniform(-30, 30)))
        back.append(syn.Surface(syn.Box(size), _paint(chance, 0.3), turned))
    front = []
    for _ in range(4):
        z = float(chance.uniform(2.6, 5.5))
        foot = place(float(chance.uniform(-0.45, 0.45)) * z, 1.5, z)
        tall = float(chance.uniform(1.2, 2.4))
        front.append(syn.Surface(syn.cylinder(0.05, tall), _paint(chance, 0.05), foot))
        crown = syn.Surface(
            syn.Sphere(float(chance.uniform(0.2, 0.5))), _paint(chance, 0.08), foot @ place(0, -tall, 0)
        )
        front.append(crown)
    z = float(chance.uniform(1.8, 2.4))
    post = place(float(chance.uniform(-0.35, 0.35)) * z, 1.5, z)
    front.append(syn.Surface(syn.cylinder(0.02, 2.6), _paint(chance, 0.1), post))
    sky = (0.35, 0.5, float(chance.uniform(0.7, 0.95)))
    return Kind([*back, *front], sky, (-30.0, -40.0, -10.0))


KINDS: tuple[Callable[[Chance], Kind], ...] = (cards, furniture, rods, figure, balls, street)
