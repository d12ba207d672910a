"""The options of `depth3d stereo`: how the eyes are placed, and how their pictures are put together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from .sections import section
from .types import GridSize, NumberPair

__all__ = [
    "FILM_SUFFIXES",
    "check_layout",
    "eyes_of",
    "eyes_options",
    "layout_options",
    "outputs_of",
    "view_size",
    "where_it_is",
]

FILM_SUFFIXES = (".gif", ".mp4", ".m4v", ".mov", ".mkv", ".webm")
"""What a swing is written to if no layout is named; `.webp` is a picture then."""

_POSITIVE = click.FloatRange(min=0, min_open=True)
_DEFAULT_QUILT = (8, 6)
_QUILT_PX, _WIGGLE_PX = 4096, 1280
_QUILT_DIVERGENCE_PERCENT = 6.0
"""Of quilts, whose outermost views are seen by several people rather than by one."""

eyes_options = section(
    "Eyes",
    click.option(
        "--divergence-percent", "--divergence", type=_POSITIVE, metavar="P",
        help="Difference of parallax between near and far, in percent of the width.  [default: 2; 6 across "
        "a quilt]",
    ),
    click.option(
        "--baseline-mm", type=_POSITIVE, metavar="MM",
        help="Instead, the distance between the eyes, with a metric map; people's is 63.",
    ),
    click.option(
        "--convergence", type=click.FloatRange(0, 1), metavar="SHARE",
        help="What is on the screen: 0 the farthest part, 1 the nearest, by inverse depth.  [default: 0.5; "
        "with --baseline-mm parallel cameras: all is in front of the screen]",
    ),
    click.option(
        "--converge-at", type=NumberPair("X", "Y"), metavar="X,Y",
        help="What is on the screen: the thing at this pixel.",
    ),
    click.option(
        "--convergence-m", type=_POSITIVE, metavar="M",
        help="What is on the screen: what is this far away, with a metric map; inf for parallel cameras.",
    ),
    click.option(
        "--keep", type=click.Choice(["left", "right"]),
        help="Make the photo itself one eye's picture, untouched, rather than the middle between both.",
    ),
    click.option("--swap", is_flag=True, help="Exchange the eyes."),
    click.option(
        "--window", is_flag=True,
        help="Black out at the left and right border what only one eye would see in front of the screen.",
    ),
)  # fmt: skip

_EYES = ("divergence_percent", "baseline_mm", "convergence", "converge_at", "convergence_m", "keep")

layout_options = section(
    "Layout",
    click.option(
        "--layout", metavar="NAME",
        type=click.Choice([
            "side-by-side", "half-side-by-side", "cross-eyed", "top-bottom", "half-top-bottom", "anaglyph",
            "rows", "columns", "checkerboard", "pair", "wiggle", "quilt",
        ]),
        help="side-by-side, half-side-by-side, cross-eyed, top-bottom, half-top-bottom, anaglyph; rows, "
        "columns or checkerboard (interlaced); pair (two files, _left and _right); wiggle (a film to and "
        "fro); quilt (for light-field displays).  [default: side-by-side; wiggle for .gif and videos]",
    ),
    click.option(
        "--anaglyph", metavar="KIND",
        type=click.Choice([
            "dubois", "dubois-green-magenta", "dubois-amber-blue", "true", "gray", "color", "half-color",
            "optimized",
        ]),
        help="Make an anaglyph: dubois (red and cyan), dubois-green-magenta, dubois-amber-blue, true, gray, "
        "color, half-color or optimized.  [default: dubois]",
    ),
    click.option(
        "--quilt", type=GridSize(), metavar="COLUMNSxROWS",
        help="Make a quilt of so many views; its file's name ends in _qsCxRaASPECT, as displays want it.  "
        "[default: 8x6]",
    ),
    click.option(
        "--views", type=click.IntRange(2, 99), metavar="N",
        help="Views of a wiggle: 2 jumps, 8 and more with a larger --fps swing.  [default: 2]",
    ),
    click.option(
        "--size", "size_px", type=click.IntRange(2, 16384), metavar="PX",
        help="Longer side of each view in pixels, at most the photo's.  [default: the photo's; at most 1280 "
        "of a wiggle, and 4096 of a whole quilt]",
    ),
)  # fmt: skip


def check_layout(output: Path, options: dict[str, Any]) -> str:
    """Tell which layout is asked for, and refuse what says nothing about it.

    Args:
        output: Where to; its suffix tells films from pictures.
        options: With the values of the options above and of films; the kind of anaglyph and the quilt get
            their defaults.

    Raises:
        InputError: Two layouts, or an option of another one.
    """
    from depth3d.errors import InputError
    from depth3d.render.stereo_rig import check_eyes

    check_eyes(**{name: options[name] for name in _EYES if name != "keep"})
    if options["anaglyph"] and options["quilt"]:
        raise InputError("--anaglyph and --quilt are two different things; choose one")
    layout = options["layout"]
    for name in ("anaglyph", "quilt"):
        if options[name] is not None and layout not in (None, name):
            raise InputError(f"--{name} and --layout {layout} are two different things; choose one")
        if options[name] is not None:
            layout = name
    if layout is None:
        layout = "wiggle" if output.suffix.lower() in FILM_SUFFIXES else "side-by-side"
    context = click.get_current_context()
    of_films = ("views", "fps", "seconds", "codec", "quality", "loops")
    for name in of_films if layout != "wiggle" else ():
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise InputError(f"--{name} belongs to --layout wiggle; give that too, or leave it out")
    for name in ("swap", "window") if layout in ("wiggle", "quilt") else ():
        if options[name]:
            raise InputError(f"--{name} belongs to pictures for two eyes, not to a {layout}; leave it out")
    if layout == "quilt":
        options["quilt"] = options["quilt"] or _DEFAULT_QUILT
        if min(options["quilt"]) < 1 or not 2 <= options["quilt"][0] * options["quilt"][1] <= 400:
            raise InputError(f"a quilt has 2 to 400 views, got {'x'.join(map(str, options['quilt']))}")
        if options["baseline_mm"] is None and options["divergence_percent"] is None:
            options["divergence_percent"] = _QUILT_DIVERGENCE_PERCENT
    options["anaglyph"] = options["anaglyph"] or "dubois"
    return str(layout)


def eyes_of(options: dict[str, Any]) -> dict[str, Any]:
    """Give the values of `eyes_options` as `stereo` and `StereoViews` take them."""
    return {name: options[name] for name in _EYES}


def outputs_of(output: Path, layout: str, quilt_of: tuple[int, int], size_wh: tuple[int, int]) -> list[Path]:
    """Name the files that a layout is written to.

    Args:
        output: As given.
        layout: As `check_layout` tells.
        quilt_of: Columns and rows of a quilt.
        size_wh: Of one view.
    """
    if layout == "pair":
        return [output.with_name(f"{output.stem}_{eye}{output.suffix}") for eye in ("left", "right")]
    if layout == "quilt":
        from depth3d.render.stereo_layouts import quilt_name

        return [output.with_name(quilt_name(output.stem, *quilt_of, size_wh) + output.suffix)]
    return [output]


def view_size(
    size_wh: tuple[int, int], layout: str, quilt_of: tuple[int, int], size_px: int | None
) -> tuple[int, int]:
    """Choose the size of each view: never larger than the photo.

    Args:
        size_wh: Of the photo.
        layout: As `check_layout` tells.
        quilt_of: Columns and rows of a quilt.
        size_px: The longer side, if it was given.
    """
    most = float(max(size_wh))
    if size_px is not None:
        most = min(most, size_px)
    elif layout == "wiggle":
        most = min(most, _WIGGLE_PX)
    elif layout == "quilt":
        most = min(most, *(most * _QUILT_PX / (n * side) for n, side in zip(quilt_of, size_wh, strict=True)))
    share = most / max(size_wh)
    return max(1, round(size_wh[0] * share)), max(1, round(size_wh[1] * share))


def where_it_is(nearest_percent: float, farthest_percent: float) -> str:
    """Say where a scene stands before or behind the screen.

    Args:
        nearest_percent: Parallax of its nearest part in percent of the width, above 0 in front of the screen.
        farthest_percent: That of its farthest part.
    """
    near, far = round(nearest_percent, 1), round(farthest_percent, 1)
    if near == far == 0:
        return "flat: no parallax that would show"
    if far >= 0:
        return f"{abs(far):.1f} to {near:.1f} % of the width in front of the screen"
    if near <= 0:
        return f"{abs(near):.1f} to {-far:.1f} % of the width behind the screen"
    return f"{near:.1f} % of the width in front of the screen to {-far:.1f} % behind it"
