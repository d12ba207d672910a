"""Pillow images in any mode to (H, W, 3) uint8 sRGB."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import ImageArray
from depth3d.core.color import to_linear, to_srgb
from depth3d.errors import UnsupportedFormatError

__all__ = ["has_16_bit_colour", "to_8_bit", "to_rgb"]

_log = logging.getLogger("depth3d")


def to_rgb(image: Any, name: str, deep: npt.NDArray[np.uint16] | None = None) -> ImageArray:
    """Convert a decoded picture to sRGB bytes.

    An embedded ICC profile is applied (relative colorimetric with black point compensation). What is
    transparent is laid over white, in linear light, so that the colours that editors leave under
    transparent pixels don't show.

    Args:
        image: A decoded Pillow image of any mode.
        name: What to call it in messages.
        deep: Its pixels as (H, W, 3 or 4) uint16, where Pillow has cut them to 8 bit.

    Returns:
        (H, W, 3) uint8, not yet turned upright.

    Raises:
        UnsupportedFormatError: Floating-point pixels, or integers beyond 16 bit.
    """
    from PIL import Image

    profile = image.info.get("icc_profile")
    alpha: npt.NDArray[np.uint8] | None = None
    if deep is not None:
        eight = to_8_bit(deep)
        if eight.shape[2] == 4:
            alpha = eight[..., 3]
        image = Image.fromarray(np.ascontiguousarray(eight[..., :3]))
    elif image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(to_8_bit(_integers(image, name)))
    else:
        if image.mode in ("RGBa", "La"):
            image = image.convert(image.mode.upper())
        elif image.mode in ("P", "PA"):
            transparent = image.mode == "PA" or "transparency" in image.info
            image = image.convert("RGBA" if transparent else "RGB")
        elif "transparency" in image.info and image.mode in ("1", "L", "RGB"):
            image = image.convert("RGBA")  # one colour of the picture stands for transparent
        if image.mode in ("RGBA", "LA"):
            alpha = np.asarray(image.getchannel("A"))
            image = image.convert("RGB" if image.mode == "RGBA" else "L")
    rgb: ImageArray = np.asarray(_in_srgb(image, profile, name))
    return rgb if alpha is None else _over_white(rgb, alpha)


def to_8_bit(values: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    """Round 16-bit values to 8 bit: v / 257, so that 65535 becomes 255 and 257 n becomes n."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def has_16_bit_colour(image: Any) -> bool:
    """Tell whether an opened picture has 16-bit colour or alpha, which Pillow would cut to 8 bit."""
    if image.format == "PNG":
        return any("16B" in str(tile[3]) and image.mode != "I;16" for tile in image.tile)
    if image.format == "TIFF":
        bits = image.tag_v2.get(258, ())
        return isinstance(bits, tuple) and len(bits) >= 3 and set(bits) == {16} and image.mode[:3] == "RGB"
    return False


def _integers(image: Any, name: str) -> npt.NDArray[np.uint16]:
    values = np.asarray(image)
    if image.mode == "F":
        raise UnsupportedFormatError(
            f"{name} holds floating-point numbers, a depth map rather than a photo; open it with "
            "depth3d.load_depth(), or give it as --depth"
        )
    if values.min() < 0 or values.max() > 65535:
        raise UnsupportedFormatError(
            f"{name} holds 32-bit integers, {values.min()}..{values.max()}; save it with 8 or 16 bit"
        )
    return values.astype(np.uint16)


def _in_srgb(image: Any, profile: bytes | None, name: str) -> Any:
    if profile and image.mode in ("L", "RGB", "CMYK"):
        try:
            return _through_profile(image, profile)
        except Exception as error:  # LittleCMS raises OSError, PyCMSError or ValueError as it likes
            _log.info("%s: its colour profile is unusable (%s), so it is read as sRGB", name, error)
    return image if image.mode == "RGB" else image.convert("RGB")


def _through_profile(image: Any, profile: bytes) -> Any:
    from io import BytesIO

    from PIL import ImageCms

    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    space = source.profile.xcolor_space.strip()
    if {"GRAY": "L"}.get(space, space) != image.mode:
        raise ValueError(f"it is for {space} and the picture is {image.mode}")
    if space == "RGB" and "sRGB" in ImageCms.getProfileDescription(source):
        return image  # the transform would only add rounding
    return ImageCms.profileToProfile(
        image,
        source,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _over_white(rgb: ImageArray, alpha: npt.NDArray[np.uint8]) -> ImageArray:
    result = rgb.copy()
    result[alpha == 0] = 255
    partly = (alpha > 0) & (alpha < 255)
    if partly.any():
        share = alpha[partly][:, None].astype(np.float32) / 255
        result[partly] = to_srgb(share * to_linear(rgb[partly]) + (1 - share))
    return result
