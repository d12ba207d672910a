"""`finetune`: adapt Depth Anything to your own photos with depth.

Follows the training of Depth Anything V2 (Yang et al., NeurIPS 2024): the encoder at a tenth of the decoder's
rate, scale-and-shift-invariant loss with gradient matching for disparity, SiLog for metres.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from depth3d.accel.batches import is_out_of_memory
from depth3d.accel.devices import resolve_device
from depth3d.core.arrays import ImageArray
from depth3d.core.depth import DepthMap
from depth3d.errors import Depth3DError, DeviceError, FileError, InputError
from depth3d.estimate.estimator import DepthEstimator
from depth3d.train.augment import Augmentation, fitted
from depth3d.train.base import Base, load_base
from depth3d.train.batches import Mixture, Source, collated
from depth3d.train.folder import FolderSamples
from depth3d.train.loop import Progress, metric_objective, relative_objective, train
from depth3d.train.run_folder import RunFolder
from depth3d.train.samples import Sample, SyntheticSamples
from depth3d.train.saving import model_card_text, save_network
from depth3d.train.settings import FinetuneSettings
from depth3d.train.validation import FolderExamples, Validation

__all__ = ["Finetuned", "finetune"]

_REFIT_PHOTOS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Finetuned:
    """What a fine-tuning run gave.

    Attributes:
        folder: The directory of the network.
        base: Name of the network that it started from.
        licence: Of the base's weights, which binds the result's: an SPDX identifier or `unknown`.
        kind: `relative` or `metric`.
        max_depth_m: The range in metres of a metric network.
        steps: Optimiser steps.
        photos: Number of photos trained on.
        validation_photos: Number of photos kept for validation.
        before: Measure -> mean over the validation photos before training.
        after: The same afterwards.
        seconds: Wall time of this call; what a run did before it was stopped is not in it.
    """

    folder: Path
    base: str
    licence: str
    kind: str
    max_depth_m: int | None
    steps: int
    photos: int
    validation_photos: int
    before: Mapping[str, float]
    after: Mapping[str, float]
    seconds: float

    def summary(self) -> dict[str, Any]:
        """Give it as JSON types."""
        return asdict(self) | {"folder": str(self.folder)}


def finetune(
    model: str | Path,
    data: str | Path,
    out: str | Path,
    settings: FinetuneSettings | None = None,
    *,
    device: str = "auto",
    workers: int | None = None,
    overwrite: bool = False,
    watch: Progress | None = None,
) -> Finetuned:
    """Fine-tune a network on a folder of photos with depth.

    A run that was stopped goes on from its last checkpoint when it is called again in the same way.

    Args:
        model: Where to start: a name of `depth3d models`, a hub id, a directory, or a `.pth` file of Depth
            Anything. A relative network can be taught metres.
        data: A directory as `FolderSamples` reads it: `a.jpg` with `a_depth.png`, or `rgb/` and `depth/`.
        out: A directory that `DepthEstimator.from_pretrained` and `transformers` load afterwards. The
            losses, the scores and a sheet of pictures are in `training/` inside; so is the checkpoint until
            the run is done.
        settings: How; None takes the defaults.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        workers: Processes that read photos; None is none on a CPU, and up to 8 beside a GPU. They do not
            change the result.
        overwrite: Whether a finished network, or a run with other settings, in `out` may be replaced.
        watch: Told (steps done, steps in all, losses) after each step.

    Returns:
        What came of it, with the scores before and after.

    Raises:
        InputError: The settings, the network or the photos do not go together, or no depth is known.
        FileError: A photo can't be read, or `out` can't be written or is taken.
        ModelError: The network can't be had or can't be loaded, or training diverged.
        DeviceError: The device is not there, or memory is too small for the batch or the workers.
    """
    settings = settings or FinetuneSettings()
    began = time.monotonic()
    where = resolve_device(device)
    run = RunFolder(out)
    _keep_apart(Path(data), Path(model), run.path)
    learned, held_out = _photos(data, settings)
    identity = _identity(model, data, settings, learned, held_out)
    goes_on = run.check(identity, overwrite=overwrite)
    base = load_base(model, metric=settings.metric, max_depth_m=settings.max_depth_m)
    input_size = settings.input_size or base.loaded.rule.own_input_size
    recipe = settings.recipe(len(learned))
    with _plain_errors(settings, input_size, where):
        if base.needs_refit:
            # From all over the folder: its first photos may show one scene.
            few = np.linspace(0, len(learned) - 1, min(_REFIT_PHOTOS, len(learned))).round().astype(int)
            seen = [fitted(learned.load(int(i)), (input_size,) * 2) for i in few]
            base = base.refitted(collated(seen, base.loaded.rule))
        if not goes_on:
            run.begin(identity)
        validation = Validation(FolderExamples(held_out, base.max_depth_m), run.training)
        score = partial(_score, validation, base, input_size, where)
        score(0, base.loaded.network)  # unless a run goes on that has done it
        _check_known(validation.scores[0], base.max_depth_m)
        trained = train(
            base.loaded.network,
            base.loaded.network.backbone,  # type: ignore[arg-type]
            partial(_mixture(learned, settings, base, input_size).over, workers=_workers(workers, where)),
            metric_objective() if settings.metric else relative_objective(),
            recipe,
            run.training,
            device=where,
            watchers=[watch] if watch else [],
            inspect=score,
        )
        score(recipe.steps, trained)  # done already unless the run was stopped just before
    before, after = validation.scores[0], validation.scores[recipe.steps]
    card = model_card_text(
        base,
        settings,
        steps=recipe.steps,
        photos=len(learned),
        held_out=len(held_out),
        before=before,
        after=after,
    )
    save_network(trained, base, run.path, input_size=input_size, card=card)
    (run.training / "checkpoint.pt").unlink(missing_ok=True)
    return Finetuned(
        folder=run.path,
        base=base.card.name,
        licence=base.licence,
        kind=str(base.loaded.meaning.kind),
        max_depth_m=base.max_depth_m,
        steps=recipe.steps,
        photos=len(learned),
        validation_photos=len(held_out),
        before=before,
        after=after,
        seconds=time.monotonic() - began,
    )


# -- data ---------------------------------------------------------------------------------------


def _photos(data: str | Path, settings: FinetuneSettings) -> tuple[FolderSamples, FolderSamples]:
    """Open the folder and keep some photos from training."""
    samples = FolderSamples(
        data,
        metric=settings.metric,
        exact=settings.exact,
        kind=settings.depth_kind,
        png_scale=settings.png_scale,
    )
    if len(samples) < 2:
        raise InputError(f"{data} has one photo with depth, and one is kept for validation; give two or more")
    return samples.split(settings.validation_share, seed=settings.seed)


def _mixture(learned: FolderSamples, settings: FinetuneSettings, base: Base, input_size: int) -> Mixture:
    change = None if base.max_depth_m is None else partial(_within, base.max_depth_m)
    sources = [Source(learned, 1 - settings.synthetic_share, change)]
    if settings.synthetic_share:
        scenes = SyntheticSamples((input_size * 4 // 3, input_size), metric=settings.metric)
        sources.append(Source(scenes, settings.synthetic_share, change))
    return Mixture(
        sources,
        base.loaded.rule,
        [(input_size, input_size)],
        batch_size=settings.batch_size,
        # Enlarging a part of a photo would change its focal length, and with it how far away things look.
        rules=Augmentation(least_share=1.0) if settings.metric else Augmentation(),
        seed=settings.seed,
    )


def _within(max_depth_m: int, sample: Sample, chance: np.random.Generator) -> Sample:
    """Forget what is farther than the network can say."""
    target = np.where(sample.target <= max_depth_m, sample.target, np.float32(np.nan))
    return replace(sample, target=target)


def _identity(
    model: str | Path,
    data: str | Path,
    settings: FinetuneSettings,
    learned: FolderSamples,
    held_out: FolderSamples,
) -> dict[str, Any]:
    """List all that decides what a run gives: it may only go on with the same."""
    names = [path.relative_to(data).as_posix() for path in (*learned.photos, *held_out.photos)]
    photos = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
    read = {"model": str(model), "data": str(Path(data)), "photos": f"{len(names)}, {photos}"}
    return read | asdict(settings)


def _keep_apart(data: Path, model: Path, out: Path) -> None:
    """Refuse to write over what is read."""
    if model.suffix == ".safetensors" and (model.parent / "config.json").exists():
        model = model.parent  # all of it is read
    for name, read in (("photos", data), ("base network", model)):
        if read.exists() and out.resolve().is_relative_to(read.resolve()):
            raise InputError(
                f"{out} is in the directory of the {name}; give another directory for the result"
            )


def _check_known(scores: Mapping[str, float], max_depth_m: int | None) -> None:
    """Refuse photos whose depth is unknown throughout: training would run, and nothing would be learned."""
    if any(math.isfinite(value) for value in scores.values()):
        return
    if max_depth_m is None:
        raise InputError("no depth is known in the photos kept for validation; check depth files and masks")
    raise InputError(
        f"no depth within {max_depth_m} m is known in the photos kept for validation; check the files' unit "
        "(--png-scale) and masks, or raise --max-depth-m (max_depth_m)"
    )


# -- training -----------------------------------------------------------------------------------


def _score(
    validation: Validation,
    base: Base,
    input_size: int,
    device: torch.device,
    step: int,
    network: torch.nn.Module,
) -> None:
    """Score a network in the way in which it will be used."""
    if step in validation.scores:
        return
    estimator = DepthEstimator(
        replace(base.loaded, network=network.eval()),
        card=base.card,
        device=str(device),
        dtype="float32",
        input_size=input_size,
        batch_size=1,
    )

    def predict(image: ImageArray) -> DepthMap:
        return estimator(image)

    validation.run(step, predict)


def _workers(workers: int | None, device: torch.device) -> int:
    if workers is not None:
        return workers
    return 0 if device.type == "cpu" else min(8, os.cpu_count() or 1)


@contextmanager
def _plain_errors(settings: FinetuneSettings, input_size: int, device: torch.device) -> Iterator[None]:
    """Say in one sentence that memory or the disk is full, and what a worker process could not read."""
    try:
        yield
    except Depth3DError as error:
        lines = str(error).splitlines()
        if len(lines) > 1:  # a worker's traceback, whose last line is `module.Type: message`
            raise type(error)(lines[-1].partition(": ")[2]) from error
        raise
    except OSError as error:
        raise FileError(
            f"the system stopped the training: {error.strerror or error}; mend that (free space?) and give "
            "the same command to go on"
        ) from error
    except RuntimeError as error:
        if "DataLoader worker" in str(error):
            raise DeviceError(
                "a process that reads photos was killed, as happens where memory or shared memory is short; "
                "use --workers 0 (workers=0) and give the same command to go on"
            ) from error
        if "inline_container" in str(error):  # how `torch.save` says that its file can't be written
            raise FileError(
                "the checkpoint could not be written; free space and give the same command to go on"
            ) from error
        if not is_out_of_memory(error):
            raise
        smaller = (
            f"--batch-size {settings.batch_size // 2}"
            if settings.batch_size > 1
            else "a smaller --input-size or model"
        )
        raise DeviceError(
            f"out of memory on {device} with {settings.batch_size} photos of {input_size} x {input_size} "
            f"pixels a step; use {smaller}"
        ) from error
