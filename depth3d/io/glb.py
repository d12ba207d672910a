"""Meshes in binary glTF (.glb): one file with triangles, texture and material.

Format: Khronos Group, "glTF 2.0 Specification", and its extension KHR_materials_unlit.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from depth3d._version import __version__
from depth3d.core.arrays import FloatMap
from depth3d.core.mesh import Mesh
from depth3d.io.glb_container import SAMPLER, UNLIT, BinaryChunk, write_container
from depth3d.io.texture_files import TextureFormat, encode_texture

__all__ = ["write_glb"]


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
    chunk = BinaryChunk()
    attributes = {"POSITION": chunk.add_vectors(mesh.vertices, "VEC3", bounds=True)}
    if mesh.normals is not None:
        attributes["NORMAL"] = chunk.add_vectors(_unit(mesh.normals), "VEC3")
    material: dict[str, Any] = {"doubleSided": True}
    surface: dict[str, Any] = {"metallicFactor": 0, "roughnessFactor": 1}
    document: dict[str, Any] = {}
    if mesh.texture is not None and mesh.uv is not None:
        attributes["TEXCOORD_0"] = chunk.add_vectors(mesh.uv, "VEC2")
        surface["baseColorTexture"] = {"index": 0}
        view = chunk.add_bytes(encode_texture(mesh.texture, texture_format))
        document |= {
            "textures": [{"sampler": 0, "source": 0}],
            "images": [{"bufferView": view, "mimeType": f"image/{texture_format}"}],
            "samplers": [SAMPLER],
        }
    elif mesh.colors is not None:
        attributes["COLOR_0"] = chunk.add_colors(mesh.colors)
    else:
        surface["baseColorFactor"] = [0.5, 0.5, 0.5, 1.0]
    material["pbrMetallicRoughness"] = surface
    if mesh.texture is not None or mesh.colors is not None:
        material["extensions"] = {UNLIT: {}}
        document["extensionsUsed"] = [UNLIT]
    primitive = {"attributes": attributes, "indices": chunk.add_faces(mesh.faces), "material": 0}
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
    }
    write_container(document, chunk, path)


def _unit(normals: FloatMap) -> FloatMap:
    """Make normals as long as glTF demands; one of no length looks at the camera."""
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    good = np.isfinite(length) & (length > 0)
    facing = np.array([[0, 0, 1]], dtype=np.float32)
    return np.where(good, normals / np.where(good, length, 1), facing)
