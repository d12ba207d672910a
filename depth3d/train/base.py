"""`Base`: the network that fine-tuning starts from, made ready to learn disparity or metres."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from depth3d.core.depth import DepthKind
from depth3d.errors import CheckpointError, InputError
from depth3d.estimate.checkpoints import LoadedModel, load_checkpoint
from depth3d.estimate.hub import locate_weights
from depth3d.estimate.outputs import OutputMeaning, RawOutput
from depth3d.estimate.registry import ModelCard
from depth3d.train.loop import Batch

__all__ = ["Base", "load_base"]

_USUAL_MAX_DEPTH_M = 20
_FURTHEST_SHARE = 0.99
"""Of the range: beyond it the logit grows without bound."""


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """A network to fine-tune.

    Attributes:
        card: What is known of it.
        loaded: Its network (trainable), what its output means, and how it wants its images.
        folder: Its directory, if it came in one.
        max_depth_m: The range in metres that the fine-tuned network will have; None for relative depth.
    """

    card: ModelCard
    loaded: LoadedModel
    folder: Path | None
    max_depth_m: int | None

    @property
    def licence(self) -> str:
        """The SPDX identifier of the weights' licence, or `unknown`.

        Weights of a directory have the licence that its model card states: those that were fine-tuned
        from non-commercial ones stay so however often they are fine-tuned again.
        """
        if self.card.licence != "unknown" or self.folder is None:
            return self.card.licence
        try:
            text = (self.folder / "README.md").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return "unknown"
        stated = re.match(r"---\n(?:.*\n)*?license: *([\w.+-]+)", text)
        known = {"apache-2.0": "Apache-2.0", "cc-by-nc-4.0": "CC-BY-NC-4.0", "other": "unknown"}
        return known.get(stated[1].lower(), stated[1]) if stated else "unknown"

    @property
    def needs_refit(self) -> bool:
        """Whether the last layer does not speak in metres of the wanted range yet."""
        return self.max_depth_m is not None and self.loaded.meaning.max_depth_m != self.max_depth_m

    def refitted(self, batch: Batch) -> Base:
        """Let the network speak in metres: refit its last layer to depths that are known.

        A metric network says `max_depth * sigmoid(a)`, where a relative one says `max(a, 0)`. Both `a`
        order things by distance, and an affine change of the one, which the last 1 x 1 convolution takes in,
        comes near the other: its two numbers are the least squares that bring `a` to the logits of the
        known depths. The published recipe draws a new decoder instead, which takes more photos to train.

        Args:
            batch: Photos with z in metres.

        Returns:
            The base with the wanted range; its network is changed in place.

        Raises:
            InputError: No depth of the batch is known and within the range.
        """
        assert self.max_depth_m is not None
        network: Any = self.loaded.network
        seen: list[torch.Tensor] = []
        hook = network.head.conv3.register_forward_hook(lambda module, args, output: seen.append(output))
        try:
            with torch.no_grad():
                network(pixel_values=batch.pixels)
        finally:
            hook.remove()
        known = torch.isfinite(batch.target) & (batch.target <= self.max_depth_m)
        if not bool(known.any()):
            raise InputError(
                f"none of the depths looked at is within {self.max_depth_m} m; check the files' unit "
                "(--png-scale) or raise --max-depth-m (max_depth_m)"
            )
        share = (batch.target[known] / self.max_depth_m).clamp(1 - _FURTHEST_SHARE, _FURTHEST_SHARE)
        slope, offset = _line(seen[0][:, 0][known].double(), torch.logit(share.double()))
        with torch.no_grad():
            network.head.conv3.weight.mul_(slope)
            network.head.conv3.bias.mul_(slope).add_(offset)
        network.head.activation2 = torch.nn.Sigmoid()
        network.head.max_depth = self.max_depth_m
        meaning = OutputMeaning(RawOutput.DEPTH_M, DepthKind.METRIC, float(self.max_depth_m))
        return replace(self, loaded=replace(self.loaded, meaning=meaning))


def load_base(model: str | Path, *, metric: bool, max_depth_m: int | None = None) -> Base:
    """Load the network to start from.

    Args:
        model: A name of `depth3d models`, a hub id, a directory, or a file; Depth Anything of any version.
        metric: Whether it is to learn metres.
        max_depth_m: The range in metres of a metric network; None is the base's own, or 20.

    Returns:
        The base, on the CPU, trainable.

    Raises:
        InputError: The network is of another family, or metric and asked to learn disparity.
        ModelError: It can't be had or can't be loaded.
    """
    card, path = locate_weights(model)
    try:
        loaded = load_checkpoint(path, name=card.name, trainable=True)
    except CheckpointError:
        if max_depth_m is None:
            raise
        # Metric weights that do not tell their range: it is the one that was asked for.
        loaded = load_checkpoint(path, max_depth_m=max_depth_m, name=card.name, trainable=True)
    if loaded.model_type != "depth_anything":
        raise InputError(
            f"{card.name} is a {loaded.model_type} network, and only Depth Anything can be fine-tuned; "
            "use --model small"
        )
    own_m = loaded.meaning.max_depth_m
    if own_m is not None and not metric:
        raise InputError(
            f"{card.name} gives metres; add --metric (metric=True), or start from a relative one, say small"
        )
    if metric and max_depth_m is None:
        if own_m is not None and own_m != round(own_m):
            raise InputError(
                f"{card.name} reaches {own_m:g} m, and transformers takes whole metres; give --max-depth-m"
            )
        max_depth_m = _USUAL_MAX_DEPTH_M if own_m is None else round(own_m)
    loaded.network.requires_grad_(requires_grad=True)
    return Base(card, loaded, path if path.is_dir() else None, max_depth_m)


def _line(x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    """Fit y = slope * x + offset by least squares."""
    apart = x - x.mean()
    spread = float(apart.square().sum())
    slope = float((apart * (y - y.mean())).sum()) / spread if spread > 0 else 0.0
    return slope, float(y.mean()) - slope * float(x.mean())
