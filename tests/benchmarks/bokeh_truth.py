"""Scenes whose photographs through a wide lens are ray-traced: eight kinds, another of each for every seed.

python tests/benchmarks/bokeh_truth.py FOLDER SEED [SEED ...]    # renders and keeps them ahead of time
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d import synthetic as syn
from depth3d.core.arrays import ImageArray
from depth3d.core.color import to_srgb
from depth3d.core.lens import ThinLens
from depth3d.synthetic import place

SIZE_WH = (320, 240)
FOV_DEG = 50.0
SAMPLES = 128
"""Rays a pixel in each of the two photographs whose mean is the truth."""
PHOTO_SAMPLES = 64
"""Rays a pixel of the photo that is to be blurred."""
EVEN = syn.Ambient((0.95, 0.95, 0.95), (0.75, 0.75, 0.75))
"""Without lights there are no shadow rays, so that many rays through the lens are affordable."""

Chance = np.random.Generator
Parts = list[syn.Surface]


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A scene as what is in front and what is behind it.

    Attributes:
        front, back: Surfaces.
        radius_px: The largest radius of blur.
        near_share: The share of the pixels that is farther than what the near focus is on.
        rays: How many times as many rays as elsewhere its photograph needs.
        sky: Colour behind everything.
    """

    front: Parts
    back: Parts
    radius_px: float
    near_share: float = 0.9
    rays: int = 1
    sky: tuple[float, float, float] | None = None

    def scene(self, *, front: bool = True) -> syn.Scene:
        """Put it together, with or without what is in front."""
        parts = [*self.back, *(self.front if front else [])]
        return syn.Scene(tuple(parts), ambient=EVEN, background=self.sky)


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """A photograph and what a renderer may know.

    Attributes:
        photo: (H, W, 3) what the lens takes, linear light.
        noise_db: PSNR between photographs from two seeds, plus 6 dB for their mean.
        sharp: (H, W, 3) through a pinhole, linear light; lamps above 1.
        disparity: (H, W) 1/z, 0 for the sky.
        behind: The same two of the scene without its front, or None if it has none.
        focus_m: Metres.
        lens: The opening.
        fx_px: Focal length.
        inner: (H, W) bool, farther from the border than the largest radius: nearer to it, light comes in that
            no photo knows of.
    """

    photo: npt.NDArray[np.float32]
    noise_db: float
    sharp: npt.NDArray[np.float32]
    disparity: npt.NDArray[np.float32]
    behind: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None
    focus_m: float
    lens: ThinLens
    fx_px: float
    inner: npt.NDArray[np.bool_]

    def radius_px(self, disparity: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Give the signed radius of the circle of confusion, positive in front of the focus."""
        scale = 0.5 * self.fx_px * self.lens.aperture_m
        return (scale * (disparity - 1 / self.focus_m)).astype(np.float32)


def _tint(chance: Chance, brightness: float) -> tuple[float, float, float]:
    red, green, blue = brightness * chance.uniform(0.6, 1.4, 3)
    return float(red), float(green), float(blue)


def _paint(chance: Chance, size_m: float) -> syn.Material:
    """A pattern with details of about `size_m`."""
    light, dark = _tint(chance, 0.65), _tint(chance, 0.12)
    textures = (
        syn.Checker(light, dark, size_m),
        syn.Stripes(light, dark, size_m, axis=int(chance.integers(2))),
        syn.Marble(light, dark, 2 * size_m),
        syn.Wood(light, dark, ring_m=size_m / 2, plank_m=4 * size_m),
        syn.Bricks(_tint(chance, 0.35), light, 3 * size_m, size_m, size_m / 6),
    )
    return syn.Material(textures[int(chance.integers(len(textures)))])


def _wall(chance: Chance, z: float, *, size_px: float = 12.0, **turn: float) -> syn.Surface:
    """An endless wall with details of about that many pixels."""
    return syn.Surface(syn.Rectangle(), _paint(chance, size_px * z / 340), place(0, 0, z, **turn))


def _floor(chance: Chance, below_m: float) -> syn.Surface:
    return syn.Surface(syn.Rectangle(), _paint(chance, 0.2), place(0, below_m, 0, pitch_deg=90))


def portrait(chance: Chance) -> Kind:
    """A head on shoulders before a wall."""
    z = float(chance.uniform(1.0, 1.4))
    x = float(chance.uniform(-0.15, 0.15))
    head = syn.Surface(syn.Sphere(0.16 * z), _paint(chance, 0.04), place(x, -0.12 * z, z))
    coat = syn.Lathe(
        ((0.0, 0.0), (0.34 * z, 0.0), (0.28 * z, 0.3 * z), (0.06 * z, 0.42 * z), (0.0, 0.42 * z))
    )
    body = syn.Surface(coat, _paint(chance, 0.05), place(x, 0.45 * z, z))
    return Kind([head, body], [_wall(chance, float(chance.uniform(3, 6)))], 24)


def sheets(chance: Chance) -> Kind:
    """Cards at three distances that face the camera, and a wall."""
    front, back = [], [_wall(chance, 6.0)]
    for z, parts in ((1.1, front), (1.9, back), (3.2, back)):
        for _ in range(2):
            x, y = (float(v) * z for v in chance.uniform(-0.35, 0.35, 2))
            shape = syn.Rectangle(*(float(s) * z for s in chance.uniform(0.15, 0.4, 2)))
            turned = place(x, y, z, roll_deg=float(chance.uniform(0, 90)))
            parts.append(syn.Surface(shape, _paint(chance, 10 * z / 340), turned))
    return Kind(front, back, 30)


def fence(chance: Chance) -> Kind:
    """Rods of one to eight pixels before a wall."""
    rods = []
    for i in range(9):
        z = float(chance.uniform(1.0, 1.3))
        thick_m = float(np.exp(chance.uniform(np.log(1.0), np.log(8.0)))) * z / 340
        pose = place((i - 4) * 0.115 * z, 0, z, roll_deg=float(chance.normal(0, 6))) @ place(0, 1.0, 0)
        rods.append(
            syn.Surface(syn.cylinder(thick_m / 2, 2.0), syn.Material(syn.Plain(_tint(chance, 0.4))), pose)
        )
    return Kind(rods, [_wall(chance, float(chance.uniform(2.5, 4)))], 20, near_share=0.97)


def ground(chance: Chance) -> Kind:
    """A slanted floor with boxes and balls on it, up to a wall."""
    below = 0.9
    back = [_floor(chance, below), _wall(chance, 7.0)]
    for _ in range(4):
        z, size = float(chance.uniform(1.8, 5.0)), float(chance.uniform(0.3, 0.7))
        x = float(chance.uniform(-0.35, 0.35)) * z
        if chance.random() < 0.5:
            back.append(
                syn.Surface(syn.Sphere(size / 2), _paint(chance, 0.06), place(x, below - size / 2, z))
            )
        else:
            turned = place(x, below - size / 2, z, yaw_deg=float(chance.uniform(0, 90)))
            back.append(syn.Surface(syn.Box((size, size, size)), _paint(chance, 0.1), turned))
    return Kind([], back, 25)


def table(chance: Chance) -> Kind:
    """A table whose legs stand on a floor, with a vase on it, before a wall."""
    below, z, x = 1.0, float(chance.uniform(1.8, 2.3)), float(chance.uniform(-0.2, 0.2))
    foot = place(x, below, z, yaw_deg=float(chance.uniform(10, 80)))
    wood = _paint(chance, 0.05)
    parts = [syn.Surface(syn.Box((0.9, 0.04, 0.9)), wood, foot @ place(0, -0.62, 0))]
    leg = syn.cylinder(float(chance.uniform(0.01, 0.025)), 0.6)
    parts += [syn.Surface(leg, wood, foot @ place(a, 0, b)) for a in (-0.4, 0.4) for b in (-0.4, 0.4)]
    radii = chance.uniform(0.04, 0.13, 4).tolist()
    vase = syn.Lathe(((0.0, 0.0), *zip(radii, (0.0, 0.12, 0.24, 0.36), strict=True), (0.0, 0.36)))
    parts.append(syn.Surface(vase, _paint(chance, 0.03), foot @ place(0, -0.64, 0)))
    return Kind(parts, [_floor(chance, below), _wall(chance, 5.0)], 18)


def lamps(chance: Chance) -> Kind:
    """A street at night: small lamps far away and a few near ones, a dim figure in between."""
    dim = syn.Material(syn.Checker(_tint(chance, 0.12), _tint(chance, 0.03), 0.4))
    back = [syn.Surface(syn.Rectangle(), dim, place(0, 0, 9.0))]
    front = []
    for near in (False,) * 22 + (True,) * 3:
        z = float(chance.uniform(1.3, 1.6) if near else chance.uniform(4, 8.5))
        x, y = float(chance.uniform(-0.45, 0.45)) * z, float(chance.uniform(-0.33, 0.33)) * z
        glow = syn.Material(syn.Plain((0.0, 0.0, 0.0)), emission=_tint(chance, float(chance.uniform(1.5, 6))))
        ball = syn.Surface(syn.Sphere(float(chance.uniform(2.5, 5)) * z / 340), glow, place(x, y, z))
        (front if near else back).append(ball)
    z = 2.2
    coat = syn.Material(syn.Checker(_tint(chance, 0.3), _tint(chance, 0.05), 0.08))
    front.append(syn.Surface(syn.cylinder(0.1 * z, 2.0), coat, place(0.1 * z, 1.2, z)))
    return Kind(front, back, 22, rays=4)


def leaning(chance: Chance) -> Kind:
    """A corridor of leaning walls with a leaning card in it: every pixel has another radius."""
    back = [
        syn.Surface(
            syn.Rectangle(), _paint(chance, 0.15), place(-1.1, 0, 2.0, yaw_deg=-float(chance.uniform(65, 85)))
        ),
        syn.Surface(
            syn.Rectangle(), _paint(chance, 0.15), place(1.3, 0, 2.0, yaw_deg=float(chance.uniform(65, 85)))
        ),
        _wall(chance, 6.0, pitch_deg=float(chance.uniform(-30, 30))),
    ]
    tilt = place(
        float(chance.uniform(-0.2, 0.2)), 0.1, 1.6, yaw_deg=float(chance.uniform(-50, 50)), pitch_deg=20
    )
    front = [syn.Surface(syn.Rectangle(0.6, 0.5), _paint(chance, 0.05), tilt)]
    return Kind(front, back, 40, rays=2)


def furniture(chance: Chance) -> Kind:
    """A random room in even light."""
    room = syn.random_scene(int(chance.integers(1 << 30)))
    return Kind([], list(room.surfaces), 34, sky=room.background)


KINDS: tuple[Callable[[Chance], Kind], ...] = (
    portrait, sheets, fence, ground, table, lamps, leaning, furniture,
)  # fmt: skip


def truth(kind: int, seed: int, *, near: bool, samples: int = SAMPLES, cache: Path | None = None) -> Truth:
    """Photograph one scene with the focus near or far.

    Args:
        kind: Index into `KINDS`.
        seed: Another scene of its kind.
        near: Focus on a near thing, or a far one.
        samples: Rays a pixel in each of two photographs.
        cache: Folder where photographs are kept, or None.
    """
    chance = np.random.default_rng((seed, kind))
    given = KINDS[kind](chance)
    scene = given.scene()
    camera = syn.default_camera(*SIZE_WH, FOV_DEG)
    disparity = _disparity(scene, camera)
    focus = float(np.quantile(disparity, given.near_share if near else 0.1))
    focus = max(focus, 1 / 50)
    lens = ThinLens(2 * given.radius_px / (camera.fx * float(np.abs(disparity - focus).max())))
    name = f"{KINDS[kind].__name__}_{seed}_{'near' if near else 'far'}_{samples}.npz"
    kept = cache / name if cache else None
    if kept and kept.exists():
        with np.load(kept) as file:
            photos = [file["a"], file["b"]]
    else:
        photos = [
            syn.render_photograph(scene, camera, lens, 1 / focus, samples=samples * given.rays, seed=s)
            for s in (1, 2)
        ]
        if kept:
            np.savez(kept, a=photos[0], b=photos[1])
    margin = math.ceil(given.radius_px)
    inner = np.zeros(disparity.shape, np.bool_)
    inner[margin:-margin, margin:-margin] = True
    behind = None
    if given.front:
        empty = given.scene(front=False)
        behind = (syn.render_linear(empty, camera, samples=PHOTO_SAMPLES), _disparity(empty, camera))
    return Truth(
        (photos[0] + photos[1]) / 2,
        psnr(to_srgb(photos[0]), to_srgb(photos[1])) + 20 * math.log10(2),
        syn.render_linear(scene, camera, samples=PHOTO_SAMPLES),
        disparity,
        behind,
        1 / focus,
        lens,
        camera.fx,
        inner,
    )


def _disparity(scene: syn.Scene, camera: Any) -> npt.NDArray[np.float32]:
    z = syn.render_depth(scene, camera).values
    return np.asarray(np.where(np.isfinite(z), 1 / np.where(np.isfinite(z), z, 1), 0), dtype=np.float32)


def psnr(found: ImageArray, true: ImageArray, where: npt.NDArray[np.bool_] | None = None) -> float:
    """Compare bytes: dB."""
    error = (found.astype(np.float64) - true) ** 2
    return 10 * math.log10(255**2 / max(float((error if where is None else error[where]).mean()), 1e-4))


def ssim_map(found: ImageArray, true: ImageArray) -> npt.NDArray[np.float64]:
    """Compare the structure of bytes around each pixel: (H, W), mean of the channels.

    Source: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment", TIP 2004.
    """
    import cv2

    def blurred(a: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(a, (11, 11), 1.5))

    a, b = found.astype(np.float64), true.astype(np.float64)
    mean_a, mean_b = blurred(a), blurred(b)
    both = blurred(a * b) - mean_a * mean_b
    own = blurred(a * a) - mean_a**2 + blurred(b * b) - mean_b**2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    likeness = (2 * mean_a * mean_b + c1) * (2 * both + c2) / ((mean_a**2 + mean_b**2 + c1) * (own + c2))
    return np.asarray(likeness.mean(axis=2))


def near_silhouettes(radius: npt.NDArray[np.float32], jump_px: float) -> npt.NDArray[np.bool_]:
    """Mark what is within two radii of pixels whose radii differ by more than a jump: (H, W) bool."""
    import cv2

    marked = np.zeros(radius.shape, np.uint8)
    for axis in (0, 1):
        rows, cols = np.nonzero(np.abs(np.diff(radius, axis=axis)) > jump_px)
        for y, x in zip(rows.tolist(), cols.tolist(), strict=True):
            other = radius[y + 1, x] if axis == 0 else radius[y, x + 1]
            reach = math.ceil(2 * max(abs(float(radius[y, x])), abs(float(other))))
            cv2.circle(marked, (x, y), reach, 1, -1)
    return marked > 0


if __name__ == "__main__":
    for number in sys.argv[2:]:
        for k in range(len(KINDS)):
            for near in (True, False):
                made = truth(k, int(number), near=near, cache=Path(sys.argv[1]))
                print(KINDS[k].__name__, number, near, f"noise {made.noise_db:.1f} dB", flush=True)
