"""Scenes whose other points of view are ray-traced: six kinds, five motions, another of each for every seed.

python tests/benchmarks/view_truth.py FOLDER SEED [SEED ...]    # renders and keeps them ahead of time
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from view_scenes import KINDS

from depth3d import synthetic as syn
from depth3d.core.arrays import BoolMap, FloatMap, ImageArray
from depth3d.core.camera import Camera
from depth3d.synthetic import place

SIZE_WH = (640, 480)
FOV_DEG = 55.0
SAMPLES = 16
"""Rays a pixel."""
MARGIN_PX = 80
"""How far what is hidden is known beyond the photo's borders."""
SHIFT_SHARE = (0.03, 0.05)
"""How far the nearest things move, as a share of the width."""
STEP_PX = 1.0
"""Neighbouring pixels whose parallax differs by more lie on either side of a silhouette."""
BAND_PX = 7
RING_PX = 9
"""Pixels across silhouettes in which what is behind the nearer surface is known."""
MOTIONS = ("sideways", "upwards", "dolly in", "dolly out", "free")

Pose = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Without(syn.Scene):
    """A scene of which the camera sees all surfaces but one, which still casts its shadow."""

    unseen: int = -1

    def first_hits(self, origins: Any, directions: Any) -> Any:
        shown = (*self.surfaces[: self.unseen], *self.surfaces[self.unseen + 1 :])
        return syn.Scene(shown).first_hits(origins, directions)


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A photo, and all that is known of where it was taken.

    Attributes:
        name: Kind and seed.
        seed: The number alone.
        scene: What rays meet.
        camera: Of the photo and of all views.
        photo: (H, W, 3) uint8 sRGB.
        disparity: (H, W) 1/z at pixel centres, 0 for the sky.
        behind: Picture (h, w, 3) uint8 and 1/z (h, w), `MARGIN_PX` larger on every side: what would be
            seen if the surface that is seen, or whose silhouette is near, were not there.
    """

    name: str
    seed: int
    scene: syn.Scene
    camera: Camera
    photo: ImageArray
    disparity: FloatMap
    behind: tuple[ImageArray, FloatMap]


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """One view of a place.

    Attributes:
        motion: One of `MOTIONS`.
        pose: (4, 4) T_world_camera, the world being the photo's camera frame.
        view: (H, W, 3) uint8 sRGB.
        disparity: (H, W) 1/z in the view's own frame.
        outside: (H, W) bool, pixels whose point lies outside the photo's frame, or behind the photo's camera.
        hidden: (H, W) bool, the others whose point another surface hides from the photo's camera.
        band: (H, W) bool, within 7 pixels across silhouettes of the view, three of them beyond the nearer
            side; with hidden pixels, without those outside.
        shift_px: The largest way of a photo's pixel through parallax.
    """

    motion: str
    pose: Pose
    view: ImageArray
    disparity: FloatMap
    outside: BoolMap
    hidden: BoolMap
    band: BoolMap
    shift_px: float

    def masks(self) -> dict[str, BoolMap]:
        """Name the parts of the view in which it is compared."""
        inside = ~self.outside
        return {
            "whole": inside | True,
            "inside": inside,
            "hidden": self.hidden,
            "band": self.band & ~self.hidden,
            "band+hidden": self.band | self.hidden,
            "rest": inside & ~self.hidden & ~self.band,
            "outside": self.outside,
        }


def pose_for(
    motion: str, chance: np.random.Generator, disparity: FloatMap, camera: Camera
) -> tuple[Pose, float]:
    """Draw a pose whose parallax is 3 to 5 % of the width, and tell that parallax in pixels."""
    ways = {
        "sideways": (chance.choice((-1, 1)), 0, 0),
        "upwards": (0, chance.choice((-1, 1)), 0),
        "dolly in": (0, 0, 1),
        "dolly out": (0, 0, -1),
    }
    way = np.array(ways.get(motion, chance.normal(0, (1, 1, 1.5))), dtype=np.float64)
    target_px = float(chance.uniform(*SHIFT_SHARE)) * camera.width
    length = 0.1 / float(disparity.max())
    pose = np.eye(4)
    for _ in range(8):
        pose[:3, 3] = way / np.linalg.norm(way) * length
        length *= target_px / shift_px(disparity, camera, pose)
    pose[:3, 3] = way / np.linalg.norm(way) * length
    shift = shift_px(disparity, camera, pose)
    if motion == "free":
        yaw, pitch, roll = (float(a) for a in chance.uniform(-1, 1, 3))
        pose = place(*pose[:3, 3], yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll)
    return pose, shift


def shift_px(disparity: FloatMap, camera: Camera, pose: Pose) -> float:
    """Measure how far the photo's pixels go in a view: the way that one in 200 of them exceeds."""
    rays, near = camera.pixel_rays(stride=4), disparity[::4, ::4, None].astype(np.float64)
    moved = (rays - near * pose[:3, 3]) @ pose[:3, :3]
    way = camera.project(moved) - camera.project(rays)
    return float(np.quantile(np.hypot(way[..., 0], way[..., 1]), 0.995))


