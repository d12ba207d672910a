"""The options of every command that makes a film: how long, how fast, how it is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .console import progress
from .sections import section

if TYPE_CHECKING:
    from depth3d.core.arrays import ImageArray

__all__ = ["FILM_HELP", "check_film", "encoding_options", "length_options", "save_film"]

FILM_HELP = ".mp4, .mov, .mkv, .webm, .gif, .webp, or a folder for pictures"
"""What `-o` may be, for its help."""

_HOW = ("fps", "codec", "quality", "loops")


_MOST_SECONDS = 86400


class _Positive(click.FloatRange):
    """A range that NaN lies outside of, too."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number


def length_options(
    *, of: str = "the film", seconds: float | None, fps: float = 30.0, otherwise: str = ""
) -> Callable[..., Any]:
    """`--seconds` and `--fps`.

    Args:
        of: What they are about, for the help.
        seconds: The default length; None leaves it to the command.
        fps: The default rate.
        otherwise: What the command makes of None, for the help.
    """
    told = f"  [default: {otherwise}]" if otherwise else ""
    return section(
        "Film",
        click.option(
            "--seconds", type=_Positive(0, _MOST_SECONDS, min_open=True), default=seconds, metavar="S",
            help=f"Length of {of}.{told}",
        ),
        click.option(
            "--fps", type=_Positive(0, 240, min_open=True), default=fps, metavar="RATE",
            help=f"Frames a second of {of}; a GIF has at most 50.",
        ),
    )  # fmt: skip


encoding_options = section(
    "Film",
    click.option(
        "--codec", default="auto", show_default=False, metavar="NAME",
        type=click.Choice(
            ["auto", "h264", "hevc", "vp9", "av1", "prores", "ffv1", "gif", "webp", "png", "jpg"]
        ),
        help="h264, hevc, vp9, av1 or prores where the file takes it; ffv1, which is exact, in .mkv; png or "
        "jpg in a folder.  [default: h264; vp9 in .webm, png in a folder]",
    ),
    click.option(
        "--quality", type=int, metavar="N",
        help="On the codec's scale. Rate factor of h264 (18), hevc (20), vp9 and av1 (24), where less is "
        "better; prores 0 Proxy to 3 HQ (3); colours of a gif (256); webp (90) and jpg (95) up to 100.",
    ),
    click.option(
        "--loops", type=click.IntRange(0, 65535), metavar="N",
        help="How often a .gif or .webp plays.  [default: for ever]",
    ),
)  # fmt: skip


def check_film(photo: Path, output: Path, options: dict[str, Any], *, overwrite: bool) -> None:
    """Refuse, before any long work, a film that could not be written.

    Args:
        photo: What is read; it is not to be replaced.
        output: The file, or the folder.
        options: With the values of `length_options` and `encoding_options`.
        overwrite: Whether what is there may be replaced.

    Raises:
        InputError: An impossible rate or quality, or the output is the photo itself.
        FileError: Another suffix, or it can't be written.
    """
    from depth3d import verbs
    from depth3d.io.video import check_video

    made = check_video(output, **{name: options[name] for name in _HOW}, overwrite=overwrite)
    if made.suffixes != ("",):
        verbs.check_output(output, photo, overwrite=overwrite)


def save_film(
    frames: Iterable[ImageArray], total: int, output: Path, options: dict[str, Any], *, overwrite: bool
) -> int:
    """Write a film, with a progress bar that tells the time left.

    Args:
        frames: As they are rendered.
        total: How many there will be.
        output: The file, or the folder.
        options: As for `check_film`.
        overwrite: Whether what is there may be replaced.

    Returns:
        The number of frames.
    """
    from depth3d.io.video import save_video

    how = {name: options[name] for name in _HOW}
    with progress("frames", total) as advance:
        return save_video(frames, output, **how, overwrite=overwrite, on_frame=advance)
