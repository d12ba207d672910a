"""Exact depth, anti-aliased pictures and thin-lens photographs of a `Scene`, by ray tracing.

`T_world_camera` is (4, 4), camera to world, OpenCV axes; the identity is the photo's own view. Rays
have z = 1 in the camera, so t along a ray is z, not ray length.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap, ImageArray
from depth3d.core.camera import Camera
from depth3d.core.color import to_srgb
from depth3d.core.depth import DepthKind, DepthMap
from depth3d.core.lens import ThinLens
from depth3d.core.poses import as_pose
from depth3d.core.scene import RGBD
from depth3d.errors import InputError
from depth3d.synthetic.scene import Scene
from depth3d.synthetic.shading import LightSamples, radiance
from depth3d.synthetic.shapes import Columns

__all__ = ["render_depth", "render_image", "render_linear", "render_photograph", "render_rgbd"]

_RAYS_A_BLOCK = 1 << 15
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


def render_depth(scene: Scene, camera: Camera, T_world_camera: npt.ArrayLike | None = None) -> DepthMap:
    """Compute the exact z in metres at every pixel's centre, in float64 until it is stored.

    Args:
        scene: The scene.
        camera: Intrinsics, with distortion if it has any.
        T_world_camera: (4, 4) camera to world; None is the identity.

    Returns:
        Metric depth, NaN where the ray meets nothing.

    Raises:
        InputError: The pose is not rigid.
    """
    pose = as_pose(T_world_camera)
    depth = np.empty((camera.height, camera.width), dtype=np.float32)
    for rows in _row_blocks(camera):
        rays = camera.pixel_rays(rows).reshape(-1, 3).T
        t, _ = scene.first_hits(pose[:3, 3:], pose[:3, :3] @ rays)
        depth[rows] = np.where(np.isfinite(t), t, np.nan).reshape(-1, camera.width)
    return DepthMap(depth, DepthKind.METRIC)


def render_image(
    scene: Scene, camera: Camera, T_world_camera: npt.ArrayLike | None = None, *, samples: int = 4
) -> ImageArray:
    """Render the picture as bytes.

    Args:
        scene: The scene.
        camera: Intrinsics.
        T_world_camera: (4, 4) camera to world; None is the identity.
        samples: Rays a pixel, on a fixed pattern, averaged in linear light.

    Returns:
        (H, W, 3) uint8 sRGB; radiance above 1 clips to white.

    Raises:
        InputError: The pose is not rigid, or `samples` is less than 1.
    """
    return to_srgb(render_linear(scene, camera, T_world_camera, samples=samples))


def render_linear(
    scene: Scene, camera: Camera, T_world_camera: npt.ArrayLike | None = None, *, samples: int = 4
) -> FloatMap:
    """Render linear radiance through a pinhole: everything is sharp, and lamps exceed 1.

    Args:
        scene: The scene.
        camera: Intrinsics.
        T_world_camera: (4, 4) camera to world; None is the identity.
        samples: Rays a pixel, on a fixed pattern.

    Returns:
        (H, W, 3) float32.

    Raises:
        InputError: The pose is not rigid, or `samples` is less than 1.
    """
    return render_photograph(scene, camera, ThinLens(0.0), 1.0, T_world_camera, samples=samples)


def render_rgbd(
    scene: Scene, camera: Camera, T_world_camera: npt.ArrayLike | None = None, *, samples: int = 4
) -> RGBD:
    """Render picture and depth together; arguments and errors as for `render_image`."""
    image = render_image(scene, camera, T_world_camera, samples=samples)
    return RGBD(image, render_depth(scene, camera, T_world_camera), camera)


def render_photograph(
    scene: Scene,
    camera: Camera,
    lens: ThinLens,
    focus_m: float,
    T_world_camera: npt.ArrayLike | None = None,
    *,
    samples: int = 64,
    seed: int = 0,
) -> FloatMap:
    """Photograph through a round opening: blur and what it uncovers are true, not approximated.

    Each ray leaves a point of the opening and goes through the point of the plane in focus that the
    pixel sees through the lens's centre (Cook, Porter and Carpenter, SIGGRAPH 1984). A point at depth
    z becomes the disc of `circle_of_confusion_px`.

    Args:
        scene: The scene.
        camera: Intrinsics; the centre of the lens is the camera's origin.
        lens: The opening; a diameter of 0 gives exactly `render_linear`.
        focus_m: z in metres of the plane in focus; infinity is allowed.
        T_world_camera: (4, 4) camera to world; None is the identity.
        samples: Rays a pixel, stratified over the opening and over the pixel.
        seed: Turns the pattern on the opening, which differs from pixel to pixel.

    Returns:
        (H, W, 3) float32 linear light.

    Raises:
        InputError: The pose is not rigid, `samples` is less than 1, or `focus_m` is not positive.
    """
    pose = as_pose(T_world_camera)
    if samples < 1 or int(samples) != samples:
        raise InputError(f"samples must be a whole number of at least 1, got {samples!r}")
    if not focus_m > 0:
        raise InputError(f"focus_m must be positive metres, got {focus_m!r}")
    samples = int(samples)
    chance = np.random.default_rng(seed)
    pattern = _pixel_pattern(samples)
    order = chance.permutation(samples)  # so that place in the pixel and on the lens are unrelated
    pixel_m = 1.0 / (math.sqrt(camera.fx * camera.fy) * math.sqrt(samples))
    image = np.empty((camera.height, camera.width, 3), dtype=np.float32)
    for rows in _row_blocks(camera):
        u, v = (a.astype(np.float64) for a in np.meshgrid(range(camera.width), range(camera.height)[rows]))
        # Drawn row by row, so that the size of a block does not matter.
        turn = np.ascontiguousarray(chance.random((*u.shape, 3)).reshape(-1, 3).T)
        total = np.zeros((3, u.size))
        for i, (du, dv) in enumerate(pattern):
            rays: Columns = camera.rays(np.stack([u + du, v + dv], axis=-1)).reshape(-1, 3).T
            origins: Columns = np.zeros((3, 1))
            if lens.aperture_m > 0:
                origins = _on_the_lens(lens, turn[2], int(order[i]), samples)
                rays = rays - origins / focus_m
            total += radiance(
                scene,
                pose[:3, :3] @ origins + pose[:3, 3:],
                pose[:3, :3] @ rays,
                pixel_m,
                LightSamples(turn[:2], i, samples),
            )
        image[rows] = (total / samples).T.reshape(-1, camera.width, 3)
    return image


def _on_the_lens(lens: ThinLens, turn: Columns, number: int, samples: int) -> Columns:
    """Place one sample (3, N) a pixel on the opening: a spiral of equal areas, turned by `turn`.

    Source: Vogel, "A better way to construct the sunflower head", 1979.
    """
    # The same number jitters the radius within its ring: many turns away, so hardly related.
    within = (turn * 4096.0) % 1.0
    radius = lens.aperture_m / 2 * np.sqrt((number + within) / samples)
    angle = number * _GOLDEN_ANGLE + 2 * math.pi * turn
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros_like(angle)])


def _pixel_pattern(samples: int) -> npt.NDArray[np.float64]:
    """Spread (samples, 2) offsets over the pixel, one in each row and each column of a grid.

    The columns are taken in order and the rows in the order of the bit-reversed index, as in the
    point set of Hammersley; the mean is the pixel's centre.
    """
    bits = max(1, (samples - 1).bit_length())
    reversed_bits = [int(f"{i:0{bits}b}"[::-1], 2) for i in range(samples)]
    rank = np.argsort(np.argsort(reversed_bits))
    return np.stack([np.arange(samples) + 0.5, rank + 0.5], axis=1) / samples


def _row_blocks(camera: Camera) -> list[slice]:
    step = max(1, _RAYS_A_BLOCK // camera.width)
    return [slice(top, min(top + step, camera.height)) for top in range(0, camera.height, step)]
