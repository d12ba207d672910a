"""`Keyframes` and `RecordedPath`: ways of the camera that somebody else wrote down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt

from depth3d.core.poses import as_pose
from depth3d.errors import InputError
from depth3d.render.easing import check_easing, ease
from depth3d.render.stage import Aim, Stage, Views

__all__ = ["Keyframe", "Keyframes", "RecordedPath"]

_MOST_ZOOM = 20.0

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Keyframe:
    """Where the camera is at a moment, and how it looks.

    Attributes:
        time_s: Seconds.
        position: (x, y, z): to the right, down, and ahead along the ray through the still point, from where
            the photo was taken; in the unit of `Keyframes`.
        look_deg: (right, up, clockwise): how far the camera is turned, beyond what keeps the still point.
        zoom: Factor of the focal length.
        easing: Of the way to the next key: one of `EASINGS`, or `spline`: without a stop, the speed at each
            key that of the straight line between its neighbours (Catmull and Rom 1974).

    Raises:
        InputError: Numbers that are not finite or out of range, or an unknown easing.
    """

    time_s: float
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    look_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    zoom: float = 1.0
    easing: str = "spline"

    def __post_init__(self) -> None:
        for name in ("position", "look_deg"):
            value = getattr(self, name)
            if not (len(value) == 3 and all(math.isfinite(x) for x in value)):
                raise InputError(f"{name} must be three numbers, got {value!r}")
        if not math.isfinite(self.time_s):
            raise InputError(f"time_s must be seconds, got {self.time_s!r}")
        if max(abs(x) for x in self.look_deg) > 80:
            raise InputError(f"look_deg must lie within 80 degrees, got {self.look_deg!r}")
        if not (math.isfinite(self.zoom) and 1 / _MOST_ZOOM <= self.zoom <= _MOST_ZOOM):
            raise InputError(f"zoom must lie in {1 / _MOST_ZOOM:g}..{_MOST_ZOOM:g}, got {self.zoom!r}")
        if self.easing != "spline":
            check_easing(self.easing)


@dataclass(frozen=True, slots=True)
class Keyframes:
    """A way from key to key; zoom is interpolated in its logarithm.

    Attributes:
        keys: Two or more, in the order of time.
        unit: Of positions: `auto`, of which 1 is made as large as the scene bears, or `m`, metres (units
            of a relative scene).
        aim: How the still point is kept: `shift`, `look` or `ahead` (`Stage.views`).

    Raises:
        InputError: Fewer than two keys, times that do not increase or whose span is not finite, or an unknown
            unit or aim.
    """

    keys: Sequence[Keyframe]
    unit: Literal["auto", "m"] = "auto"
    aim: Aim = "shift"

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", tuple(self.keys))
        times = [key.time_s for key in self.keys]
        if len(times) < 2 or not all(a < b for a, b in pairwise(times)):
            raise InputError(f"keyframes need two or more keys whose times increase, got times {times}")
        if not math.isfinite(times[-1] - times[0]):
            raise InputError(f"keyframes need a finite span of time, got times {times}")
        if self.unit not in ("auto", "m"):
            raise InputError(f"unit must be auto or m, got {self.unit!r}")
        if self.aim not in get_args(Aim):
            raise InputError(f"aim must be one of {', '.join(get_args(Aim))}, got {self.aim!r}")

    @property
    def closed(self) -> bool:
        """Whether the last key is the first one again."""
        first, last = self._values[0], self._values[-1]
        return bool(np.array_equal(first, last))

    @property
    def sized_by_scene(self) -> bool:
        """Whether positions have no unit of their own."""
        return self.unit == "auto" and any(any(key.position) for key in self.keys)

    @property
    def seconds(self) -> float:
        """From the first to the last key."""
        return self.keys[-1].time_s - self.keys[0].time_s

    def views(self, phase: _Array, stage: Stage, length: float) -> Views:
        """Look at the scene from the path (`Path.views`)."""
        values = self._at(phase)
        return stage.views(
            values[:, :3] * length, zoom=np.exp(values[:, 6]), aim=self.aim, turn_deg=values[:, 3:6]
        )

    @property
    def _values(self) -> _Array:
        return np.array([[*key.position, *key.look_deg, math.log(key.zoom)] for key in self.keys])

    def _at(self, phase: _Array) -> _Array:
        times = np.array([key.time_s for key in self.keys])
        values = self._values
        now = times[0] + np.asarray(phase) * (times[-1] - times[0])
        k = np.clip(np.searchsorted(times, now, side="right") - 1, 0, len(times) - 2)
        span = (times[1:] - times[:-1])[k]
        t = np.clip((now - times[k]) / span, 0, 1)
        slopes = _slopes(times, values, is_closed=self.closed)
        result = np.empty((len(now), values.shape[1]))
        for easing in {key.easing for key in self.keys}:
            some = np.array([self.keys[i].easing == easing for i in k])
            a, b, s = values[k[some]], values[k[some] + 1], t[some, None]
            if easing == "spline":
                rise, fall = (slopes[k[some] + i] * span[some, None] for i in (0, 1))
                result[some] = _hermite(a, b, rise, fall, s)
            else:
                result[some] = a + ease(easing, s) * (b - a)
        return result


@dataclass(frozen=True, slots=True, eq=False)
class RecordedPath:
    """Poses that were recorded, relative to the first one; between them positions go straight.

    Attributes:
        poses: (n, 4, 4) `T_world_camera`, metres (units of a relative scene), evenly in time. Rotations go
            the shortest way from one to the next.

    Raises:
        InputError: No pose, or one that is not rigid.
    """

    poses: _Array
    closed: ClassVar[bool] = False
    sized_by_scene: ClassVar[bool] = False

    def __post_init__(self) -> None:
        poses = np.stack([as_pose(pose, f"poses[{i}]") for i, pose in enumerate(self.poses)] or [np.eye(4)])
        if not len(self.poses):
            raise InputError("a recorded path needs a pose, got none")
        poses.flags.writeable = False
        object.__setattr__(self, "poses", poses)

    def views(self, phase: _Array, stage: Stage, length: float) -> Views:
        """Look at the scene from the path (`Path.views`); `length` scales the positions."""
        from scipy.spatial.transform import Rotation, Slerp

        R0, c0 = self.poses[0, :3, :3], self.poses[0, :3, 3]
        c = (self.poses[:, :3, 3] - c0) @ R0
        R = R0.T @ self.poses[:, :3, :3]
        R[0] = np.eye(3)
        times = np.linspace(0, 1, max(len(c), 2))
        if len(c) == 1:
            c, R = np.repeat(c, 2, axis=0), np.repeat(R, 2, axis=0)
        poses = np.broadcast_to(np.eye(4), (len(phase), 4, 4)).copy()
        poses[:, :3, :3] = Slerp(times, Rotation.from_matrix(R))(phase).as_matrix()
        poses[:, :3, 3] = length * np.stack([np.interp(phase, times, c[:, i]) for i in range(3)], axis=1)
        still = stage.views(np.zeros((len(phase), 3)), aim="ahead")
        return Views(poses, still.focal, still.center)


def _slopes(times: _Array, values: _Array, *, is_closed: bool) -> _Array:
    """Give each key the speed between its neighbours; round a closed way, its ends have neighbours too."""
    if is_closed:
        span = times[-1] - times[0]
        times = np.concatenate([[times[-2] - span], times, [times[1] + span]])
        values = np.concatenate([values[-2:-1], values, values[1:2]])
        return np.asarray((values[2:] - values[:-2]) / (times[2:] - times[:-2])[:, None])
    slopes = np.zeros_like(values)
    slopes[1:-1] = (values[2:] - values[:-2]) / (times[2:] - times[:-2])[:, None]
    return slopes


def _hermite(a: _Array, b: _Array, rise: _Array, fall: _Array, t: _Array) -> _Array:
    """Interpolate between two values with given slopes by the cubic Hermite spline."""
    first, last = (1 + 2 * t) * (1 - t) ** 2 * a, t * t * (3 - 2 * t) * b
    return first + last + t * (1 - t) ** 2 * rise + t * t * (t - 1) * fall
