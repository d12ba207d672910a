"""What a bokeh is told by: its focus, limits of sharpness and largest blur; and its maps as files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import ImageArray
from depth3d.core.lens import ThinLens, depth_of_field_m, hyperfocal_m
from depth3d.errors import FileError
from depth3d.io.atomic import check_writable, writing
from depth3d.io.images import save_image
from depth3d.render.bokeh import BokehMaps
from depth3d.render.defocus import Defocus
from depth3d.render.focus import Focus
from depth3d.render.refocus import Refocus
from depth3d.verbs import make_directory

__all__ = ["bokeh_facts", "check_maps", "check_stack", "save_maps", "save_stack"]

_SHARP_SHARE = 1 / 1500
"""Of the picture's diagonal: the disc that counts as sharp where the whole picture is looked at."""
_MAPS = ("diameter_px.npy", "disparity.npy", "in_focus.png", "near.png", "far.png", "coverage.png")
_OF_ALL = ("index.png", "all_in_focus.png")
"""What a stack has beside its pictures."""


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
    _check(Path(folder), (*map(_picture_name, range(count)), *_OF_ALL), overwrite=overwrite)


def save_stack(
    images: Iterable[ImageArray],
    index: npt.NDArray[np.uint16],
    folder: str | Path,
    *,
    overwrite: bool = True,
    on_image: Callable[[int], None] | None = None,
) -> list[str]:
    """Write the pictures of a focus stack, one at a time.

    Args:
        images: (H, W, 3) uint8 each, as `FocusStack.images` holds and `StackPlan.images` takes them.
        index: (H, W) the picture, from 0, that is sharpest at a pixel.
        folder: Where to; it is created.
        overwrite: Whether existing files may be replaced.
        on_image: Called with 1 after each picture, for a progress bar.

    Returns:
        The names: `focus_001.png` (the nearest) and on, `index.png` (16 bit, from 1: the picture
        that is sharpest there) and `all_in_focus.png`.

    Raises:
        FileError: A file exists and may not be replaced, or can't be written.
    """
    folder = make_directory(folder)
    _check(folder, _OF_ALL, overwrite=overwrite)
    all_in_focus = np.zeros((*index.shape, 3), np.uint8)
    names = []
    for number, image in enumerate(images):
        names.append(_picture_name(number))
        save_image(image, folder / names[-1], overwrite=overwrite)
        np.copyto(all_in_focus, image, where=(index == number)[..., None])
        if on_image:
            on_image(1)
    for name, picture in zip(_OF_ALL, (index + np.uint16(1), all_in_focus), strict=True):
        save_image(picture, folder / name, overwrite=overwrite)
    return [*names, *_OF_ALL]


def _picture_name(number: int) -> str:
    return f"focus_{number + 1:03d}.png"


def _check(folder: Path, names: Iterable[str], *, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{folder} is a file, and a folder is needed; give another name")
    if folder.is_dir():
        for name in names:
            check_writable(folder / name, overwrite=overwrite)
