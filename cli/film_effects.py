"""The options of `depth3d video`: what becomes of each frame, taken from the commands for photos."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .lens_options import check_lens, focus_options, lens_of, lens_options, look_of, look_options, strength_of
from .options import compose, edges_option
from .parallax_options import OPTIONS_OF_PATHS, parallax_options
from .sections import section
from .stereo_options import eyes_options, layout_options
from .types import NumberPair

if TYPE_CHECKING:
    from depth3d.core.camera import Camera
    from depth3d.render.paths import Path as CameraPath
    from depth3d.video_effects import FilmEffect

__all__ = ["EFFECTS", "check_effect", "chosen", "effect_of", "effect_options"]

EFFECTS = ("depth", "bokeh", "stereo", "parallax", "cloud")

COLORMAPS = ("Spectral_r", "viridis", "plasma", "magma", "inferno", "turbo", "gray")
_LAYOUTS = (
    "side-by-side", "half-side-by-side", "cross-eyed", "top-bottom", "half-top-bottom", "anaglyph", "rows",
    "columns", "checkerboard",
)  # fmt: skip
_PATHS = {
    name: tuple("path_seed" if option == "seed" else option for option in options)
    for name, options in OPTIONS_OF_PATHS.items()
    if name not in ("dolly-zoom-in", "ken-burns")
}
"""Each path of the camera, and the options that belong to it."""


def chosen(options: Callable[..., Any], *names: str) -> Callable[..., Any]:
    """Take some of a group of options, in its order; their headings stay."""

    def apply(function: Any) -> Any:
        def bare() -> None:
            pass

        options(bare)
        taken = [option for option in getattr(bare, "__click_params__", ()) if option.name in names]
        if not hasattr(function, "__click_params__"):
            function.__click_params__ = []
        function.__click_params__ += taken
        return function

    return apply


_BOKEH = (
    "focus", "focus_m", "focus_disparity", "track", "sharp_range", "sharp_px", "f_number", "focal_mm",
    "aperture_mm", "strength_px", "strength_percent", "blades", "roundness", "rotation_deg", "squeeze",
    "bubble", "cats_eye", "aperture_picture", "highlights", "fringe_px", "grain", "seed",
)  # fmt: skip
_STEREO = (
    "layout", "anaglyph", "divergence_percent", "baseline_mm", "convergence", "converge_at", "convergence_m",
    "keep", "swap",
)  # fmt: skip
_PARALLAX = (
    "path_name", "direction_deg", "ellipse", "turns", "zoom_factor", "path_seed", "pivot", "amplitude",
    "max_parallax_percent", "length_m", "repeat", "easing", "border", "path_seconds",
)  # fmt: skip
_OF_EFFECTS = {
    "depth": ("colormap", "bits", "png_scale_out"),
    "bokeh": _BOKEH,
    "stereo": _STEREO,
    "parallax": _PARALLAX,
    "cloud": ("every", "stride", "assume_range_m"),
}
"""Each effect, and the options that belong to it alone."""

effect_options = compose(
    section(
        "Effect depth",
        click.option(
            "--colormap", type=click.Choice(COLORMAPS), default="Spectral_r",
            help="Of films for the eye; near is the upper end, of gray the bright one.",
        ),
        click.option(
            "--bits", type=click.Choice(["8", "16"]), show_default=False,
            help="16: depth as numbers, with one scale for the whole film in a .json beside it; into .mkv "
            "(ffv1) or a folder of .png.  [default: 8; 16 with --codec ffv1]",
        ),
        click.option(
            "--output-png-scale", "png_scale_out", type=click.FloatRange(min=0, min_open=True),
            default=1000.0, metavar="UNITS", help="Units a metre of such numbers, of metric models.",
        ),
    ),
    section(
        "Effect bokeh",
        chosen(focus_options, "focus", "focus_m", "focus_disparity"),
        click.option(
            "--track", is_flag=True,
            help="Let --focus follow the thing that is there in the first frame of each scene.",
        ),
        chosen(focus_options, "sharp_range", "sharp_px"),
        lens_options,
        look_options,
    ),
    section(
        "Effect stereo",
        click.option(
            "--layout", type=click.Choice(_LAYOUTS), metavar="NAME",
            help=f"{', '.join(_LAYOUTS[:-1])} or {_LAYOUTS[-1]}.  [default: side-by-side]",
        ),
        chosen(layout_options, "anaglyph"),
        chosen(eyes_options, *_STEREO),
    ),
    section(
        "Effect parallax",
        click.option(
            "--path", "path_name", default="orbit", metavar="NAME", type=click.Choice(list(_PATHS)),
            help=f"The camera's way while the film plays: {', '.join(_PATHS)}.",
        ),
        chosen(parallax_options, "direction_deg", "ellipse", "turns", "zoom_factor"),
        click.option("--path-seed", type=click.IntRange(0), metavar="N", help="Of handheld."),
        click.option(
            "--path-seconds", type=click.FloatRange(0, min_open=True), metavar="S",
            help="One round of the way.  [default: 5 of what is repeated, else the film's length]",
        ),
        chosen(parallax_options, "pivot", "amplitude", "max_parallax_percent", "length_m"),
        chosen(parallax_options, "repeat", "easing", "border"),
    ),
    section(
        "Effect cloud",
        click.option("--every", type=click.IntRange(1), default=1, metavar="N", help="Of every n-th frame."),
        click.option("--stride", type=click.IntRange(1), default=1, help="Take every n-th row and column."),
        click.option(
            "--assume-range-m", type=NumberPair("NEAR", "FAR"), default="1,5",
            help="Where the film's nearest and farthest part are taken to be, of relative models.",
        ),
    ),
    edges_option,
)  # fmt: skip


def check_effect(effect: str, options: dict[str, Any]) -> None:
    """Refuse, before any long work, options of another effect, and those that contradict each other.

    Raises:
        InputError: They do.
    """
    from depth3d.errors import InputError
    from depth3d.render.stereo_rig import check_eyes

    for owner, names in _OF_EFFECTS.items():
        for name in names:
            if owner != effect and _is_given(name):
                raise InputError(f"{_flag(name)} belongs to --effect {owner}; leave it out")
    if effect == "bokeh":
        check_lens(options)
        if options["track"] and options["focus"] is None:
            raise InputError("--track follows a thing; point at it in the first frame: --focus X,Y")
    if effect == "stereo":
        check_eyes(**{name: options[name] for name in (
            "divergence_percent", "baseline_mm", "convergence", "converge_at", "convergence_m"
        )})  # fmt: skip
        if options["anaglyph"] and options["layout"] not in (None, "anaglyph"):
            raise InputError(
                f"--anaglyph and --layout {options['layout']} are two different things; choose one"
            )
    if effect == "parallax":
        for name in sorted({name for names in _PATHS.values() for name in names}):
            if options[name] is not None and name not in _PATHS[options["path_name"]]:
                owners = " and ".join(path for path, names in _PATHS.items() if name in names)
                raise InputError(f"{_flag(name)} belongs to --path {owners}; leave it out")


def effect_of(effect: str, options: dict[str, Any], camera: Camera) -> FilmEffect:
    """Make the effect that the options ask for.

    Args:
        effect: One of `EFFECTS`.
        options: Of the command, after `check_effect`.
        camera: Of the frames.

    Raises:
        InputError: Numbers out of range.
        FileError: The picture of an aperture can't be read.
    """
    import depth3d as d3

    of_eyes = (
        "divergence_percent",
        "baseline_mm",
        "convergence",
        "converge_at",
        "convergence_m",
        "keep",
        "swap",
    )
    shared = {name: options[name] for name in ("edges", "device")}
    if effect == "depth":
        if options["bits"] == "16" or (options["bits"] is None and options["codec"] == "ffv1"):
            return d3.Depth16Film(options["png_scale_out"])
        return d3.DepthFilm(options["colormap"])
    if effect == "bokeh":
        named = ("focus", "focus_m", "focus_disparity", "track", "sharp_range", "sharp_px")
        return d3.BokehFilm(
            **{name: options[name] for name in named},
            lens=lens_of(options, camera)[0],
            strength_px=strength_of(options, camera.size_wh),
            look=look_of(options),
            **shared,
        )
    if effect == "stereo":
        layout = options["layout"] or ("anaglyph" if options["anaglyph"] else "side-by-side")
        eyes = {name: options[name] for name in of_eyes}
        return d3.StereoFilm(layout, options["anaglyph"] or "dubois", **eyes, **shared)
    if effect == "parallax":
        named = ("pivot", "amplitude", "max_parallax_percent", "repeat", "easing", "border")
        return d3.ParallaxFilm(
            _path_of(options),
            seconds=options["path_seconds"],
            length=options["length_m"],
            **{name: options[name] for name in named},
            **shared,
        )
    return d3.CloudFilm(options["every"], options["stride"], options["assume_range_m"])


def _path_of(options: dict[str, Any]) -> CameraPath:
    import depth3d as d3

    name = options["path_name"]
    values = {key: options[key] for key in _PATHS[name] if options[key] is not None}
    renamed = {"zoom_factor": "factor", "path_seed": "seed"}
    made = {
        "orbit": d3.Orbit, "sway": d3.Sway, "bob": d3.Bob, "circle": d3.Circle, "spiral": d3.Spiral,
        "figure-eight": d3.FigureEight, "dolly-in": d3.DollyIn, "dolly-out": d3.DollyOut,
        "dolly-zoom": d3.DollyZoom, "zoom": d3.Zoom, "handheld": d3.Handheld,
    }[name]  # fmt: skip
    path: CameraPath = made(**{renamed.get(key, key): value for key, value in values.items()})
    return path


def _is_given(name: str) -> bool:
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def _flag(name: str) -> str:
    return {"path_name": "--path", "png_scale_out": "--output-png-scale"}.get(
        name, "--" + name.replace("_", "-")
    )
