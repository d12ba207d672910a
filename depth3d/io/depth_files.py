"""Depth maps: files of seven formats to `DepthMap` and back, each with the right meaning of its numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.camera import Camera
from depth3d.core.depth import DepthKind, DepthMap
from depth3d.core.stages import stage
from depth3d.errors import InputError, UnsupportedFormatError
from depth3d.io import depth_npz, depth_png, openexr, pfm
from depth3d.io.atomic import writing
from depth3d.io.depth_record import DepthFile, DepthRecord
from depth3d.io.pictures import open_file

__all__ = ["DEPTH_SUFFIXES", "DepthFile", "load_depth", "read_depth", "save_depth"]

DEPTH_SUFFIXES = (".npz", ".npy", ".png", ".pfm", ".tif", ".tiff", ".exr")
"""Suffixes that `save_depth` writes. Files are read by their content."""

_DEFAULT_PNG_SCALE = 1000.0
_READERS = (
    (b"PK", depth_npz.read_npz),
    (b"\x93NUMPY", depth_npz.read_npy),
    (b"\x89PNG", depth_png.read_gray_picture),
    (b"II*\0", depth_png.read_gray_picture),
    (b"MM\0*", depth_png.read_gray_picture),
    (b"Pf", pfm.read_pfm),
    (b"PF", pfm.read_pfm),
    (openexr.MAGIC, openexr.read_exr),
)


def load_depth(
    path: str | Path, *, kind: DepthKind | str | None = None, png_scale: float | None = None
) -> DepthMap:
    """Load a depth map; `read_depth` without camera and provenance.

    Args:
        path: As for `read_depth`, like the others.
        kind: What the numbers mean.
        png_scale: Integers a metre.

    Raises:
        FileError: As for `read_depth`.
        InputError: As for `read_depth`.
    """
    return read_depth(path, kind=kind, png_scale=png_scale).depth


@stage("reading")
def read_depth(
    path: str | Path, *, kind: DepthKind | str | None = None, png_scale: float | None = None
) -> DepthFile:
    """Read a depth map with what its file knows about it.

    Files of `save_depth` know their kind, except `.npy` and `.pfm`, which have no room for it. Of
    foreign files, integers of 16 bit are metric, in millimetres; gray pictures of 8 bit are relative,
    near is bright; floats say nothing, so their `kind` must be given.

    Args:
        path: `.npz`, `.npy`, gray `.png`, `.pfm`, gray `.tif`, `.exr`; the content counts.
        kind: `relative` (disparity-like, larger is nearer) or `metric` (z); it goes before what the
            file says. Metric floats are metres.
        png_scale: Integers a metre: 1000 unless given, 256 for KITTI, 5000 for TUM RGB-D. It goes
            before what the file says.

    Returns:
        The map, with NaN for unknown; the camera and the provenance where the file has them.

    Raises:
        UnreadableFileError: Missing, damaged, or no depth map.
        UnsupportedFormatError: A format or an encoding that is not known.
        InputError: The kind is needed and not given, or it contradicts the numbers.
    """
    path = Path(path)
    _check_scale(png_scale)
    wanted = _kind(kind)
    array, record = _reader(path)(path)
    if record is not None and record.coding and array.dtype.kind == "u":
        if png_scale is not None and "scale" in record.coding:
            record = DepthRecord(record.kind, record.camera, record.provenance, {"scale": png_scale})
        values, known_kind = depth_png.decode_own_png(array, record), record.kind
    elif record is not None:
        values, known_kind = array, record.kind
    else:
        values, known_kind = _foreign(array, wanted, png_scale, path)
    try:
        depth = DepthMap(values, wanted or known_kind)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return DepthFile(depth, record.camera if record else None, dict(record.provenance) if record else {})


def save_depth(
    depth: DepthMap,
    path: str | Path,
    *,
    camera: Camera | None = None,
    provenance: Mapping[str, str] | None = None,
    png_scale: float = _DEFAULT_PNG_SCALE,
    overwrite: bool = True,
) -> None:
    """Write a depth map; the file appears whole or not at all.

    `.npz`, `.tif` and `.exr` keep float32 exactly, with kind, camera and provenance; `.npy` and
    `.pfm` keep the numbers only; `.png` rounds to 16 bits, with all the rest in a text chunk.

    Args:
        depth: The map.
        path: Its suffix names the format: one of `DEPTH_SUFFIXES`.
        camera: Intrinsics to keep with it.
        provenance: How it was made, in words.
        png_scale: Integers a metre of a metric PNG. What is too far for 16 bits is clipped, and
            a log line says so.
        overwrite: Whether an existing file may be replaced.

    Raises:
        UnsupportedFormatError: Another suffix.
        InputError: A scale that is not positive.
        FileError: The file can't be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    _check_scale(png_scale)
    if suffix not in DEPTH_SUFFIXES:
        raise UnsupportedFormatError(
            f"can't write depth as {path.suffix or 'a file without suffix'!r}; "
            f"use one of {', '.join(DEPTH_SUFFIXES)}"
        )
    record = DepthRecord(depth.kind, camera, provenance or {})
    with writing(path, overwrite=overwrite) as partial:
        if suffix == ".png":
            depth_png.write_png(depth, partial, record, png_scale)
        else:
            write = {
                ".npz": depth_npz.write_npz,
                ".npy": depth_npz.write_npy,
                ".pfm": pfm.write_pfm,
                ".exr": openexr.write_exr,
            }.get(suffix, depth_png.write_tiff)
            write(depth, partial, record)


