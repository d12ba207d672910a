"""`depth3d train`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from ..console import note, print_json, progress
from ..options import compose, json_option, overwrite_option, verbosity_options

DIRECTORY = click.Path(path_type=Path, file_okay=False)


@click.group(name="train", short_help="Fine-tune a network on your own photos.")
def command() -> None:
    """Train depth networks."""


settings_options = compose(
    click.option("--metric", is_flag=True, help="Learn z in metres instead of relative disparity."),
    click.option(
        "--max-depth-m", type=click.IntRange(1), metavar="M",
        help="Largest depth that a metric network can say.  [default: the base's own, else 20]",
    ),
    click.option(
        "--epochs", type=click.FloatRange(min=0, min_open=True), default=10.0, metavar="N",
        help="How often each photo is seen on average.",
    ),
    click.option("--steps", type=click.IntRange(1), metavar="N", help="Optimiser steps, not --epochs."),
    click.option("--batch-size", type=click.IntRange(1), default=4, metavar="N", help="Photos a step."),
    click.option(
        "--input-size", type=click.IntRange(14), metavar="PIXELS",
        help="Side of the squares to learn from, a multiple of 14.  [default: the base's own, 518]",
    ),
    click.option(
        "--encoder-rate", type=click.FloatRange(0), default=5e-6, metavar="RATE",
        help="Learning rate of the encoder.",
    ),
    click.option(
        "--decoder-rate", type=click.FloatRange(0), default=5e-5, metavar="RATE",
        help="Learning rate of the rest.",
    ),
    click.option(
        "--warm-up-steps", type=click.IntRange(0), metavar="N",
        help="Over which the rates rise.  [default: a tenth of the run, 100 at most]",
    ),
    click.option(
        "--ema-decay", type=click.FloatRange(0, 1, max_open=True), metavar="SHARE",
        help="Of the running mean of the weights.  [default: by the length of the run, 0.999 at most]",
    ),
    click.option(
        "--checkpoint-steps", type=click.IntRange(1), default=200, metavar="N",
        help="Steps between checkpoints, each with a validation.",
    ),
    click.option(
        "--validation-share", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.1,
        metavar="SHARE", help="Of the photos, kept from training.",
    ),
    click.option(
        "--synthetic-share", type=click.FloatRange(0, 1, max_open=True), default=0.0, metavar="SHARE",
        help="Of the samples, taken from rendered scenes, whose edges are exact.",
    ),
    click.option(
        "--dtype", type=click.Choice(["float32", "bfloat16"]), default="float32",
        help="Number format of the training.",
    ),
    click.option("--exact", is_flag=True, help="The depth is true to the pixel, as rendered depth is."),
    click.option(
        "--depth-kind", type=click.Choice(["relative", "metric"]),
        help="What the numbers of all depth files mean; it goes before what files and names say.",
    ),
    click.option(
        "--png-scale", type=click.FloatRange(min=0, min_open=True), metavar="UNITS",
        help="Units a metre of 16-bit PNGs: 1000, 256 (KITTI), 100 (Virtual KITTI) or 5000 (TUM).  "
        "[default: 1000]",
    ),
    click.option(
        "--seed", type=click.IntRange(0), default=0, metavar="N",
        help="Of the split, the crops and the order of photos.",
    ),
)  # fmt: skip


@command.command(name="finetune", short_help="Adapt Depth Anything to photos with depth.")
@click.option(
    "--model",
    default="small",
    metavar="NAME",
    help="Where to start: a name of `depth3d models`, a hub id, a directory, or a .pth file.",
)
@click.option(
    "--data",
    type=DIRECTORY,
    required=True,
    help="Photos and their depth: a.jpg with a_depth.png, or rgb/ and depth/.",
)
@click.option("-o", "--out", "--output", "out", type=DIRECTORY, required=True, help="Where the network goes.")
@overwrite_option
@settings_options
@click.option(
    "--device", default="auto", metavar="DEVICE", envvar="DEPTH3D_DEVICE", show_envvar=True,
    help="auto, cpu, cuda, cuda:1 or mps.",
)  # fmt: skip
@click.option(
    "--workers",
    type=click.IntRange(0),
    metavar="N",
    help="Processes that read photos.  [default: none on a CPU, up to 8 beside a GPU]",
)
@json_option
@verbosity_options
def finetune(
    model: str,
    data: Path,
    out: Path,
    overwrite: bool,
    device: str,
    workers: int | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Fine-tune Depth Anything on photos with depth.

    The result is a directory for --model, here and in transformers. A run that was stopped goes on when the
    same command is given again; its losses, scores and pictures are in OUT/training.

    \b
    depth3d train finetune --model small --data photos/ --out mine/
    depth3d train finetune --data photos/ --out mine/ --metric --max-depth-m 20
    depth3d estimate photo.jpg -o depth.png --model mine/
    """
    from depth3d.train.finetune import finetune as run
    from depth3d.train.settings import FinetuneSettings

    chosen = FinetuneSettings(**settings)
    with ExitStack() as shown:
        advance, done = None, 0

        def watch(step: int, steps: int, losses: Mapping[str, float]) -> None:
            nonlocal advance, done
            if advance is None:
                advance = shown.enter_context(progress("Training", steps))
            advance(step - done)  # the first time all that an earlier run has done
            done = step

        result = run(
            model, data, out, chosen, device=device, workers=workers, overwrite=overwrite, watch=watch
        )
    if "-NC" in result.licence:
        note(f"the base is licensed {result.licence}: the result is not for commercial use either")
    if as_json:
        print_json(result.summary())
        return
    click.echo(f"{result.folder}: {result.base} after {result.steps} steps on {result.photos} photos")
    for name, after in result.after.items():
        if after == after:
            click.echo(f"  {name}: {result.before[name]:.3f} -> {after:.3f}")
