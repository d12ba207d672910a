"""The photos that `mini` learns from, and their labels, in memory."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from depth3d.train.samples import Sample

STEEPEST_SLOPE = 0.012  # of the label's span a pixel; floors that fill the picture reach 0.004
SOFT_EDGE_PX = 5  # what is forgotten on either side of a slope

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def load_photo(path: Path) -> np.ndarray:
    """Read one as (h, w, 3) uint8 RGB."""
    return cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def load_photos(folder: Path, names: set[str] | None = None) -> dict[str, np.ndarray]:
    """Read the photos of a folder, or those of some names."""
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    return {p.stem: load_photo(p) for p in paths if names is None or p.stem in names}


def without_soft_edges(disparity: np.ndarray) -> np.ndarray:
    """Forget a label where it jumps.

    The teacher spreads a silhouette over ten pixels and more, and a network that follows it there learns to
    blur. What lies between near and far becomes NaN, and scenes and cut-outs teach where an edge belongs.

    Args:
        disparity: (h, w) float16 label, which spans about 0 to 1.
    """
    values = disparity.astype(np.float32)
    filled = np.where(np.isfinite(values), values, np.nanmedian(values))
    smooth = cv2.GaussianBlur(filled, (0, 0), 1.0)
    slope = np.hypot(*(cv2.Sobel(smooth, cv2.CV_32F, *axes, ksize=3) / 8 for axes in ((1, 0), (0, 1))))
    window = np.ones((2 * SOFT_EDGE_PX + 1,) * 2, np.uint8)
    soft = cv2.dilate((slope > STEEPEST_SLOPE).astype(np.uint8), window) > 0
    return np.where(soft, np.float16(np.nan), disparity)


class LabelledPhotos:
    """Photos with the teacher's disparity, as training samples without exact edges."""

    def __init__(self, photos: Path, labels: Path) -> None:
        maps = {p.stem: np.load(p) for p in sorted(labels.glob("*.npy"))}
        pictures = load_photos(photos, set(maps))
        self.names = list(pictures)
        self.pictures = [pictures[name] for name in self.names]
        self._maps = [without_soft_edges(maps[name]) for name in self.names]

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
