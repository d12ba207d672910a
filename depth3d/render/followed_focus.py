"""`FollowedFocus`: what a film is focused on, frame by frame, as calmly as a focus puller's hand."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap, ImageArray
from depth3d.render.focus import Focus, checked_point, find_focus

__all__ = ["FollowedFocus", "PointTracker"]

_MEDIAN_S = 0.5
"""What passes in front of the point for less than half of this time does not count."""
_PULL_S = 0.25
"""Time constant with which focus follows."""

_WINDOW_SHARE = 0.04
"""Half a side of the window whose details are tracked, as a share of the longer side."""
_TRACK_PX = 640
"""Longer side at which details are tracked."""
_MOST_DETAILS, _LEAST_DETAILS = 60, 4
_MOST_ERROR_PX = 1.0
"""How far from its start a detail may end if it is tracked to the next frame and back."""


class FollowedFocus:
    """Finds the plane of focus of each frame, and moves it without jumps.

    The disparity at the point, or of the nearest large thing around the middle, is taken of each frame; the
    median of the last half second tells what is there, and focus follows it with a time constant of a quarter
    of a second. A new scene starts anew.

    Args:
        is_metric: Whether disparity is 1/m.
        point: (u, v) in pixels; None looks for the nearest large thing around the middle.
        focus_m: Or a fixed distance z.
        focus_disparity: Or a fixed disparity.
        track: Let the point follow the thing that is there in a scene's first frame.

    Raises:
        InputError: As `find_focus`, at the first frame.
        NeedsMetricError: As `find_focus`, at the first frame.
    """

    def __init__(
        self,
        *,
        is_metric: bool,
        point: tuple[float, float] | None = None,
        focus_m: float | None = None,
        focus_disparity: float | None = None,
        track: bool = False,
    ) -> None:
        self._is_metric, self._focus_m, self._focus_disparity = is_metric, focus_m, focus_disparity
        self._point, self._track = point, track
        self._tracker: PointTracker | None = None
        self._seen: deque[tuple[float, float]] = deque()
        self._at: float | None = None
        self._time_s = 0.0

    def follow(
        self, image: ImageArray, disparity: FloatMap, time_s: float, *, new_scene: bool = False
    ) -> Focus:
        """Go on to the next frame.

        Args:
            image: (H, W, 3) uint8 sRGB.
            disparity: (H, W) float32, every pixel known.
            time_s: When it is shown; later than the frame before.
            new_scene: Whether it begins a scene.

        Returns:
            What it is focused on; `point` is where it was looked for.
        """
        if new_scene or self._at is None:
            self._tracker, self._at = None, None
            self._seen.clear()
        found = find_focus(
            disparity,
            is_metric=self._is_metric,
            focus=self._followed_point(image),
            focus_m=self._focus_m,
            focus_disparity=self._focus_disparity,
        )
        self._seen.append((time_s, found.disparity))
        while self._seen[0][0] < time_s - _MEDIAN_S:
            self._seen.popleft()
        target = float(np.median([value for _, value in self._seen]))
        if self._at is None:
            self._at = target
        else:
            self._at += (target - self._at) * -math.expm1(-max(time_s - self._time_s, 0.0) / _PULL_S)
        self._time_s = time_s
        return Focus(self._at, found.point, found.why)

    def _followed_point(self, image: ImageArray) -> tuple[float, float] | None:
        if self._point is None or not self._track:
            return self._point
        if self._tracker is None:
            self._tracker = PointTracker(image, self._point)
            return self._point
        return self._tracker.follow(image)


class PointTracker:
    """Follows the thing at a point from frame to frame, by the details around it.

    Details in a window are tracked by pyramidal Lucas-Kanade flow (Bouguet, "Pyramidal implementation of the
    affine Lucas Kanade feature tracker", 2001) and back again; the point moves by the median of those that
    come back to where they started. Where fewer than four do, it stays.

    Args:
        image: (H, W, 3) uint8 sRGB, the first frame.
        point: (u, v) in pixels.

    Raises:
        InputError: The point lies outside the picture.
    """

    def __init__(self, image: ImageArray, point: tuple[float, float]) -> None:
        height, width = image.shape[:2]
        self.point = checked_point(point, (width, height))
        self._share = min(1.0, _TRACK_PX / max(width, height))
        self._last = self._reduced(image)

    def follow(self, image: ImageArray) -> tuple[float, float]:
        """Find the point in the next frame; it stays within the picture."""
        import cv2

        now = self._reduced(image)
        before, self._last = self._last, now
        details = self._details(before)
        if details is not None:
            there, found, _ = cv2.calcOpticalFlowPyrLK(before, now, details, np.empty_like(details))
            back, found_back, _ = cv2.calcOpticalFlowPyrLK(now, before, there, np.empty_like(there))
            error = np.linalg.norm((back - details)[:, 0], axis=1)
            good = (found[:, 0] > 0) & (found_back[:, 0] > 0) & (error < _MOST_ERROR_PX)
            if np.count_nonzero(good) >= _LEAST_DETAILS:
                right, down = np.median((there - details)[good, 0], axis=0) / self._share
                height, width = image.shape[:2]
                u, v = self.point
                self.point = (
                    float(np.clip(u + right, 0, width)),
                    float(np.clip(v + down, 0, height)),
                )
        return self.point

    def _reduced(self, image: ImageArray) -> npt.NDArray[np.uint8]:
        import cv2

        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        size = tuple(max(1, round(side * self._share)) for side in gray.shape[::-1])
        return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)

    def _details(self, gray: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32] | None:
        import cv2

        radius = max(4, round(_WINDOW_SHARE * max(gray.shape)))
        col, row = (int(coordinate * self._share) for coordinate in self.point)
        mask = np.zeros_like(gray)
        mask[max(0, row - radius) : row + radius + 1, max(0, col - radius) : col + radius + 1] = 1
        found = cv2.goodFeaturesToTrack(gray, _MOST_DETAILS, 0.01, 3, mask=mask)
        return None if found is None else np.asarray(found, dtype=np.float32)
