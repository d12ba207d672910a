"""What a bokeh is told by: its focus, limits of sharpness and largest blur; and its maps as files."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from depth3d.core.lens import ThinLens, depth_of_field_m, hyperfocal_m
from depth3d.io.atomic import check_writable, writing
from depth3d.io.images import save_image
from depth3d.render.bokeh import BokehMaps
from depth3d.render.defocus import Defocus
from depth3d.render.focus import Focus
from depth3d.render.focus_stack import FocusStack
from depth3d.render.refocus import Refocus
from depth3d.verbs import make_directory

__all__ = ["bokeh_facts", "check_maps", "check_stack", "save_maps", "save_stack"]

_SHARP_SHARE = 1 / 1500
"""Of the picture's diagonal: the disc that counts as sharp where the whole picture is looked at."""
_MAPS = ("diameter_px.npy", "disparity.npy", "in_focus.png", "near.png", "far.png", "coverage.png")


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
    check_maps(folder, overwrite=overwrite)
    numbers = {"diameter_px.npy": maps.diameter_px, "disparity.npy": maps.disparity}
    pictures = {
        "in_focus.png": (maps.in_focus * 255).astype(np.uint8),
        "near.png": (maps.near * 255).astype(np.uint8),
        "far.png": (maps.far * 255).astype(np.uint8),
        "coverage.png": np.rint(maps.coverage * 65535.0).astype(np.uint16),
    }
    for name, values in numbers.items():
        with writing(folder / name, overwrite=overwrite) as partial:
            np.save(partial, values)
    for name, picture in pictures.items():
        save_image(picture, folder / name, overwrite=overwrite)
    return list(_MAPS)


def check_maps(folder: str | Path, *, overwrite: bool) -> None:
    """Check, before any long work, that `save_maps` can write there.

    Raises:
        FileError: A file exists and may not be replaced, or can't be written.
    """
    _check(Path(folder), _MAPS, overwrite=overwrite)


def check_stack(folder: str | Path, count: int, *, overwrite: bool) -> None:
    """Check, before any long work, that `save_stack` can write there.

    Raises:
        FileError: A file exists and may not be replaced, or can't be written.
    """
    _check(Path(folder), _stack_names(count), overwrite=overwrite)


def save_stack(stack: FocusStack, folder: str | Path, *, overwrite: bool = True) -> list[str]:
    """Write the pictures of a focus stack.

    Args:
        stack: The stack.
        folder: Where to; it is created.
        overwrite: Whether existing files may be replaced.

    Returns:
        The names: `focus_001.png` (the nearest) and on, `index.png` (16 bit, from 1: the picture
        that is sharpest there) and `all_in_focus.png`.

    Raises:
        FileError: A file exists and may not be replaced, or can't be written.
    """
    folder = make_directory(folder)
    names = _stack_names(len(stack.images))
    _check(folder, names, overwrite=overwrite)
    index = (stack.index.astype(np.int64) + 1).clip(max=65535).astype(np.uint16)
    for name, picture in zip(names, [*stack.images, index, stack.all_in_focus], strict=True):
        save_image(picture, folder / name, overwrite=overwrite)
    return names


def _stack_names(count: int) -> list[str]:
    return [*(f"focus_{number:03d}.png" for number in range(1, count + 1)), "index.png", "all_in_focus.png"]


def _check(folder: Path, names: Iterable[str], *, overwrite: bool) -> None:
    if folder.is_dir():
        for name in names:
            check_writable(folder / name, overwrite=overwrite)
