"""Vary a sample without making its target untrue."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import ImageArray
from depth3d.train.samples import Sample

__all__ = ["Augmentation", "augmented", "fitted"]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far a sample may be changed.

    Attributes:
        least_share: The smallest crop, as a share of the largest one of the wanted shape. Metric depth
            belongs to a focal length, which cropping and enlarging would change: there it should be 1.
        flip: Whether left and right may be swapped.
        colour: Strength of the changes of light, contrast, saturation, hue and gamma; 0 is none.
        damage: Probability of each of blur, noise and JPEG artefacts.
    """

    least_share: float = 0.6
    flip: bool = True
    colour: float = 1.0
    damage: float = 0.15


def augmented(
    sample: Sample, size_hw: tuple[int, int], rules: Augmentation, chance: np.random.Generator
) -> Sample:
    """Crop, resize, flip and recolour at random.

    Args:
        sample: Any size.
        size_hw: (height, width) in pixels of the result.
        rules: What may happen.
        chance: The source of randomness.

    Returns:
        The sample at that size. Disparity and z stay what they were: neither changes under a crop, a
        resize or a flip; only where it is does.
    """
    share = float(chance.uniform(rules.least_share, 1.0))
    place = float(chance.random()), float(chance.random())
    sample = fitted(sample, size_hw, share=share, place=place)
    image, target, exact = sample.image, sample.target, sample.exact
    if rules.flip and chance.random() < 0.5:
        image, target, exact = image[:, ::-1], target[:, ::-1], exact[:, ::-1]
    image = _recoloured(image, rules.colour, chance)
    image = _damaged(image, rules.damage, chance)
    return Sample(np.ascontiguousarray(image), np.ascontiguousarray(target), np.ascontiguousarray(exact))


def fitted(
    sample: Sample,
    size_hw: tuple[int, int],
    *,
    share: float = 1.0,
    place: tuple[float, float] = (0.5, 0.5),
) -> Sample:
    """Cut a part of the wanted shape out of a sample and resize it.

    Args:
        sample: Any size.
        size_hw: (height, width) in pixels of the result.
        share: Size of the part, of the largest one of that shape.
        place: Where it is cut, from (0, 0), the left and the top, to (1, 1).

    Returns:
        The sample at that size. Targets are taken from the nearest pixel, never mixed: a mean of near and
        far is a depth that nothing has.
    """
    height, width = sample.target.shape
    scale = min(height / size_hw[0], width / size_hw[1]) * share
    tall, wide = (
        max(1, min(round(s * scale), most)) for s, most in zip(size_hw, (height, width), strict=True)
    )
    left, top = round(place[0] * (width - wide)), round(place[1] * (height - tall))
    part = slice(top, top + tall), slice(left, left + wide)
    size_wh = size_hw[1], size_hw[0]
    shrinks = tall * wide > size_hw[0] * size_hw[1]
    image = cv2.resize(
        sample.image[part], size_wh, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    target = cv2.resize(sample.target[part], size_wh, interpolation=cv2.INTER_NEAREST_EXACT)
    exact = cv2.resize(
        sample.exact[part].astype(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST_EXACT
    ).astype(np.bool_)
    return Sample(image, target, exact)


def _recoloured(image: ImageArray, strength: float, chance: np.random.Generator) -> ImageArray:
    if strength == 0:
        return image
    light, contrast, saturation = 1 + strength * chance.uniform(-0.3, 0.3, 3)
    gamma = float(np.exp(strength * chance.uniform(-0.25, 0.25)))
    cast = 1 + strength * chance.uniform(-0.08, 0.08, 3)
    # One table a channel does gamma, light, colour cast and contrast.
    steps = (np.arange(256) / 255.0)[:, None] ** gamma * light * cast
    middle = float(np.interp(image[::8, ::8].mean(), np.arange(256), steps.mean(axis=1)))
    table = np.clip(255 * ((steps - middle) * contrast + middle), 0, 255).astype(np.uint8)
    changed = cv2.LUT(np.ascontiguousarray(image), table[None])
    if chance.random() < 0.05 * strength:
        saturation = 0.0
    grey = cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY)
    mixed = cv2.addWeighted(changed, float(saturation), cv2.merge([grey] * 3), 1 - float(saturation), 0)
    return np.asarray(mixed, dtype=np.uint8)


def _damaged(image: ImageArray, probability: float, chance: np.random.Generator) -> ImageArray:
    if chance.random() < probability:
        image = cv2.GaussianBlur(image, (0, 0), float(chance.uniform(0.4, 1.3))).astype(np.uint8, copy=False)
    if chance.random() < probability:
        noise: npt.NDArray[np.float32] = chance.standard_normal(image.shape, dtype=np.float32)
        image = np.clip(image + float(chance.uniform(2, 12)) * noise, 0, 255).astype(np.uint8)
    if chance.random() < probability:
        _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(chance.integers(30, 90))])
        image = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)
    return image
