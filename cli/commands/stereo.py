"""`depth3d stereo`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..console import note, opening, progress, report
from ..many import many_photos
from ..options import edges_option, json_option, output_option, overwrite_option, verbosity_options
from ..scenes import check_outputs, open_scene, scene_options
from ..sections import SectionedCommand
from ..stereo_options import (
    check_layout,
    eyes_of,
    eyes_options,
    layout_options,
    outputs_of,
    view_size,
    where_it_is,
)
from ..video_options import check_film, encoding_options, length_options, save_film

if TYPE_CHECKING:
    from collections.abc import Iterable

    from depth3d.core.arrays import ImageArray
    from depth3d.render.stereo import StereoViews


_SECONDS = 4.0
"""Of a wiggle that does not repeat by itself."""


_NAMES = {
    "side-by-side": "{stem}_sbs.jpg",
    "half-side-by-side": "{stem}_half_sbs.jpg",
    "top-bottom": "{stem}_tb.jpg",
    "half-top-bottom": "{stem}_half_tb.jpg",
    "pair": "{stem}_stereo.jpg",
    "rows": "{stem}_rows.png",  # JPEG would mix what the two eyes get
    "columns": "{stem}_columns.png",
    "checkerboard": "{stem}_checkerboard.png",
    "quilt": "{stem}_quilt.png",
    "wiggle": "{stem}_wiggle.gif",
}
"""By the end of which players know a layout; others are `{stem}_<layout>.jpg`."""


def _name(params: dict[str, Any]) -> str:
    given = next((name for name in ("anaglyph", "quilt") if params[name]), params["layout"] or "side-by-side")
    return _NAMES.get(given, f"{{stem}}_{given}.jpg")


def _files(params: dict[str, Any], output: Path, photo: Any) -> list[Path]:
    """Tell the names of pairs and quilts, which differ from the output's."""
    from depth3d.errors import Depth3DError
    from depth3d.io.images import read_photo_info

    options = dict(params)
    layout = check_layout(output, options)
    tiles = options["quilt"] or (1, 1)
    try:
        photo_wh = read_photo_info(photo).size_wh if layout == "quilt" else (1, 1)
    except (Depth3DError, TypeError):  # on shared storage; nothing can be written for one that is damaged
        return []
    return outputs_of(output, layout, tiles, view_size(photo_wh, layout, tiles, options["size_px"]))


def _suffixes() -> Sequence[str]:
    from depth3d.io.images import IMAGE_SUFFIXES
    from depth3d.io.video import VIDEO_SUFFIXES

    return (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)


