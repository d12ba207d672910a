"""`Shot`: what is known of the frames since the last cut, and how a new frame joins them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from depth3d.core.arrays import FloatMap
from depth3d.core.depth import DepthMap
from depth3d.estimate.camera_motion import camera_motion
from depth3d.estimate.frame_alignment import Gauge, fit_gauge
from depth3d.estimate.motion import Motion, Sketch, averaged, steadied
from depth3d.estimate.scene_cuts import MOST_FLASH_FRAMES, is_blank, is_dazzled, motions_within_shot
from depth3d.estimate.temporal_filter import MOST_FRAMES, Belief, blended, carried

__all__ = ["Shot", "ShotFrame", "Shots"]

_LEAST_OVERLAP = 0.02
"""Share of a frame that must be found again before its gauge is measured on it."""

_MOST_SAMPLES = 10_000
"""Of two maps, to fit a gauge to; with more, BLAS starts threads, which spin, waiting for the next product,
in the way of the network."""

_LARGEST_NOISE = 0.05
"""Of the spread: differences beyond are never taken for noise."""

_JITTER = 0.05
_JITTER_FRAMES = 5.0
_LEAST_JITTER = 0.005
"""How much a network's own gauge jumps about, before it is seen: a guess, worth so many frames."""

_MISTAKEN = 1.0
"""Error of the change that the flow tells, as a share of it."""

_VAGUE = 0.05
"""Error of a gauge as a share of the frame's noise: noise is smooth, so a frame holds few samples of it."""


@dataclass(slots=True, eq=False)
class ShotFrame:
    """A frame of a shot.

    Attributes:
        depth: Its map as the source gave it.
        values: (h, w) of it at the size of the sketch: disparity, or -log z of a metric map.
        gauge: Brings `values` to the gauge of the shot.
        past: What the frames before it say, in the gauge of the shot; None of the first.
        change: (h, w) how much was added to bring `past` here, where the motion is known.
        usual: The usual difference between what two frames say, in the gauge of the shot.
        freedom: For `next_gauge`.
        onward: The motion to the next frame of the shot that shows anything.
        is_blank: Whether it shows nothing.
    """

    depth: DepthMap
    values: FloatMap
    shot: Shot
    gauge: Gauge = field(default_factory=Gauge)
    past: Belief | None = None
    change: FloatMap | None = None
    usual: float = 0.0
    freedom: float = 0.0
    onward: Motion | None = None
    is_blank: bool = False

    @property
    def aligned(self) -> FloatMap:
        """(h, w) `values` in the gauge of the shot."""
        return np.asarray(self.gauge(self.values))

    @property
    def own(self) -> Gauge:
        """The gauge that the frame has by itself, as what brings the shot's to it."""
        return self.gauge.inverse


