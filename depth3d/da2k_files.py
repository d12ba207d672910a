"""DA-2K over folders: which of two points is nearer, photo by photo, and how often that is right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from depth3d.errors import Depth3DError, InputError, UnreadableFileError
from depth3d.evaluate.ordinal import PointPair, judge_pairs, parse_da2k, scene_of
from depth3d.evaluate_files import PHOTO_SUFFIXES, Reader
from depth3d.io.depth_files import DEPTH_SUFFIXES
from depth3d.io.images import read_photo_info
from depth3d.io.pairing import files_in, partners

__all__ = ["Da2kResult", "da2k_report", "evaluate_da2k", "load_da2k"]


@dataclass(frozen=True, slots=True)
class Da2kResult:
    """What became of one photo: how many of its pairs are right, or the error that stopped it."""

    photo: str
    pairs: int
    right: int = 0
    prediction: Path | None = None
    error: Depth3DError | None = None

    def summary(self) -> dict[str, Any]:
        """Describe the result with JSON types."""
        facts: dict[str, Any] = {"name": self.photo, "scene": scene_of(self.photo), "pairs": self.pairs}
        if self.prediction is not None:
            facts["prediction"] = str(self.prediction)
        return facts | ({"right": self.right} if self.error is None else {"error": str(self.error)})


def load_da2k(path: Path) -> dict[str, tuple[PointPair, ...]]:
    """Read `annotations.json` of DA-2K; see `parse_da2k`.

    Raises:
        FileError: The file can't be read.
        InputError: It holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UnreadableFileError(f"can't read the annotations {path}: {reason}; check the path") from None
    return parse_da2k(text, str(path))


def evaluate_da2k(
    annotations: dict[str, tuple[PointPair, ...]],
    folder: Path,
    read_prediction: Reader,
    *,
    predictions_are_photos: bool = False,
    photos: Path | None = None,
) -> Iterator[Da2kResult]:
    """Judge each photo; one that fails is reported and the rest goes on.

    Args:
        annotations: From `load_da2k`.
        folder: Predictions, matched to the photos by name and folder.
        read_prediction: From `evaluate_files.depth_reader`.
        predictions_are_photos: Whether a network makes the predictions from the photos in `folder`.
        photos: The folder in which the annotations lie. A photo that is there tells its size, so that maps of
            another size can be judged, too; without it a map must have the photo's size.

    Yields:
        One result an annotated photo.

    Raises:
        InputError: The folder is none, or holds no predictions.
    """
    suffixes = PHOTO_SUFFIXES if predictions_are_photos else DEPTH_SUFFIXES
    if not folder.is_dir():
        raise InputError(f"{folder} is no directory; give the one with the predictions of all photos")
    available = files_in(folder, suffixes, "photos" if predictions_are_photos else "depth")
    if not available:
        raise InputError(f"{folder} has none of {', '.join(suffixes)}; give another folder")
    found_for = partners([PurePosixPath(photo) for photo in annotations], available, folder)
    for (photo, pairs), found in zip(annotations.items(), found_for, strict=True):
        try:
            if isinstance(found, InputError):
                raise found
            # A network's map has its photo's size.
            original = None if predictions_are_photos or photos is None else photos / photo
            size_wh = (
                read_photo_info(original).size_wh if original is not None and original.is_file() else None
            )
            right = int(judge_pairs(read_prediction(found), pairs, photo_size_wh=size_wh).sum())
        except Depth3DError as error:
            yield Da2kResult(photo, len(pairs), error=error)
        else:
            yield Da2kResult(photo, len(pairs), right, found)


def da2k_report(results: Sequence[Da2kResult]) -> dict[str, Any]:
    """Put results together.

    Returns:
        `accuracy` over all pairs, `scene_mean` over the kinds of scenes, `scenes` with pairs and accuracy of
        each, and each picture. Pictures that failed count in none of them; None where nothing is left.
    """
    scenes: dict[str, list[int]] = {}
    for result in results:
        if result.error is None and result.pairs:
            counts = scenes.setdefault(scene_of(result.photo), [0, 0])
            counts[0] += result.right
            counts[1] += result.pairs
    shares = {scene: right / pairs for scene, (right, pairs) in sorted(scenes.items())}
    total = sum(pairs for _, pairs in scenes.values())
    return {
        "accuracy": sum(right for right, _ in scenes.values()) / total if total else None,
        "scene_mean": sum(shares.values()) / len(shares) if shares else None,
        "pairs": total,
        "scenes": {scene: {"pairs": scenes[scene][1], "accuracy": share} for scene, share in shares.items()},
        "evaluated": sum(result.error is None for result in results),
        "failed": sum(result.error is not None for result in results),
        "pictures": [result.summary() for result in results],
    }
