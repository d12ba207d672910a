"""`depth3d camera calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..console import note, print_json, print_rows, progress
from ..many import found_files
from ..options import json_option, output_option, overwrite_option, verbosity_options
from ..types import GridSize

if TYPE_CHECKING:
    from depth3d.calibrate.camera_fit import CameraFit, LensModel

_SIGMA_DIGITS = 2


@click.command(name="calibrate", short_help="Calibrate a camera from photos of a board.")
@click.argument("names", metavar="IMAGES...", nargs=-1, required=True)
@output_option("The camera: .json (ours) or .yaml (OpenCV).")
@click.option(
    "--pattern",
    "kind",
    type=click.Choice(["chessboard", "circles", "charuco"]),
    default="chessboard",
    help="What the photos show; circles are OpenCV's asymmetric grid.",
)
@click.option(
    "--board",
    "size",
    type=GridSize(),
    default="9x6",
    help="Inner corners of a chessboard, circles of a row and rows, or squares of a ChArUco board.",
)
@click.option("--square-mm", type=float, default=25.0, help="Side of a square; the camera does not need it.")
@click.option("--marker-mm", type=float, help="Side of a ChArUco marker.  [default: half a square]")
@click.option("--dictionary", default="DICT_6X6_250", metavar="NAME", help="Of the ChArUco markers.")
@click.option(
    "--lens",
    "model",
    type=click.Choice(["plain", "rational", "fisheye"]),
    default="plain",
    help="plain: k1 k2 p1 p2 k3; rational: k4 k5 k6 too; fisheye: for 120 degrees and more.",
)
@click.option("--square-pixels", is_flag=True, help="Hold fx and fy equal.")
@overwrite_option
@json_option
@verbosity_options
def command(
    names: tuple[str, ...],
    output: Path,
    kind: Any,
    size: tuple[int, int],
    square_mm: float,
    marker_mm: float | None,
    dictionary: str,
    model: LensModel,
    square_pixels: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Calibrate a camera from IMAGES of a flat board: ten or more, tilted, and out to the corners.

    Photos that show no board are named and left out, and so are those that contradict the others.

    \b
    depth3d camera calibrate board/ -o camera.json --board 9x6
    depth3d cloud photo.jpg --camera camera.json -o cloud.ply
    """
    from depth3d import verbs
    from depth3d.calibrate.boards import Board, find_board
    from depth3d.calibrate.camera_fit import fit_camera
    from depth3d.io.camera_files import check_camera_suffix
    from depth3d.io.images import load_image

    images = found_files(names)
    check_camera_suffix(output)
    verbs.check_output(output, images[0], overwrite=overwrite)
    marker_m = None if marker_mm is None else marker_mm / 1000
    board = Board(kind, *size, square_m=square_mm / 1000, marker_m=marker_m, dictionary=dictionary)
    views, without = [], []
    with progress("looking for boards", len(images)) as advance:
        for path in images:
            view = find_board(load_image(path), board, name=str(path))
            if view is None:
                without.append(path)
            else:
                views.append(view)
            advance(1)
    for path in without:
        note(f"{path} shows no {kind} of {size[0]}x{size[1]}: left out")
    fit = fit_camera(views, model=model, square_pixels=square_pixels)
    for doubt in fit.warnings:
        note(doubt)
    verbs.save(fit.camera, output, overwrite=overwrite)
    if as_json:
        print_json(_as_dict(fit, output, without))
    else:
        _print(fit)
        click.echo(f"{output}: {fit!r}")


def _parameters(fit: CameraFit) -> dict[str, float]:
    camera = fit.camera
    values = (camera.fx, camera.fy, camera.cx, camera.cy, *camera.distortion)
    return dict(zip(fit.sigma, values, strict=True))


def _print(fit: CameraFit) -> None:
    print_rows(
        [("photo", "points", "error (px)", "")]
        + [(v.name, str(v.points), f"{v.rms_px:.3f}", "" if v.used else "rejected") for v in fit.views]
    )
    print_rows(
        [("parameter", "value", "sigma")]
        + [
            (name, f"{value:.6g}", f"{fit.sigma[name]:.{_SIGMA_DIGITS}g}")
            for name, value in _parameters(fit).items()
        ]
    )


def _as_dict(fit: CameraFit, output: Path, without: list[Path]) -> dict[str, Any]:
    from depth3d.io.camera_json import camera_to_dict

    return {
        "output": output,
        "camera": camera_to_dict(fit.camera),
        "sigma": dict(fit.sigma),
        "rms_px": fit.rms_px,
        "coverage": fit.coverage,
        "views": [
            {"name": v.name, "points": v.points, "rms_px": v.rms_px, "used": v.used} for v in fit.views
        ],
        "without_board": without,
        "warnings": fit.warnings,
    }
