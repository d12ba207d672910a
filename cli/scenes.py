"""What every command that makes something of a scene does before: check where it goes, open the photo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .console import note, opening
from .options import camera_options, compose, depth_options, metres_options, network_of, network_options

if TYPE_CHECKING:
    from depth3d.calibrate.calibration import Calibration
    from depth3d.calibrate.references import Reference
    from depth3d.core.depth import DepthMap
    from depth3d.opened_photo import OpenedPhoto

__all__ = ["anchors_of", "check_inputs_kept", "check_outputs", "metres_of", "open_scene", "scene_options"]

scene_options = compose(depth_options, metres_options, network_options, camera_options)
"""What `open_scene` takes."""

_INPUTS = (
    "depth", "calibration", "camera_file", "reference_depth", "background", "aperture_picture", "keyframes",
    "poses", "trajectory",
)  # fmt: skip
"""Parameters that name files to read."""

_OF_THE_SCENE = (
    "depth", "depth_kind", "png_scale", "assume_range_m", "focal_correct", "force",
    "fov_x_deg", "focal_px", "focal_35mm", "camera_file",
)  # fmt: skip


def check_outputs(photo: Path, outputs: Sequence[Path], preview: Path | None, *, overwrite: bool) -> None:
    """Refuse, before any long work, what could not be written.

    Raises:
        UnsupportedFormatError: The preview is no picture's name.
        FileError: A file exists and may not be replaced, or can't be written.
        InputError: An output is the photo itself or another input, or two are one file.
    """
    from depth3d import verbs
    from depth3d.errors import InputError, UnsupportedFormatError
    from depth3d.io.images import IMAGE_SUFFIXES

    if preview and preview.suffix.lower() not in IMAGE_SUFFIXES:
        raise UnsupportedFormatError(
            f"{preview} is no picture's name; use one of {', '.join(IMAGE_SUFFIXES)}"
        )
    paths = [path for path in (*outputs, preview) if path]
    for number, path in enumerate(paths):
        verbs.check_output(path, photo, overwrite=overwrite)
        check_inputs_kept(path)
        if path.absolute() in [other.absolute() for other in paths[:number]]:
            raise InputError(f"{path} would be written twice; give two names")


def check_inputs_kept(output: Path) -> None:
    """Refuse to write over a file that the command line names as an input, whatever --overwrite says.

    Raises:
        InputError: The output is the depth, the camera, the calibration ... that is read.
        FileError: The output can't be written.
    """
    from depth3d import verbs

    context = click.get_current_context(silent=True)
    for name in _INPUTS if context else ():
        given = context.params.get(name) if context else None
        if isinstance(given, str | Path):
            verbs.check_output(output, Path(given), overwrite=True)


def anchors_of(options: dict[str, Any]) -> list[Reference]:
    """Take the values of `anchor_options` out of a command's options, as references.

    Raises:
        InputError: A distance that is not positive.
    """
    from depth3d.calibrate.references import Anchor

    anchors: list[Reference] = [Anchor(*numbers) for numbers in options.pop("anchors", ())]
    return anchors + [Anchor.from_range(*numbers) for numbers in options.pop("anchor_ranges", ())]


def metres_of(
    calibration: Path | None, options: dict[str, Any]
) -> tuple[Calibration | None, list[Reference]]:
    """Take the ways to metres out of a command's options: the calibration, or the references.

    Args:
        calibration: The file of `--calibration`, if given.
        options: With the values of `anchor_options`, which are taken out.

    Raises:
        FileError: The calibration can't be read.
        InputError: Both are given, or one of them beside an assumed range.
    """
    from depth3d import verbs
    from depth3d.errors import InputError

    references = anchors_of(options)
    if calibration and references:
        raise InputError(
            "--calibration and --anchor would each fix the metres; give one of them, or make a new "
            "calibration from all anchors with depth3d calibrate"
        )
    if calibration or references:
        context = click.get_current_context()
        if context.get_parameter_source("assume_range_m") is ParameterSource.COMMANDLINE:
            given = "--calibration" if calibration else "--anchor"
            raise InputError(f"{given} gives real metres; leave --assume-range-m out")
    return (verbs.load_calibration(calibration) if calibration else None), references


def open_scene(
    photo: Path,
    calibration: Path | None,
    options: dict[str, Any],
    *,
    allow_relative: bool = False,
    needs_camera: Callable[[DepthMap], bool] | None = None,
) -> OpenedPhoto:
    """Open a photo with the depth, metres and camera options of a command, and say what was assumed.

    Args:
        photo: The photo.
        calibration: The file of `--calibration`, if given.
        options: The values of `scene_options`, without the calibration; others are left alone.
        allow_relative: Leave a relative map as it is unless the command line says how to get metres: the
            default of --assume-range-m is no such thing.
        needs_camera: Tells of a depth map whether the focal length counts for what is made with it; None is
            always. Where it does not, nothing is said about an assumed one.
    """
    from depth3d import verbs
    from depth3d.io.pictures import open_file
    from depth3d.opened_photo import open_photo
    from depth3d.photo_depth import assumed_camera_note

    opening()
    with open_file(photo):
        pass  # before a network is loaded, or even fetched, in vain
    law, references = metres_of(calibration, options)
    network = network_of(options)
    of_scene = {name: options[name] for name in _OF_THE_SCENE}
    if allow_relative:
        source = click.get_current_context().get_parameter_source("assume_range_m")
        if source in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP):
            of_scene["assume_range_m"] = None
    opened = open_photo(
        photo,
        calibration=law,
        references=references,
        estimator=None if options["depth"] else verbs.loaded_estimator(**network),
        allow_relative=allow_relative,
        **of_scene,
    )
    in_metres = bool(references) or of_scene["focal_correct"]
    if needs_camera and not in_metres and not needs_camera(opened.scene.depth):
        unsaid = assumed_camera_note(opened.scene.camera)
        opened = replace(opened, notes=tuple(line for line in opened.notes if line != unsaid))
    for line in opened.notes:
        note(line)
    return opened
