"""`FolderSamples`: photos in a folder, each with the depth or disparity file that belongs to it.

What a file is, its name or its folder tells; what belongs together has the same name otherwise:

    a.jpg  a_depth.png  a_mask.png            side by side: also a.rgb.jpg, a-disparity.pfm, a.npz
    rgb_01.jpg  depth_01.png  mask_01.png     or numbered: also image-01.jpg, sync_depth_01.png
    rgb/a.jpg  depth/a.png  masks/a.png       in parallel folders, which may hold folders themselves
    kitchen/rgb/a.jpg  kitchen/depth/a.png    or lie in the folders of scenes

Where a mask is 0, depth is unknown.
"""

from __future__ import annotations

import copy
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from depth3d.core.depth import DepthKind, DepthMap
from depth3d.errors import InputError
from depth3d.io.depth_files import DEPTH_SUFFIXES, read_depth
from depth3d.io.images import IMAGE_SUFFIXES, load_image
from depth3d.train.samples import Sample

__all__ = ["FolderSamples"]

_log = logging.getLogger("depth3d")
_Number = TypeVar("_Number", bound=np.generic)

_PHOTO_SUFFIXES = (*IMAGE_SUFFIXES, ".heic", ".heif", ".avif", ".gif")
_WORDS = {
    "photo": "photos?|images?|imgs?|rgb|colou?rs?",
    "depth": "(?:(?:sync|gt|ground_?truth)_)?depths?(?:_gt)?|depth_?maps?",
    "disparity": "disparity|disparities|disp",
    "mask": "masks?",
    "preview": "previews?",  # pictures of depth maps, which `depth3d estimate` writes beside them
}
_ROLES = {role: re.compile(f"(?:(.*?)[._-])?(?:{words})", re.IGNORECASE) for role, words in _WORDS.items()}
_FOLDERS = {**_WORDS, "depth": f"{_WORDS['depth']}|gt|ground_?truth"}
_NUMBERED = {role: re.compile(rf"(?:{words})[._-]?(\d.*)", re.IGNORECASE) for role, words in _WORDS.items()}
_ASPECT_TOLERANCE = 0.02


class _Key(NamedTuple):
    """What the files of one picture share: their folder, but for `rgb`, `depth` and so on, and their name."""

    folder: tuple[str, ...]
    name: str


class _Pair(NamedTuple):
    photo: Path
    depth: Path
    is_disparity: bool
    mask: Path | None


