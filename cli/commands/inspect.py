"""`depth3d inspect`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..console import print_json, print_rows, warn
from ..many import found_files
from ..options import json_option, overwrite_option, verbosity_options


@click.command(
    name="inspect", short_help="Describe a photo, film, depth map, cloud, mesh, camera or calibration."
)
@click.argument("names", metavar="FILE...", nargs=-1, required=True)
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
    names: tuple[str, ...],
    report: Path | None,
    depth_kind: str | None,
    png_scale: float | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Describe each FILE: a photo, a film, a depth map, a cloud, a mesh, a camera or a calibration.

    \b
    depth3d inspect depth.npz --report report.png
    depth3d inspect photo.heic --json
    depth3d inspect film.mp4
    depth3d inspect results/
    """
    from depth3d import verbs
    from depth3d.errors import InputError
    from depth3d.inspection import INSPECTED_SUFFIXES, draw_report, inspect
    from depth3d.io.inputs import is_one_file

    if len(names) > 1 or not is_one_file(names[0]):
        files = found_files(names, suffixes=INSPECTED_SUFFIXES, kind=None)
        if report:
            raise InputError(f"--report draws one file, and there are {len(files)}; leave it out")
        _many(files, depth_kind, png_scale, as_json)
        return
    file = Path(names[0])
    found = inspect(file, depth_kind=depth_kind, png_scale=png_scale)
    if report:
        verbs.check_output(report, file, overwrite=overwrite)
        draw_report(found, report, overwrite=overwrite)
    if as_json:
        print_json(found.facts)
    else:
        print_rows([(name, str(value)) for name, value in found.facts.items()])


def _many(files: Sequence[Path], depth_kind: str | None, png_scale: float | None, as_json: bool) -> None:
    """Describe files one after the other; those that can't be read come at the end."""
    from depth3d.errors import Depth3DError
    from depth3d.inspection import inspect

    rows: list[dict[str, Any]] = []
    failed: list[tuple[Path, Depth3DError]] = []
    for file in files:
        try:
            facts = inspect(file, depth_kind=depth_kind, png_scale=png_scale).facts
        except Depth3DError as error:
            failed.append((file, error))
            rows.append({"file": file, "error": str(error)})
            continue
        rows.append({"file": file, **facts})
        if not as_json:
            click.echo(f"{file}:")
            print_rows([("  " + name, str(value)) for name, value in facts.items()])
    if as_json:
        print_json(rows)
    for file, reason in failed:
        warn(f"{file}: {reason}")
    if failed:
        raise click.ClickException(f"{len(failed)} of {len(files)} files failed")
