"""`depth3d effect`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from ..console import report
from ..many import many_photos
from ..matte_options import check_selection, matte_of, selection_options
from ..options import compose, json_option, output_option, overwrite_option, verbosity_options
from ..scenes import check_outputs, open_scene, scene_options
from ..sections import SectionedCommand

if TYPE_CHECKING:
    from depth3d.core.arrays import ImageArray
    from depth3d.core.depth import DepthMap
    from depth3d.core.scene import RGBD


def _suffixes() -> Sequence[str]:
    from depth3d.io.images import IMAGE_SUFFIXES

    return IMAGE_SUFFIXES


def _common(name: str) -> Callable[[Any], Any]:
    return compose(
        many_photos(f"{{stem}}_{name}.jpg", suffixes=_suffixes),
        output_option(
            "The picture: .jpg, .png, .webp, .tif or .bmp; for many photos a folder, or 'out/{stem}.png'."
        ),
        overwrite_option,
    )


_source = compose(scene_options, json_option, verbosity_options)


@click.group(name="effect", short_help="Fog, flash, colour splash and dimming by depth.")
def command() -> None:
    """Change the light or the colours of a photo by depth, in linear light."""


@command.command(name="fog", cls=SectionedCommand, short_help="Fill the air with fog.")
@_common("fog")
@click.option(
    "--visibility-m",
    type=click.FloatRange(min=0, min_open=True),
    metavar="M",
    help="Distance at which things just vanish; needs metres. 30 is dense, 200 is mist.",
)
@click.option(
    "--strength",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Without metres: share of fog before the farthest thing.  [default: 0.8]",
)
@click.option("--color", default="#dfe6ee", metavar="#RRGGBB", help="Of the fog.")
@_source
def fog_command(visibility_m: float | None, strength: float | None, color: str, **given: Any) -> None:
    """Fill the air of PHOTO with fog: far things lose contrast and take on its colour.

    \b
    depth3d effect fog street.jpg -o fog.jpg --strength 0.9
    depth3d effect fog street.jpg -o fog.jpg --model metric-outdoor-small --visibility-m 30
    """
    from depth3d.errors import InputError
    from depth3d.render.compositing import linear_color
    from depth3d.render.effects import fog

    linear_color(color)
    if visibility_m is not None and strength is not None:
        raise InputError("--visibility-m and --strength would each set the fog; give one of them")

    def filled(scene: RGBD) -> ImageArray:
        share = 0.8 if visibility_m is None and strength is None and not scene.depth.is_metric else strength
        return fog(scene, visibility_m=visibility_m, strength=share, color=color)

    _apply(filled, given, needs_camera=lambda depth: depth.is_metric and strength is None)


@command.command(name="flash", cls=SectionedCommand, short_help="Relight as a flash on the camera does.")
@_common("flash")
@click.option(
    "--full-m",
    type=click.FloatRange(min=0, min_open=True),
    required=True,
    metavar="M",
    help="Distance at which the photo stays as bright as it is; needs metres.",
)
@click.option(
    "--ambient",
    type=click.FloatRange(0, 1),
    default=0.1,
    metavar="SHARE",
    help="Share of the light that is not the flash's.",
)
@_source
def flash_command(full_m: float, ambient: float, **given: Any) -> None:
    """Relight PHOTO by distance: light falls with its square, so that the background sinks into the dark.

    \b
    depth3d effect flash party.jpg -o flash.jpg --model metric-indoor-small --full-m 1.5
    """
    from depth3d.render.effects import flash

    _apply(lambda scene: flash(scene, full_m=full_m, ambient=ambient), given, needs_camera=None)


@command.command(name="color-splash", cls=SectionedCommand, short_help="Turn all but the subject gray.")
@_common("splash")
@selection_options
@_source
def color_splash_command(**given: Any) -> None:
    """Keep the colours of what is selected in PHOTO and turn everything else gray.

    \b
    depth3d effect color-splash photo.jpg -o splash.jpg --at 320,410 --connected
    """
    from depth3d.render.effects import color_splash

    check_selection(given)
    _apply(lambda scene: color_splash(scene, matte_of(scene, given)), given)


@command.command(name="dim", cls=SectionedCommand, short_help="Darken all but the subject.")
@_common("dim")
@selection_options
@click.option(
    "--stops", type=float, default=2.0, metavar="N", help="By how many f-stops; each halves the light."
)
@_source
def dim_command(stops: float, **given: Any) -> None:
    """Darken everything in PHOTO but what is selected.

    \b
    depth3d effect dim photo.jpg -o dim.jpg --at 320,410 --fade 0.2 --stops 3
    """
    from depth3d.render.effects import dim

    check_selection(given)
    _apply(lambda scene: dim(scene, matte_of(scene, given), stops=stops), given)


def _apply(
    effect: Callable[[RGBD], ImageArray],
    given: dict[str, Any],
    *,
    needs_camera: Callable[[DepthMap], bool] | None = lambda depth: False,
) -> None:
    """Open the photo (as `open_scene`), make the picture, save and report it."""
    from depth3d import verbs

    photo, output, overwrite = given["photo"], given["output"], given["overwrite"]
    check_outputs(photo, [], output, overwrite=overwrite)
    opened = open_scene(
        photo, given.pop("calibration"), given, allow_relative=True, needs_camera=needs_camera
    )
    verbs.save(effect(opened.scene), output, overwrite=overwrite)
    facts = {"output": output, "depth": opened.depth_source, "notes": opened.notes}
    size = "x".join(map(str, opened.scene.size_wh))
    report(facts, f"{output}: {size}", as_json=given["as_json"])
