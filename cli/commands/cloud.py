"""`depth3d cloud`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import click

from ..console import report
from ..many import many_photos
from ..options import flying_ramp_options, json_option, output_option, overwrite_option, verbosity_options
from ..scenes import check_outputs, open_scene, scene_options
from ..sections import SectionedCommand
from ..types import NumberPair


def cloud_suffixes() -> Sequence[str]:
    """Tell which suffixes clouds have."""
    from depth3d.io.geometry_files import CLOUD_SUFFIXES

    return CLOUD_SUFFIXES


@click.command(name="cloud", cls=SectionedCommand, short_help="Make a point cloud from a photo.")
@many_photos("{stem}_cloud.ply", also={"preview": "{stem}_views.png"}, suffixes=cloud_suffixes)
@output_option("The cloud: .ply, .pcd, .xyz or .npz; for many photos a folder, or 'out/{stem}.npz'.")
@overwrite_option
@scene_options
@click.option("--stride", type=click.IntRange(1), default=1, help="Take every n-th row and column.")
@click.option("--voxel-m", type=float, metavar="M", help="Merge the points of each cube of this side.")
@click.option("--depth-range-m", type=NumberPair("NEAR", "FAR"), help="Keep only this range of z.")
@click.option(
    "--flying-pixels",
    type=click.Choice(["remove", "keep"]),
    default="remove",
    help="Points that hang between a near and a far surface.",
)
@flying_ramp_options
@click.option(
    "--outlier-neighbors",
    type=click.IntRange(1),
    metavar="N",
    help="Remove points far from their N neighbours.",
)
@click.option(
    "--outlier-std", type=float, default=2.0, metavar="SIGMA", help="How far, in standard deviations."
)
@click.option("--normals", is_flag=True, help="Write normals, oriented towards the camera.")
@click.option(
    "--frame",
    type=click.Choice(["opencv", "opengl", "blender"]),
    default="opencv",
    help="Axes of the file: y down and z forward, y up and z back, or z up and y forward.",
)
@click.option("--unit", type=click.Choice(["m", "cm", "mm"]), default="m", help="Unit of the file.")
@click.option("--ascii", "as_ascii", is_flag=True, help="Write a PLY as text.")
@click.option("--preview", type=click.Path(path_type=Path), metavar="PNG", help="Draw three views of it.")
@json_option
@verbosity_options
def command(
    photo: Path,
    output: Path,
    overwrite: bool,
    calibration: Path | None,
    stride: int,
    voxel_m: float | None,
    depth_range_m: tuple[float, float] | None,
    flying_pixels: Literal["remove", "keep"],
    flying_tolerance: float,
    flying_width_px: int | None,
    outlier_neighbors: int | None,
    outlier_std: float,
    normals: bool,
    frame: str,
    unit: str,
    as_ascii: bool,
    preview: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Make a point cloud of PHOTO: binary PLY in metres, x right, y down, z forward.

    Relative depth has no metres: without --anchor or --calibration a range is assumed, and said so here
    and in the file. A metric network (--model metric-indoor-small) or the depth of a phone or a sensor
    (--depth) gives real distances.

    \b
    depth3d cloud photo.jpg -o cloud.ply
    depth3d cloud photos/ -o clouds/ --depth depths/
    depth3d cloud photo.heic --depth photo.heic -o cloud.ply
    depth3d cloud rgb.png --depth depth.png --png-scale 5000 --camera camera.json -o cloud.ply
    """
    from depth3d import verbs
    from depth3d.errors import InputError
    from depth3d.io.camera_json import camera_to_dict
    from depth3d.io.geometry_files import check_cloud_suffix
    from depth3d.lift.clouds import point_cloud

    check_cloud_suffix(output)
    check_outputs(photo, [output], preview, overwrite=overwrite)
    opened = open_scene(photo, calibration, options)
    cloud = point_cloud(
        opened.scene,
        stride=stride,
        voxel_m=voxel_m,
        depth_range_m=depth_range_m,
        flying=flying_pixels,
        flying_tolerance=flying_tolerance,
        flying_width_px=flying_width_px,
        noise_per_m=opened.noise_per_m,
        normals=normals,
        outlier_neighbors=outlier_neighbors,
        outlier_std=outlier_std,
    )
    if not len(cloud):
        cure = (
            "widen --depth-range-m or keep --flying-pixels"
            if opened.scene.depth.valid.any()
            else "give a depth that knows some pixels"
        )
        raise InputError(f"no point is left of {photo}, its depth is {opened.scene.depth!r}; {cure}")
    verbs.save(
        cloud, output, overwrite=overwrite, frame=frame, unit=unit, ascii=as_ascii, comments=opened.comments
    )
    if preview:
        from depth3d.lift.point_views import contact_sheet

        verbs.save(contact_sheet(cloud, opened.scene.camera), preview, overwrite=overwrite)
    facts = {
        "output": output,
        "points": len(cloud),
        "preview": preview,
        "camera": camera_to_dict(opened.scene.camera),
        "depth": opened.depth_source,
        "notes": opened.notes,
    }
    report(facts, f"{output}: {cloud!r}", as_json=as_json)