class FolderSamples:
    """Photos of a folder with their depth, as training samples.

    For relative training the target is disparity: relative maps as they are, metric ones as 1/z; it is
    scaled so that 96 % of it span 1. For metric training it is z in metres.

    Args:
        directory: Searched with all the folders in it, links to folders among them.
        metric: Whether the target is z in metres instead of disparity.
        exact: Whether the depth is true to the pixel, as rendered depth is and a sensor's is not.
        kind: What the numbers of all depth files mean, `relative` or `metric`; it goes before what they
            and their names say. Files of floats that say nothing need it.
        png_scale: Integers a metre of 16-bit PNGs: 1000 unless given.

    Attributes:
        photos: The photos that have depth, in the order of their samples.
        skipped: The photos that have none; a log line counts them.

    Raises:
        InputError: The directory is not there, or has no photo with depth.
    """

    photos: tuple[Path, ...]
    skipped: tuple[Path, ...]

    def __init__(
        self,
        directory: str | Path,
        *,
        metric: bool = False,
        exact: bool = False,
        kind: DepthKind | str | None = None,
        png_scale: float | None = None,
    ) -> None:
        directory = Path(directory)
        if not directory.is_dir():
            raise InputError(f"{directory} is no directory; give one with photos and their depth files")
        self._metric, self._exact, self._kind, self._png_scale = metric, exact, kind, png_scale
        self._pairs, self.skipped = _pairs(directory, metric)
        self.photos = tuple(pair.photo for pair in self._pairs)
        if not self._pairs:
            others = f" (and {len(self.skipped)} without)" if self.skipped else ""
            raise InputError(
                f"{directory} has no photo with depth{others}; put a_depth.png (or .npz, .npy, .pfm, .tif, "
                ".exr) beside a.jpg, or photos into rgb/ and their depth, under the same names, into depth/"
            )
        if self.skipped:
            _log.warning(
                "%d of %d photos have no depth file and are left out, such as %s",
                len(self.skipped), len(self.skipped) + len(self._pairs), self.skipped[0],
            )  # fmt: skip

    def __len__(self) -> int:
        return len(self._pairs)

    def load(self, index: int) -> Sample:
        """Read a photo, upright, and its depth at the photo's size.

        Raises:
            FileError: One of the files can't be read.
            InputError: The depth is relative and the training metric, it has another aspect than the photo,
                or nothing says what its numbers mean.
        """
        pair = self._pairs[index]
        image = load_image(pair.photo)
        size_hw = image.shape[0], image.shape[1]
        # A name says what a float file can't; `kind` goes before it.
        kind = self._kind or (DepthKind.RELATIVE if pair.is_disparity else None)
        depth = read_depth(pair.depth, kind=kind, png_scale=self._png_scale).depth
        target = _resized(self._target(depth, pair.depth), size_hw, pair.depth)
        if pair.mask is not None:
            mask = load_image(pair.mask).max(axis=2)
            target[_resized(mask, size_hw, pair.mask) == 0] = np.nan
        return Sample(image, target, np.full(target.shape, self._exact))

    def split(self, validation_share: float = 0.1, *, seed: int = 0) -> tuple[FolderSamples, FolderSamples]:
        """Draw the photos that are kept from training, at least one.

        Args:
            validation_share: Of all photos; above 0 and below 1.
            seed: Another seed draws others.

        Returns:
            (training, validation), together all photos, each in its old order.

        Raises:
            InputError: The share is out of range, or there is one photo only.
        """
        if not 0 < validation_share < 1:
            raise InputError(f"the share for validation must lie between 0 and 1, got {validation_share}")
        if len(self) < 2:
            raise InputError("one photo can't be split into training and validation; give two or more")
        count = min(max(1, round(validation_share * len(self))), len(self) - 1)
        drawn = set(np.random.default_rng(seed).permutation(len(self))[:count].tolist())
        indices = range(len(self))
        learned, kept = [i for i in indices if i not in drawn], sorted(drawn)
        return self._part(learned), self._part(kept)

    def in_metres(self) -> FolderSamples:
        """Give the same photos with z in metres; `load` raises `InputError` for those with relative depth."""
        metres = copy.copy(self)
        metres._metric = True
        return metres

    def _part(self, indices: list[int]) -> FolderSamples:
        part = copy.copy(self)
        part._pairs = [self._pairs[i] for i in indices]
        part.photos = tuple(pair.photo for pair in part._pairs)
        return part

    def _target(self, depth: DepthMap, path: Path) -> npt.NDArray[np.float32]:
        values = depth.values
        if self._metric:
            if not depth.is_metric:
                raise InputError(
                    f"{path} is relative, and metric training needs metres; give depth in metres, or train a "
                    "relative model (leave --metric out)"
                )
            return values
        disparity = 1 / values if depth.is_metric else values
        known = disparity[np.isfinite(disparity)]
        # The unit means nothing, but a loss has to tell a flat map from one of small numbers.
        span = float(np.subtract(*np.percentile(known, (98, 2)))) if known.size else 0.0
        return np.asarray(disparity / (span or 1.0), dtype=np.float32)