def seen_from_photo(
    scene: syn.Scene, camera: Camera, pose: Pose, disparity: FloatMap
) -> tuple[BoolMap, BoolMap]:
    """Mark the view's pixels whose points lie outside the photo's frame, and those hidden in it: (H, W)."""
    rays = camera.pixel_rays().reshape(-1, 3) @ pose[:3, :3].T
    flat = disparity.reshape(-1, 1).astype(np.float64)
    points = rays + flat * pose[:3, 3]  # each divided by its depth, so that the sky is no special case
    ahead = points[:, 2] > 1e-9
    uv = camera.project(np.where(ahead[:, None], points, (0.0, 0.0, 1.0)))
    inside = ahead & (uv >= 0).all(axis=1) & (uv[:, 0] <= camera.width) & (uv[:, 1] <= camera.height)
    hidden = np.zeros(len(rays), np.bool_)
    nearest, _ = scene.first_hits(np.zeros((3, 1)), np.ascontiguousarray(points[inside].T))
    with np.errstate(divide="ignore"):
        own = 1 / flat[inside, 0]  # t of the point itself on that ray
    hidden[inside] = nearest < own * (1 - 1e-3)
    return (~inside).reshape(disparity.shape), hidden.reshape(disparity.shape)


def silhouette_band(disparity: FloatMap, parallax_px: float) -> BoolMap:
    """Mark 7 pixels across silhouettes: the nearer pixel of each step, and 3 pixels around it.

    Args:
        disparity: (H, W) 1/z, exact.
        parallax_px: Pixels by which the nearest thing moves against what is infinitely far away.
    """
    import cv2

    step = STEP_PX * float(disparity.max()) / max(parallax_px, 1e-9)
    nearer = np.zeros(disparity.shape, np.uint8)
    for axis in (0, 1):
        jump = np.diff(disparity, axis=axis)
        first = (slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))
        second = (slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))
        nearer[first] |= jump < -step
        nearer[second] |= jump > step
    return np.asarray(cv2.dilate(nearer, np.ones((BAND_PX, BAND_PX), np.uint8)) > 0)


def truths(
    kind: int, seed: int, *, samples: int = SAMPLES, cache: Path | None = None
) -> tuple[Place, list[Truth]]:
    """Photograph one scene, and see it from five other places.

    Args:
        kind: Index into `KINDS`.
        seed: Another scene of its kind, and other poses.
        samples: Rays a pixel.
        cache: Folder where pictures are kept, or None.
    """
    chance = np.random.default_rng((seed, kind))
    given = KINDS[kind](chance)
    scene, camera = given.scene(), syn.default_camera(*SIZE_WH, FOV_DEG)
    name = f"{KINDS[kind].__name__} {seed}"
    kept = cache / f"{name.replace(' ', '_')}_{samples}.npz" if cache else None
    arrays: dict[str, Any] = {}
    if kept and kept.exists():
        with np.load(kept) as file:
            arrays = dict(file)

    before = len(arrays)
    if not arrays:
        arrays["photo"] = syn.render_image(scene, camera, samples=samples)
        arrays["disparity"] = inverse_depth(scene, camera)
    disparity = arrays["disparity"]
    if "next_photo" not in arrays:
        arrays["next_photo"], arrays["next_disparity"] = behind(scene, camera, samples)
    found = []
    for number, motion in enumerate(MOTIONS):
        pose, shift = pose_for(motion, np.random.default_rng((seed, kind, number)), disparity, camera)
        if f"view{number}" not in arrays:
            arrays[f"view{number}"] = syn.render_image(scene, camera, pose, samples=samples)
            arrays[f"disparity{number}"] = inverse_depth(scene, camera, pose)
        view, there = arrays[f"view{number}"], arrays[f"disparity{number}"]
        outside, hidden = seen_from_photo(scene, camera, pose, there)
        band = silhouette_band(there, shift) & ~outside
        found.append(Truth(motion, pose, view, there, outside, hidden, band, shift))
    if kept and len(arrays) > before:
        np.savez_compressed(kept, **arrays)
    hidden = arrays["next_photo"], arrays["next_disparity"]
    return Place(name, seed, scene, camera, arrays["photo"], disparity, hidden), found


