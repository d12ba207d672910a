"""Depth maps as pictures: six colour maps, a legend on request, and 16-bit gray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatArray, ImageArray
from depth3d.core.depth import DepthMap
from depth3d.core.stages import stage
from depth3d.errors import InputError, UnsupportedFormatError
from depth3d.io.atomic import writing
from depth3d.io.images import save_image

__all__ = ["COLORMAPS", "colorize_depth", "depth_picture", "gray16", "nearness", "save_preview"]

COLORMAPS = ("Spectral_r", "viridis", "plasma", "magma", "inferno", "turbo")
"""Matplotlib's names; near is the upper end, which is red in `Spectral_r`."""

UNKNOWN_GRAY = 128
"""What unknown pixels look like: a gray that none of the maps has."""

_CLIP_PERCENT = 0.5
"""A few stray pixels at either end must not take the contrast from all the others."""

_LEVELS = 1024
_BLOCK_PX = 1 << 16
"""Pixels painted at a time: few enough to stay in the processor's cache."""

_LEGEND_TICKS = 5


def colorize_depth(depth: DepthMap, colormap: str = "Spectral_r", *, legend: bool = False) -> ImageArray:
    """Paint a depth map.

    Colour follows disparity, so that near things have contrast: a relative map as it is, a metric map
    as 1/z. The colours span the map's own values between its 0.5th and 99.5th percentile; they can't be
    compared between pictures without the legend.

    Args:
        depth: The map.
        colormap: One of `COLORMAPS`; near is the upper end.
        legend: Draw the scale, in metres or in the map's own unit, at the right of the picture.

    Returns:
        (H, W, 3) uint8 sRGB, wider with a legend. Unknown pixels are gray; a map without relief is in
        the middle colour.

    Raises:
        InputError: An unknown colour map.
    """
    near, low, high = nearness(depth)
    colors = _painted(near, _table(colormap))
    return _with_legend(colors, colormap, low, high, metric=depth.is_metric) if legend else colors


def gray16(depth: DepthMap) -> npt.NDArray[np.uint16]:
    """Show a depth map as 16-bit gray, near is bright.

    Args:
        depth: The map.

    Returns:
        (H, W) uint16: 1 for the farthest 0.5 % to 65535 for the nearest, linear in disparity; 0 is
        unknown.
    """
    near, _, _ = nearness(depth)
    gray = np.empty(near.shape, np.uint16)
    rows = max(1, _BLOCK_PX // near.shape[1])
    for top in range(0, len(near), rows):
        block = near[top : top + rows]
        gray[top : top + rows] = np.where(np.isnan(block), 0, 1 + np.rint(np.nan_to_num(block) * 65534))
    return gray


def depth_picture(depth: DepthMap, colormap: str, *, span: tuple[float, float]) -> ImageArray:
    """Paint a map within a range that is given, as for the frames of a film.

    Args:
        depth: The map.
        colormap: One of `COLORMAPS`, or `gray`.
        span: (farthest, nearest) disparity, 1/m of metric maps: the ends of the colours.

    Returns:
        (H, W, 3) uint8 sRGB. Unknown pixels are gray, or black in `gray`.

    Raises:
        InputError: An unknown colour map.
    """
    near, _, _ = nearness(depth, span)
    if colormap == "gray":
        return _painted(near, np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1), unknown=0)
    return _painted(near, _table(colormap))


def nearness(depth: DepthMap, span: tuple[float, float] | None = None) -> tuple[FloatArray, float, float]:
    """Scale disparity to 0 (far) .. 1 (near) between its 0.5th and 99.5th percentile.

    Args:
        depth: The map.
        span: (farthest, nearest) disparity instead of the percentiles.

    Returns:
        (H, W) float32 with NaN where unknown, and the disparities (1/m where metric) of 0 and of 1. A
        map without relief is 0.5 everywhere.
    """
    disparity = 1.0 / depth.values if depth.is_metric else depth.values
    if span is None:
        known = disparity[depth.valid]
        if not known.size:
            return np.full_like(disparity, np.nan), 0.0, 0.0
        span = tuple(np.percentile(known, (_CLIP_PERCENT, 100 - _CLIP_PERCENT)).tolist())
    low, high = span
    if high - low <= 1e-6 * max(abs(low), abs(high)):
        return np.where(depth.valid, np.float32(0.5), np.float32(np.nan)), low, high
    near = disparity - np.float32(low)
    near /= np.float32(high - low)
    return np.clip(near, 0, 1, out=near), low, high


