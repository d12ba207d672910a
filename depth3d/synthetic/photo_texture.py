"""`Photo`: a picture wrapped over surfaces, so that synthetic scenes look less synthetic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import as_image
from depth3d.core.color import to_linear
from depth3d.errors import InputError
from depth3d.synthetic.shapes import Columns

__all__ = ["Photo"]

_SHEAR = 0.61  # of the third axis into the other two, so that no face of a box gets stretched lines


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A picture that repeats, mirrored at its edges, every `size_m` along the surface.

    Attributes:
        image: (H, W, 3) uint8 sRGB, at least 2 pixels a side.
        size_m: What its longer side covers.

    Raises:
        InputError: `size_m` is not above 0, or the image is smaller than 2 pixels a side.
    """

    image: npt.NDArray[np.uint8]
    size_m: float = 1.0

    def __post_init__(self) -> None:
        image = as_image(self.image)
        if min(image.shape[:2]) < 2:
            raise InputError(
                f"a texture needs at least 2 x 2 pixels, got {image.shape[1]} x {image.shape[0]}"
            )
        if not 0 < self.size_m < np.inf:
            raise InputError(f"size_m must be above 0, got {self.size_m}")
        object.__setattr__(self, "image", image)

    def __call__(self, points: Columns, footprint_m: Columns) -> Columns:
        """Sample the picture, averaged over about the footprint."""
        pixel_m = self.size_m / max(self.image.shape[:2])
        across = (points[0] + _SHEAR * points[2]) / pixel_m
        down = (points[1] + _SHEAR * points[2]) / pixel_m
        albedo: Columns = np.empty((3, points.shape[1]))
        level = np.log2(np.maximum(np.broadcast_to(footprint_m, across.shape) / pixel_m, 1.0)).round()
        for step in np.unique(level):
            chosen = level == step
            picture = self._halved(int(step))
            scale = picture.shape[1] / self.image.shape[1], picture.shape[0] / self.image.shape[0]
            albedo[:, chosen] = _bilinear(picture, across[chosen] * scale[0], down[chosen] * scale[1])
        return albedo

    def _halved(self, times: int) -> npt.NDArray[np.float32]:
        """Give the picture in linear light, averaged over 2 x 2 pixels that many times."""
        picture = to_linear(self.image).astype(np.float32)
        for _ in range(times):
            height, width = (side // 2 * 2 for side in picture.shape[:2])
            if min(height, width) < 4:
                break
            even = picture[:height, :width].reshape(height // 2, 2, width // 2, 2, 3)
            picture = even.mean(axis=(1, 3))
        return picture


def _bilinear(picture: npt.NDArray[np.float32], across: Columns, down: Columns) -> Columns:
    """Sample at pixel coordinates (centres at +0.5) of a plane that the mirrored picture tiles."""
    height, width = picture.shape[:2]
    x, y = across - 0.5, down - 0.5
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    right_share, lower_share = (x - left)[:, None], (y - top)[:, None]
    rows = [_mirrored(top + i, height) for i in (0, 1)]
    columns = [_mirrored(left + i, width) for i in (0, 1)]
    upper, lower = (
        picture[row, columns[0]] * (1 - right_share) + picture[row, columns[1]] * right_share for row in rows
    )
    mixed: Columns = (upper * (1 - lower_share) + lower * lower_share).T
    return mixed


def _mirrored(index: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64]:
    """Fold any index into 0..length - 1 by reflection at the edges."""
    folded = index % (2 * length)
    return np.minimum(folded, 2 * length - 1 - folded)
