"""Evaluation over many files: pair predictions with truths, compare, draw; go on after a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal

from depth3d import verbs
from depth3d.core.depth import DepthMap
from depth3d.errors import Depth3DError, InputError
from depth3d.evaluate.comparison import Alignment, compare
from depth3d.evaluate.error_pictures import draw_error
from depth3d.evaluate.evaluation import Evaluation, averages, measure
from depth3d.evaluate.protocols import EvaluationProtocol
from depth3d.evaluate.scores import DEFAULT_TOLERANCE_PX
from depth3d.io.depth_files import DEPTH_SUFFIXES, read_depth
from depth3d.io.images import load_image
from depth3d.io.inputs import find_inputs, is_one_file
from depth3d.io.pairing import files_in, partners, picture_name

if TYPE_CHECKING:
    from depth3d.estimate.estimator import DepthEstimator

__all__ = [
    "PHOTO_SUFFIXES",
    "EvaluationJob",
    "PictureResult",
    "Reader",
    "depth_reader",
    "evaluate_files",
    "plan_evaluation",
    "report_of",
]

PHOTO_SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".avif", ".mpo", ".gif",
)  # fmt: skip
_PHOTOS_ONLY = tuple(suffix for suffix in PHOTO_SUFFIXES if suffix not in DEPTH_SUFFIXES)

Reader = Callable[[Path], DepthMap]
"""Gives the depth map of a file."""


@dataclass(frozen=True, slots=True)
class EvaluationJob:
    """One picture: its truth, and what was found for it.

    Attributes:
        name: The truth's path in its folder, without suffix.
        truth: File of the truth.
        prediction: Depth file, or photo for the network; None where there is none.
        photo: Photo for the error picture, if there is one.
        error_picture: Where that goes, if it is wanted.
        problem: Why there is no prediction.
    """

    name: str
    truth: Path
    prediction: Path | None
    photo: Path | None = None
    error_picture: Path | None = None
    problem: InputError | None = None


@dataclass(frozen=True, slots=True)
class PictureResult:
    """What became of one job: numbers, or the error that stopped it."""

    job: EvaluationJob
    evaluation: Evaluation | None = None
    error: Depth3DError | None = None

    def summary(self) -> dict[str, Any]:
        """Describe the result with JSON types."""
        facts: dict[str, Any] = {"name": self.job.name, "truth": str(self.job.truth)}
        if self.job.prediction is not None:
            facts["prediction"] = str(self.job.prediction)
        if self.error is not None:
            return facts | {"error": str(self.error)}
        if self.job.error_picture is not None:
            facts["error_picture"] = str(self.job.error_picture)
        if self.evaluation is not None:
            facts |= {field.name: getattr(self.evaluation, field.name) for field in fields(Evaluation)}
        return facts


def depth_reader(
    *,
    kind: str | None = None,
    png_scale: float | None = None,
    estimator: DepthEstimator | None = None,
) -> Reader:
    """Choose how a file becomes a depth map.

    Args:
        kind: `relative` or `metric`, where depth files do not say.
        png_scale: Units a metre of 16-bit PNGs.
        estimator: Given, the files are photos, and the network makes the maps.
    """
    if estimator is not None:
        return lambda path: estimator.predict(load_image(path)).depth
    return lambda path: read_depth(path, kind=kind, png_scale=png_scale).depth


def plan_evaluation(
    prediction: str | Path,
    truth: str | Path,
    *,
    predictions_are_photos: bool = False,
    photos: Path | None = None,
    error_pictures: Path | None = None,
    overwrite: bool = False,
) -> tuple[list[EvaluationJob], list[Path]]:
    """Find what belongs together, and refuse before any work what can't be written.

    Args:
        prediction: A file; or a folder, a glob or an `@list.txt` (see `find_inputs`), whose files are matched
            by name (`a_depth.npz` belongs to `a.png`).
        truth: The same: a file for a file, many for many.
        predictions_are_photos: Whether a network makes the predictions from these photos.
        photos: Photo or folder of photos to show in the error pictures; by default those that are predicted
            from.
        error_pictures: Folder for error pictures; it is created.
        overwrite: Whether existing files may be replaced.

    Returns:
        One job a truth, and the predictions that have no truth.

    Raises:
        InputError: A file where a folder is needed, or the reverse; a folder without depth files.
        FileError: Something is not there, or can't be written.
    """
    is_one = is_one_file(prediction)
    for name in (prediction, truth):
        if is_one_file(name):
            _check_there(Path(name))
    if photos is not None:
        _check_there(photos)
    if is_one != is_one_file(truth):
        raise InputError(
            f"{prediction} and {truth} must be two files, or two of folders, globs and lists; give the one "
            "that belongs to the other"
        )
    if is_one and not predictions_are_photos and Path(prediction).suffix.lower() in _PHOTOS_ONLY:
        raise InputError(f"{prediction} is a photo; name the network that shall run on it (--model auto)")
    if is_one:
        jobs, unused = [EvaluationJob(picture_name(truth), Path(truth), Path(prediction))], list[Path]()
    else:
        jobs, unused = _matched(
            prediction, truth, PHOTO_SUFFIXES if predictions_are_photos else DEPTH_SUFFIXES
        )
    if error_pictures is not None:
        jobs = _with_pictures(jobs, error_pictures, photos, predictions_are_photos)
        verbs.make_directory(error_pictures)
        for job in jobs:
            if job.error_picture is not None:
                verbs.make_directory(job.error_picture.parent)
                verbs.check_output(job.error_picture, job.truth, overwrite=overwrite)
    return jobs, unused


def evaluate_files(
    jobs: Sequence[EvaluationJob],
    read_prediction: Reader,
    read_truth: Reader,
    *,
    protocol: EvaluationProtocol | str = "default",
    align: Alignment | str = "auto",
    tolerance_px: int = DEFAULT_TOLERANCE_PX,
    overwrite: bool = False,
) -> Iterator[PictureResult]:
    """Compare each prediction with its truth; one that fails is reported and the rest goes on.

    Args:
        jobs: From `plan_evaluation`.
        read_prediction: From `depth_reader`.
        read_truth: From `depth_reader`.
        protocol: As for `evaluate`.
        align: As for `evaluate`.
        tolerance_px: As for `evaluate`.
        overwrite: Whether existing error pictures may be replaced.

    Yields:
        One result a job, with its error picture on disk. A picture in which no pixel counts is an error, and
        so is one that can't be aligned as the first one was: no mean of the two would mean anything.
    """
    for job in jobs:
        try:
            if job.prediction is None:
                raise job.problem or InputError(
                    f"{job.truth} has no prediction; make it, or take the truth out"
                )
            comparison = compare(
                read_prediction(job.prediction), read_truth(job.truth), protocol=protocol, align=align
            )
            found = measure(comparison, tolerance_px=tolerance_px)
            if not found.pixels:
                raise InputError(
                    f"no pixel counts: the truth {job.truth} has {comparison.pixels_of_truth} where the "
                    f"protocol {found.protocol} looks, and the prediction knows none of them; check the unit "
                    "of the truth (--png-scale) and the range"
                )
            align = found.align
            if job.error_picture is not None:
                image = load_image(job.photo) if job.photo is not None else None
                title = f"{job.name}: AbsRel {found.abs_rel:.3f}, delta1 {found.delta1:.3f}"
                verbs.save(
                    draw_error(comparison, image=image, title=title), job.error_picture, overwrite=overwrite
                )
        except Depth3DError as error:
            yield PictureResult(job, error=error)
        else:
            yield PictureResult(job, found)


def report_of(results: Sequence[PictureResult], protocol: EvaluationProtocol) -> dict[str, Any]:
    """Put results together: the protocol, mean and median over the pictures, and each picture.

    Raises:
        InputError: The pictures were compared in different ways, so that no mean means anything.
    """
    evaluations = [result.evaluation for result in results if result.evaluation is not None]
    return {
        "protocol": {field.name: getattr(protocol, field.name) for field in fields(EvaluationProtocol)},
        "align": evaluations[0].align if evaluations else None,
        "evaluated": len(evaluations),
        "failed": len(results) - len(evaluations),
        **averages(evaluations),
        "pictures": [result.summary() for result in results],
    }


def _matched(
    predictions: str | Path, truths: str | Path, suffixes: tuple[str, ...]
) -> tuple[list[EvaluationJob], list[Path]]:
    available = _found(predictions, suffixes, "photos" if suffixes == PHOTO_SUFFIXES else "depth")
    wanted = _found(truths, DEPTH_SUFFIXES, "depth")
    if not wanted:
        raise InputError(f"{truths} has no depth files; give a folder with {', '.join(DEPTH_SUFFIXES)}")
    if not available:
        cure = ", or run a network on its photos (--model auto)" if suffixes == DEPTH_SUFFIXES else ""
        raise InputError(
            f"{predictions} has no file with one of {', '.join(suffixes)}; give another one{cure}"
        )
    pairs = partners([*wanted.values()], [*available], str(predictions), places=[*available.values()])
    jobs = [
        EvaluationJob(str(place.with_suffix("")), truth, found)
        if isinstance(found, Path)
        else EvaluationJob(str(place.with_suffix("")), truth, None, problem=found)
        for (truth, place), found in zip(wanted.items(), pairs, strict=True)
    ]
    used = {job.prediction for job in jobs}
    return jobs, [path for path in available if path not in used]


def _found(
    name: str | Path, suffixes: tuple[str, ...], kind: Literal["photos", "depth"]
) -> dict[Path, PurePath]:
    """Find the files that a folder, a glob or a list stands for, and their places below it."""
    if Path(name).is_dir():
        return {path: path.relative_to(name) for path in files_in(Path(name), suffixes, kind)}
    return {Path(str(one.path)): one.place for one in find_inputs(name, suffixes=suffixes, kind=kind)}


def _with_pictures(
    jobs: Sequence[EvaluationJob], folder: Path, photos: Path | None, predictions_are_photos: bool
) -> list[EvaluationJob]:
    """Say where the error pictures go, and which photos they show."""
    shown: list[Path | None]
    if photos is not None and photos.is_dir():
        names = [PurePath(job.name + job.truth.suffix) for job in jobs]
        found = partners(names, files_in(photos, PHOTO_SUFFIXES, "photos"), photos)
        shown = [path if isinstance(path, Path) else None for path in found]
    else:
        shown = [job.prediction if photos is None and predictions_are_photos else photos for job in jobs]
    return [
        replace(job, photo=photo, error_picture=folder / f"{job.name}_error.png")
        for job, photo in zip(jobs, shown, strict=True)
    ]


def _check_there(path: Path) -> None:
    try:
        there = path.exists()
    except OSError as error:  # a name that is too long
        raise InputError(f"can't read {path}: {error.strerror}; check the path") from None
    if not there:
        raise InputError(f"{path} does not exist; check the path")
