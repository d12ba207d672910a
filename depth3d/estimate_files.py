"""Depth for many photos: read, estimate, write, and go on after a failure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from depth3d import verbs
from depth3d.calibrate.calibration import Calibration
from depth3d.calibrate.references import Reference
from depth3d.core.arrays import ImageArray
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.errors import Depth3DError, InputError, UnsupportedFormatError
from depth3d.estimate.prediction import Prediction
from depth3d.io.depth_files import DEPTH_SUFFIXES
from depth3d.io.images import Photo, load_photo
from depth3d.io.photo_camera import camera_for
from depth3d.metres import Metres, to_metres
from depth3d.photo_depth import PhotoDepth, fit_depth_to, input_size_of, read_any_depth

__all__ = ["DepthSource", "FileDepth", "FileResult", "Job", "PreviewStyle", "estimate_files", "plan_jobs"]


class DepthSource(Protocol):
    """Anything that gives depth for images: a `DepthEstimator`, or a `FileDepth`."""

    @property
    def name(self) -> str:
        """What to call it in files."""

    def predict(self, images: list[ImageArray]) -> list[Prediction]:
        """Give the depth of each (H, W, 3) uint8 image, at its own size."""


class FileDepth:
    """The depth that a file holds, for the photo that it belongs to.

    Args:
        path: A depth file, or a photo that carries depth.
        kind: `relative` or `metric`, where the file does not say.
        png_scale: Units a metre of a 16-bit PNG.
    """

    def __init__(self, path: Path, *, kind: str | None = None, png_scale: float | None = None) -> None:
        self.name = path.name
        file = read_any_depth(path, kind=kind, png_scale=png_scale)
        self.camera = file.camera
        self.model = file.provenance.get("depth")
        self.input_size = input_size_of(file)
        self._depth = file.depth

    def predict(self, images: list[ImageArray]) -> list[Prediction]:
        """Bring the depth to the size of each image."""
        return [
            Prediction(fit_depth_to(self._depth, image.shape[1], image.shape[0]), None) for image in images
        ]


@dataclass(frozen=True, slots=True)
class Job:
    """One photo, and where its depth and the picture of its depth go."""

    photo: Path
    output: Path
    preview: Path | None = None


@dataclass(frozen=True, slots=True)
class PreviewStyle:
    """How the picture of a depth map is drawn; `gray` is 16 bit, the others are colour maps."""

    colormap: str = "Spectral_r"
    legend: bool = False

    def __post_init__(self) -> None:
        if self.legend and self.colormap == "gray":
            raise InputError("a gray preview has no legend; use a colour map, or leave the legend out")


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one job: a depth map that was written and what made it, or the error that stopped it.

    `notes` are what to know before trusting its metres.
    """

    job: Job
    depth: DepthMap | None = None
    depth_source: str | None = None
    error: Depth3DError | None = None
    notes: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Describe the result with JSON types."""
        if self.error is not None:
            return {"photo": str(self.job.photo), "error": str(self.error)}
        facts: dict[str, Any] = {"photo": str(self.job.photo), "output": str(self.job.output)}
        if self.job.preview is not None:
            facts["preview"] = str(self.job.preview)
        if self.depth_source is not None:
            facts["depth"] = self.depth_source
        if self.depth is not None:
            facts |= {"kind": str(self.depth.kind), "width": self.depth.width, "height": self.depth.height}
        if self.notes:
            facts["notes"] = list(self.notes)
        return facts


def plan_jobs(
    photos: Sequence[Path],
    output: Path,
    *,
    format_: str | None = None,
    preview: bool = False,
    overwrite: bool,
) -> list[Job]:
    """Decide where everything goes, and refuse before any work what can't be written.

    Args:
        photos: The photos.
        output: A file (its suffix is a depth format) for one photo; otherwise a directory, which
            is created if its name has no suffix, for `<photo>_depth.<format>`.
        format_: Format in a directory, such as `png`; `npz` by default.
        preview: Whether pictures are wanted: `<name>_preview.png` beside each depth file.
        overwrite: Whether existing files may be replaced.

    Returns:
        One job a photo, in order.

    Raises:
        InputError: One file for many photos, or two photos that would write the same file.
        UnsupportedFormatError: The output has a suffix that is no depth format's.
        FileError: A file exists, or the directory can't be written.
    """
    if output.suffix and output.suffix.lower() not in DEPTH_SUFFIXES and not _is_directory(output):
        raise UnsupportedFormatError(
            f"{output} has a suffix that is no depth format's; use one of {', '.join(DEPTH_SUFFIXES)}, "
            "or a directory (create it first if its name has a dot)"
        )
    is_file = output.suffix.lower() in DEPTH_SUFFIXES and not _is_directory(output)
    if is_file and len(photos) > 1:
        raise InputError(f"{output} is one file and there are {len(photos)} photos; give a directory")
    if is_file and format_ and f".{format_}" != output.suffix.lower():
        raise InputError(f"{output} and the format {format_} disagree; leave one of them out")
    outputs = [output] if is_file else [output / f"{photo.stem}_depth.{format_ or 'npz'}" for photo in photos]
    first_with: dict[Path, Path] = {}
    for photo, path in zip(photos, outputs, strict=True):
        if path in first_with:
            raise InputError(
                f"{first_with[path]} and {photo} would both write {path}; use two output directories"
            )
        first_with[path] = photo
    if not is_file:
        verbs.make_directory(output)
    jobs = [
        Job(photo, path, path.with_name(f"{path.stem}_preview.png") if preview else None)
        for photo, path in zip(photos, outputs, strict=True)
    ]
    for job in jobs:
        for path in filter(None, (job.output, job.preview)):
            verbs.check_output(path, job.photo, overwrite=overwrite)
    return jobs


def estimate_files(
    jobs: Sequence[Job],
    source: DepthSource,
    *,
    camera: Camera | None = None,
    calibration: Calibration | None = None,
    references: Sequence[Reference] = (),
    focal_correct: bool = False,
    force: bool = False,
    batch_size: int = 1,
    style: PreviewStyle | None = None,
    png_scale: float = 1000.0,
    overwrite: bool = False,
) -> Iterator[FileResult]:
    """Write a depth file for each job; a photo that fails is reported and the rest goes on.

    Args:
        jobs: From `plan_jobs`.
        source: A `DepthEstimator`, or a `FileDepth`.
        camera: Intrinsics to keep in the files; None takes the best that each photo offers.
        calibration: Write metres by it: of the one photo, or of a fixed camera.
        references: What is known about the one photo's scene, to fit a calibration to.
        focal_correct: Scale the maps of a metric network for each photo's focal length.
        force: Apply the calibration even to the depth of another network or input size.
        batch_size: How many photos are held and estimated at a time.
        style: How previews are drawn.
        png_scale: Units a metre of metric 16-bit PNGs.
        overwrite: Whether existing files may be replaced.

    Yields:
        One result a job, as soon as it is on disk.
    """
    for start in range(0, len(jobs), batch_size):
        opened: list[tuple[Job, Photo]] = []
        for job in jobs[start : start + batch_size]:
            try:
                opened.append((job, load_photo(job.photo)))
            except Depth3DError as error:
                yield FileResult(job, error=error)
        predictions = _predict_each(source, [photo.image for _, photo in opened])
        for (job, photo), prediction in zip(opened, predictions, strict=True):
            try:
                if isinstance(prediction, Depth3DError):
                    raise prediction
                kept = camera_for(photo.info, camera=camera, model_fov_x_deg=prediction.fov_x_deg)
                lines = {"photo": job.photo.name, "depth": source.name}
                input_size = getattr(source, "input_size", None)
                if input_size is not None:
                    lines["input_size"] = str(input_size)
                made = Metres(prediction.depth)
                if calibration is not None or references or focal_correct:
                    model = source.model if isinstance(source, FileDepth) else source.name
                    raw = PhotoDepth(photo.image, prediction.depth, kept, source.name, model, input_size)
                    made = to_metres(
                        raw,
                        calibration=calibration,
                        references=references,
                        focal_correct=focal_correct,
                        force=force,
                    )
                    lines["metres"] = "; ".join(made.notes) or repr(made.calibration)
                _write(job, made.depth, kept, lines, style or PreviewStyle(), png_scale, overwrite)
            except Depth3DError as error:
                yield FileResult(job, error=error)
            else:
                yield FileResult(job, made.depth, source.name, notes=made.notes)


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long; what writes there words it
        return False


def _predict_each(source: DepthSource, images: list[ImageArray]) -> list[Prediction | Depth3DError]:
    """Predict together; where that fails, one by one, so that only the image at fault is without."""
    if not images:
        return []
    try:
        return [*source.predict(images)]
    except Depth3DError as error:
        if len(images) == 1:
            return [error]
    return [result for image in images for result in _predict_each(source, [image])]


def _write(
    job: Job,
    depth: DepthMap,
    camera: Camera,
    provenance: dict[str, str],
    style: PreviewStyle,
    png_scale: float,
    overwrite: bool,
) -> None:
    from depth3d.io.previews import save_preview

    verbs.save(
        depth, job.output, overwrite=overwrite, camera=camera, provenance=provenance, png_scale=png_scale
    )
    if job.preview:
        save_preview(depth, job.preview, colormap=style.colormap, legend=style.legend, overwrite=overwrite)
