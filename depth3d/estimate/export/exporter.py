"""Write a network as a file for another program, and see that the file gives what PyTorch gives."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from depth3d._version import __version__
from depth3d.core.stages import stage
from depth3d.errors import InputError, ModelError
from depth3d.estimate.alignment import aligned_abs_rel, aligned_error
from depth3d.estimate.backends.graph import INPUT_NAME, OUTPUT_NAME, can_be_exported
from depth3d.estimate.backends.int8 import INT8_TOLERANCE, equalised
from depth3d.estimate.checkpoints import LoadedModel
from depth3d.estimate.export.formats import ExportFormat, Graph
from depth3d.estimate.export.graphs import FromPhoto, InFormat
from depth3d.estimate.network import HALF_PRECISION_TOLERANCE, trial_image
from depth3d.estimate.registry import ModelCard

__all__ = ["EXPORT_TOLERANCE", "ExportPlan", "write_export"]

_LONGEST_PX = 4096
"""Of a side: twice as much takes four times the memory, and this much takes gigabytes."""

EXPORT_TOLERANCE = 1e-4
"""Largest deviation of a file in float32 from PyTorch, as a share of the span; 5e-6 is usual."""

_DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "int8": torch.int8,
}
_TOLERANCES = {torch.int8: INT8_TOLERANCE}
"""Root mean square after affine alignment; of other short formats `HALF_PRECISION_TOLERANCE`."""


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What an exported file is to do.

    Attributes:
        format: Of the file.
        size_wh: (width, height) in pixels at which the network sees images; None is any size.
        precision: `float32`, `float16`, `bfloat16` or `int8`.
        with_preprocessing: Whether it takes (n, H, W, 3) uint8 photos of any size, and not (n, 3, h, w)
            normalised colours.
        at_input_size: Whether its depth has the photo's size, and not the network's.
    """

    format: ExportFormat
    size_wh: tuple[int, int] | None = None
    precision: str = "float32"
    with_preprocessing: bool = False
    at_input_size: bool = False

    def checked(self, loaded: LoadedModel, name: str) -> ExportPlan:
        """Check that a network can be exported so, and fill in the size where one is needed.

        Args:
            loaded: The network.
            name: What to call it.

        Returns:
            The plan to follow.

        Raises:
            InputError: It can't.
        """
        if not can_be_exported(loaded.network):
            raise InputError(
                f"only Depth Anything and mini can be exported, and {name} is neither; use small"
            )
        if self.precision not in self.format.dtypes:
            raise InputError(
                f"{self.format.name} holds {' or '.join(self.format.dtypes)}, not {self.precision}; "
                "choose one of them"
            )
        if self.with_preprocessing and not self.format.takes_photos:
            raise InputError(
                f"preprocessing can't go into {self.format.name}; drop --with-preprocessing, or export onnx"
            )
        if self.at_input_size and not self.with_preprocessing:
            raise InputError("--at-input-size is about photos; add --with-preprocessing")
        size_wh = self.size_wh
        if size_wh is None and (self.with_preprocessing or self.format.name == "coreml"):
            size_wh = (loaded.rule.own_input_size, loaded.rule.own_input_size)
        m = loaded.rule.multiple
        if size_wh is not None and (min(size_wh) < m or any(side % m for side in size_wh)):
            near = "x".join(str(max(1, round(side / m)) * m) for side in size_wh)
            raise InputError(
                f"{name} sees multiples of {m} pixels, got {size_wh[0]}x{size_wh[1]}; use {near}"
            )
        if size_wh is not None and max(size_wh) > _LONGEST_PX:
            raise InputError(
                f"networks are exported for sides of at most {_LONGEST_PX} pixels, got "
                f"{size_wh[0]}x{size_wh[1]}; {name} was made for {loaded.rule.own_input_size}"
            )
        return ExportPlan(self.format, size_wh, self.precision, self.with_preprocessing, self.at_input_size)


def write_export(
    loaded: LoadedModel, card: ModelCard, plan: ExportPlan, path: Path
) -> tuple[list[Path], tuple[float, float] | tuple[None, None], dict[str, str]]:
    """Write a network as a file, and compare what the file gives with what PyTorch gives.

    Args:
        loaded: In float32 on the CPU.
        card: What is known of it.
        plan: From `ExportPlan.checked`.
        path: The file.

    Returns:
        The files that were written; the largest deviation on trial images as a share of the span and AbsRel
        after affine alignment, None where the format can't run here; and what the file says of itself.

    Raises:
        ModelError: The file gives something else.
        DeviceError: The format needs hardware that is not here.
    """
    exact = _module(loaded, plan, torch.float32)
    dtype = _DTYPES[plan.precision]
    # OpenVINO rounds its weights itself, and Core ML decides on its own where to compute in what.
    rounds_itself = plan.format.name in ("openvino", "coreml") and dtype is not torch.int8
    inside = torch.float32 if rounds_itself else dtype
    module = exact if inside is torch.float32 else _module(loaded, plan, inside)
    facts = _facts(loaded, card, plan)
    graph = Graph(module, *_interface(loaded, plan), dtype, facts)
    with stage("writing"):
        files = plan.format.write(graph, path)
    with stage("comparing"):
        return files, _deviation(exact, loaded, plan, path), facts


