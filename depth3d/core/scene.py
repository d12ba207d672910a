"""`RGBD`: a photo, its depth and its camera, which all agree on the size."""

from __future__ import annotations

from dataclasses import dataclass

from depth3d.core.arrays import ImageArray, as_image
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError

__all__ = ["RGBD"]


@dataclass(frozen=True, slots=True, eq=False)
class RGBD:
    """A photo with a depth for every pixel and the camera that took it.

    Attributes:
        image: (H, W, 3) uint8 sRGB, upright, read-only.
        depth: `DepthMap` of the same size.
        camera: `Camera` of the same size.

    Raises:
        InputError: The three do not agree on the size, or one is of another type.
    """

    image: ImageArray
    depth: DepthMap
    camera: Camera

    def __post_init__(self) -> None:
        for name, value, wanted in (("depth", self.depth, DepthMap), ("camera", self.camera, Camera)):
            if not isinstance(value, wanted):
                raise InputError(f"{name} must be a {wanted.__name__}, got {type(value).__name__}")
        object.__setattr__(self, "image", as_image(self.image))
        size_wh = (self.image.shape[1], self.image.shape[0])
        for name, other_wh, cure in (
            ("depth", self.depth.size_wh, "resize it with depth3d.resize_depth()"),
            ("camera", self.camera.size_wh, "use camera.resized()"),
        ):
            if other_wh != size_wh:
                raise InputError(
                    f"image and {name} must have the same size, got {size_wh[0]}x{size_wh[1]} and "
                    f"{other_wh[0]}x{other_wh[1]}; {cure}"
                )

    @property
    def size_wh(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.depth.size_wh

    def __repr__(self) -> str:
        return f"RGBD({self.depth.width}x{self.depth.height}, {self.depth!r}, {self.camera!r})"
