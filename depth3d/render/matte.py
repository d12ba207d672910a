"""`depth_matte`: a soft mask by depth, whose edges are the photo's."""

from __future__ import annotations

import math

import numpy as np

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.core.depth import DepthMap
from depth3d.core.scene import RGBD
from depth3d.core.stages import stage
from depth3d.errors import InputError
from depth3d.render.color_lines import follow_colors
from depth3d.render.depth_edges import EdgeBand, edge_bands, thing_at
from depth3d.render.disparity import whole_disparity
from depth3d.render.halos import Tile, with_halo

__all__ = ["check_selection", "depth_matte", "trust_in_depth"]

_TRUST = 0.3
"""What depth weighs beside colour on the plateaus at both sides of a silhouette."""
_TRUST_POWER = 4
"""How fast that falls on the ramp between them. Both were chosen on scenes with known alpha."""
_ROWS = 128
"""Rows that are worked on together, which bounds the memory."""
_GENTLE = 0.5
"""Slopes below this share of the ramp's mean slope may be a surface's."""


@stage("matte")
def depth_matte(
    scene: RGBD,
    *,
    at: tuple[float, float] | None = None,
    connected: bool = False,
    near_m: float | None = None,
    far_m: float | None = None,
    nearer_than_percent: float | None = None,
    disparity_range: tuple[float, float] | None = None,
    fade: float = 0.0,
) -> FloatMap:
    """Select a range of depth, with soft edges that follow the photo: hair, fur, leaves.

    Away from silhouettes depth alone decides. Around the silhouettes between what is in the range and what is
    not, in a band as wide as the map's own ramp, the share of each pixel that is covered follows the photo's
    colours (`depth3d.render.color_lines`); depth itself counts the less there, the nearer it is to the middle
    of the ramp. Unknown pixels are filled as for bokeh (`depth3d.render.disparity`).

    Exactly one way to select is to be given.

    Args:
        scene: The photo with metric or relative depth.
        at: (u, v) in pixels: what is there and everything nearer, up to the gap behind it. Without a gap
            anywhere around, what is at least as near as the point.
        connected: With `at`, only what hangs together with the thing at the point.
        near_m: Nothing nearer than this z in metres; it may stand beside `far_m`.
        far_m: Nothing farther than this z in metres.
        nearer_than_percent: This share of all pixels, the nearest ones, 0..100.
        disparity_range: (low, high) in the unit of a relative map, or in 1/m; infinities are allowed.
        fade: How gradually the range ends where nothing ends, as on a floor: width of the slope as a share of
            the map's spread of disparity.

    Returns:
        (H, W) float32, 1 inside and 0 outside.

    Raises:
        InputError: None or several ways to select, numbers out of range, or a map that knows no pixel.
        NeedsMetricError: `near_m` or `far_m` with a relative map.
    """
    check_selection(
        at=at,
        near_m=near_m,
        far_m=far_m,
        nearer_than_percent=nearer_than_percent,
        disparity_range=disparity_range,
    )
    if not 0 <= fade <= 1:
        raise InputError(f"fade must lie in 0..1, got {fade!r}; it is a share of the map's spread")
    if connected and at is None:
        raise InputError(
            "connected says to keep the thing at a point; give the point as at=(u, v) (--at X,Y)"
        )
    disparity = whole_disparity(scene.depth)
    if at is not None:
        low, high = thing_at(disparity, at, is_metric=scene.depth.is_metric), math.inf
    elif nearer_than_percent is not None:
        low, high = _quantile(disparity, nearer_than_percent), math.inf
    elif disparity_range is not None:
        low, high = disparity_range
    else:
        low, high = _metric_range(scene.depth, near_m, far_m)
    inside = _inside(disparity, low, high, fade)
    if connected and at is not None:
        inside = inside * _island(inside >= 0.5, at)
    unknown, trust = _in_doubt(disparity, [level for level in (low, high) if math.isfinite(level)])
    del disparity  # large pictures take much memory
    return follow_colors(scene.image, inside, unknown, trust=trust)


def _in_doubt(disparity: FloatMap, levels: list[float]) -> tuple[BoolMap, FloatMap]:
    """Find the pixels around the silhouettes of a range, and the trust in depth there."""
    unknown = np.zeros(disparity.shape, dtype=np.bool_)
    trust = np.full(disparity.shape, _TRUST, dtype=np.float32)
    for level in levels:
        for tile, band in edge_bands(disparity, level):
            unknown[tile] |= band.mask
            here = trust_in_depth(disparity, np.float32(level), band, tile)
            np.minimum(trust[tile], here, out=trust[tile], where=band.mask)
    return unknown, trust


