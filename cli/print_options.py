"""`depth3d mesh --solid`, `--relief` and `--lithophane`: closed bodies for a printer."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .console import note, opening, report
from .options import depth_options, names_of, network_of, network_options
from .reconstructions import is_cloud
from .scenes import check_outputs, open_scene, scene_options
from .sections import section

if TYPE_CHECKING:
    from depth3d.core.mesh import Mesh

__all__ = ["body_for_printing", "print_kind", "print_options", "wants_body"]

_MM = click.FloatRange(min=0, min_open=True)

print_options = section(
    "Printing",
    click.option(
        "--solid", is_flag=True,
        help="Make a closed body for printing: what the camera sees, what this hides, and a flat back.",
    ),
    click.option(
        "--relief", is_flag=True,
        help="Make a plate for printing whose height is the inverse depth; it needs no metres.",
    ),
    click.option(
        "--lithophane", is_flag=True,
        help="Make a plate for printing that shows the photo when light shines through; it needs no depth.",
    ),
    click.option(
        "--width-mm", type=_MM, metavar="MM",
        help="Width of the print.  [default: 100; --solid: as large as the scene]",
    ),
    click.option(
        "--depth-mm", type=_MM, metavar="MM",
        help="From front to back, base included.  [default: --relief 10; --solid: in proportion]",
    ),
    click.option(
        "--base-mm", type=_MM, metavar="MM",
        help="Thickness at the farthest point of --solid and --relief.  [default: 2]",
    ),
    click.option(
        "--sample-mm", type=_MM, metavar="MM",
        help="Distance of the samples of --relief and --lithophane.  [default: 0.2]",
    ),
    click.option(
        "--min-mm", type=_MM, metavar="MM", help="Least thickness of --lithophane.  [default: 0.8]"
    ),
    click.option(
        "--max-mm", type=_MM, metavar="MM",
        help="Largest thickness of --lithophane, and that of its border.  [default: 3]",
    ),
    click.option(
        "--border-mm", type=click.FloatRange(0), metavar="MM",
        help="Width of --lithophane's border.  [default: 3]",
    ),
    click.option(
        "--contrast", type=click.FloatRange(min=1, min_open=True), metavar="RATIO",
        help="How many times more light the material lets through at --min-mm than at --max-mm.  "
        "[default: 30]",
    ),
)  # fmt: skip

_KINDS = ("solid", "relief", "lithophane")
_OF_ALL = {"photo", "output", "overwrite", "max_faces", "frame", "unit", "preview", "as_json", "width_mm"}
_OF = {
    "solid": {
        *names_of(scene_options), "stride", "depth_range_m", "flying_pixels", "flying_tolerance",
        "flying_width_px", "min_island_px", "max_error_px", "paint", "texture_format", "depth_mm", "base_mm",
    },
    "relief": {
        *names_of(depth_options, network_options), "flying_pixels", "paint", "texture_format", "depth_mm",
        "base_mm", "sample_mm",
    },
    "lithophane": {"min_mm", "max_mm", "border_mm", "contrast", "sample_mm"},
}  # fmt: skip
_ONLY_PRINTS = ("width_mm", "depth_mm", "base_mm", "sample_mm", "min_mm", "max_mm", "border_mm", "contrast")


_MUCH_FLARE = 2.5


def wants_body(given: dict[str, Any]) -> bool:
    """Tell whether one of `print_options` asks for a closed body.

    Args:
        given: All parameters of the command.

    Raises:
        InputError: A measure of a print is given and no print is asked for.
    """
    from depth3d.errors import InputError

    if any(given[kind] for kind in _KINDS):
        return True
    for name in _ONLY_PRINTS:
        if given[name] is not None:
            raise InputError(
                f"{_flag(name)} measures a print; add --solid, --relief or --lithophane, or leave it out"
            )
    return False


def print_kind(given: dict[str, Any]) -> str | None:
    """Tell which print is asked for, if any; of several the first."""
    return next((kind for kind in _KINDS if given[kind]), None)


def body_for_printing(given: dict[str, Any]) -> None:
    """Do what `depth3d mesh` was asked for with one of `print_options`.

    Args:
        given: All parameters of the command.

    Raises:
        InputError: Two kinds of print, or an option that says nothing about this kind.
    """
    from depth3d import verbs
    from depth3d.io.mesh_files import check_mesh_format, mesh_outputs

    photo, output, overwrite = given["photo"], given["output"], given["overwrite"]
    kind = _kind_of(given)
    check_mesh_format(output, frame=given["frame"], unit=given["unit"])
    textured = kind != "lithophane" and given["paint"] == "texture"
    files = mesh_outputs(output, textured=textured, texture_format=given["texture_format"])
    check_outputs(photo, files, given["preview"], overwrite=overwrite)
    mesh, comments, facts = {"solid": _solid, "relief": _relief, "lithophane": _lithophane}[kind](given)
    verbs.save(
        mesh,
        output,
        overwrite=overwrite,
        frame=given["frame"],
        unit=given["unit"],
        texture_format=given["texture_format"],
        comments=comments,
    )
    extent_mm = 1000 * (mesh.vertices.max(axis=0) - mesh.vertices.min(axis=0))
    if given["preview"]:
        from depth3d.lift.mesh_views import mesh_sheet

        away = mesh.vertices.copy()
        away[:, 2] += extent_mm.max() / 500  # the body's back lies where the sheet has its eye
        verbs.save(mesh_sheet(replace(mesh, vertices=away)), given["preview"], overwrite=overwrite)
    size = " x ".join(f"{side:.4g}" for side in extent_mm)
    facts = {
        "output": output,
        "files": files,
        "kind": kind,
        "size_mm": [round(float(side), 3) for side in extent_mm],
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
        "preview": given["preview"],
        **facts,
    }
    report(facts, f"{output}: {mesh!r}, {size} mm", as_json=given["as_json"])


_Made = tuple["Mesh", tuple[str, ...], dict[str, Any]]
"""The mesh, comments for the file, and facts for JSON."""


def _solid(given: dict[str, Any]) -> _Made:
    from depth3d.io.camera_json import camera_to_dict
    from depth3d.lift.mesh_parts import count_parts
    from depth3d.lift.solids import solid

    opened = open_scene(given["photo"], given["calibration"], dict(given))
    mesh = solid(
        opened.scene,
        stride=given["stride"],
        depth_range_m=given["depth_range_m"],
        flying=given["flying_pixels"],
        flying_tolerance=given["flying_tolerance"],
        flying_width_px=given["flying_width_px"],
        noise_per_m=opened.noise_per_m,
        min_island_px=given["min_island_px"],
        max_error_px=given["max_error_px"],
        paint=given["paint"],
        **_given(given, "width_mm", "depth_mm", "base_mm", "max_faces"),
    )
    if given["width_mm"] is None and given["depth_mm"] is None:
        note("the solid is as large as the scene; give --width-mm to make it fit a printer")
    near, far = given["depth_range_m"] or (0, math.inf)
    z = opened.scene.depth.values[opened.scene.depth.valid]
    reach = min(float(z.max()), far) / max(float(z.min()), near)
    if reach > _MUCH_FLARE:
        note(
            f"the scene ends {reach:.1f} times as far away as it begins, so the sides flare as much; keep "
            "to the subject with --depth-range-m, or make a plate with --relief"
        )
    parts = count_parts(mesh)
    if parts > 1:
        note(
            f"the solid falls into {parts} parts that don't hang together; widen --depth-range-m, raise "
            "--min-island-px to drop the small ones, or make a plate with --relief"
        )
    facts = {"parts": parts, "depth": opened.depth_source, "notes": opened.notes}
    return mesh, opened.comments, {"camera": camera_to_dict(opened.scene.camera), **facts}


def _relief(given: dict[str, Any]) -> _Made:
    from depth3d import verbs
    from depth3d.errors import InputError
    from depth3d.io.images import load_image
    from depth3d.lift.reliefs import relief
    from depth3d.opened_photo import read_any_depth

    opening()
    image = load_image(given["photo"])
    if given["depth"]:
        depth = read_any_depth(given["depth"], kind=given["depth_kind"], png_scale=given["png_scale"]).depth
        source = given["depth"].name
    elif given["depth_kind"] or given["png_scale"]:
        raise InputError("--depth-kind and --png-scale tell how to read --depth; give it, or leave them out")
    else:
        estimator = verbs.loaded_estimator(**network_of(dict(given)))
        depth, source = estimator.predict(image).depth, estimator.name
    mesh = relief(
        depth,
        image if given["paint"] == "texture" else None,
        flying=given["flying_pixels"],
        **_given(given, "width_mm", "depth_mm", "base_mm", "sample_mm", "max_faces"),
    )
    return mesh, (f"relief of depth: {source}",), {"depth": source, "notes": []}


def _lithophane(given: dict[str, Any]) -> _Made:
    from depth3d.io.images import load_image
    from depth3d.lift.lithophanes import lithophane

    opening()
    names = ("width_mm", "min_mm", "max_mm", "border_mm", "contrast", "sample_mm", "max_faces")
    mesh = lithophane(load_image(given["photo"]), **_given(given, *names))
    return mesh, (f"lithophane of {given['photo'].name}",), {"depth": None, "notes": []}


def _given(given: dict[str, Any], *names: str) -> dict[str, Any]:
    """Take the options that were given; the verbs know the others' defaults."""
    return {name: given[name] for name in names if given[name] is not None}


