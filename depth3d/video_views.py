"""Films seen from elsewhere: by two eyes, or by a camera that moves while they play."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from depth3d.core.arrays import FloatMap, ImageArray
from depth3d.core.camera import Camera
from depth3d.errors import InputError
from depth3d.render.film_plan import Border, FilmPlan, plan_film
from depth3d.render.focus import Focus, find_focus
from depth3d.render.followed_focus import FollowedFocus
from depth3d.render.framing import Framing
from depth3d.render.inverse_depth import FAR_UNITS, NEAR_UNITS, inverse_depth_of, span_of
from depth3d.render.layers import layers_of
from depth3d.render.parallax import timing_of
from depth3d.render.paths import Orbit, Path
from depth3d.render.stage import Stage
from depth3d.render.stereo_layouts import stereo_picture
from depth3d.render.stereo_rig import StereoRig, plan_rig
from depth3d.render.timing import Repeat, Timing
from depth3d.render.views import View, ViewRenderer
from depth3d.video_effects import FilmEffect, Job
from depth3d.video_moments import FilmFacts, Moment

__all__ = ["ParallaxFilm", "StereoFilm"]

_MARGIN_PX = 4
_MEDIANS = 2
_ROUND_S = 5.0
"""Of one round of a path that ends where it begins."""


@dataclass(frozen=True, slots=True, eq=False)
class StereoFilm(FilmEffect):
    """Both eyes' pictures of each frame, in one picture: as `stereo`, with eyes that do not wander.

    The distance of the eyes and the screen follow the film's range of depth, not the frame's. What the eyes
    see behind things is filled quickly and quietly (`depth3d.render.spread_colors`).

    Attributes:
        layout: As `stereo_picture` takes it, and so is `anaglyph`.
        anaglyph: See there.
        divergence_percent: As `stereo` takes it, and so are all others.
        baseline_mm: See there.
        convergence: See there.
        converge_at: (u, v) in pixels; followed calmly.
        convergence_m: See there.
        keep: The eye that gets the frame as it is.
        swap: Exchange the eyes.
        edges: See there.
        device: See there.
    """

    layout: str = "side-by-side"
    anaglyph: str = "dubois"
    divergence_percent: float | None = None
    baseline_mm: float | None = None
    convergence: float | None = None
    converge_at: tuple[float, float] | None = None
    convergence_m: float | None = None
    keep: Literal["left", "right"] | None = None
    swap: bool = False
    edges: Literal["snap", "keep"] = "snap"
    device: str = "auto"

    @property
    def name(self) -> str:
        """`stereo`."""
        return "stereo"

    def jobs(self, moments: Iterator[Moment], film: FilmFacts, facts: dict[str, Any]) -> Iterator[Job]:
        """Place the eyes, and plan a picture for each moment.

        Raises:
            InputError: Two ways to say one thing, or a number out of range.
            NeedsMetricError: Millimetres or metres for relative maps.
        """
        follower: FollowedFocus | None = None
        for moment in moments:
            rig = self._rig(moment)
            if self.converge_at is not None:
                follower = follower or FollowedFocus(is_metric=moment.depth.is_metric, point=self.converge_at)
                near = _coarse_inverse_depth(moment)
                screen = follower.follow(moment.image, near, moment.time_s, new_scene=moment.new_scene)
                rig = replace(rig, screen=max(screen.disparity, 0.0))
            facts.update(rig.facts)
            yield partial(self._picture, moment, rig)
            del moment

    def _rig(self, moment: Moment) -> StereoRig:
        names = ("divergence_percent", "baseline_mm", "convergence", "convergence_m")
        return plan_rig(
            np.array([_units_of(moment.span, is_metric=moment.depth.is_metric)], dtype=np.float32),
            moment.camera,
            is_metric=moment.depth.is_metric,
            **{name: getattr(self, name) for name in names},
        )

    def _picture(self, moment: Moment, rig: StereoRig) -> ImageArray:
        first = {None: -0.5, "left": 0.0, "right": -1.0}[self.keep]
        places = (first, first + 1)
        q = _calm_inverse_depth(moment, self.edges)
        own = replace(rig, span=span_of(q))
        reach, shift = own.reach_px(places)
        margin = min(math.ceil(shift) + 2, max(moment.depth.size_wh))
        renderer = _renderer(moment, q, rig.camera, reach, margin, (1.0, 0.0), self.device)
        left, right = (renderer.render(*rig.view(place)).image for place in places)
        if self.swap:
            left, right = right, left
        return stereo_picture(left, right, self.layout, anaglyph=self.anaglyph)


@dataclass(frozen=True, slots=True, eq=False)
class ParallaxFilm(FilmEffect):
    """A camera that moves through the film while it plays.

    Each scene is planned by its first frame: how far the camera may go, what of the picture is shown, and
    what stays still, whose depth is followed calmly. The camera's way goes on across cuts.

    Attributes:
        path: The camera's way.
        seconds: How long one way or round takes; None is 5 seconds for what is repeated, and the film's
            length for what is not, where it is known.
        repeat: As `parallax` takes it, and so is `easing`.
        easing: See there.
        pivot: (u, v) in pixels of the still point; None is the nearest large thing around the middle.
        amplitude: As `parallax` takes it, and so are all others.
        max_parallax_percent: See there.
        length: See there.
        border: See there.
        edges: See there.
        device: See there.
    """

    path: Path = field(default_factory=Orbit)
    seconds: float | None = None
    repeat: Repeat | None = None
    easing: str | None = None
    pivot: tuple[float, float] | None = None
    amplitude: float = 1.0
    max_parallax_percent: float = 2.5
    length: float | None = None
    border: Border = "crop"
    edges: Literal["snap", "keep"] = "snap"
    device: str = "auto"

    @property
    def name(self) -> str:
        """`parallax`."""
        return "parallax"

    def jobs(self, moments: Iterator[Moment], film: FilmFacts, facts: dict[str, Any]) -> Iterator[Job]:
        """Plan the camera's way, and a picture for each moment.

        Raises:
            InputError: A path that the film does not bear, or numbers out of range.
        """
        timing = self._timing(film)
        rate = timing.frames / (self._seconds(film) or _ROUND_S)
        plan: FilmPlan | None = None
        span, follower = (0.0, 0.0), None
        for moment in moments:
            near = _coarse_inverse_depth(moment)
            if plan is None or follower is None or moment.new_scene:
                plan = self._plan(moment, near, timing)
                span = span_of(near)
                point = plan.stage.point
                follower = FollowedFocus(is_metric=moment.depth.is_metric, point=point)
            still = follower.follow(moment.image, near, moment.time_s, new_scene=moment.new_scene)
            stage = replace(plan.stage, inverse_depth=max(still.disparity, 0.0))
            now = replace(plan, stage=stage)
            facts.update(largest_parallax_px=plan.jump_px * plan.scale[0], path=repr(self.path))
            yield partial(self._picture, moment, now, span, moment.time_s * rate)
            del moment

    def _seconds(self, film: FilmFacts) -> float | None:
        if self.seconds is not None:
            return self.seconds
        repeats = self.repeat not in (None, "once") or (self.repeat is None and self.path.closed)
        return _ROUND_S if repeats else film.seconds

    def _timing(self, film: FilmFacts) -> Timing:
        seconds = self._seconds(film)
        if seconds is None:
            raise InputError(
                "nobody knows how long this film will be; say how long the camera's way takes (seconds, "
                "--seconds)"
            )
        if not (math.isfinite(seconds) and seconds > 0):
            raise InputError(f"seconds must be positive, got {seconds!r}")
        frames = max(2, round(seconds * film.fps))
        return timing_of(self.path, frames, repeat=self.repeat, easing=self.easing)

    def _plan(self, moment: Moment, near: FloatMap, timing: Timing) -> FilmPlan:
        camera = replace(moment.camera, distortion=())
        still: Focus = find_focus(near, is_metric=moment.depth.is_metric, focus=self.pivot, name="pivot")
        point = still.point or (camera.width / 2, camera.height / 2)
        framing = Framing(camera.size_wh, camera.size_wh)
        return plan_film(
            near,
            Stage(camera, point, max(still.disparity, 0.0)),
            self.path,
            timing,
            framing,
            amplitude=self.amplitude,
            max_parallax_px=self.max_parallax_percent / 100 * max(camera.size_wh),
            length=self.length,
            border=self.border,
        )

    def _picture(self, moment: Moment, plan: FilmPlan, span: tuple[float, float], at: float) -> ImageArray:
        q = _calm_inverse_depth(moment, self.edges)
        far, near = span_of(q)
        # What comes nearer than anything in the scene's first frame moves more than was planned.
        reach = plan.reach_px * (near - far) / max(span[1] - span[0], 1e-9) + 1
        long_side = max(moment.depth.size_wh)
        margin = min(max(plan.margin_px, _MARGIN_PX), long_side)
        renderer = _renderer(
            moment, q, plan.stage.camera, min(reach, long_side), margin, plan.direction, self.device
        )
        views = plan.views([at])
        view: View = renderer.render(views.poses[0], views.camera(0, plan.framing.size_wh))
        return view.image


def _renderer(
    moment: Moment,
    q: FloatMap,
    camera: Camera,
    reach_px: float,
    margin_px: int,
    motion: tuple[float, float] | None,
    device: str,
) -> ViewRenderer:
    made = layers_of(
        moment.image,
        q,
        camera,
        is_metric=moment.depth.is_metric,
        reach_px=min(reach_px, max(moment.depth.size_wh)),
        margin_px=margin_px,
        motion=motion,
        quick=True,
    )
    return ViewRenderer(made, device=device)


def _calm_inverse_depth(moment: Moment, edges: Literal["snap", "keep"]) -> FloatMap:
    """Give each pixel an inverse depth in the film's units, with outlines that are smooth rather than exact.

    What is frayed in a photo boils in a film: specks of a thing stay behind, and others in the next frame. So
    each nearer surface takes the pixel beside its outline along, and medians over 5 x 5 pixels round it off.
    """
    import cv2

    q = inverse_depth_of(moment.scene, edges=edges, span=moment.span, quick=True)
    if edges == "keep":
        return q
    q = cv2.dilate(q, np.ones((3, 3), np.uint8))
    for _ in range(_MEDIANS):
        q = cv2.medianBlur(q, 5)
    return np.asarray(q, dtype=np.float32)


def _coarse_inverse_depth(moment: Moment) -> FloatMap:
    """Give each pixel an inverse depth in the film's units, without a look at edges: for plans, in order."""
    return inverse_depth_of(moment.scene, edges="keep", span=moment.span)


def _units_of(span: tuple[float, float], *, is_metric: bool) -> tuple[float, float]:
    """Tell what a film's range of disparity is in the unit that parallax counts in."""
    return span if is_metric else (1 / FAR_UNITS, 1 / NEAR_UNITS)
