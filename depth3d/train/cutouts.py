"""Paste cut-outs of other pictures before a sample: occlusion edges that are known to the pixel.

Pseudo-labels are blurred where depth jumps, and a network that learns from them alone blurs too. A blob, a
stick or a leaf of another picture, put nearer than what it covers, gives real textures and an exact edge.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import ImageArray
from depth3d.train.samples import Sample

__all__ = ["with_cutouts"]

_FINER = 4  # outlines are drawn this much larger and averaged down: anti-aliased like a photo's
_RIM_PX = 6


def with_cutouts(
    sample: Sample, pictures: Sequence[ImageArray], chance: np.random.Generator, *, most: int = 4
) -> Sample:
    """Put one to `most` cut-outs before a disparity sample.

    Args:
        sample: With relative disparity.
        pictures: (H, W, 3) uint8 to cut from.
        chance: The source of randomness.
        most: Largest number of cut-outs.

    Returns:
        The sample with them in it. `exact` holds on them and around their outlines.
    """
    image, target, exact = sample.image.copy(), sample.target.copy(), sample.exact.copy()
    known = np.isfinite(target)
    if not known.any():
        return sample
    low, high = np.percentile(target[known], (2, 98))
    span = max(float(high - low), 1e-3)
    height, width = target.shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    for _ in range(int(chance.integers(1, most + 1))):
        cover = _outline(height, width, chance)
        inside = cover >= 0.5
        if not inside.any():
            continue
        behind = target[inside & np.isfinite(target)]
        nearest = float(np.percentile(behind, 95)) if behind.size else float(low)
        # A sheet, tilted a little: disparity is affine in the pixels wherever the world is a plane.
        slope = chance.normal(0, 0.15, 2) * span / max(height, width)
        middle = nearest + span * float(chance.uniform(0.08, 0.6))
        sheet = (
            middle + slope[0] * (columns - columns[inside].mean()) + slope[1] * (rows - rows[inside].mean())
        )
        texture = _texture(pictures[int(chance.integers(len(pictures)))], height, width, chance)
        image = (image + cover[..., None] * (texture.astype(np.float32) - image)).round().astype(np.uint8)
        target = np.where(inside, sheet, target).astype(np.float32)
        rim = cv2.dilate(inside.astype(np.uint8), np.ones((2 * _RIM_PX + 1,) * 2, np.uint8)).astype(np.bool_)
        exact |= rim
    return Sample(image, target, exact)


def _outline(height: int, width: int, chance: np.random.Generator) -> npt.NDArray[np.float32]:
    """Draw one shape: (height, width) share of each pixel that it covers."""
    tall, wide = height * _FINER, width * _FINER
    canvas = np.zeros((tall, wide), dtype=np.uint8)
    size = float(np.exp(chance.uniform(np.log(0.08), np.log(0.45)))) * max(tall, wide)
    centre = chance.uniform((0, 0), (wide, tall))
    kind = chance.integers(4)
    if kind == 0:  # a blob: a circle whose radius is a random smooth function of the angle
        angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
        waves = range(1, 7)
        swing = sum(
            chance.normal(0, 0.25 / n) * np.cos(n * angle + chance.uniform(0, 2 * np.pi)) for n in waves
        )
        radius = 0.5 * size * np.maximum(1 + swing, 0.15)
        points = np.stack([centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)], axis=1)
        cv2.fillPoly(canvas, [points.round().astype(np.int32)], 255)
    elif kind == 1:  # a box or a card
        corners = cv2.boxPoints(
            (tuple(centre.tolist()), (size, size * chance.uniform(0.2, 1)), chance.uniform(0, 180))
        )
        cv2.fillPoly(canvas, [corners.round().astype(np.int32)], 255)
    elif kind == 2:  # sticks: a few lines that start at one place
        for _ in range(int(chance.integers(1, 5))):
            end = centre + chance.normal(0, 1.2 * size, 2)
            thickness = max(2, round(_FINER * float(np.exp(chance.uniform(np.log(1.0), np.log(9.0))))))
            cv2.line(
                canvas, tuple(centre.astype(int).tolist()), tuple(end.astype(int).tolist()), 255, thickness
            )
    else:  # a polygon with sharp corners
        angle = np.sort(chance.uniform(0, 2 * np.pi, int(chance.integers(3, 9))))
        radius = 0.6 * size * chance.uniform(0.4, 1, angle.size)
        points = np.stack([centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)], axis=1)
        cv2.fillPoly(canvas, [points.round().astype(np.int32)], 255)
    cover = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cover, dtype=np.float32) / np.float32(255)


def _texture(picture: ImageArray, height: int, width: int, chance: np.random.Generator) -> ImageArray:
    """Take a part of a picture, at random zoom, to the size of the sample."""
    share = float(chance.uniform(0.2, 1.0))
    tall, wide = max(2, round(picture.shape[0] * share)), max(2, round(picture.shape[1] * share))
    top = int(chance.integers(picture.shape[0] - tall + 1))
    left = int(chance.integers(picture.shape[1] - wide + 1))
    part = picture[top : top + tall, left : left + wide]
    return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
