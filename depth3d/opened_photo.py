"""`open_photo`: upright colours, metric depth and real intrinsics, brought together as one scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from depth3d.calibrate.calibration import Calibration
from depth3d.calibrate.references import Reference
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.core.scene import RGBD
from depth3d.metres import Metres, to_metres
from depth3d.photo_depth import CameraOptions, fit_depth_to, read_any_depth, read_photo_depth

if TYPE_CHECKING:
    from depth3d.estimate.estimator import DepthEstimator

__all__ = ["OpenedPhoto", "fit_depth_to", "open_photo", "read_any_depth"]


@dataclass(frozen=True, slots=True, eq=False)
class OpenedPhoto:
    """A photo made ready for geometry, and how that was done.

    Attributes:
        scene: The photo with its depth, metric unless a relative one was allowed, and a camera.
        calibration: What turned the depth into metres, or None where it was metric already.
        depth_source: Name of the network or of the file that the depth came from, and of the network that
            made the file where the file tells.
        notes: One sentence for each thing that was assumed; empty when nothing was.
        noise_per_m: Spacing in 1/m of the levels of 8-bit depth; 0 for continuous depth.
        raw_depth: The depth before `calibration`, at the photo's size: what `measure` takes with it.
    """

    scene: RGBD
    calibration: Calibration | None
    depth_source: str
    notes: tuple[str, ...]
    noise_per_m: float = 0.0
    raw_depth: DepthMap | None = None

    @property
    def comments(self) -> tuple[str, ...]:
        """Lines for the header of a file: camera, depth, and everything assumed."""
        return (f"camera: {self.scene.camera!r}", f"depth: {self.depth_source}", *self.notes)


def open_photo(
    photo: str | Path,
    *,
    depth: str | Path | DepthMap | None = None,
    depth_kind: str | None = None,
    png_scale: float | None = None,
    calibration: Calibration | None = None,
    references: Sequence[Reference] = (),
    assume_range_m: tuple[float, float] | None = None,
    focal_correct: bool = False,
    force: bool = False,
    allow_relative: bool = False,
    camera: Camera | None = None,
    camera_file: str | Path | None = None,
    focal_px: float | None = None,
    focal_35mm: float | None = None,
    fov_x_deg: float | Literal["auto"] | None = None,
    estimator: DepthEstimator | None = None,
) -> OpenedPhoto:
    """Open a photo as an `RGBD` scene: upright colours, metric depth, real intrinsics.

    Args:
        photo: Any photo file.
        depth: A depth file, a photo that carries depth (it may be `photo` itself), or a map. None
            asks the network. The terraces of an 8-bit file are smoothed within half a level, of a noisy
            one within a level.
        depth_kind: `relative` or `metric`, where the depth file does not say.
        png_scale: Units a metre of a 16-bit PNG: 1000, 256 (KITTI) or 5000 (TUM).
        calibration: Turns the map into metres; one for relative maps is refused where the map has metres.
        references: What is known about the scene, such as `Anchor`: a calibration is fitted to it.
        assume_range_m: (near, far) in metres to assume for a relative map with neither of them.
        focal_correct: Scale the map of a metric network for the photo's focal length: it was trained through
            one lens (`depth3d.calibrate.focal_correction`).
        force: Apply the calibration even if another network, or another input size, made it.
        allow_relative: Leave a relative map as it is where nothing gives it metres.
        camera: Intrinsics, if known.
        camera_file: A file with intrinsics.
        focal_px: Focal length in pixels of the upright photo.
        focal_35mm: 35-mm equivalent focal length in millimetres.
        fov_x_deg: Horizontal field of view in degrees, or `auto`: measure it by the vanishing points of
            straight edges.
        estimator: The network to ask; None loads `auto`: Depth Anything V2 Small, or
            `mini` where that can't be had.

    Returns:
        The scene and its history.

    Raises:
        NeedsMetricError: The map is relative, with nothing that gives it metres, and `allow_relative` is
            False.
        InputError: The depth has another shape than the photo, the calibration belongs to another network,
            the references do not fit, or options contradict each other.
        CameraError: `fov_x_deg` is `auto` and the photo does not tell it.
        FileError: A file can't be read.
        ModelError: The network can't be had.
    """
    opened = read_photo_depth(
        photo,
        depth=depth,
        depth_kind=depth_kind,
        png_scale=png_scale,
        camera=CameraOptions(camera, camera_file, focal_px, focal_35mm, fov_x_deg),
        estimator=estimator,
    )
    given = calibration is not None or len(references) > 0 or assume_range_m is not None or focal_correct
    if allow_relative and not given:
        metres = Metres(opened.depth)
    else:
        metres = to_metres(
            opened,
            calibration=calibration,
            references=references,
            assume_range_m=assume_range_m,
            focal_correct=focal_correct,
            force=force,
        )
    assert opened.image is not None
    used, step = metres.calibration, opened.level_step
    return OpenedPhoto(
        RGBD(opened.image, metres.depth, opened.camera),
        used,
        opened.source,
        (*opened.notes, *metres.notes),
        used.scale * step if used is not None and used.space == "disparity" else step,
        opened.depth,
    )
