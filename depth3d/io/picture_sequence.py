"""`PictureSequence`: a folder of numbered pictures as a film."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

from depth3d.errors import InputError, UnreadableFileError
from depth3d.io.images import load_image, read_photo_info
from depth3d.io.video_formats import exact_rate
from depth3d.io.video_source import Pictures, VideoFacts

__all__ = ["PICTURE_SUFFIXES", "PictureSequence", "natural_order"]

PICTURE_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".avif",
)  # fmt: skip
"""Of the files in a folder that are taken for frames."""


def natural_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """Give a key that sorts names as people count: `2.png` before `10.png`."""
    parts = re.split(r"(\d+)", name.casefold())
    return (*((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts), (2, 0, name))


class PictureSequence:
    """A folder of pictures, in the natural order of their names.

    Attributes:
        facts: Size, rate and number.
        notes: What the user should know.
        is_live: False.
    """

    is_live = False

    def __init__(self, folder: Path, fps: float | None = None) -> None:
        """Find the pictures and compare their sizes, by their headers.

        Args:
            folder: Where they are; those in folders within, and hidden ones, are left out.
            fps: Frames a second; 30 by default.

        Raises:
            UnreadableFileError: There is no picture, or one is damaged.
            InputError: They are of several sizes; an impossible rate.
        """
        self.notes: list[str] = []
        rate = exact_rate(30.0 if fps is None else fps)
        try:
            self._paths = sorted(
                (
                    path
                    for path in folder.iterdir()
                    if path.suffix.lower() in PICTURE_SUFFIXES
                    and not path.name.startswith(".")
                    and path.is_file()
                ),
                key=lambda path: natural_order(path.name),
            )
        except OSError as error:
            raise UnreadableFileError(f"can't read the folder {folder}: {error.strerror}; check it") from None
        if not self._paths:
            raise UnreadableFileError(
                f"{folder} is a folder without pictures; give a film, or a folder of "
                f"{', '.join(PICTURE_SUFFIXES[:3])} and the like"
            )
        first = read_photo_info(self._paths[0])
        for path in self._paths[1:]:
            info = read_photo_info(path)
            if info.size_wh != first.size_wh:
                raise InputError(
                    f"the frames of a film are of one size, got {first.width}x{first.height} in "
                    f"{self._paths[0]} and {info.width}x{info.height} in {path.name}; scale them, or take "
                    "out what does not belong"
                )
        if fps is None:
            self.notes.append("30 frames a second are assumed; fps says otherwise")
        count = len(self._paths)
        self.facts = VideoFacts(
            container="folder",
            codec=first.format.lower(),
            size_wh=first.size_wh,
            fps=rate,
            duration_s=count / rate,
            frame_count=count,
        )

    def pictures(self, start_s: Fraction, size_wh: tuple[int, int]) -> Pictures:
        """Load the pictures one at a time; see `VideoSource`."""
        from depth3d.io.video_resize import resized

        for number, path in enumerate(self._paths):
            time_s = number / self.facts.fps
            if time_s >= start_s:
                image = load_image(path)
                if image.shape[1::-1] != self.facts.size_wh:
                    raise InputError(f"{path} has changed its size while it was read; start again")
                yield time_s, resized(image, size_wh)
