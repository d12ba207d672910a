"""OpenEXR, as far as depth needs it: one channel of scan lines, uncompressed or zipped.

The OpenCV wheels of the Python index come without OpenEXR, so this is our own.
Source: openexr.com, OpenEXR File Layout.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.depth import DepthMap
from depth3d.errors import UnreadableFileError, UnsupportedFormatError
from depth3d.io.depth_record import RECORD_KEY, DepthRecord, record_from_json, record_to_json
from depth3d.io.pictures import MAX_PIXELS, open_file, too_large

__all__ = ["read_exr", "write_exr"]

MAGIC = b"\x76\x2f\x31\x01"
_TILED, _DEEP, _MULTI_PART = 0x200, 0x800, 0x1000
_DTYPES: dict[int, np.dtype[Any]] = {0: np.dtype("<u4"), 1: np.dtype("<f2"), 2: np.dtype("<f4")}
_LINES = {0: 1, 2: 1, 3: 16}
"""Scan lines a block by compression: none, ZIPS, ZIP."""
_NAMES = ("Z", "depth", "Depth", "depth.Z", "Depth.Z", "Y", "R", "V")
"""Channels that hold depth, in this order: `Z` is the standard's name for it."""


@dataclass(frozen=True, slots=True)
class _Channel:
    name: str
    dtype: np.dtype[Any]


def write_exr(depth: DepthMap, path: Path, record: DepthRecord) -> None:
    """Write channel `Z` as 32-bit floats, uncompressed; the attribute `depth3d` says kind and camera."""
    width, height = depth.size_wh
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    channels = b"Z\0" + struct.pack("<iB3xii", 2, 0, 1, 1) + b"\0"
    header = MAGIC + struct.pack("<i", 2)
    for name, kind, value in (
        ("channels", "chlist", channels),
        ("compression", "compression", b"\0"),
        ("dataWindow", "box2i", window),
        (RECORD_KEY, "string", record_to_json(record).encode("ascii")),
        ("displayWindow", "box2i", window),
        ("lineOrder", "lineOrder", b"\0"),
        ("pixelAspectRatio", "float", struct.pack("<f", 1)),
        ("screenWindowCenter", "v2f", struct.pack("<2f", 0, 0)),
        ("screenWindowWidth", "float", struct.pack("<f", 1)),
    ):
        header += name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(value)) + value
    header += b"\0"
    line_size = 8 + 4 * width
    offsets = len(header) + 8 * height + line_size * np.arange(height, dtype="<u8")
    line = np.empty((), dtype=[("y", "<i4"), ("size", "<i4"), ("z", "<f4", (width,))])
    line["size"] = 4 * width
    with path.open("wb") as file:
        file.write(header + offsets.astype("<u8").tobytes())
        for y, values in enumerate(depth.values):
            line["y"], line["z"] = y, values
            file.write(line.tobytes())


def read_exr(path: Path) -> tuple[npt.NDArray[np.float32], DepthRecord | None]:
    """Read the depth channel of a scan-line EXR.

    Returns:
        (H, W) float32, and the record if the file is ours.

    Raises:
        UnreadableFileError: Damaged or cut short.
        UnsupportedFormatError: Tiles, deep pixels, several parts, another compression, or no channel
            that could be meant.
    """
    with open_file(path) as file:
        data = file.read()
    try:
        return _parse(data, path)
    except (struct.error, KeyError, IndexError, ValueError, zlib.error, OverflowError) as error:
        raise UnreadableFileError(f"{path} is damaged or cut short; copy it again") from error


