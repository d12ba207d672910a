"""`Mesh`: triangles in metres in the camera frame, textured or coloured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap, ImageArray, all_finite, as_image, frozen
from depth3d.errors import InputError

__all__ = ["Mesh"]


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """Triangles in the OpenCV camera frame: x right, y down, z forward, metres.

    Attributes:
        vertices: (V, 3) float32, metres, finite.
        faces: (F, 3) int32 indices into `vertices`; the front is counter-clockwise as the camera
            sees it.
        uv: (V, 2) float32 texture coordinates, origin at the top left, or None.
        texture: (H, W, 3) uint8 sRGB, or None; needs `uv`.
        colors: (V, 3) uint8 sRGB, or None.
        normals: (V, 3) float32 unit vectors, or None.

    Raises:
        InputError: Shapes that don't agree, indices out of range, or a texture without `uv`.
    """

    vertices: FloatMap
    faces: npt.NDArray[np.int32]
    uv: FloatMap | None = None
    texture: ImageArray | None = None
    colors: ImageArray | None = None
    normals: FloatMap | None = None

    def __post_init__(self) -> None:
        vertices = frozen(self.vertices, name="vertices", dtype=np.float32, shape=(None, 3))
        faces = frozen(self.faces, name="faces", dtype=np.int32, shape=(None, 3))
        n = len(vertices)
        if not all_finite(vertices):
            raise InputError("vertices must be finite, got NaN or infinity; drop them first")
        if faces.size and (int(faces.min()) < 0 or int(faces.max()) >= n):
            raise InputError(f"faces must index the {n} vertices, got indices {faces.min()}..{faces.max()}")
        if self.texture is not None and self.uv is None:
            raise InputError("a texture needs uv coordinates, got uv=None; pass uv of shape (V, 2)")
        object.__setattr__(self, "vertices", vertices)
        object.__setattr__(self, "faces", faces)
        for name, dtype, columns in (
            ("uv", np.float32, 2),
            ("colors", np.uint8, 3),
            ("normals", np.float32, 3),
        ):
            value = getattr(self, name)
            if value is not None:
                locked = frozen(value, name=name, dtype=dtype, shape=(n, columns))
                object.__setattr__(self, name, locked)
        if self.texture is not None:
            object.__setattr__(self, "texture", as_image(self.texture, name="texture"))

    def __repr__(self) -> str:
        extras = [x for x in ("uv", "texture", "colors", "normals") if getattr(self, x) is not None]
        tail = "".join(", " + extra for extra in extras)
        return f"Mesh({len(self.vertices):,} vertices, {len(self.faces):,} faces{tail})"
