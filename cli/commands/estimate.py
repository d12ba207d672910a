"""`depth3d estimate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..console import note, print_json, progress, warn
from ..options import (
    calibration_options,
    depth_options,
    json_option,
    network_of,
    network_options,
    output_option,
    overwrite_option,
    verbosity_options,
)
from ..scenes import metres_of

FORMATS = ("npz", "npy", "png", "pfm", "tif", "exr")
COLORMAPS = ("Spectral_r", "viridis", "plasma", "magma", "inferno", "turbo", "gray")


@click.command(name="estimate", short_help="Estimate depth maps of photos.")
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path))
@output_option("A file for one photo, or a directory for many.")
@click.option("--format", "suffix", type=click.Choice(FORMATS), help="Format in a directory.  [default: npz]")
@overwrite_option
@network_options
@click.option("--batch-size", type=click.IntRange(1), default=1, help="Photos that share one pass.")
@depth_options
@calibration_options
@click.option(
    "--output-png-scale",
    type=click.FloatRange(min=0, min_open=True),
    metavar="UNITS",
    help="Units a metre of metric PNGs that are written.  [default: --png-scale, else 1000]",
)
@click.option("--preview", is_flag=True, help="Write a picture of the map beside it.")
@click.option("--colormap", type=click.Choice(COLORMAPS), default="Spectral_r", help="gray is 16 bit.")
@click.option("--legend", is_flag=True, help="Draw the scale into the preview.")
@json_option
@verbosity_options
def command(
    photos: tuple[Path, ...],
    output: Path,
    suffix: str | None,
    overwrite: bool,
    batch_size: int,
    depth: Path | None,
    depth_kind: str | None,
    png_scale: float | None,
    calibration: Path | None,
    focal_correct: bool,
    force: bool,
    output_png_scale: float | None,
    preview: bool,
    colormap: str,
    legend: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Estimate the depth of PHOTOS, each at its own size.

    Relative models write disparity (larger is nearer, no unit), metric ones z in metres. With --depth
    no network runs: the depth is read, brought to the photo's size and written in the new format. With
    --calibration or two or more --anchor relative depth is turned into metres.

    \b
    depth3d estimate photo.jpg -o depth.npz --preview
    depth3d estimate *.jpg -o depths/ --format png --model metric-indoor-small
    """
    from depth3d import verbs
    from depth3d.errors import InputError
    from depth3d.estimate_files import FileDepth, PreviewStyle, estimate_files, plan_jobs

    if depth and len(photos) > 1:
        raise InputError(
            f"--depth belongs to one photo, and there are {len(photos)}; run it for each of them"
        )
    if depth_kind and not depth:
        raise InputError(
            "--depth-kind tells how to read --depth; leave it out, or choose a network of that kind (--model)"
        )
    if legend and not preview:
        raise InputError("--legend is drawn into the preview; add --preview")
    law, references = metres_of(calibration, options)
    if references and len(photos) > 1:
        raise InputError(
            f"anchors belong to one photo, and there are {len(photos)}; run it for each of them, or make a "
            "--calibration of them all with depth3d calibrate"
        )
    style = PreviewStyle(colormap, legend)
    jobs = plan_jobs(photos, output, format_=suffix, preview=preview, overwrite=overwrite)
    source = (
        FileDepth(depth, kind=depth_kind, png_scale=png_scale)
        if depth
        else verbs.loaded_estimator(**network_of(options), batch_size=batch_size)
    )
    rows: list[dict[str, Any]] = []
    with progress("Estimating", len(jobs)) as advance:
        for result in estimate_files(
            jobs,
            source,
            camera=source.camera if isinstance(source, FileDepth) else None,
            calibration=law,
            references=references,
            focal_correct=focal_correct,
            force=force,
            batch_size=batch_size,
            style=style,
            png_scale=output_png_scale or png_scale or 1000.0,
            overwrite=overwrite,
        ):
            rows.append(result.summary())
            for line in result.notes:
                note(line)
            advance(1)
            if result.error:
                warn(f"{result.job.photo}: {result.error}")
            elif not as_json:
                click.echo(f"{result.job.output}: {result.depth!r}")
    if as_json:
        print_json(rows)
    failed = sum("error" in row for row in rows)
    if failed:
        rest = "; the others are written" if failed < len(jobs) else ""
        raise click.ClickException(f"{failed} of {len(jobs)} photos failed{rest}")
