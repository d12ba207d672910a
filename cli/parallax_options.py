"""The options of `depth3d parallax`: the camera's way, how far it goes, what frames show, what is added."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .options import FILE, compose, edges_option
from .sections import section
from .types import Aspect, FrameSize, NumberPair, Numbers

if TYPE_CHECKING:
    from depth3d.core.camera import Camera
    from depth3d.render.film_look import FilmLook
    from depth3d.render.paths import Path as CameraPath

__all__ = [
    "OPTIONS_OF_PATHS",
    "apply_preset",
    "check_parallax",
    "film_options_of",
    "look_of",
    "parallax_options",
    "path_of",
    "timing_options_of",
]

_POSITIVE = click.FloatRange(min=0, min_open=True)
_RECTANGLE = Numbers("LEFT,TOP,WIDTH,HEIGHT", "0.1,0.1,0.5,0.5")

OPTIONS_OF_PATHS: dict[str, tuple[str, ...]] = {
    "orbit": ("direction_deg", "ellipse"),
    "sway": ("direction_deg",),
    "bob": (),
    "circle": ("turns",),
    "figure-eight": (),
    "spiral": ("turns",),
    "dolly-in": (),
    "dolly-out": (),
    "dolly-zoom": (),
    "dolly-zoom-in": (),
    "zoom": ("zoom_factor",),
    "handheld": ("seed",),
    "ken-burns": ("start", "end"),
}
"""Each path, and the options that belong to it."""

_NOT_OF_LAYERS = (
    "path_name", "preset", "keyframes", "poses", "repeat", "easing", "hold_seconds", "length_m", "seconds",
    "fps", "codec", "quality", "loops", "aspect", "format_name", "border", "supersample", "shutter_deg",
    "blur_percent", "f_number", "focus", "vignette", "direction_deg", "ellipse",
)  # fmt: skip

_path_options = section(
    "Path",
    click.option(
        "--preset", metavar="NAME",
        type=click.Choice(["gentle", "cinematic", "social", "product", "portrait", "documentary", "vertigo",
                           "handheld"]),
        help="A film that is decided on: gentle, cinematic, social (upright), product (square), portrait, "
        "documentary, vertigo or handheld. What else you give goes before it.",
    ),
    click.option(
        "--path", "path_name", default="orbit", metavar="NAME", type=click.Choice(list(OPTIONS_OF_PATHS)),
        help="orbit (around the still point, looking at it), sway, bob, circle, figure-eight, spiral, "
        "dolly-in, dolly-out, dolly-zoom (the background comes closer), dolly-zoom-in, zoom, handheld or "
        "ken-burns.",
    ),
    click.option(
        "--keyframes", type=FILE, metavar="FILE",
        help='Keys in JSON instead: {"keys": [{"time_s": 0}, {"time_s": 2, "position": [1, 0, 0.5], '
        '"look_deg": [0, 0, 2], "zoom": 1.1, "easing": "sine"}], "unit": "auto"}; unit m is metres.',
    ),
    click.option(
        "--poses", type=FILE, metavar="FILE",
        help="Recorded poses instead: TUM, KITTI, COLMAP, nerfstudio, Open3D or .npy.",
    ),
    click.option(
        "--direction-deg", type=float, metavar="DEG",
        help="Of orbit and sway: 0 goes to the right first, 90 down."
    ),
    click.option(
        "--ellipse", type=click.FloatRange(0, 1), metavar="0..1",
        help="Of orbit: from an arc, there and back, to a circle.",
    ),
    click.option("--turns", type=int, metavar="N", help="Of circle and spiral; below 0 counter-clockwise."),
    click.option(
        "--zoom-factor", type=_POSITIVE, metavar="FACTOR", help="Of zoom: at its end.  [default: 1.2]"
    ),
    click.option(
        "--start", type=_RECTANGLE, metavar="L,T,W,H",
        help="Of ken-burns: the first rectangle, as shares 0..1 of the photo.  [default: all of it]",
    ),
    click.option(
        "--end", type=_RECTANGLE, metavar="L,T,W,H",
        help="Of ken-burns: the last one.  [default: three quarters around the still point]",
    ),
    click.option("--seed", type=click.IntRange(0), metavar="N", help="Of handheld."),
)  # fmt: skip

_motion_options = section(
    "Motion",
    click.option("--pivot", type=NumberPair("X", "Y"), metavar="X,Y",
                 help="Pixel of the still point.  [default: the nearest large thing around the middle]"),
    click.option("--pivot-m", type=_POSITIVE, metavar="M", help="Or its distance z; needs metres."),
    click.option(
        "--pivot-disparity", type=float, metavar="D",
        help="Or its inverse depth, in 1/m; without metres 0.2 (farthest) to 1 (nearest).",
    ),
    click.option(
        "--amplitude", type=click.FloatRange(0), default=1.0, metavar="FACTOR",
        help="Of the path's size; 1 is what the scene bears.",
    ),
    click.option(
        "--max-parallax-percent", type=_POSITIVE, default=2.5, metavar="PERCENT",
        help="What it bears: how far neighbouring surfaces may move against each other, of the longer side.",
    ),
    click.option(
        "--length-m", type=click.FloatRange(0), metavar="M",
        help="Size of the path in metres instead; without metres the nearest is at 1 and the farthest at 5.",
    ),
    click.option(
        "--repeat", type=click.Choice(["loop", "ping-pong", "once"]),
        help="loop has no seam; ping-pong goes there and back.  [default: loop for paths that end where they "
        "begin, else once]",
    ),
    click.option(
        "--easing", metavar="NAME",
        type=click.Choice(["linear", "sine", "smooth", "smoother", "quadratic", "cubic", "in", "out"]),
        help="linear, sine, smooth, smoother, quadratic, cubic, in or out.  [default: linear for loop, "
        "--keyframes and --poses, else sine]",
    ),
    click.option(
        "--hold-seconds", type=click.FloatRange(0), default=0.0, metavar="S",
        help="At rest, of --seconds: at the end; at both turns of ping-pong; at the start of loop.",
    ),
)  # fmt: skip

_frame_options = section(
    "Frame",
    click.option(
        "--size", type=FrameSize(), metavar="WxH|SIDE",
        help="Of the film, or its longer side.  [default: the photo's, at most 1920]",
    ),
    click.option(
        "--aspect", type=Aspect(), metavar="W:H",
        help="Such as 9:16, 1:1, 16:9 or 4:5, cut out around the still point.",
    ),
    click.option(
        "--for", "format_name", metavar="WHAT",
        type=click.Choice(["story", "reel", "feed", "square", "web", "hd", "4k"]),
        help="Size and aspect for story and reel (1080x1920), feed (1080x1350), square (1080), web (1280), "
        "hd (1920) or 4k (3840).",
    ),
    click.option(
        "--border", type=click.Choice(["crop", "fill"]), default="crop",
        help="Crop to what the photo shows in every frame, or fill what lies beyond it.",
    ),
    click.option(
        "--supersample", type=click.IntRange(1, 4), default=1, metavar="N",
        help="Render N x N pixels for each one.",
    ),
    edges_option,
)  # fmt: skip

_look_options = section(
    "Look",
    click.option(
        "--shutter-deg", type=click.FloatRange(0, 720), default=0.0, metavar="DEG",
        help="Blur of motion: 180 is the cinema's. Several times as slow.",
    ),
    click.option(
        "--blur-percent", type=click.FloatRange(0), metavar="PERCENT",
        help="Depth of field: blur of the nearest thing with the farthest in focus, of the longer side.",
    ),
    click.option(
        "--f-number", type=_POSITIVE, metavar="N",
        help="Or the opening of a full-frame lens; needs metres.",
    ),
    click.option(
        "--focus", type=NumberPair("X", "Y"), metavar="X,Y",
        help="Pixel of what stays in focus.  [default: the still point]",
    ),
    click.option(
        "--vignette", type=click.FloatRange(0, 1, max_open=True), default=0.0, metavar="0..1",
        help="What the corners lose of their light.",
    ),
)  # fmt: skip

parallax_options = compose(_path_options, _motion_options, _frame_options, _look_options)


def check_parallax(options: dict[str, Any], *, as_layers: bool) -> None:
    """Refuse, before any long work, options that contradict each other.

    Args:
        options: Of the command, after `apply_preset`.
        as_layers: Whether layers are written, as a page or as meshes, not a film.

    Raises:
        InputError: They do.
    """
    from depth3d.errors import InputError

    for names in (
        ("pivot", "pivot_m", "pivot_disparity"), ("keyframes", "poses"), ("blur_percent", "f_number"),
        ("size", "format_name"), ("aspect", "format_name"), ("amplitude", "length_m"),
        ("max_parallax_percent", "length_m"),
    ):  # fmt: skip
        given = [name for name in names if options[name] is not None and _is_given(name)]
        if len(given) > 1:
            raise InputError(f"{_flag(given[0])} and {_flag(given[1])} say the same; give one of them")
    if isinstance(options["size"], tuple) and options["aspect"] is not None:
        raise InputError("--size WxH has its own aspect; give one side, or leave --aspect out")
    if options["focus"] is not None and not (options["blur_percent"] or options["f_number"]):
        raise InputError("--focus belongs to --blur-percent and --f-number; give one of them, too")
    written = options["keyframes"] or options["poses"]
    if written and (_is_given("path_name") or options["preset"]):
        raise InputError("--keyframes and --poses are a path already; leave --path and --preset out")
    of_path = OPTIONS_OF_PATHS[options["path_name"]] if not written else ()
    for name in sorted({name for names in OPTIONS_OF_PATHS.values() for name in names}):
        if options[name] is not None and name not in of_path:
            owners = [path for path, names in OPTIONS_OF_PATHS.items() if name in names]
            raise InputError(f"{_flag(name)} belongs to --path {' and '.join(owners)}; leave it out")
    if as_layers:
        for name in _NOT_OF_LAYERS:
            if _is_given(name):
                raise InputError(f"{_flag(name)} says nothing about a page or a .glb; leave it out")


def apply_preset(options: dict[str, Any]) -> None:
    """Put a preset's values in the place of those that the command line leaves out."""
    if not options["preset"]:
        return
    from depth3d.render.film_presets import PRESETS
    from depth3d.render.framing import FORMATS

    preset = PRESETS[options["preset"]]
    values: dict[str, Any] = {
        "path_name": _name_of(preset.path),
        "seconds": preset.seconds,
        "amplitude": preset.amplitude,
        "repeat": preset.repeat,
        "easing": preset.easing,
        "hold_seconds": preset.hold_seconds,
        "vignette": preset.vignette,
    }
    if not (_is_given("f_number") or _is_given("blur_percent")):
        values["blur_percent"] = preset.blur_percent or None
    if preset.format and not (_is_given("format_name") or isinstance(options["size"], tuple)):
        if _is_given("size"):
            values["aspect"] = FORMATS[preset.format][0]
        elif not _is_given("aspect"):
            values["format_name"] = preset.format
    options.update({name: value for name, value in values.items() if not _is_given(name)})