def trust_in_depth(
    disparity: FloatMap, level: FloatMap | np.float32, band: EdgeBand, tile: Tile | None = None
) -> FloatMap:
    """Weigh depth by how sure it is: not at all halfway on a ramp, fully on the surfaces at both ends.

    A surface is told from a ramp by its value, which is that of either end, or by its slope: towards one side
    at least it is less than that of a ramp of this width.

    Args:
        disparity: (H, W), all known.
        level: Of the edge between the two sides, one number or (h, w).
        band: Around the edges, (h, w).
        tile: Rows and columns that these two are of; None is the whole picture.

    Returns:
        (h, w) float32, what `follow_colors` takes.
    """
    tiny = np.finfo(np.float32).tiny
    shape = band.mask.shape
    top, columns = (0, slice(0, shape[1])) if tile is None else (tile[0].start, tile[1])
    levels = np.broadcast_to(np.asarray(level, dtype=np.float32), shape)
    trust = np.empty(shape, dtype=np.float32)
    for start in range(0, shape[0], _ROWS):
        rows = slice(start, min(start + _ROWS, shape[0]))
        there = (slice(top + rows.start, top + rows.stop), columns)
        here, at, low, high = disparity[there], levels[rows], band.low[rows], band.high[rows]
        room = np.where(here >= at, high - at, at - low)
        by_value = np.clip(np.abs(here - at) / np.maximum(room, tiny), 0, 1)
        ramp = np.where(band.mask[rows], (high - low) / np.maximum(band.width_px[rows], 1), 1)
        by_slope = np.clip(1 - _slope(disparity, there) / (_GENTLE * ramp), 0, 1)
        trust[rows] = _TRUST * np.maximum(by_value, by_slope) ** _TRUST_POWER
    return trust


def _slope(disparity: FloatMap, tile: Tile) -> FloatMap:
    """Measure the slope a pixel in a tile, of either axis towards its gentler side; 0 at an exact step."""
    around, inner = with_halo(tile, 1, disparity.shape)
    # Beyond the border is no pixel, and an infinite step to it.
    values = np.full([at.stop - at.start + 2 for at in tile], np.inf, np.float32)
    first = [1 - at.start for at in inner]
    part = disparity[around]
    values[first[0] : first[0] + part.shape[0], first[1] : first[1] + part.shape[1]] = part
    down, right = np.abs(np.diff(values[:, 1:-1], axis=0)), np.abs(np.diff(values[1:-1], axis=1))
    gentler = (np.minimum(down[:-1], down[1:]), np.minimum(right[:, :-1], right[:, 1:]))
    return np.asarray(np.maximum(*(np.where(np.isfinite(slope), slope, 0) for slope in gentler)))


def check_selection(
    *,
    at: tuple[float, float] | None,
    near_m: float | None,
    far_m: float | None,
    nearer_than_percent: float | None,
    disparity_range: tuple[float, float] | None,
) -> None:
    """Check that there is one way to select, as `depth_matte` takes them.

    Raises:
        InputError: None or several, or numbers out of range.
    """
    metres = None if near_m is None and far_m is None else (near_m or 0.0, far_m or math.inf)
    ways = {
        "at": at,
        "near_m or far_m": metres,
        "nearer_than_percent": nearer_than_percent,
        "disparity_range": disparity_range,
    }
    given = [name for name, value in ways.items() if value is not None]
    if len(given) != 1:
        what = (
            f"{' and '.join(given)} would each select; give one of them" if given else "nothing is selected"
        )
        cure = "" if given else "; give a point at=(u, v) (--at X,Y), far_m (--far-m) or nearer_than_percent"
        raise InputError(what + cure)
    if nearer_than_percent is not None and not 0 < nearer_than_percent <= 100:
        raise InputError(f"nearer_than_percent must lie in 0..100, above 0, got {nearer_than_percent!r}")
    if disparity_range is not None and not disparity_range[0] < disparity_range[1]:
        raise InputError(f"disparity_range must be (low, high) with low < high, got {disparity_range!r}")
    for name, value in (("near_m", near_m), ("far_m", far_m)):
        if value is not None and not value > 0:
            raise InputError(f"{name} must be positive metres, got {value!r}")
    if metres is not None and not metres[0] < metres[1]:
        raise InputError(f"near_m must be less than far_m, got {near_m} and {far_m}")


def _metric_range(depth: DepthMap, near_m: float | None, far_m: float | None) -> tuple[float, float]:
    depth.require_metric("a matte by near_m or far_m")
    return (-math.inf if far_m is None else 1 / far_m), (math.inf if near_m is None else 1 / near_m)


def _quantile(disparity: FloatMap, percent: float) -> float:
    if percent == 100:
        return -math.inf
    return float(np.percentile(disparity, 100 - percent))


def _inside(disparity: FloatMap, low: float, high: float, fade: float) -> FloatMap | BoolMap:
    width = fade * float(disparity.max() - disparity.min()) if fade > 0 else 0.0
    if not width > 0:
        inside = disparity >= low
        return inside if high == math.inf else np.logical_and(inside, disparity <= high, out=inside)
    rise = np.clip((disparity - low) / width + 0.5, 0, 1)
    fall = np.clip((high - disparity) / width + 0.5, 0, 1)
    return np.asarray(np.minimum(rise, fall), dtype=np.float32)


def _island(inside: BoolMap, at: tuple[float, float]) -> BoolMap:
    """Find the connected area at, or nearest to, a point."""
    import cv2

    _, areas = cv2.connectedComponents(inside.view(np.uint8), connectivity=4)
    rows, columns = np.nonzero(areas)
    nearest = int(np.argmin((columns + 0.5 - at[0]) ** 2 + (rows + 0.5 - at[1]) ** 2))
    return np.asarray(areas == areas[rows[nearest], columns[nearest]])
