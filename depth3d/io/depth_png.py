"""Depth as gray pictures: 16-bit PNG with its scale inside, foreign 8- and 16-bit PNG, TIFF.

A metric map is stored as round(z * scale), with 0 for unknown: 1000 units a metre (millimetres) for
most sensors, 256 for KITTI, 5000 for TUM RGB-D. A relative map is spread over 1..65535 and its
ends are noted in the file.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.depth import DepthMap
from depth3d.errors import UnreadableFileError, UnsupportedFormatError
from depth3d.io.depth_record import RECORD_KEY, DepthRecord, record_from_json, record_to_json
from depth3d.io.pictures import decoded, open_picture

__all__ = ["decode_own_png", "read_gray_picture", "write_png", "write_tiff"]

_LARGEST = 65535
_IMAGE_DESCRIPTION = 270
_BLOCK_PX = 1 << 22
"""Pixels that are turned into integers at a time: of 200 megapixels all of them would take 6 GB."""

_log = logging.getLogger("depth3d")


def write_png(depth: DepthMap, path: Path, record: DepthRecord, png_scale: float) -> None:
    """Write a 16-bit PNG; its text chunk `depth3d` says kind, scale or ends, camera and provenance.

    What is too far for 16 bits is clipped, never wrapped, and a log line says how much that is.

    Args:
        depth: The map.
        path: Where to.
        record: What to note beside it.
        png_scale: Units a metre of a metric map.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    coding: dict[str, float]
    if depth.is_metric:
        coding = {"scale": float(png_scale)}
        zero, factor, first = 0.0, float(png_scale), 0.0
    else:
        known = depth.valid.any()
        low = float(np.nanmin(depth.values)) if known else 0.0
        high = float(np.nanmax(depth.values)) if known else 0.0
        coding = {"min": low, "max": high}
        zero, factor, first = low, (_LARGEST - 1) / ((high - low) or 1.0), 1.0
    integers = np.empty(depth.values.shape, np.uint16)
    clipped = 0
    for top in range(0, depth.height, rows := max(1, _BLOCK_PX // depth.width)):
        block = depth.values[top : top + rows].astype(np.float64)
        stored = first + (block - zero) * factor
        with np.errstate(invalid="ignore"):  # comparing NaN
            clipped += int(np.count_nonzero((stored > _LARGEST + 0.5) | (stored < 0.5)))
        whole = np.rint(np.clip(np.nan_to_num(stored, nan=0.0), 1, _LARGEST)).astype(np.uint16)
        integers[top : top + rows] = np.where(np.isnan(block), 0, whole)
    if clipped and depth.is_metric:
        _log.warning(
            "%d pixels lie outside the %.3g to %.5g m that 16 bits hold at %g units a metre and are "
            "clipped: use another scale, or .npz",
            clipped, 1 / png_scale, _LARGEST / png_scale, png_scale,
        )  # fmt: skip
    text = PngInfo()
    noted = DepthRecord(record.kind, record.camera, record.provenance, coding)
    text.add_text(RECORD_KEY, record_to_json(noted))
    Image.fromarray(integers).save(path, format="PNG", pnginfo=text, compress_level=4)


def write_tiff(depth: DepthMap, path: Path, record: DepthRecord) -> None:
    """Write 32-bit floats, NaN for unknown; the description holds kind, camera and provenance."""
    from PIL import Image
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    tags = ImageFileDirectory_v2()
    tags[_IMAGE_DESCRIPTION] = record_to_json(record)
    Image.fromarray(np.ascontiguousarray(depth.values)).save(path, format="TIFF", tiffinfo=tags)


def read_gray_picture(path: Path) -> tuple[npt.NDArray[Any], DepthRecord | None]:
    """Read the numbers of a gray PNG or TIFF.

    Colour pictures are taken if their channels are equal.

    Returns:
        (H, W) uint8, uint16, int32 or float32 as stored, and the record if the file is ours.

    Raises:
        UnreadableFileError: Damaged, or no picture.
        UnsupportedFormatError: In colour.
    """
    with open_picture(path) as opened:
        note = opened.info.get(RECORD_KEY)
        if note is None and opened.format == "TIFF":
            note = _description(opened)
        if opened.mode == "P":
            opened = decoded(opened, path).convert("RGB")  # indices into a palette are no depths
        array = np.asarray(decoded(opened, path))
        if opened.mode == "LA":
            array = array[..., 0]
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    if array.ndim == 3:
        if not (array.shape[2] in (3, 4) and (array[..., :3] == array[..., :1]).all()):
            raise UnsupportedFormatError(
                f"{path} is a colour picture: the numbers behind the colours are lost; give the depth as "
                ".npz, 16-bit PNG, float TIFF, PFM or EXR"
            )
        array = array[..., 0]
    record = record_from_json(note, str(path)) if isinstance(note, str) else None
    if record is not None and array.dtype.kind != "f" and not (array.dtype == np.uint16 and record.coding):
        raise UnreadableFileError(f"what depth3d wrote into {path} is damaged; make it again")
    return array.astype(array.dtype.newbyteorder("=")), record


def decode_own_png(integers: npt.NDArray[Any], record: DepthRecord) -> npt.NDArray[np.float32]:
    """Undo `write_png`: metres within half a unit, disparity within half a step, 0 to NaN."""
    if "scale" in record.coding:
        values = integers / record.coding["scale"]
    else:
        low, high = record.coding["min"], record.coding["max"]
        values = low + (integers.astype(np.float64) - 1) * ((high - low) / (_LARGEST - 1))
    return np.where(integers == 0, np.nan, values).astype(np.float32)


def _description(opened: Any) -> str | None:
    text = opened.tag_v2.get(_IMAGE_DESCRIPTION)
    return text if isinstance(text, str) and '"depth3d-depth"' in text else None
