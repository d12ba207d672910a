"""A photo's layers in files: `save_page`, an HTML page that moves, and `save_layer_meshes`, a .glb."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import ImageArray
from depth3d.core.stages import stage
from depth3d.errors import InputError, UnsupportedFormatError
from depth3d.io.atomic import check_writable, writing
from depth3d.io.glb_scene import GlbSurface, write_glb_scene
from depth3d.io.page import PagePictures, page_html
from depth3d.render.inverse_depth import span_of
from depth3d.render.patch_surfaces import patch_surfaces
from depth3d.render.patches import GUTTER, Grid, Patches
from depth3d.render.patchwork import patchwork
from depth3d.render.sheets import Layers

__all__ = ["save_layer_meshes", "save_layers", "save_page"]

_WORD_MAX = 65535


@stage("writing")
def save_page(
    layers: Layers,
    path: str | Path,
    *,
    pivot: tuple[float, float] | None = None,
    pivot_disparity: float | None = None,
    strength: float = 1.0,
    title: str | None = None,
    alt: str | None = None,
    max_side_px: int = 2560,
    max_faces: int = 300_000,
    overwrite: bool = True,
) -> None:
    """Write layers as one HTML file that moves with the mouse, a finger, the phone's tilt or the arrow keys.

    Layers and viewer are inside; it works from the disk, without network, in any browser with WebGL. The
    point of view moves sideways, up and down, as far as `layers.reach_px` and `layers.margin_px` allow, and
    the surface at the still point stays where it is: what has the inverse depth q moves by
    `shift * (q - q_still)` pixels, with `shift = strength * reach_px / (q_near - q_far)` or less.

    Args:
        layers: As `depth3d.layers` makes them.
        path: Where to.
        pivot: (u, v) pixel of the photo that stands still.
        pivot_disparity: The inverse depth that stands still, if no pixel is given. None is the middle of near
            and far.
        strength: Share, 0..1, of the motion that the layers allow.
        title: The page's title; None is the file's name.
        alt: What the photo shows, for those who don't see it; None is the title.
        max_side_px: Longest side of the picture, margins included; larger layers are averaged down by a whole
            factor.
        max_faces: Triangles at most; more make silhouettes no sharper, but relief finer.
        overwrite: Whether an existing file may be replaced.

    Raises:
        InputError: A pivot outside the photo, or a number out of range.
        FileError: The file can't be written.
    """
    path = Path(path)
    check_writable(path, overwrite=overwrite)
    if not (math.isfinite(strength) and 0 <= strength <= 1):
        raise InputError(f"strength must be 0..1, a share of what the layers allow, got {strength!r}")
    _check_whole(max_side_px=max_side_px, max_faces=max_faces)
    shift, still = _motion(layers, pivot, pivot_disparity)
    work = patchwork(layers, max_faces=max_faces, max_side_px=max_side_px, blending="srgb")
    largest = float(max(work.lattice.max(), work.patches.inverse_depth.max(initial=0), 1e-30))
    tiles, coverage, columns = _atlas(work.patches)
    height, width = layers.photo.shape[:2]
    facts = {
        "width": width,
        "height": height,
        "margin": layers.margin_px,
        "shift": strength * shift,
        "still": still,
        "largest": largest,
        "grid": _sizes(work.grid),
        "backdrop": _sizes(work.backdrop_grid),
        "whole": len(work.whole),
        "patches": len(work.patches),
        "tiles": {"side": tiles.shape[1] // columns, "gutter": GUTTER, "columns": columns},
    }
    numbers = np.concatenate(
        [
            _words(work.lattice, largest),
            _words(np.minimum(work.backdrop_lattice, largest), largest),
            work.whole.astype(np.uint16).ravel(),
            work.patches.cells.astype(np.uint16).ravel(),
            work.of_back.astype(np.uint16),
            _words(work.patches.inverse_depth, largest),
        ]
    )
    title = path.stem if title is None else title
    page = page_html(
        PagePictures(work.texture, tiles, coverage, work.backdrop_texture),
        facts,
        numbers,
        title=title,
        alt=title if alt is None else alt,
    )
    with writing(path, overwrite=overwrite) as partial:
        partial.write_text(page, encoding="utf-8", errors="replace")


@stage("writing")
def save_layer_meshes(
    layers: Layers,
    path: str | Path,
    *,
    silhouettes: Literal["mask", "blend"] = "mask",
    max_side_px: int = 4096,
    max_faces: int = 300_000,
    comments: Iterable[str] = (),
    overwrite: bool = True,
) -> None:
    """Write layers as one .glb scene for engines: meshes with the photo's colours, and its camera.

    Its nodes are `backdrop`, `back`, `front` (all that is away from silhouettes), `front_edges` (what is
    beside them, whose texture says what it covers) and `photo_camera`. Metres, or units of a relative scene;
    x right, y up, the camera at the origin looks along -z. What is infinitely far away is put at 1000 times
    the nearest distance.

    Args:
        layers: As `depth3d.layers` makes them.
        path: Where to; a .glb.
        silhouettes: `mask` cuts where a texel is covered by half, which all engines sort right; `blend` keeps
            soft edges, for engines that draw triangles in their order, which is far to near.
        max_side_px: Longest side of the front's texture, margins included; larger layers are averaged down by
            a whole factor.
        max_faces: Triangles at most; more make silhouettes no sharper, but relief finer.
        comments: Lines for the file's header, such as the model.
        overwrite: Whether an existing file may be replaced.

    Raises:
        InputError: An unknown kind of silhouettes, or a number out of range.
        UnsupportedFormatError: Another suffix.
        FileError: The file can't be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".glb":
        raise UnsupportedFormatError(f"meshes of layers are written as .glb, got {path}")
    if silhouettes not in ("mask", "blend"):
        raise InputError(f"silhouettes must be 'mask' or 'blend', got {silhouettes!r}")
    check_writable(path, overwrite=overwrite)
    _check_whole(max_side_px=max_side_px, max_faces=max_faces)
    work = patchwork(layers, max_faces=max_faces, max_side_px=max_side_px)
    tiles, coverage, columns = _atlas(work.patches)
    textures = {
        "front": work.texture,
        "tiles": np.concatenate([tiles, coverage[..., None]], axis=-1),
        "backdrop": work.backdrop_texture,
    }
    surfaces = []
    for name, surface in patch_surfaces(work, layers.camera, tile_columns=columns).items():
        own = name in textures
        surfaces.append(
            GlbSurface(
                name,
                surface.vertices,
                surface.faces,
                surface.uv,
                texture=name if own else "tiles",
                alpha="opaque" if own else silhouettes,
            )
        )
    used = {surface.texture for surface in surfaces}
    photo = layers.camera.cropped(layers.margin_px, layers.margin_px, *layers.photo.shape[1::-1])
    unit = "metres" if layers.is_metric else "relative units: the nearest part is at 1, the farthest at 5"
    with writing(path, overwrite=overwrite) as partial:
        write_glb_scene(
            surfaces,
            {name: picture for name, picture in textures.items() if name in used},
            partial,
            fov_y_deg=photo.fov_y_deg,
            aspect=photo.width * photo.fy / (photo.height * photo.fx),
            comments=[f"unit: {unit}", *comments],
        )


