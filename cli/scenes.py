"""What every command that makes something of a scene does before: check where it goes, open the photo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .console import note
from .options import camera_options, compose, depth_options, metres_options, network_of, network_options

if TYPE_CHECKING:
    from depth3d.opened_photo import OpenedPhoto

__all__ = ["check_outputs", "open_scene", "scene_options"]

scene_options = compose(depth_options, metres_options, network_options, camera_options)
"""What `open_scene` takes."""


def check_outputs(photo: Path, outputs: Sequence[Path], preview: Path | None, *, overwrite: bool) -> None:
    """Refuse, before any long work, what could not be written.

    Raises:
        UnsupportedFormatError: The preview is no picture's name.
        FileError: A file exists and may not be replaced, or can't be written.
        InputError: An output is the photo itself.
    """
    from depth3d import verbs
    from depth3d.errors import UnsupportedFormatError
    from depth3d.io.images import IMAGE_SUFFIXES

    if preview and preview.suffix.lower() not in IMAGE_SUFFIXES:
        raise UnsupportedFormatError(
            f"{preview} is no picture's name; use one of {', '.join(IMAGE_SUFFIXES)}"
        )
    for path in filter(None, (*outputs, preview)):
        verbs.check_output(path, photo, overwrite=overwrite)


def open_scene(photo: Path, calibration: Path | None, options: dict[str, Any]) -> OpenedPhoto:
    """Open a photo with the depth, metres and camera options of a command, and say what was assumed.

    Args:
        photo: The photo.
        calibration: The file of `--calibration`, if given.
        options: The values of `scene_options`, without the calibration.
    """
    from depth3d import verbs
    from depth3d.opened_photo import open_photo

    network = network_of(options)
    opened = open_photo(
        photo,
        calibration=verbs.load_calibration(calibration) if calibration else None,
        estimator=None if options["depth"] else verbs.loaded_estimator(**network),
        **options,
    )
    for line in opened.notes:
        note(line)
    return opened
