"""Depth as numbers for every frame of a film: written with one scale for all of it, and read again."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from depth3d._version import __version__
from depth3d.core.arrays import ImageArray
from depth3d.core.depth import DepthKind, DepthMap
from depth3d.errors import InputError, UnreadableFileError
from depth3d.io.atomic import writing
from depth3d.io.depth_files import DEPTH_SUFFIXES
from depth3d.photo_depth import fit_depth_to, read_any_depth
from depth3d.video_effects import FilmEffect, Job
from depth3d.video_moments import FilmFacts, Moment

__all__ = ["Depth16Film", "DepthScale", "RecordedDepth", "scale_path"]

_MOST = 65535
_HEADROOM = 4.0
"""How much more than its first frame's nearest thing a film's numbers can hold: 14 of 16 bits are left."""


@dataclass(frozen=True, slots=True)
class DepthScale:
    """What the whole numbers of a depth film mean: `number = offset + scale * value`; 0 is unknown.

    Attributes:
        kind: `relative`, and the number is a disparity, larger is nearer; or `metric`, and it is z in metres.
        offset: See there.
        scale: See there; above 0.
    """

    kind: str
    offset: float
    scale: float

    @classmethod
    def of_film(cls, depth: DepthMap, span: tuple[float, float], *, png_scale: float = 1000.0) -> DepthScale:
        """Choose a scale by a film's first frame, for all that will come.

        Metric depth is written as everywhere, in millimetres. Disparity starts at 0, or as far below what is
        seen as that is wide, and goes on to four times the nearest; so a thing that comes four times as near
        does not clip, and what is seen has some 16,000 steps.

        Args:
            depth: Of the first frame.
            span: (farthest, nearest) disparity around it.
            png_scale: Units a metre.
        """
        if not (math.isfinite(png_scale) and png_scale > 0):
            raise InputError(f"png_scale must be positive units a metre, got {png_scale!r}")
        if depth.is_metric:
            return cls("metric", 0.0, 1 / png_scale)
        far, near = span
        low = 0.0 if far >= 0 else far - (near - far)
        step = (_HEADROOM * (near - low)) / (_MOST - 1)
        return cls("relative", low - step, step)

    def encoded(self, depth: DepthMap) -> tuple[npt.NDArray[np.uint16], int]:
        """Turn a map into whole numbers; what can't be held is clipped.

        Returns:
            (H, W) uint16, and how many pixels were clipped.
        """
        known = depth.valid
        value = np.rint((np.where(known, depth.values, self.offset) - self.offset) / self.scale)
        clipped = known & ((value < 1) | (value > _MOST))
        numbers = np.where(known, np.clip(value, 1, _MOST), 0).astype(np.uint16)
        return numbers, int(np.count_nonzero(clipped))

    def decoded(self, numbers: npt.NDArray[np.uint16]) -> DepthMap:
        """Turn whole numbers into a map; NaN where they are 0."""
        values = (self.offset + self.scale * numbers.astype(np.float64)).astype(np.float32)
        return DepthMap(np.where(numbers > 0, values, np.float32(np.nan)), DepthKind(self.kind))


@dataclass(frozen=True, slots=True, eq=False)
class Depth16Film(FilmEffect):
    """Depth as whole numbers of 16 bits, with one scale for the whole film, to be computed with.

    Attributes:
        png_scale: Units a metre of metric maps.
    """

    is_light: ClassVar[bool] = True
    png_scale: float = 1000.0

    @property
    def name(self) -> str:
        """`depth`."""
        return "depth"

    def jobs(self, moments: Iterator[Moment], film: FilmFacts, facts: dict[str, Any]) -> Iterator[Job]:
        """Choose the scale by the first moment, and encode each."""
        scale: DepthScale | None = None
        for moment in moments:
            scale = scale or DepthScale.of_film(moment.depth, moment.span, png_scale=self.png_scale)
            numbers, clipped = scale.encoded(moment.depth)
            facts |= asdict(scale)
            facts["clipped_pixels"] = facts.get("clipped_pixels", 0) + clipped
            del moment
            yield partial(_same, numbers)


def scale_path(film: str | Path) -> Path:
    """Tell where the scale of a film is written: beside it as `.json`, or into its folder as `depth.json`."""
    film = Path(film)
    return film / "depth.json" if film.is_dir() or not film.suffix else film.with_suffix(".json")


def save_scale(film: Path, facts: dict[str, Any]) -> Path:
    """Write what the numbers of a film mean, in JSON, beside it.

    Args:
        film: The film, or its folder.
        facts: `kind`, `offset` and `scale`, and what else is to be known.

    Returns:
        The file.
    """
    unit = "metres" if facts["kind"] == "metric" else "disparity, larger is nearer"
    law = f"number = offset + scale * value, in {unit}; value 0 is unknown"
    path = scale_path(film)
    with writing(path) as partial_path:
        text = json.dumps({"depth3d": __version__, "law": law, **facts}, indent=2)
        partial_path.write_text(text + "\n", encoding="utf-8")
    return path


class RecordedDepth:
    """Depth that was written before, frame by frame, in the place of a network: a `VideoDepth`.

    Args:
        path: A film that `Depth16Film` made, with its `.json` beside it; a folder of such pictures; or a
            folder of depth files of any format, whose names sorted are the order of the frames.
        start_s: Where the film is started whose depth it is; earlier depth is left out, if the `.json` tells
            when it starts.
        kind: `relative` or `metric`, where depth files do not say.
        png_scale: Units a metre of 16-bit PNGs without a `.json`.

    Raises:
        FileError: It can't be read.
        InputError: It holds no depth, or starts later than the film.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        start_s: float = 0.0,
        kind: str | None = None,
        png_scale: float | None = None,
    ) -> None:
        self.path = Path(path)
        self._kind, self._png_scale = kind, png_scale
        self._scale, facts = _read_scale(self.path)
        skip_s = start_s - facts["start_s"] if isinstance(facts.get("start_s"), int | float) else 0.0
        if skip_s < -1e-3:
            raise InputError(
                f"{path} starts at {facts['start_s']:g} s and the film is read from {start_s:g} s on; "
                "start there"
            )
        self._skip_s = max(skip_s, 0.0)
        self._fps = float(facts.get("fps") or 30.0)
        self._files: list[Path] = []
        if self.path.is_dir():
            suffixes = (".png",) if self._scale else DEPTH_SUFFIXES
            self._files = sorted(p for p in self.path.iterdir() if p.suffix.lower() in suffixes)
            if not self._files:
                raise InputError(f"{path} holds no depth files; give a folder with one a frame, or a film")
            self._files = self._files[round(self._skip_s * self._fps) :]
        elif self._scale is None:
            raise InputError(
                f"{path} has no {scale_path(path).name} beside it that says what its numbers mean; give a "
                "film that depth3d video --effect depth --codec ffv1 wrote, or a folder of depth files"
            )
        first = next(self._maps(), None)
        if first is None:
            raise InputError(f"{path} holds no depth from {start_s:g} s on")
        self.kind: DepthKind = first.kind

    @property
    def name(self) -> str:
        """The file's."""
        return self.path.name

    def __repr__(self) -> str:
        return f"RecordedDepth({self.path}, {self.kind})"

    def stream(self, frames: Iterable[ImageArray]) -> Iterator[DepthMap]:
        """Give the map of each frame, at its size.

        Raises:
            InputError: There are more frames than maps, or of another aspect.
        """
        maps = self._maps()
        for count, frame in enumerate(frames):
            found = next(maps, None)
            if found is None:
                raise InputError(
                    f"{self.path} has depth for {count} frames and the film has more; make depth of all of "
                    f"it, or use --max-frames {count}"
                )
            height, width = frame.shape[:2]
            yield fit_depth_to(found, width, height)

    def _maps(self) -> Iterator[DepthMap]:
        if self._files and self._scale:
            from PIL import Image

            for path in self._files:
                with Image.open(path) as picture:
                    numbers = np.asarray(picture)
                yield self._scale.decoded(numbers.astype(np.uint16))
        elif self._files:
            for path in self._files:
                yield read_any_depth(path, kind=self._kind, png_scale=self._png_scale).depth
        else:
            from depth3d.io.gray_films import gray_frames

            assert self._scale is not None
            for time_s, numbers in gray_frames(self.path):
                if time_s >= self._skip_s - 0.5 / self._fps:
                    yield self._scale.decoded(numbers)


def _read_scale(film: Path) -> tuple[DepthScale | None, dict[str, Any]]:
    path = scale_path(film)
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        scale = DepthScale(str(facts["kind"]), float(facts["offset"]), float(facts["scale"]))
        DepthKind(scale.kind)
    except FileNotFoundError:
        if not film.exists():
            raise UnreadableFileError(f"can't read {film}: it is not there; check the path") from None
        return None, {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnreadableFileError(f"{path} does not say what depth means ({error}); write it again") from None
    return scale, facts


def _same(numbers: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    return numbers
