"""From what a network says of an image's views to values of the image's own size, on the device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from depth3d.accel.batches import is_out_of_memory
from depth3d.core.arrays import FloatMap, ImageArray
from depth3d.core.stages import stage
from depth3d.errors import DeviceError
from depth3d.estimate.network import NetworkOutput
from depth3d.estimate.outputs import OutputMeaning
from depth3d.estimate.preprocess import InputRule, reflect_padding
from depth3d.estimate.tta import View, average_fields
from depth3d.estimate.upsample import upsample, upsample_guided

__all__ = ["at_full_size", "handed_over", "own_memory"]


@stage("upsampling")
def at_full_size(
    image: ImageArray,
    outputs: Sequence[NetworkOutput],
    views: Sequence[View],
    *,
    rule: InputRule,
    meaning: OutputMeaning,
    guided: bool,
    into: FloatMap | None = None,
) -> tuple[torch.Tensor, float | None]:
    """Average the views of an image and bring the field to its size.

    Args:
        image: (H, W, 3) uint8.
        outputs: Of the network, one a view.
        views: How the image was shown, the plain one first.
        rule: How the network wants its images.
        meaning: Of its numbers.
        guided: Whether the image's edges sharpen the field's.
        into: (H, W) memory to leave the values in, on the CPU; None makes some.

    Returns:
        (H, W) float32 values of a `DepthMap` on the device, and the mean field of view in degrees, if any was
        given.

    Raises:
        DeviceError: The memory does not suffice.
    """
    angles = [output.fov_x_deg for output in outputs if output.fov_x_deg is not None]
    fov_x_deg = sum(angles) / len(angles) if angles else None
    try:
        field = average_fields([output.field for output in outputs], views, meaning.kind)
        height, width = image.shape[:2]
        if rule.pads:
            rows, columns = reflect_padding(height, width)
            padded = upsample(field, (height + 2 * rows, width + 2 * columns))
            field = padded[rows : rows + height, columns : columns + width]
        with torch.inference_mode():
            field = upsample_guided(field, image) if guided else upsample(field, (height, width), into)
            values = meaning.from_field(field)
            if into is not None:
                place = torch.from_numpy(into)
                values = values if values.data_ptr() == place.data_ptr() else place.copy_(values)
            return values, fov_x_deg
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise DeviceError(
            "out of memory while bringing maps to the size of their images; give fewer or smaller images "
            "at a time, or device='cpu'"
        ) from error


def own_memory(images: Sequence[ImageArray], device: torch.device) -> list[FloatMap | None]:
    """Make the memory that maps are to keep, where a device computes in it.

    Args:
        images: (H, W, 3) uint8.
        device: From `resolve_device`.

    Returns:
        (H, W) float32 for each image on the CPU: a map of 12 megapixels takes 48 MB, and a copy of it as long
        as bringing it to that size. None on other devices.
    """
    if device.type != "cpu":
        return [None] * len(images)
    return [np.empty(image.shape[:2], np.float32) for image in images]


def handed_over(values: FloatMap, memory: FloatMap | None) -> FloatMap:
    """Give values that nobody writes any more to whoever keeps them.

    Args:
        values: (H, W) float32, which lie in `memory` if there is some.
        memory: From `own_memory`.

    Returns:
        The memory, locked, which `DepthMap` takes as it is; without one the values.
    """
    if memory is None:
        return values
    memory.flags.writeable = False
    return memory
