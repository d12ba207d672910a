"""What a bokeh is told by: its focus, limits of sharpness and largest blur; and its maps as files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from depth3d.core.lens import ThinLens, depth_of_field_m, hyperfocal_m
from depth3d.io.atomic import check_writable, writing
from depth3d.io.images import save_image
from depth3d.render.bokeh import BokehMaps
from depth3d.render.defocus import Defocus
from depth3d.render.focus import Focus
from depth3d.render.refocus import Refocus
from depth3d.verbs import make_directory

__all__ = ["bokeh_facts", "save_maps"]

_SHARP_SHARE = 1 / 1500
"""Of the picture's diagonal: the disc that counts as sharp where the whole picture is looked at."""


def bokeh_facts(photo: Refocus, focus: Focus, setting: Defocus) -> dict[str, Any]:
    """Say what a setting means, in the units that the photo has.

    Args:
        photo: The photo, taken apart.
        focus: What it is focused on.
        setting: How.

    Returns:
        `focus` (why, point, disparity), `largest_diameter_px`; of metric scenes also `focus_m`,
        `aperture_mm`, and, for a disc of 1/1500 of the diagonal (`sharp_diameter_px`),
        `depth_of_field_m` (near and far) and `hyperfocal_m`. Infinite distances are `inf`.
    """
    radius = setting.radius(photo.disparity)
    facts: dict[str, Any] = {
        "focus": {"why": focus.why, "point": focus.point, "disparity": focus.disparity},
        "largest_diameter_px": 2 * float(np.abs(radius).max()),
    }
    if photo.is_metric:
        camera = photo.scene.camera
        lens = ThinLens(2 * setting.gain / camera.fx)
        sharp_px = max(_SHARP_SHARE * math.hypot(*camera.size_wh), 2 * setting.sharp_px)
        focus_m = 1 / focus.disparity if focus.disparity > 0 else math.inf
        facts |= {
            "focus_m": focus_m,
            "aperture_mm": 1000 * lens.aperture_m,
            "sharp_diameter_px": sharp_px,
            "depth_of_field_m": depth_of_field_m(focus_m, lens=lens, fx_px=camera.fx, blur_px=sharp_px),
            "hyperfocal_m": hyperfocal_m(lens=lens, fx_px=camera.fx, blur_px=sharp_px),
        }
    return facts


def save_maps(maps: BokehMaps, folder: str | Path, *, overwrite: bool = True) -> list[str]:
    """Write the maps of a bokeh: numbers as .npy, masks and coverage as pictures.

    Args:
        maps: The maps.
        folder: Where to; it is created.
        overwrite: Whether existing files may be replaced.

    Returns:
        The names: `diameter_px.npy` and `disparity.npy` (float32), `in_focus.png`, `near.png`, `far.png`
        (0 and 255), `coverage.png` (16 bit, 65535 is all).

    Raises:
        FileError: A file exists and may not be replaced, or can't be written.
    """
    folder = make_directory(folder)
    numbers = {"diameter_px.npy": maps.diameter_px, "disparity.npy": maps.disparity}
    pictures = {
        "in_focus.png": (maps.in_focus * 255).astype(np.uint8),
        "near.png": (maps.near * 255).astype(np.uint8),
        "far.png": (maps.far * 255).astype(np.uint8),
        "coverage.png": np.rint(maps.coverage * 65535.0).astype(np.uint16),
    }
    names = [*numbers, *pictures]
    for name in names:
        check_writable(folder / name, overwrite=overwrite)
    for name, values in numbers.items():
        with writing(folder / name, overwrite=overwrite) as partial:
            np.save(partial, values)
    for name, picture in pictures.items():
        save_image(picture, folder / name, overwrite=overwrite)
    return names
