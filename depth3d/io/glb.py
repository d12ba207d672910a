"""Meshes in binary glTF (.glb): one file with triangles, texture and material.

Format: Khronos Group, "glTF 2.0 Specification", and its extension KHR_materials_unlit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d._version import __version__
from depth3d.core.arrays import FloatMap, ImageArray
from depth3d.core.color import to_linear
from depth3d.core.mesh import Mesh
from depth3d.errors import InputError
from depth3d.io.texture_files import TextureFormat, encode_texture

__all__ = ["write_glb"]

_MAGIC, _VERSION, _JSON, _BIN = b"glTF", 2, b"JSON", b"BIN\0"
_LARGEST = 2**32 - 1
_FLOAT, _UNSIGNED_SHORT, _UNSIGNED_INT = 5126, 5123, 5125
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_LINEAR, _LINEAR_MIPMAP_LINEAR, _CLAMP_TO_EDGE = 9729, 9987, 33071
_UNLIT = "KHR_materials_unlit"


def write_glb(mesh: Mesh, path: Path, *, texture_format: TextureFormat, comments: Iterable[str]) -> None:
    """Write a mesh that is in glTF's own frame and unit already: x right, y up, metres.

    The material is seen from both sides, and unlit wherever there is a photo to see: its light is in it
    already. A mesh without texture and colours gets a gray surface that the viewer lights.

    Args:
        mesh: What to write, with at least one triangle. Where there is a texture, colours are left out,
            because glTF would multiply the two.
        path: Where to; replaced if it exists.
        texture_format: How the texture is encoded.
        comments: Lines that go into `asset.extras.comments`.

    Raises:
        InputError: The file would exceed the 4 GB that the format can hold.
        OSError: The file can't be written.
    """
    builder = _Builder()
    attributes = {"POSITION": builder.add_vectors(mesh.vertices, "VEC3", bounds=True)}
    if mesh.normals is not None:
        attributes["NORMAL"] = builder.add_vectors(_unit(mesh.normals), "VEC3")
    material: dict[str, Any] = {"doubleSided": True}
    surface: dict[str, Any] = {"metallicFactor": 0, "roughnessFactor": 1}
    document: dict[str, Any] = {}
    if mesh.texture is not None and mesh.uv is not None:
        attributes["TEXCOORD_0"] = builder.add_vectors(mesh.uv, "VEC2")
        surface["baseColorTexture"] = {"index": 0}
        view = builder.add_bytes(encode_texture(mesh.texture, texture_format))
        document |= {
            "textures": [{"sampler": 0, "source": 0}],
            "images": [{"bufferView": view, "mimeType": f"image/{texture_format}"}],
            "samplers": [
                {
                    "magFilter": _LINEAR,
                    "minFilter": _LINEAR_MIPMAP_LINEAR,
                    "wrapS": _CLAMP_TO_EDGE,
                    "wrapT": _CLAMP_TO_EDGE,
                }
            ],
        }
    elif mesh.colors is not None:
        attributes["COLOR_0"] = builder.add_colors(mesh.colors)
    else:
        surface["baseColorFactor"] = [0.5, 0.5, 0.5, 1.0]
    material["pbrMetallicRoughness"] = surface
    if mesh.texture is not None or mesh.colors is not None:
        material["extensions"] = {_UNLIT: {}}
        document["extensionsUsed"] = [_UNLIT]
    primitive = {"attributes": attributes, "indices": builder.add_faces(mesh.faces), "material": 0}
    document |= {
        "asset": {
            "version": "2.0",
            "generator": f"depth3d {__version__}",
            "extras": {"comments": [str(line) for line in comments]},
        },
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "photo"}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [material],
        "accessors": builder.accessors,
        "bufferViews": builder.views,
        "buffers": [{"byteLength": builder.size}],
    }
    text = json.dumps(document, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + builder.size
    if total > _LARGEST:
        raise InputError(
            f"a .glb holds 4 GB and this mesh needs {total / 2**30:.1f}; make fewer faces, or use .ply"
        )
    with path.open("wb") as file:
        file.write(_MAGIC + _words(_VERSION, total))
        file.write(_words(len(text)) + _JSON + text)
        file.write(_words(builder.size) + _BIN)
        for part in builder.parts:
            file.write(part)


class _Builder:
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


def _unit(normals: FloatMap) -> FloatMap:
    """Make normals as long as glTF demands; one of no length looks at the camera."""
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    good = np.isfinite(length) & (length > 0)
    facing = np.array([[0, 0, 1]], dtype=np.float32)
    return np.where(good, normals / np.where(good, length, 1), facing)


def _words(*numbers: int) -> bytes:
    return np.array(numbers, dtype="<u4").tobytes()