@click.command(
    name="stereo",
    cls=SectionedCommand,
    short_help="Show a photo to both eyes: pairs, anaglyphs, wiggles, quilts.",
)
@many_photos(_name, beside=_files, suffixes=_suffixes)
@output_option(
    "The picture: .jpg, .png, .webp, .tif or .bmp; of a wiggle the film: .gif, .webp, .mp4 ...; for many "
    "photos a folder, or 'out/{stem}_sbs.png'."
)
@overwrite_option
@layout_options
@eyes_options
@edges_option
@length_options(of="a wiggle", seconds=None, fps=8.0, otherwise="4; of .gif and .webp once to and fro")
@encoding_options
@scene_options
@json_option
@verbosity_options
def command(
    photo: Path, output: Path, overwrite: bool, calibration: Path | None, as_json: bool, **options: Any
) -> None:
    """Show PHOTO to both eyes: for VR and 3D screens, coloured glasses, or none at all.

    What the eyes see behind things and beyond the borders is carried on from what the photo shows there.
    Players know a layout by the end of the file's name: _sbs, _half_sbs, _tb, _half_tb.

    \b
    depth3d stereo photo.jpg -o photo_sbs.jpg
    depth3d stereo photo.jpg -o glasses.jpg --anaglyph dubois --divergence-percent 2.5
    depth3d stereo photo.jpg -o wiggle.gif --converge-at 320,410
    depth3d stereo desk.jpg --depth desk.npz -o eyes.png --layout pair --baseline-mm 63 --keep left
    depth3d stereo photo.jpg -o hologram.png --quilt 8x6
    depth3d stereo photos/ -o vr/ --layout half-top-bottom --resume
    """
    from depth3d import verbs
    from depth3d.io.images import read_photo_info
    from depth3d.render.focus import checked_point
    from depth3d.render.resized import resized_scene
    from depth3d.render.stereo import StereoPair, StereoViews

    layout = check_layout(output, options)
    tiles = options["quilt"] or (1, 1)
    opening()
    photo_wh = read_photo_info(photo).size_wh
    size_wh = view_size(photo_wh, layout, tiles, options["size_px"])
    outputs = outputs_of(output, layout, tiles, size_wh)
    if options["converge_at"]:
        u, v = checked_point(options["converge_at"], photo_wh)
        options["converge_at"] = (u * size_wh[0] / photo_wh[0], v * size_wh[1] / photo_wh[1])
    if layout == "wiggle":
        check_film(photo, output, options, overwrite=overwrite)
    else:
        for path in outputs:
            check_outputs(photo, [], path, overwrite=overwrite)
    device = options["device"]
    opened = open_scene(photo, calibration, options, allow_relative=True)
    counts = {"wiggle": options["views"] or 2, "quilt": tiles[0] * tiles[1]}
    views = StereoViews(
        resized_scene(opened.scene, *size_wh),
        counts.get(layout, 2),
        **eyes_of(options),
        edges=options["edges"],
        device=device,
    )
    # Of a quilt eyes see two neighbours, of a wiggle one at a time.
    for line in views.rig.discomforts if layout not in ("quilt", "wiggle") else ():
        note(line)
    if views.rig.screen == 0 and options["convergence_m"] is None and layout != "pair":
        note("parallel cameras put everything in front of the screen; --convergence 0.5 moves it there")
    facts: dict[str, Any] = {"output": outputs if layout == "pair" else outputs[0], "layout": layout}
    if layout == "wiggle":
        facts["frames"] = _save_wiggle(views, output, options, overwrite=overwrite)
    elif layout == "quilt":
        from depth3d.render.stereo_layouts import quilt

        verbs.save(quilt(_rendered(views), *tiles), outputs[0], overwrite=overwrite)
        facts["views"] = list(tiles)
    else:
        left, right = _rendered(views)
        if options["window"]:
            left, right = views.windowed(left, right)
        pair = StereoPair(right, left, views.rig) if options["swap"] else StereoPair(left, right, views.rig)
        pictures = pair if layout == "pair" else [pair.picture(layout, anaglyph=options["anaglyph"])]
        for picture, path in zip(pictures, outputs, strict=True):
            verbs.save(picture, path, overwrite=overwrite)
        if layout == "anaglyph":
            facts["anaglyph"] = options["anaglyph"]
    facts |= {"size_wh": size_wh, **views.rig.facts, "depth": opened.depth_source, "notes": opened.notes}
    named = " and ".join(str(path) for path in outputs)
    where = where_it_is(facts["nearest_percent"], facts["farthest_percent"])
    report(facts, f"{named}: {layout}, {where}", as_json=as_json)


def _rendered(views: StereoViews) -> Iterable[ImageArray]:
    with progress("views", len(views)) as advance:
        for view in views:
            yield view
            advance(1)


def _save_wiggle(views: StereoViews, output: Path, options: dict[str, Any], *, overwrite: bool) -> int:
    from depth3d.render.stereo_layouts import swing

    pictures = list(_rendered(views))
    seconds = options["seconds"]
    if seconds is None and output.suffix.lower() not in (".gif", ".webp"):  # which play again by themselves
        seconds = _SECONDS
    frames = list(swing(pictures, None if seconds is None else round(options["fps"] * seconds)))
    return save_film(frames, len(frames), output, options, overwrite=overwrite)
