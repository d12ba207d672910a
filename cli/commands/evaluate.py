"""`depth3d evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..console import note, print_json, progress, warn
from ..evaluation_tables import print_errors, print_scenes
from ..options import (
    json_option,
    network_of,
    network_options,
    output_option,
    overwrite_option,
    verbosity_options,
)
from ..types import NumberPair

if TYPE_CHECKING:
    from collections.abc import Callable

    from depth3d.evaluate_files import Reader

PROTOCOLS = ("default", "nyu", "kitti", "kitti-eigen")
CROPS = ("none", "nyu-eigen", "kitti-garg", "kitti-eigen")
ALIGNMENTS = ("auto", "none", "scale", "affine")
_kind = click.Choice(["relative", "metric"])
_scale = click.FloatRange(min=0, min_open=True)


@click.command(name="evaluate", short_help="Score depth maps against true ones.")
@click.argument("prediction")
@click.argument("truth", required=False)
@output_option("A table: .csv (a row a picture) or .json (all).", required=False)
@overwrite_option
@click.option(
    "--protocol",
    type=click.Choice(PROTOCOLS),
    default="default",
    help="Which pixels count. nyu: Eigen's crop, up to 10 m; kitti: Garg's crop, up to 80 m; kitti-eigen: "
    "Eigen's crop, up to 80 m; default: the whole picture, up to 80 m.",
)
@click.option("--crop", type=click.Choice(CROPS), help="Another crop than the protocol's.")
@click.option(
    "--depth-range-m", type=NumberPair("NEAR", "FAR"), help="Another range of true z than the protocol's."
)
@click.option(
    "--align",
    type=click.Choice(ALIGNMENTS),
    default="auto",
    help="none: metres as they are; scale: median scaling; affine: scale and shift by least squares in 1/z; "
    "auto: none for two metric maps, else affine.",
)
@click.option(
    "--edge-tolerance-px",
    type=click.IntRange(0),
    default=2,
    metavar="PX",
    help="How far edges may be off for Boundary F1; 0 for an exact truth.",
)
@click.option("--truth-kind", type=_kind, help="What the numbers of the truth mean.")
@click.option(
    "--png-scale",
    type=_scale,
    metavar="UNITS",
    help="Units a metre of the truth's 16-bit PNGs: 1000, 256 (KITTI) or 5000 (TUM).  [default: 1000]",
)
@click.option("--prediction-kind", type=_kind, help="What the numbers of the prediction mean.")
@click.option(
    "--prediction-png-scale",
    type=_scale,
    metavar="UNITS",
    help="Units a metre of the prediction's 16-bit PNGs.  [default: 1000]",
)
@click.option(
    "--da2k",
    type=click.Path(path_type=Path),
    metavar="JSON",
    help="Instead of a truth: annotated pairs of points, one of which is nearer, as in DA-2K.",
)
@click.option(
    "--error-pictures",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Draw truth, prediction and the error of each pixel.",
)
@click.option(
    "--photos", type=click.Path(path_type=Path), metavar="PATH", help="Photos to show in the error pictures."
)
@network_options
@json_option
@verbosity_options
def command(
    prediction: str,
    truth: str | None,
    output: Path | None,
    overwrite: bool,
    da2k: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Score PREDICTION against TRUTH: two depth files, or folders, globs or lists of them, matched by name.

    With --model, PREDICTION is a photo, or a folder, glob or list of photos, and the network runs on them.

    \b
    depth3d evaluate depths/ truth/ --error-pictures errors/ -o scores.csv
    depth3d evaluate 'results/**/*_depth.npz' @truths.txt --json
    depth3d evaluate rgb/ depth/ --model small --protocol nyu
    depth3d evaluate rgb/ lidar/ --model metric-outdoor-small --protocol kitti --png-scale 256
    depth3d evaluate DA-2K/images --model small --da2k DA-2K/annotations.json
    """  # fmt: skip
    from depth3d import verbs
    from depth3d.errors import InputError
    from depth3d.evaluate_files import depth_reader
    from depth3d.io.reports import check_report_suffix, write_report

    if output:
        check_report_suffix(output)
        verbs.check_output(output, Path(prediction), overwrite=overwrite)
    network, context = network_of(options), click.get_current_context()
    given = {name for name in network if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if given and "model" not in given:
        raise InputError(
            f"--{min(given).replace('_', '-')} belongs to a network, and none runs; name one with --model, "
            "or leave it out (which depths count, --depth-range-m says)"
        )

    def read_prediction() -> Reader:
        return depth_reader(
            kind=options["prediction_kind"],
            png_scale=options["prediction_png_scale"],
            estimator=verbs.loaded_estimator(**network) if given else None,
        )

    if truth is not None and da2k is None:
        report = _compared(prediction, truth, read_prediction, bool(given), overwrite, options)
    elif da2k is not None and truth is None:
        if options["error_pictures"]:
            raise InputError("--error-pictures need a TRUTH; leave them out with --da2k")
        report = _judged(Path(prediction), da2k, read_prediction, bool(given))
    else:
        raise InputError("give either TRUTH or --da2k annotations.json to compare with")
    if output:
        write_report(report, output, overwrite=overwrite)
    if as_json:
        print_json(report)
    elif da2k:
        print_scenes(report)
    else:
        print_errors(report)
    if report["failed"]:
        total = report["failed"] + report["evaluated"]
        if total == 1:
            raise click.exceptions.Exit(1)  # what failed is said already
        raise click.ClickException(f"{report['failed']} of {total} pictures failed and count in no number")


def _compared(
    prediction: str,
    truth: str,
    read_prediction: Callable[[], Reader],
    are_photos: bool,
    overwrite: bool,
    options: dict[str, Any],
) -> dict[str, Any]:
    from dataclasses import replace

    from depth3d.evaluate.protocols import protocol_named
    from depth3d.evaluate_files import depth_reader, evaluate_files, plan_evaluation, report_of

    protocol = protocol_named(options["protocol"])
    changes: dict[str, Any] = {"crop": options["crop"]} if options["crop"] else {}
    if options["depth_range_m"]:
        changes["min_depth_m"], changes["max_depth_m"] = options["depth_range_m"]
    if changes:
        protocol = replace(protocol, name="custom", **changes)
    jobs, unused = plan_evaluation(
        prediction, truth, predictions_are_photos=are_photos, photos=options["photos"],
        error_pictures=options["error_pictures"], overwrite=overwrite,
    )  # fmt: skip
    if unused:
        note(f"{len(unused)} files of {prediction} have no truth and are left out, such as {unused[0]}")
    results = []
    with progress("Evaluating", len(jobs)) as advance:
        for result in evaluate_files(
            jobs, read_prediction(), depth_reader(kind=options["truth_kind"], png_scale=options["png_scale"]),
            protocol=protocol, align=options["align"], tolerance_px=options["edge_tolerance_px"],
            overwrite=overwrite,
        ):  # fmt: skip
            results.append(result)
            advance(1)
            if result.error:
                warn(f"{result.job.name}: {result.error}")
    return report_of(results, protocol)


def _judged(
    folder: Path, annotations: Path, read_prediction: Callable[[], Reader], are_photos: bool
) -> dict[str, Any]:
    from depth3d.da2k_files import da2k_report, evaluate_da2k, load_da2k

    pairs = load_da2k(annotations)
    results = []
    with progress("Judging", len(pairs)) as advance:
        for result in evaluate_da2k(
            pairs, folder, read_prediction(), predictions_are_photos=are_photos, photos=annotations.parent
        ):
            results.append(result)
            advance(1)
            if result.error:
                warn(f"{result.photo}: {result.error}")
    return da2k_report(results)
