"""`write_glb_scene`: several textured surfaces, each with a name, in one binary glTF file.

Format: Khronos Group, "glTF 2.0 Specification", and its extension KHR_materials_unlit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from depth3d._version import __version__
from depth3d.core.arrays import FloatMap
from depth3d.io.frames import to_frame
from depth3d.io.glb_container import SAMPLER, TILE_SAMPLER, UNLIT, BinaryChunk, write_container

__all__ = ["GlbSurface", "write_glb_scene"]

_JPEG_QUALITY = 92
_CUTOFF = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class GlbSurface:
    """One surface of a scene.

    Attributes:
        name: Of its node.
        vertices: (V, 3) float32 in our camera frame.
        faces: (F, 3) int32, at least one.
        uv: (V, 2) float32 texture coordinates, origin at the top left.
        texture: Which of the scene's textures.
        alpha: `opaque`; `mask`, which is cut off where the texture covers less than half; or `blend`.
    """

    name: str
    vertices: FloatMap
    faces: npt.NDArray[np.int32]
    uv: FloatMap
    texture: str
    alpha: Literal["opaque", "mask", "blend"] = "opaque"


def write_glb_scene(
    surfaces: Sequence[GlbSurface],
    textures: Mapping[str, npt.NDArray[np.uint8]],
    path: Path,
    *,
    fov_y_deg: float,
    aspect: float,
    comments: Iterable[str] = (),
) -> None:
    """Write surfaces as a scene with the camera that took the photo at the origin.

    All are seen from both sides and unlit: the photo's light is in them already.

    Args:
        surfaces: At least one; those that blend are to be drawn in this order.
        textures: (H, W, 3) uint8 sRGB, written as JPEG, or (H, W, 4) with coverage, written as PNG.
        path: Where to; replaced if it exists.
        fov_y_deg: The camera's full vertical field of view.
        aspect: The camera's width / height.
        comments: Lines that go into `asset.extras.comments`.

    Raises:
        InputError: The file would exceed the 4 GB that the format can hold.
        OSError: The file can't be written.
    """
    chunk = BinaryChunk()
    names = list(textures)
    images = []
    for picture in textures.values():
        kind = "jpeg" if picture.shape[2] == 3 else "png"
        images.append({"bufferView": chunk.add_bytes(_encoded(picture, kind)), "mimeType": f"image/{kind}"})
    nodes: list[dict[str, Any]] = []
    meshes, materials = [], []
    for index, surface in enumerate(surfaces):
        attributes = {
            "POSITION": chunk.add_vectors(to_frame(surface.vertices, "opengl"), "VEC3", bounds=True),
            "TEXCOORD_0": chunk.add_vectors(surface.uv, "VEC2"),
        }
        primitive = {"attributes": attributes, "indices": chunk.add_faces(surface.faces), "material": index}
        meshes.append({"name": surface.name, "primitives": [primitive]})
        nodes.append({"name": surface.name, "mesh": index})
        material: dict[str, Any] = {
            "name": surface.name,
            "doubleSided": True,
            "extensions": {UNLIT: {}},
            "pbrMetallicRoughness": {
                "baseColorTexture": {"index": names.index(surface.texture)},
                "metallicFactor": 0,
                "roughnessFactor": 1,
            },
        }
        if surface.alpha != "opaque":
            material["alphaMode"] = surface.alpha.upper()
        if surface.alpha == "mask":
            material["alphaCutoff"] = _CUTOFF
        materials.append(material)
    nodes.append({"name": "photo_camera", "camera": 0})
    # Without a far end: the sky is as far away as numbers go.
    lens = {"yfov": float(np.radians(fov_y_deg)), "aspectRatio": aspect, "znear": 0.01}
    document = {
        "asset": {
            "version": "2.0",
            "generator": f"depth3d {__version__}",
            "extras": {"comments": [str(line) for line in comments]},
        },
        "extensionsUsed": [UNLIT],
        "scene": 0,
        "scenes": [{"nodes": list(range(len(nodes)))}],
        "nodes": nodes,
        "cameras": [{"type": "perspective", "perspective": lens}],
        "meshes": meshes,
        "materials": materials,
        "textures": [
            {"sampler": int(picture.shape[2] == 4), "source": source}
            for source, picture in enumerate(textures.values())
        ],
        "images": images,
        "samplers": [SAMPLER, TILE_SAMPLER],
    }
    write_container(document, chunk, path)


def _encoded(picture: npt.NDArray[np.uint8], kind: str) -> bytes:
    from PIL import Image

    buffer = BytesIO()
    if kind == "jpeg":
        Image.fromarray(picture).save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    else:
        Image.fromarray(picture).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()