@stage("preview")
def save_preview(
    depth: DepthMap,
    path: str | Path,
    *,
    colormap: str = "Spectral_r",
    legend: bool = False,
    overwrite: bool = True,
) -> None:
    """Write a picture of a depth map.

    Args:
        depth: The map.
        path: Where to; 16-bit gray needs `.png`.
        colormap: One of `COLORMAPS`, or `gray` for 16-bit gray.
        legend: Draw the scale; colour maps only.
        overwrite: Whether an existing file may be replaced.

    Raises:
        InputError: An unknown colour map, or a legend in gray.
        FileError: The file can't be written.
    """
    if colormap != "gray":
        save_image(colorize_depth(depth, colormap, legend=legend), path, overwrite=overwrite)
        return
    if legend:
        raise InputError("a gray preview has no legend; use a colour map, or leave the legend out")
    if Path(path).suffix.lower() != ".png":
        raise UnsupportedFormatError(f"{path}: 16-bit gray is written as .png; change the suffix")
    from PIL import Image

    with writing(path, overwrite=overwrite) as partial:
        # Fast compression: at 12 megapixels the default takes longer than the network.
        Image.fromarray(gray16(depth)).save(partial, compress_level=1)


def _painted(near: FloatArray, table: ImageArray, *, unknown: int = UNKNOWN_GRAY) -> ImageArray:
    """Look up the colours of shares in 0..1, in blocks of rows: indices take more memory than colours."""
    colors = np.empty((*near.shape, 3), np.uint8)
    table = np.append(table, [[unknown] * 3], axis=0).astype(np.uint8)
    rows = max(1, _BLOCK_PX // near.shape[1])
    for top in range(0, len(near), rows):
        place = np.rint(near[top : top + rows] * np.float32(len(table) - 2))
        place[np.isnan(place)] = len(table) - 1
        # Clipping changes nothing here; without it NumPy would write to a copy first.
        np.take(table, place.astype(np.intp), axis=0, out=colors[top : top + rows], mode="clip")
    return colors


def _table(colormap: str) -> ImageArray:
    if colormap not in COLORMAPS:
        raise InputError(f"colormap must be one of {', '.join(COLORMAPS)}, got {colormap!r}")
    from matplotlib import colormaps

    rgba = colormaps[colormap](np.linspace(0, 1, _LEVELS), bytes=True)
    return np.array(rgba[:, :3], dtype=np.uint8)


def _with_legend(colors: ImageArray, colormap: str, low: float, high: float, *, metric: bool) -> ImageArray:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    height = colors.shape[0]
    # Drawn at a readable size, then brought to the height of the picture.
    pixels = max(height, 240)
    width = max(110, round(0.16 * pixels))
    figure = Figure(figsize=(width / 100, pixels / 100), dpi=100, facecolor="white")
    axes = figure.add_axes((0.08, 0.06, 0.22, 0.86))
    bar: Any = figure.colorbar(
        ScalarMappable(Normalize(low, high if high > low else low + 1), colormap), cax=axes
    )
    font = max(8.0, pixels / 60)
    if metric:
        ticks = [tick for tick in np.linspace(low, high, _LEGEND_TICKS) if tick > 0]
        bar.set_ticks(ticks, labels=[f"{1 / tick:.3g}" for tick in ticks])
    axes.set_title("m" if metric else "near", fontsize=font, loc="left")
    bar.ax.tick_params(labelsize=font)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    strip = np.asarray(canvas.buffer_rgba())[..., :3]
    if strip.shape[0] != height:
        from PIL import Image

        size_wh = (max(1, round(strip.shape[1] * height / strip.shape[0])), height)
        strip = np.asarray(Image.fromarray(strip).resize(size_wh, Image.Resampling.LANCZOS))
    return np.concatenate([colors, strip], axis=1)
