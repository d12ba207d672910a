"""The four pictures of a calibration's report, each drawn into the axes that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.calibrate.calibration import Calibration
from depth3d.calibrate.from_references import equations_from
from depth3d.calibrate.laws import basis
from depth3d.calibrate.next_measurement import NextMeasurement
from depth3d.calibrate.references import (
    Anchor,
    CameraHeight,
    DepthSamples,
    FarPoint,
    KnownLength,
    KnownSize,
    RangeAnchor,
    Reference,
)
from depth3d.core.depth import DepthMap
from depth3d.io.previews import colorize_depth, nearness
from depth3d.photo_depth import PhotoDepth

__all__ = ["draw_depth", "draw_fit", "draw_picture", "draw_sigma", "thumbnail"]

_Array: TypeAlias = npt.NDArray[np.float64]

_USED, _REJECTED, _NEXT, _LAW = "#1a7f4b", "#c62828", "#e8a100", "#2c63c2"
_MOST_SIDE_PX = 800
_MOST_NUMBERED = 30
_MOST_DOTS = 600
_TICKS_M = (0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100, 300)


def thumbnail(photo: PhotoDepth) -> DepthMap:
    """Take every n-th pixel of the depth, as many as a picture shows."""
    step = max(1, -(-max(photo.depth.size_wh) // _MOST_SIDE_PX))
    return DepthMap(photo.depth.values[step // 2 :: step, step // 2 :: step], photo.depth.kind)


def draw_picture(
    axes: Any,
    photo: PhotoDepth,
    references: Sequence[Reference],
    calibration: Calibration,
    following: NextMeasurement | None,
) -> None:
    """Draw the photo with its references, numbered, and the place to measure next."""
    width, height = photo.depth.size_wh
    step = max(1, -(-max(width, height) // _MOST_SIDE_PX))
    shown = nearness(thumbnail(photo))[0] if photo.image is None else photo.image[::step, ::step]
    axes.imshow(shown, cmap="gray", extent=(0, width, height, 0))
    for index, reference in enumerate(references):
        used = calibration.inliers[index]
        at = _mark(axes, reference, _USED if used else _REJECTED, "o" if used else "X")
        if at is not None and len(references) <= _MOST_NUMBERED:
            axes.annotate(
                str(index + 1), at, xytext=(7, 7 if at[1] > 0.05 * height else -16),
                textcoords="offset points", color="white", fontsize=9,
                bbox={"boxstyle": "round,pad=0.15", "fc": _USED if used else _REJECTED, "ec": "none"},
            )  # fmt: skip
    if following is not None:
        axes.plot(
            following.u_px, following.v_px, marker="*", ms=19, mfc=_NEXT, mec="white", mew=1.3, ls="none",
            label="measure next",
        )  # fmt: skip
        axes.legend(loc="lower right", fontsize=9)
    axes.set(xlim=(0, width), ylim=(height, 0))


def _mark(axes: Any, reference: Reference, color: str, marker: str) -> tuple[float, float] | None:
    """Draw one reference; give the place for its number."""
    style = {"ms": 10, "mec": "white", "mew": 1.3, "color": color, "ls": "none"}
    if isinstance(reference, Anchor | RangeAnchor | FarPoint):
        shape = "^" if isinstance(reference, FarPoint) and marker == "o" else marker
        axes.plot(reference.u_px, reference.v_px, marker=shape, **style)
        return reference.u_px, reference.v_px
    if isinstance(reference, KnownLength):
        u, v = (reference.u1_px, reference.u2_px), (reference.v1_px, reference.v2_px)
        axes.plot(u, v, marker=marker, **{**style, "ls": "-", "lw": 2.5, "ms": 7})
        return (u[0] + u[1]) / 2, (v[0] + v[1]) / 2
    if isinstance(reference, KnownSize):
        box = (reference.left_px, reference.top_px, reference.right_px, reference.bottom_px)
    elif isinstance(reference, CameraHeight):
        if reference.floor_px is None:
            return None
        box = reference.floor_px
    elif isinstance(reference, DepthSamples):
        step = max(1, len(reference.uv_px) // _MOST_DOTS)
        axes.plot(*reference.uv_px[::step].T, ".", ms=3, color=color, alpha=0.6)
        return None
    left, top, right, bottom = box
    axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=color, lw=2.5)
    return left, top


def draw_fit(axes: Any, photo: PhotoDepth, references: Sequence[Reference], calibration: Calibration) -> None:
    """Draw the law with its 68 % band, the references, and how often the picture has each value."""
    disparity = calibration.space == "disparity"
    known = photo.depth.values[photo.depth.valid].astype(np.float64)
    low, high = np.percentile(known, [0.5, 99.5])
    equations = equations_from(photo.depth, references, photo.camera)
    seen = equations.observations
    values = [seen.value, *(bound.value for bound in equations.constraints)]
    all_values = np.concatenate(values)
    low, high = min(low, all_values.min(initial=low)), max(high, all_values.max(initial=high))
    margin = 0.04 * (high - low)
    x = np.linspace(low - margin, high + margin, 240)
    y, sigma = _law(calibration, x)
    axes.fill_between(x, y - sigma, y + sigma, color=_LAW, alpha=0.22, lw=0, label="68 % of what is true")
    axes.plot(x, y, color=_LAW, label="law")
    with np.errstate(divide="ignore"):
        target = seen.inverse_depth if disparity else 1 / seen.inverse_depth
    spread = seen.sigma if disparity else seen.sigma * target**2
    used = np.array([calibration.inliers[index] for index in seen.reference], dtype=bool)
    many = np.array([isinstance(references[index], DepthSamples) for index in seen.reference], dtype=bool)
    for which, color, marker, label in ((used, _USED, "o", "used"), (~used, _REJECTED, "X", "rejected")):
        samples, single = np.flatnonzero(which & many), np.flatnonzero(which & ~many)
        samples = samples[:: max(1, len(samples) // _MOST_DOTS)]
        if len(samples):
            axes.plot(seen.value[samples], target[samples], ".", ms=4, color=color, alpha=0.6)
        if len(single):
            axes.errorbar(
                seen.value[single], target[single], spread[single], fmt=marker, ms=8, color=color, label=label
            )
    if len(references) <= _MOST_NUMBERED:
        for row in np.flatnonzero(~many):
            axes.annotate(
                str(seen.reference[row] + 1), (seen.value[row], target[row]), xytext=(7, -11),
                textcoords="offset points", fontsize=9,
            )  # fmt: skip
    for bound in equations.constraints:
        axes.plot(bound.value, _law(calibration, bound.value)[0], "D", mfc="none", mec=_USED, ms=8)
    top = float(np.nanmax(np.concatenate([y, target]))) * 1.06
    bottom = min(0.0, float(np.nanmin(y)))
    counts, edges = np.histogram(known, bins=80, range=(x[0], x[-1]))
    tall = 0.22 * (top - bottom) * counts / max(1, counts.max())
    axes.bar(edges[:-1], tall, np.diff(edges), bottom=bottom, align="edge", color="#e1e6eb", zorder=0)
    axes.set(xlim=(x[0], x[-1]), ylim=(bottom, top))
    if disparity:
        axes.set(xlabel="the map's disparity d", ylabel="1/z (1/m)")
        _metres_at_the_right(axes, bottom, top)
    else:
        axes.set(xlabel="z of the map (m)", ylabel="z (m)")
    axes.legend(loc="upper left", fontsize=9)


def _metres_at_the_right(axes: Any, bottom: float, top: float) -> None:
    ticks: list[float] = []
    for metres in sorted(_TICKS_M):
        level = 1 / metres
        if level < top and all(abs(level - 1 / other) > 0.05 * (top - bottom) for other in ticks):
            ticks.append(metres)
    right = axes.twinx()
    right.set(ylim=(bottom, top), ylabel="z (m)")
    right.set_yticks([1 / metres for metres in ticks], [f"{metres:g}" for metres in ticks])


def _law(calibration: Calibration, values: _Array) -> tuple[_Array, _Array]:
    """Give y and its standard deviation, the map's own error included, at the middle of the picture."""
    factors = basis(calibration.form, values, np.zeros((len(values), 2)), calibration.knots)
    y = factors @ np.array(calibration.parameters)
    known = calibration.covariance
    covariance: _Array = np.zeros((factors.shape[1],) * 2) if known is None else np.array(known)
    variance = np.einsum("np,pq,nq->n", factors, covariance, factors)
    return y, np.hypot(np.sqrt(np.maximum(variance, 0)), calibration.misfit_rel * y)


