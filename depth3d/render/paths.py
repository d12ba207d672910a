"""`Path`: ways of a camera through a photo: orbit, sway, bob, circle, eight, spiral, dolly, zoom, by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from depth3d.errors import InputError
from depth3d.render.stage import Stage, Views

__all__ = [
    "Bob",
    "Circle",
    "DollyIn",
    "DollyOut",
    "DollyZoom",
    "FigureEight",
    "Handheld",
    "Orbit",
    "Path",
    "Spiral",
    "Sway",
    "Zoom",
]

_Array = npt.NDArray[np.float64]


@runtime_checkable
class Path(Protocol):
    """A way of the camera, as a curve of unit size.

    Attributes:
        closed: Whether it ends where it begins, with the same speed, so that it can be repeated.
        sized_by_scene: Whether its size is free: `parallax` then makes it as large as the scene bears. If
            not, the size is the path's own.
    """

    @property
    def closed(self) -> bool:
        """Whether the path ends where it begins."""
        ...

    @property
    def sized_by_scene(self) -> bool:
        """Whether the scene says how large it is."""
        ...

    def views(self, phase: _Array, stage: Stage, length: float) -> Views:
        """Look at the scene from the path.

        Args:
            phase: (n,) shares 0..1 of the path.
            stage: The photo's camera and its still point.
            length: Of one unit of the curve: in metres, or units of a relative scene, if `sized_by_scene`;
                else a factor of the path's own size.
        """
        ...


@dataclass(frozen=True, slots=True)
class Orbit:
    """To and fro on an arc around the still point, looking at it.

    Attributes:
        direction_deg: Of the arc: 0 goes to the right first, 90 down.
        ellipse: 0 is an arc; up to 1, the circle, the camera comes back on another way.
    """

    direction_deg: float = 0.0
    ellipse: float = 0.0
    closed: ClassVar[bool] = True
    sized_by_scene: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _finite(self, "direction_deg")
        _in_range(self, "ellipse", 0, 1)

    def views(self, phase: _Array, stage: Stage, length: float) -> Views:
        """Look at the scene from the path (`Path.views`)."""
        if length * stage.inverse_depth >= 1:
            raise InputError("the orbit is wider than the still point is far; lower the amplitude or length")
        angle = 2 * np.pi * phase
        sideways = _turned(np.sin(angle), self.ellipse * np.cos(angle), self.direction_deg)
        return stage.views(stage.on_sphere(length * sideways), aim="look")


@dataclass(frozen=True, slots=True)
class Sway:
    """To and fro on a straight line, looking ahead, as one shifts one's weight.

    Attributes:
        direction_deg: Of the line: 0 goes to the right first, 90 down.
    """

    direction_deg: float = 0.0
    closed: ClassVar[bool] = True
    sized_by_scene: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _finite(self, "direction_deg")

    def views(self, phase: _Array, stage: Stage, length: float) -> Views:
        """Look at the scene from the path (`Path.views`)."""
        way = np.sin(2 * np.pi * phase)
        return stage.views(length * _flat(_turned(way, np.zeros_like(way), self.direction_deg)))


@dataclass(frozen=True, slots=True)
class Bob:
    """Up and down on a straight line, looking ahead."""

    closed: ClassVar[bool] = True
    sized_by_scene: ClassVar[bool] = True

    def views(self, phase: _Array, stage: Stage, length: float) -> Views:
        """Look at the scene from the path (`Path.views`)."""
        way = np.sin(2 * np.pi * phase)
        return stage.views(length * _flat(np.stack([np.zeros_like(way), -way], axis=1)))


@dataclass(frozen=True, slots=True)
class Circle:
    """Around the place where the photo was taken, in the plane of the picture, looking ahead.

    Attributes:
        turns: How often; below 0 counter-clockwise.
    """

    turns: int = 1
    closed: ClassVar[bool] = True
    sized_by_scene: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _whole(self, "turns")

    def views(self, phase: _Array, stage: Stage, length: float) -> Views:
        """Look at the scene from the path (`Path.views`)."""
        angle = 2 * np.pi * self.turns * phase
        return stage.views(length * _flat(np.stack([np.sin(angle), -np.cos(angle)], axis=1)))


@dataclass(frozen=True, slots=True)
class FigureEight:
    """A lying eight in the plane of the picture (Gerono's lemniscate), looking ahead.

    Attributes:
        height: Of the eight, as a share of its width.
    """

    height: float = 0.5
    closed: ClassVar[bool] = True
    sized_by_scene: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _in_range(self, "height", 0, 4)

    def views(self, phase: _Array, stage: Stage, length: float) -> Views:
        """Look at the scene from the path (`Path.views`)."""
        angle = 2 * np.pi * phase
        eight = np.stack([np.sin(angle), self.height * np.sin(2 * angle)], axis=1)
        return stage.views(length * _flat(eight))


@dataclass(frozen=True, slots=True)
class Spiral:
    """Round and round in growing circles and towards the still point, and back again.

    Attributes:
        turns: How often, there and back together; below 0 counter-clockwise.
        ahead: How far it comes nearer, as a share of the largest radius.
    """

    turns: int = 3
    ahead: float = 1.0
    closed: ClassVar[bool] = True
    sized_by_scene: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _whole(self, "turns")
        _in_range(self, "ahead", -4, 4)

    def views(self, phase: _Array, stage: Stage, length: float) -> Views:
        """Look at the scene from the path (`Path.views`)."""
        radius = np.sin(np.pi * phase) ** 2
        angle = 2 * np.pi * self.turns * phase
        x, y = radius * np.sin(angle), -radius * np.cos(angle)
        return stage.views(length * np.stack([x, y, self.ahead * radius], axis=1))


@dataclass(frozen=True, slots=True)
class DollyIn:
    """Straight towards the still point."""

    closed: ClassVar[bool] = False
    sized_by_scene: ClassVar[bool] = True

    def views(self, phase: _Array, stage: Stage, length: float) -> Views:
        """Look at the scene from the path (`Path.views`)."""
        return stage.views(length * _ahead(phase))


@dataclass(frozen=True, slots=True)
class DollyOut:
    """Away from the still point, back to where the photo was taken: so the film shows no more than it."""

    closed: ClassVar[bool] = False
    sized_by_scene: ClassVar[bool] = True

    def views(self, phase: _Array, stage: Stage, length: float) -> Views:
        """Look at the scene from the path (`Path.views`)."""
        return stage.views(length * _ahead(1 - phase))


@dataclass(frozen=True, slots=True)
class DollyZoom:
    """Away from the subject while zooming in on it, or the other way round: it keeps its size.

    At the distance z from the subject the focal length is f z / z_0 (Hitchcock's Vertigo, 1958).

    Attributes:
        direction: `out`: the background comes closer behind the subject; `in`: it recedes.
    """

    direction: Literal["in", "out"] = "out"
    closed: ClassVar[bool] = False
    sized_by_scene: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.direction not in ("in", "out"):
            raise InputError(f"direction must be in or out, got {self.direction!r}")

    def views(self, phase: _Array, stage: Stage, length: float) -> Views:
        """Look at the scene from the path (`Path.views`)."""
        way = phase if self.direction == "in" else -phase
        return stage.views(length * _ahead(way), hold_size=True)


@dataclass(frozen=True, slots=True)
class Zoom:
    """The focal length only: the camera stays where it is, and nothing shifts against anything.

    Attributes:
        factor: Of the focal length at the end. Below 1 the film begins zoomed in by 1 / factor, and ends
            with the photo.
    """

    factor: float = 1.2
    closed: ClassVar[bool] = False
    sized_by_scene: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _in_range(self, "factor", 0.1, 10)

    def views(self, phase: _Array, stage: Stage, length: float) -> Views:
        """Look at the scene from the path (`Path.views`)."""
        power = phase if self.factor >= 1 else phase - 1
        return stage.views(np.zeros((len(phase), 3)), zoom=self.factor ** (length * power))


@dataclass(frozen=True, slots=True)
class Handheld:
    """Held in a hand that tries to be still: smooth noise that comes back to where it began.

    Attributes:
        seed: Of the noise.
        cycles: The fastest swing's number in the film; slower ones are larger, by one over their number.
    """

    seed: int = 0
    cycles: int = 4
    closed: ClassVar[bool] = True
    sized_by_scene: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _whole(self, "cycles")
        if not (isinstance(self.seed, int) and self.seed >= 0 and self.cycles > 0):
            raise InputError(
                f"seed must be a whole number from 0 on, and cycles from 1 on, got {self.seed!r} and "
                f"{self.cycles!r}"
            )

    def views(self, phase: _Array, stage: Stage, length: float) -> Views:
        """Look at the scene from the path (`Path.views`)."""
        noise = np.random.default_rng(self.seed)
        number = np.arange(1, self.cycles + 1)
        size = noise.normal(size=(3, 2, self.cycles)) / number * np.array([1, 0.7, 0.4])[:, None, None]

        def way(t: _Array) -> _Array:
            angle = 2 * np.pi * t[:, None] * number
            return np.asarray(np.sin(angle) @ size[:, 0].T + (np.cos(angle) - 1) @ size[:, 1].T)

        farthest = np.linalg.norm(way(np.arange(512) / 512), axis=1).max()
        return stage.views(length / farthest * way(phase))


def _flat(sideways: _Array) -> _Array:
    return np.concatenate([sideways, np.zeros((len(sideways), 1))], axis=1)


def _ahead(way: _Array) -> _Array:
    return np.stack([np.zeros_like(way), np.zeros_like(way), way], axis=1)


def _turned(x: _Array, y: _Array, deg: float) -> _Array:
    c, s = math.cos(math.radians(deg)), math.sin(math.radians(deg))
    return np.stack([c * x - s * y, s * x + c * y], axis=1)


def _finite(path: object, name: str) -> None:
    value = getattr(path, name)
    if not (isinstance(value, int | float) and math.isfinite(value)):
        raise InputError(f"{name} must be a finite number, got {value!r}")


def _in_range(path: object, name: str, least: float, most: float) -> None:
    value = getattr(path, name)
    if not (isinstance(value, int | float) and least <= value <= most):
        raise InputError(f"{name} must lie in {least:g}..{most:g}, got {value!r}")


def _whole(path: object, name: str) -> None:
    value = getattr(path, name)
    if not isinstance(value, int) or isinstance(value, bool) or value == 0:
        raise InputError(f"{name} must be a whole number other than 0, got {value!r}")