def save_layers(layers: Layers, path: str | Path, *, overwrite: bool = True, **options: Any) -> None:
    """Write layers as the suffix says: `.html` (`save_page`) or `.glb` (`save_layer_meshes`).

    Args:
        layers: As `depth3d.layers` makes them.
        path: Where to.
        overwrite: Whether an existing file may be replaced.
        **options: Those of the format's own function.

    Raises:
        UnsupportedFormatError: Another suffix.
        InputError: As the format's own function.
        FileError: The file can't be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix in (".html", ".htm"):
        save_page(layers, path, overwrite=overwrite, **options)
    elif suffix == ".glb":
        save_layer_meshes(layers, path, overwrite=overwrite, **options)
    else:
        raise UnsupportedFormatError(f"layers are written as .html or .glb, got {path}")


def _atlas(patches: Patches) -> tuple[ImageArray, npt.NDArray[np.uint8], int]:
    """Lay tiles out in rows, as nearly square as may be; at least one, though it may be empty."""
    count, side = len(patches), patches.alpha.shape[1]
    columns = max(1, math.ceil(math.sqrt(count)))
    rows = max(1, math.ceil(count / columns))
    both = np.zeros((rows * columns, side, side, 4), dtype=np.uint8)
    both[:count, ..., :3], both[:count, ..., 3] = patches.color, patches.alpha
    atlas = both.reshape(rows, columns, side, side, 4).swapaxes(1, 2).reshape(rows * side, columns * side, 4)
    return np.ascontiguousarray(atlas[..., :3]), np.ascontiguousarray(atlas[..., 3]), columns


def _motion(
    layers: Layers, pivot: tuple[float, float] | None, pivot_disparity: float | None
) -> tuple[float, float]:
    """Give how many pixels a unit of inverse depth may move by, and the inverse depth that stands still."""
    far, near = span_of(layers.front.inverse_depth)
    if pivot is not None:
        height, width = layers.photo.shape[:2]
        u, v = pivot
        if not (0 <= u < width and 0 <= v < height):
            raise InputError(f"pivot must be a pixel of the {width}x{height} photo, got {pivot!r}")
        still = float(layers.front.inverse_depth[int(v) + layers.margin_px, int(u) + layers.margin_px])
    elif pivot_disparity is not None:
        still = float(pivot_disparity)
        if not (math.isfinite(still) and still >= 0):
            raise InputError(f"pivot_disparity must be 0 or more, as 1 / distance, got {pivot_disparity!r}")
    else:
        still = (far + near) / 2
    if near <= far:
        return 0.0, still
    # What is at the photo's border may move in as far as there is something beyond it.
    of_margin = layers.margin_px / max(near - still, still - far)
    return min(layers.reach_px / (near - far), of_margin), still


def _words(inverse_depth: npt.NDArray[np.floating[Any]], largest: float) -> npt.NDArray[np.uint16]:
    scaled = np.clip(inverse_depth / largest, 0, 1) * _WORD_MAX
    words: npt.NDArray[np.uint16] = np.rint(scaled).astype(np.uint16)
    return words.ravel()


def _sizes(grid: Grid) -> dict[str, int]:
    return {"rows": grid.rows, "cols": grid.cols, "cell": grid.cell, "side": grid.side}


def _check_whole(**numbers: int) -> None:
    for name, value in numbers.items():
        if not isinstance(value, int | np.integer) or value < 1:
            raise InputError(f"{name} must be a whole number of at least 1, got {value!r}")
