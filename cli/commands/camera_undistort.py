"""`depth3d camera undistort`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..console import note, opening, report
from ..many import many_photos
from ..options import camera_options, json_option, output_option, overwrite_option, verbosity_options
from ..scenes import check_outputs
from ..sections import SectionedCommand


def _suffixes() -> Sequence[str]:
    from depth3d.io.images import IMAGE_SUFFIXES

    return IMAGE_SUFFIXES


@click.command(name="undistort", cls=SectionedCommand, short_help="Resample a photo without lens distortion.")
@many_photos("{stem}_straight.png", also={"camera_output": "{stem}_camera.json"}, suffixes=_suffixes)
@output_option("The straightened photo: .png, .jpg, .webp, .tif or .bmp; for many photos a folder.")
@click.option(
    "--camera-output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the new pinhole camera too: .json (ours) or .yaml (OpenCV).",
)
@click.option(
    "--keep-all",
    is_flag=True,
    help="Show all of the photo, with black around it, instead of a crop without black.",
)
@camera_options
@overwrite_option
@json_option
@verbosity_options
def command(
    photo: Path,
    output: Path,
    camera_output: Path | None,
    keep_all: bool,
    overwrite: bool,
    as_json: bool,
    **sources: Any,
) -> None:
    """Resample PHOTO so that straight lines are straight, with the lens that --camera describes.

    No other command needs this: they all honour the distortion and use the photo as it is.

    \b
    depth3d camera undistort photo.jpg -o straight.png --camera camera.json --camera-output straight.json
    depth3d camera undistort photos/ -o straight/ --camera camera.json
    """
    from depth3d import verbs
    from depth3d.calibrate.undistortion import undistort_image
    from depth3d.io.camera_files import check_camera_suffix
    from depth3d.io.camera_json import camera_to_dict
    from depth3d.io.images import load_image
    from depth3d.io.photo_camera import camera_for

    check_outputs(photo, [], output, overwrite=overwrite)
    if camera_output:
        check_camera_suffix(camera_output)
        verbs.check_output(camera_output, sources["camera_file"] or photo, overwrite=overwrite)
    opening()
    camera = camera_for(photo, **sources)
    if not any(camera.distortion):
        note(
            f"the camera ({camera.source}) has no distortion, so the photo stays as it is; give --camera FILE"
        )
    image, pinhole = undistort_image(load_image(photo), camera, keep_all=keep_all)
    verbs.save(image, output, overwrite=overwrite)
    if camera_output:
        verbs.save(pinhole, camera_output, overwrite=overwrite)
    facts = {"output": output, "camera_output": camera_output, "camera": camera_to_dict(pinhole)}
    report(facts, f"{output}: {pinhole!r}", as_json=as_json)
