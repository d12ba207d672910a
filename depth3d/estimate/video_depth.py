"""`VideoDepth`: what gives one depth map for each frame of a film."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from depth3d.core.arrays import ImageArray
from depth3d.core.depth import DepthKind, DepthMap
from depth3d.errors import UnknownModelError

__all__ = ["VideoDepth", "refuse_video_network"]

_VIDEO_NETWORKS = re.compile(
    r"(video[-_]?depth[-_]?anything|depth[-_]?crafter|flash[-_]?depth)", re.IGNORECASE
)


@runtime_checkable
class VideoDepth(Protocol):
    """Anything that turns the frames of a film into depth maps.

    `DepthEstimator` is one, which looks at each frame alone; `SteadyDepth` is one, which makes another
    steady in time; a network for films (Video Depth Anything, DepthCrafter, FlashDepth ...) becomes one
    with a class of your own of these three members.

    Attributes:
        name: For people and for files.
        kind: What its maps mean; the same for all.

    Examples:
        >>> class MyVideoNetwork:
        ...     name, kind = "mine", d3.DepthKind.RELATIVE
        ...     def stream(self, frames):
        ...         for window in windows_of(frames):
        ...             yield from (d3.DepthMap(values, self.kind) for values in network(window))
    """

    @property
    def name(self) -> str:
        """What to call it."""

    @property
    def kind(self) -> DepthKind:
        """What its maps mean."""

    def stream(self, frames: Iterable[ImageArray]) -> Iterator[DepthMap]:
        """Estimate the depth of frames as they come.

        Args:
            frames: (H, W, 3) uint8 sRGB images of one size, in the order of the film. They may be without
                end: no more may be taken ahead of what is given than a bounded number.

        Yields:
            One map a frame, in order, of the frame's own size.
        """


def refuse_video_network(name_or_path: str | Path) -> None:
    """Say what to do with a network for films, none of which `transformers` can run.

    Args:
        name_or_path: A hub id, a directory or a file.

    Raises:
        UnknownModelError: It is named like one.
    """
    name = Path(name_or_path).name
    if _VIDEO_NETWORKS.search(name):
        raise UnknownModelError(
            f"{name} is a network for films, which transformers does not run; in Python give SteadyDepth an "
            "object with .name, .kind and .stream(frames) that does (see depth3d.VideoDepth), or use 'small'"
        )