def behind(scene: syn.Scene, camera: Camera, samples: int) -> tuple[ImageArray, FloatMap]:
    """Render what each pixel would show without the surface that is seen there: see `Place.behind`."""
    import cv2

    wide = camera.cropped(-MARGIN_PX, -MARGIN_PX, camera.width + 2 * MARGIN_PX, camera.height + 2 * MARGIN_PX)
    photo = syn.render_image(scene, wide, samples=samples // 4)
    disparity = inverse_depth(scene, wide)
    rays = wide.pixel_rays().reshape(-1, 3).T
    seen = scene.first_hits(np.zeros((3, 1)), np.ascontiguousarray(rays))[1].reshape(disparity.shape)
    solid = [i for i in np.unique(seen) if i >= 0 and math.isfinite(scene.surfaces[i].bounds[1])]
    window = np.ones((RING_PX, RING_PX), np.uint8)
    nearest, chosen = np.zeros_like(disparity), np.full(disparity.shape, -1)
    for i in solid:
        around = cv2.dilate(np.where(seen == i, disparity, 0), window)
        chosen[around > nearest] = i
        nearest = np.maximum(nearest, around)
    nearest_own = cv2.dilate(disparity, window)
    chosen[nearest_own > nearest] = -1
    for i in solid:
        mask = chosen == i
        if not mask.any():
            continue
        (top, bottom), (left, right) = ((int(at.min()), int(at.max()) + 1) for at in np.nonzero(mask))
        box, window = np.s_[top:bottom, left:right], wide.cropped(left, top, right - left, bottom - top)
        rest = _Without(scene.surfaces, scene.lights, scene.ambient, scene.background, i)
        mask = mask[box]
        photo[box][mask] = syn.render_image(rest, window, samples=samples // 2)[mask]
        disparity[box][mask] = inverse_depth(rest, window)[mask]
    return photo, disparity


def all_truths(
    seeds: list[int], cache: Path | None, kinds: list[str] | None = None
) -> Iterator[tuple[Place, list[Truth]]]:
    """Go through every kind, or some, for every seed."""
    for seed in seeds:
        for kind, made in enumerate(KINDS):
            if not kinds or made.__name__ in kinds:
                yield truths(kind, seed, cache=cache)


def inverse_depth(scene: syn.Scene, camera: Camera, pose: Pose | None = None) -> FloatMap:
    """Give the exact 1/z of each pixel's centre, 0 for the sky: (H, W) float32."""
    z = syn.render_depth(scene, camera, pose).values
    return np.asarray(np.where(np.isfinite(z), 1 / np.where(np.isfinite(z), z, 1), 0), dtype=np.float32)


def as_network(disparity: FloatMap, seed: int) -> FloatMap:
    """Spoil 1/z the way networks do: edges 2 px off, blurred to about half the size, uneven, noisy.

    Edges wander by a smooth random field of 2 px (root mean square); the map is averaged down to 0.48 of its
    size and blurred by a pixel there; it is off by 1 % of its range in blobs of a tenth of the width, and by
    0.3 % from one of the small map's pixels to the next.
    """
    import cv2

    chance = np.random.default_rng((seed, 99))
    height, width = disparity.shape

    def blobs(share: float) -> Any:
        field = cv2.GaussianBlur(chance.standard_normal((height, width)), (0, 0), share * width)
        return field / field.std()

    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    off_x, off_y = (math.sqrt(2) * blobs(0.025) for _ in range(2))
    moved = cv2.remap(
        disparity,
        (x + off_x).astype(np.float32),
        (y + off_y).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    small_wh = (round(0.48 * width), round(0.48 * height))
    small = cv2.GaussianBlur(cv2.resize(moved, small_wh, interpolation=cv2.INTER_AREA), (0, 0), 1.0)
    spread = float(disparity.max() - disparity.min())
    small = small + 0.003 * spread * chance.standard_normal(small.shape)
    found = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR) + 0.01 * spread * blobs(0.1)
    return np.asarray(np.maximum(found, 0), dtype=np.float32)


if __name__ == "__main__":
    for number in sys.argv[2:]:
        for made, views in all_truths([int(number)], Path(sys.argv[1])):
            shares = ", ".join(f"{t.motion} {t.shift_px:.0f} px {100 * t.hidden.mean():.1f} %" for t in views)
            print(f"{made.name}: hidden {shares}", flush=True)