def _pairs(directory: Path, metric: bool) -> tuple[list[_Pair], tuple[Path, ...]]:
    """Find the photos that have depth, and those that have none."""
    photos: list[tuple[Path, list[_Key]]] = []
    depths: dict[_Key, list[tuple[Path, bool]]] = {}
    masks: dict[_Key, Path] = {}
    for path in sorted(_files(directory)):
        role, keys = _role(path)
        if role == "photo":
            photos.append((directory / path, keys))
        elif role == "mask":
            masks.setdefault(keys[-1], directory / path)
        elif role in ("depth", "disparity"):
            depths.setdefault(keys[-1], []).append((directory / path, role == "disparity"))

    def rank(found: tuple[Path, bool]) -> tuple[bool, int]:
        # Metres for metric training, disparity for relative; then the more exact format.
        path, is_disparity = found
        return is_disparity == metric, DEPTH_SUFFIXES.index(path.suffix.lower())

    pairs: list[_Pair] = []
    skipped: list[Path] = []
    for photo, keys in photos:
        key = next((key for key in keys if key in depths), None)
        if key is None:
            skipped.append(photo)
        else:
            pairs.append(_Pair(photo, *min(depths[key], key=rank), masks.get(key)))
    return pairs, tuple(skipped)


def _files(directory: Path) -> Iterator[Path]:
    """Find all files that are not hidden, by their relative paths; links are followed, but not in circles."""
    for folder, inner, names in os.walk(directory, followlinks=True):
        here = Path(folder)
        inner[:] = [
            name
            for name in inner
            if not name.startswith(".") and not here.resolve().is_relative_to((here / name).resolve())
        ]
        yield from ((here / name).relative_to(directory) for name in names if not name.startswith("."))


def _role(path: Path) -> tuple[str | None, list[_Key]]:
    """Tell what a file is from its relative path.

    The end of its name goes before its folder, that before the start of a numbered name, and that before
    the suffix.

    Returns:
        The role, and the keys that it may have: `photo.jpg` belongs to `photo_depth.png` or to `depth.png`.
    """
    suffix, names = path.suffix.lower(), [path.stem]
    of_folder = next(
        (role for part in reversed(path.parts[:-1]) for role in _ROLES if _is_word(role, part)),
        None,
    )
    of_name = None
    for role, word in _ROLES.items():
        found = word.fullmatch(path.stem)
        if found:
            of_name = role
            names.append(found[1] or "")
    of_start, rest = next(
        ((role, found[1]) for role, word in _NUMBERED.items() if (found := word.fullmatch(path.stem))),
        (None, ""),
    )
    is_photo, is_depth = suffix in _PHOTO_SUFFIXES, suffix in DEPTH_SUFFIXES
    role = of_name or of_folder or of_start or ("photo" if is_photo else "depth")
    if role in ("depth", "disparity") and not is_depth and of_folder not in ("depth", "disparity"):
        role = "photo"  # a photo about depth, such as water_depth.jpg
    if of_name is None and of_start == role:  # depth/image_1.png is no photo and keeps its whole name
        names.append(rest)
    fits = is_depth if role in ("depth", "disparity") else is_photo
    folder = tuple(part for part in path.parts[:-1] if not any(_is_word(role, part) for role in _ROLES))
    return role if fits else None, [_Key(folder, name) for name in names]


def _is_word(role: str, part: str) -> bool:
    return re.fullmatch(rf"[._-]?(?:{_FOLDERS[role]})", part, re.IGNORECASE) is not None


def _resized(values: npt.NDArray[_Number], size_hw: tuple[int, int], path: Path) -> npt.NDArray[_Number]:
    """Take the nearest pixels: a mean of near and far is a depth that nothing has."""
    height, width = values.shape
    slack = _ASPECT_TOLERANCE + 0.5 / min(values.shape)
    if not 1 - slack <= (size_hw[1] / size_hw[0]) / (width / height) <= 1 + slack:
        raise InputError(
            f"{path} is {width}x{height} and its photo, upright, {size_hw[1]}x{size_hw[0]}: another crop or "
            "rotation; give the depth of this very picture"
        )
    resized: npt.NDArray[_Number] = cv2.resize(values, size_hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return resized
