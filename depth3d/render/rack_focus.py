"""`rack_focus`: the focus wanders from one thing to another, frame by frame."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from depth3d.core.arrays import ImageArray
from depth3d.core.lens import ThinLens
from depth3d.core.scene import RGBD
from depth3d.errors import InputError
from depth3d.render.aperture import Aperture
from depth3d.render.defocus import Defocus
from depth3d.render.looks import Look
from depth3d.render.refocus import Refocus

__all__ = ["FocusKey", "focus_pull", "rack_focus"]

_MOST_FRAMES = 100_000


@dataclass(frozen=True, slots=True)
class FocusKey:
    """What is in focus at a moment, and how far the lens is open.

    Attributes:
        time_s: Seconds from the first key's moment on.
        focus: (u, v) in pixels.
        focus_m: Or z in metres.
        focus_disparity: Or disparity in the map's unit; with none of them, the nearest large thing around
            the middle.
        lens: The opening, as `bokeh` takes it.
        strength_px: Instead, the strength of blur.
    """

    time_s: float
    focus: tuple[float, float] | None = None
    focus_m: float | None = None
    focus_disparity: float | None = None
    lens: ThinLens | None = None
    strength_px: float | None = None


def rack_focus(
    scene: RGBD,
    keys: Sequence[FocusKey],
    *,
    fps: float = 30.0,
    sharp_range: float = 0.0,
    sharp_px: float = 0.0,
    aperture: Aperture | None = None,
    highlights: float = 0.0,
    fringe_px: tuple[float, float, float] = (0.0, 0.0, 0.0),
    grain: float = 0.0,
    seed: int = 0,
    edges: Literal["snap", "keep"] = "snap",
    device: str = "auto",
) -> Iterator[ImageArray]:
    """Pull the focus from key to key.

    Between two keys the disparity in focus and the blur by disparity go from one to the other along
    `3t^2 - 2t^3`: evenly in dioptres, as the eye sees it, at rest at both ends. What is behind the
    foreground is guessed once for all frames, so that nothing flickers.

    Args:
        scene: A photo with metric or relative depth.
        keys: Two or more, in the order of time.
        fps: Frames a second; the first frame shows the first key, the last one the last key.
        sharp_range: As for `bokeh`, and so are all others.
        sharp_px: As for `bokeh`.
        aperture: As for `bokeh`.
        highlights: As for `bokeh`.
        fringe_px: As for `bokeh`.
        grain: As for `bokeh`; another grain in each frame.
        seed: As for `bokeh`.
        edges: As for `bokeh`.
        device: As for `bokeh`.

    Returns:
        A generator of (H, W, 3) uint8 frames. Arguments are checked, and the scene is prepared, at once.

    Raises:
        InputError: Fewer than two keys, times that do not increase, or what `bokeh` refuses.
        NeedsMetricError: A lens or a distance for a relative map.
        DeviceError: The device is not there.
    """
    photo = Refocus(scene, edges=edges, device=device)
    settings = focus_pull(photo, keys, fps=fps, sharp_range=sharp_range, sharp_px=sharp_px)
    look = Look(aperture or Aperture(), highlights, fringe_px, grain, seed)
    photo.prepare(settings)

    def frames() -> Iterator[ImageArray]:
        for number, setting in enumerate(settings):
            yield photo.image(setting, replace(look, seed=look.seed + number))

    return frames()


def focus_pull(
    photo: Refocus,
    keys: Sequence[FocusKey],
    *,
    fps: float = 30.0,
    sharp_range: float = 0.0,
    sharp_px: float = 0.0,
) -> list[Defocus]:
    """Plan a focus pull: the setting of each frame.

    Args:
        photo: The photo, taken apart.
        keys: As for `rack_focus`.
        fps: Frames a second.
        sharp_range: As for `bokeh`.
        sharp_px: As for `bokeh`.

    Raises:
        InputError: As `rack_focus`.
        NeedsMetricError: As `rack_focus`.
    """
    times = [key.time_s for key in keys]
    if len(keys) < 2 or not all(a < b for a, b in pairwise(times)):
        raise InputError(f"a focus pull needs two or more keys whose times increase, got times {times}")
    if not (math.isfinite(fps) and fps > 0 and math.isfinite(times[-1] - times[0])):
        raise InputError(f"fps and times must be finite, and fps above 0, got fps {fps!r} and times {times}")
    count = max(2, round((times[-1] - times[0]) * fps))
    if count > _MOST_FRAMES:
        raise InputError(f"{count} frames are too many; lower fps or the seconds")
    at_keys = [
        photo.defocus(
            photo.focus(key.focus, focus_m=key.focus_m, focus_disparity=key.focus_disparity),
            lens=key.lens,
            strength_px=key.strength_px,
        )
        for key in keys
    ]
    pull = []
    for time in np.linspace(times[0], times[-1], count):
        k = min(max(int(np.searchsorted(times, time, side="right")) - 1, 0), len(keys) - 2)
        t = float((time - times[k]) / (times[k + 1] - times[k]))
        share = t * t * (3 - 2 * t)
        first, second = at_keys[k], at_keys[k + 1]
        gain = first.gain + share * (second.gain - first.gain)
        disparity = first.disparity + share * (second.disparity - first.disparity)
        pull.append(Defocus(gain, disparity, sharp_px=max(gain * sharp_range, sharp_px) / 2))
    return pull
