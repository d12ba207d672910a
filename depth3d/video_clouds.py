"""`CloudFilm`: a point cloud for each frame of a film, or for every n-th."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from depth3d.core.cloud import PointCloud
from depth3d.core.depth import DepthKind, DepthMap
from depth3d.core.scene import RGBD
from depth3d.errors import InputError
from depth3d.lift.clouds import point_cloud
from depth3d.video_effects import FilmEffect, Job
from depth3d.video_moments import FilmFacts, Moment

__all__ = ["CloudFilm"]


@dataclass(frozen=True, slots=True, eq=False)
class CloudFilm(FilmEffect):
    """Points of every frame, in metres in its own camera's frame.

    Attributes:
        every: Make one of every so manieth frame.
        stride: Take every stride-th row and column.
        assume_range_m: (near, far): where the nearest and the farthest part of the film are taken to be if
            maps are relative, the same for all its frames.
    """

    every: int = 1
    stride: int = 1
    assume_range_m: tuple[float, float] = (1.0, 5.0)

    def __post_init__(self) -> None:
        if type(self.every) is not int or self.every < 1:
            raise InputError(f"every must be a whole number of at least 1, got {self.every!r}")
        near, far = self.assume_range_m
        if not (math.isfinite(far) and 0 < near < far):
            raise InputError(f"a range in metres is 0 < near < far, got {near:g} and {far:g}")

    @property
    def name(self) -> str:
        """`cloud`."""
        return "cloud"

    def jobs(self, moments: Iterator[Moment], film: FilmFacts, facts: dict[str, Any]) -> Iterator[Job]:
        """Plan a cloud for every n-th moment; nothing is made of the others."""
        for number, moment in enumerate(moments):
            if not moment.depth.is_metric:
                facts["assumed_range_m"] = list(self.assume_range_m)
            yield partial(self._cloud, moment) if number % self.every == 0 else _nothing
            del moment

    def _cloud(self, moment: Moment) -> PointCloud:
        depth = moment.depth
        if not depth.is_metric:
            depth = _in_metres(depth, moment.span, self.assume_range_m)
        return point_cloud(RGBD(moment.image, depth, moment.camera), stride=self.stride)


def _in_metres(depth: DepthMap, span: tuple[float, float], range_m: tuple[float, float]) -> DepthMap:
    """Apply 1/z = s d + t with the ends of the film's range at the ends of the assumed one.

    What would lie behind four times the far end, or behind infinity, is unknown.
    """
    near, far = range_m
    share = (depth.values - np.float32(span[0])) / np.float32(span[1] - span[0])
    inverse = 1 / far + share * (1 / near - 1 / far)
    with np.errstate(invalid="ignore"):
        z = np.where(inverse > 0.25 / far, 1 / np.maximum(inverse, 1e-9), np.nan)
    return DepthMap(z.astype(np.float32), DepthKind.METRIC)


def _nothing() -> None:
    return None
