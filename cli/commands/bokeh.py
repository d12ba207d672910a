"""`depth3d bokeh`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..console import note, opening, progress, report
from ..focus_modes import check_mode, make_miniature, make_rack_focus, make_stack, mode_options
from ..lens_options import (
    check_lens,
    focus_options,
    lens_of,
    lens_options,
    look_of,
    look_options,
    strength_of,
)
from ..many import many_photos
from ..options import edges_option, json_option, output_option, overwrite_option, verbosity_options
from ..scenes import check_outputs, open_scene, scene_options
from ..sections import SectionedCommand
from ..video_options import check_film


def _name(params: dict[str, Any]) -> str:
    if params["rack_focus"]:
        return "{stem}_pull.mp4"
    if params["focus_stack"]:
        return "{stem}_stack"
    return "{stem}_miniature.jpg" if params["miniature"] else "{stem}_bokeh.jpg"


def _suffixes() -> Sequence[str]:
    from depth3d.io.images import IMAGE_SUFFIXES

    return IMAGE_SUFFIXES


@click.command(name="bokeh", cls=SectionedCommand, short_help="Blur a photo as a wide open lens would.")
@many_photos(
    _name,
    also={"maps": "{stem}_maps"},
    suffixes=_suffixes,
    takes_folder=lambda params: bool(params["focus_stack"] or params["rack_focus"]),
)
@output_option(
    "The picture: .jpg, .png, .webp, .tif or .bmp; a film for --rack-focus, a folder for --focus-stack; for "
    "many photos a folder, or 'out/{stem}.png'."
)
@overwrite_option
@focus_options
@lens_options
@look_options
@edges_option
@click.option(
    "--maps",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write the maps behind it: signed blur, masks, coverage.",
)
@mode_options
@scene_options
@json_option
@verbosity_options
def command(
    photo: Path,
    output: Path,
    overwrite: bool,
    calibration: Path | None,
    maps: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Blur PHOTO by depth, as a lens with a wide opening would: portraits, focus, highlights.

    With metres (--depth of a phone or a sensor, a metric --model, --calibration, --anchor) a lens has an
    f-number; without, blur has a strength.

    \b
    depth3d bokeh portrait.jpg -o blurred.jpg --focus 320,410
    depth3d bokeh desk.jpg --depth desk.npz -o blurred.jpg --focus-m 1.8 --f-number 1.4 --focal-mm 50
    depth3d bokeh night.jpg -o blurred.jpg --strength-percent 4 --blades 6 --highlights 0.7
    depth3d bokeh portraits/ -o blurred/ --strength-percent 3
    depth3d bokeh table.jpg -o pull.mp4 --rack-focus 320,410:80,60 --seconds 3
    """
    from depth3d import verbs
    from depth3d.bokeh_files import bokeh_facts, check_maps, check_stack, save_maps
    from depth3d.render.bokeh import maps_of
    from depth3d.render.refocus import Refocus

    mode = check_mode({**options, "calibration": calibration, "maps": maps})
    check_lens(options)
    if mode == "focus_stack":
        check_stack(output, options["focus_stack"], overwrite=overwrite)
    elif mode == "rack_focus":
        check_film(photo, output, options, overwrite=overwrite)
    else:
        check_outputs(photo, [], output, overwrite=overwrite)
    if maps:
        check_maps(maps, overwrite=overwrite)
    if mode == "miniature":
        opening()
        _report(make_miniature(photo, output, options, overwrite=overwrite), as_json)
        return
    look = look_of(options)
    device = options["device"]
    strength = options["strength_px"] is not None or options["strength_percent"] is not None
    tilted = options["tilt_deg"] is not None
    opened = open_scene(
        photo, calibration, options, allow_relative=True,
        needs_camera=lambda depth: depth.is_metric and (tilted or not strength),
    )  # fmt: skip
    scene = opened.scene
    lens, described = lens_of(options, scene.camera)
    if mode == "rack_focus":
        made = make_rack_focus(opened, look, output, {**options, "device": device}, overwrite=overwrite)
        facts = {**made, "depth": opened.depth_source, "notes": opened.notes}
        width, height = made["size_wh"]
        _report(facts, as_json, f"{made['frames']} frames of {width}x{height}")
        return
    taken = Refocus(scene, edges=options["edges"], device=device)
    if mode:
        made = make_stack(taken, opened, look, output, options, overwrite=overwrite)
        facts = {**made, "depth": opened.depth_source, "notes": opened.notes}
        _report(facts, as_json, f"{len(made['files'])} files")
        return
    focus = taken.focus(
        options["focus"], focus_m=options["focus_m"], focus_disparity=options["focus_disparity"]
    )
    tilt = (*(options["tilt_deg"] or ()), 0.0, 0.0)[:2]
    setting = taken.defocus(
        focus,
        lens=lens,
        strength_px=strength_of(options, scene.size_wh),
        sharp_range=options["sharp_range"],
        sharp_px=options["sharp_px"],
        tilt_deg=(tilt[0], tilt[1]),
    )
    facts = bokeh_facts(taken, focus, setting)
    where = f", {facts['focus_m']:.3g} m away" if "focus_m" in facts and options["focus_m"] is None else ""
    note(f"focus {focus.why}{where}" + (f"; lens: {described}" if described else ""))
    with progress("blurring", 0):
        picture = taken.image(setting, look)
    verbs.save(picture, output, overwrite=overwrite)
    if maps:
        facts["maps"] = save_maps(maps_of(taken, focus, setting, look), maps, overwrite=overwrite)
    facts = {"output": output, **facts, "depth": opened.depth_source, "notes": opened.notes}
    _report(facts, as_json, f"blur of up to {facts['largest_diameter_px']:.1f} px")


def _report(facts: dict[str, Any], as_json: bool, summary: str = "done") -> None:
    report(facts, f"{facts['output']}: {summary}", as_json=as_json)
