"""PFM: the portable float map of stereo benchmarks. Rows run from the bottom up.

Source: Debevec, the PFM portable floatmap format. The magnitude of its scale line is ignored, as the
readers of the Middlebury benchmark ignore it; its sign gives the byte order (negative: little endian).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from depth3d.core.depth import DepthMap
from depth3d.errors import UnreadableFileError, UnsupportedFormatError
from depth3d.io.depth_record import DepthRecord
from depth3d.io.pictures import open_file

__all__ = ["read_pfm", "write_pfm"]

_HEADER = re.compile(rb"(P[Ff])\s+(\d{1,9})\s+(\d{1,9})\s+([-+0-9.eE]+)[ \t\r]*\n")


def write_pfm(depth: DepthMap, path: Path, record: DepthRecord) -> None:
    """Write little-endian floats, bottom row first, NaN for unknown; no room for kind or camera."""
    head = f"Pf\n{depth.width} {depth.height}\n-1.0\n".encode("ascii")
    with path.open("wb") as file:
        file.write(head)
        for row in depth.values[::-1]:
            file.write(row.astype("<f4").tobytes())


def read_pfm(path: Path) -> tuple[npt.NDArray[np.float32], None]:
    """Read a PFM of one channel, of either byte order.

    Returns:
        (H, W) float32, top row first.

    Raises:
        UnreadableFileError: The header makes no sense, or values are missing.
        UnsupportedFormatError: Three channels.
    """
    with open_file(path) as file:
        data = file.read()
    match = _HEADER.match(data)
    try:
        scale = float(match[4]) if match else 0.0
    except ValueError:
        scale = 0.0
    if match is None or scale == 0.0:
        raise UnreadableFileError(f"{path} has no valid PFM header; write it again as 'Pf', size and scale")
    if match[1] == b"PF":
        raise UnsupportedFormatError(f"{path} is a PFM of three channels; save one channel, as 'Pf'")
    width, height = int(match[2]), int(match[3])
    found = (len(data) - match.end()) // 4
    if width < 1 or height < 1 or found < width * height:
        raise UnreadableFileError(
            f"{path} is cut short: {width}x{height} needs {width * height} values, got {found}; copy it again"
        )
    order = "<f4" if scale < 0 else ">f4"
    values = np.frombuffer(data, order, width * height, match.end()).reshape(height, width)
    return values[::-1].astype(np.float32), None