def path_of(options: dict[str, Any], *, as_layers: bool) -> CameraPath:
    """Make the camera's path of the options; keyframes also set the seconds.

    Layers are made for a circle, since who looks at them moves as he likes.

    Raises:
        InputError: Numbers out of range.
        FileError: A file of keyframes or poses can't be read.
    """
    import depth3d as d3
    from depth3d.parallax_files import load_keyframes, load_path
    from depth3d.render.film_presets import PRESETS

    if as_layers:
        return d3.Circle()
    if options["keyframes"]:
        keyframes = load_keyframes(options["keyframes"])
        if not _is_given("seconds"):
            options["seconds"] = keyframes.seconds
        return keyframes
    if options["poses"]:
        return load_path(options["poses"])
    name = options["path_name"]
    values = {key: options[key] for key in OPTIONS_OF_PATHS[name] if options[key] is not None}
    if "zoom_factor" in values:
        values["factor"] = values.pop("zoom_factor")
    if options["preset"] and not _is_given("path_name"):
        path: Any = PRESETS[options["preset"]].path
        changed: CameraPath = replace(path, **values)
        return changed
    if name.startswith("dolly-zoom"):
        return d3.DollyZoom("in" if name.endswith("-in") else "out")
    made = {
        "orbit": d3.Orbit, "sway": d3.Sway, "bob": d3.Bob, "circle": d3.Circle, "spiral": d3.Spiral,
        "figure-eight": d3.FigureEight, "dolly-in": d3.DollyIn, "dolly-out": d3.DollyOut, "zoom": d3.Zoom,
        "handheld": d3.Handheld, "ken-burns": d3.KenBurns,
    }[name]  # fmt: skip
    made_path: CameraPath = made(**values)
    return made_path


