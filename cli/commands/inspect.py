"""`depth3d inspect`."""

from __future__ import annotations

from pathlib import Path

import click

from ..console import print_json, print_rows
from ..options import json_option, overwrite_option, verbosity_options


@click.command(
    name="inspect", short_help="Describe a photo, film, depth map, cloud, mesh, camera or calibration."
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--report", type=click.Path(path_type=Path), metavar="PNG",
    help="Draw a depth map's distribution, or three views of a cloud or a mesh.",
)  # fmt: skip
@click.option(
    "--depth-kind",
    type=click.Choice(["relative", "metric"]),
    help="What the numbers mean; it goes before what the file says.",
)
@click.option("--png-scale", type=click.FloatRange(min=0, min_open=True), help="Units a metre of a PNG.")
@overwrite_option
@json_option
@verbosity_options
def command(
    file: Path,
    report: Path | None,
    depth_kind: str | None,
    png_scale: float | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Describe FILE: a photo, a film, a depth map, a cloud, a mesh, a camera or a calibration.

    \b
    depth3d inspect depth.npz --report report.png
    depth3d inspect photo.heic --json
    depth3d inspect film.mp4
    """
    from depth3d import verbs
    from depth3d.inspection import draw_report, inspect

    found = inspect(file, depth_kind=depth_kind, png_scale=png_scale)
    if report:
        verbs.check_output(report, file, overwrite=overwrite)
        draw_report(found, report, overwrite=overwrite)
    if as_json:
        print_json(found.facts)
    else:
        print_rows([(name, str(value)) for name, value in found.facts.items()])
