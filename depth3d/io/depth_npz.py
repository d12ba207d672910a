"""Depth as NumPy files: `.npz`, our canonical format, and bare `.npy`."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.depth import DepthMap
from depth3d.errors import UnreadableFileError
from depth3d.io.depth_record import RECORD_KEY, DepthRecord, record_from_json, record_to_json
from depth3d.io.npy import NpyHeader, read_header, read_member, read_numbers, texts_of
from depth3d.io.pictures import open_file

__all__ = ["read_npy", "read_npz", "write_npy", "write_npz"]

_NAMES = ("depth", "values", "disparity", "arr_0")
"""Names under which a foreign archive of several arrays may keep its depth, in this order."""


def write_npz(depth: DepthMap, path: Path, record: DepthRecord) -> None:
    """Write `depth`, (H, W) float32, and `depth3d`, JSON with kind, camera and provenance.

    Not compressed, for speed: zlib took twelve times as long on a phone's map of 3 megapixels.
    """
    with path.open("wb") as file:
        np.savez(file, depth=depth.values, depth3d=np.array(record_to_json(record)))


def read_npz(path: Path) -> tuple[npt.NDArray[Any], DepthRecord | None]:
    """Read an archive of ours, or a foreign one with one map in it.

    Returns:
        (H, W) array, and the record if the archive is ours.

    Raises:
        UnreadableFileError: Damaged, holding Python objects, or no single map that could be meant.
    """
    with open_file(path) as file:
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:  # zipfile raises its own, and ValueError, NotImplementedError ...
            raise UnreadableFileError(f"{path} is damaged or cut short; copy it again") from error
        with archive:
            names = {entry.removesuffix(".npy"): entry for entry in archive.namelist()}
            if RECORD_KEY in names and "depth" in names:
                note = read_member(archive, names[RECORD_KEY], str(path))
                record = record_from_json("".join(texts_of(note, str(path))), str(path))
                return read_member(archive, names["depth"], str(path)), record
            headers = _headers(archive, names, str(path))
            chosen = _chosen(headers, path)
            flat = _flat(read_member(archive, names[chosen], str(path)))
            assert flat is not None  # its header said so
            return flat, None


def _headers(archive: zipfile.ZipFile, names: dict[str, str], path: str) -> dict[str, NpyHeader]:
    headers = {}
    for name, entry in names.items():
        if entry.endswith(".npy"):
            try:
                with archive.open(entry) as member:
                    headers[name] = read_header(member, path)
            except UnreadableFileError:
                raise
            except Exception as error:  # as above
                raise UnreadableFileError(f"{path} is damaged or cut short; copy it again") from error
    return headers


def _chosen(headers: dict[str, NpyHeader], path: Path) -> str:
    """Name the array that can be meant."""
    if "points" in headers and "depth" not in headers:
        raise UnreadableFileError(
            f"{path} holds points, no depth map; read it with depth3d.io.geometry_files.read_cloud()"
        )
    maps = [name for name, header in headers.items() if _flat_shape(header) is not None]
    if len(maps) == 1:
        return maps[0]
    for name in _NAMES:
        if name in maps:
            return name
    raise UnreadableFileError(
        f"{path} holds {_listed(headers)} and none of them is clearly a depth map; "
        "save it as an (H, W) array named 'depth'"
    )


def write_npy(depth: DepthMap, path: Path, record: DepthRecord) -> None:
    """Write (H, W) float32 and nothing else: the format has no room for kind or camera."""
    with path.open("wb") as file:
        np.save(file, depth.values)


def read_npy(path: Path) -> tuple[npt.NDArray[Any], None]:
    """Read an (H, W) array; axes of length 1 are dropped.

    Raises:
        UnreadableFileError: Damaged, holding Python objects, or no map.
    """
    with open_file(path) as file:
        array = read_numbers(file, str(path))
    flat = _flat(array)
    if flat is None:
        raise UnreadableFileError(
            f"{path} holds {array.dtype} numbers of shape {array.shape}, no depth map; save an (H, W) array"
        )
    return flat, None


def _flat(array: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    shape = _flat_shape(NpyHeader(array.shape, array.dtype))
    return None if shape is None else array.reshape(shape)


def _flat_shape(header: NpyHeader) -> tuple[int, int] | None:
    """Give the (H, W) of an array of numbers without its axes of length 1; None where it is no map."""
    shape = list(header.shape)
    if header.dtype.kind not in "iuf" or 0 in shape:
        return None
    while len(shape) > 2 and 1 in shape:
        shape.remove(1)
    return (shape[0], shape[1]) if len(shape) == 2 else None


def _listed(headers: dict[str, NpyHeader]) -> str:
    names: Iterable[str] = (f"{name} {header.shape}" for name, header in headers.items())
    return ", ".join(names) or "nothing"
