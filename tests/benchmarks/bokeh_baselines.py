"""What others do to blur by depth, on linear light and the exact signed radius, each as good as it gets.

`lerp` is what most plug-ins do, `gather` what shaders do, `guarded` what the better ones do, `layers` what
multiplane renderers do, and `plain_script` what people write with OpenCV.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.float32]

STEP = 1.15
"""Ratio of successive radii above 8 pixels; below, they are a pixel apart."""


def disc(radius_px: float, fine: int = 8) -> Picture:
    """Draw an antialiased disc, (k, k), sum 1."""
    if radius_px < 0.5:
        return np.ones((1, 1), np.float32)
    side = 2 * math.ceil(radius_px + 0.5) + 1
    axis = (np.arange(side * fine) + 0.5) / fine - side / 2
    inside = (axis[:, None] ** 2 + axis[None] ** 2 <= radius_px**2).astype(np.float32)
    kernel = inside.reshape(side, fine, side, fine).mean(axis=(1, 3))
    return np.asarray(kernel / kernel.sum())


def spread(picture: Picture, radius_px: float) -> Picture:
    """Convolve with a disc."""
    import cv2

    return np.asarray(cv2.filter2D(picture, -1, disc(radius_px), borderType=cv2.BORDER_REFLECT))


def radii_up_to(most: float) -> list[float]:
    """List radii from 0 on that cover up to the largest."""
    radii = [0.0]
    while radii[-1] < most:
        radii.append(radii[-1] + 1 if radii[-1] < 8 else radii[-1] * STEP)
    return radii


def untouched(light: Picture, radius: Picture) -> Picture:
    """Leave the photo as it is."""
    return light


def lerp(light: Picture, radius: Picture) -> Picture:
    """Blur the whole picture at each radius; mix the two on either side of each pixel's own."""
    size, out = np.abs(radius), light.copy()
    for low, high in pairwise(radii_up_to(float(size.max()))):
        here = (size >= low) & (size <= high)
        if here.any():
            share = ((size[here] - low) / (high - low))[:, None]
            out[here] = (1 - share) * spread(light, low)[here] + share * spread(light, high)[here]
    return out


def gather(light: Picture, radius: Picture) -> Picture:
    """Average the neighbours whose disc reaches a pixel."""
    return _gathered(light, radius, guarded=False)


def guarded(light: Picture, radius: Picture) -> Picture:
    """Do it with the discs of what is behind a pixel no larger than its own, so that less leaks over it."""
    return _gathered(light, radius, guarded=True)


def _gathered(light: Picture, radius: Picture, *, guarded: bool) -> Picture:
    reach = math.ceil(float(np.abs(radius).max()))
    height, width = radius.shape
    padded = np.pad(light, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    signed = np.pad(radius, reach, mode="reflect")
    own, total, weights = np.abs(radius), np.zeros_like(light), np.zeros_like(radius)
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            distance = math.hypot(dy, dx)
            if distance > reach + 1:
                continue
            rows, cols = slice(reach + dy, reach + dy + height), slice(reach + dx, reach + dx + width)
            other = signed[rows, cols]
            size = np.abs(other)
            if guarded:
                size = np.where(other < radius, np.minimum(size, own), size)
            weight = np.clip(size + 0.5 - distance, 0, 1) / (math.pi * np.maximum(size, 0.5) ** 2)
            total += padded[rows, cols] * weight[..., None]
            weights += weight
    return total / weights[..., None]


def layers(light: Picture, radius: Picture) -> Picture:
    """Cut the picture into layers of one radius each, blur them, and put each over the last."""
    sizes = radii_up_to(float(np.abs(radius).max()))
    steps = np.array([-r for r in sizes[:0:-1]] + sizes)
    number = np.abs(radius[..., None] - steps).argmin(axis=-1)
    out, covered = np.zeros_like(light), np.zeros_like(radius)
    for k, step in enumerate(steps):
        mask = (number == k).astype(np.float32)
        if mask.any():
            alpha = spread(mask, abs(step))
            out = out * (1 - alpha[..., None]) + spread(light * mask[..., None], abs(step))
            covered = covered * (1 - alpha) + alpha
    return out / np.maximum(covered, 1e-6)[..., None]


def plain_script(light: Picture, radius: Picture) -> Picture:
    """Blur the whole picture at each whole radius with OpenCV; take each pixel from its own."""
    out, size = light.copy(), np.rint(np.abs(radius)).astype(np.int32)
    for step in range(1, int(size.max()) + 1):
        here = size == step
        if here.any():
            out[here] = spread(light, step)[here]
    return out


BASELINES = {"photo": untouched, "lerp": lerp, "gather": gather, "guarded": guarded, "layers": layers}
