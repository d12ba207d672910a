"""`assume_range`: plausible metres for relative depth where nothing was measured."""

from __future__ import annotations

import math

import numpy as np

from depth3d.calibrate.calibration import Calibration
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError

__all__ = ["assume_range"]


def assume_range(depth: DepthMap, near_m: float, far_m: float) -> Calibration:
    """Make the calibration that puts a relative map between two assumed distances.

    No measurement stands behind it: shapes come out plausible when the two distances are, and
    metres are a guess.

    Args:
        depth: Relative map.
        near_m: z in metres of its nearest (largest) known value.
        far_m: z in metres of its farthest (smallest) known value.

    Returns:
        The calibration with 1/z = 1/near at the largest d and 1/z = 1/far at the smallest. A
        constant map lies at the geometric mean of the two.

    Raises:
        InputError: The map is metric or has no known pixel, or not 0 < near < far.
    """
    if depth.is_metric:
        raise InputError("this map is metric already; a range is assumed for relative maps only")
    if not (0 < near_m < far_m < math.inf):
        raise InputError(f"the range must satisfy 0 < near < far, got {near_m:g} and {far_m:g} m")
    known = depth.values[depth.valid].astype(np.float64)
    if not known.size:
        raise InputError("the map has no known pixel, so no range fits it; give a depth map with values")
    d_far, d_near = float(known.min()), float(known.max())
    # The slope of a map without relief is free; any positive one leaves it a flat plane.
    if d_near - d_far <= 1e-6 * max(abs(d_near), abs(d_far), 1e-30):
        q = 1.0 / math.sqrt(near_m * far_m)
        scale = q / max(abs(d_near), 1.0)
        return Calibration(scale, q - scale * d_near, method="assumed range")
    scale = (1.0 / near_m - 1.0 / far_m) / (d_near - d_far)
    return Calibration(scale, 1.0 / far_m - scale * d_far, method="assumed range")
