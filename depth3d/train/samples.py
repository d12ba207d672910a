"""`Sample`: a picture with what a network should say about it, and the endless synthetic ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import ImageArray
from depth3d.synthetic import default_camera, random_scene, render_rgbd

__all__ = ["Sample", "Samples", "SyntheticSamples"]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A picture and its target.

    Attributes:
        image: (H, W, 3) uint8 sRGB.
        target: (H, W) float32: relative disparity, or z in metres for metric training; NaN where unknown.
        exact: (H, W) bool: where the target is true to the pixel, so that edges can be learned from it.
            Pseudo-labels and most sensors are not.
    """

    image: ImageArray
    target: npt.NDArray[np.float32]
    exact: npt.NDArray[np.bool_]


class Samples(Protocol):
    """Numbered samples."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def load(self, index: int) -> Sample:
        """Read or make one."""
        ...


class SyntheticSamples:
    """Random rooms and floors with tables, round things and thin things, with exact targets.

    Args:
        size_wh: (width, height) in pixels.
        metric: Whether the target is z in metres instead of disparity.
        photos: (H, W, 3) uint8 pictures to cover surfaces with; none leaves procedural textures.
        first_seed: Of the scene of index 0; index i has `first_seed + i`.
        count: How many; there is no end to them, but a validation set needs one.
    """

    def __init__(
        self,
        size_wh: tuple[int, int] = (320, 256),
        *,
        metric: bool = False,
        photos: Sequence[ImageArray] = (),
        first_seed: int = 0,
        count: int = 1 << 30,
    ) -> None:
        self._size_wh = size_wh
        self._metric = metric
        self._photos = photos
        self._first_seed = first_seed
        self._count = count

    def __len__(self) -> int:
        return self._count

    def load(self, index: int) -> Sample:
        """Render one. The sky is at disparity 0, and unknown in metres."""
        seed = self._first_seed + index
        chance = np.random.default_rng((seed, 7))
        some = [self._photos[i] for i in chance.integers(len(self._photos), size=6)] if self._photos else []
        camera = default_camera(*self._size_wh, fov_x_deg=float(chance.uniform(45, 80)))
        scene = render_rgbd(random_scene(seed, photos=some), camera, samples=2)
        depth_m = scene.depth.values
        target = depth_m if self._metric else np.nan_to_num(1 / depth_m, nan=0.0)
        return Sample(scene.image, target.astype(np.float32), np.ones(target.shape, dtype=np.bool_))
