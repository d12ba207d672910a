"""`depth3d parallax`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..console import note, progress, report
from ..many import many_photos
from ..options import json_option, output_option, overwrite_option, verbosity_options
from ..parallax_options import (
    apply_preset,
    check_parallax,
    film_options_of,
    look_of,
    parallax_options,
    path_of,
    timing_options_of,
)
from ..scenes import check_outputs, open_scene, scene_options
from ..sections import SectionedCommand
from ..video_options import FILM_HELP, check_film, encoding_options, length_options, save_film

if TYPE_CHECKING:
    from depth3d.opened_photo import OpenedPhoto

_LAYER_FILES = (".html", ".htm", ".glb")


def _suffixes() -> Sequence[str]:
    from depth3d.io.video import VIDEO_SUFFIXES

    return (*VIDEO_SUFFIXES, *_LAYER_FILES)


@click.command(
    name="parallax",
    cls=SectionedCommand,
    short_help="Move a camera through a photo: a film, or a page that moves.",
)
@many_photos("{stem}_parallax.mp4", suffixes=_suffixes, takes_folder=lambda params: True)
@output_option(
    f"The film: {FILM_HELP}; or .html, a page that moves, or .glb, its layers as meshes; for many photos a "
    "folder, or 'out/{stem}.html'."
)
@overwrite_option
@parallax_options
@length_options(seconds=5.0)
@encoding_options
@scene_options
@json_option
@verbosity_options
def command(
    photo: Path, output: Path, overwrite: bool, calibration: Path | None, as_json: bool, **options: Any
) -> None:
    """Move a camera through PHOTO: a short film with depth, or a page that moves with mouse and phone.

    Any depth will do. The still point stays where it is, the rest moves against it, as far as the scene
    bears; what becomes uncovered is filled in once, from what lies behind.

    \b
    depth3d parallax photo.jpg -o orbit.mp4
    depth3d parallax photo.jpg -o story.mp4 --preset social --pivot 320,410
    depth3d parallax photo.jpg -o push.mp4 --path dolly-in --seconds 6 --blur-percent 1
    depth3d parallax photo.jpg -o vertigo.gif --path dolly-zoom --repeat ping-pong --size 640
    depth3d parallax photo.jpg -o photo.html
    depth3d parallax photos/ -o 'pages/{stem}.html' --resume
    """
    from depth3d.parallax_files import film_facts
    from depth3d.render.film import Film
    from depth3d.render.parallax import timing_of

    as_layers = output.suffix.lower() in _LAYER_FILES
    apply_preset(options)
    check_parallax(options, as_layers=as_layers)
    if as_layers:
        check_outputs(photo, [output], None, overwrite=overwrite)
    else:
        check_film(photo, output, options, overwrite=overwrite)
    path = path_of(options, as_layers=as_layers)
    timing = timing_of(path, **timing_options_of(options))
    how = film_options_of(options, as_layers=as_layers)
    opened = open_scene(photo, calibration, options, allow_relative=True)
    film = Film(opened.scene, path, timing, look=look_of(options, how, opened.scene.camera), **how)
    facts = {"output": output, **film_facts(film)}
    note(f"still point {film.pivot.why}; parallax of up to {facts['largest_parallax_px']:.1f} px")
    with progress("layers", 0):
        film.prepare()
    if as_layers:
        from depth3d.layer_files import save_layers

        still = {} if output.suffix.lower() == ".glb" else {"pivot_disparity": film.pivot.disparity}
        save_layers(film.layers, output, overwrite=overwrite, **still)
    else:
        save_film(film.frames(), timing.frames, output, options, overwrite=overwrite)
    _report(facts, opened, as_json)


def _report(facts: dict[str, Any], opened: OpenedPhoto, as_json: bool) -> None:
    width, height = facts["size"]
    parallax = facts["largest_parallax_px"]
    summary = f"{facts['output']}: {width}x{height}, parallax of up to {parallax:.1f} px"
    report({**facts, "depth": opened.depth_source, "notes": opened.notes}, summary, as_json=as_json)
