"""Where a depth map is wrong: photo, truth, prediction and the error of each pixel, side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import ImageArray
from depth3d.core.depth import DepthMap
from depth3d.evaluate.comparison import Alignment, Comparison, compare
from depth3d.evaluate.protocols import EvaluationProtocol

__all__ = ["ERROR_RANGE", "draw_error", "error_picture"]

ERROR_RANGE = 0.25
"""Error at the ends of the colour bar, in every picture: beyond it delta1 counts a pixel as missed."""

_PANEL_IN = 4.8
_DPI = 100
_SPARSE = 0.3
"""Share of known pixels below which single ones would be lost in the picture, as LiDAR's are."""
_SPREAD_PX = 3.0
_GRAY = "#808080"
_CLIP_PERCENT = (0.5, 99.5)


def error_picture(
    prediction: DepthMap,
    truth: DepthMap,
    *,
    image: ImageArray | None = None,
    protocol: EvaluationProtocol | str = "default",
    align: Alignment | str = "auto",
) -> ImageArray:
    """Draw where a prediction is wrong.

    Args:
        prediction: A relative or metric map.
        truth: The true one.
        image: (H, W, 3) uint8 photo to show beside them.
        protocol: As for `evaluate`.
        align: As for `evaluate`.

    Returns:
        (H', W', 3) uint8 sRGB on white; see `draw_error`.

    Raises:
        InputError: As for `evaluate`.
    """
    return draw_error(compare(prediction, truth, protocol=protocol, align=align), image=image)


def draw_error(comparison: Comparison, *, image: ImageArray | None = None, title: str = "") -> ImageArray:
    """Draw a comparison: photo if given, truth, aligned prediction, and the error with its colour bar.

    Truth and prediction share one scale of colours, near is red. The error is red where the prediction is
    too far, blue where it is too near, white where it is right, gray where a pixel does not count; its
    colours mean the same in every picture, from -25 to +25 %. Where little is known, each pixel is drawn
    larger than it is.

    Args:
        comparison: From `compare`.
        image: (H, W, 3) uint8 photo.
        title: Line above the picture.

    Returns:
        (H', W', 3) uint8 sRGB on white.
    """
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    height, width = comparison.counts.shape
    panels = 3 + (image is not None)
    panel_height = _PANEL_IN * min(max(height / width, 0.25), 3.0)
    figure = Figure(figsize=(panels * _PANEL_IN + 0.8, panel_height + 0.7), dpi=_DPI, layout="constrained")
    axes = list(figure.subplots(1, panels, squeeze=False)[0])
    if title:
        figure.suptitle(title, fontsize=13)
    if image is not None:
        photo = axes.pop(0)
        photo.imshow(image, extent=(0, width, height, 0))
        photo.set_title("photo")
    shared = _near_colors(comparison)
    maps = (comparison.true_disparity, comparison.disparity)
    against = comparison.align == "affine" and comparison.scale == 0
    ours = "prediction (flat: it runs against the truth)" if against else f"prediction ({comparison.align})"
    for name, values in zip(("truth", ours), maps, strict=True):
        shown = axes.pop(0)
        shown.imshow(
            _shown(values),
            cmap=colormaps["Spectral_r"].with_extremes(bad=_GRAY),
            norm=shared,
            **_exactly(width, height),
        )
        shown.set_title(name)
    bounds = Normalize(-100 * ERROR_RANGE, 100 * ERROR_RANGE)
    colors = colormaps["RdBu_r"].with_extremes(bad=_GRAY)
    error = 100 * comparison.error()
    axes[0].imshow(_shown(error), cmap=colors, norm=bounds, **_exactly(width, height))
    unit = "(z - z*) / z*, %" if comparison.in_metres else "error of disparity, % of its span"
    axes[0].set_title(unit)
    beside = axes[0].inset_axes((1.03, 0, 0.045, 1))
    bar = figure.colorbar(ScalarMappable(bounds, colors), cax=beside, extend="both", extendfrac=0.04)
    bar.set_label("too near                  too far")
    for shown in figure.axes[:panels]:
        shown.set_axis_off()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _near_colors(comparison: Comparison) -> Any:
    """Scale the colours of both maps by the truth's range, without its few stray pixels."""
    from matplotlib.colors import Normalize

    known = comparison.true_disparity[comparison.counts]
    if not known.size:
        return Normalize(0, 1)
    low, high = np.percentile(known, _CLIP_PERCENT)
    return Normalize(low, high if high > low else low + 1)


def _shown(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Spread the pixels of a map that knows few, so that they can be seen."""
    from scipy.ndimage import distance_transform_edt

    unknown = ~np.isfinite(values)
    if not unknown.any() or unknown.all() or (~unknown).mean() > _SPARSE:
        return values
    distance, nearest = distance_transform_edt(unknown, return_indices=True)
    return np.where(distance <= _SPREAD_PX, values[tuple(nearest)], np.nan)


def _exactly(width: int, height: int) -> dict[str, Any]:
    return {"extent": (0, width, height, 0), "interpolation": "nearest"}
