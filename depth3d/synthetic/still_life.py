"""`still_life`: a table by a window, to be looked at: vase, twigs, books, cup and pencils, lamp."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depth3d.synthetic.poses import look_at, place
from depth3d.synthetic.scene import Ambient, AreaLight, Material, Scene, Surface
from depth3d.synthetic.shapes import Box, Lathe, Rectangle, Sphere, cylinder
from depth3d.synthetic.textures import Bricks, Checker, Marble, Plain, Stripes, Texture, Wood, linear_rgb

__all__ = ["still_life"]

_EYE = (0.05, -0.47, -0.06)
_TARGET = (0.01, -0.20, 1.2)


def still_life() -> Scene:
    """Make a table by a window, 0.7 to 2.1 m away, with thin things, curved things and a lit lamp.

    It is meant for a camera of about 50 degrees, 4:3, whose own view is the identity. Sunlight comes
    through a window on the left that the camera does not see.

    Returns:
        The scene in the camera's frame. Every pixel of that camera has a depth.
    """
    things = [*_room(), *_window(), *_vase(), *_books(), *_cup_of_pencils(), *_lamp(), *_fruit()]
    sun = AreaLight((-3.5, -2.4, -0.6), (0.09, 0, 0), (0, 0.09, 0), (42.0, 34.0, 24.0), rays=6)
    sky = AreaLight((-1.35, -1.15, 0.5), (0, 0, 1.0), (0, 0.9, 0), (0.75, 0.90, 1.10), rays=3)
    bulb = AreaLight((0.55, -0.455, 1.50), (0.04, 0, 0), (0, 0, 0.04), (0.22, 0.15, 0.076), rays=1)
    around = Ambient(linear_rgb("#75797f"), linear_rgb("#5f5348"), up=(0.0, -1.0, 0.0), reach_m=0.09)
    scene = Scene(tuple(things), (sun, sky, bulb), around)
    return scene.moved(np.linalg.inv(look_at(_EYE, _TARGET)))


def _paint(code: str, specular: float = 0.0, shininess: float = 60.0) -> Material:
    return Material(Plain(linear_rgb(code)), specular, shininess)


def _room() -> list[Surface]:
    bricks = Bricks(linear_rgb("#b9aa98"), linear_rgb("#a39583"), 0.22, 0.072, 0.009)
    wood = Wood(linear_rgb("#a8703f"), linear_rgb("#714423"), ring_m=0.022, plank_m=0.19)
    mat = Checker(linear_rgb("#e6dcc8"), linear_rgb("#3f6f78"), size_m=0.055)
    canvas = Stripes(linear_rgb("#dfa24a"), linear_rgb("#2f4a63"), width_m=0.062)
    return [
        Surface(Rectangle(6.0, 4.0), Material(bricks), place(0, -1.0, 2.1)),
        Surface(Rectangle(6.0, 4.0), _paint("#6d5b4c"), place(0, 0.75, 1.0, pitch_deg=90)),
        # The long side of the planks is x of their own sheet, which lies flat here.
        Surface(Box((1.9, 1.1, 0.04)), Material(wood, 0.06, 30), place(0, 0.02, 1.25, pitch_deg=90)),
        Surface(
            Box((0.495, 0.385, 0.004)),
            Material(mat),
            place(-0.04, -0.002, 0.99, yaw_deg=-14, pitch_deg=90),
        ),
        Surface(Box((0.42, 0.32, 0.03)), _paint("#2e2722", 0.1), place(0.06, -0.54, 2.085)),
        Surface(Rectangle(0.35, 0.25), Material(canvas), place(0.06, -0.54, 2.069)),
    ]


def _window() -> list[Surface]:
    """A wall at x = -1.5 with an opening of 1.2 x 0.95 m in it, and bars that cross the opening."""
    paint = _paint("#cfc7b8")
    z0, z1, y0, y1, far = -0.02, 1.28, -1.86, -0.86, 3.0
    panes = [
        ((z0 - far + z0) / 2, 0.0, far, 2 * far),
        ((z1 + far + z1) / 2, 0.0, far, 2 * far),
        ((z0 + z1) / 2, (y0 - far + y0) / 2, z1 - z0, far),
        ((z0 + z1) / 2, (y1 + far + y1) / 2, z1 - z0, far),
        ((z0 + z1) / 2, (y0 + y1) / 2, 0.045, y1 - y0),
        ((z0 + z1) / 2, y0 + (y1 - y0) / 2, z1 - z0, 0.04),
    ]
    return [
        Surface(Rectangle(width, height), paint, place(-1.5, y, z, yaw_deg=90))
        for z, y, width, height in panes
    ]


def _vase() -> list[Surface]:
    outline = [(0.052, 0.0), (0.062, 0.012), (0.094, 0.075), (0.099, 0.13), (0.07, 0.2), (0.035, 0.255),
               (0.031, 0.29), (0.047, 0.325), (0.043, 0.326), (0.026, 0.29), (0.03, 0.25)]  # fmt: skip
    glaze = Material(
        Marble(linear_rgb("#dfe4e6"), linear_rgb("#27508c"), scale_m=0.075, sharpness=4.0), 0.45, 120
    )
    x, z = -0.30, 1.36
    surfaces = [Surface(Lathe(((0.0, 0.0), *_curve(outline)), smooth=True), glaze, place(x, 0, z))]
    bark, berry = _paint("#4a3426"), _paint("#b3262b", 0.5, 90)
    twigs = [(-16, 6, 0.25), (8, -8, 0.29), (27, 12, 0.23), (-33, -6, 0.20)]
    for lean_deg, yaw_deg, length_m in twigs:
        root = place(x, -0.27, z) @ place(0, 0, 0, yaw_deg=yaw_deg, roll_deg=lean_deg)
        surfaces.append(Surface(cylinder(0.0022, length_m), bark, root))
        for share, side in ((0.55, 1), (0.72, -1), (0.87, 1)):
            fork = root @ place(0, -share * length_m, 0, roll_deg=38.0 * side)
            surfaces.append(Surface(cylinder(0.0014, 0.055), bark, fork))
            surfaces.append(Surface(Sphere(0.0085), berry, fork @ place(0, -0.058, 0)))
        surfaces.append(Surface(Sphere(0.0085), berry, root @ place(0, -length_m, 0)))
    return surfaces


def _books() -> list[Surface]:
    surfaces: list[Surface] = []
    bottom = 0.0
    stack = (
        ("#7d2e2a", 0.30, 0.040, 12.0),
        ("#c8a86a", 0.27, 0.028, -6.0),
        ("#2f5d50", 0.23, 0.034, 20.0),
    )
    for cover, width_m, thick_m, yaw_deg in stack:
        middle = place(0.30, bottom - thick_m / 2, 1.56, yaw_deg=yaw_deg)
        depth_m, board_m = 0.72 * width_m, 0.004
        pages = Stripes(linear_rgb("#efe6d2"), linear_rgb("#cfc3a8"), width_m=0.0022)
        block = Box((width_m - 0.012, thick_m - 2 * board_m, depth_m - 0.012))
        surfaces.append(Surface(block, Material(pages), middle))
        for side in (-1, 1):
            lid = middle @ place(0, side * (thick_m - board_m) / 2, 0)
            surfaces.append(Surface(Box((width_m, board_m, depth_m)), _paint(cover, 0.08, 20), lid))
        bottom -= thick_m
    ball = Material(Checker(linear_rgb("#e9e2d0"), linear_rgb("#c2452d"), size_m=0.045), 0.3, 80)
    surfaces.append(Surface(Sphere(0.052), ball, place(0.27, bottom - 0.052, 1.55, pitch_deg=20)))
    return surfaces


def _cup_of_pencils() -> list[Surface]:
    x, z = 0.27, 1.05
    clay = Material(
        Stripes(linear_rgb("#e3d7c1"), linear_rgb("#3b6a8f"), width_m=0.021), specular=0.25, shininess=60
    )
    cup = Lathe(((0.0, 0.0), (0.036, 0.0), (0.044, 0.105), (0.040, 0.105), (0.033, 0.006), (0.0, 0.006)))
    surfaces = [Surface(cup, clay, place(x, 0, z))]
    paints = ("#d9a520", "#b8372f", "#2f7d55", "#355fa3", "#33302e")
    leans = ((13, 0), (-11, 70), (12, 150), (-14, 200), (9, 290))
    for paint, (lean_deg, yaw_deg) in zip(paints, leans, strict=True):
        root = place(x, -0.01, z) @ place(0, 0, 0, yaw_deg=yaw_deg, roll_deg=lean_deg)
        length = 0.17 + 0.012 * (lean_deg % 4)
        surfaces.append(Surface(cylinder(0.0036, length), _paint(paint, 0.3), root))
        tip = Lathe(((0.0036, 0.0), (0.0, 0.016)))
        surfaces.append(Surface(tip, _paint("#d8b48a"), root @ place(0, -length, 0)))
    return surfaces


def _lamp() -> list[Surface]:
    x, z = 0.55, 1.50
    brass = _paint("#9c7a3c", 0.6, 90)
    foot = Lathe(((0.0, 0.0), (0.075, 0.0), (0.075, 0.008), (0.012, 0.02), (0.0, 0.02)))
    shade = Lathe(_curve([(0.105, 0.395), (0.085, 0.44), (0.05, 0.50)]), smooth=True)
    linen = Material(Plain(linear_rgb("#d8b98a")), emission=(0.42, 0.26, 0.11))
    return [
        Surface(foot, brass, place(x, 0, z)),
        Surface(cylinder(0.0045, 0.42), brass, place(x, 0, z)),
        Surface(shade, linen, place(x, 0, z)),
        Surface(Sphere(0.024), Material(emission=(9.0, 6.6, 3.6)), place(x, -0.425, z)),
    ]


def _fruit() -> list[Surface]:
    def peel(light: str, dark: str) -> Texture:
        return Marble(linear_rgb(light), linear_rgb(dark), scale_m=0.05, sharpness=1.5)

    stone = Marble(linear_rgb("#d9d2c8"), linear_rgb("#5b5a60"), scale_m=0.06)
    return [
        Surface(Sphere(0.046), Material(peel("#e88a2a", "#cf6414"), 0.35, 50), place(-0.10, -0.05, 0.95)),
        Surface(Sphere(0.043), Material(peel("#e2a03a", "#c9741c"), 0.35, 50), place(-0.005, -0.047, 1.03)),
        Surface(Sphere(0.040), Material(peel("#9bb04a", "#6f8a32"), 0.35, 70), place(0.04, -0.044, 0.90)),
        Surface(Box((0.085, 0.085, 0.085)), Material(stone, 0.2), place(-0.34, -0.0425, 1.06, yaw_deg=33)),
    ]


def _curve(corners: list[tuple[float, float]], steps: int = 5) -> tuple[tuple[float, float], ...]:
    """Run a Catmull-Rom spline through (radius, height) corners."""
    p: npt.NDArray[np.float64] = np.array([corners[0], *corners, corners[-1]])
    points = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * (b - c) + d - a) * t**3)
        for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True)
        for t in np.arange(steps) / steps
    ]
    return tuple((max(float(r), 0.0), float(h)) for r, h in [*points, p[-1]])