def timing_options_of(options: dict[str, Any]) -> dict[str, Any]:
    """Take what `timing_of` takes out of a command's options, after `path_of`.

    Raises:
        InputError: The film would only be at rest.
    """
    from depth3d.errors import InputError

    if options["hold_seconds"] >= options["seconds"]:
        raise InputError("--hold-seconds is a part of --seconds; make it less")
    frames = max(1, round(options["seconds"] * options["fps"]))
    hold = options["hold_seconds"] / options["seconds"]
    return {"frames": frames, "repeat": options["repeat"], "easing": options["easing"], "hold": hold}


def film_options_of(options: dict[str, Any], *, as_layers: bool) -> dict[str, Any]:
    """Take what `Film` takes, but for look and path, out of a command's options."""
    from depth3d.render.framing import FORMATS

    aspect, size = options["aspect"], options["size"]
    if options["format_name"]:
        aspect, size = FORMATS[options["format_name"]]
    names = (
        "pivot", "pivot_m", "pivot_disparity", "amplitude", "max_parallax_percent", "border", "supersample",
        "edges", "device",
    )  # fmt: skip
    taken = {name: options[name] for name in names}
    if as_layers:
        taken["border"] = "fill"
    return {**taken, "length": options["length_m"], "size": size, "aspect": aspect}


def look_of(options: dict[str, Any], film_options: dict[str, Any], camera: Camera) -> FilmLook:
    """Take what is added to a film out of a command's options.

    Args:
        options: Of the command.
        film_options: What `film_options_of` gave.
        camera: Of the photo.
    """
    from depth3d.core.lens import ThinLens
    from depth3d.render.film_look import FilmLook
    from depth3d.render.framing import frame_size

    lens = ThinLens.on_full_frame(camera, options["f_number"]) if options["f_number"] else None
    shape = {name: film_options[name] for name in ("size", "aspect")}
    long_edge = max(frame_size(camera.size_wh, **shape))
    blur = options["blur_percent"]
    return FilmLook(
        options["shutter_deg"],
        lens=lens,
        strength_px=blur / 100 * long_edge if blur else None,
        focus=options["focus"],
        vignette=options["vignette"],
    )


def _name_of(path: CameraPath) -> str:
    """Tell what `--path` calls a path, such as dolly-in for `DollyIn`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(path).__name__).lower()


def _is_given(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source not in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)


def _flag(name: str) -> str:
    return {"format_name": "--for", "path_name": "--path"}.get(name, "--" + name.replace("_", "-"))
