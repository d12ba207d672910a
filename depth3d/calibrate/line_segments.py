"""Straight edges of a picture, to a fraction of a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import ImageArray, as_image, frozen
from depth3d.errors import InputError

__all__ = ["LineSegments", "find_line_segments"]

_WORKING_SIDE_PX = 1024
"""Larger pictures are reduced to this: their edges are soft, and seconds go where nothing is gained."""
_SHORTEST_SHARE = 0.02
"""Of the longer side; shorter edges are texture, and hardly have a direction."""
_SHORTEST_PX = 10.0
_SHRINK_OF_LSD = 0.8
_CENTRE_PX = 0.5 / _SHRINK_OF_LSD
"""Of the first pixel, where OpenCV's LSD counts from: it looks at 0.8 of a picture, and scales back as if the
centres of the first pixels of both lay on each other, 0.125 pixels off."""


@dataclass(frozen=True, slots=True, eq=False)
class LineSegments:
    """Straight edges of one picture.

    Attributes:
        ends_px: (n, 2, 2) both ends as (column, row) in pixels of the picture, pixel centres at +0.5.
        noise_px: One standard deviation of an end across its edge, in pixels of the picture.
        width: Pixels of the picture.
        height: Pixels of the picture.
    """

    ends_px: npt.NDArray[np.float64]
    noise_px: float
    width: int
    height: int

    def __post_init__(self) -> None:
        ends = frozen(self.ends_px, name="ends_px", dtype=np.float64, shape=(None, 2, 2))
        if not np.isfinite(ends).all():
            raise InputError("the ends of line segments must be finite numbers; leave out those that are not")
        object.__setattr__(self, "ends_px", ends)

    @property
    def lengths_px(self) -> npt.NDArray[np.float64]:
        """(n,) pixels from end to end."""
        along = self.ends_px[:, 1] - self.ends_px[:, 0]
        return np.hypot(along[:, 0], along[:, 1])

    def __len__(self) -> int:
        return len(self.ends_px)

    def __repr__(self) -> str:
        return f"LineSegments({len(self)} in {self.width}x{self.height})"


def find_line_segments(image: ImageArray) -> LineSegments:
    """Find the straight edges of a picture, longest first.

    Each is a region of pixels whose gradients agree, if so many would hardly agree by chance
    (von Gioi, Jakubowicz, Morel and Randall, LSD, 2010, as OpenCV does it).

    Args:
        image: (H, W, 3) uint8 sRGB; reduced to 1024 pixels on the longer side where it is larger.

    Returns:
        Segments of at least 2 % of the longer side and 10 working pixels; none for a smooth picture.

    Raises:
        InputError: `image` is no picture.
    """
    import cv2

    picture = as_image(image)
    height, width = picture.shape[:2]
    gray = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    shrink = min(1.0, _WORKING_SIDE_PX / max(height, width))
    if shrink < 1:
        size_wh = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        gray = cv2.resize(gray, size_wh, interpolation=cv2.INTER_AREA)
    pixel = np.array([width / gray.shape[1], height / gray.shape[0]])  # of the picture, a working pixel
    found = None
    if min(gray.shape) >= _SHORTEST_PX:
        found = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(gray)[0]
    ends = np.zeros((0, 2, 2)) if found is None else np.asarray(found, dtype=np.float64).reshape(-1, 2, 2)
    lengths = np.hypot(*(ends[:, 1] - ends[:, 0]).T)
    order = np.argsort(-lengths, kind="stable")
    shortest = max(_SHORTEST_PX, _SHORTEST_SHARE * max(gray.shape))
    ends = ends[order][lengths[order] >= shortest]
    return LineSegments((ends + _CENTRE_PX) * pixel, 0.5 * float(pixel.max()), width, height)
