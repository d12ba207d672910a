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
from depth3d.render.focus import scaled_point
from depth3d.render.framing import Framing, frame_size
from depth3d.render.looks import Look
from depth3d.render.refocus import Refocus
from depth3d.render.resized import resized_scene

__all__ = ["FocusKey", "FocusPull", "focus_pull", "rack_focus"]

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
    size: int | tuple[int, int] | None = None,
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
        size: Of the frames: (width, height), cut out around the keys' points, or the longer side alone.
            None is the photo's own size, with a longer side of at most 1920. All other pixels are meant in
            those of the photo.
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
        InputError: Fewer than two keys, times that do not increase, a size out of range, or what `bokeh`
            refuses.
        NeedsMetricError: A lens or a distance for a relative map.
        DeviceError: The device is not there.
    """
    look = Look(aperture or Aperture(), highlights, fringe_px, grain, seed)
    pull = FocusPull(
        scene,
        keys,
        fps=fps,
        size=size,
        sharp_range=sharp_range,
        sharp_px=sharp_px,
        edges=edges,
        device=device,
    )
    return pull.frames(look)


class FocusPull:
    """A focus pull, planned and prepared.

    The whole photo is blurred at the size of the frames before they are cut out of it, so that light comes
    in from beyond them.

    Args:
        scene: As for `rack_focus`, and so are all others.
        keys: As for `rack_focus`.
        fps: As for `rack_focus`.
        size: As for `rack_focus`.
        sharp_range: As for `rack_focus`.
        sharp_px: As for `rack_focus`.
        edges: As for `rack_focus`.
        device: As for `rack_focus`.

    Attributes:
        settings: How each frame is focused.
        size_wh: (width, height) of the frames in pixels.

    Raises:
        InputError: As `rack_focus`.
        NeedsMetricError: As `rack_focus`.
        DeviceError: As `rack_focus`.
    """

    def __init__(
        self,
        scene: RGBD,
        keys: Sequence[FocusKey],
        *,
        fps: float = 30.0,
        size: int | tuple[int, int] | None = None,
        sharp_range: float = 0.0,
        sharp_px: float = 0.0,
        edges: Literal["snap", "keep"] = "snap",
        device: str = "auto",
    ) -> None:
        if not isinstance(scene, RGBD):
            raise InputError(
                f"a focus pull needs an RGBD scene, got {type(scene).__name__}; make one with RGBD(...)"
            )
        across, down = scene.size_wh
        self.size_wh = frame_size(scene.size_wh, size=size)
        self._share = max(self.size_wh[0] / across, self.size_wh[1] / down)
        whole_wh = (
            max(self.size_wh[0], round(across * self._share)),
            max(self.size_wh[1], round(down * self._share)),
        )
        keys = [_at_size(key, scene.size_wh, whole_wh, self._share) for key in keys]
        self._photo = Refocus(resized_scene(scene, *whole_wh), edges=edges, device=device)
        self.settings = focus_pull(
            self._photo, keys, fps=fps, sharp_range=sharp_range, sharp_px=sharp_px * self._share
        )
        points = [key.focus for key in keys if key.focus is not None] or [(whole_wh[0] / 2, whole_wh[1] / 2)]
        u, v = np.mean(points, axis=0).tolist()
        window = Framing(self.size_wh, whole_wh).window((u, v))
        left, top = round(window.left), round(window.top)
        self._rows = slice(top, top + self.size_wh[1])
        self._cols = slice(left, left + self.size_wh[0])
        self._photo.prepare(self.settings)

    def frames(self, look: Look | None = None) -> Iterator[ImageArray]:
        """Take the pictures.

        Args:
            look: What is added to bare optics, in pixels of the photo; each frame has a grain of its own.

        Yields:
            (H, W, 3) uint8, read-only.
        """
        look = look or Look()
        red, green, blue = (number * self._share for number in look.fringe_px)
        look = replace(look, fringe_px=(red, green, blue))
        for number, setting in enumerate(self.settings):
            picture = self._photo.image(setting, replace(look, seed=look.seed + number))
            frame = np.ascontiguousarray(picture[self._rows, self._cols])
            frame.flags.writeable = False
            yield frame


def _at_size(key: FocusKey, size_wh: tuple[int, int], to_wh: tuple[int, int], share: float) -> FocusKey:
    """Say the same of a picture that is larger or smaller."""
    point, strength = key.focus, key.strength_px
    return replace(
        key,
        focus=None if point is None else scaled_point(point, size_wh, to_wh),
        strength_px=None if strength is None else strength * share,
    )


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
            sharp_range=sharp_range,
            sharp_px=sharp_px,
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
