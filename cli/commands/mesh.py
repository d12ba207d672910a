"""`depth3d mesh`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import click

from ..console import report
from ..many import many_photos
from ..options import flying_ramp_options, json_option, output_option, overwrite_option, verbosity_options
from ..print_options import body_for_printing, print_kind, print_options, wants_body
from ..reconstructions import is_cloud, mesh_of_points
from ..scenes import check_outputs, open_scene, scene_options
from ..sections import SectionedCommand, section
from ..types import NumberPair


def _name(params: dict[str, Any]) -> str:
    kind = print_kind(params)
    return f"{{stem}}_{kind}.stl" if kind else "{stem}_mesh.glb"


def _beside(params: dict[str, Any], output: Path, photo: Any) -> Sequence[Path]:
    if output.suffix.lower() != ".obj":
        return ()
    from depth3d.io.mesh_files import mesh_outputs

    textured = params["paint"] == "texture" and not params["lithophane"] and params["method"] == "grid"
    return mesh_outputs(output, textured=textured, texture_format=params["texture_format"])


def _suffixes() -> Sequence[str]:
    from depth3d.io.mesh_files import MESH_SUFFIXES

    return (*MESH_SUFFIXES, ".usdz")


def _found_by(params: dict[str, Any]) -> Sequence[str]:
    from depth3d.io.geometry_files import CLOUD_SUFFIXES
    from depth3d.io.inputs import PHOTO_SUFFIXES

    return PHOTO_SUFFIXES if params["method"] == "grid" else (*PHOTO_SUFFIXES, *CLOUD_SUFFIXES)


@click.command(name="mesh", cls=SectionedCommand, short_help="Make a mesh from a photo.")
@many_photos(
    _name,
    also={"preview": "{stem}_views.png"},
    beside=_beside,
    suffixes=_suffixes,
    found_by=_found_by,
    metavar="PHOTO|CLOUD...",
)
@output_option(
    "The mesh: .glb, .obj (with .mtl and texture beside it), .ply, .stl, .3mf or .usdz; for many photos a "
    "folder, or 'out/{stem}.obj'."
)
@overwrite_option
@click.option(
    "--method",
    type=click.Choice(["grid", "poisson", "ball-pivoting"]),
    default="grid",
    help="Join the photo's pixels, or find a surface through points, of clouds too: a smooth one "
    "near them, or triangles between them.",
)
@click.option(
    "--octree-depth",
    type=click.IntRange(5, 12),
    metavar="N",
    help="Of poisson: its finest cells are the cloud's extent / 2^N.  [default: as the points are spaced]",
)
@click.option("--preview", type=click.Path(path_type=Path), metavar="PNG", help="Draw three views of it.")
@json_option
@verbosity_options
@scene_options
@section(
    "What is kept, and where it is cut",
    click.option("--depth-range-m", type=NumberPair("NEAR", "FAR"), help="Keep only this range of z."),
    click.option(
        "--flying-pixels",
        type=click.Choice(["snap", "remove", "keep"]),
        default="snap",
        help="Pixels that hang between a near and a far surface: move them onto the nearer of the two, leave "
        "a gap, or believe them.",
    ),
    flying_ramp_options,
    click.option(
        "--edge-tolerance",
        type=float,
        default=0.03,
        metavar="SHARE",
        help="Smallest jump in inverse depth that is cut.",
    ),
    click.option(
        "--max-grazing-deg", type=float, metavar="DEG", help="Drop triangles seen at more than this angle."
    ),
    click.option(
        "--min-island-px",
        type=click.IntRange(0),
        metavar="PX",
        help="Drop parts of fewer pixels.  [default: a ten-thousandth of the photo's]",
    ),
)
@section(
    "Size",
    click.option("--stride", type=click.IntRange(1), default=1, help="Take every n-th row and column."),
    click.option(
        "--max-faces",
        type=click.IntRange(2),
        metavar="N",
        help="Merge triangles until there are at most N.  [default: for prints a million]",
    ),
    click.option(
        "--max-error-px",
        type=click.FloatRange(0),
        metavar="PX",
        help="Merge triangles where that moves the surface by no more than this along the line of sight, in "
        "what a pixel covers there: 0.5 makes walls and floors few.",
    ),
)
@section(
    "Look and file",
    click.option(
        "--paint",
        type=click.Choice(["texture", "colors", "none"]),
        default="texture",
        help="Put the photo on as texture, as colours of the vertices, or not at all.",
    ),
    click.option(
        "--texture-format", type=click.Choice(["jpeg", "png"]), default="jpeg", help="Of the texture."
    ),
    click.option("--normals/--no-normals", default=True, help="Write normals, oriented towards the camera."),
    click.option(
        "--frame",
        type=click.Choice(["opencv", "opengl", "blender"]),
        help="Axes of the file: y down and z forward, y up and z back, or z up and y forward.  [default: "
        "what readers of the format expect: opencv for .ply, opengl for the others]",
    ),
    click.option(
        "--unit",
        type=click.Choice(["m", "cm", "mm"]),
        help="Unit of the file.  [default: mm for .stl and .3mf, m for the others]",
    ),
)
@print_options
def command(
    photo: Path,
    output: Path,
    overwrite: bool,
    method: Literal["grid", "poisson", "ball-pivoting"],
    octree_depth: int | None,
    calibration: Path | None,
    stride: int,
    depth_range_m: tuple[float, float] | None,
    flying_pixels: Literal["snap", "remove", "keep"],
    flying_tolerance: float,
    flying_width_px: int | None,
    edge_tolerance: float,
    max_grazing_deg: float | None,
    min_island_px: int | None,
    max_faces: int | None,
    max_error_px: float | None,
    paint: Literal["texture", "colors", "none"],
    texture_format: Literal["jpeg", "png"],
    normals: bool,
    frame: str | None,
    unit: str | None,
    preview: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Make a mesh of PHOTO: triangles cut at the edges of things, with the photo as texture.

    Relative depth has no metres: without --anchor or --calibration a range is assumed, and said so here
    and in the file. A metric network (--model metric-indoor-small) or the depth of a phone or a sensor
    (--depth) gives real distances.

    \b
    depth3d mesh photo.jpg -o mesh.glb --max-faces 200000
    depth3d mesh photos/ -o meshes/ --depth depths/ --jobs 2 --resume
    depth3d mesh photo.heic --depth photo.heic -o mesh.obj --preview views.png
    depth3d mesh rgb.png --depth depth.png --camera camera.json -o part.stl
    depth3d mesh cloud.ply --method poisson -o surface.glb
    depth3d mesh photo.jpg --relief --width-mm 120 -o relief.stl
    """
    from depth3d import verbs
    from depth3d.errors import InputError
    from depth3d.io.camera_json import camera_to_dict
    from depth3d.io.mesh_files import check_mesh_format, mesh_outputs
    from depth3d.lift.meshes import mesh as make_mesh

    given = click.get_current_context().params
    if wants_body(given):
        body_for_printing(given)
        return
    if method != "grid" or is_cloud(photo):
        mesh_of_points(given)
        return
    if octree_depth is not None:
        raise InputError("--octree-depth belongs to --method poisson; leave it out, or use that method")
    check_mesh_format(output, frame=frame, unit=unit)
    files = mesh_outputs(output, textured=paint == "texture", texture_format=texture_format)
    check_outputs(photo, files, preview, overwrite=overwrite)
    opened = open_scene(photo, calibration, options)
    mesh = make_mesh(
        opened.scene,
        stride=stride,
        depth_range_m=depth_range_m,
        flying=flying_pixels,
        flying_tolerance=flying_tolerance,
        flying_width_px=flying_width_px,
        noise_per_m=opened.noise_per_m,
        edge_tolerance=edge_tolerance,
        max_grazing_deg=max_grazing_deg,
        min_island_px=min_island_px,
        max_faces=max_faces,
        max_error_px=max_error_px,
        paint=paint,
        normals=normals,
    )
    if not len(mesh.faces):
        cure = (
            "widen --depth-range-m, raise --edge-tolerance or lower --min-island-px"
            if opened.scene.depth.valid.any()
            else "give a depth that knows some pixels"
        )
        if min(opened.scene.depth.size_wh) < 2:
            cure = "a mesh takes 2x2 pixels or more, so give a larger photo"
        raise InputError(f"no triangle is left of {photo}, its depth is {opened.scene.depth!r}; {cure}")
    verbs.save(
        mesh,
        output,
        overwrite=overwrite,
        frame=frame,
        unit=unit,
        texture_format=texture_format,
        comments=opened.comments,
    )
    if preview:
        from depth3d.lift.mesh_views import mesh_sheet

        verbs.save(mesh_sheet(mesh, opened.scene.camera), preview, overwrite=overwrite)
    facts = {
        "output": output,
        "files": files,
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
        "preview": preview,
        "camera": camera_to_dict(opened.scene.camera),
        "depth": opened.depth_source,
        "notes": opened.notes,
    }
    report(facts, f"{output}: {mesh!r}", as_json=as_json)
