"""`FilmPlan`: a camera's way through a photo, as large as the scene bears, and what of the photo it shows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap
from depth3d.core.camera import Camera
from depth3d.errors import InputError
from depth3d.render.easing import is_smooth
from depth3d.render.framing import Framing, Window
from depth3d.render.parallax_bounds import Relief, largest_length
from depth3d.render.paths import Path
from depth3d.render.stage import Stage, Views
from depth3d.render.timing import Timing

__all__ = ["Border", "FilmPlan", "check_timing", "plan_film"]

Border: TypeAlias = Literal["crop", "fill"]
"""`crop` shows what the photo shows in every frame; `fill` also what is guessed beyond its borders."""

MOTION_BY_JUMP = 2.0
"""How much farther than neighbours apart things may move against the still point."""
_MOST_OF_THE_WAY = 0.25
"""Largest length of a path sized by the scene, as a share of the still point's distance."""
_LEAST_WINDOW = 0.25
_MOST_VIEWS = 360
"""Of longer films so many frames are looked at, evenly along the path."""
_VIEWS_AT_ONCE = 64
_MOST_MARGIN = 0.25
_MARGIN_RESERVE = 1.25
"""Margin by margin that the photo's border pixels ask for: surfaces go on beyond it, and may come nearer."""

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FilmPlan:
    """What is filmed, from where, and what of it is shown.

    Attributes:
        path: The camera's way.
        timing: When it is where.
        stage: The photo's camera and the still point.
        length: Of one unit of the path, as `Path.views` takes it.
        framing: The size of frames.
        window: What of the photo's frame each frame shows, in pixels of the photo.
        margin_px: How far beyond the photo's borders frames look, in pixels of the photo.
        jump_px: Largest parallax between two neighbouring surfaces, in pixels of the photo.
        motion_px: Largest parallax of anything against the plane of the still point.
        reach_px: Parallax of the scene's whole span, as `layers` takes it.
        direction: Unit vector (x, y) in which surfaces move, where it is one direction; else None.
    """

    path: Path
    timing: Timing
    stage: Stage
    length: float
    framing: Framing
    window: Window
    margin_px: int
    jump_px: float
    motion_px: float
    reach_px: float
    direction: tuple[float, float] | None

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of a frame a pixel of the photo, across and down."""
        width, height = self.framing.size_wh
        return width / self.window.width, height / self.window.height

    def views(self, frame: npt.ArrayLike | None = None) -> Views:
        """Look from the path, framed: intrinsics are in pixels of the frames.

        Args:
            frame: (n,) moments in frames; None is every frame.
        """
        views = self.path.views(self.timing.phases(frame), self.stage, self.length)
        return views.framed(np.array(self.window[:2]), np.array(self.scale))


def plan_film(
    inverse_depth: FloatMap,
    stage: Stage,
    path: Path,
    timing: Timing,
    framing: Framing,
    *,
    amplitude: float = 1.0,
    max_parallax_px: float,
    max_reach_px: float | None = None,
    length: float | None = None,
    border: Border = "crop",
    moments: npt.ArrayLike | None = None,
) -> FilmPlan:
    """Make a path as large as a scene bears, and choose what frames show.

    A path that is sized by the scene becomes so large that no two neighbouring surfaces move against each
    other by more than `max_parallax_px`, and nothing against the plane of the still point by more than
    twice that, but at most a quarter of the still point's distance; then `amplitude` multiplies it. With
    `crop` the window of all frames is the largest one of their shape that the photo's borders, moved as
    each frame moves them, leave free.

    Args:
        inverse_depth: (H, W) of the photo.
        stage: Its camera and still point.
        path: The camera's way.
        timing: When it is where.
        framing: The size of the frames.
        amplitude: Factor of the path's size.
        max_parallax_px: In pixels of the photo.
        max_reach_px: What layers that are there bear, as `FilmPlan.reach_px` counts.
        length: Of a path sized by the scene, in metres or units, instead.
        border: What is shown at the photo's borders.
        moments: (n,) in frames, that are shown beside whole frames (`FilmLook.moments`).

    Raises:
        InputError: Numbers out of range, or a path that leaves too little of the photo.
    """
    if not (math.isfinite(amplitude) and amplitude >= 0):
        raise InputError(f"amplitude must be 0 or more, got {amplitude!r}; 1 is what the scene bears")
    if length is not None and not (math.isfinite(length) and length >= 0):
        raise InputError(f"length must be 0 or more metres (units of a relative scene), got {length!r}")
    if length is not None and not path.sized_by_scene:
        raise InputError(
            f"{type(path).__name__} has a size of its own; leave length out, amplitude changes it"
        )
    if border not in ("crop", "fill"):
        raise InputError(f"border must be crop or fill, got {border!r}")
    relief = Relief.of(inverse_depth, stage.camera, stage.inverse_depth)
    phases = _thinned(timing.phases())
    if moments is not None:
        phases = np.union1d(phases, _thinned(timing.phases(moments)))

    def at(size: float) -> Views:
        return path.views(phases, stage, size)

    if length is None:
        length = amplitude
        if path.sized_by_scene:
            length *= _bearable(at, relief, max_parallax_px, max_reach_px, float(inverse_depth.max()))
    views = at(length)
    jump, motion = relief.largest_jump_px(views), relief.largest_motion_px(views)
    if not math.isfinite(motion):
        raise InputError("the camera would come to a surface of the scene; lower the amplitude or the length")
    inside, margin = None, 0
    window = framing.window(stage.point)
    free = _free(views, inverse_depth, stage.camera)
    if border == "crop":
        inside = (free[:, 0].max(), free[:, 1].max(), free[:, 2].min(), free[:, 3].min())
        inside = _within(inside, framing.photo_wh)
        window = framing.window(stage.point, inside)
        share = window.width / framing.whole.width
        if not share >= _LEAST_WINDOW:
            raise InputError(
                f"the path leaves {100 * max(share, 0):.0f} % of the photo's width; lower the amplitude, or "
                "fill the borders (border fill)"
            )
    else:
        margin = _margin(free, window, framing.photo_wh)
    direction = _direction(views, stage)
    return FilmPlan(
        path, timing, stage, length, framing, window, margin, jump, motion, relief.reach_px(views), direction
    )


def _thinned(phases: _Array) -> _Array:
    """Choose some phases of many, the first and the last one among them."""
    phases = np.unique(phases)
    if len(phases) <= _MOST_VIEWS:
        return phases
    chosen = np.linspace(0, len(phases) - 1, _MOST_VIEWS).round().astype(int)
    return np.asarray(phases[chosen], dtype=np.float64)


def check_timing(path: Path, timing: Timing) -> Timing:
    """Return the timing if a film along the path can be repeated as it says.

    Raises:
        InputError: `loop` on a path that does not end where it begins, or with an easing that jerks there.
    """
    if timing.repeat != "loop":
        return timing
    if not path.closed:
        raise InputError(
            f"{type(path).__name__} does not end where it begins, and can't loop; use ping-pong or once"
        )
    if not is_smooth(timing.easing, there_and_back=False):
        raise InputError(f"a loop with easing {timing.easing!r} would jerk at its seam; use sine or linear")
    return timing


def _bearable(
    at: Callable[[float], Views],
    relief: Relief,
    max_parallax_px: float,
    max_reach_px: float | None,
    nearest: float,
) -> float:
    """Find the largest length that keeps within all bounds."""
    if not (math.isfinite(max_parallax_px) and max_parallax_px > 0):
        raise InputError(f"the largest parallax must be positive, got {max_parallax_px!r} px")
    reference = relief.still or nearest
    most = _MOST_OF_THE_WAY / reference if reference > 0 else 1.0

    def excess(size: float) -> float:
        views = at(size)
        motion = relief.largest_motion_px(views) / MOTION_BY_JUMP
        reach = relief.reach_px(views) / max_reach_px if max_reach_px else 0.0
        return max(max(motion, relief.largest_jump_px(views)) / max_parallax_px, reach)

    return largest_length(excess, most)


def _free(views: Views, inverse_depth: FloatMap, camera: Camera) -> _Array:
    """Tell, for each view, between which columns and rows the photo's borders lie outside.

    Returns:
        (n, 4) left, top, right, bottom in pixels of the view.
    """
    height, width = inverse_depth.shape
    free = np.empty((len(views), 4))
    for side in range(4):
        across = side % 2 == 0  # the left and the right one
        edge, last = (0.0, 0) if side < 2 else (float(width if across else height), -1)
        line = inverse_depth[:, last] if across else inverse_depth[last]
        depth = np.concatenate([line[:1], line, line[-1:]]).astype(np.float64)
        along = np.concatenate([[0.0], np.arange(len(line)) + 0.5, [float(len(line))]])
        uv = np.stack([np.full_like(along, edge), along][:: 1 if across else -1], axis=1)
        for start in range(0, len(views), _VIEWS_AT_ONCE):
            some = slice(start, start + _VIEWS_AT_ONCE)
            moved = views[some].project(camera, uv, depth)[..., 0 if across else 1]
            free[some, side] = moved.max(axis=1) if side < 2 else moved.min(axis=1)
    return free


def _within(
    inside: tuple[float, float, float, float], photo_wh: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Keep to the photo's frame, and take rounding errors for none."""
    tiny = 1e-6
    left, top, right, bottom = inside
    width, height = photo_wh
    return (
        left if left > tiny else 0.0,
        top if top > tiny else 0.0,
        right if right < width - tiny else float(width),
        bottom if bottom < height - tiny else float(height),
    )


