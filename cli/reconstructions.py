"""`depth3d mesh --method poisson|ball-pivoting`: from a photo or a cloud over its points to a mesh."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .console import note, opening, report
from .options import names_of
from .scenes import check_outputs, open_scene, scene_options

if TYPE_CHECKING:
    from depth3d.core.camera import Camera
    from depth3d.core.cloud import PointCloud

__all__ = ["is_cloud", "mesh_of_points"]

_OF_THE_MESH = {
    "photo",
    "output",
    "overwrite",
    "method",
    "frame",
    "unit",
    "normals",
    "paint",
    "preview",
    "as_json",
}
_OF_POISSON = {"octree_depth"}
_OF_THE_PHOTO = {
    *names_of(scene_options),
    "stride", "depth_range_m", "flying_pixels", "flying_tolerance", "flying_width_px",
}  # fmt: skip


def is_cloud(path: Path) -> bool:
    """Tell whether a file's name is that of a point cloud."""
    from depth3d.io.geometry_files import CLOUD_SUFFIXES

    return path.suffix.lower() in CLOUD_SUFFIXES


def mesh_of_points(given: dict[str, Any]) -> None:
    """Do what `depth3d mesh` was asked for, by another method than the grid.

    Args:
        given: All parameters of the command.

    Raises:
        InputError: An option that says nothing about this way, or no surface was found.
    """
    from depth3d import verbs
    from depth3d.errors import InputError
    from depth3d.io.camera_json import camera_to_dict
    from depth3d.io.mesh_files import check_mesh_format
    from depth3d.lift.mesh_views import mesh_sheet
    from depth3d.lift.reconstruction import reconstruct

    source, output, method = given["photo"], given["output"], given["method"]
    _refuse_what_does_not_apply(source, method)
    check_mesh_format(output, frame=given["frame"], unit=given["unit"])
    check_outputs(source, [output], given["preview"], overwrite=given["overwrite"])
    cloud, camera, comments, facts = _points_of(source, given)
    mesh = reconstruct(cloud, method=method, octree_depth=given["octree_depth"])
    if not len(mesh.faces):
        raise InputError(f"{method} finds no surface in {source}, {cloud!r}; try the other method")
    if given["paint"] == "none":
        mesh = replace(mesh, colors=None)
    if not given["normals"]:
        mesh = replace(mesh, normals=None)
    verbs.save(
        mesh,
        output,
        overwrite=given["overwrite"],
        frame=given["frame"],
        unit=given["unit"],
        comments=(*comments, f"surface: {method} of {len(cloud)} points"),
    )
    if given["preview"]:
        verbs.save(mesh_sheet(mesh, camera), given["preview"], overwrite=given["overwrite"])
    facts = {
        "output": output,
        "files": [output],
        "method": method,
        "points": len(cloud),
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
        "preview": given["preview"],
        "camera": None if camera is None else camera_to_dict(camera),
        **facts,
    }
    report(facts, f"{output}: {mesh!r}", as_json=given["as_json"])


def _points_of(
    source: Path, given: dict[str, Any]
) -> tuple[PointCloud, Camera | None, tuple[str, ...], dict[str, Any]]:
    """Give the points, the camera where it is known, comments for the file and facts for JSON."""
    if is_cloud(source):
        from depth3d.io.geometry_files import read_cloud

        opening()
        file = read_cloud(source)
        notes = []
        if "unknown" in (file.frame, file.unit):
            notes.append(f"{source} does not state its axes and its unit: took it for y down, in metres")
        for line in notes:
            note(line)
        return file.cloud, None, (*file.comments, *notes), {"depth": None, "notes": notes}
    from depth3d.lift.clouds import point_cloud

    opened = open_scene(source, given["calibration"], dict(given))
    cloud = point_cloud(
        opened.scene,
        stride=given["stride"],
        depth_range_m=given["depth_range_m"],
        flying="keep" if given["flying_pixels"] == "keep" else "remove",
        flying_tolerance=given["flying_tolerance"],
        flying_width_px=given["flying_width_px"],
        noise_per_m=opened.noise_per_m,
    )  # without normals: those of planes through many points are calmer than those of single pixels
    return cloud, opened.scene.camera, opened.comments, {"depth": opened.depth_source, "notes": opened.notes}


def _refuse_what_does_not_apply(source: Path, method: str) -> None:
    """Name the first option that was given and means nothing here."""
    from depth3d.errors import InputError

    if method == "grid":
        raise InputError(
            f"{source} is a cloud, whose points have no grid; use --method poisson or ball-pivoting, or give "
            "the photo"
        )
    allowed = _OF_THE_MESH | (_OF_POISSON if method == "poisson" else set())
    if not is_cloud(source):
        allowed |= _OF_THE_PHOTO
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in allowed or parameter.expose_value is False:
            continue
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            kind = "a cloud" if is_cloud(source) else "a photo"
            raise InputError(f"{parameter.opts[-1]} says nothing about {method} of {kind}; leave it out")
    if context.params["paint"] == "texture" and (
        context.get_parameter_source("paint") is ParameterSource.COMMANDLINE
    ):
        raise InputError(
            f"{method} makes new vertices, which no texture fits; use --paint colors, or --method grid"
        )
    if context.params["flying_pixels"] == "snap" and (
        context.get_parameter_source("flying_pixels") is ParameterSource.COMMANDLINE
    ):
        raise InputError(f"{method} takes points, which can't be snapped; use --flying-pixels remove or keep")
