"""`depth3d matte`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..console import report
from ..many import many_photos
from ..matte_options import check_selection, matte_of, selection_options
from ..options import json_option, output_option, overwrite_option, verbosity_options
from ..scenes import check_outputs, open_scene, scene_options
from ..sections import SectionedCommand

if TYPE_CHECKING:
    from depth3d.core.arrays import ImageArray


def _suffixes() -> Sequence[str]:
    from depth3d.io.images import IMAGE_SUFFIXES

    return IMAGE_SUFFIXES


@click.command(
    name="matte", cls=SectionedCommand, short_help="Cut a photo by depth: mattes, cutouts, backgrounds."
)
@many_photos(
    lambda params: "{stem}_matte.png" if params["background"] is None else "{stem}_composite.png",
    also={"cutout": "{stem}_cutout.png"},
    suffixes=_suffixes,
)
@output_option(
    "The matte in gray, white is kept; with --background the photo before it. For many photos a folder, or "
    "'out/{stem}.png'.",
    required=False,
)
@overwrite_option
@selection_options
@click.option(
    "--cutout",
    type=click.Path(path_type=Path),
    metavar="PNG",
    help="Write the subject on transparent ground, its edges free of the old background's colours.",
)
@click.option(
    "--background",
    metavar="FILE|#RRGGBB",
    help="Put the subject before a picture, or a colour: '#00b140' is a green screen.",
)
@click.option("--bits", type=click.Choice(["8", "16"]), default="8", help="Of the matte.")
@scene_options
@json_option
@verbosity_options
def command(
    photo: Path,
    output: Path | None,
    overwrite: bool,
    cutout: Path | None,
    background: str | None,
    bits: str,
    calibration: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Select a range of depth in PHOTO, with soft edges that follow the photo: hair, fur, leaves.

    Give one way to select: a thing (--at), a distance (--far-m, --near-m), a share
    (--nearer-than-percent), or a range of the map (--disparity-range).

    \b
    depth3d matte portrait.jpg --at 320,410 -o matte.png --cutout subject.png
    depth3d matte portrait.jpg --at 320,410 --background '#00b140' -o green.jpg
    depth3d matte room.jpg --depth room.npz --far-m 2.5 --background beach.jpg -o composite.jpg
    """
    import numpy as np

    from depth3d import verbs
    from depth3d.render import compositing

    _check_outputs(output, cutout, background, bits)
    check_selection(options)
    behind = _background(background)
    check_outputs(photo, [path for path in (cutout,) if path], output, overwrite=overwrite)
    opened = open_scene(photo, calibration, options, allow_relative=True, needs_camera=lambda depth: False)
    matte = matte_of(opened.scene, options)
    if cutout:
        verbs.save(compositing.cutout(opened.scene, matte), cutout, overwrite=overwrite)
    if output:
        most, number = (255, np.uint8) if bits == "8" else (65535, np.uint16)
        gray: Any = np.rint(most * matte).astype(number)
        picture = gray if behind is None else compositing.replace_background(opened.scene, matte, behind)
        verbs.save(picture, output, overwrite=overwrite)
    kept_percent = 100 * float(matte.mean())
    facts = {
        "output": output,
        "cutout": cutout,
        "kept_percent": kept_percent,
        "soft_percent": 100 * float(((matte > 0) & (matte < 1)).mean()),
        "depth": opened.depth_source,
        "notes": opened.notes,
    }
    report(facts, f"{output or cutout}: {kept_percent:.1f} % of the photo kept", as_json=as_json)


def _check_outputs(output: Path | None, cutout: Path | None, background: str | None, bits: str) -> None:
    """Refuse, before any long work, what could not be written."""
    from depth3d.errors import InputError, UnsupportedFormatError
    from depth3d.io.images import ALPHA_SUFFIXES

    if output is None and (cutout is None or background is not None):
        raise InputError("there is nothing to write to; give -o matte.png, --cutout subject.png or both")
    if cutout and cutout.suffix.lower() not in ALPHA_SUFFIXES:
        raise UnsupportedFormatError(f"{cutout} can't be transparent; use one of {', '.join(ALPHA_SUFFIXES)}")
    if bits == "16" and background is not None:
        raise InputError("--bits 16 is for the matte itself; leave it or --background out")
    if bits == "16" and output and output.suffix.lower() not in (".png", ".tif", ".tiff"):
        raise UnsupportedFormatError(f"{output} holds no 16-bit gray; use .png or .tif")


def _background(given: str | None) -> str | ImageArray | None:
    """Read the background, or check that it is a colour."""
    from depth3d.io.images import load_image
    from depth3d.render.compositing import linear_color

    if given is None:
        return None
    if given.startswith("#"):
        linear_color(given)
        return given
    return load_image(given)