def _margin(free: _Array, window: Window, photo_wh: tuple[int, int]) -> int:
    across = (free[:, 2] - free[:, 0]) / photo_wh[0]
    down = (free[:, 3] - free[:, 1]) / photo_wh[1]
    if not (across.min() > 0 and down.min() > 0):
        raise InputError("the path leaves nothing of the photo; lower the amplitude")
    missing = max(
        float(((free[:, 0] - window.left) / across).max()),
        float(((free[:, 1] - window.top) / down).max()),
        float(((window.left + window.width - free[:, 2]) / across).max()),
        float(((window.top + window.height - free[:, 3]) / down).max()),
        0.0,
    )
    if missing > _MOST_MARGIN * max(photo_wh):
        raise InputError(
            f"the path looks {missing:.0f} pixels beyond the photo's borders, too far to guess; lower the "
            "amplitude, or crop the borders (border crop)"
        )
    return math.ceil(_MARGIN_RESERVE * missing) + 2 if missing > 1e-6 else 2


def _direction(views: Views, stage: Stage) -> tuple[float, float] | None:
    """Find the direction in which surfaces move against each other, if it is one all over the picture."""
    width, height = stage.camera.size_wh
    uv = np.array([(u * width, v * height) for u in (0.1, 0.5, 0.9) for v in (0.1, 0.5, 0.9)])
    w = stage.inverse_depth
    step = 1e-3 * max(w, 1e-6)
    near, far = (views.project(stage.camera, uv, np.full(len(uv), value)) for value in (w + step, w))
    both = (near - far).reshape(-1, 2)
    moved = both[np.isfinite(both).all(axis=1)]
    strength, axes = np.linalg.eigh(np.einsum("ni,nj->ij", moved, moved))
    if strength[1] <= 0 or strength[0] > strength[1] / 16:
        return None
    x, y = axes[:, 1]
    return float(x), float(y)
