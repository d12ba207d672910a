"""Test-time augmentation: the same image seen in several ways, and the average of what is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from depth3d.core.depth import DepthKind
from depth3d.errors import InputError
from depth3d.estimate.alignment import align_affine
from depth3d.estimate.upsample import upsample

__all__ = ["TTA_NAMES", "View", "average_fields", "views_for"]

_SCALES = (1.0, 0.75, 1.25)


@dataclass(frozen=True, slots=True)
class View:
    """One way to show an image to the network.

    Attributes:
        scale: Factor on the shorter side that the network sees.
        flip: Whether left and right are swapped.
    """

    scale: float = 1.0
    flip: bool = False


_VIEWS = {
    "flip": (View(), View(flip=True)),
    "multiscale": tuple(View(scale) for scale in _SCALES),
    "flip+multiscale": tuple(View(scale, flip) for scale in _SCALES for flip in (False, True)),
}

TTA_NAMES = tuple(_VIEWS)
"""The names that `tta=` takes."""


def views_for(tta: str | None, *, any_size: bool = True) -> tuple[View, ...]:
    """Turn a name into the views to run; the first one is always the plain image.

    Args:
        tta: None, `flip`, `multiscale` or `flip+multiscale`.
        any_size: Whether the network takes images of any size.

    Raises:
        InputError: Another name, or several scales for a network that knows only one.
    """
    if tta is None:
        return (View(),)
    if tta not in _VIEWS:
        raise InputError(f"tta must be None or one of {', '.join(TTA_NAMES)}, got {tta!r}")
    if "multiscale" in tta and not any_size:
        raise InputError(
            f"tta={tta!r} needs a network that takes any size, and this one does not; use 'flip'"
        )
    return _VIEWS[tta]


def average_fields(fields: Sequence[torch.Tensor], views: Sequence[View], kind: DepthKind) -> torch.Tensor:
    """Average what the views gave.

    Args:
        fields: One (h, w) disparity or inverse depth a view, as the network saw it.
        views: The views, the plain image first.
        kind: Relative fields are each aligned to the first by a scale and a shift, because every
            forward pass has its own. Metric ones are averaged as they are: they share a unit, and
            aligning them would throw the other views' opinion on the scale away.

    Returns:
        (h, w) float32 of the first field's size.
    """
    first = fields[0]
    total = first.clone()
    for field, view in zip(fields[1:], views[1:], strict=True):
        upright = field.flip(-1) if view.flip else field
        same_size = upsample(upright, (first.shape[0], first.shape[1]))
        total += align_affine(same_size, first) if kind is DepthKind.RELATIVE else same_size
    return total / len(fields)
