"""`with_nearest`: a picture in which what must not be seen has the colours of what may be, beside it."""

from __future__ import annotations

import numpy as np

from depth3d.core.arrays import BoolMap, FloatMap
from depth3d.render.local_planes import Index

__all__ = ["with_nearest"]

_ROWS = 256
"""Rows that are filled from the nearest sources at a time, which bounds the memory."""
_HALO_SHARE = 0.045
_LEAST_HALO_PX = 64
"""How far around these a source is looked for at first: a share of the longer side, and no less than this."""


def with_nearest(light: FloatMap, source: BoolMap, *, out: FloatMap | None = None) -> FloatMap:
    """Put the colour of the nearest source where there is none, so that nothing foreign is blended in.

    Args:
        light: (H, W, 3) float32.
        source: (H, W) bool; at least one.
        out: Where to write, which may be `light` itself: sources stay as they are.
    """
    result = light.copy() if out is None else out
    first_halo = max(_LEAST_HALO_PX, round(_HALO_SHARE * max(source.shape)))
    for top in range(0, len(source), _ROWS):
        band = slice(top, min(top + _ROWS, len(source)))
        foreign = ~source[band]
        halo, nearest = first_halo, None
        while nearest is None and foreign.any():
            nearest = _nearest_sources(source, band, foreign, halo)
            halo *= 4
        if nearest is not None:
            result[band][foreign] = light.reshape(-1, 3)[nearest]
    return result


def _nearest_sources(source: BoolMap, band: slice, foreign: BoolMap, halo: int) -> Index | None:
    """Number the nearest source of each foreign pixel of some rows, or give up: it may be beyond a halo."""
    import cv2

    height, width = source.shape
    rows = slice(max(band.start - halo, 0), min(band.stop + halo, height))
    around = source[rows]
    if not around.any():
        return None
    away, labels = cv2.distanceTransformWithLabels(
        (~around).view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    here = slice(band.start - rows.start, band.stop - rows.start)
    # A row farther away is a pixel farther away, at least.
    if rows != slice(0, height) and float(away[here][foreign].max()) >= halo:
        return None
    del away
    at = np.zeros(int(labels.max()) + 1, dtype=np.int32)
    at[labels[around]] = np.flatnonzero(around)
    return np.asarray(at[labels[here][foreign]] + np.intp(rows.start * width), dtype=np.intp)
