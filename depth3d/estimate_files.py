"""The depth file of a photo: read, estimate or take from a file, write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from depth3d import verbs
from depth3d.calibrate.calibration import Calibration
from depth3d.calibrate.references import Reference
from depth3d.core.arrays import ImageArray
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError, UnsupportedFormatError
from depth3d.estimate.prediction import Prediction
from depth3d.io.depth_files import DEPTH_SUFFIXES
from depth3d.io.images import load_photo
from depth3d.io.photo_camera import camera_for
from depth3d.metres import Metres, to_metres
from depth3d.photo_depth import PhotoDepth, fit_depth_to, input_size_of, read_any_depth, resized_note
from depth3d.ready_photos import ready_photo

__all__ = [
    "DepthSource",
    "FileDepth",
    "FileResult",
    "Job",
    "PreviewStyle",
    "check_job",
    "estimate_file",
    "preview_beside",
]


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

    def notes(self, image: ImageArray) -> tuple[str, ...]:
        """Say what `predict` does to the depth for an image: a sentence, if it resizes it."""
        return tuple(resized_note(self._depth, image.shape[1], image.shape[0]))


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
    """A depth map that was written, and what made it.

    `notes` are what to know before trusting its metres.
    """

    job: Job
    depth: DepthMap
    depth_source: str
    notes: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Describe the result with JSON types."""
        facts: dict[str, Any] = {"photo": str(self.job.photo), "output": str(self.job.output)}
        if self.job.preview is not None:
            facts["preview"] = str(self.job.preview)
        facts["depth"] = self.depth_source
        facts |= {"kind": str(self.depth.kind), "width": self.depth.width, "height": self.depth.height}
        if self.notes:
            facts["notes"] = list(self.notes)
        return facts


def preview_beside(output: Path) -> Path:
    """Name the picture of a depth file."""
    return output.with_name(f"{output.stem}_preview.png")


def check_job(job: Job, *, format_: str | None = None, overwrite: bool) -> None:
    """Refuse, before any work, what can't be written.

    Args:
        job: What is to be written.
        format_: The format that was asked for, such as `png`, if any.
        overwrite: Whether existing files may be replaced.

    Raises:
        UnsupportedFormatError: The output has a suffix that is no depth format's.
        InputError: It is the photo itself, or the format and the suffix disagree.
        FileError: A file exists, or can't be written.
    """
    suffix = job.output.suffix.lower()
    if suffix not in DEPTH_SUFFIXES:
        raise UnsupportedFormatError(
            f"{job.output} has a suffix that is no depth format's; use one of {', '.join(DEPTH_SUFFIXES)}, "
            "or a directory (create it first if its name has a dot)"
        )
    if format_ and f".{format_}" != suffix:
        raise InputError(f"{job.output} and the format {format_} disagree; leave one of them out")
    for path in filter(None, (job.output, job.preview)):
        verbs.check_output(path, job.photo, overwrite=overwrite)


def estimate_file(
    job: Job,
    source: DepthSource,
    *,
    camera: Camera | None = None,
    calibration: Calibration | None = None,
    references: Sequence[Reference] = (),
    focal_correct: bool = False,
    force: bool = False,
    style: PreviewStyle | None = None,
    png_scale: float = 1000.0,
    overwrite: bool = False,
) -> FileResult:
    """Write the depth file of a photo. For many photos see `run_many`.

    Args:
        job: The photo, and where its depth goes.
        source: A `DepthEstimator`, or a `FileDepth`.
        camera: Intrinsics to keep in the file; None takes the best that the photo offers.
        calibration: Write metres by it: of this photo, or of a fixed camera.
        references: What is known about the photo's scene, to fit a calibration to.
        focal_correct: Scale the map of a metric network for the photo's focal length.
        force: Apply the calibration even to the depth of another network or input size.
        style: How the preview is drawn.
        png_scale: Units a metre of a metric 16-bit PNG.
        overwrite: Whether existing files may be replaced.

    Returns:
        What was written.

    Raises:
        Depth3DError: The photo can't be read, has no depth, or its depth can't be written.
    """
    ready = ready_photo(job.photo)
    photo = load_photo(job.photo) if ready is None else ready.photo
    prediction = source.predict([photo.image])[0] if ready is None else ready.prediction
    kept = camera_for(photo.info, camera=camera, model_fov_x_deg=prediction.fov_x_deg)
    lines = {"photo": job.photo.name, "depth": source.name}
    input_size = getattr(source, "input_size", None)
    if input_size is not None:
        lines["input_size"] = str(input_size)
    resized = source.notes(photo.image) if isinstance(source, FileDepth) else ()
    made = Metres(prediction.depth)
    if calibration is not None or references or focal_correct:
        model = source.model if isinstance(source, FileDepth) else source.name
        raw = PhotoDepth(photo.image, prediction.depth, kept, source.name, model, input_size)
        made = to_metres(
            raw, calibration=calibration, references=references, focal_correct=focal_correct, force=force
        )
        lines["metres"] = "; ".join(made.notes) or repr(made.calibration)
    _write(job, made.depth, kept, lines, style or PreviewStyle(), png_scale, overwrite)
    return FileResult(job, made.depth, source.name, (*resized, *made.notes))


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
