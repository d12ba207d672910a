"""`BinaryChunk` and `write_container`: what every binary glTF file is made of.

Format: Khronos Group, "glTF 2.0 Specification", sections 3.6 and 4.4.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import FloatMap, ImageArray
from depth3d.core.color import to_linear
from depth3d.errors import InputError

__all__ = ["SAMPLER", "TILE_SAMPLER", "UNLIT", "BinaryChunk", "write_container"]

UNLIT = "KHR_materials_unlit"

_MAGIC, _VERSION, _JSON, _BIN = b"glTF", 2, b"JSON", b"BIN\0"
_LARGEST = 2**32 - 1
_FLOAT, _UNSIGNED_SHORT, _UNSIGNED_INT = 5126, 5123, 5125
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_LINEAR, _LINEAR_MIPMAP_LINEAR, _CLAMP_TO_EDGE = 9729, 9987, 33071

SAMPLER = {
    "magFilter": _LINEAR,
    "minFilter": _LINEAR_MIPMAP_LINEAR,
    "wrapS": _CLAMP_TO_EDGE,
    "wrapT": _CLAMP_TO_EDGE,
}
"""Interpolates, and averages what is far away."""

TILE_SAMPLER = SAMPLER | {"minFilter": _LINEAR}
"""Interpolates only: for textures whose parts have nothing to do with each other."""


class BinaryChunk:
    """Collects the binary chunk: views and accessors that describe it, each part padded to 4 bytes."""

    def __init__(self) -> None:
        self.parts: list[bytes | memoryview] = []
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []
        self.size = 0

    def add_bytes(self, data: bytes | memoryview, **facts: int) -> int:
        """Append a part; gives the index of its view."""
        self.views.append({"buffer": 0, "byteOffset": self.size, "byteLength": len(data), **facts})
        padding = b"\0" * (-len(data) % 4)
        self.parts += [data, padding]
        self.size += len(data) + len(padding)
        return len(self.views) - 1

    def add_vectors(self, vectors: FloatMap, kind: str, *, bounds: bool = False) -> int:
        """Append float32 rows, with their extent where the format asks for it."""
        facts: dict[str, Any] = {}
        if bounds:
            facts = {"min": vectors.min(axis=0).tolist(), "max": vectors.max(axis=0).tolist()}
        return self._add_array(vectors.astype("<f4", copy=False), _FLOAT, kind, **facts)

    def add_colors(self, colors: ImageArray) -> int:
        """Append colours in linear light; 16 bits hold all 256 steps of sRGB apart."""
        linear = np.full((len(colors), 4), 65535, dtype="<u2")  # rows must be whole words of 4 bytes
        linear[:, :3] = np.rint(65535 * to_linear(colors))
        return self._add_array(linear, _UNSIGNED_SHORT, "VEC4", normalized=True)

    def add_faces(self, faces: npt.NDArray[np.int32]) -> int:
        """Append the indices of triangles."""
        flat = faces.reshape(-1).astype("<u4")
        return self._add_array(flat, _UNSIGNED_INT, "SCALAR", target=_ELEMENT_ARRAY_BUFFER)

    def _add_array(
        self, array: npt.NDArray[Any], component: int, kind: str, target: int = _ARRAY_BUFFER, **facts: Any
    ) -> int:
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        view = self.add_bytes(data, target=target)
        self.accessors.append(
            {"bufferView": view, "componentType": component, "count": len(array), "type": kind, **facts}
        )
        return len(self.accessors) - 1


def write_container(document: dict[str, Any], chunk: BinaryChunk, path: Path) -> None:
    """Write a document and its binary chunk; views, accessors and the buffer are put into the document.

    Raises:
        InputError: The file would exceed the 4 GB that the format can hold.
        OSError: The file can't be written.
    """
    facts = {
        "accessors": chunk.accessors,
        "bufferViews": chunk.views,
        "buffers": [{"byteLength": chunk.size}],
    }
    text = json.dumps(document | facts, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + chunk.size
    if total > _LARGEST:
        raise InputError(
            f"a .glb holds 4 GB and this mesh needs {total / 2**30:.1f}; make fewer faces, or use .ply"
        )
    with path.open("wb") as file:
        file.write(_MAGIC + _words(_VERSION, total))
        file.write(_words(len(text)) + _JSON + text)
        file.write(_words(chunk.size) + _BIN)
        for part in chunk.parts:
            file.write(part)


def _words(*numbers: int) -> bytes:
    return np.array(numbers, dtype="<u4").tobytes()
