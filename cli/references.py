"""The options that say what is known about a scene, and how they become references."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .console import note
from .options import FILE, anchor_options, compose
from .scenes import anchors_of
from .types import GridSize, Numbers

if TYPE_CHECKING:
    from depth3d.calibrate.references import Reference
    from depth3d.core.arrays import ImageArray
    from depth3d.photo_depth import PhotoDepth

__all__ = ["reference_options", "references_of"]

_BOX = "LEFT,TOP,RIGHT,BOTTOM"
_BOX_M = f"{_BOX},METRES"

reference_options = compose(
    anchor_options,
    click.option(
        "--length", "lengths", multiple=True, metavar="X1,Y1,X2,Y2,METRES",
        type=Numbers("X1,Y1,X2,Y2,METRES", "210,80,214,400,2.03"),
        help="Straight distance in space between two pixels: a door's height, a table's edge. Repeatable.",
    ),
    click.option(
        "--object-height", "heights", multiple=True, metavar=_BOX_M,
        type=Numbers(_BOX_M, "310,120,400,380,1.8"),
        help="Box around a thing that stands square to the camera, and its height. Repeatable.",
    ),
    click.option(
        "--object-width", "widths", multiple=True, metavar=_BOX_M,
        type=Numbers(_BOX_M, "310,120,400,180,0.6"),
        help="The same with its width. Repeatable.",
    ),
    click.option(
        "--far", "far_points", multiple=True, metavar="X,Y[,METRES]", type=Numbers("X,Y[,METRES]", "500,20"),
        help="Pixel of the sky or the horizon: at least so far, 100 m unless given. Repeatable.",
    ),
    click.option(
        "--camera-height-m", type=float, metavar="M", help="Height of the lens above a flat floor in view."
    ),
    click.option(
        "--pitch-deg", type=float, metavar="DEG", help="How far the camera looks down, for --camera-height-m."
    ),
    click.option(
        "--floor", type=Numbers(_BOX, "0,400,640,480"), metavar=_BOX,
        help="Where that floor is.  [default: in the lower half]",
    ),
    click.option(
        "--marker-m", type=float, metavar="M",
        help="Look for ArUco and AprilTag markers whose black square has this side.",
    ),
    click.option(
        "--marker-dictionary", default="auto", metavar="NAME",
        help="Of the markers, as OpenCV names it, or a file. auto finds out; of boards it is DICT_6X6_250.",
    ),
    click.option(
        "--board", type=GridSize(), metavar="COLUMNSxROWS",
        help="Look for a calibration board, as depth3d camera calibrate counts its points.",
    ),
    click.option(
        "--pattern", type=click.Choice(["chessboard", "circles", "charuco"]), default="chessboard",
        help="What --board is.",
    ),
    click.option("--square-mm", type=float, metavar="MM", help="Side of its squares, measured on the print."),
    click.option(
        "--reference-depth", "depth_files", multiple=True, type=FILE, metavar="FILE",
        help="Measured depth of this picture, sparse or dense: a LiDAR's PNG, a depth camera's, or the photo "
        "itself if a phone has put depth into it. Repeatable.",
    ),
    click.option(
        "--reference-sensor", default="auto",
        type=click.Choice(["auto", "lidar", "depth-camera", "phone", "network"]),
        help="What measured it, which says how its errors grow.",
    ),
    click.option(
        "--reference-png-scale", type=click.FloatRange(min=0, min_open=True), metavar="UNITS",
        help="Units a metre of its PNG: 1000, 256 (KITTI) or 5000 (TUM).  [default: 1000]",
    ),
    click.option(
        "--colmap", type=FILE, metavar="DIR", help="COLMAP model (cameras, images, points3D) with this photo."
    ),
    click.option("--colmap-image", metavar="NAME", help="Its name there.  [default: the photo's]"),
    click.option(
        "--colmap-unit-m", type=click.FloatRange(min=0, min_open=True), default=1.0, metavar="M",
        help="What a unit of the model is in metres; COLMAP alone does not know.",
    ),
    click.option(
        "--reference-model", metavar="NAME",
        help="Metric network whose map counts as a few rough distances, such as metric-indoor-small.",
    ),
)  # fmt: skip


def references_of(options: dict[str, Any], photo: PhotoDepth, path: Path, network: dict[str, Any]) -> Any:
    """Take what is known about a scene out of a command's options.

    Args:
        options: The values of `reference_options`; they stay, so that another photo can use them, too.
        photo: The photo with its depth.
        path: Its file.
        network: The values of `network_options`, for `--reference-model`.

    Returns:
        A list of references.

    Raises:
        InputError: Numbers that can't be, options without the one that they belong to, or a marker, a board
        or
            an image of a model that is not there.
        FileError: A file can't be read.
    """
    from depth3d.calibrate.references import CameraHeight, FarPoint, KnownLength, KnownSize

    references: list[Reference] = anchors_of(dict(options))
    references += [KnownLength(*numbers) for numbers in options["lengths"]]
    references += [KnownSize(*numbers) for numbers in options["heights"]]
    references += [replace(KnownSize(*numbers), axis="width") for numbers in options["widths"]]
    references += [FarPoint(*numbers) for numbers in options["far_points"]]
    if options["camera_height_m"] is not None:
        references.append(CameraHeight(options["camera_height_m"], options["pitch_deg"], options["floor"]))
    _require(options, "camera_height_m", ("pitch_deg", "floor"))
    _require(options, "board", ("square_mm",))
    _require(options, "depth_files", ("reference_png_scale",))
    _require(options, "colmap", ("colmap_image",))
    references += _markers(options, photo, path)
    references += _from_files(options, photo, path)
    if options["reference_model"]:
        references.append(_network_prior(options["reference_model"], photo, network))
    return references


def _require(options: dict[str, Any], name: str, belonging: tuple[str, ...]) -> None:
    """Refuse options that mean nothing without another one."""
    from depth3d.errors import InputError

    flags = {"depth_files": "--reference-depth"}
    for other in belonging:
        if options[other] is not None and not options[name] and options[name] != 0:
            wanted = flags.get(name, "--" + name.replace("_", "-"))
            raise InputError(f"--{other.replace('_', '-')} belongs to {wanted}; add it, or leave both out")


def _image_of(photo: PhotoDepth, option: str) -> ImageArray:
    from depth3d.errors import InputError

    if photo.image is None:
        raise InputError(f"{option} looks at the photo, and this is only its depth; give PHOTO --depth FILE")
    return photo.image


def _markers(options: dict[str, Any], photo: PhotoDepth, path: Path) -> list[Reference]:
    from depth3d.errors import InputError

    references: list[Reference] = []
    given = options["marker_dictionary"]
    if (options["marker_m"] is not None or options["board"]) and photo.camera.source == "assumed":
        note(
            "the distance of markers and boards is proportional to the focal length, which is assumed here; "
            "give --camera, --focal-35mm or --fov-x-deg"
        )
    if options["marker_m"] is not None:
        from depth3d.calibrate.markers import find_markers

        dictionary = Path(given) if Path(given).suffix else given
        image = _image_of(photo, "--marker-m")
        markers = find_markers(image, photo.camera, side_m=options["marker_m"], dictionary=dictionary)
        if not markers:
            raise InputError(
                f"{path} shows no marker of the dictionary {given}; name theirs (--marker-dictionary), or "
                "measure a distance and give it as --anchor"
            )
        for marker in markers:
            note(f"found {marker!r}")
        references += [marker.anchor for marker in markers]
    if options["board"]:
        from depth3d.calibrate.board_poses import locate_board
        from depth3d.calibrate.boards import Board

        if options["square_mm"] is None:
            raise InputError("--board needs the side of its squares; measure it and give --square-mm")
        kind, (columns, rows) = options["pattern"], options["board"]
        named = {} if given == "auto" else {"dictionary": given}
        board = Board(kind, columns, rows, square_m=options["square_mm"] / 1000, **named)
        pose = locate_board(_image_of(photo, "--board"), photo.camera, board, name=path.name)
        if pose is None:
            raise InputError(f"{path} shows no {kind} of {columns}x{rows}; check --board and --pattern")
        note(f"found {pose!r}")
        references.append(pose.samples)
    return references


def _from_files(options: dict[str, Any], photo: PhotoDepth, path: Path) -> list[Reference]:
    from depth3d.reference_files import samples_from_colmap, samples_from_file

    size_wh = photo.depth.size_wh
    references: list[Reference] = [
        samples_from_file(
            file,
            size_wh,
            sensor=options["reference_sensor"],
            camera=photo.camera,
            kind="metric" if options["reference_png_scale"] else None,
            png_scale=options["reference_png_scale"],
        )
        for file in options["depth_files"]
    ]
    if options["colmap"]:
        name = options["colmap_image"] or path.name
        unit_m = options["colmap_unit_m"]
        references.append(samples_from_colmap(options["colmap"], name, size_wh, metres_per_unit=unit_m))
    return references


def _network_prior(model: str, photo: PhotoDepth, network: dict[str, Any]) -> Reference:
    from depth3d import verbs
    from depth3d.calibrate.network_prior import reference_network
    from depth3d.errors import InputError

    image = _image_of(photo, "--reference-model")
    estimator = verbs.loaded_estimator(
        model, device=network["device"], dtype=network["dtype"], backend=network["backend"]
    )
    depth = estimator(image)
    if not depth.is_metric:
        raise InputError(
            f"{model} gives relative depth, which says nothing in metres; name a metric model such as "
            "metric-indoor-small"
        )
    return reference_network(depth, photo.depth.size_wh, label=f"the network {estimator.name}")
