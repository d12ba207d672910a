"""Depth as NumPy files: `.npz`, our canonical format, and bare `.npy`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.depth import DepthMap
from depth3d.errors import FileError, UnreadableFileError
from depth3d.io.depth_record import RECORD_KEY, DepthRecord, record_from_json, record_to_json
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
            with np.load(file, allow_pickle=False) as archive:
                if RECORD_KEY in archive.files and "depth" in archive.files:
                    record = record_from_json(str(archive[RECORD_KEY]), str(path))
                    return archive["depth"], record
                arrays = {name: np.asarray(archive[name]) for name in archive.files}
        except FileError:
            raise
        except Exception as error:  # NumPy, zipfile and zlib each raise their own
            raise _unreadable(path, error) from error
    if "points" in arrays and "depth" not in arrays:
        raise UnreadableFileError(
            f"{path} holds points, no depth map; read it with depth3d.io.geometry_files.read_cloud()"
        )
    maps = {name: flat for name, array in arrays.items() if (flat := _flat(array)) is not None}
    if len(maps) == 1:
        return next(iter(maps.values())), None
    for name in _NAMES:
        if name in maps:
            return maps[name], None
    raise UnreadableFileError(
        f"{path} holds {_listed(arrays)} and none of them is clearly a depth map; "
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
        try:
            array = np.load(file, allow_pickle=False)
        except Exception as error:  # as above
            raise _unreadable(path, error) from error
    flat = _flat(array)
    if flat is None:
        raise UnreadableFileError(
            f"{path} holds {array.dtype} numbers of shape {array.shape}, no depth map; save an (H, W) array"
        )
    return flat, None


def _flat(array: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    if array.dtype.kind not in "iuf" or array.size == 0 or array.ndim < 2:
        return None
    if array.ndim == 2:
        return array
    lead = [axis for axis in range(array.ndim) if array.shape[axis] == 1]
    squeezed = array.squeeze(axis=tuple(lead[: array.ndim - 2]))
    return squeezed if squeezed.ndim == 2 else None


def _listed(arrays: dict[str, npt.NDArray[Any]]) -> str:
    names: Iterable[str] = (f"{name} {array.shape}" for name, array in arrays.items())
    return ", ".join(names) or "nothing"


def _unreadable(path: Path, error: Exception) -> UnreadableFileError:
    if "allow_pickle" in str(error) or "Object arrays" in str(error):
        return UnreadableFileError(
            f"{path} holds Python objects, which could run code when loaded; save plain numbers with numpy"
        )
    return UnreadableFileError(f"{path} is damaged or cut short; copy it again")
