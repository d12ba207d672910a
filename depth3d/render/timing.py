"""`Timing`: which part of its path a film has come to, frame by frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.errors import InputError
from depth3d.render.easing import check_easing, ease

__all__ = ["REPEATS", "Repeat", "Timing"]

Repeat: TypeAlias = Literal["loop", "ping-pong", "once"]
REPEATS: tuple[Repeat, ...] = ("loop", "ping-pong", "once")
"""`loop` goes round a closed path; `ping-pong` goes there and back; `once` ends at the path's end."""

_MOST_FRAMES = 100_000


@dataclass(frozen=True, slots=True)
class Timing:
    """How a film goes along its path.

    A film that is repeated without end has no seam: frame number `frames` would be frame 0 again, to the bit,
    and is not made. `once` shows both ends of the path.

    Attributes:
        frames: How many.
        repeat: One of `REPEATS`.
        easing: One of `EASINGS`; of `ping-pong`, for each of both ways.
        hold: 0..1, share of the film's time at rest: at the end of `once`, at both turns of `ping-pong`, at
            the start of `loop`.

    Raises:
        InputError: Something else.
    """

    frames: int
    repeat: Repeat = "loop"
    easing: str = "linear"
    hold: float = 0.0

    def __post_init__(self) -> None:
        whole = isinstance(self.frames, int | np.integer) and not isinstance(self.frames, bool)
        if not whole or not 1 <= self.frames <= _MOST_FRAMES:
            raise InputError(f"frames must be a whole number from 1 to {_MOST_FRAMES}, got {self.frames!r}")
        if self.repeat not in REPEATS:
            raise InputError(f"repeat must be one of {', '.join(REPEATS)}, got {self.repeat!r}")
        check_easing(self.easing)
        if not (math.isfinite(self.hold) and 0 <= self.hold < 1):
            raise InputError(f"hold must be a share of the film from 0 to below 1, got {self.hold!r}")

    def phases(self, frame: npt.ArrayLike | None = None) -> npt.NDArray[np.float64]:
        """Tell which part of the path each moment shows.

        Args:
            frame: (n,) moments in frames, between frames too; None is every frame. Before the first and
                after the last one a repeated film goes on, and another one rests.

        Returns:
            (n,) in 0..1; 1 is not reached by `loop`.
        """
        moment = np.arange(self.frames) if frame is None else np.asarray(frame)
        moment = moment.astype(np.float64)
        if self.repeat == "once":
            t = moment / max(self.frames - 1, 1)
            return ease(self.easing, t / (1 - self.hold))
        t = np.mod(moment, self.frames) / self.frames
        if self.repeat == "loop":
            moving = np.clip((t - self.hold) / (1 - self.hold), 0, 1)
            return np.mod(ease(self.easing, moving), 1.0)
        rest = self.hold / 2
        return ease(self.easing, np.where(t < 0.5, t, 1 - rest - t) / (0.5 - rest))
