"""The photos that `mini` learns from, and their labels, in memory."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from depth3d.train.samples import Sample

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def load_photo(path: Path) -> np.ndarray:
    """Read one as (h, w, 3) uint8 RGB."""
    return cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def load_photos(folder: Path, names: set[str] | None = None) -> dict[str, np.ndarray]:
    """Read the photos of a folder, or those of some names."""
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    return {p.stem: load_photo(p) for p in paths if names is None or p.stem in names}


class LabelledPhotos:
    """Photos with the teacher's disparity, as training samples without exact edges."""

    def __init__(self, photos: Path, labels: Path) -> None:
        maps = {p.stem: np.load(p) for p in sorted(labels.glob("*.npy"))}
        pictures = load_photos(photos, set(maps))
        self.names = list(pictures)
        self.pictures = [pictures[name] for name in self.names]
        self._maps = [maps[name] for name in self.names]

    def __len__(self) -> int:
        return len(self.names)

    def load(self, index: int) -> Sample:
        """Give a photo at the size of its label."""
        disparity = self._maps[index].astype(np.float32)
        height, width = disparity.shape
        image = cv2.resize(self.pictures[index], (width, height), interpolation=cv2.INTER_AREA)
        return Sample(image, disparity, np.zeros(disparity.shape, dtype=np.bool_))


class RenderedScenes:
    """Scenes that `render_scenes.py` left in a folder, as exact training samples."""

    def __init__(self, folder: Path) -> None:
        self._paths = sorted(folder.glob("*.npz"))

    def __len__(self) -> int:
        return len(self._paths)

    def load(self, index: int) -> Sample:
        """Read one."""
        with np.load(self._paths[index]) as kept:
            image = cv2.cvtColor(cv2.imdecode(kept["image"], cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
            disparity = kept["disparity"].astype(np.float32)
        return Sample(image, disparity, np.ones(disparity.shape, dtype=np.bool_))
