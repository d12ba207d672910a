"""From what a network says of an image's views to values of the image's own size, on the device."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from depth3d.accel.batches import is_out_of_memory
from depth3d.core.arrays import ImageArray
from depth3d.core.stages import stage
from depth3d.errors import DeviceError
from depth3d.estimate.network import NetworkOutput
from depth3d.estimate.outputs import OutputMeaning
from depth3d.estimate.preprocess import InputRule, reflect_padding
from depth3d.estimate.tta import View, average_fields
from depth3d.estimate.upsample import upsample, upsample_guided

__all__ = ["at_full_size"]


@stage("upsampling")
def at_full_size(
    image: ImageArray,
    outputs: Sequence[NetworkOutput],
    views: Sequence[View],
    *,
    rule: InputRule,
    meaning: OutputMeaning,
    guided: bool,
) -> tuple[torch.Tensor, float | None]:
    """Average the views of an image and bring the field to its size.

    Args:
        image: (H, W, 3) uint8.
        outputs: Of the network, one a view.
        views: How the image was shown, the plain one first.
        rule: How the network wants its images.
        meaning: Of its numbers.
        guided: Whether the image's edges sharpen the field's.

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
            field = upsample_guided(field, image) if guided else upsample(field, (height, width))
            return meaning.from_field(field), fov_x_deg
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise DeviceError(
            "out of memory while bringing maps to the size of their images; give fewer or smaller images "
            "at a time, or device='cpu'"
        ) from error
