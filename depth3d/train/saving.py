"""Write a fine-tuned network as a directory that depth3d and `transformers` load, with a model card."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from depth3d.errors import FileError
from depth3d.io.atomic import writing
from depth3d.train.base import Base
from depth3d.train.settings import FinetuneSettings

__all__ = ["model_card_text", "save_network"]

_SCRATCH = ".saving."
_TITLES = {
    "abs_rel": "AbsRel (less is better)",
    "delta1": "delta1",
    "spearman": "Spearman",
    "boundary_f1": "boundary F1",
}


def save_network(network: torch.nn.Module, base: Base, folder: Path, *, input_size: int, card: str) -> None:
    """Write `config.json`, `preprocessor_config.json`, `README.md` and at last `model.safetensors`.

    Each appears whole or not at all, the weights after all else: a directory with weights is complete.

    Args:
        network: The averaged network; brought to the CPU.
        base: What it was fine-tuned from.
        folder: Where to; it exists.
        input_size: Side in pixels at which it learned.
        card: Text of the model card.

    Raises:
        FileError: The directory can't be written to.
    """
    whole: Any = network.to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    whole.config.depth_estimation_type = "relative" if base.max_depth_m is None else "metric"
    whole.config.max_depth = 1 if base.max_depth_m is None else base.max_depth_m
    with writing(folder / "preprocessor_config.json") as partial:
        partial.write_text(json.dumps(_preprocessor(base, input_size), indent=2) + "\n", encoding="utf-8")
    with writing(folder / "README.md") as partial:
        partial.write_text(card, encoding="utf-8")
    from safetensors import SafetensorError

    for left in folder.glob(f"{_SCRATCH}*"):  # by a kill
        shutil.rmtree(left, ignore_errors=True)
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=_SCRATCH) as scratch, _no_bar():
            whole.save_pretrained(scratch, max_shard_size="1000GB")
            for name in ("config.json", "model.safetensors"):
                # safetensors gives its files to their owner alone.
                (Path(scratch) / name).chmod((folder / "README.md").stat().st_mode)
                (Path(scratch) / name).replace(folder / name)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(
            f"can't write the network to {folder}: {reason}; free space and run it again"
        ) from error


def model_card_text(
    base: Base,
    settings: FinetuneSettings,
    *,
    steps: int,
    photos: int,
    held_out: int,
    before: Mapping[str, float],
    after: Mapping[str, float],
) -> str:
    """Write the model card: where the weights come from, under which licence, and how good they are.

    Args:
        base: What was fine-tuned.
        settings: How.
        steps: Optimiser steps.
        photos: Number of photos trained on.
        held_out: Number of photos scored on.
        before: Measure -> mean of the base on the photos that were held out.
        after: Measure -> mean of the result.

    Returns:
        Markdown with the header that model hubs read.
    """
    licence = base.licence
    on_hub = base.card.parameters is not None or base.folder is None
    named = base.card.hub_id if on_hub and "/" in base.card.hub_id else ""
    header = [
        "---",
        f"license: {'other' if licence == 'unknown' else licence.lower()}",
        *([f"base_model: {named}"] if named else []),
        "library_name: transformers",
        "pipeline_tag: depth-estimation",
        "---",
    ]
    meaning = (
        "relative disparity: larger is nearer, known up to scale and shift"
        if base.max_depth_m is None
        else f"depth (z) in metres, up to {base.max_depth_m}"
    )
    synthetic = settings.synthetic_share
    recipe = "SiLog" if settings.metric else "scale-and-shift-invariant loss and gradient matching"
    rows = [
        f"| {_TITLES[name]} | {_cell(before[name])} | {_cell(after[name])} |"
        for name in _TITLES
        if math.isfinite(after[name])
    ]
    lines = [
        *header,
        "",
        f"# {base.card.name}, fine-tuned",
        "",
        f"Estimates {meaning}. Fine-tuned with depth3d from {named or base.card.name}.",
        "",
        "## Licence",
        "",
        _licence_text(licence),
        "",
        "## Training",
        "",
        f"{photos} photos with depth"
        + (f", and rendered scenes with exact depth for {synthetic:.0%} of the samples" if synthetic else "")
        + f"; {steps} steps of {settings.batch_size}, {recipe}, AdamW at {settings.encoder_rate:g} (encoder) "
        f"and {settings.decoder_rate:g}, running mean of the weights.",
        "",
        "## Measured",
        "",
        f"Means over {held_out} photos kept from training; relative depth is aligned to the truth first.",
        "",
        "| | before | after |",
        "|---|---|---|",
        *rows,
        "",
        "## Use",
        "",
        "```python",
        "from depth3d import DepthEstimator, load_image",
        "",
        'depth = DepthEstimator.from_pretrained("path/of/this/directory")(load_image("photo.jpg"))',
        "```",
        "",
        "`transformers.AutoModelForDepthEstimation.from_pretrained` loads it too.",
        "",
    ]
    return "\n".join(lines)


@contextmanager
def _no_bar() -> Iterator[None]:
    """Keep the bar of `transformers` off the terminal: progress is ours to show."""
    from transformers.utils import logging as transformers_logging

    had_bar = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if had_bar:
            transformers_logging.enable_progress_bar()


def _licence_text(licence: str) -> str:
    if licence == "unknown":
        return (
            "The weights that this network was fine-tuned from do not state their licence; these are bound "
            "by it all the same. Depth Anything V2 Small is Apache-2.0, Base and Large are CC-BY-NC-4.0."
        )
    if "-NC" in licence:
        return f"{licence}, as its base: these weights are derived from it and not for commercial use either."
    return f"{licence}, as its base."


def _cell(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else ""


def _preprocessor(base: Base, input_size: int) -> dict[str, Any]:
    """Describe how the network wants its images: as its base, at the size at which it learned."""
    rule = base.loaded.rule
    return {
        "image_processor_type": "DPTImageProcessor",
        "do_resize": True,
        "size": {"height": input_size, "width": input_size},
        "keep_aspect_ratio": True,
        "ensure_multiple_of": rule.multiple,
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(rule.mean),
        "image_std": list(rule.std),
        "do_pad": False,
    }
