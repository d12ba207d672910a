"""Textures of mesh files: JPEG or PNG bytes that any viewer can show."""

from __future__ import annotations

from io import BytesIO
from typing import Literal, TypeAlias

import numpy as np

from depth3d.core.arrays import ImageArray
from depth3d.core.color import to_linear, to_srgb
from depth3d.errors import InputError

__all__ = ["MAX_TEXTURE_PX", "TextureFormat", "check_texture_format", "encode_texture"]

TextureFormat: TypeAlias = Literal["jpeg", "png"]
"""`jpeg` is small; `png` keeps every pixel as it is."""

MAX_TEXTURE_PX = 8192
"""Longest side that is written: what graphics cards of phones and web browsers take."""

_JPEG_QUALITY = 95


def check_texture_format(format: str) -> None:  # noqa: A002
    """Refuse an unknown format.

    Raises:
        InputError: It is neither `jpeg` nor `png`.
    """
    if format not in ("jpeg", "png"):
        raise InputError(f"texture_format must be 'jpeg' or 'png', got {format!r}")


def encode_texture(texture: ImageArray, format: TextureFormat) -> bytes:  # noqa: A002
    """Encode a texture, scaled down where it is larger than `MAX_TEXTURE_PX`.

    Args:
        texture: (H, W, 3) uint8 sRGB.
        format: `jpeg` (quality 95, colour at full resolution) or `png`.

    Returns:
        The file's bytes.
    """
    from PIL import Image

    image = Image.fromarray(_within(texture, MAX_TEXTURE_PX))
    buffer = BytesIO()
    if format == "jpeg":
        image.save(buffer, format="JPEG", quality=_JPEG_QUALITY, subsampling=0)
    else:
        image.save(buffer, format="PNG", compress_level=4)
    return buffer.getvalue()


def _within(texture: ImageArray, longest_px: int) -> ImageArray:
    """Average areas in linear light, channel by channel to spare memory, until the texture fits."""
    height, width = texture.shape[:2]
    if max(height, width) <= longest_px:
        return texture
    import cv2

    share = longest_px / max(height, width)
    size_wh = (max(1, round(width * share)), max(1, round(height * share)))
    channels = [
        cv2.resize(to_linear(texture[..., channel]), size_wh, interpolation=cv2.INTER_AREA)
        for channel in range(3)
    ]
    return to_srgb(np.stack(channels, axis=-1))
