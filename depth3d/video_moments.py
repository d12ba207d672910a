"""`Moment`: a frame of a film with its depth, its range and its camera, as effects take them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from depth3d.core.arrays import ImageArray
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.core.scene import RGBD
from depth3d.core.stages import stage
from depth3d.errors import InputError
from depth3d.estimate.video_depth import VideoDepth
from depth3d.io.video_frame import VideoFrame
from depth3d.render.film_range import FilmRange

__all__ = ["FilmFacts", "Moment", "moments"]


@dataclass(frozen=True, slots=True, eq=False)
class FilmFacts:
    """What is known of a film before its frames are.

    Attributes:
        size_wh: (width, height) in pixels.
        fps: Frames a second, the mean where they vary.
        camera: Of every frame.
        seconds: What is read of it, about; None where nobody knows.
    """

    size_wh: tuple[int, int]
    fps: Fraction
    camera: Camera
    seconds: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """A frame of a film, and what is known of it.

    Attributes:
        frame: The picture, its time and its number.
        depth: Of the picture's size.
        camera: Of the picture.
        span: (farthest, nearest) disparity of the film around it, in the map's unit, or in 1/m
            (`FilmRange`).
        new_scene: Whether it is the first one after a cut, or of the film.
    """

    frame: VideoFrame
    depth: DepthMap
    camera: Camera
    span: tuple[float, float]
    new_scene: bool

    @property
    def image(self) -> ImageArray:
        """(H, W, 3) uint8 sRGB."""
        return self.frame.image

    @property
    def time_s(self) -> float:
        """Seconds since the first frame."""
        return float(self.frame.time_s)

    @property
    def scene(self) -> RGBD:
        """The frame as a photo with depth."""
        return RGBD(self.image, self.depth, self.camera)


def moments(
    frames: Iterable[VideoFrame],
    depth: VideoDepth,
    film: FilmFacts,
    *,
    span: tuple[float, float] | None = None,
    is_cut: Callable[[ImageArray], bool] | None = None,
) -> Iterator[Moment]:
    """Bring frames and their maps together, in order; what the source of depth takes ahead waits.

    Args:
        frames: The film.
        depth: Gives a map for each.
        film: Of this film.
        span: (farthest, nearest) disparity, if it is given.
        is_cut: Tells of each frame, in order, whether a scene begins there; None knows of no cuts.

    Yields:
        One moment a frame.

    Raises:
        InputError: The source of depth gives more or fewer maps than there are frames, or of another size.
    """
    waiting: deque[VideoFrame] = deque()

    def images() -> Iterator[ImageArray]:
        for frame in frames:
            waiting.append(frame)
            yield frame.image
            del frame

    follower = FilmRange(span)
    for found in depth.stream(images()):
        if not waiting:
            raise InputError(
                f"{depth.name} gave more depth maps than the film has frames; correct its stream()"
            )
        frame = waiting.popleft()
        size_wh = frame.image.shape[1], frame.image.shape[0]
        if found.size_wh != size_wh:
            raise InputError(
                f"{depth.name} gave depth of {found.width}x{found.height} for a frame of "
                f"{size_wh[0]}x{size_wh[1]}; it must have the frame's size"
            )
        with stage("range and cuts"):
            new_scene = (is_cut is not None and is_cut(frame.image)) or frame.number == 0
            around = follower.follow(found, float(frame.time_s), new_scene=new_scene)
        yield Moment(frame, found, film.camera, around, new_scene)
        del frame, found  # else they would be held while the next ones are made
    if waiting:
        raise InputError(
            f"{depth.name} gave no depth for the last {len(waiting)} frames; correct its stream()"
        )
