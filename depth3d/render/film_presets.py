"""`PRESETS`: films with names, for people who want one without choosing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from depth3d.render.ken_burns import KenBurns
from depth3d.render.paths import DollyIn, DollyZoom, Handheld, Orbit, Path, Sway
from depth3d.render.timing import Repeat

__all__ = ["PRESETS", "FilmPreset"]


@dataclass(frozen=True, slots=True)
class FilmPreset:
    """A film that is decided on.

    Attributes:
        path: The camera's way.
        says: What it is for, as half a sentence.
        seconds: How long.
        amplitude: As `parallax` takes it, and so are the next two.
        repeat: As `parallax` takes it.
        easing: As `parallax` takes it.
        hold_seconds: At rest, of the seconds.
        blur_percent: Depth of field, as a strength in percent of the longer side; 0 is none.
        vignette: As `FilmLook` takes it.
        format: One of `FORMATS`, or None for the photo's own shape.
    """

    path: Path
    says: str
    seconds: float = 5.0
    amplitude: float = 1.0
    repeat: Repeat | None = None
    easing: str | None = None
    hold_seconds: float = 0.0
    blur_percent: float = 0.0
    vignette: float = 0.0
    format: str | None = None


PRESETS: Mapping[str, FilmPreset] = MappingProxyType(
    {
        "gentle": FilmPreset(Orbit(), "a slow, small orbit, for a wall or a header", 8.0, 0.5),
        "cinematic": FilmPreset(
            DollyIn(), "a slow push-in with depth of field and a vignette", 6.0,
            easing="sine", blur_percent=1.0, vignette=0.25,
        ),
        "social": FilmPreset(Orbit(ellipse=0.5), "an upright loop for stories and reels", 4.0, format="reel"),
        "product": FilmPreset(Orbit(ellipse=0.25), "a square orbit around a thing", 5.0, format="square"),
        "portrait": FilmPreset(
            Sway(), "a small sway with a soft background", 5.0, 0.7, blur_percent=1.5
        ),
        "documentary": FilmPreset(
            KenBurns(), "a pan and zoom with depth, held at its end", 8.0,
            easing="sine", hold_seconds=1.0,
        ),
        "vertigo": FilmPreset(DollyZoom(), "the background comes closer, there and back", 5.0,
                              repeat="ping-pong"),
        "handheld": FilmPreset(Handheld(), "as if filmed by hand", 6.0, 0.6),
    }
)  # fmt: skip
"""Name -> film."""
