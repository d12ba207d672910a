"""Films with exact depth and exact motion, and depth as a network that flickers would give it.

A room of `synthetic.random_scene` with a ball or a box that crosses it, filmed by a camera that stands, pans,
moves sideways, moves in, or is held in the hand and walks; ray-traced, 320 x 180, no motion blur.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from depth3d import synthetic
from depth3d.synthetic.scene import Scene, Surface

SIZE_WH = (320, 180)
CAMERAS = ("stands", "pans", "sideways", "moves in", "walks")
FRAMES = 72


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """Frames and all that is true of them.

    `near` is exact inverse depth and `mover` where the moving thing is seen.
    `flow[k]` leads from pixels of frame k to where their points are in frame k - 1, `seen[k]` says where that
    point is seen there, `before[k]` is its inverse depth there; all for k > 0.
    """

    name: str
    images: Any
    near: Any
    mover: Any
    flow: Any
    seen: Any
    before: Any


def film(seed: int, camera_kind: str, frames: int = FRAMES, cache: Path | None = None) -> Film:
    """Ray-trace a film, or take it from the cache."""
    name = f"{camera_kind} {seed}"
    path = cache and cache / f"{name.replace(' ', '_')}_{frames}.npz"
    if path and path.exists():
        with np.load(path) as stored:
            return Film(name, **{key: stored[key] for key in stored.files})
    made = _traced(seed, camera_kind, frames)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **made)
    return Film(name, **made)


def _traced(seed: int, camera_kind: str, frames: int) -> dict[str, Any]:
    camera = synthetic.default_camera(*SIZE_WH, fov_x_deg=60)
    room, mover, things, poses = _staged(seed, camera_kind, frames)
    images, nears, flows, seens, befores, movers = [], [], [], [], [], []
    rays = camera.pixel_rays(slice(0, SIZE_WH[1])).reshape(-1, 3).T
    last: Any = None
    for k in range(frames):
        thing = Surface(mover.shape, mover.material, things[k])
        scene = replace(room, surfaces=(*room.surfaces, thing))
        images.append(synthetic.render_image(scene, camera, poses[k], samples=2))
        z, index = scene.first_hits(poses[k][:3, 3:], poses[k][:3, :3] @ rays)
        near = np.where(np.isfinite(z), 1 / z, 0.0)
        nears.append(near.reshape(SIZE_WH[::-1]).astype(np.float32))
        moved = index == len(room.surfaces)
        movers.append(moved.reshape(SIZE_WH[::-1]))
        if k:
            distance = np.where(np.isfinite(z), z, 1e6)
            points = poses[k][:3, :3] @ (rays * distance) + poses[k][:3, 3:]
            T = things[k - 1] @ np.linalg.inv(things[k])
            points = np.where(moved, T[:3, :3] @ points + T[:3, 3:], points)
            local = poses[k - 1][:3, :3].T @ (points - poses[k - 1][:3, 3:])
            u = camera.fx * local[0] / local[2] + camera.cx
            v = camera.fy * local[1] / local[2] + camera.cy
            shape_hw = SIZE_WH[::-1]
            target = np.stack([u, v], -1).reshape(*shape_hw, 2).astype(np.float32) - 0.5
            inverse = (1 / local[2]).reshape(shape_hw).astype(np.float32)
            there = cv2.remap(last, target, None, cv2.INTER_LINEAR, borderValue=-1)
            nearest = cv2.remap(last, target, None, cv2.INTER_NEAREST, borderValue=-1)
            tolerance = 0.02 * inverse + 1e-4
            seen = (np.abs(there - inverse) < tolerance) & (np.abs(nearest - inverse) < 2 * tolerance)
            grid = np.stack(np.meshgrid(np.arange(SIZE_WH[0]), np.arange(SIZE_WH[1])), -1)
            flows.append((target - grid).astype(np.float32))
            seens.append(seen & (local[2].reshape(shape_hw) > 0))
            befores.append(inverse)
        last = nears[-1]
    blank = np.zeros_like(befores[0])
    return {
        "images": np.stack(images),
        "near": np.stack(nears),
        "mover": np.stack(movers),
        "flow": np.stack([np.zeros_like(flows[0]), *flows]),
        "seen": np.stack([blank > 1, *seens]),
        "before": np.stack([blank, *befores]),
    }


def _staged(seed: int, camera_kind: str, frames: int) -> tuple[Scene, Surface, list[Any], list[Any]]:
    """Set the room, the thing that crosses it, its poses and the camera's."""
    chance = np.random.default_rng((seed, CAMERAS.index(camera_kind)))
    poses = [_pose(camera_kind, k / 24, np.random.default_rng((seed, 7))) for k in range(frames)]
    shape: Any = synthetic.Sphere(0.22) if chance.random() < 0.5 else synthetic.Box((0.4, 0.5, 0.3))
    paint = synthetic.Material(synthetic.Checker(size_m=0.08), specular=0.2)
    start, end = np.array([-1.2, 0.3, 1.8]), np.array([1.2, 0.2, float(chance.uniform(1.2, 2.6))])
    if chance.random() < 0.5:
        start, end = end, start
    things = [
        synthetic.place(*(start + (end - start) * k / (frames - 1)), yaw_deg=2.0 * k) for k in range(frames)
    ]
    return synthetic.random_scene(1000 + seed), Surface(shape, paint), things, poses


