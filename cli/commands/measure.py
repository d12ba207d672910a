"""`depth3d measure`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..console import note, print_json, print_rows
from ..options import json_option, verbosity_options
from ..scenes import open_scene, scene_options
from ..types import Numbers

if TYPE_CHECKING:
    from depth3d.measurement import Measurement


@click.command(name="measure", short_help="Measure distances between points of a photo.")
@click.argument("photo", type=click.Path(path_type=Path))
@click.argument("points", nargs=-1, required=True, metavar="X,Y...", type=Numbers("X,Y", "320,410"))
@scene_options
@json_option
@verbosity_options
def command(
    photo: Path,
    points: tuple[tuple[float, float], ...],
    calibration: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure how far the points X,Y of PHOTO are from the camera and from one another.

    Each is a pixel of the upright photo, whose first pixel's centre is 0.5,0.5. z is the distance straight
    ahead, the range that to the point itself; lengths go from each point to the next. After +- stands one
    standard deviation, known with a --calibration of depth3d calibrate or with --anchor.

    \b
    depth3d measure photo.jpg 210,80 214,400 --calibration calibration.json
    depth3d measure photo.jpg 320,240 --anchor 320,410,0.82 --anchor 95,60,2.4
    """
    from depth3d.measurement import measure

    opened = open_scene(photo, calibration, options)
    assert opened.raw_depth is not None
    found = measure(opened.raw_depth, opened.scene.camera, points, calibration=opened.calibration)
    law = opened.calibration
    for line in found.notes:
        if law is None or law.method != "assumed range" or "guess" not in line:  # that was said already
            note(line)
    if as_json:
        print_json(_as_dict(found, opened.notes))
    else:
        print_rows(_rows(found))


def _rows(found: Measurement) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        (f"({u:g}, {v:g})", f"z {_metres(z, z_sigma)}", f"range {_metres(away, away_sigma)}")
        for (u, v), z, z_sigma, away, away_sigma in zip(
            found.uv_px, found.depths_m, found.depth_sigma_m, found.ranges_m, found.range_sigma_m, strict=True
        )
    ]
    for i, (length, sigma) in enumerate(zip(found.lengths_m, found.length_sigma_m, strict=True)):
        rows.append((f"{i + 1} to {i + 2}", _metres(length, sigma), ""))
    if len(found.lengths_m) > 1:
        rows.append(("total", _metres(found.total_m, found.total_sigma_m), ""))
    return rows


def _metres(length_m: float, sigma_m: float) -> str:
    if sigma_m != sigma_m:
        return f"{length_m:.3g} m (of unknown accuracy)"
    return f"{length_m:.4g} +- {sigma_m:.2g} m"


def _as_dict(found: Measurement, notes: tuple[str, ...]) -> dict[str, Any]:
    points = [
        {
            "u_px": uv[0], "v_px": uv[1], "xyz_m": xyz, "z_m": xyz[2], "z_sigma_m": z_sigma,
            "range_m": away, "range_sigma_m": away_sigma,
        }
        for uv, xyz, z_sigma, away, away_sigma in zip(
            found.uv_px.tolist(), found.points_m.tolist(), found.depth_sigma_m.tolist(),
            found.ranges_m.tolist(), found.range_sigma_m.tolist(), strict=True,
        )
    ]  # fmt: skip
    return {
        "points": points,
        "lengths_m": found.lengths_m.tolist(),
        "length_sigma_m": found.length_sigma_m.tolist(),
        "total_m": found.total_m,
        "total_sigma_m": found.total_sigma_m,
        "notes": [*notes, *found.notes],
    }
