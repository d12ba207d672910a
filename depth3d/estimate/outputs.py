"""What the numbers mean that a depth network gives, from its configuration.

A network's raw map is first turned into a *field*: relative disparity, or inverse depth in 1/m. Both are
affine in the pixel coordinates wherever the scene is a plane, so resizing, averaging and smoothing are
done on fields and planes stay planes; interpolating z itself would bend every floor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from depth3d.core.depth import DepthKind
from depth3d.errors import CheckpointError

if TYPE_CHECKING:
    import torch

__all__ = [
    "FARTHEST_M",
    "NEAREST_M",
    "SUPPORTED_MODEL_TYPES",
    "OutputMeaning",
    "RawOutput",
    "output_meaning",
]

NEAREST_M, FARTHEST_M = 1e-4, 1e4
"""Bounds of metric depth, so that inverses exist; those of Depth Pro's own post-processing."""

SUPPORTED_MODEL_TYPES = {
    "depth_anything": "DepthAnythingForDepthEstimation",
    "depth_pro": "DepthProForDepthEstimation",
    "dpt": "DPTForDepthEstimation",
    "glpn": "GLPNForDepthEstimation",
    "prompt_depth_anything": "PromptDepthAnythingForDepthEstimation",
    "zoedepth": "ZoeDepthForDepthEstimation",
}
"""`model_type` of a configuration -> the class in `transformers` that runs it."""


class RawOutput(str, Enum):
    """What a network's raw map holds."""

    DISPARITY = "disparity"
    """Unitless, larger is nearer."""
    DEPTH_M = "depth_m"
    """z in metres."""
    CANONICAL_INVERSE = "canonical_inverse"
    """Depth Pro: inverse depth for a focal length of one image width."""


@dataclass(frozen=True, slots=True)
class OutputMeaning:
    """How to read a network's raw map.

    Attributes:
        raw: What the raw map holds.
        kind: The kind of the `DepthMap`s that come of it.
        max_depth_m: The largest depth in metres that the network can say, if it has such a bound.
        needs_prompt: Whether it only means something when a metric prompt was given.
    """

    raw: RawOutput
    kind: DepthKind
    max_depth_m: float | None = None
    needs_prompt: bool = False

    def to_field(self, raw: torch.Tensor, fov_x_deg: float | None) -> torch.Tensor:
        """Turn one raw map into a field that is affine on planes.

        Args:
            raw: (h, w) float32 raw output.
            fov_x_deg: The field of view that the network gave with it, if any.

        Returns:
            (h, w) disparity, or inverse depth in 1/m between 1e-4 and 1e4. Depth Pro's canonical
            inverse depth C becomes 1/z = C w/f = 2 C tan(fov/2) (Bochkovskii et al., ICLR 2025, eq. 2).
        """
        if self.raw is RawOutput.DISPARITY or self.kind is DepthKind.RELATIVE:
            return raw
        if self.raw is RawOutput.DEPTH_M:
            return raw.clamp(NEAREST_M, FARTHEST_M).reciprocal()
        widths = 2 * math.tan(math.radians(fov_x_deg if fov_x_deg is not None else math.nan) / 2)
        return (raw * widths).clamp(1 / FARTHEST_M, 1 / NEAREST_M)

    def from_field(self, field: torch.Tensor) -> torch.Tensor:
        """Turn a field into the values of a `DepthMap`: disparity as it is, inverse depth to metres."""
        return field if self.kind is DepthKind.RELATIVE else field.reciprocal()


def output_meaning(config: Mapping[str, Any], *, name: str) -> OutputMeaning:
    """Read the meaning of a network's output from its configuration.

    Args:
        config: Contents of `config.json`.
        name: What to call the checkpoint in a message.

    Returns:
        - `depth_anything` (versions 1 and 2): relative disparity, or z up to `max_depth` metres, as
          `depth_estimation_type` says; version 1 has no such entry and is relative.
        - `depth_pro`: canonical inverse depth; metric together with the field of view that it
          estimates, relative disparity where it was saved without that head.
        - `dpt`: MiDaS disparity (Ranftl et al., 2021); z in metres on a DINOv2 backbone, which is how
          Meta's DINOv2 depth heads for NYU and KITTI are saved.
        - `glpn`, `zoedepth`: z in metres.
        - `prompt_depth_anything`: z in the unit of its prompt, hence metres.

    Raises:
        CheckpointError: Another architecture, or a metric one that does not say its range.
    """
    model_type = config.get("model_type")
    if model_type not in SUPPORTED_MODEL_TYPES:
        raise CheckpointError(
            f"{name} is of type {model_type!r}, which depth3d can't read as depth; "
            f"use one of {', '.join(SUPPORTED_MODEL_TYPES)}"
        )
    max_depth_m = config.get("max_depth")
    if model_type == "depth_anything":
        estimation = config.get("depth_estimation_type", "relative")
        if estimation not in ("relative", "metric"):
            raise CheckpointError(
                f"{name} says depth_estimation_type {estimation!r}; relative and metric are understood"
            )
        if estimation == "relative":
            return OutputMeaning(RawOutput.DISPARITY, DepthKind.RELATIVE)
        if not isinstance(max_depth_m, (int, float)) or not 0 < max_depth_m < math.inf:
            raise CheckpointError(
                f"{name} is metric and its max_depth is {max_depth_m!r}; "
                "give max_depth_m (20 indoor, 80 outdoor)"
            )
        return OutputMeaning(RawOutput.DEPTH_M, DepthKind.METRIC, float(max_depth_m))
    if model_type == "depth_pro":
        metric = bool(config.get("use_fov_model", False))
        kind = DepthKind.METRIC if metric else DepthKind.RELATIVE
        return OutputMeaning(RawOutput.CANONICAL_INVERSE, kind)
    if model_type == "dpt":
        backbone = config.get("backbone_config")
        if isinstance(backbone, Mapping) and backbone.get("model_type") == "dinov2":
            return OutputMeaning(RawOutput.DEPTH_M, DepthKind.METRIC)
        return OutputMeaning(RawOutput.DISPARITY, DepthKind.RELATIVE)
    if model_type == "glpn":
        return OutputMeaning(RawOutput.DEPTH_M, DepthKind.METRIC, float(max_depth_m or 10))
    prompted = model_type == "prompt_depth_anything"
    return OutputMeaning(RawOutput.DEPTH_M, DepthKind.METRIC, needs_prompt=prompted)