def _module(loaded: LoadedModel, plan: ExportPlan, dtype: torch.dtype) -> torch.nn.Module:
    if dtype is torch.int8:  # the products become bytes when the file is written
        inner = InFormat(equalised(loaded.network, loaded.rule), torch.float32)
    else:
        network = loaded.network if dtype is torch.float32 else copy.deepcopy(loaded.network)
        inner = InFormat(network, dtype)
    if not plan.with_preprocessing:
        return inner.eval()
    assert plan.size_wh is not None
    width, height = plan.size_wh
    photo = FromPhoto(inner, loaded.rule, loaded.meaning, (height, width), at_input_size=plan.at_input_size)
    return photo.eval()


def _interface(loaded: LoadedModel, plan: ExportPlan) -> tuple[torch.Tensor, str, dict[str, Any], list[Any]]:
    """Give an example, the input's name, the axes of any length, and the range of shapes."""
    m, own = loaded.rule.multiple, loaded.rule.own_input_size
    if plan.with_preprocessing:
        axes = {0: "n", 1: "height", 2: "width"}
        example = torch.zeros(2, 97, 131, 3, dtype=torch.uint8)
        out = axes if plan.at_input_size else {0: "n"}
        return example, "image", {"image": axes, OUTPUT_NAME: out}, []
    if plan.size_wh is not None:
        width, height = plan.size_wh
        if plan.format.name in ("coreml", "tensorrt"):
            shape = (1, 3, height, width)
            return torch.zeros(shape), INPUT_NAME, {}, [shape] * 3
        dynamic = {INPUT_NAME: {0: "n"}, OUTPUT_NAME: {0: "n"}}
        return torch.zeros(2, 3, height, width), INPUT_NAME, dynamic, []
    dynamic = {
        INPUT_NAME: {0: "n", 2: "height", 3: "width"},
        OUTPUT_NAME: {0: "n", 1: "height", 2: "width"},
    }
    sizes = [(1, 3, 3 * m, 3 * m), (1, 3, own, own), (8, 3, 4 * own, 4 * own)]
    return torch.zeros(2, 3, 6 * m, 8 * m), INPUT_NAME, dynamic, sizes


def _facts(loaded: LoadedModel, card: ModelCard, plan: ExportPlan) -> dict[str, str]:
    rule, meaning = loaded.rule, loaded.meaning
    size = "any" if plan.size_wh is None else f"{plan.size_wh[0]}x{plan.size_wh[1]}"
    photo = "(n, H, W, 3) uint8 sRGB, upright"
    tensor = "(n, 3, h, w) float32: RGB / 255, less mean, by std"
    what = "disparity, larger is nearer" if str(meaning.kind) == "relative" else "z in metres"
    where = "of the input" if plan.at_input_size else "of the network"
    return {
        "model": card.name,
        "licence": card.licence,
        "kind": str(meaning.kind),
        "max_depth": "" if meaning.max_depth_m is None else f"{meaning.max_depth_m:g}",
        "mean": " ".join(f"{value:g}" for value in rule.mean),
        "std": " ".join(f"{value:g}" for value in rule.std),
        "multiple": str(rule.multiple),
        "size_wh": size,
        "precision": plan.precision,
        "takes": photo if plan.with_preprocessing else tensor,
        "gives": f"{what}, at the size {where}",
        "depth3d": __version__,
    }


def _deviation(
    exact: torch.nn.Module, loaded: LoadedModel, plan: ExportPlan, path: Path
) -> tuple[float, float] | tuple[None, None]:
    run = plan.format.open(path)
    if run is None:
        return None, None
    worst, loss = 0.0, 0.0
    for given in _trials(loaded, plan):
        with torch.inference_mode():
            expected = exact(given)
        result = torch.from_numpy(np.array(run(given.numpy()), np.float32))
        if result.shape != expected.shape:
            raise ModelError(
                f"the exported file gives {tuple(result.shape)} where PyTorch gives {tuple(expected.shape)}; "
                "it was not kept; report it"
            )
        span = float(expected.max() - expected.min())
        share = float((result - expected).abs().max()) / span if span > 0 else float("inf")
        tolerance = _TOLERANCES.get(_DTYPES[plan.precision], HALF_PRECISION_TOLERANCE)
        is_exact = plan.precision == "float32"
        off = share > EXPORT_TOLERANCE if is_exact else aligned_error(result[0], expected[0]) > tolerance
        if off or not bool(torch.isfinite(result).all()):
            so = "; report it" if is_exact else ": use --precision float32, or report it"
            raise ModelError(
                f"the exported file is off by {100 * share:.2g} % of the span; it was not kept{so}"
            )
        worst = max(worst, share)
        loss = max(loss, aligned_abs_rel(result[0], expected[0]))
    return worst, loss


def _trials(loaded: LoadedModel, plan: ExportPlan) -> list[torch.Tensor]:
    """Make inputs of different sizes, where the file takes such."""
    m = loaded.rule.multiple
    if plan.with_preprocessing:
        colors = [trial_image(*size) for size in ((150, 210), (61, 45))]
        return [
            ((c * 40 + 127).clamp(0, 255).to(torch.uint8)).permute(0, 2, 3, 1).contiguous() for c in colors
        ]
    if plan.size_wh is not None:
        return [trial_image(plan.size_wh[1], plan.size_wh[0]).contiguous()]
    return [trial_image(6 * m, 8 * m).contiguous(), trial_image(9 * m, 5 * m).contiguous()]
