"""The options that select by depth: `depth3d matte`, and the effects over a matte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .sections import section
from .types import NumberPair

if TYPE_CHECKING:
    from depth3d.core.arrays import FloatMap
    from depth3d.core.scene import RGBD

__all__ = ["check_selection", "matte_of", "selection_options"]

_POSITIVE = click.FloatRange(min=0, min_open=True)

selection_options = section(
    "Selection",
    click.option(
        "--at", type=NumberPair("X", "Y"), metavar="X,Y",
        help="Keep what is at this pixel and everything nearer, up to the gap behind it.",
    ),
    click.option("--connected", is_flag=True, help="With --at: only what hangs together with that thing."),
    click.option("--near-m", type=_POSITIVE, metavar="M", help="Keep nothing nearer than this z, in metres."),
    click.option("--far-m", type=_POSITIVE, metavar="M", help="Keep nothing farther than this z, in metres."),
    click.option(
        "--nearer-than-percent", type=click.FloatRange(0, 100, min_open=True), metavar="P",
        help="Keep the nearest P percent of all pixels.",
    ),
    click.option(
        "--disparity-range", type=NumberPair("LOW", "HIGH"),
        help="Keep this range of disparity, in the unit of a relative map or in 1/m.",
    ),
    click.option(
        "--fade", type=click.FloatRange(0, 1), default=0.0, metavar="SHARE",
        help="How gradually the selection ends where nothing else does, as on a floor: 0.1 is soft.",
    ),
)  # fmt: skip

_SELECTION = ("at", "connected", "near_m", "far_m", "nearer_than_percent", "disparity_range", "fade")


def matte_of(scene: RGBD, options: dict[str, Any]) -> FloatMap:
    """Make the matte that `selection_options` ask for."""
    from depth3d.render.matte import depth_matte

    return depth_matte(scene, **{name: options[name] for name in _SELECTION})


def check_selection(options: dict[str, Any]) -> None:
    """Refuse, before any long work, none or several ways to select."""
    from depth3d.render.matte import check_selection as check

    check(**{name: options[name] for name in _SELECTION if name not in ("connected", "fade")})
