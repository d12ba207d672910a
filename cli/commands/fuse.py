"""`depth3d fuse`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ..console import note, print_json, progress
from ..many import found_files
from ..options import (
    FILE,
    camera_options,
    flying_ramp_options,
    json_option,
    network_of,
    network_options,
    output_option,
    overwrite_option,
    verbosity_options,
)
from ..scenes import check_outputs
from ..sections import SectionedCommand
from ..types import NumberPair

if TYPE_CHECKING:
    from depth3d.core.arrays import ImageArray
    from depth3d.core.cloud import PointCloud
    from depth3d.core.mesh import Mesh
    from depth3d.core.scene import RGBD
    from depth3d.opened_photo import OpenedPhoto
    from depth3d.rgbd_frames import PoseMatch


@click.command(
    name="fuse", cls=SectionedCommand, short_help="Fuse photos with depth and poses into one mesh or cloud."
)
@click.argument("names", metavar="PHOTOS...", nargs=-1, required=True)
@click.option(
    "--trajectory",
    type=FILE,
    required=True,
    metavar="FILE",
    help="Where the camera was: Redwood .log, TUM or KITTI .txt, transforms.json, COLMAP's images.txt, or "
    "(n, 4, 4) .npy.",
)
@click.option(
    "--trajectory-format",
    default="auto",
    type=click.Choice(["auto", "redwood", "tum", "kitti", "nerfstudio", "open3d", "colmap", "npy"]),
    help="Of the trajectory; auto looks at its content.",
)
@click.option(
    "--depths",
    type=FILE,
    metavar="FOLDER",
    help="Depth maps, named like the photos or in their order.  [default: depth/ beside color/; else a "
    "metric network is asked]",
)
@click.option(
    "--match",
    type=click.Choice(["auto", "order", "name", "number", "time"]),
    default="auto",
    help="What tells a photo's pose: its place, its name in the trajectory, the number in its name counted "
    "from 0, or its time in its name.",
)
@output_option("The mesh (.ply, .glb, .obj, .stl, .3mf) or the cloud (.ply, .pcd, .xyz, .npz).")
@overwrite_option
@click.option(
    "--result",
    type=click.Choice(["mesh", "cloud"]),
    help="What a .ply gets.  [default: mesh]",
)
@click.option(
    "--voxel-m",
    type=float,
    metavar="M",
    help="Finest detail.  [default: what two pixels cover at the first photo's median depth]",
)
@click.option(
    "--truncation-m",
    type=float,
    metavar="M",
    help="How far from a surface it is averaged: more than the depth's noise, less than the thinnest thing.  "
    "[default: five voxels]",
)
@click.option(
    "--depth-range-m", type=NumberPair("NEAR", "FAR"), help="Use only this range of each photo's z."
)
@click.option(
    "--flying-pixels",
    type=click.Choice(["remove", "keep"]),
    default="remove",
    help="Pixels that hang between a near and a far surface.",
)
@flying_ramp_options
@click.option(
    "--min-island-faces",
    type=click.IntRange(0),
    default=100,
    metavar="N",
    help="Drop parts of a mesh with fewer triangles.",
)
@click.option(
    "--depth-kind",
    type=click.Choice(["metric"]),
    help="Says that depth files of floats, which say nothing, are metres.",
)
@click.option(
    "--png-scale",
    type=click.FloatRange(min=0, min_open=True),
    metavar="UNITS",
    help="Units a metre of 16-bit PNGs: 1000, 256 (KITTI) or 5000 (TUM).  [default: 1000]",
)
@network_options
@camera_options
@click.option(
    "--world",
    type=click.Choice(["auto", "opencv", "opengl", "blender"]),
    default="auto",
    help="Axes of the trajectory's world: y down, y up, or z up; auto sees how the cameras are held.",
)
@click.option(
    "--frame",
    "file_frame",
    type=click.Choice(["opencv", "opengl", "blender"]),
    help="Axes of the file.  [default: the world's own for .ply and clouds, y up for the others]",
)
@click.option(
    "--unit",
    type=click.Choice(["m", "cm", "mm"]),
    help="Unit of the file.  [default: mm for .stl and .3mf, m for the others]",
)
@click.option("--preview", type=FILE, metavar="PNG", help="Draw three views of it, the first as one photo.")
@json_option
@verbosity_options
def command(
    names: tuple[str, ...],
    trajectory: Path,
    trajectory_format: Any,
    depths: Path | None,
    match: PoseMatch,
    output: Path,
    overwrite: bool,
    result: Literal["mesh", "cloud"] | None,
    voxel_m: float | None,
    truncation_m: float | None,
    depth_range_m: tuple[float, float] | None,
    flying_pixels: Literal["remove", "keep"],
    flying_tolerance: float,
    flying_width_px: int | None,
    min_island_faces: int,
    world: str,
    file_frame: str | None,
    unit: str | None,
    preview: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Fuse PHOTOS, whose depth and poses are known, into one surface.

    PHOTOS are files, globs, lists (@list.txt), a folder of photos, or a recording's folder that holds color/
    and depth/. The depth must be metric. Noise averages out over photos, and what one hides another shows.

    \b
    depth3d fuse recording/ --trajectory trajectory.log --camera camera.json -o room.ply
    depth3d fuse rgb/ --depths depth/ --png-scale 5000 --trajectory poses.txt --camera k.json -o room.glb
    depth3d fuse images/ --depths maps/ --trajectory images.txt --camera cameras.txt -o room.glb
    """
    from depth3d import verbs
    from depth3d.errors import InputError
    from depth3d.io.camera_json import camera_to_dict
    from depth3d.io.trajectories import load_trajectory
    from depth3d.lift.fusion import fuse, suggested_voxel_m
    from depth3d.lift.rigid_motion import moved
    from depth3d.rgbd_frames import find_frames, open_frames, pose_of_axes, world_axes

    is_folder = len(names) == 1 and Path(names[0]).is_dir()  # it may hold color/ and depth/
    photos = (Path(names[0]),) if is_folder else found_files(names)
    wanted = _checked_result(output, result, file_frame, unit)
    check_outputs(photos[0], [output], preview, overwrite=overwrite)
    known = load_trajectory(trajectory, format=trajectory_format)
    frames = find_frames(photos, known, depths=depths, match=match)
    for source in chain.from_iterable((frame.photo, frame.depth) for frame in frames):
        if source and preview:
            verbs.check_output(preview, source, overwrite=overwrite)
    network = network_of(options)
    if frames[0].depth is None:
        options["estimator"] = verbs.loaded_estimator(**network)
        for name in ("depth_kind", "png_scale"):
            if options.pop(name) is not None:
                raise InputError(
                    f"--{name.replace('_', '-')} tells how to read depth files; give --depths FOLDER"
                )
    opened = open_frames(frames, **options)
    first = next(opened)
    for line in first.notes:
        note(line)
    voxel_m = voxel_m or suggested_voxel_m(first.scene)
    how: dict[str, Any] = {
        "voxel_m": voxel_m,
        "truncation_m": truncation_m,
        "depth_range_m": depth_range_m,
        "flying": flying_pixels,
        "flying_tolerance": flying_tolerance,
        "flying_width_px": flying_width_px,
        "noise_per_m": first.noise_per_m,
        "min_island_faces": min_island_faces,
    }
    fused: Mesh | PointCloud
    with progress("fusing", len(frames)) as advance:
        scenes = _scenes(chain([first], opened), advance)
        poses = [frame.pose for frame in frames]
        fused = (
            fuse(scenes, poses, result="cloud", **how) if wanted == "cloud" else fuse(scenes, poses, **how)
        )
    counts = _counts(fused)
    if not all(counts.values()):
        raise InputError(
            f"no surface is left of {len(frames)} photos with voxels of {voxel_m:.4g} m; give a smaller "
            "--voxel-m or a wider --depth-range-m"
        )
    if preview:
        verbs.save(_drawn(fused, frames[0].pose, first), preview, overwrite=overwrite)
    axes = world_axes(poses) if world == "auto" else world
    # Formats that keep our frame keep the trajectory's numbers; the others get their readers' axes.
    own = axes if wanted == "cloud" or output.suffix.lower() == ".ply" else None
    verbs.save(
        moved(fused, pose_of_axes(axes)),
        output,
        overwrite=overwrite,
        frame=file_frame or own,
        **({"unit": unit} if unit else {}),
        comments=(
            *first.comments,
            f"fused: {len(frames)} photos from {frames[0].photo.name} on, voxels of {voxel_m:.6g} m",
        ),
    )
    if as_json:
        print_json(
            {
                "output": output,
                **counts,
                "photos": len(frames),
                "voxel_m": voxel_m,
                "world": axes,
                "preview": preview,
                "camera": camera_to_dict(first.scene.camera),
                "notes": first.notes,
            }
        )
    else:
        click.echo(f"{output}: {fused!r} of {len(frames)} photos, voxels of {voxel_m:.4g} m")


