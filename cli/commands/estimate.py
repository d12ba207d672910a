"""`depth3d estimate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..console import note, opening, report
from ..many import many_photos
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
from ..scenes import check_inputs_kept, metres_of
from ..sections import SectionedCommand

FORMATS = ("npz", "npy", "png", "pfm", "tif", "exr")
COLORMAPS = ("Spectral_r", "viridis", "plasma", "magma", "inferno", "turbo", "gray")


def _preview_of(params: dict[str, Any], output: Path, photo: Any) -> list[Path]:
    from depth3d.estimate_files import preview_beside

    return [preview_beside(output)] if params["preview"] else []


def _suffixes() -> Sequence[str]:
    from depth3d.io.depth_files import DEPTH_SUFFIXES

    return DEPTH_SUFFIXES


@click.command(name="estimate", cls=SectionedCommand, short_help="Estimate depth maps of photos.")
@many_photos(
    lambda params: f"{{stem}}_depth.{params['suffix'] or 'npz'}",
    beside=_preview_of,
    suffixes=_suffixes,
    always_list=True,
)
@output_option("A file for one photo, or for many a directory or a template such as 'maps/{stem}.png'.")
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
    photo: Path,
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
    """Estimate the depth of each PHOTO, at its own size.

    Relative models write disparity (larger is nearer, no unit), metric ones z in metres. With --depth
    no network runs: the depth is read, brought to the photo's size and written in the new format. With
    --calibration or two or more --anchor relative depth is turned into metres.

    \b
    depth3d estimate photo.jpg -o depth.npz --preview
    depth3d estimate *.jpg -o depths/ --format png --model metric-indoor-small
    depth3d estimate photos/ 'more/**/*.heic' @list.txt -o depths/ --resume
    """
    from depth3d import verbs
    from depth3d.errors import InputError
    from depth3d.estimate_files import FileDepth, Job, PreviewStyle, check_job, estimate_file, preview_beside

    if depth_kind and not depth:
        raise InputError(
            "--depth-kind tells how to read --depth; leave it out, or choose a network of that kind (--model)"
        )
    if legend and not preview:
        raise InputError("--legend is drawn into the preview; add --preview")
    law, references = metres_of(calibration, options)
    job = Job(photo, output, preview_beside(output) if preview else None)
    style = PreviewStyle(colormap, legend)
    check_job(job, format_=suffix, overwrite=overwrite)
    for path in filter(None, (job.output, job.preview)):
        check_inputs_kept(path)
    opening()
    source = (
        FileDepth(depth, kind=depth_kind, png_scale=png_scale)
        if depth
        else verbs.loaded_estimator(**network_of(options), batch_size=batch_size)
    )
    result = estimate_file(
        job,
        source,
        camera=source.camera if isinstance(source, FileDepth) else None,
        calibration=law,
        references=references,
        focal_correct=focal_correct,
        force=force,
        style=style,
        png_scale=output_png_scale or png_scale or 1000.0,
        overwrite=overwrite,
    )
    for line in result.notes:
        note(line)
    report(result.summary(), f"{output}: {result.depth!r}", as_json=as_json, as_list=True)