def _reader(path: Path) -> Any:
    with open_file(path) as file:
        head = file.read(16)
    for magic, read in _READERS:
        if head.startswith(magic):
            return read
    cure = f"give one of {', '.join(DEPTH_SUFFIXES)}"
    if head.startswith(b"\xff\xd8") or head[4:8] == b"ftyp":
        cure = (
            "the depth that a photo carries is used by depth3d.open_photo(photo, depth=photo); otherwise "
            + cure
        )
    raise UnsupportedFormatError(f"{path} is in no depth format that depth3d knows; {cure}")


def _foreign(
    array: npt.NDArray[Any], kind: DepthKind | None, png_scale: float | None, path: Path
) -> tuple[npt.NDArray[Any], DepthKind]:
    """Give the values and the kind of numbers that come without a word about themselves."""
    is_picture = path.suffix.lower() in (".png", ".tif", ".tiff")
    if array.dtype.kind == "f":
        if kind is None:
            raise InputError(
                f"{path} does not say what its numbers mean; give kind='relative' or 'metric' "
                "(--depth-kind relative|metric)"
            )
        return array, kind
    if array.dtype.itemsize == 1:
        if kind is DepthKind.METRIC and png_scale is None:
            raise InputError(
                f"{path} has 8 bits, so its unit can't be millimetres; give png_scale, the number of its "
                "units a metre (--png-scale)"
            )
        kind = kind or (DepthKind.METRIC if png_scale else DepthKind.RELATIVE)
    elif kind is None and not is_picture:
        raise InputError(
            f"{path} holds integers and does not say what they mean; give kind='relative' or 'metric' "
            "(--depth-kind relative|metric)"
        )
    kind = kind or DepthKind.METRIC
    if kind is DepthKind.RELATIVE:
        return array.astype(np.float32), kind
    return (array / (png_scale or _DEFAULT_PNG_SCALE)).astype(np.float32), kind


def _kind(kind: DepthKind | str | None) -> DepthKind | None:
    try:
        return None if kind is None else DepthKind(kind)
    except ValueError:
        raise InputError(f"kind must be 'relative' or 'metric', got {kind!r}") from None


def _check_scale(png_scale: float | None) -> None:
    if png_scale is not None and not (math.isfinite(png_scale) and png_scale > 0):
        raise InputError(f"png_scale must be a positive number of units a metre, got {png_scale!r}")
