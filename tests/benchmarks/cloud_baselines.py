"""The script that people write for a cloud: NumPy for the points, Open3D for the file.

python cloud_baselines.py PHOTO DEPTH.npy FX OUT.ply    # in metres
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np


def plain_cloud(image: Any, z: Any, fx: float, output: Path) -> None:
    """Unproject all known pixels and write them: binary PLY, coordinates as Open3D has them, in float64."""
    import open3d as o3d

    height, width = z.shape
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    x = (u + 0.5 - width / 2) * z / fx
    y = (v + 0.5 - height / 2) * z / fx
    points = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    colors = image.reshape(-1, 3) / 255.0
    known = np.isfinite(points[:, 2])
    cloud = o3d.geometry.PointCloud()
    cloud.points = o3d.utility.Vector3dVector(points[known])
    cloud.colors = o3d.utility.Vector3dVector(colors[known])
    if not o3d.io.write_point_cloud(str(output), cloud):
        raise SystemExit(f"Open3D can't write {output}")


def lean_cloud(image: Any, z: Any, fx: float, output: Path) -> None:
    """Do the same with NumPy alone, as well as it goes: one structured array, and its bytes."""
    height, width = z.shape
    known = np.isfinite(z)
    layout = [("xyz", "<f4", 3), ("rgb", "u1", 3)]
    rows = np.empty(int(known.sum()), np.dtype(layout))
    z = z.astype(np.float32)
    columns = ((np.arange(width) + 0.5 - width / 2) / fx).astype(np.float32)
    lines = ((np.arange(height) + 0.5 - height / 2) / fx).astype(np.float32)
    rows["xyz"][:, 0] = (z * columns)[known]
    rows["xyz"][:, 1] = (z * lines[:, None])[known]
    rows["xyz"][:, 2] = z[known]
    rows["rgb"] = image[known]
    names = [
        *(f"property float {axis}" for axis in "xyz"),
        *(f"property uchar {c}" for c in ("red", "green", "blue")),
    ]
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}", *names, "end_header", ""]
    with output.open("wb") as file:
        file.write("\n".join(head).encode())
        file.write(rows.tobytes())


def main(photo: str, depth: str, focal: str, output: str) -> None:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    plain_cloud(np.asarray(Image.open(photo).convert("RGB")), np.load(depth), float(focal), Path(output))


if __name__ == "__main__":
    main(*sys.argv[1:])
