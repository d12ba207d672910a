"""One forward pass: images of one size in, fields out, in a number format that holds."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from depth3d.accel.devices import memory_format
from depth3d.accel.tensors import tensor_view
from depth3d.core.arrays import ImageArray
from depth3d.core.depth import DepthMap
from depth3d.core.stages import stage
from depth3d.estimate.alignment import aligned_error
from depth3d.estimate.backends.openvino_blobs import Blob
from depth3d.estimate.backends.trials import TrialForm
from depth3d.estimate.outputs import OutputMeaning
from depth3d.estimate.preprocess import InputRule, to_network

__all__ = [
    "HALF_PRECISION_TOLERANCE",
    "DepthNetwork",
    "NetworkInput",
    "NetworkOutput",
    "agrees",
    "settle_precision",
    "trial_image",
]

_log = logging.getLogger("depth3d")

HALF_PRECISION_TOLERANCE = 1e-2
"""Largest root mean square deviation from float32 after affine alignment, as a share of the span.

The Small architecture with random weights in bfloat16 on a CPU with AVX512-BF16, at 518 x 686: 0.3e-2
(largest single deviation 1.6e-2); in float16 0.04e-2 (0.2e-2).
"""


@dataclass(frozen=True, slots=True, eq=False)
class NetworkInput:
    """One image as it is to be shown.

    Attributes:
        image: (H, W, 3) uint8.
        size_hw: (height, width) in pixels at which the network sees it.
        flip: Whether left and right are swapped.
        prompt: Metric depth, for networks that take it.
    """

    image: ImageArray
    size_hw: tuple[int, int]
    flip: bool = False
    prompt: DepthMap | None = None


@dataclass(frozen=True, slots=True, eq=False)
class NetworkOutput:
    """What a network says of one image.

    Attributes:
        field: (h, w) float32 disparity or inverse depth, on the device.
        fov_x_deg: Horizontal field of view in degrees, if the network says that.
        is_sound: On a GPU, where a look at it would wait for all of the batch: a bool of no dimensions, the
            same for all of the batch, whether the number format reached far enough. None is yes.
    """

    field: torch.Tensor
    fov_x_deg: float | None
    is_sound: torch.Tensor | None = None


class DepthNetwork:
    """A network with the meaning of its numbers.

    Args:
        network: Takes `pixel_values`, gives `predicted_depth`; on `device` already.
        meaning: Of its output.
        rule: How it wants its images.
        device: Where it is.
    """

    def __init__(
        self, network: torch.nn.Module, meaning: OutputMeaning, rule: InputRule, device: torch.device
    ) -> None:
        self._network = network
        self._meaning = meaning
        self._rule = rule
        self._device = device

    @property
    def dtype(self) -> torch.dtype:
        """The number format of the weights."""
        return _dtype_of(self._network)

    @property
    def blob(self) -> Blob | None:
        """The file of the compiled network that OpenVINO or ONNX Runtime runs, if one does."""
        return getattr(self._network, "blob", None)

    def bytes_per_image(self, input_size: int) -> float:
        """Estimate what one 16:9 image takes while it passes.

        Args:
            input_size: Shorter side in pixels.

        Returns:
            Bytes: four feature maps of the decoder's width at full resolution, which is where the
            memory peaks. It need not be exact: batches that don't fit are halved.
        """
        height, width = self._rule.size_hw
        if self._rule.takes_any_size:
            height, width = input_size, math.ceil(input_size * 16 / 9)
        config = getattr(self._network, "config", None)
        channels = int(getattr(config, "fusion_hidden_size", 256))
        return 4.0 * height * width * channels * (4 if self.dtype is torch.int8 else self.dtype.itemsize)

    def run(self, batch: Sequence[NetworkInput]) -> list[NetworkOutput]:
        """Show a batch to the network.

        Where float16 overflows the network goes on in float32: at once, or on CUDA when its caller has found
        out by `is_sound` and says so by `widen`. CUDA is not waited for, but for a field of view.

        Args:
            batch: Images whose `size_hw` (and prompts' sizes) are equal.

        Returns:
            One output an image.
        """
        with torch.inference_mode():
            with stage("preparing the image"):
                pixels = torch.cat(
                    [to_network(i.image, self._rule, i.size_hw, self._device, flip=i.flip) for i in batch]
                ).contiguous(memory_format=memory_format(self._device))
                prompts = [_prompt(i, self._device) for i in batch if i.prompt is not None]
            raw, angles = self._forward(pixels, torch.stack(prompts) if prompts else None)
            is_sound = torch.isfinite(raw).all() if self.dtype == torch.float16 else None
            if is_sound is not None and self._device.type != "cuda":
                if not bool(is_sound):
                    self.widen()
                    raw, angles = self._forward(pixels, torch.stack(prompts) if prompts else None)
                is_sound = None
            return [
                NetworkOutput(self._meaning.to_field(one, angle), angle, is_sound)
                for one, angle in zip(raw, angles, strict=True)
            ]

    def widen(self) -> None:
        """Go on in float32, if it is float16 that the network runs in.

        Some weights overflow in half precision: a wrong map is worse than a slow one. bfloat16 reaches as far
        as float32 does.
        """
        if self.dtype == torch.float16:
            _log.warning("%s overflowed on this image; going on in float32", self.dtype)
            self._network = self._network.float()

    @stage("network")
    def _forward(
        self, pixels: torch.Tensor, prompts: torch.Tensor | None
    ) -> tuple[torch.Tensor, list[float | None]]:
        extra = {} if prompts is None else {"prompt_depth": prompts.to(self.dtype)}
        # What was compiled takes its pixels in float32, whatever it goes on in.
        taken = getattr(self._network, "input_dtype", self.dtype)
        output = self._network(pixel_values=pixels.to(taken), **extra)
        angles = getattr(output, "field_of_view", None)
        fov_x_deg = [None] * len(pixels) if angles is None else angles.float().flatten().tolist()
        return output.predicted_depth.float(), fov_x_deg


def settle_precision(
    network: torch.nn.Module,
    preferred: torch.dtype,
    rule: InputRule,
    device: torch.device,
    fit: Callable[[torch.nn.Module], torch.nn.Module] | None = None,
    remembered: Callable[[Callable[[], TrialForm]], TrialForm] | None = None,
) -> torch.nn.Module:
    """Convert a network to a faster number format if that leaves its output where it was.

    Args:
        network: In float32, on the device; not to be used any more, since it may be converted itself.
        preferred: The format that the device computes in fastest.
        rule: How the network wants its images.
        device: Where it is.
        fit: Gives the form that a network is to run in, which may be the network itself.
        remembered: Gives the outcome of a trial, or remembers that of an earlier one; None always tries.

    Returns:
        The network in `preferred`, fitted or else as it is, if a trial image comes out within
        `HALF_PRECISION_TOLERANCE`; else in float32, fitted. Architectures of one large fixed size stay in
        float32 on a CPU, where the trial alone would take longer than what it saves.
    """
    tried: dict[TrialForm, torch.nn.Module] = {}

    def trial() -> TrialForm:
        faster = copy.deepcopy(network).to(preferred)
        forms: dict[TrialForm, torch.nn.Module] = {"fitted": fit(faster)} if fit else {}
        if faster not in forms.values():
            forms["plain"] = faster
        for name, form in forms.items():
            if agrees(form, network, rule, device, preferred):
                tried[name] = form
                return name
        return "float32"

    outcome: TrialForm = "float32"
    if preferred != torch.float32 and (device.type != "cpu" or rule.takes_any_size):
        outcome = remembered(trial) if remembered else trial()
    if outcome in tried:
        return tried[outcome]
    if outcome != "float32":
        network = network.to(preferred)
    return fit(network) if fit and outcome != "plain" else network


def agrees(
    faster: torch.nn.Module,
    network: torch.nn.Module,
    rule: InputRule,
    device: torch.device,
    dtype: torch.dtype,
) -> bool:
    """Tell whether a faster form of a network gives the same map of a trial image.

    Args:
        faster: The form in question.
        network: In float32.
        rule: How both want their images.
        device: Where both are.
        dtype: The number format of the faster form.

    Returns:
        Whether they agree within `HALF_PRECISION_TOLERANCE`.
    """
    height, width = (8 * rule.multiple, 11 * rule.multiple) if rule.takes_any_size else rule.size_hw
    pixels = trial_image(height, width).to(device)
    taken = getattr(faster, "input_dtype", dtype)
    with torch.inference_mode():
        reference = network(pixel_values=pixels).predicted_depth.float()
        try:
            result = faster(pixel_values=pixels.to(taken)).predicted_depth.float()
        except RuntimeError as error:  # an architecture that mixes formats inside
            _log.info("%s does not run (%s); using float32", dtype, str(error).splitlines()[0])
            return False
    error_share = aligned_error(result, reference)
    if error_share > HALF_PRECISION_TOLERANCE:
        _log.info("%s is off by %.1f %% of the span; using float32", dtype, 100 * error_share)
    return error_share <= HALF_PRECISION_TOLERANCE


def trial_image(height: int, width: int) -> torch.Tensor:
    """Make a picture to compare forms of a network by.

    Args:
        height: In pixels.
        width: In pixels.

    Returns:
        (1, 3, height, width) normalised colours with gradients, blocks and texture.
    """
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, 3, 6, 8, generator=generator)
    image = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)
    blocks = torch.nn.functional.interpolate(torch.randn(1, 3, 4, 5, generator=generator), (height, width))
    texture = 0.2 * torch.randn(1, 3, height, width, generator=generator)
    return (0.7 * image + 0.7 * blocks + texture).contiguous(memory_format=torch.channels_last)


def _prompt(item: NetworkInput, device: torch.device) -> torch.Tensor:
    """Give (1, h, w) metres; a constant map gets the tiny variation without which the range is 0/0."""
    assert item.prompt is not None
    values = tensor_view(item.prompt.values)[None].clone()
    if bool(values.max() == values.min()):
        values[0, 0, 0] += 1e-6 * values.max()
    values = values.to(device)
    return values.flip(-1) if item.flip else values


def _dtype_of(network: torch.nn.Module) -> torch.dtype:
    stated = getattr(network, "dtype", None)
    return stated if isinstance(stated, torch.dtype) else next(network.parameters()).dtype
