"""From an image to what a network sees: its size, resampled and normalised in torch, on the device.

The resize is PyTorch's antialiased bicubic on 8-bit values, read in place from the (H, W, 3) memory, and
eight times faster than Pillow's, which `transformers` uses. GPUs resize in floating point. The two agree to
one level of 255 but for one value in a thousand (mean 0.002 to 0.3 of a level, 3 at most, on noise). What
that does to the map, measured on the Small architecture with random weights: 2e-4 of its span on average and
1.3e-3 at most for a 640x480 picture, 1e-4 and 0.8e-3 for one of 12 megapixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from depth3d.core.arrays import ImageArray
from depth3d.errors import CheckpointError, InputError

if TYPE_CHECKING:
    import torch  # only what touches tensors imports it: networks can run without

__all__ = ["DEFAULT_MAX_TOKENS", "InputRule", "input_rule", "network_size", "reflect_padding", "to_network"]

DEFAULT_MAX_TOKENS = 4096
"""Enough for 3:1 at 518; 16:9 takes 2442."""

SizePolicy = Literal["shorter_side", "longer_side", "nearest_scale", "exact", "floor"]

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_UNCHANGED = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@dataclass(frozen=True, slots=True)
class InputRule:
    """How an architecture wants its images.

    Attributes:
        policy: `shorter_side` brings the shorter side to `input_size` and keeps the aspect ratio, and
            `longer_side` the longer one;
            `nearest_scale` keeps it and takes the one of two scales to `size_hw` that changes less;
            `exact` stretches to `size_hw`; `floor` rounds the image's own size down.
        size_hw: (height, width) in pixels that the architecture was made for.
        multiple: Both sides are multiples of this many pixels.
        mean, std: Normalisation of red, green and blue in 0..1.
        filter: Interpolation, antialiased where the image shrinks.
        pads: Whether the borders are reflected outwards first (ZoeDepth).
    """

    policy: SizePolicy
    size_hw: tuple[int, int]
    multiple: int = 1
    mean: tuple[float, float, float] = _IMAGENET[0]
    std: tuple[float, float, float] = _IMAGENET[1]
    filter: Literal["bicubic", "bilinear"] = "bicubic"
    pads: bool = False

    @property
    def takes_any_size(self) -> bool:
        """Whether `input_size` has a say."""
        return self.policy in ("shorter_side", "longer_side")

    @property
    def own_input_size(self) -> int:
        """The `input_size` that the network was made for."""
        return min(self.size_hw)


_RULES = {
    "depth_anything": InputRule("shorter_side", (518, 518), 14),
    "prompt_depth_anything": InputRule("shorter_side", (756, 756), 14),
    "depth_pro": InputRule("exact", (1536, 1536), 1, *_HALF, "bilinear"),
    "dpt": InputRule("exact", (384, 384), 1, *_HALF),
    "glpn": InputRule("floor", (480, 640), 32, *_UNCHANGED, "bilinear"),
    "zoedepth": InputRule("nearest_scale", (384, 512), 32, *_HALF, "bilinear", True),
}


def input_rule(model_type: str, preprocessor: Mapping[str, Any], *, name: str) -> InputRule:
    """Read how a checkpoint wants its images.

    Args:
        model_type: A key of `SUPPORTED_MODEL_TYPES`.
        preprocessor: Contents of `preprocessor_config.json`; what is missing takes the architecture's
            usual value.
        name: What to call the checkpoint in a message.

    Returns:
        The rule.

    Raises:
        CheckpointError: An entry makes no sense.
    """
    rule = _RULES[model_type]
    try:
        if preprocessor.get("do_normalize", True):
            mean, std = (
                _three(preprocessor.get(key, default))
                for key, default in (("image_mean", rule.mean), ("image_std", rule.std))
            )
        else:
            mean, std = _UNCHANGED
        multiple = int(
            preprocessor.get("ensure_multiple_of") or preprocessor.get("size_divisor") or rule.multiple
        )
        size = preprocessor.get("size") or rule.size_hw
        if isinstance(size, Mapping):
            height, width = int(size["height"]), int(size["width"])
        else:
            height, width = (int(size), int(size)) if isinstance(size, int) else (int(size[0]), int(size[1]))
        if min(height, width, multiple) < 1 or not all(s > 0 for s in std):
            raise ValueError(f"size {height}x{width}, multiple {multiple}, std {std}")
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise CheckpointError(
            f"the preprocessor_config.json of {name} makes no sense ({error!r}); fetch the file again"
        ) from error
    policy = rule.policy
    if model_type == "dpt" and preprocessor.get("keep_aspect_ratio"):
        policy = "nearest_scale"
    pads = rule.pads and bool(preprocessor.get("do_pad", True))
    # The patches of a ViT-14 are no matter of taste: a smaller multiple would shrink the map.
    multiple = max(multiple, rule.multiple) if rule.takes_any_size else multiple
    return replace(
        rule, policy=policy, size_hw=(height, width), multiple=multiple, mean=mean, std=std, pads=pads
    )


def network_size(
    rule: InputRule, height: int, width: int, *, input_size: int, max_tokens: int
) -> tuple[int, int]:
    """Choose the size at which a network sees an image.

    Args:
        rule: Of the network.
        height: Of the image in pixels.
        width: Of the image in pixels.
        input_size: Length in pixels of the side that the policy names; a shorter side is rounded up to
            the multiple, a longer one to the nearest.
        max_tokens: Largest number of cells of `multiple` x `multiple` pixels. Time and memory grow with
            it: a 10:1 panorama at 518 would be 5180 x 518 pixels, 13,690 tokens. Beyond the bound both
            sides, the longer one, too, shrink by the same factor to whole cells; of the grids next to that
            which keep to the bound it is the one whose aspect ratio is nearest to the image's.

    Returns:
        (height, width) in pixels, both positive multiples of `rule.multiple`.
    """
    m = rule.multiple
    if rule.policy == "exact":
        return rule.size_hw
    if rule.policy == "shorter_side":
        scale = input_size / min(height, width)
        new_h, new_w = (max(_nearest(side * scale, m), _up(input_size, m)) for side in (height, width))
    elif rule.policy == "longer_side":
        scale = input_size / max(height, width)
        new_h, new_w = (max(_nearest(side * scale, m), m) for side in (height, width))
    elif rule.policy == "nearest_scale":
        scales = (rule.size_hw[0] / height, rule.size_hw[1] / width)
        scale = min(scales, key=lambda s: abs(1 - s))
        new_h, new_w = (max(_nearest(side * scale, m), m) for side in (height, width))
    else:
        new_h, new_w = (max(side // m * m, m) for side in (height, width))
    cell = m if m > 1 else 16
    if new_h * new_w > max_tokens * cell * cell:
        budget = max_tokens * cell * cell // (m * m)
        # Whole numbers: a root that is a hair too small would cost a row and a column.
        rows, columns = (
            max(math.isqrt(budget * one // other), 1) for one, other in ((new_h, new_w), (new_w, new_h))
        )
        grids = [(r, c) for r in (rows, rows + 1) for c in (columns, columns + 1) if r * c <= budget]
        rows, columns = min(
            grids, key=lambda g: abs(math.log(g[0] * width / (g[1] * height))), default=(rows, columns)
        )
        # A side that stopped at one cell leaves the other too long.
        longest = max(budget // min(rows, columns), 1)
        new_h, new_w = min(rows, longest) * m, min(columns, longest) * m
    return new_h, new_w


def to_network(
    image: ImageArray, rule: InputRule, size_hw: tuple[int, int], device: torch.device, *, flip: bool = False
) -> torch.Tensor:
    """Resize and normalise one image.

    Args:
        image: (H, W, 3) uint8 sRGB.
        rule: Of the network.
        size_hw: From `network_size`.
        device: Where the network runs.
        flip: Whether to mirror left and right.

    Returns:
        (1, 3, height, width) float32 on the device, in its `memory_format`.
    """
    import torch
    from torch.nn.functional import pad

    from depth3d.accel.devices import memory_format
    from depth3d.accel.tensors import tensor_view
    from depth3d.accel.transfers import uploaded

    # A GPU of CUDA resizes itself; MPS has not always had the filters, and the CPU has them for bytes.
    pixels = uploaded(image, device) if device.type == "cuda" else tensor_view(image)
    pixels = pixels.permute(2, 0, 1)[None]
    if rule.pads:
        rows, columns = reflect_padding(*image.shape[:2])
        pixels = pad(pixels.float(), (columns, columns, rows, rows), mode="reflect")
    resized = _resize(pixels, size_hw, rule.filter)
    values = resized.to(device, torch.float32)
    mean, std = _levels(rule.mean, device), _levels(rule.std, device)
    values = (values / 255 - mean) / std
    return (values.flip(-1) if flip else values).contiguous(memory_format=memory_format(device))


def reflect_padding(height: int, width: int) -> tuple[int, int]:
    """Give the rows and columns that ZoeDepth reflects outwards on each side: 3 sqrt(side / 2).

    A side of fewer pixels than that is padded as far as reflection goes.
    """
    return (
        min(int(math.sqrt(height / 2) * 3), height - 1),
        min(int(math.sqrt(width / 2) * 3), width - 1),
    )


def check_input_size(input_size: int, max_tokens: int) -> None:
    """Raise `InputError` unless both numbers are whole and large enough to be of use."""
    for name, value, least in (("input_size", input_size, 14), ("max_tokens", max_tokens, 16)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")


@cache
def _levels(of_colors: tuple[float, float, float], device: torch.device) -> torch.Tensor:
    """Bring one number a colour to a device, once: a GPU would stop for it at every image."""
    import torch

    with torch.inference_mode(mode=False):
        return torch.tensor(of_colors, device=device).view(1, 3, 1, 1)


def _resize(pixels: torch.Tensor, size_hw: tuple[int, int], mode: str) -> torch.Tensor:
    import torch
    from torch.nn.functional import interpolate

    if tuple(pixels.shape[-2:]) == size_hw:
        return pixels
    if pixels.dtype == torch.uint8 and pixels.device.type != "cpu":
        pixels = pixels.float()  # there the kernel has no 8-bit form
    resized = interpolate(pixels, size_hw, mode=mode, antialias=True, align_corners=False)
    return resized if resized.dtype == torch.uint8 else resized.round().clamp(0, 255)


def _nearest(length: float, multiple: int) -> int:
    return round(length / multiple) * multiple


def _up(length: float, multiple: int) -> int:
    return math.ceil(length / multiple) * multiple


def _three(values: Any) -> tuple[float, float, float]:
    r, g, b = (float(v) for v in values)
    return r, g, b
