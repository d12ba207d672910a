"""What `depth3d bokeh` makes beside one picture: focus pulls, focus stacks, miniatures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .console import progress
from .lens_options import lens_of, look_of, strength_of
from .options import compose
from .sections import section
from .types import FrameSize
from .video_options import encoding_options, length_options, save_film

if TYPE_CHECKING:
    from depth3d.opened_photo import OpenedPhoto
    from depth3d.render.looks import Look
    from depth3d.render.rack_focus import FocusKey
    from depth3d.render.refocus import Refocus

__all__ = ["check_mode", "make_miniature", "make_rack_focus", "make_stack", "mode_options"]

_modes = section(
    "Focus pulls, stacks, miniatures",
    click.option(
        "--rack-focus", metavar="X1,Y1:X2,Y2",
        help="Make a film instead (-o pull.mp4) in which the focus goes from one pixel to the next ones; "
        "X,Y,N sets the f-number at one.",
    ),
    click.option(
        "--size", type=FrameSize(), metavar="WxH|SIDE",
        help="Of the --rack-focus film, or its longer side; WxH is cut out around the pixels in focus.  "
        "[default: the photo's, at most 1920]",
    ),
    click.option(
        "--focus-stack", type=click.IntRange(2, 999), metavar="N",
        help="Make N pictures instead (-o DIR), focused from the nearest to the farthest thing, with "
        "index.png (which one is sharpest where) and all_in_focus.png.",
    ),
    click.option(
        "--miniature", is_flag=True,
        help="Keep a band through --focus sharp, as in pictures of toy landscapes; needs no depth.",
    ),
    click.option(
        "--band-percent", type=click.FloatRange(0, 100), default=20.0, metavar="PERCENT",
        help="Width of the --miniature band, of the photo's height.",
    ),
    click.option(
        "--band-angle-deg", type=float, default=0.0, metavar="DEG",
        help="Turn of the --miniature band, counter-clockwise."
    ),
)  # fmt: skip

mode_options = compose(_modes, length_options(of="the --rack-focus film", seconds=3.0), encoding_options)

_NOT_OF = {
    "rack_focus": ("focus", "focus_m", "focus_disparity", "tilt_deg", "maps"),
    "focus_stack": ("focus", "focus_m", "focus_disparity", "tilt_deg", "maps", "sharp_range", "sharp_px"),
    "miniature": (
        "focus_m", "focus_disparity", "tilt_deg", "maps", "sharp_range", "sharp_px", "f_number", "focal_mm",
        "aperture_mm", "depth", "calibration",
    ),
}  # fmt: skip


_ONLY_OF = {
    "rack_focus": ("size", "seconds", "fps", "codec", "quality", "loops"),
    "miniature": ("band_percent", "band_angle_deg"),
}


def check_mode(options: dict[str, Any]) -> str | None:
    """Tell which of the three is asked for, and refuse what says nothing about it.

    Raises:
        InputError: Two of them, or an option of something else.
    """
    from depth3d.errors import InputError

    modes = [mode for mode in _NOT_OF if options[mode]]
    context = click.get_current_context()
    for mode, names in _ONLY_OF.items():
        for name in names:
            if mode not in modes and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                raise InputError(f"{_flag(name)} belongs to {_flag(mode)}; give that too, or leave it out")
    if len(modes) > 1:
        raise InputError(f"{_flag(modes[0])} and {_flag(modes[1])} are two different things; choose one")
    if not modes:
        return None
    for name in _NOT_OF[modes[0]]:
        if options.get(name) not in (None, 0.0, ()):
            raise InputError(f"{_flag(name)} says nothing about {_flag(modes[0])}; leave it out")
    if modes[0] == "rack_focus":
        from depth3d.render.framing import frame_size

        _points(options["rack_focus"])
        frame_size((1920, 1080), size=options["size"])
    return modes[0]


def make_rack_focus(
    opened: OpenedPhoto, look: Look, output: Path, options: dict[str, Any], *, overwrite: bool
) -> dict[str, Any]:
    """Write the video of a focus pull, and say what is in it."""
    from depth3d.render.rack_focus import FocusPull

    names = ("fps", "size", "sharp_range", "sharp_px", "edges", "device")
    pull = FocusPull(opened.scene, _keys(opened, options), **{name: options[name] for name in names})
    count = save_film(pull.frames(look), len(pull.settings), output, options, overwrite=overwrite)
    return {
        "output": output,
        "frames": count,
        "size_wh": pull.size_wh,
        "disparities": [pull.settings[0].disparity, pull.settings[-1].disparity],
    }


def make_stack(
    taken: Refocus, opened: OpenedPhoto, look: Look, folder: Path, options: dict[str, Any], *, overwrite: bool
) -> dict[str, Any]:
    """Write the pictures of a focus stack, and say where the focus is in each."""
    from depth3d.bokeh_files import save_stack
    from depth3d.render.focus_stack import plan_stack

    lens, _ = lens_of(options, opened.scene.camera)
    count = options["focus_stack"]
    plan = plan_stack(taken, count, lens=lens, strength_px=strength_of(options, opened.scene.size_wh))
    with progress("pictures", count) as advance:
        names = save_stack(
            plan.images(taken, look), plan.index, folder, overwrite=overwrite, on_image=advance
        )
    return {"output": folder, "files": names, "disparities": plan.disparities.tolist()}


def make_miniature(photo: Path, output: Path, options: dict[str, Any], *, overwrite: bool) -> dict[str, Any]:
    """Write a miniature."""
    from depth3d import verbs
    from depth3d.io.images import load_image
    from depth3d.render.miniature import miniature

    image = load_image(photo)
    made = miniature(
        image,
        focus=options["focus"],
        band_share=options["band_percent"] / 100,
        angle_deg=options["band_angle_deg"],
        strength_px=strength_of(options, (image.shape[1], image.shape[0])),
        look=look_of(options),
        device=options["device"],
    )
    verbs.save(made, output, overwrite=overwrite)
    return {"output": output}


def _keys(opened: OpenedPhoto, options: dict[str, Any]) -> list[FocusKey]:
    """Make keys of `--rack-focus`, evenly in time."""
    from depth3d.core.lens import ThinLens
    from depth3d.errors import InputError
    from depth3d.render.rack_focus import FocusKey

    points = _points(options["rack_focus"])
    lens, _ = lens_of(options, opened.scene.camera)
    strength = strength_of(options, opened.scene.size_wh)
    keys = []
    for number, point in enumerate(points):
        own = lens
        if len(point) == 3:
            if options["aperture_mm"] is not None or strength is not None:
                raise InputError(
                    "an f-number in --rack-focus is an opening like --aperture-mm and --strength-px; leave "
                    "them out"
                )
            own = (
                ThinLens.from_f_number(options["focal_mm"], point[2])
                if options["focal_mm"] is not None
                else ThinLens.on_full_frame(opened.scene.camera, point[2])
            )
        time_s = options["seconds"] * number / (len(points) - 1)
        keys.append(FocusKey(time_s, (point[0], point[1]), lens=own, strength_px=strength))
    return keys


def _points(text: str) -> list[tuple[float, ...]]:
    """Read X,Y and X,Y,F-NUMBER with colons between them."""
    from depth3d.errors import InputError

    try:
        points = [tuple(float(number) for number in part.split(",")) for part in text.split(":")]
    except ValueError:
        points = []
    if len(points) < 2 or not all(len(point) in (2, 3) for point in points):
        raise InputError(
            f"--rack-focus takes pixels X,Y or X,Y,F-NUMBER with colons between them, got {text!r}; such as "
            "320,410:80,60"
        )
    return points


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
