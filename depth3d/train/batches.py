"""Draw batches from several sources; batch k is the same in every run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from depth3d.estimate.preprocess import InputRule
from depth3d.train.augment import Augmentation, augmented
from depth3d.train.loop import Batch
from depth3d.train.samples import Sample, Samples

__all__ = ["Mixture", "Source", "collated"]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Where samples come from.

    Attributes:
        samples: Numbered samples.
        share: Of the batches' samples, relative to the other sources' shares.
        change: Applied to a sample before it is cropped and recoloured.
    """

    samples: Samples
    share: float = 1.0
    change: Callable[[Sample, np.random.Generator], Sample] | None = None


class Mixture(Dataset[Batch]):
    """Batches by number.

    Args:
        sources: At least one, none of them empty.
        rule: How the network wants its colours.
        sizes_hw: (height, width) in pixels; each batch takes one of them at random.
        batch_size: Samples a batch.
        rules: How samples are varied.
        seed: Another seed gives other batches.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        rule: InputRule,
        sizes_hw: Sequence[tuple[int, int]],
        *,
        batch_size: int,
        rules: Augmentation | None = None,
        seed: int = 0,
    ) -> None:
        self._sources = sources
        self._rule = rule
        self._sizes_hw = sizes_hw
        self._batch_size = batch_size
        self._rules = rules or Augmentation()
        self._seed = seed

    def __getitem__(self, step: int) -> Batch:
        """Make the batch of a step."""
        chance = np.random.default_rng((self._seed, step))
        size_hw = self._sizes_hw[int(chance.integers(len(self._sizes_hw)))]
        shares = np.array([source.share for source in self._sources])
        samples = []
        for which in chance.choice(len(self._sources), self._batch_size, p=shares / shares.sum()):
            source = self._sources[int(which)]
            sample = source.samples.load(int(chance.integers(len(source.samples))))
            if source.change is not None:
                sample = source.change(sample, chance)
            samples.append(augmented(sample, size_hw, self._rules, chance))
        return collated(samples, self._rule)

    def over(self, steps: range, *, workers: int = 0) -> Iterable[Batch]:
        """Give the batches of a range of steps, made ahead of time by worker processes if there are any."""
        return DataLoader(
            self, batch_size=None, sampler=steps, num_workers=workers, prefetch_factor=4 if workers else None
        )


def collated(samples: Sequence[Sample], rule: InputRule) -> Batch:
    """Stack samples of one size and normalise their colours."""
    images = torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (rule.mean, rule.std))
    return Batch(
        (images.float() / 255 - mean) / std,
        torch.from_numpy(np.stack([sample.target for sample in samples])),
        torch.from_numpy(np.stack([sample.exact for sample in samples])),
    )