def _checked_result(
    output: Path, result: Literal["mesh", "cloud"] | None, frame: str | None, unit: str | None
) -> Literal["mesh", "cloud"]:
    """Tell what is wanted from the suffix, and refuse before any work what can't be written."""
    from depth3d.io.geometry_files import CLOUD_SUFFIXES, check_cloud_suffix
    from depth3d.io.mesh_files import check_mesh_format

    suffix = output.suffix.lower()
    if result == "cloud" or (result is None and suffix in CLOUD_SUFFIXES and suffix != ".ply"):
        check_cloud_suffix(output)
        return "cloud"
    check_mesh_format(output, frame=frame, unit=unit)
    return "mesh"


def _counts(fused: Mesh | PointCloud) -> dict[str, int]:
    from depth3d.core.cloud import PointCloud

    if isinstance(fused, PointCloud):
        return {"points": len(fused)}
    return {"vertices": len(fused.vertices), "faces": len(fused.faces)}


def _scenes(opened: Iterable[OpenedPhoto], advance: Callable[[float], None]) -> Iterator[RGBD]:
    """Hand over one scene at a time, and say so when the next is asked for."""
    for one in opened:
        yield one.scene
        advance(1)


def _drawn(fused: Mesh | PointCloud, pose: Any, first: OpenedPhoto) -> ImageArray:
    """Draw it as the first photo shows it, from the side and from above."""
    import numpy as np

    from depth3d.core.mesh import Mesh
    from depth3d.lift.mesh_views import mesh_sheet
    from depth3d.lift.point_views import contact_sheet
    from depth3d.lift.rigid_motion import moved

    seen = moved(fused, np.linalg.inv(pose))
    if isinstance(seen, Mesh):
        return mesh_sheet(seen, first.scene.camera)
    return contact_sheet(seen, first.scene.camera)