def _pose(kind: str, time_s: float, chance: np.random.Generator) -> Any:
    way = 1.0 if chance.random() < 0.5 else -1.0
    speeds = chance.uniform(0.8, 1.2, 6)
    phases = chance.uniform(0, 2 * np.pi, 6)
    if kind == "stands":
        return np.eye(4)
    if kind == "pans":
        return synthetic.place(0, 0, 0, yaw_deg=way * 8 * time_s)
    if kind == "sideways":
        return synthetic.place(way * 0.15 * time_s, 0, 0, yaw_deg=-way * 1.5 * time_s)
    if kind == "moves in":
        return synthetic.place(0.0, 0, 0.2 * time_s)
    shake = np.sin(2 * np.pi * speeds * np.array([1.1, 1.9, 1.3, 0.9, 1.7, 1.2]) * time_s + phases)
    x, y, z, yaw, pitch, roll = shake * np.array([0.02, 0.02, 0.01, 0.8, 0.6, 0.5])
    z += 0.12 * time_s
    return synthetic.place(x, y, z, yaw_deg=yaw + way * 3 * time_s, pitch_deg=pitch, roll_deg=roll)


def as_flickering(near: Any, seed: int, *, gauge: float = 0.1, slow: float = 0.03, fine: float = 0.02) -> Any:
    """Give disparities an affine of their own a frame, and noise on each frame.

    Args:
        near: (n, H, W) exact inverse depth.
        seed: Of the draws.
        gauge: Standard deviation of the log scale, and of the shift as a share of the film's spread.
        slow: Of noise of a fifth of the picture's height, half of which is a frame's own and half fades over
            some frames; as a share of the spread.
        fine: Of noise of 3 pixels, of the frame's own.
    """
    chance = np.random.default_rng((seed, 99))
    count, height, width = near.shape
    spread = float(near.std())
    result = []
    lasting = np.zeros((6, 10))
    for k in range(count):
        lasting = (0.8 * lasting if k else 0) + 0.6 * chance.normal(size=(6, 10))
        coarse = np.sqrt(0.5) * (lasting + chance.normal(size=(6, 10)))
        wave = cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        grain = cv2.GaussianBlur(chance.normal(size=(height, width)).astype(np.float32), (0, 0), 1.5)
        grain /= grain.std()
        noisy = near[k] + spread * (slow * wave / 0.8 + fine * grain)
        scale, shift = np.exp(gauge * chance.normal()), gauge * spread * chance.normal()
        result.append((scale * noisy + shift).astype(np.float32))
    return np.stack(result)
