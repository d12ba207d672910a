"""`Webcam`: a camera that is attached, as a film without end."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import numpy as np

from depth3d.core.arrays import ImageArray
from depth3d.errors import UnreadableFileError
from depth3d.io.video_formats import exact_rate
from depth3d.io.video_resize import resized
from depth3d.io.video_source import Pictures, VideoFacts

__all__ = ["Webcam", "webcam_index"]

_DEVICE = re.compile(r"/dev/video(\d+)")


def webcam_index(source: object) -> int | None:
    """Tell which webcam a source means: 0, `0` and `/dev/video0` all mean the first one."""
    if isinstance(source, int | np.integer) and not isinstance(source, bool):
        return int(source)
    name = str(source)
    if name.isascii() and name.isdecimal():
        return int(name)
    device = _DEVICE.fullmatch(name)
    return int(device[1]) if device else None


class Webcam:
    """A webcam, read by OpenCV. Times are those at which the pictures arrive.

    Attributes:
        facts: Size and rate, as the driver tells them.
        notes: What the user should know.
        is_live: True.
    """

    is_live = True

    def __init__(self, index: int, fps: float | None = None) -> None:
        """Take one picture, to see that the camera is there, and let it go again.

        Args:
            index: 0 is the first one.
            fps: Frames a second to ask the driver for.

        Raises:
            UnreadableFileError: There is no such camera, or it gives no picture.
            InputError: An impossible rate.
        """
        self._index = index
        self._fps = None if fps is None else exact_rate(fps)
        self.notes: list[str] = []
        with self._capturing() as camera:
            height, width = self._taken(camera).shape[:2]
            rate = float(camera.get(_fps_property()))
        self.facts = VideoFacts(
            container="webcam",
            codec="raw",
            size_wh=(width, height),
            fps=exact_rate(rate) if 1 <= rate <= 1000 else self._fps or Fraction(30),
            is_variable=True,
        )

    def pictures(self, start_s: Fraction, size_wh: tuple[int, int]) -> Pictures:
        """Take pictures until nobody wants more; see `VideoSource`."""
        with self._capturing() as camera:
            began_us: int | None = None
            last_us = -1
            while True:
                image = self._taken(camera)
                now_us = time.perf_counter_ns() // 1000
                began_us = now_us if began_us is None else began_us
                last_us = max(now_us - began_us, last_us + 1)
                time_s = Fraction(last_us, 1_000_000)
                if time_s >= start_s:
                    yield time_s, resized(image, size_wh)

    @contextmanager
    def _capturing(self) -> Iterator[Any]:
        import cv2

        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # it writes to stderr by itself
        try:
            camera = cv2.VideoCapture(self._index)
        finally:
            cv2.utils.logging.setLogLevel(level)
        try:
            if not camera.isOpened():
                raise UnreadableFileError(
                    f"there is no webcam {self._index} here, or another program uses it; plug it in, try "
                    "another index, or give a film"
                )
            if self._fps is not None:
                camera.set(_fps_property(), float(self._fps))
            yield camera
        finally:
            camera.release()

    def _taken(self, camera: Any) -> ImageArray:
        is_there, bgr = camera.read()
        if not is_there or bgr is None:
            raise UnreadableFileError(f"webcam {self._index} gives no picture; plug it in again")
        image = np.ascontiguousarray(bgr[..., ::-1])
        image.flags.writeable = False
        return image


def _fps_property() -> int:
    import cv2

    return int(cv2.CAP_PROP_FPS)
