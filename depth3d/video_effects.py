"""`FilmEffect`: what is made of each frame of a film; as pictures of its depth, or blurred as by a lens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import ImageArray
from depth3d.core.lens import ThinLens
from depth3d.errors import InputError
from depth3d.render.defocus import DEFAULT_STRENGTH_SHARE, Defocus, gain_of
from depth3d.render.disparity import whole_disparity
from depth3d.render.followed_focus import FollowedFocus
from depth3d.render.looks import Look
from depth3d.video_moments import FilmFacts, Moment

if TYPE_CHECKING:
    from depth3d.core.cloud import PointCloud
    from depth3d.render.focus import Focus

__all__ = ["BokehFilm", "DepthFilm", "FilmEffect", "Job", "Made"]

Made: TypeAlias = "ImageArray | npt.NDArray[np.uint16] | PointCloud | None"
"""A picture, (H, W) uint16 depth, a cloud, or None for a frame of which nothing is made."""

Job: TypeAlias = Callable[[], Made]
"""Makes what becomes of one frame; jobs may run in several threads at once."""


class FilmEffect(ABC):
    """What becomes of each frame of a film.

    `jobs` decides in order, so that it can remember (a focus that is pulled, a scale), and cheaply; the jobs
    that it gives do the work, in any thread.

    Attributes:
        is_light: Whether its jobs are so quick that the processors belong to the network.
    """

    is_light: ClassVar[bool] = False

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called, in one word."""

    @abstractmethod
    def jobs(self, moments: Iterator[Moment], film: FilmFacts, facts: dict[str, Any]) -> Iterator[Job]:
        """Plan the film.

        Args:
            moments: In order.
            film: The film that they are of.
            facts: Where to put, in JSON types, what people should know of what was made.

        Yields:
            One job a moment, in order.
        """


@dataclass(frozen=True, slots=True, eq=False)
class DepthFilm(FilmEffect):
    """Pictures of the depth: near is bright, or the upper end of a colour map.

    Brightness is linear in disparity (in 1/z of metric maps) within the film's range, which does not pump
    (`FilmRange`). For numbers use `Depth16Film`.

    Attributes:
        colormap: One of `depth3d.io.previews.COLORMAPS`, or `gray`.
    """

    is_light: ClassVar[bool] = True
    colormap: str = "Spectral_r"

    @property
    def name(self) -> str:
        """`depth`."""
        return "depth"

    def jobs(self, moments: Iterator[Moment], film: FilmFacts, facts: dict[str, Any]) -> Iterator[Job]:
        """Plan a picture for each moment."""
        from depth3d.io.previews import depth_picture

        for moment in moments:
            yield lambda m=moment: depth_picture(m.depth, self.colormap, span=m.span)  # type: ignore[misc]
            del moment


@dataclass(frozen=True, slots=True, eq=False)
class BokehFilm(FilmEffect):
    """Blur by depth, as a lens with a wide opening would, with the focus pulled calmly (`FollowedFocus`).

    Attributes:
        focus: (u, v) in pixels of what is sharp; None is the nearest large thing around the middle.
        focus_m: Or its distance z, of metric maps.
        focus_disparity: Or its disparity in the map's unit.
        track: Let the point follow the thing that is there in the first frame of each scene.
        lens: Of metric maps; a `ThinLens`, or None for f/1.8 on full frame.
        strength_px: Instead, the diameter of blur of the film's nearest thing with the farthest in focus;
            3 % of the longer side where there are no metres.
        sharp_range: As `Refocus.defocus` takes it, and so is `sharp_px`.
        sharp_px: See there.
        look: Shape of the opening, highlights, grain.
        edges: `snap` moves soft edges of the depth to the picture's, `keep` believes the map.
        device: Where light is spread.
    """

    focus: tuple[float, float] | None = None
    focus_m: float | None = None
    focus_disparity: float | None = None
    track: bool = False
    lens: ThinLens | None = None
    strength_px: float | None = None
    sharp_range: float = 0.0
    sharp_px: float = 0.0
    look: Look | None = None
    edges: Literal["snap", "keep"] = "snap"
    device: str = "auto"

    @property
    def name(self) -> str:
        """`bokeh`."""
        return "bokeh"

    def jobs(self, moments: Iterator[Moment], film: FilmFacts, facts: dict[str, Any]) -> Iterator[Job]:
        """Pull the focus, and plan a picture for each moment.

        Raises:
            InputError: Lens and strength, two ways to focus, or a tracked focus without a point.
            NeedsMetricError: A lens or a distance for a relative map.
        """
        if self.track and self.focus is None:
            raise InputError("a tracked focus needs the point where it starts: focus=(u, v), --focus X,Y")
        follower: FollowedFocus | None = None
        for moment in moments:
            is_metric = moment.depth.is_metric
            follower = follower or FollowedFocus(
                is_metric=is_metric,
                point=self.focus,
                focus_m=self.focus_m,
                focus_disparity=self.focus_disparity,
                track=self.track,
            )
            gain = self._gain(moment)
            focus = follower.follow(
                moment.image, whole_disparity(moment.depth), moment.time_s, new_scene=moment.new_scene
            )
            facts["focus"] = focus.why
            yield lambda m=moment, g=gain, f=focus: self._picture(m, g, f)  # type: ignore[misc]
            del moment

    def _gain(self, moment: Moment) -> float:
        """Compute the radius of blur by disparity; without a lens by the film's range, not by the frame's."""
        of_film = np.array([moment.span], dtype=np.float32)
        strength, is_metric = self.strength_px, moment.depth.is_metric
        if strength is None and self.lens is None and not is_metric:
            strength = DEFAULT_STRENGTH_SHARE * max(moment.depth.size_wh)
        return gain_of(of_film, moment.camera, is_metric=is_metric, lens=self.lens, strength_px=strength)

    def _picture(self, moment: Moment, gain: float, focus: Focus) -> ImageArray:
        from depth3d.render.refocus import Refocus

        taken = Refocus(moment.scene, edges=self.edges, device=self.device, quick=True)
        sharp = max(gain * self.sharp_range, self.sharp_px) / 2
        look = self.look
        if look is not None and look.grain:  # that stands still looks like dirt on the lens
            look = replace(look, seed=look.seed + moment.frame.number)
        return taken.image(Defocus(gain, focus.disparity, sharp_px=sharp), look)
