"""What callers give an estimator, checked: one image or many, and their prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from depth3d.core.arrays import ImageArray, seen_image
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError

__all__ = ["check_prompts", "checked_images", "is_image"]


def is_image(images: Any) -> bool:
    """Tell an image from a list of them.

    Args:
        images: An array, or a list or an (n, H, W, 3) array.

    Raises:
        InputError: It is neither.
    """
    if isinstance(images, (list, tuple)):
        return False
    if isinstance(images, np.ndarray):
        return images.ndim != 4
    raise InputError(
        f"images must be an (H, W, 3) uint8 array or a list of them, got {type(images).__name__}; "
        "open files with depth3d.load_image()"
    )


def checked_images(images: Any, prompt: Any) -> tuple[list[ImageArray], list[DepthMap | None]]:
    """Check images and give each its prompt.

    Args:
        images: An (H, W, 3) uint8 array or a list of them.
        prompt: None, or a map, or a list of as many maps.

    Returns:
        Images and prompts, equally many. Images lie where the caller has them: keep none.

    Raises:
        InputError: An image is not (H, W, 3) uint8, or the numbers differ.
    """
    single = is_image(images)
    items = [images] if single else list(images)
    names = ["image"] if single else [f"images[{i}]" for i in range(len(items))]
    checked = [seen_image(item, name=name) for item, name in zip(items, names, strict=True)]
    given = [prompt] * len(items) if prompt is None or single else list(prompt)
    if len(given) != len(checked):
        raise InputError(
            f"each image needs its own prompt, got {len(checked)} images and {len(given)} prompts"
        )
    return checked, given


def check_prompts(prompts: Sequence[DepthMap | None], *, are_needed: bool, name: str) -> None:
    """Check that prompts are there if a network needs them, and only then.

    Args:
        prompts: One an image.
        are_needed: Whether the network does.
        name: Of the network, for the message.

    Raises:
        InputError: One is missing, or not wanted, or has holes.
        NeedsMetricError: One is relative.
    """
    for prompt in prompts:
        if are_needed and prompt is None:
            raise InputError(f"{name} needs a prompt: pass prompt=DepthMap(values, 'metric') with each image")
        if prompt is None:
            continue
        if not are_needed:
            raise InputError(f"{name} takes no prompt; leave it out, or use Prompt Depth Anything")
        prompt.require_metric("a prompt")
        if not prompt.valid.all():
            raise InputError("a prompt must be known everywhere, got a map with holes; fill them first")