def _kind_of(given: dict[str, Any]) -> str:
    """Find the kind of print, and refuse the first option that says nothing about it."""
    from depth3d.errors import InputError

    kinds = [kind for kind in _KINDS if given[kind]]
    if len(kinds) > 1:
        raise InputError(f"--{kinds[0]} and --{kinds[1]} are two different prints; choose one")
    (kind,) = kinds
    if is_cloud(given["photo"]):
        raise InputError(f"--{kind} is made of a photo, and {given['photo']} is a cloud; give the photo")
    allowed = _OF_ALL | _OF[kind] | {kind}
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in allowed or parameter.expose_value is False:
            continue
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise InputError(f"{_flag(name)} says nothing about --{kind}; leave it out")
    if given["flying_pixels"] == "remove" and kind != "lithophane":
        raise InputError(f"--{kind} is closed, so pixels can't be removed; use --flying-pixels snap or keep")
    if given["paint"] == "colors" and kind == "relief":
        raise InputError(
            "--relief has vertices between the pixels, which have no colours; use --paint texture or none"
        )
    return kind


def _flag(name: str) -> str:
    """Spell a parameter as on the command line."""
    context = click.get_current_context()
    found = next(parameter for parameter in context.command.params if parameter.name == name)
    return max(found.opts, key=len)