class Shot:
    """The frames since a cut.

    The gauge of a shot is that of its first frame: every frame is aligned to what is believed of it, along
    the motion, so that steps don't add up as they would from frame to frame.

    Attributes:
        picture: The last frame that shows anything.
        last: What is known of that frame.
        given: The gauge of the last map that was given, on top of the shot's; None before the first.
        count: How many frames it has.
        dazzled: How many of the last ones a flash hid.
    """

    def __init__(self, picture: Sketch, depth: DepthMap) -> None:
        self.picture = picture
        self.given: Gauge | None = None
        self.count, self.dazzled = 1, 0
        self._jumps = _JITTER_FRAMES * _JITTER**2
        self._jump_frames = _JITTER_FRAMES
        self._owns: list[Gauge] = []
        self.last = ShotFrame(depth, _working_values(depth, picture), self)
        self.last.is_blank = is_blank(picture)
        self._belief = blended(self.last.values, [], 0.0)
        self._note(self.last)

    def joined(self, picture: Sketch, depth: DepthMap, back: Motion, onward: Motion) -> ShotFrame:
        """Take the next frame, which shows something.

        Args:
            picture: The frame.
            depth: Its map.
            back: The motion to `last`.
            onward: The motion from `last`.
        """
        frame = ShotFrame(depth, _working_values(depth, picture), self)
        near, near_before = (_nearness(f) for f in (frame, self.last))
        camera = camera_motion(back.flow, near, back.trust * picture.texture)
        camera_back = camera_motion(onward.flow, near_before, onward.trust * self.picture.texture)
        guesses = camera.flow(near), camera_back.flow(near_before)
        back, onward = steadied(back, onward, picture, self.picture, guesses)
        growth = camera.growth(near)
        arrived = carried(self._belief, back)
        if depth.is_metric:
            frame.change = np.asarray(np.log1p(growth))
        else:
            frame.change = np.nan_to_num(growth * (arrived.values - _far(arrived.values)))
        frame.past = Belief(arrived.values + frame.change, arrived.count)
        noise = self._align(frame)
        self._belief = blended(frame.aligned, [frame.past], frame.usual)
        self.last.onward, self.last, self.picture = onward, frame, picture
        if noise is not None:
            self._note(frame)
        self.count += 1
        self.dazzled = 0
        return frame

    def joined_blank(self, picture: Sketch, depth: DepthMap) -> ShotFrame:
        """Take a frame that shows nothing: its map is aligned as if nothing had moved."""
        frame = ShotFrame(depth, _working_values(depth, picture), self, is_blank=True)
        frame.past = self._belief
        self._align(frame)
        self.count += 1
        return frame

    def _align(self, frame: ShotFrame) -> float | None:
        """Find a frame's gauge; give its noise as a share of the spread, or None where nothing tells it."""
        past = frame.past
        assert past is not None
        step = max(2, math.ceil(math.sqrt(past.values.size / _MOST_SAMPLES)))
        thin = (slice(None, None, step), slice(None, None, step))
        weights = np.where(np.isfinite(frame.values), past.count, 0)[thin].ravel() / MOST_FRAMES
        found = None
        if float((weights > 0.5 / MOST_FRAMES).mean()) >= _LEAST_OVERLAP:
            found = fit_gauge(
                frame.values[thin].ravel(),
                past.values[thin].ravel(),
                weights,
                shift_only=frame.depth.is_metric,
                noise_ratio=1 / MOST_FRAMES,
            )
        if found is None:
            # The network's own gauge is all there is; the film's is its average.
            frame.gauge = self.last.gauge if self.given is None else self.given.inverse
            frame.usual, frame.freedom = self.last.usual, 1.0
            return None
        frame.gauge, noise = found
        metric = frame.depth.is_metric
        compared = (past.count > 0.5) & np.isfinite(frame.values)
        thinly = np.flatnonzero(compared)[:: step**2]
        before = past.values.ravel()[thinly]
        apart = np.abs(frame.gauge(frame.values.ravel()[thinly]) - before)
        spread = 1.0 if metric else max(float(before.std()), 1e-30)
        usual = 1.4826 * float(np.median(apart))
        frame.usual = min(usual, _LARGEST_NOISE * spread)
        moved = 0.0 if frame.change is None else float(np.square(frame.change[compared]).mean())
        error = _MISTAKEN**2 * moved / spread**2 + (_VAGUE * (usual if metric else noise)) ** 2
        frame.freedom = error / max(self._jumps / self._jump_frames, _LEAST_JITTER**2)
        return noise

    def _note(self, frame: ShotFrame) -> None:
        """Learn from three frames how much the network's own gauge jumps about: second differences."""
        own = frame.own
        self._owns = [*self._owns[-2:], own]
        if len(self._owns) < 3:
            return
        first, second, third = self._owns
        level = self._belief.values[self._belief.count > 0.5]
        step = max(1, level.size // 500)
        level = level[::step]
        if level.size == 0:
            return
        bend = [g.scale * level + g.shift for g in (first, second, third)]
        jump = np.square(bend[0] - 2 * bend[1] + bend[2]) / 6
        spread = 1.0 if frame.depth.is_metric else max(float(np.var(bend[1])), 1e-30)
        self._jumps += min(float(jump.mean()) / spread, 1.0)
        self._jump_frames += 1


class Shots:
    """Splits a film into shots as it comes."""

    def __init__(self) -> None:
        self._shot: Shot | None = None
        self._interrupted: Shot | None = None

    def add(self, picture: Sketch, depth: DepthMap) -> ShotFrame:
        """Take the next frame of the film."""
        shot = self._shot
        if shot is None:
            return self._begin(picture, depth)
        if is_blank(picture):
            return shot.joined_blank(picture, depth)
        if shot.dazzled < MOST_FLASH_FRAMES and is_dazzled(picture, shot.picture):
            shot.dazzled += 1
            return shot.joined_blank(picture, depth)
        if not shot.last.is_blank:
            found = motions_within_shot(picture, shot.picture)
            if found is not None:
                return shot.joined(picture, depth, *found)
        resumed = self._resumed(picture, depth, shot)
        if resumed is not None:
            return resumed
        self._interrupted = shot
        return self._begin(picture, depth)

    def _begin(self, picture: Sketch, depth: DepthMap) -> ShotFrame:
        self._shot = Shot(picture, depth)
        return self._shot.last

    def _resumed(self, picture: Sketch, depth: DepthMap, flash: Shot) -> ShotFrame | None:
        """Take up the shot before, if what looked like a cut was a flash."""
        before = self._interrupted
        if before is None or flash.count > MOST_FLASH_FRAMES or before.last.is_blank:
            return None
        found = motions_within_shot(picture, before.picture)
        if found is None:
            return None
        self._shot, self._interrupted = before, None
        return before.joined(picture, depth, *found)


def _working_values(depth: DepthMap, picture: Sketch) -> FloatMap:
    """Average a map over the pixels of the sketch: disparity, or the log of the mean 1/z."""
    height, width = picture.gray.shape
    values: FloatMap = depth.values
    if depth.is_metric:
        values = np.float32(1) / values
    if values.shape != (height, width):
        unknown = np.isnan(values)
        if unknown.any():
            share = averaged(1 - unknown.astype(np.float32), (width, height))
            mean = averaged(np.where(unknown, np.float32(0), values), (width, height))
            values = np.where(share > 0, mean / np.maximum(share, np.float32(1e-6)), np.float32(np.nan))
        else:
            values = averaged(values, (width, height))
    return np.asarray(np.log(values) if depth.is_metric else values, dtype=np.float32)


def _nearness(frame: ShotFrame) -> FloatMap:
    """Give inverse depth up to scale; the farthest of a relative map counts as infinitely far."""
    if frame.depth.is_metric:
        return np.asarray(np.exp(frame.values))
    return np.asarray(frame.values - _far(frame.values))


def _far(values: FloatMap) -> np.float32:
    known = values[np.isfinite(values)]
    return np.float32(np.percentile(known[::7], 2)) if known.size else np.float32(0)
