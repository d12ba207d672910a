"""The training loop: one optimiser step after another, from batches that are a function of the step.

As batch k is always the same batch, a run that was killed goes on from its last checkpoint as if nothing had
happened.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from depth3d.errors import CheckpointError, ModelError
from depth3d.io.atomic import writing
from depth3d.train.losses import gradient_matching_loss, silog_loss, ssi_loss

__all__ = ["Batch", "Objective", "Progress", "Recipe", "train"]

Objective = Callable[[torch.Tensor, "Batch"], dict[str, torch.Tensor]]
"""(prediction (n, h, w), batch) -> named losses, whose sum is minimised."""

Progress = Callable[[int, int, Mapping[str, float]], None]
"""Told (steps done, steps in all, losses of this step)."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Samples of one size.

    Attributes:
        pixels: (n, 3, h, w) float32, normalised for the network.
        target: (n, h, w) float32, NaN where unknown.
        exact: (n, h, w) bool.
    """

    pixels: torch.Tensor
    target: torch.Tensor
    exact: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """Copy to a device."""
        pixels = self.pixels.to(device).contiguous(memory_format=torch.channels_last)
        return Batch(pixels, self.target.to(device), self.exact.to(device))


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained.

    Attributes:
        steps: Optimiser steps in all.
        encoder_rate: Largest learning rate of the encoder.
        decoder_rate: Largest learning rate of everything else.
        warm_up_steps: Over which the rates rise from 0; afterwards they fall to 0 along half a cosine.
        weight_decay: Of AdamW.
        ema_decay: Of the running mean of the weights, which is what a run gives in the end.
        largest_gradient: The norm at which gradients are clipped.
        checkpoint_steps: Steps between checkpoints.
        bfloat16: Whether convolutions and products are computed in bfloat16.
    """

    steps: int
    encoder_rate: float = 5e-6
    decoder_rate: float = 5e-5
    warm_up_steps: int = 100
    weight_decay: float = 0.01
    ema_decay: float = 0.999
    largest_gradient: float = 1.0
    checkpoint_steps: int = 200
    bfloat16: bool = False

    def rate_share(self, step: int) -> float:
        """Give the share of the largest rate that holds in a step, counted from 0."""
        if step < self.warm_up_steps:
            return (step + 1) / self.warm_up_steps
        done = (step - self.warm_up_steps) / max(1, self.steps - self.warm_up_steps)
        return float(0.5 + 0.5 * torch.cos(torch.tensor(min(done, 1.0) * torch.pi)))


