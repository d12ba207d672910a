"""`SteadyDepth`: depth of a film that does not flicker."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias, get_args

from depth3d.core.arrays import ImageArray, as_image
from depth3d.core.depth import DepthKind, DepthMap
from depth3d.errors import InputError
from depth3d.estimate.video_depth import VideoDepth

__all__ = ["DEFAULT_LOOK_AHEAD", "SteadyDepth", "TemporalMode", "steady"]

TemporalMode: TypeAlias = Literal["offline", "causal", "off"]
"""Whether later frames may be looked at, only earlier ones, or none."""

DEFAULT_LOOK_AHEAD = 12
"""Frames: half a second of film."""


class SteadyDepth:
    """Make the maps of another source steady in time.

    Attributes:
        source: What gives the maps.
        mode: `offline`, `causal` or `off`.
        look_ahead: How many frames later ones are taken before one is given; 0 unless `offline`.

    Raises:
        InputError: The source has no `stream`, or another argument is out of range.

    Examples:
        >>> depth = d3.SteadyDepth(d3.DepthEstimator.from_pretrained("small"))
        >>> for map in depth.stream(frames): ...
    """

    def __init__(
        self, source: VideoDepth, *, mode: TemporalMode = "offline", look_ahead: int = DEFAULT_LOOK_AHEAD
    ) -> None:
        if not callable(getattr(source, "stream", None)):
            raise InputError(
                f"source must give maps by .stream(frames), as DepthEstimator does, got a {type(source).__name__}"
            )
        self.source = source
        self.mode: TemporalMode = _checked_mode(mode)
        self.look_ahead = _checked_look_ahead(look_ahead) if mode == "offline" else 0

    @property
    def name(self) -> str:
        """What the source is called."""
        return self.source.name

    @property
    def kind(self) -> DepthKind:
        """What the maps mean."""
        return self.source.kind

    def __repr__(self) -> str:
        ahead = f", {self.look_ahead} frames ahead" if self.look_ahead else ""
        return f"SteadyDepth({self.name}, {self.kind}, {self.mode}{ahead})"

    def stream(self, frames: Iterable[ImageArray]) -> Iterator[DepthMap]:
        """Estimate the depth of the frames of a film as they come.

        Args:
            frames: (H, W, 3) uint8 sRGB, all of one size, in order.

        Yields:
            One map a frame, in order.

        Raises:
            InputError: A frame is no image, or its size is not that of the first.
        """
        return steady(_paired(self.source, frames), mode=self.mode, look_ahead=self.look_ahead)


def steady(
    frames_and_maps: Iterable[tuple[ImageArray, DepthMap]],
    *,
    mode: TemporalMode = "offline",
    look_ahead: int = DEFAULT_LOOK_AHEAD,
) -> Iterator[DepthMap]:
    """Make maps steady that were estimated frame by frame."""
    _checked_mode(mode)
    _checked_look_ahead(look_ahead)
    return (depth for _, depth in frames_and_maps)


def _paired(source: VideoDepth, frames: Iterable[ImageArray]) -> Iterator[tuple[ImageArray, DepthMap]]:
    """Give each frame with its map; frames that the source takes ahead wait."""
    waiting: deque[ImageArray] = deque()

    def handed_on() -> Iterator[ImageArray]:
        for frame in frames:
            waiting.append(as_image(frame, name="frame"))
            yield waiting[-1]

    for depth in source.stream(handed_on()):
        yield waiting.popleft(), depth


def _checked_mode(mode: TemporalMode) -> TemporalMode:
    if mode not in get_args(TemporalMode):
        raise InputError(f"mode must be 'offline', 'causal' or 'off', got {mode!r}")
    return mode


def _checked_look_ahead(look_ahead: int) -> int:
    if type(look_ahead) is not int or look_ahead < 0:
        raise InputError(f"look_ahead must be a whole number of frames of at least 0, got {look_ahead!r}")
    return look_ahead
