"""Label a folder of photos with the disparity of a teacher network.

    python tools/mini/label_photos.py PHOTOS --teacher DIR --out LABELS

The teacher is Tiefenrausch (Kopf et al., "One Shot 3D Photography", ACM TOG 39(4), 2020), the two Caffe2
files of its public repository. Each photo is read at two scales and mirrored; the four maps are brought to
one mean and spread (disparity is known up to both) and averaged. Pixels that they disagree about become
NaN, and a photo whose maps disagree as a whole gets no label. A label is a `.npy` of (h, w) float16
relative disparity with the photo's name; labels that exist are kept, so that an interrupted run goes on
where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from caffe2_net import Caffe2Net
from photos import SUFFIXES
from rich.progress import track

LONG_SIDES = (384, 512)
MULTIPLE = 32
FURTHEST_SPREAD = 0.25  # of the map's range: beyond it the teacher's own maps disagree about a pixel
LEAST_AGREEMENT = 0.7  # mean correlation of the maps of one photo, each with itself included
LEAST_KNOWN = 0.7  # share of the pixels that they agree about


def teacher_size(width: int, height: int, long_side: int) -> tuple[int, int]:
    """Give the (width, height) at which the teacher reads a photo."""
    scale = long_side / max(width, height)
    across, down = (max(MULTIPLE, int(side * scale) // MULTIPLE * MULTIPLE) for side in (width, height))
    return across, down


def teacher_disparity(teacher: Caffe2Net, photo: np.ndarray, long_side: int) -> np.ndarray:
    """Give the relative disparity of an (h, w, 3) uint8 RGB photo at one scale, and of its mirror image.

    Returns:
        (2, h', w') float32: the map, and the mirrored photo's map mirrored back.
    """
    size = teacher_size(photo.shape[1], photo.shape[0], long_side)
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    both = np.stack([small, small[:, ::-1]]).transpose(0, 3, 1, 2)
    # What the net gives is the logarithm of disparity.
    maps = teacher(torch.from_numpy(np.ascontiguousarray(both)))[:, 0].exp().numpy()
    return np.stack([maps[0], maps[1][:, ::-1]])


def standardised(teacher: Caffe2Net, photo: np.ndarray) -> np.ndarray | None:
    """Give the teacher's maps of a photo, each with mean 0 and variance 1, or None where one is constant.

    Returns:
        (n, h, w) float32, one for each scale and each of the two mirror images, at the finest scale's size.
    """
    finest = teacher_size(photo.shape[1], photo.shape[0], max(LONG_SIDES))
    maps = [
        cv2.resize(one, finest, interpolation=cv2.INTER_LINEAR)
        for long_side in LONG_SIDES
        for one in teacher_disparity(teacher, photo, long_side)
    ]
    if min(one.std() for one in maps) < 1e-6:
        return None
    return np.stack([(one - one.mean()) / one.std() for one in maps])


def label(teacher: Caffe2Net, photo: np.ndarray) -> np.ndarray | None:
    """Average the teacher's maps of a photo, or give None where they do not agree.

    Returns:
        (h, w) float16 disparity from 0 to 1 (5th and 95th percentile at 0.05 and 0.95), NaN where unknown.
    """
    alike = standardised(teacher, photo)
    if alike is None:
        return None
    mean = np.mean(alike, axis=0)
    # Each has variance 1, so the variance of the mean is the mean of all their correlations.
    if mean.var() < LEAST_AGREEMENT:
        return None
    far, near = np.percentile(mean, (5, 95))
    if near - far < 1e-6:
        return None
    known = np.std(alike, axis=0) < FURTHEST_SPREAD * (near - far)
    if known.mean() < LEAST_KNOWN:
        return None
    scaled = 0.05 + 0.9 * (mean - far) / (near - far)
    return np.where(known, scaled, np.nan).astype(np.float16)


def main() -> None:
    """Label every photo of a folder that has no label yet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--teacher", type=Path, required=True, help="directory of tiefenrausch*.pb")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    teacher = Caffe2Net.load(
        arguments.teacher / "tiefenrausch.pb", arguments.teacher / "tiefenrausch_init.pb"
    )
    photos = sorted(p for p in arguments.photos.iterdir() if p.suffix.lower() in SUFFIXES)
    if not photos:
        sys.exit(f"there is no photo in {arguments.photos}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    dropped = 0
    for path in track(photos, description="labels", disable=not sys.stderr.isatty()):
        target = arguments.out / f"{path.stem}.npy"
        if target.exists():
            continue
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
        found = None if bgr is None else label(teacher, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
        if found is None:
            dropped += 1
            continue
        np.save(target, found)
    print(f"{len(list(arguments.out.glob('*.npy')))} labels, {dropped} photos without one", file=sys.stderr)


if __name__ == "__main__":
    main()
