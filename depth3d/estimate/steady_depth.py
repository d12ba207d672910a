"""`SteadyDepth`: depth of a film that does not flicker."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Literal, TypeAlias, get_args

from depth3d.accel.ahead import ahead
from depth3d.core.arrays import ImageArray, as_image
from depth3d.core.depth import DepthKind, DepthMap
from depth3d.core.stages import stage
from depth3d.errors import InputError
from depth3d.estimate.motion import WORKING_SIDE_PX, sketch
from depth3d.estimate.shots import ShotFrame, Shots
from depth3d.estimate.steadied_frame import given
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
                "source must give maps by .stream(frames), as DepthEstimator does, "
                f"got a {type(source).__name__}"
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

        The source works in a thread of its own, up to two maps ahead of what they are made steady.

        Args:
            frames: (H, W, 3) uint8 sRGB, all of one size, in order; they are taken in that thread.

        Yields:
            One map a frame, in order.

        Raises:
            InputError: A frame is no image, or its size is not that of the first.
        """
        with closing(ahead(_paired(self.source, frames))) as pairs:  # type: ignore[type-var]
            yield from steady(pairs, mode=self.mode, look_ahead=self.look_ahead)


def steady(
    frames_and_maps: Iterable[tuple[ImageArray, DepthMap]],
    *,
    mode: TemporalMode = "offline",
    look_ahead: int = DEFAULT_LOOK_AHEAD,
) -> Iterator[DepthMap]:
    """Make maps steady that were estimated frame by frame.

    The film is split where the picture says that a new shot begins; nothing crosses a cut. Within a shot

    1. each map is brought to the gauge of what is known of the shot (scale and shift of disparity, or the
       scale alone of metres), by a robust fit along the optical flow that allows for how much nearer things
       come as the camera moves;
    2. the film is given a gauge that moves no faster than the camera explains, and is drawn towards the
       network's own, so that a long film does not drift;
    3. pixels are averaged along the flow, over about eight frames before and, with look-ahead, some after,
       where flow, colour and depth agree. What comes into sight takes its fresh value.

    Motion is found, and averages are made, with the longer side at most 512 pixels; what they change is
    brought to the full map, whose edges stay its own. No more than `look_ahead + 1` maps are held.

    Args:
        frames_and_maps: (H, W, 3) uint8 sRGB and the map of it, of one size and kind, in order.
        mode: `offline` looks ahead, `causal` only back, `off` gives the maps as they are.
        look_ahead: How many frames later ones are taken before one is given, in `offline`.

    Returns:
        One map a frame, in order, of the same kind and size. What is unknown stays unknown.

    Raises:
        InputError: An argument is out of range; or, when it comes, a frame or a map of another size or kind
            than the first.
    """
    _checked_mode(mode)
    _checked_look_ahead(look_ahead)
    if mode == "off":
        return (depth for _, depth in frames_and_maps)
    return _steadied(frames_and_maps, look_ahead if mode == "offline" else 0)


def _steadied(pairs: Iterable[tuple[ImageArray, DepthMap]], look_ahead: int) -> Iterator[DepthMap]:
    shots = Shots()
    held: deque[ShotFrame] = deque()
    first: DepthMap | None = None
    for number, (image, depth) in enumerate(pairs):
        with stage("steadying"):
            image = as_image(image, name=f"frame {number}")
            first = first or depth
            _check_alike(number, image, depth, first)
            held.append(shots.add(sketch(image, WORKING_SIDE_PX), depth))
        if len(held) > look_ahead:
            yield _next_of(held)
    while held:
        yield _next_of(held)


@stage("steadying")
def _next_of(held: deque[ShotFrame]) -> DepthMap:
    return given(held.popleft(), held)


def _check_alike(number: int, image: ImageArray, depth: DepthMap, first: DepthMap) -> None:
    height, width = image.shape[:2]
    if depth.size_wh != (width, height):
        raise InputError(
            f"frame {number} is {width}x{height} and its map {depth.width}x{depth.height}; "
            "resize the map with depth3d.resize_depth()"
        )
    if depth.size_wh != first.size_wh:
        raise InputError(
            f"frame {number} is {width}x{height}, the first one is {first.width}x{first.height}; "
            "give frames of one size, or each size as a film of its own"
        )
    if depth.kind is not first.kind:
        raise InputError(
            f"the map of frame {number} is {depth.kind}, the first one {first.kind}; mix no networks"
        )


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