def draw_sigma(axes: Any, depth: DepthMap, calibration: Calibration) -> None:
    """Draw the relative standard deviation of each pixel's distance; gray is beyond infinity."""
    z = calibration.apply(depth).values
    axes.set_facecolor("#9a9a9a")
    axes.set(xticks=(), yticks=())
    if calibration.covariance is None:
        axes.text(0.5, 0.5, "unknown", transform=axes.transAxes, ha="center")
        return
    percent = 100 * calibration.sigma_m(depth) / z
    known = percent[np.isfinite(percent)]
    most = float(np.percentile(known, 99)) if known.size else 1.0
    shown = axes.imshow(percent, cmap="viridis", vmin=0, vmax=max(most, 1e-3))
    axes.figure.colorbar(shown, ax=axes, label="sigma of z (%)", shrink=0.85)


def draw_depth(axes: Any, depth: DepthMap, calibration: Calibration) -> None:
    """Draw the metric depth, red near and blue far, with its scale."""
    z = calibration.apply(depth)
    axes.set(xticks=(), yticks=())
    if not z.valid.any():
        axes.text(0.5, 0.5, "no pixel has a depth", transform=axes.transAxes, ha="center")
        return
    axes.imshow(colorize_depth(z, legend=True))
    for side in ("top", "right", "bottom", "left"):
        axes.spines[side].set_visible(False)
