"""What meshes are compared with: grids that others cut, and the plain script that people write.

python mesh_baselines.py PHOTO DEPTH.npy FX OUT.glb MAX_FACES    # in metres; 0 keeps all triangles
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


def flagged_by_gradient(z: Floats) -> npt.NDArray[np.bool_]:
    """Pixels where depth changes by more than 5 cm to the next one: the rule of ZoeDepth's mesh demo."""
    down, right = np.gradient(z)
    return np.asarray(np.hypot(down, right) > 0.05)


def flagged_by_ratio(z: Floats) -> npt.NDArray[np.bool_]:
    """Pixels around which depth varies by more than 4 % of it: the rule of MoGe's mesh export."""
    import cv2

    known, z32 = ~np.isnan(z), np.nan_to_num(z).astype(np.float32)
    kernel = np.ones((3, 3), np.uint8)
    high = cv2.dilate(np.where(known, z32, -np.inf), kernel)
    low = cv2.erode(np.where(known, z32, np.inf), kernel)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return np.asarray((high - low) / z32 > 0.04)


def grid_faces(keep: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """Two triangles for each square of pixels, along one diagonal; those with all three pixels kept."""
    height, width = keep.shape
    a = (
        np.arange(height - 1, dtype=np.int32)[:, None] * width + np.arange(width - 1, dtype=np.int32)
    ).ravel()
    faces = np.concatenate(
        [np.stack([a, a + width, a + 1], 1), np.stack([a + 1, a + width, a + width + 1], 1)]
    )
    return np.asarray(faces[keep.reshape(-1)[faces].all(axis=1)])


def main(photo: str, depth: str, focal: str, output: str, most_faces: str) -> None:
    import trimesh
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    image, z, fx = Image.open(photo).convert("RGB"), np.load(depth), float(focal)
    height, width = z.shape
    v, u = np.mgrid[:height, :width]
    x, y = (u + 0.5 - width / 2) * z / fx, (v + 0.5 - height / 2) * z / fx
    points = np.stack([x, -y, -z], axis=-1).reshape(-1, 3)
    faces = grid_faces(~np.isnan(z) & ~flagged_by_ratio(z))
    mesh = trimesh.Trimesh(points, faces, process=False)
    mesh.remove_unreferenced_vertices()
    if 0 < int(most_faces) < len(mesh.faces):
        mesh = mesh.simplify_quadric_decimation(face_count=int(most_faces))
    p = np.asarray(mesh.vertices)
    uv = np.stack([p[:, 0] / -p[:, 2] * fx / width + 0.5, 0.5 + p[:, 1] / -p[:, 2] * fx / height], axis=1)
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=image, metallicFactor=0.0)
    mesh.visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    Path(output).write_bytes(mesh.export(file_type="glb"))
    print(len(mesh.faces))


if __name__ == "__main__":
    main(*sys.argv[1:])
