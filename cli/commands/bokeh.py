"""`depth3d bokeh`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..console import note, print_json
from ..lens_options import focus_options, lens_of, lens_options, look_of, look_options, strength_of
from ..options import json_option, output_option, overwrite_option, verbosity_options
from ..scenes import check_outputs, open_scene, scene_options


@click.command(name="bokeh", short_help="Blur a photo as a wide open lens would.")
@click.argument("photo", type=click.Path(path_type=Path))
@output_option("The picture: .jpg, .png, .webp, .tif or .bmp.")
@overwrite_option
@focus_options
@lens_options
@look_options
@click.option(
    "--edges",
    type=click.Choice(["snap", "keep"]),
    default="snap",
    help="Move soft edges of the depth to where the photo has them, or believe the depth.",
)
@click.option(
    "--maps",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write the maps behind it: signed blur, masks, coverage.",
)
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
    """
    from depth3d import verbs
    from depth3d.bokeh_files import bokeh_facts, save_maps
    from depth3d.render.bokeh import maps_of
    from depth3d.render.refocus import Refocus

    check_outputs(photo, [], output, overwrite=overwrite)
    look = look_of(options)
    device = options["device"]
    opened = open_scene(photo, calibration, options, allow_relative=True)
    scene = opened.scene
    lens, described = lens_of(options, scene.camera)
    taken = Refocus(scene, edges=options["edges"], device=device)
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
    note(f"focus {focus.why}" + (f"; lens: {described}" if described else ""))
    verbs.save(taken.image(setting, look), output, overwrite=overwrite)
    if maps:
        facts["maps"] = save_maps(maps_of(taken, focus, setting, look), maps, overwrite=overwrite)
    if as_json:
        print_json({"output": output, **facts, "depth": opened.depth_source, "notes": opened.notes})
    else:
        click.echo(f"{output}: blur of up to {facts['largest_diameter_px']:.1f} px")
