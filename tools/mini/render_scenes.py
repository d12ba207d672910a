"""Render random scenes, covered with photos, once for all epochs of training.

    python tools/mini/render_scenes.py PHOTOS --out SCENES --count 1000

Scene i is a function of i and of the photos; scenes that exist are kept.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from photos import load_photos
from rich.progress import track

from depth3d.train.samples import SyntheticSamples

SIZE_WH = (352, 288)


def main() -> None:
    """Render what is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first-seed", type=int, default=1_000_000)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    photos = list(load_photos(arguments.photos).values())
    scenes = SyntheticSamples(SIZE_WH, photos=photos, first_seed=arguments.first_seed)
    for index in track(range(arguments.count), description="scenes", disable=not sys.stderr.isatty()):
        target = arguments.out / f"{arguments.first_seed + index}.npz"
        if target.exists():
            continue
        sample = scenes.load(index)
        _, image = cv2.imencode(".png", sample.image[..., ::-1])
        np.savez(target, image=image, disparity=sample.target.astype(np.float16))


if __name__ == "__main__":
    main()
