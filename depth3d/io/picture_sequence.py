"""`PictureSequence`: a folder of numbered pictures as a film."""

from __future__ import annotations

import csv
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from depth3d.errors import InputError, UnreadableFileError
from depth3d.io.frame_folders import TIMES
from depth3d.io.images import load_image, read_photo_info
from depth3d.io.inputs import PHOTO_SUFFIXES, natural_key
from depth3d.io.video_formats import exact_rate
from depth3d.io.video_resize import resized
from depth3d.io.video_source import Pictures, VideoFacts
from depth3d.io.video_timing import rate_of

__all__ = ["PictureSequence"]

_NS = Fraction(1, 1_000_000_000)


class PictureSequence:
    """A folder of pictures, in the natural order of their names, or as its `frames.csv` lists them.

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
            fps: Frames a second, whatever `frames.csv` says; by default what that says, or else 30.

        Raises:
            UnreadableFileError: There is no picture, one is damaged, or `frames.csv` does not fit.
            InputError: They are of several sizes; an impossible rate.
        """
        self.notes: list[str] = []
        rate = exact_rate(30.0 if fps is None else fps)
        times = folder / TIMES
        listed = _listed(times) if fps is None and times.is_file() else []
        self._paths = [folder / name for name, _, _ in listed] or _found(folder)
        first = read_photo_info(self._paths[0])
        for path in self._paths[1:]:
            info = read_photo_info(path)
            if info.size_wh != first.size_wh:
                raise InputError(
                    f"the frames of a film are of one size, got {first.width}x{first.height} in "
                    f"{self._paths[0]} and {info.width}x{info.height} in {path.name}; scale them, or take "
                    "out what does not belong"
                )
        count = len(self._paths)
        ends = [end - listed[0][1] for _, _, end in listed]
        constant = rate_of(
            [round((start - listed[0][1]) / _NS) for _, start, _ in listed], _NS, [], slack_s=_NS
        )
        if not listed and fps is None:
            self.notes.append("30 frames a second are assumed; fps says otherwise")
        if listed:
            rate = constant or count / ends[-1]
        is_variable = bool(listed) and count > 1 and constant is None
        self._times = [start - listed[0][1] for _, start, _ in listed] if is_variable else []
        self.facts = VideoFacts(
            container="folder",
            codec=first.format.lower(),
            size_wh=first.size_wh,
            fps=rate,
            is_variable=is_variable,
            duration_s=ends[-1] if is_variable else count / rate,
            frame_count=count,
        )

    def pictures(self, start_s: Fraction, size_wh: tuple[int, int]) -> Pictures:
        """Load the pictures one at a time; see `VideoSource`."""
        for number, path in enumerate(self._paths):
            time_s = self._times[number] if self._times else number / self.facts.fps
            if time_s >= start_s:
                image = load_image(path)
                if image.shape[1::-1] != self.facts.size_wh:
                    raise InputError(f"{path} has changed its size while it was read; start again")
                yield time_s, resized(image, size_wh)


def _found(folder: Path) -> list[Path]:
    try:
        paths = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".") and path.is_file()
        ]
    except OSError as error:
        raise UnreadableFileError(f"can't read the folder {folder}: {error.strerror}; check it") from None
    if not paths:
        raise UnreadableFileError(
            f"{folder} is a folder without pictures; give a film, or a folder of .png, .jpg and the like"
        )
    return sorted(paths, key=natural_key)


def _listed(path: Path) -> list[tuple[str, Fraction, Fraction]]:
    """Read when each picture is shown: its name, its start and its end in seconds, a line each."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [
                (row["file"], Fraction(row["start_s"]), Fraction(row["end_s"]))
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError, TypeError, ValueError, ZeroDivisionError, csv.Error):
        rows = []
    edges = [start for _, start, _ in rows] + [end for _, _, end in rows[-1:]]
    is_growing = all(a < b for a, b in pairwise(edges))
    are_here = all(Path(name).name == name and (path.parent / name).is_file() for name, _, _ in rows)
    if not (rows and is_growing and are_here):
        raise UnreadableFileError(
            f"{path} does not fit the pictures beside it; copy it again, or delete it and give fps"
        )
    return rows
