"""The options of a lens: its opening and shape, what it is focused on, what its blur looks like."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import compose
from .sections import section
from .types import NumberPair, Numbers

if TYPE_CHECKING:
    from depth3d.core.camera import Camera
    from depth3d.core.lens import ThinLens
    from depth3d.render.aperture import Aperture
    from depth3d.render.looks import Look

__all__ = [
    "aperture_of",
    "aperture_options",
    "check_lens",
    "focus_options",
    "lens_of",
    "lens_options",
    "look_of",
    "look_options",
    "strength_of",
]

_POSITIVE = click.FloatRange(min=0, min_open=True)

focus_options = section(
    "Focus",
    click.option(
        "--focus", type=NumberPair("X", "Y"), metavar="X,Y",
        help="Pixel of what is to be sharp.  [default: the nearest large thing around the middle]",
    ),
    click.option("--focus-m", type=_POSITIVE, metavar="M", help="Distance z in focus; needs metres."),
    click.option(
        "--focus-disparity", type=float, metavar="D", help="Disparity in focus, in the unit of the map."
    ),
    click.option(
        "--sharp-range", type=click.FloatRange(0), default=0.0, metavar="DIOPTRES",
        help="Range around the focus that stays sharp, in 1/m (of relative maps: in their unit), such as 0.1 "
        "for a face.",
    ),
    click.option(
        "--sharp-px", type=click.FloatRange(0), default=0.0, metavar="PX",
        help="The same as a diameter of blur: less than that is taken for none.",
    ),
    click.option(
        "--tilt-deg", type=Numbers("BACK[,ASIDE]", "60 or 60,0"), metavar="BACK[,ASIDE]",
        help="Tilt the plane of focus: its upper end away from the camera, and its right end.",
    ),
)  # fmt: skip

lens_options = section(
    "Lens",
    click.option(
        "--f-number", type=_POSITIVE, metavar="N",
        help="Opening, such as 1.8; needs metres.  [default: 1.8 where there are metres]",
    ),
    click.option(
        "--focal-mm", type=_POSITIVE, metavar="MM",
        help="Real focal length to --f-number.  [default: the photo's 35-mm equivalent, since a phone's own "
        "lens blurs next to nothing]",
    ),
    click.option("--aperture-mm", type=_POSITIVE, metavar="MM", help="Diameter of the opening instead."),
    click.option(
        "--strength-px", type=click.FloatRange(0), metavar="PX",
        help="Without metres: diameter of the blur of the nearest thing when the farthest is in focus.",
    ),
    click.option(
        "--strength-percent", type=click.FloatRange(0), metavar="PERCENT",
        help="The same in percent of the photo's longer side.  [default: 3 where there are no metres]",
    ),
)  # fmt: skip

aperture_options = compose(
    click.option("--blades", type=int, default=0, metavar="N", help="Blades of the diaphragm; 0 is a disc."),
    click.option("--roundness", type=float, default=0.0, metavar="0..1", help="Of the blades."),
    click.option("--rotation-deg", type=float, default=0.0, metavar="DEG", help="Of the diaphragm."),
    click.option(
        "--squeeze", type=float, default=1.0, metavar="RATIO",
        help="How much narrower than high the opening is: 2 is an anamorphic lens.",
    ),
    click.option(
        "--bubble", type=float, default=0.0, metavar="MORE",
        help="How much brighter than the middle the rim is: 2 makes soap bubbles, -1 soft discs.",
    ),
    click.option(
        "--cats-eye", type=float, default=0.0, metavar="0..1",
        help="How much the barrel cuts off towards the corners.",
    ),
    click.option(
        "--aperture-picture", type=click.Path(path_type=Path), metavar="FILE",
        help="A picture as opening: light passes where it is bright.",
    ),
)  # fmt: skip

look_options = section(
    "Look",
    aperture_options,
    click.option(
        "--highlights", type=float, default=0.0, metavar="0..1",
        help="Give small clipped spots back the light that they lost, where they are blurred; up to 3 stops.",
    ),
    click.option(
        "--fringe-px", type=float, default=0.0, metavar="PX",
        help="Colour fringes: what red gains in radius in front of the focus, and blue loses.",
    ),
    click.option(
        "--grain", type=float, default=0.0, metavar="0..1",
        help="Give blurred areas the photo's own noise back.",
    ),
    click.option("--seed", type=int, default=0, help="Of the grain."),
)  # fmt: skip


def check_lens(options: dict[str, Any]) -> None:
    """Refuse, before any long work, options of focus and lens that contradict each other.

    Raises:
        InputError: They do.
    """
    from depth3d.errors import InputError

    given = [name for name in ("focus", "focus_m", "focus_disparity") if options[name] is not None]
    if len(given) > 1:
        flags = " and ".join("--" + name.replace("_", "-") for name in given)
        raise InputError(f"{flags} would each set the focus; give one of them")
    f_number, focal_mm, aperture_mm = (options[name] for name in ("f_number", "focal_mm", "aperture_mm"))
    strengths = [options[name] is not None for name in ("strength_px", "strength_percent")]
    strength = any(strengths)
    if all(strengths):
        raise InputError("--strength-px and --strength-percent say the same; give one of them")
    if aperture_mm is not None and (f_number is not None or focal_mm is not None):
        raise InputError("--aperture-mm is the opening that --f-number and --focal-mm make; give one of them")
    if strength and (aperture_mm is not None or f_number is not None or focal_mm is not None):
        raise InputError(
            "--strength-px and --strength-percent take the place of a lens; leave one of them out"
        )


def lens_of(options: dict[str, Any], camera: Camera) -> tuple[ThinLens | None, str | None]:
    """Take the lens out of options that `check_lens` let pass, and say in half a sentence which one it is.

    Returns:
        None, None where no option asks for a lens.
    """
    from depth3d.core.lens import ThinLens, focal_35mm_of

    f_number, focal_mm, aperture_mm = (options[name] for name in ("f_number", "focal_mm", "aperture_mm"))
    if aperture_mm is not None:
        return ThinLens(aperture_mm / 1000), f"an opening of {aperture_mm:g} mm"
    if f_number is None and focal_mm is None:
        return None, None
    f_number = 1.8 if f_number is None else f_number
    if focal_mm is not None:
        return ThinLens.from_f_number(focal_mm, f_number), f"{focal_mm:g} mm at f/{f_number:g}"
    lens = ThinLens.on_full_frame(camera, f_number)
    return lens, f"f/{f_number:g} on full frame, where the photo's lens is {focal_35mm_of(camera):.0f} mm"


def strength_of(options: dict[str, Any], size_wh: tuple[int, int]) -> float | None:
    """Take the strength of blur in pixels out of options that `check_lens` let pass."""
    pixels: float | None = options["strength_px"]
    percent: float | None = options["strength_percent"]
    return pixels if percent is None else percent / 100 * max(size_wh)


def aperture_of(options: dict[str, Any]) -> Aperture:
    """Take the shape of the opening out of a command's options.

    Raises:
        InputError: Numbers out of range.
        FileError: The picture can't be read.
    """
    from depth3d.render.aperture import Aperture

    names = ("blades", "roundness", "rotation_deg", "squeeze", "bubble", "cats_eye")
    picture = None
    if options["aperture_picture"]:
        from depth3d.core.color import to_linear
        from depth3d.io.images import load_image

        picture = to_linear(load_image(options["aperture_picture"])).mean(axis=2)
    return Aperture(**{name: options[name] for name in names}, picture=picture)


def look_of(options: dict[str, Any]) -> Look:
    """Take the look of blurred areas out of a command's options.

    Raises:
        InputError: Numbers out of range.
        FileError: The aperture's picture can't be read.
    """
    from depth3d.render.looks import Look

    fringe = options["fringe_px"]
    return Look(
        aperture_of(options), options["highlights"], (fringe, 0.0, -fringe), options["grain"], options["seed"]
    )
