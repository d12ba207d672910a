"""`replace_background`, `cutout` and `unmix`: a subject with its own colours, before something else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap, ImageArray, as_image, frozen
from depth3d.core.color import to_linear, to_srgb
from depth3d.core.scene import RGBD
from depth3d.errors import InputError
from depth3d.render.depth_edges import widest_ramp_px
from depth3d.synthetic.textures import linear_rgb

__all__ = ["as_matte", "cutout", "linear_color", "replace_background", "unmix"]

_CLOSE_PX = 5
"""Reach of the last look at colours, beside each pixel."""
_FAINTEST = 1e-4


def replace_background(scene: RGBD, matte: npt.ArrayLike, background: str | ImageArray) -> ImageArray:
    """Put the subject before another background, in linear light.

    Pixels at the subject's edge hold light of the old background too, which stays behind.

    Args:
        scene: The photo.
        matte: (H, W) 0..1, what to keep, such as `depth_matte` makes.
        background: `"#rrggbb"`, such as `"#00b140"` for a green screen, or (h, w, 3) uint8 of any size, which
            is scaled to cover the photo and cut at its longer side.

    Returns:
        (H, W, 3) uint8 sRGB.

    Raises:
        InputError: The matte is not of the photo's size, or the colour is not written that way.
    """
    alpha = as_matte(matte, scene)[..., None]
    behind = linear_color(background) if isinstance(background, str) else _covering(background, scene.size_wh)
    subject, _ = unmix(scene, matte)
    return to_srgb(alpha * subject + (1 - alpha) * behind)


def cutout(scene: RGBD, matte: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Cut the subject out: colours free of the old background, and straight (not premultiplied) alpha.

    Args:
        scene: The photo.
        matte: (H, W) 0..1, what to keep.

    Returns:
        (H, W, 4) uint8 sRGB and alpha. Near the subject transparent pixels go on with its colours, so that
        scaling makes no dark rim; farther away they are black: nothing of the background is left in the file.

    Raises:
        InputError: The matte is not of the photo's size.
    """
    subject, _ = unmix(scene, matte)
    alpha = np.rint(255 * as_matte(matte, scene)).astype(np.uint8)
    return np.dstack([to_srgb(subject), alpha])


def unmix(scene: RGBD, matte: npt.ArrayLike) -> tuple[FloatMap, FloatMap]:
    """Take the light of each pixel apart into that of the subject and that of the background.

    Both are estimated by means around the pixel, weighted by the share of either, squared (after Forte,
    "Approximate fast foreground colour estimation", ICIP 2021), over smaller and smaller windows. Each time
    both are moved, as little as possible in sum of squares, so that together they give the photo again.

    Args:
        scene: The photo.
        matte: (H, W) 0..1, the subject's share of each pixel.

    Returns:
        Linear light of the subject and of the background, (H, W, 3) float32 each: `matte * subject +
        (1 - matte) * background` is the photo, as far as both stay within 0..1.

    Raises:
        InputError: The matte is not of the photo's size.
    """
    alpha = as_matte(matte, scene)
    light = to_linear(scene.image)
    subject, background = light, light
    widest = widest_ramp_px(scene.size_wh)
    for reach in (2 * widest, widest, _CLOSE_PX):
        subject = _weighted_mean(subject, alpha**2, reach)
        background = _weighted_mean(background, (1 - alpha) ** 2, reach)
        share = alpha[..., None]
        rest = (light - share * subject - (1 - share) * background) / (share**2 + (1 - share) ** 2)
        subject = np.clip(subject + share * rest, 0, 1)
        background = np.clip(background + (1 - share) * rest, 0, 1)
    return subject, background


def as_matte(matte: npt.ArrayLike, scene: RGBD) -> FloatMap:
    """Check a matte: (H, W) of the photo's size, numbers in 0..1.

    Raises:
        InputError: It is something else.
    """
    alpha: FloatMap = frozen(matte, name="matte", dtype=np.float32, shape=(None, None))
    if alpha.shape != scene.image.shape[:2]:
        raise InputError(
            f"the matte must have the photo's size {scene.size_wh[0]}x{scene.size_wh[1]}, got "
            f"{alpha.shape[1]}x{alpha.shape[0]}; make it of the same scene"
        )
    if not bool(((alpha >= 0) & (alpha <= 1)).all()):
        raise InputError(
            f"the matte must lie in 0..1, got {np.nanmin(alpha):g}..{np.nanmax(alpha):g}; divide bytes by 255"
        )
    return alpha


def linear_color(code: str) -> FloatMap:
    """Turn `"#rrggbb"` into (3,) linear light.

    Raises:
        InputError: It is not written that way.
    """
    return np.array(linear_rgb(code), dtype=np.float32)


def _weighted_mean(light: FloatMap, weight: FloatMap, reach: int) -> FloatMap:
    """Average over a square; 0 where nothing weighs."""
    import cv2

    side = (2 * reach + 1, 2 * reach + 1)
    total = cv2.blur(weight, side, borderType=cv2.BORDER_REFLECT)
    sums = cv2.blur(light * weight[..., None], side, borderType=cv2.BORDER_REFLECT)
    known = total > _FAINTEST / (side[0] * side[1])
    return np.asarray(sums * (known / np.where(known, total, 1))[..., None], dtype=np.float32)


def _covering(background: ImageArray, size_wh: tuple[int, int]) -> FloatMap:
    """Scale a picture until it covers a size, and cut its middle out."""
    import cv2

    light = to_linear(as_image(background, name="background"))
    height, width = light.shape[:2]
    scale = max(size_wh[0] / width, size_wh[1] / height)
    size = (max(size_wh[0], round(width * scale)), max(size_wh[1], round(height * scale)))
    if size != (width, height):
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        light = cv2.resize(light, size, interpolation=method)
    left, top = (size[0] - size_wh[0]) // 2, (size[1] - size_wh[1]) // 2
    return light[top : top + size_wh[1], left : left + size_wh[0]]
