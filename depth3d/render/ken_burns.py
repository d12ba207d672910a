"""`KenBurns`: from one part of a photo to another, by panning and zooming, with depth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.errors import InputError
from depth3d.render.stage import Stage, Views

__all__ = ["KenBurns", "Rectangle"]

Rectangle: TypeAlias = "tuple[float, float, float, float]"
"""(left, top, width, height) as shares of the photo's sides."""

_WHOLE: Rectangle = (0.0, 0.0, 1.0, 1.0)
_CLOSE_UP = 0.75

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class KenBurns:
    """Pan and zoom from one rectangle of the photo to another, while the camera moves along.

    What lies as far away as the still point is shown exactly as the rectangles say; what is nearer moves
    faster. The size goes evenly in its logarithm, and the middle so that one point of the photo stays where
    it is.

    Attributes:
        start: What the first frame shows. A frame of another shape is cut out of it around the
            still point's place in the photo.
        end: What the last frame shows; None is three quarters of the photo around the still point.
        depth: How much the camera moves along, as a share of what the scene bears; 0 pans and zooms flatly.
    """

    start: Rectangle = _WHOLE
    end: Rectangle | None = None
    depth: float = 1.0
    closed: ClassVar[bool] = False
    sized_by_scene: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check(self.start, "start")
        if self.end is not None:
            _check(self.end, "end")
        if not (math.isfinite(self.depth) and 0 <= self.depth <= 4):
            raise InputError(f"depth must lie in 0..4, got {self.depth!r}")

    def views(self, phase: npt.NDArray[np.float64], stage: Stage, length: float) -> Views:
        """Look at the scene from the path (`Path.views`)."""
        size_wh = np.array(stage.camera.size_wh, dtype=np.float64)
        first, last = _middle_and_share(self.start), _middle_and_share(self.end or _close_up(stage))
        shares = first[2] ** (1 - phase) * last[2] ** phase
        way = phase if first[2] == last[2] else (shares - first[2]) / (last[2] - first[2])
        middles = first[:2] + way[:, None] * (last[:2] - first[:2])
        # The camera goes where the pan goes, and ahead where the zoom does.
        aim = np.array([*(last[:2] - first[:2]), math.log(first[2] / last[2])])
        aim /= max(float(np.linalg.norm(aim)), 1e-12)
        moving = stage.views(self.depth * length * way[:, None] * aim, hold_size=True)
        return moving.framed(middles * size_wh - shares[:, None] * size_wh / 2, 1 / shares[:, None])


def _close_up(stage: Stage) -> Rectangle:
    rest = 1 - _CLOSE_UP
    u, v = (x / side for x, side in zip(stage.point, stage.camera.size_wh, strict=True))
    left, top = (min(max(x - _CLOSE_UP / 2, 0.0), rest) for x in (u, v))
    return left, top, _CLOSE_UP, _CLOSE_UP


def _middle_and_share(rectangle: Rectangle) -> _Array:
    """Give the middle of a rectangle, and the share of the photo's sides of the frame that shows all of it.

    The frame is moved to where it shows no more than the photo.
    """
    left, top, width, height = rectangle
    share = min(max(width, height), 1.0)
    middle = [min(max(x, share / 2), 1 - share / 2) for x in (left + width / 2, top + height / 2)]
    return np.array([*middle, share])


def _check(rectangle: Rectangle, name: str) -> None:
    good = len(rectangle) == 4 and all(math.isfinite(x) for x in rectangle)
    if good:
        left, top, width, height = rectangle
        tiny = 1e-6
        good = min(left, top) >= -tiny and min(width, height) >= 0.02
        good = good and left + width <= 1 + tiny and top + height <= 1 + tiny
    if not good:
        raise InputError(
            f"{name} must be (left, top, width, height) as shares 0..1 of the photo, at least 0.02 wide and "
            f"high, got {rectangle!r}"
        )
