"""`Validation`: how good a network is on photos that it does not learn from, and how that changed."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depth3d.core.arrays import ImageArray
from depth3d.core.depth import DepthKind, DepthMap
from depth3d.errors import InputError
from depth3d.evaluate.scores import score
from depth3d.io.atomic import writing
from depth3d.io.images import save_image
from depth3d.train.augment import fitted
from depth3d.train.folder import FolderSamples
from depth3d.train.samples import Sample
from depth3d.train.sheet import picture_sheet

__all__ = ["MEASURES", "Example", "FolderExamples", "Validation"]

MEASURES = ("abs_rel", "delta1", "spearman", "boundary_f1")
"""Fields of `depth3d.evaluate.scores.Scores`, in the order of the columns of `validation.csv`."""

_MOST_EXAMPLES = 100
_ROWS_OF_SHEET = 8
_LONGEST_SIDE_PX = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A photo and its true depth.

    Attributes:
        image: (H, W, 3) uint8 sRGB.
        truth: Of the same size.
    """

    image: ImageArray
    truth: DepthMap


class FolderExamples(Sequence[Example]):
    """The photos of a folder that validate, in metres wherever their files are.

    Args:
        samples: As for training.
        max_depth_m: What is farther is unknown, as it is in training; None is no limit.
    """

    def __init__(self, samples: FolderSamples, max_depth_m: float | None = None) -> None:
        self._samples = samples
        self._in_metres = samples.in_metres()
        self._max_depth_m = max_depth_m

    def __len__(self) -> int:
        return min(len(self._samples), _MOST_EXAMPLES)

    def __getitem__(self, index: int) -> Example:  # type: ignore[override]  # slices are not needed
        """Read one, at 1024 pixels a side at most."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        try:
            sample, kind = self._in_metres.load(index), DepthKind.METRIC
        except InputError:  # a relative map; a real defect is found again by the next line
            sample, kind = self._samples.load(index), DepthKind.RELATIVE
        sample = _bounded(sample)
        target = sample.target
        if self._max_depth_m is not None:
            target = np.where(target <= self._max_depth_m, target, np.float32(np.nan))
        return Example(sample.image, DepthMap(target, kind))


class Validation:
    """Scores networks on examples, keeps `validation.csv` and draws `sheet.png`.

    Args:
        examples: What to score on.
        folder: Where the files are kept; what an earlier part of the run wrote there is gone on with.
    """

    def __init__(self, examples: Sequence[Example], folder: Path) -> None:
        self._examples = examples
        self._folder = folder
        self._table = folder / "validation.csv"
        self._scores = _read(self._table)

    @property
    def scores(self) -> Mapping[int, Mapping[str, float]]:
        """Step -> measure -> mean over the examples; NaN where it is defined for none of them."""
        return self._scores

    def run(self, step: int, predict: Callable[[ImageArray], DepthMap]) -> Mapping[str, float]:
        """Score a network and draw its maps of the first photos.

        Args:
            step: How long it was trained; a step that was scored already is not scored again.
            predict: Gives the map of a photo, at the photo's size.

        Returns:
            Measure -> mean.
        """
        if step in self._scores:
            return self._scores[step]
        found: list[dict[str, float]] = []
        rows: list[tuple[ImageArray, DepthMap, DepthMap]] = []
        for example in self._examples:
            prediction = predict(example.image)
            result = score(prediction, example.truth)
            found.append({name: float(getattr(result, name)) for name in MEASURES})
            if len(rows) < _ROWS_OF_SHEET:
                rows.append((example.image, example.truth, prediction))
        self._scores[step] = {name: _mean([one[name] for one in found]) for name in MEASURES}
        self._write()
        save_image(picture_sheet(rows), self._folder / "sheet.png")
        return self._scores[step]

    def _write(self) -> None:
        with writing(self._table) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["step", *MEASURES])
            for step, scores in sorted(self._scores.items()):
                cells = [f"{scores[name]:.5f}" if math.isfinite(scores[name]) else "" for name in MEASURES]
                table.writerow([step, *cells])


def _read(path: Path) -> dict[int, dict[str, float]]:
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {
            int(row["step"]): {name: float(row[name] or math.nan) for name in MEASURES}
            for row in csv.DictReader(file)
        }


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def _bounded(sample: Sample) -> Sample:
    """Shrink what is larger than validation needs."""
    height, width = sample.target.shape
    scale = _LONGEST_SIDE_PX / max(height, width)
    return sample if scale >= 1 else fitted(sample, (round(height * scale), round(width * scale)))