def relative_objective(trim: float = 0.2, gradient_weight: float = 2.0) -> Objective:
    """Make the loss of relative training, Depth Anything V2's: invariant plus twice gradient matching.

    Where a sample is exact, gradients are matched down to the pixel. Elsewhere only at the coarser scales
    (every 4th and 8th pixel), as the edges of a pseudo-label are not where the object's are.

    Args:
        trim: Share of the worst pixels that is left out, among those that are not exact.
        gradient_weight: Of gradient matching.
    """

    def objective(prediction: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        known = torch.isfinite(batch.target)
        target = batch.target.nan_to_num()
        invariant = ssi_loss(prediction, target, known, trim=trim, exact=batch.exact)
        fine = gradient_matching_loss(prediction, target, known, matched=batch.exact)
        coarse = gradient_matching_loss(prediction, target, known, matched=~batch.exact, scales=(2, 3))
        return {"invariant": invariant, "gradient": gradient_weight * (fine + coarse)}

    return objective


def metric_objective() -> Objective:
    """Make the loss of metric training: SiLog on metres."""

    def objective(prediction: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        known = torch.isfinite(batch.target)
        return {"silog": silog_loss(prediction, batch.target.nan_to_num(), known)}

    return objective


def train(
    network: torch.nn.Module,
    encoder: torch.nn.Module,
    batches: Callable[[range], Iterable[Batch]],
    objective: Objective,
    recipe: Recipe,
    folder: Path,
    *,
    device: torch.device | None = None,
    watchers: Sequence[Progress] = (),
    inspect: Callable[[int, torch.nn.Module], None] | None = None,
) -> torch.nn.Module:
    """Train a network, or go on with it.

    Args:
        network: Takes `pixel_values`, gives `predicted_depth`; changed in place.
        encoder: The part of it that trains at the encoder's rate.
        batches: Gives the batches of a range of steps.
        objective: What is minimised.
        recipe: How.
        folder: Where `checkpoint.pt` and `losses.csv` are kept; a run goes on from the checkpoint there.
        device: Where to train; None is the CPU.
        watchers: Told after each step.
        inspect: Called with the step and the averaged network at each checkpoint.

    Returns:
        The network whose weights are the running mean, in evaluation mode.

    Raises:
        CheckpointError: The checkpoint in the folder is damaged or of another network.
        ModelError: A loss is no longer finite. Nothing of that step is kept.
    """
    device = device or torch.device("cpu")
    folder.mkdir(parents=True, exist_ok=True)
    network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    average = get_ema_multi_avg_fn(recipe.ema_decay)  # type: ignore[no-untyped-call]
    mean = AveragedModel(network, multi_avg_fn=average, use_buffers=True)
    of_encoder = {id(p) for p in encoder.parameters()}
    rest = [p for p in network.parameters() if id(p) not in of_encoder]
    groups = [
        {"params": list(encoder.parameters()), "lr": recipe.encoder_rate},
        {"params": rest, "lr": recipe.decoder_rate},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, recipe.rate_share)
    state = {"network": network, "mean": mean, "optimiser": optimiser, "schedule": schedule}
    first = _resume(folder / "checkpoint.pt", state)
    began = time.monotonic() - _forget(folder / "losses.csv", first)
    for step, batch in enumerate(batches(range(first, recipe.steps)), start=first):
        losses = _step(network, batch.to(device), objective, optimiser, recipe)
        schedule.step()
        mean.update_parameters(network)
        _record(folder / "losses.csv", step, time.monotonic() - began, losses)
        for watch in watchers:
            watch(step + 1, recipe.steps, losses)
        if (step + 1) % recipe.checkpoint_steps == 0 or step + 1 == recipe.steps:
            _keep(folder / "checkpoint.pt", step + 1, state)
            if inspect is not None:
                inspect(step + 1, mean.module.eval())
    return mean.module.eval()


def _step(
    network: torch.nn.Module,
    batch: Batch,
    objective: Objective,
    optimiser: torch.optim.Optimizer,
    recipe: Recipe,
) -> dict[str, float]:
    with torch.autocast(batch.pixels.device.type, torch.bfloat16, enabled=recipe.bfloat16):
        prediction = network(pixel_values=batch.pixels).predicted_depth
    losses = objective(prediction.float(), batch)
    values = {name: float(loss.detach()) for name, loss in losses.items()}
    if not all(math.isfinite(value) for value in values.values()):
        raise ModelError(f"training diverged, with a loss of {values}; train at lower rates")
    optimiser.zero_grad(set_to_none=True)
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.largest_gradient)
    optimiser.step()
    return values


def _resume(path: Path, state: Mapping[str, object]) -> int:
    """Load a checkpoint where there is one; give the number of steps that it has done."""
    if not path.exists():
        return 0
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
        for name, part in state.items():
            part.load_state_dict(kept[name])  # type: ignore[attr-defined]
        return int(kept["steps"])
    except Exception as error:  # zipfile, pickle and torch each raise their own
        raise CheckpointError(
            f"{path} is damaged or of another network; remove it to begin anew, or train in another folder"
        ) from error


def _keep(path: Path, steps: int, state: Mapping[str, object]) -> None:
    """Write a checkpoint under another name and rename it: a kill leaves the old one or the new one."""
    whole = {name: part.state_dict() for name, part in state.items()}  # type: ignore[attr-defined]
    partial = path.with_suffix(".partial")
    torch.save({"steps": steps, **whole}, partial)
    partial.replace(path)


def _forget(path: Path, steps: int) -> float:
    """Drop the losses of steps that will be done again; give the seconds at the last of the others."""
    if steps == 0 or not path.exists():
        path.unlink(missing_ok=True)
        return 0.0
    with path.open(newline="") as file:
        head, *rows = csv.reader(file)
    rows = [row for row in rows if len(row) == len(head) and int(row[0]) < steps]
    with writing(path) as partial, partial.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return float(rows[-1][1]) if rows else 0.0


def _record(path: Path, step: int, seconds: float, losses: Mapping[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["step", "seconds", *losses])
        writer.writerow([step, f"{seconds:.1f}", *(f"{loss:.5f}" for loss in losses.values())])
