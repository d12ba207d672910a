"""One picture that shows the distribution of a depth map, the way people analyse one."""

from __future__ import annotations

from typing import Any

import numpy as np

from depth3d.core.arrays import ImageArray
from depth3d.core.depth import DepthMap
from depth3d.io.previews import colorize_depth, nearness

__all__ = ["depth_report"]

_NEAR, _FAR = "#c2402c", "#2c63c2"
_SURFACE_SIDE = 96
"""Vertices along the longer side of the surface: more only blackens the picture."""


def depth_report(depth: DepthMap, facts: dict[str, Any], *, colormap: str = "Spectral_r") -> ImageArray:
    """Draw colours, histogram, middle row and column, and surface of a map.

    Args:
        depth: The map.
        facts: Summary to print in the title; `mean`, `median` and `std` (or `mean_m` ...) are
            marked in the histogram where present.
        colormap: Colour map of the first panel.

    Returns:
        (900, 1500, 3) uint8 picture on white.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    unit = "z (m)" if depth.is_metric else "relative disparity (larger is nearer)"
    suffix = "_m" if depth.is_metric else ""
    figure = Figure(figsize=(15, 9), dpi=100, layout="constrained")
    grid = figure.add_gridspec(2, 8, height_ratios=(1, 1.15))
    figure.suptitle(
        f"{facts['kind']} depth, {depth.width} x {depth.height}, {facts['known_percent']:g} % known",
        fontsize=15,
    )

    picture = figure.add_subplot(grid[0, :4])
    picture.imshow(colorize_depth(depth, colormap), extent=(0, depth.width, depth.height, 0))
    picture.axhline(depth.height / 2, color="black", lw=1, ls="--")
    picture.axvline(depth.width / 2, color="black", lw=1, ls=":")
    picture.set(title=f"{colormap}: red is near" if colormap == "Spectral_r" else colormap)

    histogram = figure.add_subplot(grid[0, 4:])
    known = depth.values[depth.valid]
    if known.size:
        # In float32 the bins of a nearly constant map would have no width.
        histogram.hist(known.astype(np.float64), bins=128, color="#9fb3c8")
        for name, style in (("mean", "-"), ("median", "--")):
            value = facts[name + suffix]
            histogram.axvline(value, color=_NEAR, ls=style, label=f"{name} {value:.4g}")
        mean, std = facts["mean" + suffix], facts["std" + suffix]
        histogram.axvspan(mean - std, mean + std, color=_NEAR, alpha=0.12, label=f"deviation {std:.4g}")
        histogram.legend()
    histogram.set(title="distribution", xlabel=unit, ylabel="pixels")

    along_row = figure.add_subplot(grid[1, :2])
    along_row.plot(np.arange(depth.width) + 0.5, depth.values[depth.height // 2], color=_FAR)
    along_row.set(title="middle row", xlabel="column (px)", ylabel=unit)
    along_column = figure.add_subplot(grid[1, 2:4])
    along_column.plot(np.arange(depth.height) + 0.5, depth.values[:, depth.width // 2], color=_FAR)
    along_column.set(title="middle column", xlabel="row (px)", ylabel=unit)

    surface: Any = figure.add_subplot(grid[1, 4:], projection="3d")
    step = max(1, -(-max(depth.size_wh) // _SURFACE_SIDE))
    near = nearness(depth)[0][::step, ::step]
    if min(near.shape) > 1 and known.size:
        u, v = np.meshgrid(np.arange(near.shape[1]) * step, np.arange(near.shape[0]) * step)
        surface.plot_surface(u, v, near, cmap=colormap, rstride=1, cstride=1, linewidth=0, antialiased=False)
    surface.set(title="surface of disparity: near is high", xlabel="column", ylabel="row", zticks=())
    surface.invert_yaxis()
    surface.set_box_aspect((depth.width, depth.height, 0.3 * max(depth.size_wh)), zoom=1.35)
    surface.view_init(elev=66, azim=-82)

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])
