"""`depth3d camera`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..console import note, print_json, print_rows
from ..options import camera_options, json_option, output_option, overwrite_option, verbosity_options
from ..scenes import check_outputs
from . import camera_calibrate, camera_undistort


@click.group(name="camera", short_help="Show, convert and calibrate camera intrinsics.")
def command() -> None:
    """Show where a photo's intrinsics come from, convert and calibrate cameras, straighten photos."""


command.add_command(camera_calibrate.command)
command.add_command(camera_undistort.command)


@command.command(name="show", short_help="Show the intrinsics of a photo.")
@click.argument("photo", type=click.Path(path_type=Path))
@camera_options
@click.option(
    "--preview",
    type=click.Path(path_type=Path),
    metavar="PNG",
    help="With --fov auto: draw the straight edges, in a colour for each direction.",
)
@overwrite_option
@json_option
@verbosity_options
def show(photo: Path, preview: Path | None, overwrite: bool, as_json: bool, **sources: Any) -> None:
    """Show the intrinsics of PHOTO, and every source that was asked, best first.

    \b
    explicit > file > embedded > EXIF > assumed

    
    depth3d camera show room.jpg --fov auto --preview edges.png    # measured by the photo's straight edges
    """
    from depth3d import verbs
    from depth3d.calibrate.line_pictures import draw_vanishing_lines
    from depth3d.io.camera_json import camera_to_dict
    from depth3d.io.images import load_image
    from depth3d.io.photo_camera import camera_candidates, camera_for
    from depth3d.photo_depth import CameraOptions

    check_outputs(photo, [], preview, overwrite=overwrite)
    if sources["fov_x_deg"] == "auto":
        image = load_image(photo)
        options, found = CameraOptions(**sources).measured_on(image)
        sources = {"camera": options.camera}
        assert found is not None
        note(found.note)
        if preview:
            verbs.save(draw_vanishing_lines(image, found), preview, overwrite=overwrite)
    elif preview:
        raise click.UsageError("--preview draws what --fov auto rests on; give both, or neither")
    candidates = camera_candidates(photo, **sources)
    chosen = camera_for(photo, **sources)
    if as_json:
        fields = camera_to_dict(chosen) | {"fov_x_deg": chosen.fov_x_deg, "fov_y_deg": chosen.fov_y_deg}
        asked = [
            {"source": c.source, "fx": c.camera.fx if c.camera else None, "note": c.note} for c in candidates
        ]
        print_json(fields | {"candidates": asked})
        return
    click.echo(repr(chosen))
    print_rows(
        [("source", "fx (px)", "note")]
        + [(c.source, f"{c.camera.fx:.1f}" if c.camera else "-", c.note) for c in candidates]
    )


@command.command(name="convert", short_help="Convert a camera file.")
@click.argument("camera_file", metavar="FILE", type=click.Path(path_type=Path))
@output_option("The camera: .json (ours) or .yaml (OpenCV).")
@click.option("--width", type=click.IntRange(1), help="Width of the picture, where FILE does not say.")
@click.option("--height", type=click.IntRange(1), help="Height of the picture, where FILE does not say.")
@click.option("--name", metavar="ID", help="Which camera of a file with several.")
@overwrite_option
@verbosity_options
def convert(
    camera_file: Path, output: Path, width: int | None, height: int | None, name: str | None, overwrite: bool
) -> None:
    """Convert FILE (OpenCV, COLMAP, ROS, Open3D, nerfstudio or ours) to JSON or OpenCV YAML."""
    from depth3d import verbs
    from depth3d.io.camera_files import load_camera

    verbs.check_output(output, camera_file, overwrite=overwrite)
    camera = load_camera(camera_file, width=width, height=height, name=name)
    verbs.save(camera, output, overwrite=overwrite)
    click.echo(f"{output}: {camera!r}")