def _parse(data: bytes, path: Path) -> tuple[npt.NDArray[np.float32], DepthRecord | None]:
    (version,) = struct.unpack_from("<I", data, 4)
    if version & (_TILED | _DEEP | _MULTI_PART):
        raise UnsupportedFormatError(
            f"{path} is an EXR of tiles, deep pixels or several parts; save it as one part of scan lines"
        )
    attributes, position = _attributes(data, 8)
    compression = attributes["compression"][0]
    if compression not in _LINES:
        raise UnsupportedFormatError(
            f"{path} is an EXR with compression {compression}; save it uncompressed or with ZIP"
        )
    left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
    width, height = right - left + 1, bottom - top + 1
    if width < 1 or height < 1:
        raise UnreadableFileError(f"{path} says it has {width}x{height} pixels; it is damaged: copy it again")
    if width * height > MAX_PIXELS:
        raise too_large(path, width, height)
    channels = _channels(attributes["channels"])
    chosen = _depth_channel(channels, path)
    before = sum(c.dtype.itemsize for c in channels[: channels.index(chosen)]) * width
    line_size = sum(c.dtype.itemsize for c in channels) * width
    lines = _LINES[compression]
    blocks = -(-height // lines)
    if len(data) < position + 8 * blocks:
        raise ValueError("the table of offsets is cut short")
    values = np.full((height, width), np.nan, np.float32)
    for offset in np.frombuffer(data, "<u8", blocks, position).tolist():
        y, size = struct.unpack_from("<ii", data, offset)
        row = y - top
        count = min(lines, height - row)
        block = data[offset + 8 : offset + 8 + size]
        if row < 0 or count < 1 or len(block) != size:
            raise ValueError("a block lies outside the picture or the file")
        if compression and size < count * line_size:  # a block that would grow is stored as it is
            block = _unzipped(block, count * line_size)
        pixels = np.frombuffer(block, np.uint8, count * line_size).reshape(count, line_size)
        part = np.ascontiguousarray(pixels[:, before : before + chosen.dtype.itemsize * width])
        values[row : row + count] = part.view(chosen.dtype)
    note = attributes.get(RECORD_KEY)
    return values, record_from_json(note.decode("utf-8"), str(path)) if note else None


def _attributes(data: bytes, position: int) -> tuple[dict[str, bytes], int]:
    attributes = {}
    while data[position] != 0:
        name_end = data.index(b"\0", position)
        kind_end = data.index(b"\0", name_end + 1)
        (size,) = struct.unpack_from("<i", data, kind_end + 1)
        start = kind_end + 5
        if size < 0:
            raise ValueError("an attribute of negative size")
        attributes[data[position:name_end].decode("latin-1")] = data[start : start + size]
        position = start + size
    return attributes, position + 1


def _channels(listed: bytes) -> list[_Channel]:
    channels = []
    position = 0
    while listed[position] != 0:
        end = listed.index(b"\0", position)
        kind, x_sampling, y_sampling = struct.unpack_from("<i4xii", listed, end + 1)
        if (x_sampling, y_sampling) != (1, 1):
            raise ValueError("a channel of another resolution")
        channels.append(_Channel(listed[position:end].decode("latin-1"), _DTYPES[kind]))
        position = end + 17
    return channels


def _depth_channel(channels: list[_Channel], path: Path) -> _Channel:
    if len(channels) == 1:
        return channels[0]
    named = {channel.name: channel for channel in channels}
    for name in _NAMES:
        if name in named and not (name == "R" and "G" in named):
            return named[name]
    for channel in channels:
        if channel.name.endswith(".Z"):
            return channel
    raise UnsupportedFormatError(
        f"{path} has the channels {', '.join(sorted(named))} and none of them is depth; name it Z"
    )


def _unzipped(block: bytes, size: int) -> bytes:
    """Undo OpenEXR's zip: deflate, then differences between bytes, then two halves interleaved."""
    raw = np.frombuffer(zlib.decompressobj().decompress(block, size), np.uint8)
    if len(raw) != size:
        raise ValueError("a compressed block is cut short")
    steps = raw.astype(np.int64)
    steps[1:] -= 128
    summed = np.cumsum(steps).astype(np.uint8)
    result = np.empty(size, np.uint8)
    half = (size + 1) // 2
    result[0::2], result[1::2] = summed[:half], summed[half:]
    return result.tobytes()
