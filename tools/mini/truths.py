"""Pictures whose depth is known, for measuring: where they are, and how their depth is encoded."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from photos import load_photo

from depth3d.core.arrays import ImageArray
from depth3d.core.depth import DepthMap
from depth3d.train.samples import SyntheticSamples

LONG_SIDE = 640  # larger truths are thinned to this: most hold no more detail than that
FIRST_SEED = 9_000_000  # far from the scenes that are trained on
SIZE_WH = (384, 288)


@dataclass(frozen=True)
class Picture:
    """A picture with its true depth.

    Attributes:
        name: Of the picture, for people.
        group: Pictures that overlap share one, and count as one.
        grade: A, or B where the truth is doubtful.
        image: (H, W, 3) uint8 sRGB.
        truth: Metric or relative, not necessarily of the picture's size.
    """

    name: str
    group: str
    grade: str
    image: ImageArray
    truth: DepthMap


def pairs(folder: Path) -> Iterator[Picture]:
    """Read `x.jpg` with `x_disparity.png`, 8 bit, near is bright."""
    for path in sorted(folder.glob("*_disparity.png")):
        name = path.stem.removesuffix("_disparity")
        disparity = _stored(path).astype(np.float32)
        yield Picture(name, name, "A", load_photo(folder / f"{name}.jpg"), _thinned(disparity, "relative"))


def tum(folder: Path) -> Iterator[Picture]:
    """Read the frame of the TUM RGB-D benchmark, 5000 a metre."""
    truth = _thinned(_metres(_stored(folder / "TUM_depth.png"), 5000), "metric")
    yield Picture("TUM", "tum_open3d", "A", load_photo(folder / "TUM_color.png"), truth)


def redwood(folder: Path) -> Iterator[Picture]:
    """Read `color/x.jpg` with `depth/x.png`, millimetres: frames of one room."""
    for path in sorted((folder / "depth").glob("*.png")):
        truth = _thinned(_metres(_stored(path), 1000), "metric")
        yield Picture(path.stem, "redwood", "A", load_photo(folder / "color" / f"{path.stem}.jpg"), truth)


def rgbd(folder: Path) -> Iterator[Picture]:
    """Read what `index.csv` lists: rgb, depth, type, decode, scene_group, grade."""
    with (folder / "index.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            stored, decode = _stored(folder / row["depth"]), row["decode"]
            if decode == "u8":  # disparity times a scale
                truth = _thinned(np.where(stored > 0, stored, np.nan), "relative")
            elif decode == "f32":
                truth = _thinned(stored, "metric")
            elif decode == "sun":  # the bits are rotated by three
                truth = _thinned(_metres((stored >> 3) | (stored << 13), 1000), "metric")
            elif decode.startswith("u16/"):
                truth = _thinned(_metres(stored, float(decode[4:])), "metric")
            else:
                raise ValueError(f"{folder / 'index.csv'} has an encoding that is unknown here: {decode}")
            yield Picture(
                row["rgb"], row["scene_group"], row["grade"], load_photo(folder / row["rgb"]), truth
            )


def synthetic(count: int) -> Iterator[Picture]:
    """Render scenes with exact depth; the sky has none."""
    scenes = SyntheticSamples(SIZE_WH, metric=True, first_seed=FIRST_SEED, count=count)
    for index in range(count):
        sample, name = scenes.load(index), str(FIRST_SEED + index)
        yield Picture(name, name, "A", sample.image, DepthMap(sample.target, "metric"))


def _stored(path: Path) -> np.ndarray:
    """Read the numbers of a file as they are."""
    if path.suffix == ".npy":
        return np.load(path)
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if stored is None:
        raise ValueError(f"{path} can't be read; is the data set complete?")
    return stored


def _metres(stored: np.ndarray, per_metre: float) -> np.ndarray:
    return np.where((stored == 0) | (stored == 65535), np.nan, stored / per_metre)


def _thinned(values: np.ndarray, kind: str) -> DepthMap:
    """Keep every so manyth pixel of a large map: averaging would put pixels between near and far."""
    height, width = values.shape
    scale = min(1.0, LONG_SIDE / max(height, width))
    rows, cols = (
        ((np.arange(round(side * scale)) + 0.5) * side / round(side * scale)).astype(np.int64)
        for side in (height, width)
    )
    return DepthMap(values[np.ix_(rows, cols)].astype(np.float32), kind)
