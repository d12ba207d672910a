"""Meshes of any program, read by trimesh and turned into our `Mesh`."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from depth3d.core.color import to_srgb
from depth3d.core.mesh import Mesh
from depth3d.errors import Depth3DError, UnreadableFileError
from depth3d.io.pixels import to_rgb

__all__ = ["read_with_trimesh"]


def read_with_trimesh(path: Path) -> Mesh:
    """Read a `.glb`, `.obj`, `.ply` or `.stl` file as it is: no vertex is merged, no axis turned.

    Args:
        path: The file.

    Returns:
        All its parts in their places as one mesh, with uv and texture, or colours, and with normals where
        the file has them; texture coordinates start at the top left. It may be empty.

    Raises:
        UnreadableFileError: It can't be read.
        InputError: Its numbers make no mesh: not finite, or indices out of range.
        OSError: It can't be opened.
    """
    import trimesh

    if path.suffix.lower() == ".glb":
        _check_sizes_of_glb(path)
    quiet = logging.getLogger("trimesh")
    level = quiet.level
    quiet.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scene = trimesh.load_scene(path, process=False, maintain_order=True)
            mesh = _only_mesh_of(scene)
            if mesh is None:
                return Mesh(np.empty((0, 3), np.float32), np.empty((0, 3), np.int32))
            return _ours(mesh, path)
    except (OSError, Depth3DError, MemoryError):
        raise
    except Exception as error:  # trimesh raises whatever comes to it on damaged files
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UnreadableFileError(f"{path} is damaged or no mesh ({reason}); write it anew") from None
    finally:
        quiet.setLevel(level)


def _check_sizes_of_glb(path: Path) -> None:
    """Refuse a GLB that promises more than it has: trimesh would reserve the memory first.

    Format: glTF 2.0, "GLB File Format": chunks of a length, a type and data; the first one is JSON.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        document = b""
        at = 12
        while at + 8 <= size:
            file.seek(at)
            length = int.from_bytes(file.read(4), "little")
            at += 8 + length
            if at > size:
                raise UnreadableFileError(
                    f"{path} is cut short: a part of it should have {length:,} bytes; write it anew"
                )
            if not document:
                file.seek(4, 1)
                document = file.read(length)
    try:
        counts = [accessor["count"] for accessor in json.loads(document).get("accessors", ())]
        least_bytes = max(counts, default=0)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return  # trimesh says what is wrong with it
    if least_bytes > size:
        raise UnreadableFileError(
            f"{path} is cut short: it promises {least_bytes:,} numbers in {size:,} bytes; write it anew"
        )


def _only_mesh_of(scene: Any) -> Any:
    import trimesh

    parts = [part for part in scene.geometry.values() if isinstance(part, trimesh.Trimesh)]
    nodes = scene.graph.nodes_geometry
    if len(parts) != 1 or len(nodes) != 1:
        return scene.to_mesh() if parts else None
    place, _ = scene.graph[nodes[0]]
    if not np.array_equal(place, np.eye(4)):
        parts[0].apply_transform(place)
    return parts[0]


def _ours(mesh: Any, path: Path) -> Mesh:
    uv = texture = colors = None
    visual = mesh.visual
    if visual.kind == "texture":
        image = getattr(visual.material, "baseColorTexture", None) or getattr(visual.material, "image", None)
        if visual.uv is not None:
            uv = np.array(visual.uv, dtype=np.float32)
            uv[:, 1] = 1 - uv[:, 1]  # trimesh counts from the bottom
            texture = None if image is None else to_rgb(image, str(path))
        shades = None if texture is not None else visual.vertex_attributes.get("color")
        if shades is not None:  # of a .glb: linear light
            shades = np.asarray(shades)[:, :3]
            colors = to_srgb(shades / (np.iinfo(shades.dtype).max if shades.dtype.kind == "u" else 1.0))
    elif visual.kind == "vertex":
        colors = np.asarray(visual.vertex_colors)[:, :3]
    # Asking for normals that are not in the file would compute them; those that are lie in the cache.
    normals = mesh._cache.cache.get("vertex_normals")
    return Mesh(mesh.vertices, mesh.faces, uv, texture, colors, normals)
