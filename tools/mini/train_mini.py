"""Train `mini` from labelled photos and rendered scenes.

    python tools/mini/train_mini.py PHOTOS LABELS SCENES --out RUN

Stops and goes on at will: the checkpoint in RUN holds everything.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from photos import LabelledPhotos, RenderedScenes
from pretrained import load_imagenet

from depth3d.estimate.mini import MINI_RULE, MiniDepth, save_mini
from depth3d.train.batches import Mixture, Source
from depth3d.train.cutouts import with_cutouts
from depth3d.train.loop import Recipe, relative_objective, train
from depth3d.train.norms import add_norms, fold_norms
from depth3d.train.samples import Sample

SIZES_HW = ((256, 320), (320, 256), (288, 288))
HELD_OUT = 40  # every so manyth photo is for validation
CUTOUT_SHARE = 0.6


class Part:
    """Some of a source's samples."""

    def __init__(self, samples: LabelledPhotos | RenderedScenes, indices: list[int]) -> None:
        self._samples, self._indices = samples, indices

    def __len__(self) -> int:
        return len(self._indices)

    def load(self, index: int) -> Sample:
        """Read one."""
        return self._samples.load(self._indices[index])


def maybe_cutouts(sample: Sample, chance: np.random.Generator, pictures: list[np.ndarray]) -> Sample:
    """Paste something over most photos."""
    return with_cutouts(sample, pictures, chance) if chance.random() < CUTOUT_SHARE else sample


def say(step: int, steps: int, losses: Mapping[str, float]) -> None:
    """Print a line now and then."""
    if step % 20 == 0 or step == 1:
        parts = "  ".join(f"{name} {loss:.4f}" for name, loss in losses.items())
        print(f"{step}/{steps}  {parts}", file=sys.stderr, flush=True)


def main() -> None:
    """Train; at each checkpoint, write the averaged weights in half precision."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4400)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)

    labelled, scenes = LabelledPhotos(arguments.photos, arguments.labels), RenderedScenes(arguments.scenes)
    learned = [i for i in range(len(labelled)) if i % HELD_OUT]
    pictures = [labelled.pictures[i] for i in learned]
    mixture = Mixture(
        [
            Source(Part(labelled, learned), 0.62, partial(maybe_cutouts, pictures=pictures)),
            Source(scenes, 0.38),
        ],
        MINI_RULE,
        SIZES_HW,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
    )
    network = MiniDepth()
    load_imagenet(network.encoder)
    add_norms(network, without=[network.encoder, network.disparity])
    recipe = Recipe(arguments.steps, 2e-4, 1e-3, warm_up_steps=200, ema_decay=0.998, checkpoint_steps=250)

    def write(_: int, averaged: torch.nn.Module) -> None:
        plain = copy.deepcopy(averaged)
        assert isinstance(plain, MiniDepth)
        fold_norms(plain)
        save_mini(plain, arguments.out / "mini.safetensors")

    trained = train(
        network,
        network.encoder,
        partial(mixture.over, workers=arguments.workers),
        relative_objective(trim=0.1, gradient_weight=0.4),
        recipe,
        arguments.out,
        watchers=[say],
        inspect=write,
    )
    write(arguments.steps, trained)


if __name__ == "__main__":
    main()
