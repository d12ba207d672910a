"""`FinetuneSettings`: what decides the result of fine-tuning, beside the network and the photos."""

from __future__ import annotations

import math
from dataclasses import dataclass

from depth3d.core.depth import DepthKind
from depth3d.errors import InputError
from depth3d.train.loop import Recipe

__all__ = ["FinetuneSettings"]

_PATCH_PX = 14
_MOST_WARM_UP_STEPS = 100
_SLOWEST_EMA_DECAY = 0.999


@dataclass(frozen=True, slots=True)
class FinetuneSettings:
    """How a network is fine-tuned.

    The rates are those with which Depth Anything V2 (Yang et al., NeurIPS 2024, section 7) was trained.

    Attributes:
        metric: Whether the network learns z in metres instead of relative disparity.
        max_depth_m: The largest depth in metres that a metric network can say; a whole number. None is the
            base's own range, and 20 for a relative base. What is farther in the photos' depth is unknown.
        epochs: How often each photo is seen on average.
        steps: Optimiser steps, instead of `epochs`.
        batch_size: Photos a step.
        input_size: Side in pixels of the squares that the network learns from, a multiple of 14; None is
            the size that the base was made for. The result will see the shorter side of photos at it.
        encoder_rate: Largest learning rate of the encoder; 0 leaves it as it is.
        decoder_rate: Largest learning rate of all else.
        warm_up_steps: Over which the rates rise; None is a tenth of the run, 100 at most.
        ema_decay: Of the running mean of the weights, which is the result; None averages over about a
            tenth of the run, over 1000 steps at most.
        checkpoint_steps: Steps between checkpoints, each with a validation.
        validation_share: Of the photos, kept from training.
        synthetic_share: Of the samples, taken from exact rendered scenes, whose edges are sharp.
        dtype: `float32`, or `bfloat16`: less memory and faster on GPUs, with a map of 8 bits to learn from.
        exact: Whether the photos' depth is true to the pixel, as rendered depth is and a sensor's is not:
            then edges are learned from it to the pixel.
        depth_kind: What the numbers of all depth files mean, `relative` or `metric`; it goes before what they
            and their names say. None leaves it to them.
        png_scale: Units a metre of 16-bit PNGs: 1000 unless given.
        seed: Another seed gives another split, other crops and another order.

    Raises:
        InputError: One of them is out of range, or they contradict each other.
    """

    metric: bool = False
    max_depth_m: int | None = None
    epochs: float = 10.0
    steps: int | None = None
    batch_size: int = 4
    input_size: int | None = None
    encoder_rate: float = 5e-6
    decoder_rate: float = 5e-5
    warm_up_steps: int | None = None
    ema_decay: float | None = None
    checkpoint_steps: int = 200
    validation_share: float = 0.1
    synthetic_share: float = 0.0
    dtype: str = "float32"
    exact: bool = False
    depth_kind: str | None = None
    png_scale: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_depth_m is not None and not self.metric:
            raise InputError("max_depth_m is the range of metric training; add --metric (metric=True)")
        if self.input_size is not None and (
            type(self.input_size) is not int or self.input_size < _PATCH_PX or self.input_size % _PATCH_PX
        ):
            nearest = max(1, round(self.input_size / _PATCH_PX)) * _PATCH_PX
            raise InputError(
                f"input_size must be a multiple of {_PATCH_PX}, got {self.input_size!r}; use {nearest}"
            )
        for name, least in (
            ("max_depth_m", 1), ("steps", 1), ("batch_size", 1), ("warm_up_steps", 0),
            ("checkpoint_steps", 1), ("seed", 0),
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < least):
                raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")
        for name in ("encoder_rate", "decoder_rate"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name} must be 0 or more, got {getattr(self, name)!r}")
        if not 0 < self.epochs < math.inf:
            raise InputError(f"epochs must be more than 0, got {self.epochs!r}")
        if not 0 < self.validation_share < 1:
            raise InputError(f"validation_share must lie between 0 and 1, got {self.validation_share!r}")
        if not 0 <= self.synthetic_share < 1:
            raise InputError(
                f"synthetic_share must be at least 0 and less than 1, got {self.synthetic_share!r}"
            )
        if self.ema_decay is not None and not 0 <= self.ema_decay < 1:
            raise InputError(f"ema_decay must be at least 0 and less than 1, got {self.ema_decay!r}")
        if self.dtype not in ("float32", "bfloat16"):
            raise InputError(f"dtype must be float32 or bfloat16 for training, got {self.dtype!r}")
        if self.depth_kind is not None and self.depth_kind not in tuple(map(str, DepthKind)):
            raise InputError(f"depth_kind must be relative or metric, got {self.depth_kind!r}")

    def recipe(self, photos: int) -> Recipe:
        """Settle what depends on the number of photos.

        Args:
            photos: How many there are to train on.
        """
        steps = self.steps or math.ceil(self.epochs * photos / self.batch_size)
        warm_up_steps = self.warm_up_steps
        if warm_up_steps is None:
            warm_up_steps = min(_MOST_WARM_UP_STEPS, steps // 10)
        ema_decay = self.ema_decay
        if ema_decay is None:
            ema_decay = min(_SLOWEST_EMA_DECAY, max(0.0, 1 - 10 / steps))
        return Recipe(
            steps,
            self.encoder_rate,
            self.decoder_rate,
            warm_up_steps=warm_up_steps,
            ema_decay=ema_decay,
            checkpoint_steps=self.checkpoint_steps,
            bfloat16=self.dtype == "bfloat16",
        )
